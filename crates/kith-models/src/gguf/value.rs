//! Metadata values: thirteen types, of which one is a list of another.

use super::{GgufError, cursor::Cursor};
use serde_json::Value as Json;
use std::io::Read;

/// How deep lists may lie in lists. No known model nests them at all.
const MAX_DEPTH: u32 = 4;

macro_rules! values {
    ($($variant:ident($type:ty) = $code:literal, $size:literal;)*) => {
        /// A metadata value.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Value {
            $(#[doc = concat!("A number, `", stringify!($type), "`.")] $variant($type),)*
            /// True or false.
            Bool(bool),
            /// Text.
            String(String),
            /// A list of values of one type.
            Array(Array),
        }

        /// A list of values of one type.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Array {
            $(#[doc = concat!("Numbers, `", stringify!($type), "`.")] $variant(Vec<$type>),)*
            /// Truth values.
            Bool(Vec<bool>),
            /// Texts.
            String(Vec<Box<str>>),
            /// Lists, which may be of different types.
            Array(Vec<Array>),
        }

        impl Value {
            /// Reads a value of the type with this number.
            pub(super) fn read(cursor: &mut Cursor<impl Read>, kind: u32) -> Result<Self, GgufError> {
                match kind {
                    $($code => cursor.array::<$size>().map(|bytes| Self::$variant(<$type>::from_le_bytes(bytes))),)*
                    BOOL => cursor.array::<1>().map(|[byte]| Self::Bool(byte != 0)),
                    STRING => cursor.text().map(Self::String),
                    ARRAY => Array::read(cursor, 1).map(Self::Array),
                    kind => unknown(kind),
                }
            }

            /// As JSON. What JSON cannot say (not-a-number, infinities) is null.
            pub fn to_json(&self) -> Json {
                match self {
                    $(Self::$variant(value) => value.to_json(),)*
                    Self::Bool(value) => Json::Bool(*value),
                    Self::String(text) => Json::String(text.clone()),
                    Self::Array(array) => array.to_json(),
                }
            }
        }

        impl Array {
            /// How many values it holds.
            pub fn len(&self) -> usize {
                match self {
                    $(Self::$variant(values) => values.len(),)*
                    Self::Bool(values) => values.len(),
                    Self::String(values) => values.len(),
                    Self::Array(values) => values.len(),
                }
            }

            /// The number of its values' type.
            pub fn kind(&self) -> u32 {
                match self {
                    $(Self::$variant(_) => $code,)*
                    Self::Bool(_) => BOOL,
                    Self::String(_) => STRING,
                    Self::Array(_) => ARRAY,
                }
            }

            fn read(cursor: &mut Cursor<impl Read>, depth: u32) -> Result<Self, GgufError> {
                if depth > MAX_DEPTH {
                    return GgufError::refused(format!("lists lie more than {MAX_DEPTH} deep in one another"));
                }
                let kind = cursor.u32()?;
                let count = cursor.u64()?;
                let least = match kind {
                    $($code => $size,)*
                    BOOL => 1,
                    STRING => 8,
                    ARRAY => 4 + 8,
                    kind => return unknown(kind),
                };
                if !cursor.holds(count, least) {
                    return GgufError::refused(format!("the file is incomplete or damaged: a list announces {count} values, more than there is room for"));
                }
                match kind {
                    $($code => {
                        let bytes = cursor.bytes(count * $size)?;
                        let (chunks, _) = bytes.as_chunks::<$size>();
                        Ok(Self::$variant(chunks.iter().map(|bytes| <$type>::from_le_bytes(*bytes)).collect()))
                    })*
                    BOOL => cursor.bytes(count).map(|bytes| Self::Bool(bytes.into_iter().map(|byte| byte != 0).collect())),
                    STRING => (0..count).map(|_| cursor.text().map(String::into_boxed_str)).collect::<Result<_, _>>().map(Self::String),
                    _ => (0..count).map(|_| Self::read(cursor, depth + 1)).collect::<Result<_, _>>().map(Self::Array),
                }
            }

            /// As a JSON list.
            pub fn to_json(&self) -> Json {
                match self {
                    $(Self::$variant(values) => Json::Array(values.iter().map(|value| value.to_json()).collect()),)*
                    Self::Bool(values) => values.as_slice().into(),
                    Self::String(values) => Json::Array(values.iter().map(|text| Json::from(&**text)).collect()),
                    Self::Array(values) => Json::Array(values.iter().map(Self::to_json).collect()),
                }
            }
        }
    };
}

values! {
    U8(u8) = 0, 1;
    I8(i8) = 1, 1;
    U16(u16) = 2, 2;
    I16(i16) = 3, 2;
    U32(u32) = 4, 4;
    I32(i32) = 5, 4;
    F32(f32) = 6, 4;
    U64(u64) = 10, 8;
    I64(i64) = 11, 8;
    F64(f64) = 12, 8;
}

/// The types' numbers that are not plain numbers.
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

fn unknown<T>(kind: u32) -> Result<T, GgufError> {
    GgufError::refused(format!("a metadata value is of type {kind}, which is not known"))
}

trait ToJson {
    fn to_json(&self) -> Json;
}

macro_rules! integers {
    ($($type:ty)*) => {
        $(impl ToJson for $type {
            fn to_json(&self) -> Json {
                Json::from(*self)
            }
        })*
    };
}

integers!(u8 i8 u16 i16 u32 i32 u64 i64 f64);

impl ToJson for f32 {
    /// By way of the shortest text: 1e-5 is to read 0.00001, not 0.000009999999747378752.
    fn to_json(&self) -> Json {
        self.to_string().parse::<f64>().map_or(Json::Null, Json::from)
    }
}

impl Value {
    /// The number, if it is a whole one and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::U64(value) => Some(value),
            Self::I8(value) => value.try_into().ok(),
            Self::I16(value) => value.try_into().ok(),
            Self::I32(value) => value.try_into().ok(),
            Self::I64(value) => value.try_into().ok(),
            _ => None,
        }
    }

    /// The fraction.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(value) => Some(value.into()),
            Self::F64(value) => Some(value),
            _ => None,
        }
    }

    /// The truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The list.
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }
}

impl Array {
    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text at `index`, if it is a list of texts.
    pub fn text(&self, index: u64) -> Option<&str> {
        match self {
            Self::String(texts) => texts.get(usize::try_from(index).ok()?).map(|text| &**text),
            _ => None,
        }
    }

    /// The largest of its whole numbers, if it is a list of such as models count layers' parts in.
    pub fn largest(&self) -> Option<u64> {
        match self {
            Self::U32(values) => values.iter().copied().max().map(u64::from),
            Self::U64(values) => values.iter().copied().max(),
            Self::I32(values) => values.iter().copied().max()?.try_into().ok(),
            Self::I64(values) => values.iter().copied().max()?.try_into().ok(),
            _ => None,
        }
    }
}
