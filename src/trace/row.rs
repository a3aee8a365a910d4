//! The fields of a line of delimited text: slices of the buffer, nothing is copied.

use super::error::{RowError, SkipReason};
use super::lines::LineSpan;
use super::number::{is_missing, nearest, parse_digits, parse_number};
use compact_str::CompactString;

/// Where the fields of a line are; reused from line to line.
#[derive(Default)]
pub struct Fields {
    /// Where each field starts, and where one behind the last would: a byte lies between a field and the next. What is behind
    /// that is left from longer lines.
    starts: Vec<u32>,
    /// The line with its quotes resolved, when it has any.
    unquoted: Option<Vec<u8>>,
}

impl Fields {
    /// Splits a line at commas. A field that begins with a quote may hold commas and doubled quotes.
    pub fn split<'a>(&'a mut self, line: &'a [u8], span: LineSpan) -> Row<'a> {
        if memchr::memchr(b'"', line).is_some() {
            return self.split_quoted(line, span);
        }
        self.split_plain(line, span)
    }

    /// Splits a line in which there is no quote.
    #[inline]
    pub fn split_plain<'a>(&'a mut self, line: &'a [u8], span: LineSpan) -> Row<'a> {
        let used = split_at_commas(line, &mut self.starts);
        Row { bytes: line, starts: &self.starts[..used], raw: line, span }
    }

    /// Fields that come from no line of text, such as the values of a Parquet row.
    pub fn joined<'a>(&'a mut self, values: &[String], span: LineSpan) -> Row<'a> {
        self.starts.clear();
        self.starts.push(0);
        let mut bytes = Vec::new();
        for value in values {
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(b',');
            self.starts.push(bytes.len() as u32);
        }
        let bytes = self.unquoted.insert(bytes);
        Row { bytes, starts: &self.starts, raw: bytes, span }
    }

    /// The line as a single field.
    pub fn whole<'a>(&'a mut self, line: &'a [u8], span: LineSpan) -> Row<'a> {
        self.starts.clear();
        self.starts.extend([0, line.len() as u32 + 1]);
        Row { bytes: line, starts: &self.starts, raw: line, span }
    }

    fn split_quoted<'a>(&'a mut self, line: &'a [u8], span: LineSpan) -> Row<'a> {
        self.starts.clear();
        self.starts.push(0);
        let mut plain = Vec::with_capacity(line.len() + 1);
        let (mut start, mut at, mut quoted) = (0usize, 0usize, false);
        while at < line.len() {
            match line[at] {
                b'"' if quoted && line.get(at + 1) == Some(&b'"') => {
                    plain.push(b'"');
                    at += 1;
                }
                b'"' if quoted => quoted = false,
                b'"' if plain.len() == start => quoted = true,
                byte => {
                    plain.push(byte);
                    if byte == b',' && !quoted {
                        start = plain.len();
                        self.starts.push(start as u32);
                    }
                }
            }
            at += 1;
        }
        self.starts.push(plain.len() as u32 + 1);
        let bytes = self.unquoted.insert(plain);
        Row { bytes, starts: &self.starts, raw: line, span }
    }
}

/// Finds where the fields of a line without quotes start, and how many entries of `starts` that takes. Fields are short, so eight
/// bytes are looked at at once.
fn split_at_commas(line: &[u8], starts: &mut Vec<u32>) -> usize {
    if starts.len() < line.len() + 2 {
        starts.resize(line.len() + 2, 0);
    }
    let starts = starts.as_mut_slice();
    starts[0] = 0;
    let (mut used, mut behind) = (1, 1u32);
    let (chunks, remainder) = line.as_chunks::<8>();
    for chunk in chunks {
        let mut found = commas(u64::from_le_bytes(*chunk));
        while found != 0 {
            starts[used] = behind + found.trailing_zeros() / 8;
            used += 1;
            found &= found - 1;
        }
        behind += 8;
    }
    for (at, &byte) in remainder.iter().enumerate() {
        if byte == b',' {
            starts[used] = behind + at as u32;
            used += 1;
        }
    }
    starts[used] = line.len() as u32 + 1;
    used + 1
}

/// The high bits of those bytes that are commas. A byte of `word` is 0 exactly there, and the arithmetic carries no further than
/// a byte.
#[inline(always)]
fn commas(bytes: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOW: u64 = 0x7f * ONES;
    let word = bytes ^ (b',' as u64 * ONES);
    !(((word & LOW) + LOW) | word | LOW)
}

/// Shares that were read before, by their text and scale.
pub struct ShareMemo([((u128, u64), Option<u64>); 1 << ShareMemo::BITS]);

impl ShareMemo {
    const BITS: u32 = 7;
}

impl Default for ShareMemo {
    fn default() -> ShareMemo {
        // No field packs to 0: it has at least one byte.
        ShareMemo([((0, 0), None); 1 << ShareMemo::BITS])
    }
}

/// One row.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    bytes: &'a [u8],
    /// See [`Fields`]; never empty.
    starts: &'a [u32],
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
        self.starts.len() - 1
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
    #[inline(always)]
    pub fn get(&self, field: usize) -> &'a [u8] {
        let (start, end) = self.bounds(field);
        self.bytes.get(start..end).unwrap_or_default()
    }
    /// From where to where a field goes; nowhere if there is none.
    #[inline(always)]
    fn bounds(&self, field: usize) -> (usize, usize) {
        match self.starts.get(field..) {
            Some(&[start, next, ..]) => (start as usize, next as usize - 1),
            _ => (0, 0),
        }
    }
    /// Byte column from 1 at which a field starts in the file's line.
    pub fn column(&self, field: usize) -> u64 {
        if std::ptr::eq(self.bytes, self.raw) {
            return self.bounds(field).0 as u64 + 1;
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

    /// The bytes of a field of 1 to 15 bytes with their number, as one word that tells such fields apart.
    #[inline]
    fn packed(&self, field: usize) -> Option<u128> {
        let (start, end) = self.bounds(field);
        let length = end - start;
        // The sixteen bytes that end with the field; the ones before it are shifted out.
        let before = self.bytes.get(..end)?.last_chunk::<16>()?;
        if length == 0 || length > 15 {
            return None;
        }
        let word = u128::from_le_bytes(*before) >> (8 * (16 - length));
        Some(word | (length as u128) << 120)
    }

    /// Adds 1 to the count of each column in which there is nothing.
    pub fn count_missing(&self, missing: &mut [u64]) {
        let starts = &self.starts[..self.columns()];
        for (field, (count, &start)) in missing.iter_mut().zip(starts).enumerate() {
            // Behind an empty field stands a comma, or nothing; nearly all others are numbers.
            match self.bytes.get(start as usize) {
                Some(first) if first.is_ascii_digit() => {}
                None | Some(b',' | b'-' | b'n' | b'N') => *count += u64::from(is_missing(self.get(field))),
                Some(_) => {}
            }
        }
        for count in missing.iter_mut().skip(starts.len()) {
            *count += 1;
        }
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
        let whole = if let [whole @ .., b'.', b'0'] = bytes { whole } else { bytes };
        if let Some(whole) = parse_digits(whole) {
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
    /// As [`Row::optional_share`] of 1, for columns whose few values come again and again: what was read is remembered.
    ///
    /// # Errors
    /// As [`Row::share`].
    #[inline]
    pub fn optional_share_again(
        &self,
        field: usize,
        scale: u64,
        memo: &mut ShareMemo,
    ) -> FieldResult<Option<u64>> {
        let Some(packed) = self.packed(field) else { return self.optional_share(field, scale, 1) };
        let key = (packed, scale);
        // The high bits of a product depend on all lower ones.
        let mixed = (packed as u64 ^ (packed >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = &mut memo.0[(mixed >> (64 - ShareMemo::BITS)) as usize];
        if slot.0 != key {
            *slot = (key, self.optional_share(field, scale, 1)?);
        }
        Ok(slot.1)
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

#[cfg(test)]
#[path = "row_tests.rs"]
mod tests;
