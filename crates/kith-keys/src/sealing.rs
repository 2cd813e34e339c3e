//! Where a data folder's sealing key lies: in the desktop keyring or in `sealing.key`, as `sealing.json` records.

mod keyring_port;

pub(crate) use keyring_port::{Keyring, os_keyring};

use crate::{Entropy, Identity, KeyError, private_file};
use keyring_port::{KeyringError, bounded};
use serde::{Deserialize, Serialize};
use std::{path::Path, str::FromStr, sync::Arc};
use zeroize::Zeroizing;

/// Which provider sealed; without it nothing tells a locked keyring from a first start.
const RECORD: &str = "sealing.json";
/// The sealing key itself, 32 bytes, where there is no keyring.
const KEY_FILE: &str = "sealing.key";

pub(crate) type Key = Zeroizing<[u8; 32]>;

/// Where the user wants the sealing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyProvider {
    /// In the desktop keyring if one answers at the first start, else in a file.
    #[default]
    Auto,
    /// In a file: for machines without a desktop, and tests.
    File,
}

/// A key provider's name was neither `auto` nor `file`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown key provider `{0}`: use `auto` or `file`")]
pub struct KeyProviderError(pub String);

impl FromStr for KeyProvider {
    type Err = KeyProviderError;

    fn from_str(text: &str) -> Result<Self, KeyProviderError> {
        match text {
            "auto" => Ok(Self::Auto),
            "file" => Ok(Self::File),
            other => Err(KeyProviderError(other.to_owned())),
        }
    }
}

/// Where the sealing key lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SealedBy {
    /// In the desktop keyring, service `kith`.
    Keyring,
    /// In the file `sealing.key`.
    File,
}

impl SealedBy {
    /// `keyring` or `file`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keyring => "keyring",
            Self::File => "file",
        }
    }
}

/// The content of `sealing.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    provider: SealedBy,
    /// The folder's random id, and its account in the keyring.
    id: String,
}

pub(crate) fn load_or_create(
    dir: &Path,
    wanted: KeyProvider,
    entropy: &dyn Entropy,
    keyring: Option<Arc<dyn Keyring>>,
) -> Result<(Key, SealedBy), KeyError> {
    match (read_record(dir)?, wanted) {
        (Some(record), wanted) => match (record.provider, wanted) {
            (SealedBy::File, _) => Ok((existing_file(dir)?, SealedBy::File)),
            (SealedBy::Keyring, KeyProvider::Auto) => Ok((from_keyring(keyring, &record.id)?, SealedBy::Keyring)),
            (SealedBy::Keyring, KeyProvider::File) => moved_to_file(dir, keyring, record).map(|key| (key, SealedBy::File)),
        },
        (None, wanted) => first_start(dir, wanted, entropy, keyring),
    }
}

/// Without a record: a first start, or one that was cut off before the record was written.
fn first_start(
    dir: &Path,
    wanted: KeyProvider,
    entropy: &dyn Entropy,
    keyring: Option<Arc<dyn Keyring>>,
) -> Result<(Key, SealedBy), KeyError> {
    let mut id = [0; 8];
    entropy.fill(&mut id)?;
    let id = hex::encode(id);
    if let Some(key) = read_key_file(dir)? {
        write_record(dir, &Record { provider: SealedBy::File, id })?;
        return Ok((key, SealedBy::File));
    }
    if Identity::is_in(dir) {
        return Err(KeyError::Missing { path: dir.join(RECORD) });
    }
    let mut key = Key::default();
    entropy.fill(key.as_mut_slice())?;
    let mut by = SealedBy::File;
    if let (KeyProvider::Auto, Some(keyring)) = (wanted, &keyring) {
        let (account, secret) = (id.clone(), key.clone());
        match bounded(Arc::clone(keyring), move |keyring| kept(keyring, &account, &secret)) {
            Ok(()) => by = SealedBy::Keyring,
            Err(error) => tracing::warn!(%error, "no use of the desktop keyring; the sealing key is kept in a file"),
        }
    }
    if by == SealedBy::File && !private_file::create(&dir.join(KEY_FILE), key.as_slice())? {
        key = existing_file(dir)?;
    }
    if create_record(dir, &Record { provider: by, id })? {
        return Ok((key, by));
    }
    // Another process was faster; its record holds.
    load_or_create(dir, wanted, entropy, keyring)
}

/// Puts the key into the keyring and looks whether it is there: some keyrings take everything and keep nothing.
fn kept(keyring: &dyn Keyring, account: &str, key: &Key) -> Result<(), KeyringError> {
    keyring.put(account, key.as_slice())?;
    match keyring.get(account)? {
        Some(read) if read.as_slice() == key.as_slice() => Ok(()),
        _ => Err(KeyringError("it did not keep the key".to_owned())),
    }
}

fn from_keyring(keyring: Option<Arc<dyn Keyring>>, account: &str) -> Result<Key, KeyError> {
    let unavailable = |error: KeyringError| KeyError::KeyringUnavailable { reason: error.0 };
    let keyring = keyring.ok_or_else(|| unavailable(KeyringError("there is no desktop session".to_owned())))?;
    let wanted = account.to_owned();
    let bytes = bounded(keyring, move |keyring| keyring.get(&wanted))
        .map_err(unavailable)?
        .ok_or_else(|| KeyError::KeyringEntryMissing { account: account.to_owned() })?;
    key_of(&bytes)
        .ok_or_else(|| KeyError::damaged(format!("keyring:kith/{account}"), format!("{} bytes instead of 32", bytes.len())))
}

/// The user wants a file now: the key moves, so that everything sealed with it stays readable.
fn moved_to_file(dir: &Path, keyring: Option<Arc<dyn Keyring>>, record: Record) -> Result<Key, KeyError> {
    // A move cut off after the file was written left the same key in both places.
    let key = match read_key_file(dir)? {
        Some(key) => key,
        None => {
            let key = from_keyring(keyring.clone(), &record.id)?;
            private_file::replace(&dir.join(KEY_FILE), key.as_slice())?;
            key
        }
    };
    write_record(dir, &Record { provider: SealedBy::File, id: record.id.clone() })?;
    tracing::info!("the sealing key was moved from the desktop keyring to a file");
    if let Some(Err(error)) = keyring.map(|keyring| bounded(keyring, move |keyring| keyring.delete(&record.id))) {
        tracing::warn!(%error, "the sealing key's old entry could not be removed from the desktop keyring");
    }
    Ok(key)
}

fn existing_file(dir: &Path) -> Result<Key, KeyError> {
    read_key_file(dir)?.ok_or_else(|| KeyError::Missing { path: dir.join(KEY_FILE) })
}

fn read_key_file(dir: &Path) -> Result<Option<Key>, KeyError> {
    let path = dir.join(KEY_FILE);
    let Some(bytes) = private_file::read(&path)? else { return Ok(None) };
    key_of(&bytes).map(Some).ok_or_else(|| KeyError::damaged(path, format!("{} bytes instead of 32", bytes.len())))
}

fn key_of(bytes: &[u8]) -> Option<Key> {
    let mut key = Key::default();
    (bytes.len() == key.len()).then(|| {
        key.copy_from_slice(bytes);
        key
    })
}

fn read_record(dir: &Path) -> Result<Option<Record>, KeyError> {
    let path = dir.join(RECORD);
    let Some(bytes) = private_file::read(&path)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| KeyError::damaged(path, error.to_string()))
}

fn encoded(record: &Record) -> Result<Vec<u8>, KeyError> {
    serde_json::to_vec(record).map_err(|error| KeyError::damaged(RECORD, error.to_string()))
}

fn write_record(dir: &Path, record: &Record) -> Result<(), KeyError> {
    private_file::replace(&dir.join(RECORD), &encoded(record)?)
}

fn create_record(dir: &Path, record: &Record) -> Result<bool, KeyError> {
    private_file::create(&dir.join(RECORD), &encoded(record)?)
}

#[cfg(test)]
mod tests;
