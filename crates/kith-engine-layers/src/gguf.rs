//! GGUF files: fields and tensors, checked against the file's length before anything is believed. It knows the format, not the models.
//!
//! The format is that of ggml's `docs/gguf.md`, versions 2 and 3, little-endian. A file that breaks its rules is refused with a sentence;
//! what is allocated stays in proportion to the file, whatever its counts say.

mod cursor;
mod mapping;
mod value;

pub(crate) use mapping::Mapping;

use cursor::Cursor;
use kith_engine::EngineError;
use kith_kernels::Format;
use std::{borrow::Cow, collections::HashMap, ops::Range, path::Path, sync::Arc};
use value::Value;

/// Bytes of a field's or a tensor's name, at most.
const NAME: u64 = 65_535;
/// Dimensions of a tensor, at most.
const DIMENSIONS: u32 = 4;
/// What tensors are aligned to where the file does not say.
const ALIGNMENT: u64 = 32;

/// How a file breaks the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Malformed {
    Magic,
    Version(u32),
    Short,
    Count(u64),
    Name(u64),
    Text,
    Kind(u32),
    Twice(String),
    Alignment(u64),
    Dimensions(String),
    Outside(String),
    Shared,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Magic => f.write_str("it does not begin as a GGUF file does"),
            Self::Version(version) => write!(f, "it has version {version} of the format; 2 and 3 are read"),
            Self::Short => f.write_str("it ends too early"),
            Self::Count(count) => write!(f, "it claims to hold {count} entries, which it has no room for"),
            Self::Name(length) => write!(f, "it has a name of {length} bytes"),
            Self::Text => f.write_str("it has a name that is no UTF-8"),
            Self::Kind(kind) => write!(f, "it has a field of the unknown kind {kind}"),
            Self::Twice(name) => write!(f, "it names {name:?} twice"),
            Self::Alignment(alignment) => write!(f, "it aligns tensors to {alignment} bytes"),
            Self::Dimensions(name) => write!(f, "the tensor {name:?} has an impossible shape"),
            Self::Outside(name) => write!(f, "the tensor {name:?} lies outside of it"),
            Self::Shared => f.write_str("its tensors together are longer than the file"),
        }
    }
}

impl From<Malformed> for EngineError {
    fn from(malformed: Malformed) -> Self {
        Self::UnsupportedModel(format!("the model file cannot be read: {malformed}"))
    }
}

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    /// The fastest dimension first; four, the missing ones are 1. Their product fits in memory.
    pub(crate) shape: [usize; 4],
    /// How its numbers are stored; the format's number of one that has no kernels.
    pub(crate) format: Result<Format, u32>,
    range: Range<usize>,
}

impl Tensor {
    /// How many rows (runs of the fastest dimension) it has.
    pub(crate) fn rows(&self) -> usize {
        self.shape[1] * self.shape[2] * self.shape[3]
    }

    /// Bytes that it takes in the file; 0 where its format has no kernels.
    pub(crate) fn bytes(&self) -> usize {
        self.range.len()
    }
}

/// A GGUF file.
#[derive(Debug, Clone)]
pub(crate) struct Gguf {
    bytes: Arc<Mapping>,
    fields: Arc<HashMap<String, Value>>,
    tensors: Arc<HashMap<String, Tensor>>,
}

impl Gguf {
    /// Maps the file at `path` and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self, EngineError> {
        let bytes = Mapping::open(path)
            .map_err(|error| EngineError::UnsupportedModel(format!("the model file cannot be opened: {error}")))?;
        let (fields, tensors) = header(bytes.as_ref())?;
        Ok(Self { bytes: Arc::new(bytes), fields: Arc::new(fields), tensors: Arc::new(tensors) })
    }

    /// The same file, mapped anew: pages that were looked at so far go back to the system with this one.
    pub(crate) fn mapped_again(&self) -> Result<Self, EngineError> {
        let bytes = self.bytes.again().ok().filter(|bytes| bytes.as_ref().len() == self.bytes().len());
        let bytes = bytes.ok_or_else(|| EngineError::Failed("the model file changed while it was loaded".into()))?;
        Ok(Self { bytes: Arc::new(bytes), ..self.clone() })
    }

    /// A text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        Some(self.one(name)?.text()?.into_owned())
    }

    /// A whole number that is not negative. A list whose elements are all the same counts as one of them.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        let value = self.fields.get(name)?;
        let mut elements = value.elements(self.bytes());
        let first = elements.next()?.whole()?;
        elements.all(|element| element.whole() == Some(first)).then(|| u64::try_from(first).ok())?
    }

    /// A number with a fraction.
    pub(crate) fn fraction(&self, name: &str) -> Option<f64> {
        let one = self.one(name)?;
        one.fraction().or_else(|| one.whole().map(|whole| whole as f64))
    }

    /// Yes or no.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.one(name)?.flag()
    }

    /// Whether there is such a field.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// The texts of a list; none if it is no list of texts.
    pub(crate) fn texts(&self, name: &str) -> Vec<Cow<'_, str>> {
        self.list(name, value::Element::text)
    }

    /// The whole numbers of a list.
    pub(crate) fn numbers(&self, name: &str) -> Vec<i64> {
        self.list(name, value::Element::whole)
    }

    /// The yes and no of a list.
    pub(crate) fn flags(&self, name: &str) -> Vec<bool> {
        self.list(name, value::Element::flag)
    }

    /// The fractions of a list.
    pub(crate) fn fractions(&self, name: &str) -> Vec<f32> {
        self.list(name, |element| element.fraction().map(|fraction| fraction as f32))
    }

    /// The tensors by name.
    pub(crate) fn tensors(&self) -> &HashMap<String, Tensor> {
        &self.tensors
    }

    /// The bytes of some rows of a tensor whose format is known; `None` beyond its end.
    pub(crate) fn rows(&self, tensor: &Tensor, rows: Range<usize>) -> Option<&[u8]> {
        let row = tensor.format.ok()?.row_bytes(tensor.shape[0])?;
        let bytes = self.bytes().get(tensor.range.clone())?;
        bytes.get(rows.start.checked_mul(row)?..rows.end.checked_mul(row)?)
    }

    /// The bytes of the whole file.
    fn bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }

    fn one(&self, name: &str) -> Option<value::Element<'_>> {
        let value = self.fields.get(name).filter(|value| !value.is_list())?;
        value.elements(self.bytes()).next()
    }

    /// All elements, or none if one is of another kind.
    fn list<'a, T>(&'a self, name: &str, element: impl Fn(value::Element<'a>) -> Option<T>) -> Vec<T> {
        let value = self.fields.get(name).filter(|value| value.is_list());
        value.and_then(|value| value.elements(self.bytes()).map(element).collect()).unwrap_or_default()
    }
}

type Header = (HashMap<String, Value>, HashMap<String, Tensor>);

fn header(bytes: &[u8]) -> Result<Header, Malformed> {
    let mut cursor = Cursor::new(bytes);
    if cursor.skip(4).map(|range| &bytes[range]) != Ok(b"GGUF") {
        return Err(Malformed::Magic);
    }
    let version = cursor.u32()?;
    if !(2..=3).contains(&version) {
        return Err(Malformed::Version(version));
    }
    // A tensor: the length of its name, its number of dimensions, one of them, its kind and place. A field: length, kind, one byte.
    let tensor_count = cursor.count(8 + 4 + 8 + 4 + 8)?;
    let field_count = cursor.count(8 + 4 + 1)?;
    let mut fields = HashMap::new();
    for _ in 0..field_count {
        let name = cursor.text(NAME)?.to_owned();
        let value = Value::read(&mut cursor)?;
        if fields.insert(name.clone(), value).is_some() {
            return Err(Malformed::Twice(name));
        }
    }
    let alignment = fields.get("general.alignment").and_then(|value: &Value| value.elements(bytes).next()?.whole());
    let alignment = alignment.map_or(ALIGNMENT, |alignment| u64::try_from(alignment).unwrap_or(0));
    if !alignment.is_power_of_two() || alignment > 1 << 20 {
        return Err(Malformed::Alignment(alignment));
    }
    let mut found = Vec::new();
    for _ in 0..tensor_count {
        found.push(Found::read(&mut cursor)?);
    }
    let start = (cursor.at() as u64).next_multiple_of(alignment);
    let mut tensors = HashMap::new();
    // Every tensor is laid out anew when it is loaded: if many could lie in one place, a small file would fill the memory.
    let mut left = bytes.len();
    for found in found {
        let name = found.name.to_owned();
        let tensor = found.placed(start, alignment, bytes.len())?;
        left = left.checked_sub(tensor.bytes()).ok_or(Malformed::Shared)?;
        if tensors.insert(name.clone(), tensor).is_some() {
            return Err(Malformed::Twice(name));
        }
    }
    Ok((fields, tensors))
}

/// A tensor before its place is known.
struct Found<'a> {
    name: &'a str,
    shape: [usize; 4],
    number: u32,
    offset: u64,
}

impl<'a> Found<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let name = cursor.text(NAME)?;
        let impossible = || Malformed::Dimensions(name.to_owned());
        let dimensions = cursor.u32()?;
        if dimensions > DIMENSIONS {
            return Err(impossible());
        }
        let mut shape = [1usize; 4];
        for dimension in &mut shape[..dimensions as usize] {
            *dimension = usize::try_from(cursor.u64()?).ok().filter(|length| *length > 0).ok_or_else(impossible)?;
        }
        let values = shape.iter().try_fold(1usize, |product, length| product.checked_mul(*length));
        values.filter(|values| *values <= isize::MAX as usize / 4).ok_or_else(impossible)?;
        Ok(Self { name, shape, number: cursor.u32()?, offset: cursor.u64()? })
    }

    fn placed(self, start: u64, alignment: u64, file: usize) -> Result<Tensor, Malformed> {
        let outside = || Malformed::Outside(self.name.to_owned());
        let format = Format::from_gguf(self.number).ok_or(self.number);
        let rows = self.shape[1] * self.shape[2] * self.shape[3];
        let length = match format {
            Ok(format) => {
                let row = format.row_bytes(self.shape[0]).ok_or_else(|| Malformed::Dimensions(self.name.to_owned()))?;
                row.checked_mul(rows).ok_or_else(outside)?
            }
            // What has no kernels is refused when it is needed.
            Err(_) => 0,
        };
        let first = start.checked_add(self.offset).and_then(|first| usize::try_from(first).ok()).ok_or_else(outside)?;
        let end = first.checked_add(length).filter(|end| *end <= file).ok_or_else(outside)?;
        if !self.offset.is_multiple_of(alignment) {
            return Err(outside());
        }
        Ok(Tensor { shape: self.shape, format, range: first..end })
    }
}

#[cfg(test)]
mod tests;
