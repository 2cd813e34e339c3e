//! Seals secrets at rest: XChaCha20-Poly1305 under a random nonce, bound to what the secret is for.

use crate::{
    Entropy, EntropyError, KeyError,
    sealing::{self, KeyProvider, SealedBy},
};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, AeadInPlace, KeyInit, Payload},
};
use std::{fmt, path::Path, sync::Arc};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// The first byte of everything sealed in the present form: version, 24 bytes of nonce, ciphertext, 16 bytes of tag.
const VERSION: u8 = 1;
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
/// Keeps these seals apart from other uses of the same cipher.
const DOMAIN: &[u8] = b"kith/seal/v1\0";

/// Seals and opens with one key, which is wiped from memory when the sealer is dropped.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    by: SealedBy,
    entropy: Arc<dyn Entropy>,
}

/// Something sealed could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is shorter than any sealed thing.
    #[error("it is cut short")]
    Truncated,
    /// A later release sealed it.
    #[error("it has format {0}, which this release does not know")]
    NewerFormat(u8),
    /// It was changed, sealed with another key, or sealed for another purpose.
    #[error("it was changed, or sealed with another key or for another purpose")]
    Unauthentic,
}

impl Sealer {
    /// How many bytes a sealed secret has more than the plain one.
    pub const OVERHEAD: usize = 1 + NONCE_LEN + TAG_LEN;

    /// The sealer of the data folder `dir`. Its key is in the desktop keyring or in `dir/sealing.key`, whichever `dir/sealing.json`
    /// says; where nothing says yet, both are made as `provider` wants.
    ///
    /// [`KeyProvider::Auto`] takes the keyring if one answers within two seconds, and the file at once where there is no desktop
    /// session. [`KeyProvider::File`] moves a key out of the keyring if it is there. Blocks; for start-up.
    ///
    /// # Errors
    /// Every [`KeyError`]; a key once recorded is never replaced by a new one.
    pub fn load_or_create(dir: &Path, provider: KeyProvider, entropy: Arc<dyn Entropy>) -> Result<Self, KeyError> {
        let (key, by) = sealing::load_or_create(dir, provider, entropy.as_ref(), sealing::os_keyring())?;
        Ok(Self::with_key(&key, by, entropy))
    }

    pub(crate) fn with_key(key: &[u8; 32], by: SealedBy, entropy: Arc<dyn Entropy>) -> Self {
        Self { cipher: XChaCha20Poly1305::new(key.into()), by, entropy }
    }

    /// Where the sealing key lies.
    pub fn sealed_by(&self) -> SealedBy {
        self.by
    }

    /// The source of random bytes this sealer draws its nonces from.
    pub fn entropy(&self) -> &Arc<dyn Entropy> {
        &self.entropy
    }

    /// Seals `secret` for `purpose`; only [`Sealer::open`] with the same purpose opens it.
    ///
    /// # Errors
    /// No random bytes for the nonce.
    pub fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, EntropyError> {
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce)?;
        // The plain text is encrypted where the sealed bytes will lie, so no second copy of it is left in memory.
        let mut sealed = Vec::with_capacity(secret.len() + Self::OVERHEAD);
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(secret);
        let body = &mut sealed[1 + NONCE_LEN..];
        let tag = self
            .cipher
            .encrypt_in_place_detached(XNonce::from_slice(&nonce), &associated(purpose), body)
            .map_err(|_| EntropyError("more than 256 GiB under one nonce".to_owned()))?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what [`Sealer::seal`] sealed for `purpose`. The secret is wiped when dropped.
    ///
    /// # Errors
    /// [`OpenError`]; nothing of the secret is then given out.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        match sealed.first() {
            Some(&VERSION) => {}
            Some(&version) if version > VERSION => return Err(OpenError::NewerFormat(version)),
            Some(_) => return Err(OpenError::Unauthentic),
            None => return Err(OpenError::Truncated),
        }
        if sealed.len() < Self::OVERHEAD {
            return Err(OpenError::Truncated);
        }
        let (nonce, body) = sealed[1..].split_at(NONCE_LEN);
        self.cipher
            .decrypt(XNonce::from_slice(nonce), Payload { msg: body, aad: &associated(purpose) })
            .map(Zeroizing::new)
            .map_err(|_| OpenError::Unauthentic)
    }
}

fn associated(purpose: &str) -> Vec<u8> {
    [DOMAIN, purpose.as_bytes()].concat()
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("by", &self.by).finish_non_exhaustive()
    }
}

// The cipher wipes its key; nothing else here is secret.
impl ZeroizeOnDrop for Sealer {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OsEntropy, entropy::tests::NoEntropy};
    use proptest::prelude::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::with_key(&[byte; 32], SealedBy::File, Arc::new(OsEntropy))
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened_with_the_same_key_and_purpose_only(secret in any::<Vec<u8>>(), purpose in ".{0,20}", other in ".{0,20}") {
            prop_assume!(purpose != other);
            let sealed = sealer(1).seal(&purpose, &secret).unwrap();
            prop_assert_eq!(sealed.len(), secret.len() + Sealer::OVERHEAD);
            let opened = sealer(1).open(&purpose, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), secret.as_slice());
            prop_assert_eq!(sealer(1).open(&other, &sealed), Err(OpenError::Unauthentic));
            prop_assert_eq!(sealer(2).open(&purpose, &sealed), Err(OpenError::Unauthentic));
        }

        #[test]
        fn a_change_of_any_bit_is_noticed(secret in prop::collection::vec(any::<u8>(), 0..64), bit in any::<prop::sample::Index>()) {
            let mut sealed = sealer(1).seal("test", &secret).unwrap();
            let bit = bit.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(sealer(1).open("test", &sealed).is_err());
        }

        #[test]
        fn nonsense_and_cut_ends_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), keep in 0..80usize) {
            prop_assert!(sealer(1).open("test", &bytes).is_err());
            let sealed = sealer(1).seal("test", &[5; 64]).unwrap();
            prop_assert!(sealer(1).open("test", &sealed[..keep]).is_err());
        }
    }

    #[test]
    fn the_same_secret_never_looks_the_same_twice() {
        let sealer = sealer(1);
        assert_ne!(sealer.seal("test", b"secret").unwrap(), sealer.seal("test", b"secret").unwrap());
    }

    #[test]
    fn the_sealed_form_stays_readable_by_later_releases() {
        struct Counting;
        impl Entropy for Counting {
            fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
                bytes.iter_mut().zip(0u8..).for_each(|(byte, i)| *byte = i);
                Ok(())
            }
        }
        let sealer = Sealer::with_key(&[1; 32], SealedBy::File, Arc::new(Counting));
        let sealed = sealer.seal("test", b"hello").unwrap();
        assert_eq!(hex::encode(&sealed), SEALED_BY_FIRST_RELEASE);
        assert_eq!(sealer.open("test", &hex::decode(SEALED_BY_FIRST_RELEASE).unwrap()).unwrap().as_slice(), b"hello");
    }

    const SEALED_BY_FIRST_RELEASE: &str =
        "01000102030405060708090a0b0c0d0e0f101112131415161710b5b7e9f2f0f82e1725f44d55fa736d8d0df4dc1e";

    #[test]
    fn a_later_format_is_named() {
        let mut sealed = sealer(1).seal("test", b"secret").unwrap();
        sealed[0] = 2;
        assert_eq!(sealer(1).open("test", &sealed), Err(OpenError::NewerFormat(2)));
        assert_eq!(sealer(1).open("test", &[]), Err(OpenError::Truncated));
    }

    #[test]
    fn without_random_bytes_nothing_is_sealed() {
        let sealer = Sealer::with_key(&[1; 32], SealedBy::File, Arc::new(NoEntropy));
        assert!(sealer.seal("test", b"secret").is_err());
    }

    #[test]
    fn the_key_is_wiped_on_drop_and_never_printed() {
        fn wiped<T: ZeroizeOnDrop>() {}
        wiped::<Sealer>();
        wiped::<XChaCha20Poly1305>();
        assert_eq!(format!("{:?}", sealer(1)), "Sealer { by: File, .. }");
    }
}
