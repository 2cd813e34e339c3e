//! Weights as the kernels want them, kept in a file, so that the next start only has to map it.
//!
//! A file holds all matrices of one stage in the order they are loaded. It is used only for the very model file and window it was made from
//! (by size and time of change), and only by kernels that lay weights out in the same way, which a fingerprint tells. It is written aside,
//! brought to the disk and then renamed, so there is never half of one. Anything wrong with it means that weights are laid out anew.

use crate::{gguf::Mapping, stage::Window};
use kith_kernels::{Format, GROUP, Matrix, Pool, SUPER_BLOCK};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

const MAGIC: &[u8; 8] = b"KITHPAN1";
/// What matrices are aligned to.
const ALIGNMENT: usize = 64;
/// Words before the lengths: the identity, then how many there are.
const WORDS: usize = 7;
const ENDING: &str = "panels";

/// What a file must have been made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    name: String,
    words: [u64; WORDS - 1],
}

impl Origin {
    /// Of a window of the model file at `path`.
    pub(crate) fn of(path: &Path, window: &Window) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        let changed = found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ends = u64::from(window.embedding) | u64::from(window.head) << 1;
        let (first, last) = (window.layers.start as u64, window.layers.end as u64);
        let changed = u64::try_from(changed.as_nanos()).unwrap_or(u64::MAX);
        let words = [found.len(), changed, first, last, ends, fingerprint()];
        Ok(Self { name: format!("{name}.{first}-{last}-{ends}"), words })
    }

    fn file(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.{ENDING}", self.name))
    }
}

/// How the kernels lay weights out: a digest of a small matrix in every format.
fn fingerprint() -> u64 {
    let pool = Pool::new(1);
    let mut digest = 0xcbf2_9ce4_8422_2325u64;
    for format in Format::ALL {
        let length = format.row_bytes(SUPER_BLOCK).unwrap_or(0) * 16;
        let bytes: Vec<u8> = (0..length).map(|at| (at * 37 % 251) as u8).collect();
        if let Ok(matrix) = Matrix::repack(&pool, format, 16, SUPER_BLOCK, &bytes) {
            for byte in matrix.panels() {
                digest = (digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
    digest ^ GROUP as u64
}

/// A file of panels, mapped.
pub(crate) struct Panels {
    file: Arc<dyn AsRef<[u8]> + Send + Sync>,
    /// Where each matrix begins, and how many bytes it has.
    places: Vec<(usize, usize)>,
}

impl Panels {
    /// The file in `folder` that was made from this; `None` if there is none, or if it is not whole.
    pub(crate) fn open(folder: &Path, origin: &Origin) -> Option<Self> {
        let file = Mapping::open(&origin.file(folder)).ok()?;
        let bytes: &[u8] = file.as_ref();
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (words, _) = rest.as_chunks::<8>();
        let mut words = words.iter().copied().map(u64::from_le_bytes);
        if magic != MAGIC || origin.words.iter().any(|word| words.next().as_ref() != Some(word)) {
            return None;
        }
        let count = usize::try_from(words.next()?).ok().filter(|count| *count <= bytes.len() / 8)?;
        let mut at = (8 * (1 + WORDS + count)).next_multiple_of(ALIGNMENT);
        let mut places = Vec::with_capacity(count);
        for length in words.take(count) {
            let length = usize::try_from(length).ok()?;
            places.push((at, length));
            at = at.checked_add(length)?.checked_next_multiple_of(ALIGNMENT)?;
        }
        (places.len() == count && at <= bytes.len()).then(|| Self { file: Arc::new(file), places })
    }

    /// The matrix of this number, if it is of this size.
    pub(crate) fn matrix(&self, number: usize, format: Format, rows: usize, depth: usize) -> Option<Matrix> {
        let (start, length) = *self.places.get(number)?;
        let fits = Matrix::bytes_needed(format, rows, depth) == Ok(length);
        fits.then(|| Matrix::from_panels(format, rows, depth, Arc::clone(&self.file), start).ok()).flatten()
    }
}

/// Matrices that are not in a file yet.
pub(crate) struct Unsaved {
    pub(crate) folder: PathBuf,
    pub(crate) origin: Origin,
    pub(crate) matrices: Vec<Matrix>,
}

impl Unsaved {
    /// Writes them. Takes as long as the disk does.
    pub(crate) fn save(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let aside = self.origin.file(&self.folder).with_extension(format!("{ENDING}.part"));
        let written = self.write(&aside).and_then(|()| fs::rename(&aside, self.origin.file(&self.folder)));
        if written.is_err() {
            // What is left of it is of no use; that it cannot be removed changes nothing.
            let _ = fs::remove_file(&aside);
        }
        written
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        out.write_all(MAGIC)?;
        let count = self.matrices.len() as u64;
        let lengths = self.matrices.iter().map(|matrix| matrix.panels().len() as u64);
        for word in self.origin.words.iter().copied().chain([count]).chain(lengths) {
            out.write_all(&word.to_le_bytes())?;
        }
        let mut at = 8 * (1 + WORDS + self.matrices.len());
        for panels in std::iter::once([].as_slice()).chain(self.matrices.iter().map(Matrix::panels)) {
            out.write_all(panels)?;
            at += panels.len();
            let padding = at.next_multiple_of(ALIGNMENT) - at;
            out.write_all(&[0; ALIGNMENT][..padding])?;
            at += padding;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

#[cfg(test)]
mod tests;
