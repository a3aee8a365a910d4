//! Flat structs as CSV lines, by the rules of the `csv` crate, which reads them back: a cell is quoted if it holds a comma, a quote or a
//! line break.
//!
//! A run may leave a million rows behind, and the crate's own writer looks at every byte of every cell twice.

use serde::Serialize;
use serde::ser::{self, Impossible, SerializeStruct, Serializer};
use std::fmt;
use std::io::{self, Write};

/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 16;

/// Writes `rows` as CSV with a header line (also when there are none).
///
/// # Errors
/// Those of the writer, and rows that are no flat structs.
pub fn write_csv<T: Serialize + Default, W: Write>(rows: &[T], mut writer: W) -> io::Result<W> {
    let mut lines = Lines { bytes: Vec::with_capacity(BUFFER + 1024), header: true };
    match rows.first() {
        Some(first) => first.serialize(&mut lines),
        None => T::default().serialize(&mut lines),
    }
    .map_err(io::Error::other)?;
    lines.header = false;
    for row in rows {
        row.serialize(&mut lines).map_err(io::Error::other)?;
        if lines.bytes.len() >= BUFFER {
            writer.write_all(&lines.bytes)?;
            lines.bytes.clear();
        }
    }
    writer.write_all(&lines.bytes)?;
    Ok(writer)
}

/// What cannot be a row or a cell.
#[derive(Debug)]
struct NotFlat(String);

impl fmt::Display for NotFlat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for NotFlat {}
impl ser::Error for NotFlat {
    fn custom<T: fmt::Display>(message: T) -> Self {
        NotFlat(message.to_string())
    }
}

fn not_flat<T>() -> Result<T, NotFlat> {
    Err(NotFlat("a table has flat rows".to_owned()))
}

/// Lines to be written.
struct Lines {
    bytes: Vec<u8>,
    /// Names of the fields instead of their values.
    header: bool,
}

/// The fields of one line.
struct Fields<'a> {
    lines: &'a mut Lines,
    first: bool,
}

/// One cell.
struct Cell<'a>(&'a mut Vec<u8>);

impl SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = NotFlat;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), NotFlat> {
        if !std::mem::take(&mut self.first) {
            self.lines.bytes.push(b',');
        }
        let cell = Cell(&mut self.lines.bytes);
        if self.lines.header { cell.serialize_str(key) } else { value.serialize(cell) }
    }
    fn end(self) -> Result<(), NotFlat> {
        self.lines.bytes.push(b'\n');
        Ok(())
    }
}

/// Everything that is refused, in one place.
macro_rules! refuse {
    ($($name:ident($($arg:ident: $type:ty),*) -> $ok:ty;)*) => {
        $(fn $name(self, $($arg: $type),*) -> Result<$ok, NotFlat> {
            $(let _ = $arg;)*
            not_flat()
        })*
    };
}

impl<'a> Serializer for &'a mut Lines {
    type Ok = ();
    type Error = NotFlat;
    type SerializeSeq = Impossible<(), NotFlat>;
    type SerializeTuple = Impossible<(), NotFlat>;
    type SerializeTupleStruct = Impossible<(), NotFlat>;
    type SerializeTupleVariant = Impossible<(), NotFlat>;
    type SerializeMap = Impossible<(), NotFlat>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Impossible<(), NotFlat>;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, NotFlat> {
        Ok(Fields { lines: self, first: true })
    }
    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), NotFlat> {
        not_flat()
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NotFlat> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), NotFlat> {
        not_flat()
    }
    refuse! {
        serialize_bool(v: bool) -> ();
        serialize_i8(v: i8) -> ();
        serialize_i16(v: i16) -> ();
        serialize_i32(v: i32) -> ();
        serialize_i64(v: i64) -> ();
        serialize_u8(v: u8) -> ();
        serialize_u16(v: u16) -> ();
        serialize_u32(v: u32) -> ();
        serialize_u64(v: u64) -> ();
        serialize_f32(v: f32) -> ();
        serialize_f64(v: f64) -> ();
        serialize_char(v: char) -> ();
        serialize_str(v: &str) -> ();
        serialize_bytes(v: &[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_seq(len: Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(len: usize) -> Self::SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> Self::SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> Self::SerializeMap;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> Self::SerializeStructVariant;
    }
}

impl Cell<'_> {
    fn integer(self, value: impl itoa::Integer) -> Result<(), NotFlat> {
        self.0.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        Ok(())
    }
}

impl Serializer for Cell<'_> {
    type Ok = ();
    type Error = NotFlat;
    type SerializeSeq = Impossible<(), NotFlat>;
    type SerializeTuple = Impossible<(), NotFlat>;
    type SerializeTupleStruct = Impossible<(), NotFlat>;
    type SerializeTupleVariant = Impossible<(), NotFlat>;
    type SerializeMap = Impossible<(), NotFlat>;
    type SerializeStruct = Impossible<(), NotFlat>;
    type SerializeStructVariant = Impossible<(), NotFlat>;

    fn serialize_str(self, text: &str) -> Result<(), NotFlat> {
        let bytes = text.as_bytes();
        if !bytes.iter().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r')) {
            self.0.extend_from_slice(bytes);
            return Ok(());
        }
        self.0.push(b'"');
        for &byte in bytes {
            if byte == b'"' {
                self.0.push(b'"');
            }
            self.0.push(byte);
        }
        self.0.push(b'"');
        Ok(())
    }
    fn serialize_bool(self, value: bool) -> Result<(), NotFlat> {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }
    fn serialize_f64(self, value: f64) -> Result<(), NotFlat> {
        self.0.extend_from_slice(ryu::Buffer::new().format(value).as_bytes());
        Ok(())
    }
    fn serialize_i8(self, value: i8) -> Result<(), NotFlat> {
        self.integer(value)
    }
    fn serialize_i16(self, value: i16) -> Result<(), NotFlat> {
        self.integer(value)
    }
    fn serialize_i32(self, value: i32) -> Result<(), NotFlat> {
        self.integer(value)
    }
    fn serialize_i64(self, value: i64) -> Result<(), NotFlat> {
        self.integer(value)
    }
    fn serialize_i128(self, value: i128) -> Result<(), NotFlat> {
        self.integer(value)
    }
    fn serialize_u8(self, value: u8) -> Result<(), NotFlat> {
        self.integer(value)
    }
    fn serialize_u16(self, value: u16) -> Result<(), NotFlat> {
        self.integer(value)
    }
    fn serialize_u32(self, value: u32) -> Result<(), NotFlat> {
        self.integer(value)
    }
    fn serialize_u64(self, value: u64) -> Result<(), NotFlat> {
        self.integer(value)
    }
    fn serialize_u128(self, value: u128) -> Result<(), NotFlat> {
        match u64::try_from(value) {
            Ok(narrow) => self.integer(narrow),
            Err(_) => self.integer(value),
        }
    }
    fn serialize_none(self) -> Result<(), NotFlat> {
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotFlat> {
        value.serialize(self)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), NotFlat> {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NotFlat> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), NotFlat> {
        not_flat()
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, NotFlat> {
        not_flat()
    }
    refuse! {
        serialize_f32(v: f32) -> ();
        serialize_char(v: char) -> ();
        serialize_bytes(v: &[u8]) -> ();
        serialize_unit() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_seq(len: Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(len: usize) -> Self::SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> Self::SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> Self::SerializeMap;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> Self::SerializeStructVariant;
    }
}

#[cfg(test)]
mod tests {
    use super::write_csv;
    use serde::Serialize;

    #[derive(Clone, Debug, Default, Serialize)]
    struct Row {
        text: String,
        whole: u128,
        signed: i64,
        share: f64,
        maybe: Option<f64>,
        yes: bool,
        kind: Kind,
    }

    #[derive(Clone, Copy, Debug, Default, Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        #[default]
        FirstOne,
        Other,
    }

    #[derive(Clone, Debug, Default, Serialize)]
    struct Deep {
        rows: Vec<u32>,
    }

    #[test]
    fn lines_are_those_of_the_csv_crate() {
        let texts = ["", "plain", "a,b", "say \"no\"", "two\nlines", "\r", " ", "'=1", "ä#;\t"];
        let numbers = [0.0, 0.1, 1.0, 1e15, 1e16, 1e21, 1.5e-7, 5e-324, -2.5, 12_345.678_9, f64::MAX];
        let mut rows = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            for (j, number) in numbers.iter().enumerate() {
                rows.push(Row {
                    text: (*text).to_owned(),
                    whole: u128::MAX >> (i * 14),
                    signed: i64::MIN >> (j * 5),
                    share: *number,
                    maybe: (i % 2 == 0).then_some(-number),
                    yes: j % 2 == 0,
                    kind: if j % 3 == 0 { Kind::Other } else { Kind::FirstOne },
                });
            }
        }
        let mut csv = csv::Writer::from_writer(Vec::new());
        rows.iter().for_each(|row| csv.serialize(row).expect("a flat row"));
        let want = String::from_utf8(csv.into_inner().expect("memory")).expect("UTF-8");
        let ours = String::from_utf8(write_csv(&rows, Vec::new()).expect("memory")).expect("UTF-8");
        assert_eq!(ours, want);
    }

    #[test]
    fn what_is_not_flat_is_refused() {
        assert!(write_csv(&[Deep { rows: vec![1] }], Vec::new()).is_err());
        assert!(write_csv(&[1u32], Vec::new()).is_err());
    }
}
