//! Bodies read from JSON by way of a tree of values. It knows nothing of where the text came from.
//!
//! Whatever reads a type straight from text is compiled anew with each type, and JSON's own grammar with it. Here the grammar is read
//! once, into a tree, and a type has only to find its fields in that; half of the bytes that travel for it are saved.

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
        value::BorrowedStrDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::{Error, Map, Value};

/// Reads a body from its text.
///
/// # Errors
/// Where the text is no JSON, or not what the type asks for. An array never stands for a struct.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    read(&tree(text)?)
}

/// Reads a body from a tree.
///
/// # Errors
/// Where the tree is not what the type asks for.
pub fn read<T: DeserializeOwned>(tree: &Value) -> Result<T, Error> {
    T::deserialize(Tree(tree))
}

#[inline(never)]
fn tree(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text)
}

/// A value of the tree, for what is read from it. It is borrowed, so that nothing has to be let go of for each type anew.
#[derive(Clone, Copy)]
struct Tree<'de>(&'de Value);

impl<'de> Tree<'de> {
    #[inline(never)]
    fn wrong(self, expected: &dyn serde::de::Expected) -> Error {
        Error::invalid_type(
            match self.0 {
                Value::Null => Unexpected::Unit,
                Value::Bool(is) => Unexpected::Bool(*is),
                Value::Number(_) => Unexpected::Other("number"),
                Value::String(text) => Unexpected::Str(text),
                Value::Array(_) => Unexpected::Seq,
                Value::Object(_) => Unexpected::Map,
            },
            expected,
        )
    }

    fn items<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Value::Array(items) = self.0 else { return Err(self.wrong(&visitor)) };
        let mut items = Items(items.iter());
        let read = visitor.visit_seq(&mut items)?;
        if items.0.len() == 0 { Ok(read) } else { Err(Error::custom("an array is too long")) }
    }

    fn fields<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Value::Object(fields) = self.0 else { return Err(self.wrong(&visitor)) };
        visitor.visit_map(Fields { rest: fields.iter(), value: None })
    }

    fn number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Number(number) => number.deserialize_any(visitor),
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => visitor.visit_borrowed_str(text),
            _ => Err(self.wrong(&visitor)),
        }
    }
}

/// Several of serde's questions with one answer.
macro_rules! as_one {
    ($answer:ident: $($question:ident)*) => {
        $(fn $question<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.$answer(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Tree<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(is) => visitor.visit_bool(*is),
            Value::Number(_) => self.number(visitor),
            Value::String(_) => self.text(visitor),
            Value::Array(_) => self.items(visitor),
            Value::Object(_) => self.fields(visitor),
        }
    }

    as_one!(number: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32);
    as_one!(number: deserialize_u64 deserialize_f32 deserialize_f64);
    as_one!(text: deserialize_char deserialize_str deserialize_string deserialize_identifier);
    as_one!(items: deserialize_seq);
    as_one!(fields: deserialize_map);
    as_one!(deserialize_any: deserialize_bytes deserialize_byte_buf);

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Bool(is) => visitor.visit_bool(*is),
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.items(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.items(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.fields(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match variant(self.0) {
            Some(variant) => visitor.visit_enum(variant),
            None => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

struct Items<'de>(std::slice::Iter<'de, Value>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.0.next().map(|item| seed.deserialize(Tree(item))).transpose()
    }
}

struct Fields<'de> {
    rest: serde_json::map::Iter<'de>,
    /// The value of the key that was read last.
    value: Option<&'de Value>,
}

impl<'de> Fields<'de> {
    #[inline(never)]
    fn next(&mut self) -> Option<&'de str> {
        let (key, value) = self.rest.next()?;
        self.value = Some(value);
        Some(key)
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.next().map(|key| seed.deserialize(Key(key))).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(Tree(self.value.unwrap_or(&Value::Null)))
    }
}

/// The name of a field.
struct Key<'de>(&'de str);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// One of an enum: its name, and what it holds.
struct Variant<'de> {
    name: &'de str,
    content: Option<&'de Value>,
}

/// A variant without content is written as its name, another one as an object of one field.
#[inline(never)]
fn variant(value: &Value) -> Option<Variant<'_>> {
    let sole = |fields: &'_ Map<String, Value>| fields.len() == 1;
    match value {
        Value::String(name) => Some(Variant { name, content: None }),
        Value::Object(fields) if sole(fields) => fields.iter().next().map(|(name, value)| Variant { name, content: Some(value) }),
        _ => None,
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Tree<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Tree<'de>), Error> {
        Ok((seed.deserialize(Key(self.name))?, Tree(self.content.unwrap_or(&Value::Null))))
    }
}

impl<'de> VariantAccess<'de> for Tree<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        serde::Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.items(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.fields(visitor)
    }
}

#[cfg(test)]
mod tests;
