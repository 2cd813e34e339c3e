//! The token by which the command line on this machine proves that it may read the data folder.

use crate::{AccessError, mint::random_token};
use kith_keys::{Entropy, private_file};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const FILE: &str = "admin.token";

/// The file `admin.token` (0600) of a running node: a fresh token at each start, removed when this is dropped. A node that was killed
/// leaves its file, whose token opens nothing any more.
pub struct AdminTokenFile {
    path: PathBuf,
    token: Zeroizing<String>,
}

impl AdminTokenFile {
    /// Writes a fresh token to `dir/admin.token`, in place of what is there. Blocks; for start-up.
    ///
    /// # Errors
    /// [`AccessError::Entropy`], [`AccessError::TokenFile`].
    pub fn create(dir: &Path, entropy: &dyn Entropy) -> Result<Self, AccessError> {
        let token = Zeroizing::new(random_token("kitha_", entropy)?);
        let path = dir.join(FILE);
        private_file::replace(&path, token.as_bytes())?;
        Ok(Self { path, token })
    }

    /// The token of the node that runs on `dir`, `None` where none wrote one. Blocks.
    ///
    /// # Errors
    /// [`AccessError::TokenFile`] when the file cannot be read, as when it is another user's.
    pub fn read(dir: &Path) -> Result<Option<Zeroizing<String>>, AccessError> {
        let Some(bytes) = private_file::read(&dir.join(FILE))? else { return Ok(None) };
        let text = str::from_utf8(&bytes).unwrap_or_default().trim();
        Ok((!text.is_empty()).then(|| Zeroizing::new(text.to_owned())))
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl Drop for AdminTokenFile {
    fn drop(&mut self) {
        // A later node may have put its own there.
        let ours = private_file::read(&self.path).ok().flatten().is_some_and(|bytes| bytes.ct_eq(self.token.as_bytes()).into());
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "the admin token's file could not be removed");
        }
    }
}

impl fmt::Debug for AdminTokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AdminTokenFile").field(&self.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_keys::OsEntropy;

    #[test]
    fn each_start_writes_a_fresh_token_and_each_stop_removes_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(AdminTokenFile::read(folder.path()).unwrap(), None);
        let first = AdminTokenFile::create(folder.path(), &OsEntropy).unwrap();
        assert_eq!(AdminTokenFile::read(folder.path()).unwrap().unwrap().as_str(), first.token());
        let old = first.token().to_owned();
        drop(first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_ne!(AdminTokenFile::create(folder.path(), &OsEntropy).unwrap().token(), old);
    }

    #[test]
    fn a_node_that_stops_leaves_the_file_of_a_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let first = AdminTokenFile::create(folder.path(), &OsEntropy).unwrap();
        let second = AdminTokenFile::create(folder.path(), &OsEntropy).unwrap();
        drop(first);
        assert_eq!(AdminTokenFile::read(folder.path()).unwrap().unwrap().as_str(), second.token());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_it_and_it_is_never_printed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = AdminTokenFile::create(folder.path(), &OsEntropy).unwrap();
        assert_eq!(fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{file:?}").contains(file.token()));
    }

    #[test]
    fn an_empty_file_holds_no_token() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), " \n").unwrap();
        assert_eq!(AdminTokenFile::read(folder.path()).unwrap(), None);
    }
}
