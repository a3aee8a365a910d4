//! Files that a scenario names: relative to it, with `${VARIABLES}`, folders and `*` patterns.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::reader::Ctx;
use super::recorded::Read;
use super::tree::clip;
use crate::diagnostic::{Code, Diagnostic, Span, escape};
use crate::limits::Limit;

/// Deepest folder below the one named.
const MAX_FOLDER_DEPTH: usize = 32;
/// What counts as a manifest when a folder is read.
const MANIFEST_ENDINGS: &[&str] = &["yaml", "yml", "json"];

/// Expands `${NAME}` with environment variables. `$` alone stays as it is.
///
/// # Errors
/// The name of a variable that is not set, or what is malformed.
pub fn expand_variables(text: &str) -> Result<String, Diagnostic> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let Some(length) = rest[start..].find('}') else {
            return Err(Diagnostic::error(Code::BadPath, "`${` without `}`").help("write ${NAME}"));
        };
        let name = &rest[start + 2..start + length];
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(Diagnostic::error(Code::BadPath, format!("`{}` is no variable's name", clip(name))));
        }
        match std::env::var(name) {
            Ok(value) => out.push_str(&value),
            Err(_) => {
                return Err(Diagnostic::error(
                    Code::UnsetVariable,
                    format!("the environment variable `{}` is not set", clip(name)),
                )
                .help(format!("set it, for example: export {name}=/path/to/files")));
            }
        }
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Resolves one file that must exist.
pub fn one_file(ctx: &mut Ctx, base: &Path, written: &str, span: Span) -> Option<PathBuf> {
    if let Some(files) = recorded(ctx, written) {
        return files.into_iter().next();
    }
    let path = expanded(ctx, base, written, span)?;
    match fs::metadata(&path) {
        Ok(meta) if meta.is_file() => {
            ctx.reads.push(Read { written: written.to_owned(), files: vec![path.clone()], streamed: false });
            Some(path)
        }
        Ok(_) => {
            ctx.error(not_a_file(&path).at(span));
            None
        }
        Err(error) => {
            ctx.error(cannot_read(&path, &error).at(span));
            None
        }
    }
}

/// Resolves an entry of `manifests`: a file, a folder (its files of a known ending, recursively) or a pattern.
pub fn manifest_files(ctx: &mut Ctx, base: &Path, written: &str, span: Span) -> Option<Vec<PathBuf>> {
    if written == "-" {
        return Some(vec![PathBuf::from("-")]);
    }
    if let Some(files) = recorded(ctx, written) {
        return Some(files);
    }
    let path = expanded(ctx, base, written, span)?;
    let found = match fs::metadata(&path) {
        Ok(meta) if meta.is_file() => Ok(vec![path.clone()]),
        Ok(meta) if meta.is_dir() => folder(&path),
        Ok(_) => Err(not_a_file(&path)),
        Err(_) if written.contains(['*', '?']) => pattern(&path),
        Err(error) => Err(cannot_read(&path, &error)),
    };
    match found {
        Ok(files) if files.is_empty() => {
            ctx.error(
                Diagnostic::error(Code::NoMatch, format!("`{}` yields no file", clip(written)))
                    .at(span)
                    .label("no .yaml, .yml or .json file here"),
            );
            None
        }
        Ok(files) => {
            ctx.reads.push(Read { written: written.to_owned(), files: files.clone(), streamed: false });
            Some(files)
        }
        Err(error) => {
            ctx.error(error.at(span));
            None
        }
    }
}

/// What a path stood for when the run that is made again was made.
fn recorded(ctx: &Ctx, written: &str) -> Option<Vec<PathBuf>> {
    ctx.recorded.as_ref()?.reads.get(written).cloned()
}

fn expanded(ctx: &mut Ctx, base: &Path, written: &str, span: Span) -> Option<PathBuf> {
    match expand_variables(written) {
        Ok(text) if text.contains('\0') => {
            ctx.error(Diagnostic::error(Code::BadPath, "a path may not contain a zero byte").at(span));
            None
        }
        Ok(text) => Some(base.join(text)),
        Err(error) => {
            ctx.error(error.at(span));
            None
        }
    }
}

/// A path that is no regular file: FIFOs and devices would block or never end.
pub fn not_a_file(path: &Path) -> Diagnostic {
    Diagnostic::error(Code::NotAFile, format!("{} is not a regular file", shown(path)))
}

/// Why a file could not be opened.
pub fn cannot_read(path: &Path, error: &std::io::Error) -> Diagnostic {
    if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) {
        return Diagnostic::error(Code::FileMissing, format!("{} does not exist", shown(path)));
    }
    let code = match error.kind() {
        std::io::ErrorKind::OutOfMemory => Code::Resources,
        std::io::ErrorKind::IsADirectory | std::io::ErrorKind::InvalidInput => Code::NotAFile,
        _ => Code::FileUnreadable,
    };
    Diagnostic::error(code, format!("cannot read {}: {error}", shown(path)))
}

/// A path for messages.
pub fn shown(path: &Path) -> String {
    format!("`{}`", escape(&path.to_string_lossy()))
}

/// The files of a folder and its subfolders, in bytewise order of their paths. Folders that contain themselves are an error.
fn folder(root: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let mut files = Vec::new();
    let mut above = BTreeSet::new();
    walk(root, &mut above, 0, &mut files)?;
    files.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(files)
}

fn walk(
    at: &Path,
    above: &mut BTreeSet<PathBuf>,
    depth: usize,
    files: &mut Vec<PathBuf>,
) -> Result<(), Diagnostic> {
    let real = fs::canonicalize(at).map_err(|e| cannot_read(at, &e))?;
    if depth > MAX_FOLDER_DEPTH || !above.insert(real.clone()) {
        return Err(Diagnostic::error(Code::CyclicFile, format!("the folder {} contains itself", shown(at)))
            .help("remove the symbolic link that leads back"));
    }
    for entry in fs::read_dir(at).map_err(|e| cannot_read(at, &e))? {
        let path = entry.map_err(|e| cannot_read(at, &e))?.path();
        let hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        let Ok(meta) = fs::metadata(&path) else { continue };
        if hidden {
            continue;
        }
        if meta.is_dir() {
            walk(&path, above, depth + 1, files)?;
        } else if meta.is_file() && has_ending(&path) {
            files.push(path);
            if files.len() > Limit::Files.size() {
                return Err(Diagnostic::error(
                    Code::TooLarge,
                    format!("more than {} files in {}", Limit::Files.get(), shown(at)),
                )
                .help(Limit::Files.hint()));
            }
        }
    }
    above.remove(&real);
    Ok(())
}

fn has_ending(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| MANIFEST_ENDINGS.contains(&e))
}

/// Files that a pattern matches: `*` and `?` within a path's parts, in bytewise order.
fn pattern(path: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let mut found = vec![PathBuf::new()];
    for part in path.components() {
        let Component::Normal(name) = part else {
            found.iter_mut().for_each(|p| p.push(part));
            continue;
        };
        let name = name.to_string_lossy();
        if !name.contains(['*', '?']) {
            found.iter_mut().for_each(|p| p.push(&*name));
            continue;
        }
        let mut next = Vec::new();
        for folder in &found {
            let listed = if folder.as_os_str().is_empty() { fs::read_dir(".") } else { fs::read_dir(folder) };
            for entry in listed.into_iter().flatten().filter_map(Result::ok) {
                let file = entry.file_name();
                let text = file.to_string_lossy();
                if matches(&name, &text) && (!text.starts_with('.') || name.starts_with('.')) {
                    next.push(folder.join(&file));
                }
            }
            if next.len() > Limit::Files.size() {
                return Err(Diagnostic::error(
                    Code::TooLarge,
                    format!("a pattern matches more than {} files", Limit::Files.get()),
                )
                .help(Limit::Files.hint()));
            }
        }
        found = next;
    }
    found.retain(|p| fs::metadata(p).is_ok_and(|m| m.is_file()));
    found.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(found)
}

/// Matches `*` (anything) and `?` (one character) in linear space and bounded time.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, text, want) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "a.yml", false),
            ("a?c*", "abcd", true),
            ("a?c*", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
        let long = "a".repeat(20_000);
        assert!(!matches(&format!("{}b", "a*".repeat(50)), &long));
    }

    #[test]
    fn variables_are_expanded_or_named() {
        assert_eq!(expand_variables("a/$b/c").ok().as_deref(), Some("a/$b/c"));
        let home = std::env::var("PATH").unwrap_or_default();
        assert_eq!(expand_variables("x${PATH}y").ok(), Some(format!("x{home}y")));
        for (text, code) in [
            ("${STOWPLAN_SURELY_NOT_SET}", Code::UnsetVariable),
            ("${", Code::BadPath),
            ("${a b}", Code::BadPath),
            ("${}", Code::BadPath),
        ] {
            assert_eq!(expand_variables(text).err().map(|d| d.code), Some(code), "{text}");
        }
    }
}
