//! The values of a GGUF file's fields.

use super::{Malformed, cursor::Cursor};
use std::ops::Range;

/// What a value is, by the format's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    U64,
    I64,
    F64,
}

impl Kind {
    fn of(number: u32) -> Result<Self, Malformed> {
        Ok(match number {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::Text,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            other => return Err(Malformed::Kind(other)),
        })
    }

    /// Bytes of one; of a text, those of its length.
    const fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::Text => 8,
        }
    }
}

/// The number of arrays.
const LIST: u32 = 9;

/// A value, by its place in the file. A list keeps its elements in the file until they are asked for.
#[derive(Debug, Clone)]
pub(super) struct Value {
    kind: Kind,
    /// Elements; `None` for what is no list.
    count: Option<usize>,
    range: Range<usize>,
}

impl Value {
    /// Reads a value with its kind before it, and checks that all of it is there.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let number = cursor.u32()?;
        if number != LIST {
            let kind = Kind::of(number)?;
            return Ok(Self { kind, count: None, range: element(cursor, kind)? });
        }
        let kind = Kind::of(cursor.u32()?)?;
        let count = cursor.count(kind.size())?;
        let start = cursor.at();
        if kind == Kind::Text {
            for _ in 0..count {
                element(cursor, kind)?;
            }
        } else {
            cursor.skip((count * kind.size()) as u64)?;
        }
        Ok(Self { kind, count: Some(count), range: start..cursor.at() })
    }

    /// The elements of a list, or the one value.
    pub(super) fn elements<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let kind = self.kind;
        let mut cursor = Cursor::new(&bytes[self.range.clone()]);
        let mut left = self.count.unwrap_or(1);
        // A text that is no list is its bytes alone, without the length before it.
        let whole = (self.count.is_none() && kind == Kind::Text).then(|| &bytes[self.range.clone()]);
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            if let Some(bytes) = whole {
                return Some(Element { kind, bytes });
            }
            let range = element(&mut cursor, kind).ok()?;
            Some(Element { kind, bytes: cursor.bytes(range) })
        })
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        self.count.is_some()
    }
}

/// The bytes of one element; of a text, without its length.
fn element(cursor: &mut Cursor<'_>, kind: Kind) -> Result<Range<usize>, Malformed> {
    let length = if kind == Kind::Text { cursor.u64()? } else { kind.size() as u64 };
    cursor.skip(length)
}

/// One plain value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    kind: Kind,
    bytes: &'a [u8],
}

impl<'a> Element<'a> {
    fn wide<const N: usize>(self) -> [u8; N] {
        let mut wide = [0; N];
        let length = self.bytes.len().min(N);
        wide[..length].copy_from_slice(&self.bytes[..length]);
        wide
    }

    /// A whole number of whatever width.
    pub(super) fn whole(self) -> Option<i64> {
        let wide = self.wide::<8>();
        Some(match self.kind {
            Kind::U8 | Kind::U16 | Kind::U32 => i64::try_from(u64::from_le_bytes(wide)).ok()?,
            Kind::I8 => i64::from(i8::from_le_bytes(self.wide())),
            Kind::I16 => i64::from(i16::from_le_bytes(self.wide())),
            Kind::I32 => i64::from(i32::from_le_bytes(self.wide())),
            Kind::U64 => i64::try_from(u64::from_le_bytes(wide)).ok()?,
            Kind::I64 => i64::from_le_bytes(wide),
            _ => return None,
        })
    }

    /// A number with a fraction.
    pub(super) fn fraction(self) -> Option<f64> {
        match self.kind {
            Kind::F32 => Some(f64::from(f32::from_le_bytes(self.wide()))),
            Kind::F64 => Some(f64::from_le_bytes(self.wide())),
            _ => None,
        }
    }

    /// Yes or no.
    pub(super) fn flag(self) -> Option<bool> {
        (self.kind == Kind::Bool).then(|| self.bytes.first() != Some(&0))
    }

    /// A text; where bytes of it are no UTF-8, with U+FFFD in their place.
    pub(super) fn text(self) -> Option<std::borrow::Cow<'a, str>> {
        (self.kind == Kind::Text).then(|| String::from_utf8_lossy(self.bytes))
    }
}
