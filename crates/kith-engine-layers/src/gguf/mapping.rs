//! A file in memory without reading it: the one place of this crate that needs `unsafe`.

use std::{fs::File, io, path::Path};

/// The bytes of a file, read by the system as they are looked at.
#[derive(Debug)]
pub(crate) struct Mapping(memmap2::Mmap);

impl Mapping {
    /// Maps the file at `path`.
    #[allow(unsafe_code, reason = "mapping a file that another process could change")]
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the bytes are only ever read, as plain numbers that may have any value, and text taken from them is copied first. Model
        // files are put in place whole and never changed; whoever truncates one while it is in use ends this process, as with a library.
        unsafe { memmap2::Mmap::map(&file) }.map(Self)
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
