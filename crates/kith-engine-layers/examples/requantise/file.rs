//! GGUF files as bytes: their fields and tensors found, and files of other tensors written. What fields mean is not known here.

use kith_kernels::Format;
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    ops::Range,
    path::Path,
};

/// What tensors are aligned to where a file does not say otherwise; files that do are refused.
const ALIGNMENT: usize = 32;
/// The format's numbers of kinds of fields.
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const LIST: u32 = 9;

/// A tensor's name, lengths (the fastest first) and format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub format: Format,
}

impl Tensor {
    /// Values of a row.
    pub fn depth(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Values of all rows.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> io::Result<usize> {
        let row = self.format.row_bytes(self.depth());
        let bytes = row.and_then(|row| row.checked_mul(self.len() / self.depth().max(1)));
        bytes.ok_or_else(|| bad(format!("{} cannot be stored as {:?}", self.name, self.format)))
    }
}

/// Fields as they stand in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    bytes: Vec<u8>,
    count: u64,
}

impl Fields {
    pub fn u32(&mut self, name: &str, value: u32) {
        self.begin(name, U32);
        self.bytes.extend(value.to_le_bytes());
    }

    pub fn f32(&mut self, name: &str, value: f32) {
        self.begin(name, F32);
        self.bytes.extend(value.to_le_bytes());
    }

    pub fn flag(&mut self, name: &str, value: bool) {
        self.begin(name, BOOL);
        self.bytes.push(u8::from(value));
    }

    pub fn text(&mut self, name: &str, value: &str) {
        self.begin(name, TEXT);
        text(&mut self.bytes, value);
    }

    pub fn texts(&mut self, name: &str, values: &[String]) {
        self.list(name, TEXT, values.len());
        values.iter().for_each(|value| text(&mut self.bytes, value));
    }

    pub fn i32s(&mut self, name: &str, values: &[i32]) {
        self.list(name, I32, values.len());
        self.bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    pub fn f32s(&mut self, name: &str, values: &[f32]) {
        self.list(name, F32, values.len());
        self.bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn begin(&mut self, name: &str, kind: u32) {
        text(&mut self.bytes, name);
        self.bytes.extend(kind.to_le_bytes());
        self.count += 1;
    }

    fn list(&mut self, name: &str, kind: u32, count: usize) {
        self.begin(name, LIST);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((count as u64).to_le_bytes());
    }
}

/// A file that was read.
pub struct Source {
    bytes: Vec<u8>,
    fields: Fields,
    /// Where in the fields the number of the whole file's type stands.
    kind: Option<usize>,
    tensors: Vec<(Tensor, Range<usize>)>,
}

impl Source {
    /// Reads the whole file.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let mut cursor = Cursor { bytes: &bytes, at: 0 };
        if cursor.take(4)? != b"GGUF" || !matches!(cursor.u32()?, 2 | 3) {
            return Err(bad("this is no GGUF file of version 2 or 3"));
        }
        let (tensor_count, count) = (cursor.u64()?, cursor.u64()?);
        let start = cursor.at;
        let mut kind = None;
        for _ in 0..count {
            let name = cursor.text()?;
            let number = cursor.u32()?;
            match name.as_str() {
                "general.alignment" => return Err(bad("files that say how they are aligned are not read")),
                "general.file_type" if number == U32 => kind = Some(cursor.at - start),
                _ => {}
            }
            cursor.skip_value(number)?;
        }
        let fields = Fields { bytes: bytes[start..cursor.at].to_vec(), count };
        let mut found = Vec::new();
        for _ in 0..tensor_count {
            let name = cursor.text()?;
            let dimensions = cursor.u32()?.min(4);
            let shape = (0..dimensions).map(|_| cursor.u64().map(|length| length as usize)).collect::<io::Result<_>>()?;
            let number = cursor.u32()?;
            let format = Format::from_gguf(number).ok_or_else(|| bad(format!("{name} has type {number}, which is not known")))?;
            found.push((Tensor { name, shape, format }, cursor.u64()? as usize));
        }
        let data = cursor.at.next_multiple_of(ALIGNMENT);
        let place = |(tensor, offset): (Tensor, usize)| {
            let range = data.saturating_add(offset)..data.saturating_add(offset).saturating_add(tensor.bytes()?);
            if range.end > bytes.len() { Err(bad("the file is cut short")) } else { Ok((tensor, range)) }
        };
        let tensors = found.into_iter().map(place).collect::<io::Result<_>>()?;
        Ok(Self { fields, kind, tensors, bytes })
    }

    /// The fields; where they number the file's type, with this number.
    pub fn fields(&self, kind: u32) -> Fields {
        let mut fields = self.fields.clone();
        if let Some(at) = self.kind {
            fields.bytes[at..at + 4].copy_from_slice(&kind.to_le_bytes());
        }
        fields
    }

    /// The tensors with their bytes, in the file's order.
    pub fn tensors(&self) -> impl Iterator<Item = (&Tensor, &[u8])> {
        self.tensors.iter().map(|(tensor, range)| (tensor, &self.bytes[range.clone()]))
    }
}

/// Writes a file whose tensors' bytes come one after another from `fill`, which is given the number of the tensor and room for its bytes.
/// The file takes its place when it is whole.
pub fn write(path: &Path, fields: &Fields, tensors: &[Tensor], mut fill: impl FnMut(usize, &mut [u8])) -> io::Result<()> {
    let mut header = b"GGUF".to_vec();
    header.extend(3u32.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend(fields.count.to_le_bytes());
    header.extend(&fields.bytes);
    let mut offset = 0usize;
    for tensor in tensors {
        text(&mut header, &tensor.name);
        header.extend((tensor.shape.len() as u32).to_le_bytes());
        tensor.shape.iter().for_each(|length| header.extend((*length as u64).to_le_bytes()));
        header.extend(tensor.format.gguf().to_le_bytes());
        header.extend((offset as u64).to_le_bytes());
        offset = (offset + tensor.bytes()?).next_multiple_of(ALIGNMENT);
    }
    header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
    let part = path.with_extension("gguf.part");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&part)?);
    out.write_all(&header)?;
    let mut bytes = Vec::new();
    for (number, tensor) in tensors.iter().enumerate() {
        let length = tensor.bytes()?;
        bytes.clear();
        bytes.resize(length.next_multiple_of(ALIGNMENT), 0);
        fill(number, &mut bytes[..length]);
        out.write_all(&bytes)?;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(part, path)
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

pub fn bad(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let end =
            self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or_else(|| bad("the file is cut short"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn u32(&mut self) -> io::Result<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn u64(&mut self) -> io::Result<u64> {
        Ok(u64::from(self.u32()?) | u64::from(self.u32()?) << 32)
    }

    fn text(&mut self) -> io::Result<String> {
        let length = self.u64()? as usize;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn skip_value(&mut self, kind: u32) -> io::Result<()> {
        match kind {
            0 | 1 | BOOL => self.take(1).map(drop),
            2 | 3 => self.take(2).map(drop),
            U32 | I32 | F32 => self.take(4).map(drop),
            10..=12 => self.take(8).map(drop),
            TEXT => {
                let length = self.u64()? as usize;
                self.take(length).map(drop)
            }
            LIST => {
                let element = self.u32()?;
                if element == LIST {
                    return Err(bad("lists of lists are not known"));
                }
                (0..self.u64()?).try_for_each(|_| self.skip_value(element))
            }
            other => Err(bad(format!("fields of the kind {other} are not known"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_written_reads_as_what_it_was_written_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gguf");
        let mut fields = Fields::default();
        fields.text("general.architecture", "llama");
        fields.u32("general.file_type", 3);
        fields.f32("a.f32", 1.5);
        fields.flag("a.flag", true);
        fields.texts("a.texts", &["one".into(), String::new()]);
        fields.i32s("a.i32s", &[1, -1]);
        fields.f32s("a.f32s", &[0.5]);
        let tensor = |name: &str, shape: &[usize], format| Tensor { name: name.into(), shape: shape.to_vec(), format };
        let tensors = [tensor("a", &[32, 3], Format::Q8_0), tensor("b", &[5], Format::F32)];
        write(&path, &fields, &tensors, |number, bytes| bytes.fill(number as u8 + 1)).unwrap();
        let read = Source::read(&path).unwrap();
        assert_eq!(read.fields(3), fields);
        assert_ne!(read.fields(7), fields);
        let found: Vec<_> = read.tensors().map(|(tensor, bytes)| (tensor.clone(), bytes.to_vec())).collect();
        assert_eq!(found, [(tensors[0].clone(), vec![1; 102]), (tensors[1].clone(), vec![2; 20])]);
        assert!(!folder.path().join("a.gguf.part").exists());
    }

    #[test]
    fn a_file_that_is_cut_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gguf");
        let tensors = [Tensor { name: "a".into(), shape: vec![64], format: Format::F32 }];
        write(&path, &Fields::default(), &tensors, |_, _| {}).unwrap();
        let bytes = fs::read(&path).unwrap();
        for length in [0, 10, 40, bytes.len() - 1] {
            fs::write(&path, &bytes[..length]).unwrap();
            assert!(Source::read(&path).is_err(), "{length}");
        }
    }
}
