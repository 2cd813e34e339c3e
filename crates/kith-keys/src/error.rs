//! Why a key could not be loaded, made or kept; each variant is something else to do about it.

use crate::EntropyError;
use std::{io, path::PathBuf};

/// A key could not be loaded or made. None of these ever leads to a new key in place of an old one.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The keyring that holds the sealing key does not answer now; it may later.
    #[error(
        "the key is in the desktop keyring, which is locked or absent ({reason}); sign in to the desktop and unlock it, then start again"
    )]
    KeyringUnavailable {
        /// What the keyring says.
        reason: String,
    },
    /// The keyring answers, but no longer holds the sealing key.
    #[error(
        "the desktop keyring holds no key `{account}` for kith: it was removed, or belongs to another user; restore it or the folder"
    )]
    KeyringEntryMissing {
        /// The account in the keyring.
        account: String,
    },
    /// A file that belongs to the others in the folder is gone.
    #[error("{path} is missing, and what it sealed cannot be read without it; restore it from a copy of the folder", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file is cut short or is something else.
    #[error("{path} is damaged ({what}); restore it from a copy of the folder", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file was written by a later release.
    #[error("{path} has format {version}, which this release does not know; use a newer one", path = path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format's number.
        version: u8,
    },
    /// A file was changed by somebody, or sealed with a key other than this folder's.
    #[error("{path} was tampered with, or sealed with another key; restore it from a copy of the folder", path = path.display())]
    Tampered {
        /// The file.
        path: PathBuf,
    },
    /// No random bytes, so no key.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl KeyError {
    pub(crate) fn damaged(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.into(), what: what.into() }
    }
}
