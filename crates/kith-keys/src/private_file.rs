//! Small files for one pair of eyes: owner only, written whole or not at all, on the disk before the call returns.

use crate::KeyError;
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// The largest private file that is read, in bytes; keys and tokens are far smaller.
pub const MAX_LEN: usize = 4096;

/// Writes `bytes` to `path` in place of what is there, readable by the owner only (0600 on Unix). A crash leaves the old file or the
/// new one, never a part. Missing folders are made (0700).
///
/// # Errors
/// [`KeyError::Io`] when the disk does not take it; the old file is then untouched.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let folder = folder_of(path)?;
    written(folder, bytes)
        .and_then(|file| Ok(file.persist(path)?))
        .and_then(|_| sync_folder(folder))
        .map_err(|source| KeyError::Io { path: path.to_owned(), source })
}

/// As [`replace`], but an existing file is left alone: says whether this call made the file.
///
/// # Errors
/// [`KeyError::Io`] when the disk does not take it.
pub fn create(path: &Path, bytes: &[u8]) -> Result<bool, KeyError> {
    let folder = folder_of(path)?;
    let io = |source| KeyError::Io { path: path.to_owned(), source };
    match written(folder, bytes).map_err(io)?.persist_noclobber(path) {
        Ok(_) => sync_folder(folder).map_err(io).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(io(error.error)),
    }
}

/// Reads the file at `path` (at most [`MAX_LEN`] bytes), `None` where there is none. Permissions that let others in are put right
/// first. The bytes are wiped when dropped.
///
/// # Errors
/// [`KeyError::Io`], and [`KeyError::Damaged`] for a file that is too large.
pub fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let io = |source| KeyError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    close_to_others(&file, path).map_err(io)?;
    // Room for all of it at once: a buffer that grew would leave unwiped copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN + 1));
    file.take(MAX_LEN as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() > MAX_LEN {
        return Err(KeyError::damaged(path, format!("more than {MAX_LEN} bytes")));
    }
    Ok(Some(bytes))
}

fn folder_of(path: &Path) -> Result<&Path, KeyError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| KeyError::Io { path: folder.to_owned(), source })?;
    Ok(folder)
}

/// A new temporary file (0600 from its first moment) with `bytes` on the disk.
fn written(folder: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(".private-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes a rename in `folder` outlast a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened as a file, and the rename is journalled.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
fn close_to_others(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), mode = format!("{mode:o}"), "others could open a private file; its permissions are put right");
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

// On Windows the user's profile folder keeps others out.
#[cfg(not(unix))]
fn close_to_others(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/token");
        assert!(read(&path).unwrap().is_none());
        replace(&path, b"a longer first text").unwrap();
        replace(&path, b"second").unwrap();
        assert_eq!(read(&path).unwrap().unwrap().as_slice(), b"second");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays behind");
    }

    #[test]
    fn creating_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(create(&path, b"first").unwrap());
        assert!(!create(&path, b"second").unwrap());
        assert_eq!(read(&path).unwrap().unwrap().as_slice(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_over_the_bound_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, vec![7; MAX_LEN]).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().len(), MAX_LEN);
        fs::write(&path, vec![7; MAX_LEN + 1]).unwrap();
        assert!(matches!(read(&path), Err(KeyError::Damaged { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_look_and_wrong_permissions_are_put_right() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/key");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        create(&path, b"secret").unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        read(&path).unwrap().unwrap();
        assert_eq!(mode(&path), 0o600);
        replace(&path, b"secret two").unwrap();
        assert_eq!(mode(&path), 0o600);
    }
}
