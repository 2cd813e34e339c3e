//! Keys of providers: how they are held in memory, and the port to the place where they lie sealed.

use async_trait::async_trait;
use kith_types::Timestamp;
use std::fmt;
use zeroize::Zeroizing;

/// The longest key, in bytes.
const MAX_KEY: usize = 512;

/// A key. It is wiped from memory when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a key: 1 to 512 visible ASCII characters, without the blanks around them.
    ///
    /// # Errors
    /// One sentence that does not repeat the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_KEY || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("a key has 1 to {MAX_KEY} visible ASCII characters"));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The key itself: for the provider it belongs to, and for sealing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is kept of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptProvider {
    /// The provider's name.
    pub name: String,
    /// Its key.
    pub key: Option<Secret>,
    /// The address the key is for; `None` is the provider's own.
    pub base_url: Option<String>,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// Keys could not be read or kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyStoreError {
    /// The disk is full; nothing was changed.
    #[error("there is no room left on the disk")]
    Full,
    /// Anything else; the text is for the log.
    #[error("{0}")]
    Failed(String),
}

/// Where keys lie, sealed.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// All that is kept. A key that can no longer be opened is left out.
    async fn load(&self) -> Result<Vec<KeptProvider>, KeyStoreError>;

    /// Replaces what is kept of these providers, all or none; what has neither key nor address is removed. On disk when it returns.
    async fn save(&self, changed: Vec<KeptProvider>) -> Result<(), KeyStoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed_not_even_where_it_is_refused() {
        let key = Secret::parse(" sk-secret ").unwrap();
        assert_eq!(key.expose(), "sk-secret");
        assert!(!format!("{key:?}").contains("sk-secret"));
        for bad in ["", "  ", "sk secret", "sk-\nsecret", "schlüssel"] {
            assert!(!Secret::parse(bad).unwrap_err().contains("secret"), "{bad:?}");
        }
        assert!(Secret::parse(&"x".repeat(MAX_KEY)).is_ok() && Secret::parse(&"x".repeat(MAX_KEY + 1)).is_err());
    }
}
