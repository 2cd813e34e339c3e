//! A file in memory without reading it: the one place of this crate that needs `unsafe`.

use std::{fs::File, io, path::Path};

/// The bytes of a file, read by the system as they are looked at.
#[derive(Debug)]
pub(crate) struct Mapping {
    bytes: memmap2::Mmap,
    file: File,
}

impl Mapping {
    /// Maps the file at `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?)
    }

    /// The same file once more, of which nothing has been looked at yet: once this one is dropped, none of it takes up memory.
    pub(crate) fn again(&self) -> io::Result<Self> {
        Self::of(self.file.try_clone()?)
    }

    #[allow(unsafe_code, reason = "mapping a file that another process could change")]
    fn of(file: File) -> io::Result<Self> {
        // SAFETY: the bytes are only ever read, as plain numbers that may have any value, and text taken from them is copied first. Model
        // files are put in place whole and never changed; whoever truncates one while it is in use ends this process, as with a library.
        let bytes = unsafe { memmap2::Mmap::map(&file) }?;
        Ok(Self { bytes, file })
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
