//! The fields of a line of delimited text: slices of the buffer, nothing is copied.

use super::error::{RowError, SkipReason};
use super::lines::LineSpan;
use super::number::{is_missing, nearest, parse_digits, parse_number};
use compact_str::CompactString;

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
        if split_at_commas(line, &mut self.bounds) {
            self.bounds.clear();
            self.split_quoted(line);
            let bytes = self.unquoted.as_deref().unwrap_or(line);
            return Row { bytes, bounds: &self.bounds, raw: line, span };
        }
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

/// Finds the fields of a line without quotes; true: it has a quote, and they are none. Fields are short, so eight bytes are looked
/// at at once: a byte of `word` is 0 exactly where the line has a comma, and the arithmetic sets the high bit of exactly those
/// bytes. For quotes it is enough to know whether there is one.
fn split_at_commas(line: &[u8], bounds: &mut Vec<(u32, u32)>) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOW: u64 = 0x7f * ONES;
    const COMMAS: u64 = b',' as u64 * ONES;
    const QUOTES: u64 = b'"' as u64 * ONES;
    let mut start = 0u32;
    let mut base = 0u32;
    let mut quotes = 0;
    let (chunks, remainder) = line.as_chunks::<8>();
    for chunk in chunks {
        let bytes = u64::from_le_bytes(*chunk);
        let word = bytes ^ COMMAS;
        let quote = bytes ^ QUOTES;
        quotes |= quote.wrapping_sub(ONES) & !quote;
        let mut found = !(((word & LOW) + LOW) | word | LOW);
        while found != 0 {
            let comma = base + found.trailing_zeros() / 8;
            bounds.push((start, comma));
            start = comma + 1;
            found &= found - 1;
        }
        base += 8;
    }
    for (at, &byte) in remainder.iter().enumerate() {
        if byte == b',' {
            let comma = base + at as u32;
            bounds.push((start, comma));
            start = comma + 1;
        }
    }
    bounds.push((start, line.len() as u32));
    quotes & !LOW != 0 || remainder.contains(&b'"')
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

    /// The bytes of a field of 1 to 15 bytes with their number, as one word that tells such fields apart.
    #[inline]
    fn packed(&self, field: usize) -> Option<u128> {
        let &(start, end) = self.bounds.get(field)?;
        let length = (end - start) as usize;
        // The sixteen bytes that end with the field; the ones before it are shifted out.
        let before = self.bytes.get(..end as usize)?.last_chunk::<16>()?;
        if length == 0 || length > 15 {
            return None;
        }
        let word = u128::from_le_bytes(*before) >> (8 * (16 - length));
        Some(word | (length as u128) << 120)
    }

    /// Adds 1 to the count of each column in which there is nothing.
    pub fn count_missing(&self, missing: &mut [u64]) {
        for (count, &(start, end)) in missing.iter_mut().zip(self.bounds) {
            if start == end {
                *count += 1;
            } else if !self.bytes[start as usize].is_ascii_digit() {
                *count += u64::from(is_missing(&self.bytes[start as usize..end as usize]));
            }
        }
        for count in missing.iter_mut().skip(self.bounds.len()) {
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
