//! The desktop keyring as a port: three calls, each bounded in time because a session bus may hang for ever.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use zeroize::Zeroizing;

/// The longest a keyring is waited for. It is asked on a thread that is then left to itself.
const PATIENCE: Duration = Duration::from_secs(2);
const SERVICE: &str = "kith";

/// Why a keyring did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct KeyringError(pub(crate) String);

/// A keyring's secrets by account. Calls may block for long.
pub(crate) trait Keyring: Send + Sync + 'static {
    /// The secret, `None` where the keyring is open and has none.
    fn get(&self, account: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeyringError>;
    /// Keeps `secret` in place of what was there.
    fn put(&self, account: &str, secret: &[u8]) -> Result<(), KeyringError>;
    /// Forgets the secret, if there is one.
    fn delete(&self, account: &str) -> Result<(), KeyringError>;
}

/// This desktop's keyring, `None` where there is plainly no session to hold one: known without asking anybody.
pub(crate) fn os_keyring() -> Option<Arc<dyn Keyring>> {
    has_session().then(|| Arc::new(OsKeyring) as Arc<dyn Keyring>)
}

#[cfg(any(target_os = "macos", target_os = "windows"))]
fn has_session() -> bool {
    true
}

/// The Secret Service is reached over the session bus: at its address, or at its usual socket.
#[cfg(not(any(target_os = "macos", target_os = "windows")))]
fn has_session() -> bool {
    std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some_and(|address| !address.is_empty())
        || std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|dir| std::path::Path::new(&dir).join("bus").exists())
}

/// Does `work` with the keyring, waiting two seconds at most.
pub(crate) fn bounded<T: Send + 'static>(
    keyring: Arc<dyn Keyring>,
    work: impl FnOnce(&dyn Keyring) -> Result<T, KeyringError> + Send + 'static,
) -> Result<T, KeyringError> {
    bounded_by(PATIENCE, keyring, work)
}

pub(super) fn bounded_by<T: Send + 'static>(
    patience: Duration,
    keyring: Arc<dyn Keyring>,
    work: impl FnOnce(&dyn Keyring) -> Result<T, KeyringError> + Send + 'static,
) -> Result<T, KeyringError> {
    // One answer at most, so the thread never blocks on sending it.
    let (answer, answered) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("keyring".to_owned())
        .spawn(move || {
            // Nobody waits any more where this fails.
            let _ = answer.send(work(keyring.as_ref()));
        })
        .map_err(|error| KeyringError(format!("no thread to ask it on: {error}")))?;
    match answered.recv_timeout(patience) {
        Ok(outcome) => outcome,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(KeyringError(format!("no answer in {} ms", patience.as_millis()))),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(KeyringError("it failed while answering".to_owned())),
    }
}

struct OsKeyring;

impl OsKeyring {
    fn entry(account: &str) -> Result<keyring::Entry, KeyringError> {
        // The status has the reason; the constructor only says that there is no keyring.
        if let Err(error) = keyring::Entry::store_status() {
            return Err(told(error));
        }
        keyring::Entry::new(SERVICE, account).map_err(|error| told(&error))
    }
}

fn told(error: &keyring::Error) -> KeyringError {
    KeyringError(error.to_string())
}

impl Keyring for OsKeyring {
    fn get(&self, account: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeyringError> {
        match Self::entry(account)?.get_secret() {
            Ok(secret) => Ok(Some(Zeroizing::new(secret))),
            Err(keyring::Error::NoEntry) => Ok(None),
            Err(error) => Err(told(&error)),
        }
    }

    fn put(&self, account: &str, secret: &[u8]) -> Result<(), KeyringError> {
        Self::entry(account)?.set_secret(secret).map_err(|error| told(&error))
    }

    fn delete(&self, account: &str) -> Result<(), KeyringError> {
        match Self::entry(account)?.delete_credential() {
            Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
            Err(error) => Err(told(&error)),
        }
    }
}
