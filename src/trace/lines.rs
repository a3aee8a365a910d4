//! Rows of delimited text, with exact positions, in bounded memory.
//!
//! The traces have one record per line. A line is found first and split second, so that a torn or odd line costs that line
//! and not what follows it, however the quotes stand; fields are slices of the buffer, nothing is copied.

use super::error::{RowError, SkipReason};
use compact_str::CompactString;
use std::io::{self, Read};

/// Longer lines are refused: no trace has them, and memory stays bounded.
pub const MAX_LINE_BYTES: usize = 4 << 20;
const BUFFER_BYTES: usize = 256 << 10;
const FIRST_BYTES: usize = 32 << 10;

/// Splits a byte stream into lines without their ends (LF or CRLF); a BOM at the start is dropped.
pub struct Lines {
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at_end: bool,
    line: u64,
    failure: Option<io::Error>,
}

/// Where the current line lies in the buffer.
#[derive(Clone, Copy, Debug)]
pub struct LineSpan {
    start: usize,
    end: usize,
    /// Line number from 1.
    pub line: u64,
    /// The line ended with a line feed; false only for a last line without one.
    pub terminated: bool,
}

impl LineSpan {
    /// A position for text that comes from no file.
    pub const fn nowhere() -> LineSpan {
        LineSpan { start: 0, end: 0, line: 0, terminated: true }
    }
}

/// Why no line could be had.
#[derive(Debug)]
pub enum LineError {
    /// The line is longer than [`MAX_LINE_BYTES`]; it was skipped.
    TooLong(u64),
    /// Reading failed, after this many whole lines.
    Io(u64, io::Error),
}

impl Lines {
    /// Lines of a stream.
    pub fn new(source: Box<dyn Read + Send>) -> Lines {
        Lines {
            source,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            at_end: false,
            line: 0,
            failure: None,
        }
    }

    /// What comes next, at least so many bytes of it (up to the buffer's size), without consuming it.
    pub fn peek(&mut self, bytes: usize) -> &[u8] {
        while !self.at_end && self.end < bytes.min(self.buffer.len()) {
            self.fill();
        }
        self.drop_bom();
        &self.buffer[self.start..self.end]
    }

    fn drop_bom(&mut self) {
        if self.line == 0 && self.start == 0 && self.buffer[..self.end].starts_with(b"\xef\xbb\xbf") {
            self.start = 3;
        }
    }

    fn fill(&mut self) {
        if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            } else {
                let doubled = self.buffer.len() * 2;
                self.buffer.resize(doubled, 0);
            }
        }
        // The first reads are small: to recognize a table its start is enough.
        let most = if self.line == 0 && self.end < FIRST_BYTES { FIRST_BYTES } else { self.buffer.len() };
        match self.source.read(&mut self.buffer[self.end..most]) {
            Ok(0) => self.at_end = true,
            Ok(n) => self.end += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                self.at_end = true;
                self.failure = Some(error);
            }
        }
    }

    /// Finds the next line.
    ///
    /// # Errors
    /// [`LineError`]; after `TooLong` the next call goes on behind that line.
    pub fn advance(&mut self) -> Result<Option<LineSpan>, LineError> {
        let mut searched = 0;
        let mut too_long = false;
        loop {
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[self.start + searched..self.end]) {
                let (start, end) = (self.start, self.start + searched + found);
                self.start = end + 1;
                return self.line_found(start, end, true, too_long).map(Some);
            }
            searched = self.end - self.start;
            if searched > MAX_LINE_BYTES {
                // Its bytes are dropped as they come, until its end is found.
                too_long = true;
                self.start = self.end;
                searched = 0;
            }
            if self.at_end {
                if let Some(error) = self.failure.take() {
                    self.start = self.end;
                    return Err(LineError::Io(self.line, error));
                }
                if searched == 0 && !too_long {
                    return Ok(None);
                }
                let (start, end) = (self.start, self.end);
                self.start = self.end;
                return self.line_found(start, end, false, too_long).map(Some);
            }
            self.fill();
        }
    }

    fn line_found(
        &mut self,
        mut start: usize,
        mut end: usize,
        terminated: bool,
        too_long: bool,
    ) -> Result<LineSpan, LineError> {
        self.line += 1;
        if too_long || end - start > MAX_LINE_BYTES {
            return Err(LineError::TooLong(self.line));
        }
        if self.line == 1 && self.buffer[start..end].starts_with(b"\xef\xbb\xbf") {
            start += 3;
        }
        if self.buffer[start..end].ends_with(b"\r") {
            end -= 1;
        }
        Ok(LineSpan { start, end, line: self.line, terminated })
    }

    /// The bytes of the line that [`Lines::advance`] found last.
    pub fn bytes(&self, span: LineSpan) -> &[u8] {
        &self.buffer[span.start..span.end]
    }
}

impl Lines {
    /// All bytes from here on, for formats that are one document.
    ///
    /// # Errors
    /// Reading fails, or there are more than `limit` bytes.
    pub fn into_rest(mut self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = self.peek(0).to_vec();
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        self.source.take(limit).read_to_end(&mut bytes)?;
        if bytes.len() as u64 >= limit {
            return Err(io::Error::other(format!("more than {limit} bytes")));
        }
        Ok(bytes)
    }
}

/// Where the fields of a line are; reused from line to line.
#[derive(Default)]
pub struct Fields {
    bounds: Vec<(u32, u32)>,
    /// The line with its quotes resolved, when it has any.
    unquoted: Option<Vec<u8>>,
}

impl Fields {
    /// Splits a line at commas. A field that begins with a quote may hold commas and doubled quotes.
    pub fn split<'a>(&'a mut self, line: &'a [u8], span: LineSpan) -> Row<'a> {
        self.bounds.clear();
        self.unquoted = None;
        if memchr::memchr(b'"', line).is_some() {
            self.split_quoted(line);
            let bytes = self.unquoted.as_deref().unwrap_or(line);
            return Row { bytes, bounds: &self.bounds, raw: line, span };
        }
        split_at_commas(line, &mut self.bounds);
        Row { bytes: line, bounds: &self.bounds, raw: line, span }
    }

    /// Fields that come from no line of text, such as the values of a Parquet row.
    pub fn joined<'a>(&'a mut self, values: &[String], span: LineSpan) -> Row<'a> {
        self.bounds.clear();
        let mut bytes = Vec::new();
        for value in values {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(value.as_bytes());
            self.bounds.push((start, bytes.len() as u32));
        }
        let bytes = self.unquoted.insert(bytes);
        Row { bytes, bounds: &self.bounds, raw: bytes, span }
    }

    /// The line as a single field.
    pub fn whole<'a>(&'a mut self, line: &'a [u8], span: LineSpan) -> Row<'a> {
        self.bounds.clear();
        self.bounds.push((0, line.len() as u32));
        Row { bytes: line, bounds: &self.bounds, raw: line, span }
    }

    fn split_quoted(&mut self, line: &[u8]) {
        let mut plain = Vec::with_capacity(line.len());
        let (mut start, mut at, mut quoted) = (0u32, 0usize, false);
        while at < line.len() {
            match line[at] {
                b'"' if quoted && line.get(at + 1) == Some(&b'"') => {
                    plain.push(b'"');
                    at += 1;
                }
                b'"' if quoted => quoted = false,
                b'"' if plain.len() as u32 == start => quoted = true,
                b',' if !quoted => {
                    self.bounds.push((start, plain.len() as u32));
                    start = plain.len() as u32;
                }
                byte => plain.push(byte),
            }
            at += 1;
        }
        self.bounds.push((start, plain.len() as u32));
        self.unquoted = Some(plain);
    }
}

/// Finds the fields of a line without quotes. Fields are short, so eight bytes are looked at at once: a byte of `word` is 0
/// exactly where the line has a comma, and the arithmetic sets the high bit of exactly those bytes.
fn split_at_commas(line: &[u8], bounds: &mut Vec<(u32, u32)>) {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    const COMMAS: u64 = 0x2c2c_2c2c_2c2c_2c2c;
    let mut start = 0u32;
    let mut chunks = line.chunks_exact(8);
    let mut base = 0u32;
    for chunk in &mut chunks {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(chunk);
        let word = u64::from_le_bytes(bytes) ^ COMMAS;
        let mut found = !(((word & LOW) + LOW) | word | LOW);
        while found != 0 {
            let comma = base + found.trailing_zeros() / 8;
            bounds.push((start, comma));
            start = comma + 1;
            found &= found - 1;
        }
        base += 8;
    }
    for (at, &byte) in chunks.remainder().iter().enumerate() {
        if byte == b',' {
            let comma = base + at as u32;
            bounds.push((start, comma));
            start = comma + 1;
        }
    }
    bounds.push((start, line.len() as u32));
}

/// One row.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    bytes: &'a [u8],
    bounds: &'a [(u32, u32)],
    raw: &'a [u8],
    /// Its line.
    pub span: LineSpan,
}

/// Numbers above these are refused as absurd; no cluster has them and sums stay far from overflow.
pub mod limits {
    /// A million cores.
    pub const CPU_MILLI: u64 = 1_000_000_000;
    /// One EiB.
    pub const BYTES: u64 = 1 << 60;
    /// A hundred years.
    pub const SECONDS: u64 = 100 * 365 * 86_400;
    /// Pods of one record, machines' GPUs, task indices.
    pub const COUNT: u64 = 1 << 32;
}

type FieldResult<T> = Result<T, Box<RowError>>;

impl<'a> Row<'a> {
    /// Number of fields.
    pub fn columns(&self) -> usize {
        self.bounds.len()
    }
    /// The line for a message: up to a little behind a byte column, at least 160 bytes of it.
    pub fn clipped(&self, column: u64) -> String {
        let end = (column as usize + 60).max(160).min(self.raw.len());
        String::from_utf8_lossy(&self.raw[..end]).into_owned()
    }
    /// A blank line.
    pub fn is_blank(&self) -> bool {
        self.raw.is_empty()
    }
    /// The bytes of a field; empty where there is none.
    #[inline]
    pub fn get(&self, field: usize) -> &'a [u8] {
        match self.bounds.get(field) {
            Some(&(start, end)) => &self.bytes[start as usize..end as usize],
            None => b"",
        }
    }
    /// Byte column from 1 at which a field starts in the file's line.
    pub fn column(&self, field: usize) -> u64 {
        if std::ptr::eq(self.bytes, self.raw) {
            return u64::from(self.bounds.get(field).map_or(0, |b| b.0)) + 1;
        }
        // With quotes: count separators again.
        let (mut seen, mut quoted) = (0, false);
        for (at, byte) in self.raw.iter().enumerate() {
            if seen == field {
                return at as u64 + 1;
            }
            match byte {
                b'"' => quoted = !quoted,
                b',' if !quoted => seen += 1,
                _ => {}
            }
        }
        self.raw.len() as u64 + 1
    }

    /// Refuses a row with another number of columns than `want`.
    ///
    /// # Errors
    /// [`SkipReason::WrongColumns`], or [`SkipReason::TornLine`] for a short last line without a line end.
    pub fn expect_columns(&self, want: usize) -> FieldResult<()> {
        let have = self.columns();
        if have == want {
            return Ok(());
        }
        let message = format!("expected {want} columns, found {have}");
        if have < want && !self.span.terminated {
            let message = format!("{message}: the last line is cut off");
            return Err(RowError::row(SkipReason::TornLine, message));
        }
        Err(RowError::row(SkipReason::WrongColumns, message))
    }

    /// Text of a field.
    ///
    /// # Errors
    /// [`SkipReason::NotUtf8`].
    pub fn text(&self, field: usize) -> FieldResult<&'a str> {
        std::str::from_utf8(self.get(field))
            .map_err(|_| RowError::field(field, SkipReason::NotUtf8, "expected UTF-8 text"))
    }
    /// Text of a field that must not be empty.
    ///
    /// # Errors
    /// [`SkipReason::MissingValue`], [`SkipReason::NotUtf8`].
    pub fn required(&self, field: usize) -> FieldResult<&'a str> {
        match self.text(field)? {
            "" => Err(RowError::field(field, SkipReason::MissingValue, "expected a value, found nothing")),
            text => Ok(text),
        }
    }
    /// Text or nothing.
    ///
    /// # Errors
    /// [`SkipReason::NotUtf8`].
    pub fn optional(&self, field: usize) -> FieldResult<Option<Box<str>>> {
        Ok(Some(self.text(field)?).filter(|t| !t.is_empty()).map(Box::from))
    }

    /// The same as a text that needs no allocation while it is short.
    ///
    /// # Errors
    /// [`SkipReason::NotUtf8`].
    #[inline]
    pub fn optional_text(&self, field: usize) -> FieldResult<Option<CompactString>> {
        Ok(Some(self.text(field)?).filter(|t| !t.is_empty()).map(CompactString::from))
    }

    /// Empty, `nan`, `NULL`, `None`, `N/A` or `-` alone: the ways in which exports write "nothing".
    #[inline]
    pub fn is_missing(&self, field: usize) -> bool {
        is_missing(self.get(field))
    }

    /// A decimal number of any sign.
    ///
    /// # Errors
    /// [`SkipReason::NotANumber`], also for infinities.
    #[inline]
    pub fn number(&self, field: usize) -> FieldResult<f64> {
        let bytes = self.get(field);
        parse_number(bytes).ok_or_else(|| self.not_a_number(field, "a number"))
    }

    /// A number times `scale`, rounded to the nearest integer, of 0 .. `limit`.
    ///
    /// # Errors
    /// [`SkipReason::NotANumber`], [`SkipReason::Negative`], [`SkipReason::Absurd`].
    #[inline]
    pub fn scaled(&self, field: usize, scale: u64, limit: u64) -> FieldResult<u64> {
        let bytes = self.get(field);
        // Many whole numbers are written as floats.
        if let Some(whole) = parse_digits(bytes.strip_suffix(b".0").unwrap_or(bytes)) {
            return match whole.checked_mul(scale) {
                Some(value) if value <= limit => Ok(value),
                _ => Err(self.absurd(field)),
            };
        }
        let number = self.number(field)?;
        if number < 0.0 {
            return Err(self.negative(field));
        }
        let value = number * scale as f64;
        if value > limit as f64 {
            return Err(self.absurd(field));
        }
        Ok(nearest(value))
    }

    /// A share of `whole` (1 or 100) times `scale`, rounded to the nearest integer.
    ///
    /// # Errors
    /// As [`Row::scaled`]; [`SkipReason::Absurd`] also for shares above ten times the whole.
    #[inline]
    pub fn share(&self, field: usize, scale: u64, whole: u64) -> FieldResult<u64> {
        let share = self.number(field)?;
        if share < 0.0 {
            return Err(self.negative(field));
        }
        if share > (whole * 10) as f64 {
            return Err(self.absurd(field));
        }
        let value = share * scale as f64;
        Ok(nearest(if whole == 1 { value } else { value / whole as f64 }))
    }
    /// A share, or nothing.
    ///
    /// # Errors
    /// As [`Row::share`].
    #[inline]
    pub fn optional_share(&self, field: usize, scale: u64, whole: u64) -> FieldResult<Option<u64>> {
        if self.is_missing(field) { Ok(None) } else { self.share(field, scale, whole).map(Some) }
    }
    /// A scaled number, 0 where there is nothing.
    ///
    /// # Errors
    /// As [`Row::scaled`].
    #[inline]
    pub fn scaled_or_zero(&self, field: usize, scale: u64, limit: u64) -> FieldResult<u64> {
        if self.is_missing(field) { Ok(0) } else { self.scaled(field, scale, limit) }
    }

    /// A whole number of 0 .. `limit`; `12846.0` is one too, `1.5` is not.
    ///
    /// # Errors
    /// As [`Row::scaled`].
    #[inline]
    pub fn integer(&self, field: usize, limit: u64) -> FieldResult<u64> {
        let bytes = self.get(field);
        if let Some(whole) = parse_digits(bytes) {
            return if whole <= limit { Ok(whole) } else { Err(self.absurd(field)) };
        }
        let number = parse_number(bytes).ok_or_else(|| self.not_a_number(field, "a whole number"))?;
        if number < 0.0 {
            return Err(self.negative(field));
        }
        if libm::floor(number) != number {
            return Err(self.not_a_number(field, "a whole number"));
        }
        if number > limit as f64 { Err(self.absurd(field)) } else { Ok(number as u64) }
    }

    /// The fault "not what was expected".
    #[cold]
    pub fn not_a_number(&self, field: usize, expected: &str) -> Box<RowError> {
        if self.get(field).is_empty() {
            return RowError::field(
                field,
                SkipReason::MissingValue,
                format!("expected {expected}, found nothing"),
            );
        }
        let message = format!("expected {expected}, found {}", self.shown(field));
        RowError::field(field, SkipReason::NotANumber, message)
    }
    /// The fault "below zero".
    #[cold]
    pub fn negative(&self, field: usize) -> Box<RowError> {
        let message = format!("expected 0 or more, found {}", self.shown(field));
        RowError::field(field, SkipReason::Negative, message)
    }
    /// The fault "beyond every cluster".
    #[cold]
    pub fn absurd(&self, field: usize) -> Box<RowError> {
        RowError::field(field, SkipReason::Absurd, format!("{} is beyond any cluster", self.shown(field)))
    }
    /// The fault "no such word".
    #[cold]
    pub fn unknown(&self, field: usize, expected: &str) -> Box<RowError> {
        let message = format!("expected {expected}, found {}", self.shown(field));
        RowError::field(field, SkipReason::UnknownValue, message)
    }

    fn shown(&self, field: usize) -> String {
        let bytes = self.get(field);
        let cut = &bytes[..bytes.len().min(40)];
        let dots = if cut.len() < bytes.len() { "…" } else { "" };
        format!("\"{}{dots}\"", String::from_utf8_lossy(cut).escape_debug())
    }
}

/// The nearest whole number, halves up, of a number of 0 or more.
#[inline]
pub fn nearest(value: f64) -> u64 {
    let whole = value as u64;
    whole + u64::from(value - whole as f64 >= 0.5)
}

/// See [`Row::is_missing`].
#[inline]
pub fn is_missing(bytes: &[u8]) -> bool {
    let Some(first) = bytes.first() else { return true };
    // Nearly all fields are numbers.
    if first.is_ascii_digit() {
        return false;
    }
    match bytes.len() {
        1 => bytes == b"-",
        3 | 4 => ["nan", "null", "none", "n/a"].iter().any(|w| bytes.eq_ignore_ascii_case(w.as_bytes())),
        _ => false,
    }
}

/// Only digits, at most 19 of them.
#[inline]
pub fn parse_digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 19 {
        return None;
    }
    let mut value = 0u64;
    for &byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// A finite decimal number, correctly rounded.
#[inline]
pub fn parse_number(bytes: &[u8]) -> Option<f64> {
    if let Some(quick) = parse_short_decimal(bytes) {
        return Some(quick);
    }
    if let Some(quick) = parse_short_exponent(bytes) {
        return Some(quick);
    }
    // Rust also reads "inf", "nan" and "+1"; only the last is a number here.
    let first = *bytes.first()?;
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return None;
    }
    let value: f64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// `ddd.ddd` with at most 15 digits: both parts are exact in an `f64`, so one division rounds correctly.
#[inline]
fn parse_short_decimal(bytes: &[u8]) -> Option<f64> {
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    let (mut mantissa, mut point) = (0u64, None);
    for (at, &byte) in bytes.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa * 10 + u64::from(digit);
        } else if byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    match point {
        None if bytes.len() <= 15 => Some(mantissa as f64),
        Some(at) if bytes.len() > 1 => Some(mantissa as f64 / POWERS[bytes.len() - 1 - at]),
        _ => None,
    }
}

/// `d.dddde-dd`: mantissa and power of ten are exact, so one division or multiplication rounds correctly.
fn parse_short_exponent(bytes: &[u8]) -> Option<f64> {
    let split = bytes.iter().position(|b| matches!(b, b'e' | b'E'))?;
    let (mantissa, exponent) = (&bytes[..split], &bytes[split + 1..]);
    let (negative, digits) = match exponent {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let exponent = parse_digits(digits).filter(|&e| e <= 15)? as i32;
    let point = mantissa.iter().position(|&b| b == b'.');
    let decimals = point.map_or(0, |at| mantissa.len() - 1 - at) as i32;
    let mut whole = 0u64;
    if mantissa.len() > 16 || mantissa.len() <= usize::from(point.is_some()) {
        return None;
    }
    for (at, &byte) in mantissa.iter().enumerate() {
        match byte {
            b'0'..=b'9' => whole = whole * 10 + u64::from(byte - b'0'),
            b'.' if Some(at) == point => {}
            _ => return None,
        }
    }
    if whole >= 1 << 53 {
        return None;
    }
    let power = if negative { -exponent } else { exponent } - decimals;
    match power {
        0..=15 => Some(whole as f64 * POWERS[power as usize]),
        -22..=-1 => Some(whole as f64 / POWERS[power.unsigned_abs() as usize]),
        _ => None,
    }
}

/// Powers of ten that an `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
