//! Envelopes: bytes sealed to another node by its id alone, so that only the holder of that node's key opens them.
//!
//! X25519 between a key pair made for this one envelope and the recipient's Ed25519 key (as its Montgomery form, which is the same
//! secret), BLAKE3's key derivation, ChaCha20-Poly1305. The sender is not told: who must be known signs what is inside.

use crate::{Entropy, EntropyError, Identity, OpenError};
use chacha20poly1305::{
    ChaCha20Poly1305, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use ed25519_dalek::{SigningKey, VerifyingKey};
use kith_types::NodeId;
use zeroize::Zeroizing;

/// The first byte of every envelope in the present form: version, 32 bytes of the envelope's own public key, ciphertext, 16 of tag.
const VERSION: u8 = 1;
const KEY_LEN: usize = 32;
const TAG_LEN: usize = 16;
/// Keeps these keys apart from every other use of the same curve.
const CONTEXT: &str = "kith envelope v1";

/// Something could not be put into an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The node's id holds a key to which nothing can be sealed (a point of small order, or none at all).
    #[error("nothing can be sealed to `{0}`: its key is not one")]
    WeakKey(NodeId),
    /// No random bytes for the envelope's own key.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// How many bytes an envelope has more than what is in it.
pub const ENVELOPE_OVERHEAD: usize = 1 + KEY_LEN + TAG_LEN;

/// Seals `secret` to the node `to` for `purpose`; only [`open_envelope`] by that node with the same purpose opens it.
///
/// # Errors
/// [`EnvelopeError`].
pub fn seal_to(to: &NodeId, purpose: &str, secret: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, EnvelopeError> {
    let weak = || EnvelopeError::WeakKey(to.clone());
    let recipient = VerifyingKey::from_bytes(&to.ed25519()).map_err(|_| weak())?;
    let mut seed = Zeroizing::new([0; KEY_LEN]);
    entropy.fill(seed.as_mut_slice())?;
    let own = SigningKey::from_bytes(&seed);
    let own_public = own.verifying_key().to_bytes();
    let key = agreed(&own, &recipient, &own_public, recipient.as_bytes()).ok_or_else(weak)?;
    let mut sealed = Vec::with_capacity(secret.len() + ENVELOPE_OVERHEAD);
    sealed.push(VERSION);
    sealed.extend_from_slice(&own_public);
    // The key is of this envelope alone, so a nonce of zeros is used once.
    let body = ChaCha20Poly1305::new(key.as_slice().into())
        .encrypt(&Nonce::default(), Payload { msg: secret, aad: purpose.as_bytes() })
        .map_err(|_| EntropyError("more than 256 GiB under one key".to_owned()))?;
    sealed.extend_from_slice(&body);
    Ok(sealed)
}

impl Identity {
    /// Opens what [`seal_to`] sealed to this node for `purpose`. What was inside is wiped when dropped.
    ///
    /// # Errors
    /// [`OpenError`]; nothing of the contents is then given out.
    pub fn open_envelope(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        match sealed.first() {
            Some(&VERSION) => {}
            Some(&version) if version > VERSION => return Err(OpenError::NewerFormat(version)),
            Some(_) => return Err(OpenError::Unauthentic),
            None => return Err(OpenError::Truncated),
        }
        if sealed.len() < ENVELOPE_OVERHEAD {
            return Err(OpenError::Truncated);
        }
        let (theirs, body) = sealed[1..].split_at(KEY_LEN);
        let mut public = [0; KEY_LEN];
        public.copy_from_slice(theirs);
        let sender = VerifyingKey::from_bytes(&public).map_err(|_| OpenError::Unauthentic)?;
        let own = self.signing_key();
        let key = agreed(own, &sender, &public, own.verifying_key().as_bytes()).ok_or(OpenError::Unauthentic)?;
        ChaCha20Poly1305::new(key.as_slice().into())
            .decrypt(&Nonce::default(), Payload { msg: body, aad: purpose.as_bytes() })
            .map(Zeroizing::new)
            .map_err(|_| OpenError::Unauthentic)
    }
}

/// The key of one envelope; `None` where the other point is of small order, so that anybody could know it. Both public keys go into
/// it, so that the envelope holds for this pair alone.
fn agreed(own: &SigningKey, other: &VerifyingKey, ephemeral: &[u8; 32], recipient: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
    if other.is_weak() {
        return None;
    }
    let scalar = Zeroizing::new(own.to_scalar_bytes());
    let shared = Zeroizing::new(other.to_montgomery().mul_clamped(*scalar).to_bytes());
    if *shared == [0; 32] {
        return None;
    }
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(shared.as_slice()).update(ephemeral).update(recipient);
    Some(Zeroizing::new(*hasher.finalize().as_bytes()))
}

#[cfg(test)]
mod tests;
