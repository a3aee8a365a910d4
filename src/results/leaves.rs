//! The numeric leaves of any serializable value under their dotted paths: `pods.stuckBy.notCreated`.
//!
//! A serializer of its own rather than a walk over `serde_json::Value`, because a `Value` cannot hold integers beyond 64
//! bits, which sums of bytes may be.

use serde::Serialize;
use serde::ser::{self, Impossible, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// The value at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Leaf {
    /// A count or bytes.
    Integer(i128),
    /// Seconds or a share.
    Float(f64),
    /// `null`: nothing to measure.
    Null,
}

impl Leaf {
    /// The number as a float; `None` for `null`.
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Leaf::Integer(n) => Some(n as f64),
            Leaf::Float(x) => Some(x),
            Leaf::Null => None,
        }
    }
}

/// Numbers are written as `summary.json` writes them; `null` is empty.
impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leaf::Integer(n) => write!(f, "{n}"),
            Leaf::Float(x) => write!(f, "{x:?}"),
            Leaf::Null => Ok(()),
        }
    }
}

/// Every number and `null` in `value`, by dotted path. Texts, booleans and lists are passed over.
pub fn leaves<T: Serialize>(value: &T) -> BTreeMap<String, Leaf> {
    let mut walk = Walk { path: String::new(), found: BTreeMap::new() };
    // Walk never fails: the only errors are those of map keys that are not names, and those maps are passed over.
    let _ = value.serialize(&mut walk);
    walk.found
}

struct Walk {
    path: String,
    found: BTreeMap<String, Leaf>,
}

impl Walk {
    fn leaf(&mut self, leaf: Leaf) {
        self.found.insert(self.path.clone(), leaf);
    }

    fn below<T: ?Sized + Serialize>(&mut self, key: &str, value: &T) -> Result<(), Unnamed> {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        let done = value.serialize(&mut *self);
        self.path.truncate(length);
        done
    }
}

/// A map key that is not a name.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unnamed(String);

impl ser::Error for Unnamed {
    fn custom<T: fmt::Display>(message: T) -> Unnamed {
        Unnamed(message.to_string())
    }
}

/// Swallows the elements of lists.
struct PassOver;

impl ser::SerializeSeq for PassOver {
    type Ok = ();
    type Error = Unnamed;
    fn serialize_element<T: ?Sized + Serialize>(&mut self, _: &T) -> Result<(), Unnamed> {
        Ok(())
    }
    fn end(self) -> Result<(), Unnamed> {
        Ok(())
    }
}

impl ser::SerializeTuple for PassOver {
    type Ok = ();
    type Error = Unnamed;
    fn serialize_element<T: ?Sized + Serialize>(&mut self, _: &T) -> Result<(), Unnamed> {
        Ok(())
    }
    fn end(self) -> Result<(), Unnamed> {
        Ok(())
    }
}

struct Entries<'a> {
    walk: &'a mut Walk,
    key: String,
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Unnamed;
    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Unnamed> {
        match serde_json::to_value(key) {
            Ok(serde_json::Value::String(name)) => self.key = name,
            other => return Err(Unnamed(format!("{other:?}"))),
        }
        Ok(())
    }
    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Unnamed> {
        let key = std::mem::take(&mut self.key);
        self.walk.below(&key, value)
    }
    fn end(self) -> Result<(), Unnamed> {
        Ok(())
    }
}

impl ser::SerializeStruct for Entries<'_> {
    type Ok = ();
    type Error = Unnamed;
    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Unnamed> {
        self.walk.below(key, value)
    }
    fn end(self) -> Result<(), Unnamed> {
        Ok(())
    }
}

impl<'a> Serializer for &'a mut Walk {
    type Ok = ();
    type Error = Unnamed;
    type SerializeSeq = PassOver;
    type SerializeTuple = PassOver;
    type SerializeTupleStruct = Impossible<(), Unnamed>;
    type SerializeTupleVariant = Impossible<(), Unnamed>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Entries<'a>;
    type SerializeStructVariant = Impossible<(), Unnamed>;

    fn serialize_i8(self, n: i8) -> Result<(), Unnamed> {
        self.serialize_i128(n.into())
    }
    fn serialize_i16(self, n: i16) -> Result<(), Unnamed> {
        self.serialize_i128(n.into())
    }
    fn serialize_i32(self, n: i32) -> Result<(), Unnamed> {
        self.serialize_i128(n.into())
    }
    fn serialize_i64(self, n: i64) -> Result<(), Unnamed> {
        self.serialize_i128(n.into())
    }
    fn serialize_i128(self, n: i128) -> Result<(), Unnamed> {
        self.leaf(Leaf::Integer(n));
        Ok(())
    }
    fn serialize_u8(self, n: u8) -> Result<(), Unnamed> {
        self.serialize_i128(n.into())
    }
    fn serialize_u16(self, n: u16) -> Result<(), Unnamed> {
        self.serialize_i128(n.into())
    }
    fn serialize_u32(self, n: u32) -> Result<(), Unnamed> {
        self.serialize_i128(n.into())
    }
    fn serialize_u64(self, n: u64) -> Result<(), Unnamed> {
        self.serialize_i128(n.into())
    }
    fn serialize_u128(self, n: u128) -> Result<(), Unnamed> {
        self.serialize_i128(i128::try_from(n).unwrap_or(i128::MAX))
    }
    fn serialize_f32(self, x: f32) -> Result<(), Unnamed> {
        self.serialize_f64(x.into())
    }
    fn serialize_f64(self, x: f64) -> Result<(), Unnamed> {
        self.leaf(if x.is_finite() { Leaf::Float(x) } else { Leaf::Null });
        Ok(())
    }
    fn serialize_none(self) -> Result<(), Unnamed> {
        self.leaf(Leaf::Null);
        Ok(())
    }
    fn serialize_unit(self) -> Result<(), Unnamed> {
        self.serialize_none()
    }
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Unnamed> {
        value.serialize(self)
    }
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unnamed> {
        value.serialize(self)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'a>, Unnamed> {
        Ok(Entries { walk: self, key: String::new() })
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries<'a>, Unnamed> {
        Ok(Entries { walk: self, key: String::new() })
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<PassOver, Unnamed> {
        Ok(PassOver)
    }
    fn serialize_tuple(self, _: usize) -> Result<PassOver, Unnamed> {
        Ok(PassOver)
    }

    // What is no number is passed over.
    fn serialize_bool(self, _: bool) -> Result<(), Unnamed> {
        Ok(())
    }
    fn serialize_char(self, _: char) -> Result<(), Unnamed> {
        Ok(())
    }
    fn serialize_str(self, _: &str) -> Result<(), Unnamed> {
        Ok(())
    }
    fn serialize_bytes(self, _: &[u8]) -> Result<(), Unnamed> {
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unnamed> {
        Ok(())
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Unnamed> {
        Ok(())
    }
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unnamed> {
        self.below(variant, value)
    }
    fn serialize_tuple_struct(
        self,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Unnamed> {
        Err(Unnamed(name.to_owned()))
    }
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unnamed> {
        Err(Unnamed(name.to_owned()))
    }
    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unnamed> {
        Err(Unnamed(name.to_owned()))
    }
}
