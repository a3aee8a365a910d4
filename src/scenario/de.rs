//! Typed structs out of a spanned tree: a `serde` deserializer whose errors have a place, and that lists unknown fields.
//!
//! Types follow the rules of `kubectl` and the API server: a plain `yes` is a boolean, a number is no string, `null` is the
//! zero value, and a quantity may be written as a number.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor};

use super::reader::quantity_hint;
use super::tree::{Entry, Kind, Resolved, Value, clip};
use crate::diagnostic::{Code, Diagnostic, Span, did_you_mean};
use crate::model::quantity::Quantity;

/// Most unknown fields that are reported for one object.
const MAX_UNKNOWN: usize = 20;

/// Reads a `T`, appending a warning for every field that its type does not know.
///
/// # Errors
/// The first value that has another type than its field.
pub fn from_value<T: DeserializeOwned>(
    value: &Value,
    warnings: &mut Vec<Diagnostic>,
) -> Result<T, Diagnostic> {
    let unknown = RefCell::new(Vec::new());
    let reader = Reader { value, path: Path::Root, unknown: &unknown, quantity: false };
    let result = T::deserialize(reader);
    warnings.append(&mut unknown.into_inner());
    result.map_err(|e| {
        let place = e.span.unwrap_or(value.span);
        let at = if e.path.is_empty() { String::new() } else { format!("{}: ", e.path) };
        Diagnostic::error(e.code, format!("{at}{}", e.message)).at(place).maybe_help(e.help)
    })
}

/// Why a tree is not a `T`.
#[derive(Debug)]
struct TreeError {
    code: Code,
    message: String,
    span: Option<Span>,
    path: String,
    help: Option<String>,
}

impl TreeError {
    fn located(mut self, value: &Value, path: &Path<'_>) -> TreeError {
        if self.span.is_none() {
            self.span = Some(value.span);
            self.path = path.to_string();
            if let Kind::Scalar(s) = &value.kind {
                self.help = match s.resolve() {
                    Resolved::Bool(_) | Resolved::Int(_) | Resolved::Uint(_) | Resolved::Float(_)
                        if self.message.ends_with("expected a string") =>
                    {
                        Some(format!("quote it: \"{}\"", clip(&s.text)))
                    }
                    Resolved::Str(text) if s.quoted && text.parse::<f64>().is_ok() => {
                        Some("leave the quotes out".to_owned())
                    }
                    _ => None,
                };
            }
        }
        self
    }
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for TreeError {}
impl de::Error for TreeError {
    fn custom<T: fmt::Display>(message: T) -> TreeError {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(text, "{message}");
        TreeError { code: Code::ObjectType, message: text, span: None, path: String::new(), help: None }
    }
}

/// Where in the object a value is, for messages.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(Path::Root, key) => f.write_str(key),
            Path::Key(parent, key) => write!(f, "{parent}.{key}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    value: &'a Value,
    path: Path<'a>,
    unknown: &'a RefCell<Vec<Diagnostic>>,
    /// Inside a `Quantity`: numbers keep their text.
    quantity: bool,
}

impl<'a> Reader<'a> {
    fn null(&self) -> bool {
        self.value.is_null()
    }
    fn map<'de, V: Visitor<'de>>(
        self,
        entries: &'a [Entry],
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TreeError> {
        visitor.visit_map(MapReader { outer: self, entries, fields, at: 0 })
    }
    fn any<'de, V: Visitor<'de>>(
        self,
        visitor: V,
        fields: &'static [&'static str],
    ) -> Result<V::Value, TreeError> {
        let result = match &self.value.kind {
            Kind::Map(entries) => self.map(entries, fields, visitor),
            Kind::Seq(items) => visitor.visit_seq(SeqReader { outer: self, items, at: 0 }),
            Kind::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => visitor.visit_unit(),
                Resolved::Bool(b) => visitor.visit_bool(b),
                Resolved::Int(i) => visitor.visit_i64(i),
                Resolved::Uint(u) => visitor.visit_u64(u),
                Resolved::Float(f) => visitor.visit_f64(f),
                Resolved::Str(text) => visitor.visit_str(text),
            },
        };
        result.map_err(|e: TreeError| e.located(self.value, &self.path))
    }
    /// An integer that was written as `1e3` or `2.0` is one for YAML too.
    fn integer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        let located = |e: TreeError| e.located(self.value, &self.path);
        if let Kind::Scalar(scalar) = &self.value.kind {
            match scalar.resolve() {
                Resolved::Null => return visitor.visit_i64(0).map_err(located),
                Resolved::Float(f) if libm::trunc(f) == f && libm::fabs(f) < 9.0e15 => {
                    return visitor.visit_i64(f as i64).map_err(located);
                }
                _ => {}
            }
        }
        self.any(visitor, &[])
    }
    /// A `Quantity`, checked: k8s-openapi itself takes any text.
    fn quantity<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        let written = match &self.value.kind {
            Kind::Scalar(scalar) => match scalar.resolve() {
                Resolved::Str(text) => Some(text.to_owned()),
                _ => self.number_text(),
            },
            _ => None,
        };
        let Some(text) = written else {
            return Err(de::Error::custom(format!("expected a quantity, found {}", self.value.describe())));
        };
        if let Err(reason) = Quantity::parse(&text) {
            return Err(TreeError {
                code: Code::BadQuantity,
                message: format!("`{}` is not a quantity: {reason}", clip(&text)),
                span: Some(self.value.span),
                path: self.path.to_string(),
                help: quantity_hint(&text),
            });
        }
        visitor.visit_string(text)
    }
    /// The text of a quantity that was written as a number: what YAML makes of it.
    fn number_text(&self) -> Option<String> {
        let Kind::Scalar(scalar) = &self.value.kind else { return None };
        match scalar.resolve() {
            Resolved::Null => Some("0".to_owned()),
            Resolved::Int(i) => Some(i.to_string()),
            Resolved::Uint(u) => Some(u.to_string()),
            Resolved::Float(f) if f.is_finite() => Some(scalar.text.chars().filter(|c| *c != '_').collect()),
            _ => None,
        }
    }
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = TreeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        if self.quantity {
            return self.quantity(visitor).map_err(|e| e.located(self.value, &self.path));
        }
        self.any(visitor, &[])
    }
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        if self.null() {
            return visitor.visit_bool(false);
        }
        self.any(visitor, &[])
    }
    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        self.integer(visitor)
    }
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        if self.null() {
            return visitor.visit_str("").map_err(|e: TreeError| e.located(self.value, &self.path));
        }
        self.any(visitor, &[])
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        self.deserialize_str(visitor)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        if self.null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        if self.null() {
            return visitor.visit_seq(SeqReader { outer: self, items: &[], at: 0 });
        }
        self.any(visitor, &[])
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        if self.null() {
            return self.map(&[], &[], visitor);
        }
        self.any(visitor, &[])
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TreeError> {
        if self.null() {
            return self.map(&[], &[], visitor);
        }
        self.any(visitor, fields)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TreeError> {
        visitor.visit_newtype_struct(Reader { quantity: name == "Quantity", ..self })
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        visitor.visit_unit()
    }
    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        self.integer(visitor)
    }
    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        self.integer(visitor)
    }
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreeError> {
        self.integer(visitor)
    }
    serde::forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct enum identifier
    }
}

struct MapReader<'a> {
    outer: Reader<'a>,
    entries: &'a [Entry],
    /// The fields of a struct; empty for a free mapping.
    fields: &'static [&'static str],
    at: usize,
}

impl MapReader<'_> {
    fn check_known(&self, entry: &Entry) {
        let mut unknown = self.outer.unknown.borrow_mut();
        if self.fields.is_empty() || self.fields.contains(&&*entry.key) || unknown.len() >= MAX_UNKNOWN {
            return;
        }
        let path = Path::Key(&self.outer.path, &entry.key);
        let message = format!("unknown field `{}`", clip(&path.to_string()));
        unknown.push(
            Diagnostic::warning(Code::UnknownField, message)
                .at(entry.key_span)
                .label("ignored")
                .maybe_help(did_you_mean(&entry.key, self.fields.iter().copied())),
        );
    }
}

impl<'de> de::MapAccess<'de> for MapReader<'_> {
    type Error = TreeError;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, TreeError> {
        let Some(entry) = self.entries.get(self.at) else { return Ok(None) };
        self.check_known(entry);
        let key: de::value::StrDeserializer<'_, TreeError> = (*entry.key).into_deserializer();
        seed.deserialize(key).map(Some)
    }
    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, TreeError> {
        let Some(entry) = self.entries.get(self.at) else {
            return Err(de::Error::custom("a value without a key"));
        };
        self.at += 1;
        let path = Path::Key(&self.outer.path, &entry.key);
        let reader = Reader { value: &entry.value, path, unknown: self.outer.unknown, quantity: false };
        seed.deserialize(reader).map_err(|e: TreeError| e.located(&entry.value, &path))
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len().saturating_sub(self.at))
    }
}

struct SeqReader<'a> {
    outer: Reader<'a>,
    items: &'a [Value],
    at: usize,
}

impl<'de> de::SeqAccess<'de> for SeqReader<'_> {
    type Error = TreeError;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, TreeError> {
        let Some(value) = self.items.get(self.at) else { return Ok(None) };
        let path = Path::Index(&self.outer.path, self.at);
        self.at += 1;
        let reader = Reader { value, path, unknown: self.outer.unknown, quantity: false };
        seed.deserialize(reader).map(Some).map_err(|e: TreeError| e.located(value, &path))
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len().saturating_sub(self.at))
    }
}

#[cfg(test)]
mod tests;
