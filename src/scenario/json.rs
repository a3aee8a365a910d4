//! JSON texts into spanned trees.
//!
//! JSON is nearly YAML, but not quite: tabs, surrogate pairs and long lines make YAML readers fail. Snapshots of whole clusters
//! come as JSON of a gigabyte, so the reader can hand out the elements of a list one by one.

use rustc_hash::FxHashMap;

use super::tree::{Entry, Kind, Limits, Scalar, Value, duplicate_key, span, too_deep};
use crate::diagnostic::{Code, Diagnostic, SourceId, Sources, Span};

/// Reads every JSON value of a text; they may follow each other with nothing but white space between.
///
/// # Errors
/// The first syntax error, duplicate key or exceeded limit.
pub fn parse_stream(sources: &Sources, source: SourceId, limits: &Limits) -> Result<Vec<Value>, Diagnostic> {
    let mut reader = Reader::new(sources, source, limits);
    let mut values = Vec::new();
    while !reader.at_end() {
        values.push(reader.value(0)?);
    }
    Ok(values)
}

/// A cursor over a JSON text.
pub struct Reader<'a> {
    sources: &'a Sources,
    source: SourceId,
    text: &'a str,
    at: usize,
    limits: &'a Limits,
    /// Values of this key are read over and not kept.
    dropped: Option<&'static str>,
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of `source`.
    pub fn new(sources: &'a Sources, source: SourceId, limits: &'a Limits) -> Reader<'a> {
        let text = sources.get(source).map_or("", |s| &*s.text);
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Reader { sources, source, text, at, limits, dropped: None }
    }

    /// Reads over the values of a key, wherever it is: they become null. They are checked all the same.
    #[must_use]
    pub fn dropping(self, key: &'static str) -> Reader<'a> {
        Reader { dropped: Some(key), ..self }
    }

    /// Skips white space; true if nothing follows.
    pub fn at_end(&mut self) -> bool {
        self.skip_space();
        self.at >= self.text.len()
    }

    /// Reads an object, handing each element of its list `items` to `element` instead of keeping it. The returned value is the
    /// object with an empty list there.
    ///
    /// # Errors
    /// As [`parse_stream`].
    pub fn object_with_items(&mut self, element: &mut dyn FnMut(Value)) -> Result<Value, Diagnostic> {
        self.skip_space();
        if self.peek() != Some(b'{') {
            return self.value(0);
        }
        let start = self.at;
        self.at += 1;
        let mut map = MapBuilder::default();
        self.members(&mut map, &mut |reader, key| {
            if key != "items" || reader.peek() != Some(b'[') {
                return reader.value(1);
            }
            let start = reader.at;
            reader.at += 1;
            reader.elements(&mut |reader| {
                let value = reader.value(2)?;
                element(value);
                Ok(())
            })?;
            Ok(Value { span: span(reader.source, start, reader.at), kind: Kind::Seq(Vec::new()) })
        })?;
        Ok(Value { span: span(self.source, start, self.at), kind: Kind::Map(map.entries) })
    }

    /// Reads one value; `depth` = containers around it.
    ///
    /// # Errors
    /// As [`parse_stream`].
    pub fn value(&mut self, depth: usize) -> Result<Value, Diagnostic> {
        self.skip_space();
        let start = self.at;
        if depth >= self.limits.depth {
            return Err(too_deep(span(self.source, start, start + 1), self.limits));
        }
        let kind = match self.peek() {
            Some(b'{') => {
                self.at += 1;
                let mut map = MapBuilder::default();
                self.members(&mut map, &mut |reader, key| {
                    if reader.dropped == Some(key) { reader.skip(depth + 1) } else { reader.value(depth + 1) }
                })?;
                Kind::Map(map.entries)
            }
            Some(b'[') => {
                self.at += 1;
                let mut items = Vec::new();
                self.elements(&mut |reader| {
                    items.push(reader.value(depth + 1)?);
                    Ok(())
                })?;
                Kind::Seq(items)
            }
            Some(b'"') => Kind::Scalar(Scalar { text: self.string()?.into(), quoted: true }),
            Some(_) => Kind::Scalar(Scalar { text: self.word()?.into(), quoted: false }),
            None => return Err(self.error("expected a value, found the end of the text")),
        };
        Ok(Value { span: span(self.source, start, self.at), kind })
    }

    /// Reads over a value: null in its place.
    fn skip(&mut self, depth: usize) -> Result<Value, Diagnostic> {
        self.skip_space();
        let start = self.at;
        if depth >= self.limits.depth {
            return Err(too_deep(span(self.source, start, start + 1), self.limits));
        }
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                self.skip_space();
                if !self.eat(b'}') {
                    self.skip_members(depth)?;
                }
            }
            Some(b'[') => {
                self.at += 1;
                self.elements(&mut |reader| reader.skip(depth + 1).map(drop))?;
            }
            Some(b'"') => self.skip_string()?,
            Some(_) => drop(self.word()?),
            None => return Err(self.error("expected a value, found the end of the text")),
        }
        Ok(Value::null(span(self.source, start, self.at)))
    }

    fn skip_members(&mut self, depth: usize) -> Result<(), Diagnostic> {
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a quoted key"));
            }
            self.skip_string()?;
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.error("expected `:` behind the key"));
            }
            self.skip(depth + 1)?;
            self.skip_space();
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.error("expected `,` or `}`"));
            }
        }
    }

    /// A string without escapes is passed by; any other is read as usual.
    fn skip_string(&mut self) -> Result<(), Diagnostic> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        match rest.iter().position(|b| *b == b'"' || *b == b'\\' || *b < 0x20) {
            Some(stop) if rest[stop] == b'"' => {
                self.at += stop + 2;
                Ok(())
            }
            _ => self.string().map(drop),
        }
    }

    /// The members of an object behind its `{`, with the `}`.
    fn members(
        &mut self,
        map: &mut MapBuilder,
        read: &mut dyn FnMut(&mut Reader<'a>, &str) -> Result<Value, Diagnostic>,
    ) -> Result<(), Diagnostic> {
        self.skip_space();
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            self.skip_space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a quoted key"));
            }
            let key: Box<str> = self.string()?.into();
            let key_span = span(self.source, start, self.at);
            if let Some(first) = map.first(&key) {
                let line = |s: Span| self.sources.get(s.source).map_or(0, |t| t.line_column(s.start).0);
                return Err(duplicate_key(&key, key_span, first, line));
            }
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.error("expected `:` behind the key"));
            }
            self.skip_space();
            let value = read(self, &key)?;
            map.push(Entry { key, key_span, value });
            self.skip_space();
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.error("expected `,` or `}`"));
            }
        }
    }

    /// The elements of a list behind its `[`, with the `]`.
    fn elements(
        &mut self,
        read: &mut dyn FnMut(&mut Reader<'a>) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        self.skip_space();
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            read(self)?;
            self.skip_space();
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.error("expected `,` or `]`"));
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }
    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
    fn error(&self, message: &str) -> Diagnostic {
        let end = self.text[self.at..].chars().next().map_or(self.at, |c| self.at + c.len_utf8());
        Diagnostic::error(Code::Syntax, format!("not valid JSON: {message}")).at(span(
            self.source,
            self.at,
            end,
        ))
    }

    /// A number or one of the three words.
    fn word(&mut self) -> Result<&'a str, Diagnostic> {
        let rest = &self.text[self.at..];
        let stop = |b: u8| {
            matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"')
        };
        let word = &rest[..rest.bytes().position(stop).unwrap_or(rest.len())];
        if !matches!(word, "null" | "true" | "false") && !is_json_number(word) {
            return Err(self.error("expected a value"));
        }
        self.at += word.len();
        Ok(word)
    }

    /// A string literal, unescaped.
    fn string(&mut self) -> Result<String, Diagnostic> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(stop) = rest.bytes().position(|b| b == b'"' || b == b'\\' || b < 0x20) else {
                self.at = self.text.len();
                return Err(self.error("a string is not closed"));
            };
            out.push_str(&rest[..stop]);
            self.at += stop;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => self.escape(&mut out)?,
                _ => return Err(self.error("a control character in a string; write it as \\u00XX")),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), Diagnostic> {
        let kind = self.text.as_bytes().get(self.at + 1).copied();
        let plain = match kind {
            Some(b @ (b'"' | b'\\' | b'/')) => b as char,
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.hex(self.at + 2)?;
                let (code, length) = if (0xd800..0xdc00).contains(&first) {
                    if !self.text[self.at + 6..].starts_with("\\u") {
                        return Err(self.error("half a surrogate pair"));
                    }
                    let second = self.hex(self.at + 8)?;
                    let low = second.wrapping_sub(0xdc00);
                    (0x10000 + ((first - 0xd800) << 10) + (low & 0x3ff), if low < 0x400 { 12 } else { 0 })
                } else {
                    (first, 6)
                };
                let Some(c) = char::from_u32(code).filter(|_| length > 0) else {
                    return Err(self.error("half a surrogate pair"));
                };
                out.push(c);
                self.at += length;
                return Ok(());
            }
            _ => return Err(self.error("unknown escape in a string")),
        };
        out.push(plain);
        self.at += 2;
        Ok(())
    }

    fn hex(&self, at: usize) -> Result<u32, Diagnostic> {
        self.text
            .get(at..at + 4)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.error("expected four hexadecimal digits behind \\u"))
    }
}

fn is_json_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let whole = digits.bytes().take_while(u8::is_ascii_digit).count();
    let mut rest = &digits[whole..];
    if whole == 0 || (whole > 1 && digits.starts_with('0')) {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    match rest.strip_prefix(['e', 'E']) {
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && exponent.bytes().all(|b| b.is_ascii_digit())
        }
        None => rest.is_empty(),
    }
}

/// Collects members; looks keys up by scanning while there are few.
#[derive(Default)]
struct MapBuilder {
    entries: Vec<Entry>,
    index: FxHashMap<Box<str>, usize>,
}

impl MapBuilder {
    const SCANNED: usize = 16;

    fn first(&self, key: &str) -> Option<Span> {
        if self.entries.len() <= Self::SCANNED {
            return self.entries.iter().find(|e| &*e.key == key).map(|e| e.key_span);
        }
        self.index.get(key).and_then(|i| self.entries.get(*i)).map(|e| e.key_span)
    }
    fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
        let count = self.entries.len();
        if count == Self::SCANNED + 1 {
            self.index = self.entries.iter().enumerate().map(|(i, e)| (e.key.clone(), i)).collect();
        } else if count > Self::SCANNED {
            self.index.insert(self.entries[count - 1].key.clone(), count - 1);
        }
    }
}

#[cfg(test)]
mod tests;
