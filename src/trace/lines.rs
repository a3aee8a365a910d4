//! Lines of text, with exact positions, in bounded memory.
//!
//! The traces have one record per line. A line is found first and split second ([`super::row`]), so that a torn or odd line costs
//! that line and not what follows it, however the quotes stand.

use crate::limits::Limit;
use std::io::{self, Read};

/// Longer lines are refused: no trace has them, and memory stays bounded.
fn max_line_bytes() -> usize {
    Limit::TraceLineBytes.size()
}
/// A line of which so many times the limit has gone by without an end is none: the rest is not looked at.
const ENDLESS: usize = 64;
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
    /// A quote was read.
    quotes: bool,
    failure: Option<io::Error>,
}

/// Whole lines of a stream.
pub struct Block {
    bytes: Vec<u8>,
    lines_before: u64,
    quotes: bool,
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
    /// The line is longer than [`Limit::TraceLineBytes`]; it was skipped.
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
            quotes: false,
            failure: None,
        }
    }

    /// The whole lines of a block that [`Lines::take_block`] gave.
    pub fn of_block(block: Block) -> Lines {
        let end = block.bytes.len();
        Lines {
            source: Box::new(io::empty()),
            buffer: block.bytes,
            start: 0,
            end,
            at_end: true,
            line: block.lines_before,
            quotes: block.quotes,
            failure: None,
        }
    }

    /// Gives the buffer back, to be filled again.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Gives away all whole lines of a full buffer, for somebody else to read, and takes another buffer for it. `None`: what comes
    /// next is the end, a fault or a line that is longer than the buffer, and has to be read here.
    pub fn take_block(&mut self, mut spare: Vec<u8>) -> Option<Block> {
        // What is skipped of an endless line depends on where the buffer ends.
        if max_line_bytes().saturating_mul(ENDLESS) < self.buffer.len() {
            return None;
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while !self.at_end && self.end < self.buffer.len() {
            self.fill();
        }
        if self.at_end || self.line == 0 {
            return None;
        }
        let whole = memchr::memrchr(b'\n', &self.buffer)? + 1;
        let lines_before = self.line;
        self.line += memchr::memchr_iter(b'\n', &self.buffer[..whole]).count() as u64;
        self.end -= whole;
        spare.resize(self.buffer.len(), 0);
        spare[..self.end].copy_from_slice(&self.buffer[whole..]);
        let mut bytes = std::mem::replace(&mut self.buffer, spare);
        bytes.truncate(whole);
        Some(Block { bytes, lines_before, quotes: self.quotes })
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
            Ok(n) => {
                // Most files have none, and need not be searched line by line.
                let read = &self.buffer[self.end..self.end + n];
                self.quotes = self.quotes || memchr::memchr(b'"', read).is_some();
                self.end += n;
            }
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
        let mut dropped = 0usize;
        loop {
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[self.start + searched..self.end]) {
                let (start, end) = (self.start, self.start + searched + found);
                self.start = end + 1;
                return self.line_found(start, end, true, too_long).map(Some);
            }
            searched = self.end - self.start;
            if searched > max_line_bytes() {
                // Its bytes are dropped as they come, until its end is found.
                too_long = true;
                dropped += searched;
                if dropped > max_line_bytes().saturating_mul(ENDLESS) {
                    self.at_end = true;
                    self.start = self.end;
                    self.line += 1;
                    return Err(LineError::TooLong(self.line));
                }
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
        if too_long || end - start > max_line_bytes() {
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

    /// There may be a quote in what was read so far, or there is none.
    #[inline]
    pub fn has_quotes(&self) -> bool {
        self.quotes
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

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
