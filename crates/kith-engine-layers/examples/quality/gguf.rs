//! A GGUF file read plainly, whole into memory: by code of its own, so that a fault of the engine's reader shows.

use kith_kernels::Format;
use std::{collections::HashMap, error::Error, fs, path::Path};

/// Bytes of a value, by the format's number of its kind; texts (8) and lists (9) have no fixed size.
const SIZES: [usize; 13] = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const TEXT: u32 = 8;
const LIST: u32 = 9;
/// What tensors are aligned to where the file does not say.
const ALIGNMENT: usize = 32;

/// A file.
pub struct File {
    bytes: Vec<u8>,
    numbers: HashMap<String, f64>,
    texts: HashMap<String, String>,
    tensors: HashMap<String, Tensor>,
}

/// A tensor of one or two dimensions.
#[derive(Clone, Copy)]
pub struct Tensor {
    /// Values of a row.
    pub depth: usize,
    /// Rows.
    pub rows: usize,
    format: Format,
    start: usize,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Box<dyn Error>> {
        let end = self.at.checked_add(length).ok_or("a length beyond all bounds")?;
        let taken = self.bytes.get(self.at..end).ok_or("the file is cut short")?;
        self.at = end;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, Box<dyn Error>> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into()?))
    }

    fn size(&mut self) -> Result<usize, Box<dyn Error>> {
        Ok(usize::try_from(u64::from_le_bytes(self.take(8)?.try_into()?))?)
    }

    fn text(&mut self) -> Result<String, Box<dyn Error>> {
        let length = self.size()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// A number of this kind.
    fn number(&mut self, kind: u32) -> Result<f64, Box<dyn Error>> {
        let size = SIZES.get(kind as usize).copied().filter(|size| *size > 0).ok_or("a value of an unknown kind")?;
        let bytes = self.take(size)?;
        let mut wide = [0; 8];
        wide[..size].copy_from_slice(bytes);
        Ok(match kind {
            1 => f64::from(wide[0].cast_signed()),
            3 => f64::from(i16::from_le_bytes([wide[0], wide[1]])),
            5 => f64::from(i32::from_le_bytes(bytes.try_into()?)),
            6 => f64::from(f32::from_le_bytes(bytes.try_into()?)),
            11 => i64::from_le_bytes(wide) as f64,
            12 => f64::from_le_bytes(wide),
            _ => u64::from_le_bytes(wide) as f64,
        })
    }
}

impl File {
    /// Reads the file at `path`.
    pub fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let bytes = fs::read(path)?;
        let mut cursor = Cursor { bytes: &bytes, at: 0 };
        if cursor.take(4)? != b"GGUF" {
            return Err("it is no GGUF file".into());
        }
        cursor.u32()?;
        let (tensor_count, field_count) = (cursor.size()?, cursor.size()?);
        let (mut numbers, mut texts, mut found) = (HashMap::new(), HashMap::new(), Vec::new());
        for _ in 0..field_count {
            let name = cursor.text()?;
            match cursor.u32()? {
                TEXT => {
                    texts.insert(name, cursor.text()?);
                }
                LIST => {
                    let (kind, count) = (cursor.u32()?, cursor.size()?);
                    for _ in 0..count {
                        if kind == TEXT {
                            cursor.text()?;
                        } else {
                            cursor.number(kind)?;
                        }
                    }
                }
                kind => {
                    numbers.insert(name, cursor.number(kind)?);
                }
            }
        }
        for _ in 0..tensor_count {
            let name = cursor.text()?;
            let dimensions = (0..cursor.u32()?).map(|_| cursor.size()).collect::<Result<Vec<_>, _>>()?;
            let number = cursor.u32()?;
            let format = Format::from_gguf(number).ok_or_else(|| format!("{name} is stored as type {number}"))?;
            found.push((name, dimensions, format, cursor.size()?));
        }
        let alignment = numbers.get("general.alignment").map_or(ALIGNMENT, |alignment| *alignment as usize);
        let data = cursor.at.next_multiple_of(alignment.max(1));
        let place = |(name, dimensions, format, offset): (String, Vec<usize>, Format, usize)| {
            let (depth, rows) = (dimensions.first().copied().unwrap_or(1), dimensions.iter().skip(1).product());
            (name, Tensor { depth, rows, format, start: data + offset })
        };
        let tensors = found.into_iter().map(place).collect();
        Ok(Self { numbers, texts, tensors, bytes })
    }

    /// The number that a field holds.
    pub fn number(&self, name: &str) -> Result<f64, Box<dyn Error>> {
        self.numbers.get(name).copied().ok_or_else(|| format!("the file does not say its {name}").into())
    }

    /// The text that a field holds.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Result<Tensor, Box<dyn Error>> {
        self.tensors.get(name).copied().ok_or_else(|| format!("the tensor {name} is missing").into())
    }

    /// Row `row` of a tensor as it stands for numbers, exactly.
    pub fn row(&self, tensor: Tensor, row: usize) -> Result<Vec<f64>, Box<dyn Error>> {
        let length = tensor.format.row_bytes(tensor.depth).ok_or("rows that are no whole number of blocks")?;
        let start = tensor.start + row * length;
        let bytes = self.bytes.get(start..start + length).ok_or("a tensor is cut short")?;
        let mut values = vec![0.0; tensor.depth];
        tensor.format.dequantise(bytes, &mut values);
        Ok(values.into_iter().map(f64::from).collect())
    }
}
