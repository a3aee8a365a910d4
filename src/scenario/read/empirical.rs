//! `empirical: file.csv`: one value per line.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic};
use crate::limits::{self, Limit};
use crate::scenario::files;
use crate::scenario::reader::{Ctx, text};
use crate::scenario::tree::{Value, clip};

/// Bytes of one of its lines.
const MAX_LINE: u64 = 1000;

/// Reads the values of the file that `value` names; empty lines are skipped.
pub fn values<T>(
    ctx: &mut Ctx,
    value: &Value,
    path: &str,
    base: &Path,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<Arc<[T]>> {
    let written = text(ctx, value, path)?;
    let file = files::one_file(ctx, base, written, value.span)?;
    let name = file.to_string_lossy().into_owned();
    let kept = ctx.recorded.as_ref().and_then(|r| r.text(&file).cloned());
    let result = match kept {
        Some(text) => read(text.as_bytes(), &name, &file, parse),
        None => {
            let opened = limits::open(&file).map_err(|e| files::cannot_read(&file, &e));
            opened.and_then(|f| {
                read(BufReader::new(f.take(Limit::EmpiricalBytes.get() + 1)), &name, &file, parse)
            })
        }
    };
    match result {
        Ok(all) => Some(all.into()),
        Err(error) => {
            let placed =
                if error.place == crate::diagnostic::Place::None { error.at(value.span) } else { error };
            ctx.error(placed);
            None
        }
    }
}

fn read<T>(
    mut reader: impl BufRead,
    name: &str,
    file: &Path,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Diagnostic> {
    let mut all = Vec::new();
    let (mut line, mut number, mut total) = (Vec::new(), 0u64, 0u64);
    loop {
        line.clear();
        number += 1;
        let count = (&mut reader)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .map_err(|e| files::cannot_read(file, &e))?;
        if count == 0 {
            break;
        }
        total += count as u64;
        let most = Limit::EmpiricalBytes.get();
        if total > most {
            return Err(Diagnostic::error(Code::TooLarge, format!("more than {most} bytes of values"))
                .help(Limit::EmpiricalBytes.hint()));
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim().trim_start_matches('\u{feff}');
        if text.is_empty() {
            continue;
        }
        match parse(text) {
            Some(value) => all.push(value),
            None => {
                let message = format!("`{}` is not a value", clip(text));
                return Err(Diagnostic::error(Code::BadDistribution, message)
                    .at_row(name, number, 1, text)
                    .label("expected one number per line"));
            }
        }
    }
    if all.is_empty() {
        return Err(Diagnostic::error(Code::BadDistribution, format!("{} has no value", files::shown(file))));
    }
    Ok(all)
}
