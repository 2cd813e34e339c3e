//! The key of a network: 256 bits that every connection begins with, in the three-line form of private IPFS networks.

use kith_keys::{Entropy, EntropyError};
use std::fmt;
use zeroize::Zeroizing;

const CONTEXT: &str = "kith psk commitment v1";
const HEADER: &str = "/key/swarm/psk/1.0.0/";
const ENCODING: &str = "/base16/";

/// A pre-shared key. Wiped from memory when dropped; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Psk(Zeroizing<[u8; 32]>);

/// A text was not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a network's key has three lines: /key/swarm/psk/1.0.0/, /base16/ and 64 hexadecimal digits")]
pub struct PskError;

impl Psk {
    /// A fresh key.
    ///
    /// # Errors
    /// No random bytes.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut_slice())?;
        Ok(Self(bytes))
    }

    /// The key of these 32 bytes; `None` for another number of them.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// The bytes of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The three-line form, with a line end after each.
    pub fn to_text(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(hex::encode(self.0.as_slice()));
        Zeroizing::new(format!("{HEADER}\n{ENCODING}\n{}\n", digits.as_str()))
    }

    /// Reads the three-line form; line ends of any kind, and blanks around the lines.
    ///
    /// # Errors
    /// [`PskError`] for anything else.
    pub fn from_text(text: &str) -> Result<Self, PskError> {
        if text.len() > 256 {
            return Err(PskError);
        }
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let [HEADER, ENCODING, digits] = lines.as_slice() else { return Err(PskError) };
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, key.as_mut_slice()).map_err(|_| PskError)?;
        Ok(Self(key))
    }

    /// What may be told of the key to everybody: it binds to the key and gives nothing of it away.
    pub fn commitment(&self) -> [u8; 32] {
        blake3::derive_key(CONTEXT, self.0.as_slice())
    }

    /// The commitment's first 64 bits, 16 hexadecimal digits: the name of the key.
    pub fn key_id(&self) -> String {
        key_id(&self.commitment())
    }
}

/// The name of the key with this commitment.
pub(crate) fn key_id(commitment: &[u8; 32]) -> String {
    let mut digits = hex::encode(commitment);
    digits.truncate(16);
    digits
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Psk").field(&self.key_id()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_is_read_as_it_was_written(bytes in any::<[u8; 32]>()) {
            let key = Psk::from_slice(&bytes).unwrap();
            let text = key.to_text();
            prop_assert_eq!(text.lines().count(), 3);
            prop_assert_eq!(&Psk::from_text(&text).unwrap(), &key);
            prop_assert_eq!(&Psk::from_text(&text.replace('\n', "\r\n")).unwrap(), &key);
            let printed = format!("{key:?}");
            prop_assert!(!printed.contains(&hex::encode(bytes)), "the key is printed");
        }

        #[test]
        fn any_other_text_is_an_error_and_no_panic(text in "(?s).{0,200}") {
            prop_assert!(Psk::from_text(&text).is_err());
        }
    }

    #[test]
    fn a_key_with_another_head_a_digit_less_or_a_line_more_is_none() {
        let text = Psk::from_slice(&[7; 32]).unwrap().to_text();
        assert!(Psk::from_text(&text.replace("1.0.0", "2.0.0")).is_err());
        assert!(Psk::from_text(&text.replace("base16", "base64")).is_err());
        assert!(Psk::from_text(text.trim_end_matches(['\n', '7'])).is_err());
        assert!(Psk::from_text(&format!("{}00\n", text.as_str())).is_err());
        assert_eq!(Psk::from_slice(&[7; 31]), None);
    }
}
