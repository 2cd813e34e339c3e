//! Folding an adapter into a copy of a model: the changed tensors are decoded, added to and written anew, all else is copied.

use super::{
    Lora, Pair, bad, failed,
    fit::{Change, source_row},
    shown,
};
use crate::{
    ModelError,
    gguf::{GgmlType, Gguf, TensorInfo, blocks, half::f32_to_f16},
};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// Bytes read and written at once.
const BUFFER: usize = 1 << 18;

/// What merging did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeReport {
    /// Bytes written.
    pub bytes: u64,
    /// Tensors changed.
    pub changed: usize,
}

/// A merge that is known to be possible, and how large its outcome will be.
#[derive(Debug)]
pub struct Plan<'a> {
    lora: &'a Lora,
    base: File,
    gguf: Gguf,
    changes: HashMap<usize, Change>,
    /// Types and offsets of the tensors in the new file.
    written: Vec<(GgmlType, u64)>,
    header: u64,
    size: u64,
}

/// Writes the model at `base`, with `lora` folded in at `scale` times its own strength, to `out`.
///
/// Takes memory for one row of the model and one pair of the adapter's matrices. The same inputs give the same bytes, always: each
/// element is `w + s * (b[0]*a[0] + b[1]*a[1] + …)`, summed in `f32` in that order.
///
/// # Errors
/// [`ModelError::BadFile`] if the adapter does not fit the model, or makes weights too large to be written.
pub fn merge(base: &Path, lora: &Lora, scale: f32, out: &mut impl Write) -> Result<MergeReport, ModelError> {
    Plan::of(base, lora)?.write(scale, out)
}

/// How a changed tensor is written: with as many bits as its values need, since blocks would round the change away.
fn written_as(kind: GgmlType) -> GgmlType {
    if kind == GgmlType::F32 { GgmlType::F32 } else { GgmlType::F16 }
}

impl<'a> Plan<'a> {
    /// Looks whether `lora` fits the model at `base`.
    pub fn of(base: &Path, lora: &'a Lora) -> Result<Self, ModelError> {
        let base = File::open(base).map_err(failed)?;
        let gguf = Gguf::read(&base)?;
        let changes = lora.fit(&gguf)?;
        let mut end = 0_u64;
        let mut written = Vec::with_capacity(gguf.tensors.len());
        for (at, tensor) in gguf.tensors.iter().enumerate() {
            let kind = if changes.contains_key(&at) { written_as(tensor.kind) } else { tensor.kind };
            let offset = end.next_multiple_of(gguf.alignment);
            written.push((kind, offset));
            end = offset.saturating_add(TensorInfo { kind, ..tensor.clone() }.bytes());
        }
        let descriptions: u64 = gguf.tensors.iter().map(|t| 8 + t.name.len() as u64 + 4 + 8 * t.shape.len() as u64 + 12).sum();
        let header = (gguf.metadata_end + descriptions).next_multiple_of(gguf.alignment);
        Ok(Self { lora, base, size: header.saturating_add(end), header, gguf, changes, written })
    }

    /// Bytes that [`Plan::write`] will write.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Does it.
    pub fn write(&self, scale: f32, out: &mut impl Write) -> Result<MergeReport, ModelError> {
        if !scale.is_finite() {
            return bad("the strength asked for is not a number");
        }
        let adapter = File::open(&self.lora.path).map_err(failed)?;
        let mut out = Counted { out: BufWriter::with_capacity(BUFFER, out), count: 0 };
        self.copy(0, self.gguf.metadata_end, &mut out)?;
        self.describe(&mut out).map_err(failed)?;
        out.pad_to(self.header).map_err(failed)?;
        for (at, (tensor, (kind, offset))) in self.gguf.tensors.iter().zip(&self.written).enumerate() {
            out.pad_to(self.header + offset).map_err(failed)?;
            match self.changes.get(&at) {
                None => self.copy(self.gguf.data_offset + tensor.offset, tensor.bytes(), &mut out)?,
                Some(change) => {
                    let pair = &self.lora.pairs[change.pair];
                    let rows = Rows::load(pair, change, &adapter, scale)?;
                    self.add(tensor, *kind, &rows, &mut out)?;
                }
            }
        }
        out.out.flush().map_err(failed)?;
        Ok(MergeReport { bytes: out.count, changed: self.changes.len() })
    }

    /// Copies bytes of the base as they are.
    fn copy(&self, from: u64, count: u64, out: &mut impl Write) -> Result<(), ModelError> {
        let mut base = &self.base;
        base.seek(SeekFrom::Start(from)).map_err(failed)?;
        let copied = io::copy(&mut BufReader::with_capacity(BUFFER, base.take(count)), out).map_err(failed)?;
        if copied == count { Ok(()) } else { bad("the model's file has become shorter meanwhile") }
    }

    /// Writes the tensors' descriptions with their new types and places.
    fn describe(&self, out: &mut impl Write) -> io::Result<()> {
        for (tensor, (kind, offset)) in self.gguf.tensors.iter().zip(&self.written) {
            out.write_all(&(tensor.name.len() as u64).to_le_bytes())?;
            out.write_all(tensor.name.as_bytes())?;
            out.write_all(&(tensor.shape.len() as u32).to_le_bytes())?;
            for dimension in &tensor.shape {
                out.write_all(&dimension.to_le_bytes())?;
            }
            out.write_all(&kind.code().to_le_bytes())?;
            out.write_all(&offset.to_le_bytes())?;
        }
        Ok(())
    }

    /// Writes a tensor's rows, each with the adapter's part added.
    fn add(&self, tensor: &TensorInfo, kind: GgmlType, rows: &Rows, out: &mut impl Write) -> Result<(), ModelError> {
        let columns = rows.columns;
        let mut base = &self.base;
        base.seek(SeekFrom::Start(self.gguf.data_offset + tensor.offset)).map_err(failed)?;
        let mut base = BufReader::with_capacity(BUFFER, base);
        let mut bytes = vec![0; columns / tensor.kind.block() as usize * tensor.kind.block_bytes() as usize];
        let (mut row, mut sum) = (vec![0.0; columns], vec![0.0; columns]);
        let mut encoded = Vec::with_capacity(columns * 4);
        let end = if kind == GgmlType::F32 { f32::INFINITY } else { HALF_END };
        for at in 0..rows.rows {
            base.read_exact(&mut bytes).map_err(failed)?;
            if !blocks::decode(tensor.kind, &bytes, &mut row) {
                return bad(format!("the model's `{}` cannot be decoded", shown(&tensor.name)));
            }
            rows.sum(at, &mut sum);
            encoded.clear();
            for (value, added) in row.iter().zip(&sum) {
                let value = value + rows.strength * added;
                // Not a number is not less either.
                let storable = value.abs() < end;
                if !storable {
                    return bad(format!("the adapter makes weights of `{}` larger than can be stored", shown(&tensor.name)));
                }
                match kind {
                    GgmlType::F32 => encoded.extend(value.to_le_bytes()),
                    _ => encoded.extend(f32_to_f16(value).to_le_bytes()),
                }
            }
            out.write_all(&encoded).map_err(failed)?;
        }
        Ok(())
    }
}

/// The least number that binary16 rounds to infinity.
const HALF_END: f32 = 65_520.0;

/// The adapter's part of one tensor, by the model's rows.
struct Rows {
    a: Vec<f32>,
    b: Vec<f32>,
    rank: usize,
    rows: usize,
    columns: usize,
    strength: f32,
    reordered: Option<usize>,
}

impl Rows {
    fn load(pair: &Pair, change: &Change, adapter: &File, scale: f32) -> Result<Self, ModelError> {
        // The shapes were seen to be those of a tensor whose bytes are there.
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Ok(Self {
            a: pair.a.load(adapter, &pair.target)?,
            b: pair.b.load(adapter, &pair.target)?,
            rank: count(pair.a.rows),
            rows: count(pair.b.rows),
            columns: count(pair.a.columns),
            strength: scale * pair.strength,
            reordered: change.reordered.map(count),
        })
    }

    /// Row `row` of B * A.
    fn sum(&self, row: usize, sum: &mut [f32]) {
        let row = self.reordered.map_or(row, |heads| source_row(row, self.rows, heads));
        sum.fill(0.0);
        let factors = &self.b[row * self.rank..][..self.rank];
        for (factor, a) in factors.iter().zip(self.a.chunks_exact(self.columns.max(1))) {
            for (sum, a) in sum.iter_mut().zip(a) {
                *sum += factor * a;
            }
        }
    }
}

/// Counts what is written, so that padding knows where it stands.
struct Counted<W: Write> {
    out: W,
    count: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Counted<W> {
    /// Writes zeros up to this place.
    fn pad_to(&mut self, place: u64) -> io::Result<()> {
        let missing = place.saturating_sub(self.count);
        io::copy(&mut io::repeat(0).take(missing), self).map(|_| ())
    }
}
