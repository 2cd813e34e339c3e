//! Weights as the kernels want them, kept in a file, so that the next start only has to map it.
//!
//! A file holds all matrices of one stage in the order they are loaded. It is used only for the very model file and window it was made from
//! (by size and time of change), and only by kernels that lay weights out in the same way, which a fingerprint tells. It is written aside,
//! brought to the disk and then renamed, so there is never half of one. Anything wrong with it means that weights are laid out anew.
//! At its end stands the model file's path, so that files of models that are gone can be found and removed.

use crate::{gguf::Mapping, stage::Window};
use kith_kernels::{Format, GROUP, Matrix, Pool, SUPER_BLOCK};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const MAGIC: &[u8; 8] = b"KITHPAN2";
/// What matrices are aligned to.
const ALIGNMENT: usize = 64;
/// Words before the lengths: the identity, then how many there are.
const WORDS: usize = 7;
const ENDING: &str = "panels";
/// The ending of files that are being written.
const UNFINISHED: &str = "part";
/// How long a file is written at most; what is older was left behind.
const WRITING: Duration = Duration::from_secs(3600);
/// The longest path that is read from a file.
const LONGEST_PATH: u64 = 1 << 16;

/// What a file must have been made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    name: String,
    path: PathBuf,
    words: [u64; WORDS - 1],
}

impl Origin {
    /// Of a window of the model file at `path`.
    pub(crate) fn of(path: &Path, window: &Window) -> io::Result<Self> {
        let [length, changed] = identity(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ends = u64::from(window.embedding) | u64::from(window.head) << 1;
        let (first, last) = (window.layers.start as u64, window.layers.end as u64);
        let words = [length, changed, first, last, ends, fingerprint()];
        Ok(Self { path: std::path::absolute(path)?, name: format!("{name}.{first}-{last}-{ends}"), words })
    }

    fn file(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.{ENDING}", self.name))
    }
}

/// What tells a model file from another one at the same place: its length, and when it was changed.
fn identity(path: &Path) -> io::Result<[u64; 2]> {
    let found = fs::metadata(path)?;
    let changed = found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok([found.len(), u64::try_from(changed.as_nanos()).unwrap_or(u64::MAX)])
}

/// Removes files of panels whose model file is gone or another one now, and what was left half written. How many bytes that freed.
///
/// # Errors
/// That the folder cannot be read; a file that cannot be read or removed is left for the next time.
pub fn remove_stale_panels(folder: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut freed = 0;
    for entry in entries.flatten() {
        let (path, Ok(about)) = (entry.path(), entry.metadata()) else { continue };
        let ending = path.extension().and_then(|ending| ending.to_str());
        let stale = match ending {
            Some(ENDING) => is_stale(&path).unwrap_or(false),
            Some(UNFINISHED) => {
                about.modified().is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > WRITING))
            }
            _ => false,
        };
        if stale && fs::remove_file(&path).is_ok() {
            freed += about.len();
        }
    }
    Ok(freed)
}

/// Whether the model that a file of panels was made from is gone.
fn is_stale(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut start = [0; 24];
    file.read_exact(&mut start)?;
    let mut word = [0; 8];
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut word)?;
    let length = u64::from_le_bytes(word);
    if start[..8] != *MAGIC || length > LONGEST_PATH {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-8 - i64::try_from(length).unwrap_or(0)))?;
    let mut model = String::new();
    file.take(length).read_to_string(&mut model)?;
    match identity(Path::new(&model)) {
        Ok(now) => Ok(start[8..] != *now.map(u64::to_le_bytes).as_flattened()),
        Err(error) => Ok(error.kind() == io::ErrorKind::NotFound),
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
        let (_, path) = bytes.split_last_chunk::<8>()?;
        let end = usize::try_from(u64::from_le_bytes(*path)).ok()?.checked_add(8)?.checked_add(at)?;
        (places.len() == count && end == bytes.len()).then(|| Self { file: Arc::new(file), places })
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
    /// Bytes that the file will take.
    pub(crate) fn bytes(&self) -> u64 {
        self.matrices.iter().map(|matrix| matrix.panels().len() as u64).sum()
    }

    /// Writes them, unless it is to give up. Takes as long as the disk does; `false` if it gave up.
    pub(crate) fn save(&self, give_up: &dyn Fn() -> bool) -> io::Result<bool> {
        /// Tells the writers of one program apart: the same model may be loaded again while it is written.
        static WRITERS: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(&self.folder)?;
        let writer = format!("{ENDING}.{}-{}.{UNFINISHED}", std::process::id(), WRITERS.fetch_add(1, Ordering::Relaxed));
        let whole = self.origin.file(&self.folder);
        let aside = whole.with_extension(writer);
        let written = self.write(&aside, give_up).and_then(|written| {
            if written {
                fs::rename(&aside, &whole)?;
            }
            Ok(written)
        });
        if !matches!(written, Ok(true)) {
            // What is left of it is of no use; that it cannot be removed changes nothing.
            let _ = fs::remove_file(&aside);
        }
        written
    }

    fn write(&self, path: &Path, give_up: &dyn Fn() -> bool) -> io::Result<bool> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create_new(path)?);
        out.write_all(MAGIC)?;
        let count = self.matrices.len() as u64;
        let lengths = self.matrices.iter().map(|matrix| matrix.panels().len() as u64);
        for word in self.origin.words.iter().copied().chain([count]).chain(lengths) {
            out.write_all(&word.to_le_bytes())?;
        }
        let mut at = 8 * (1 + WORDS + self.matrices.len());
        for panels in std::iter::once([].as_slice()).chain(self.matrices.iter().map(Matrix::panels)) {
            if give_up() {
                return Ok(false);
            }
            out.write_all(panels)?;
            at += panels.len();
            let padding = at.next_multiple_of(ALIGNMENT) - at;
            out.write_all(&[0; ALIGNMENT][..padding])?;
            at += padding;
        }
        let model = self.origin.path.to_string_lossy();
        out.write_all(model.as_bytes())?;
        out.write_all(&(model.len() as u64).to_le_bytes())?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
