//! Who this node is: one Ed25519 key, sealed in `identity.key`, that names it and signs for it.

use crate::{Entropy, EntropyError, KeyError, OpenError, Sealer, private_file};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use kith_types::NodeId;
use std::{fmt, path::Path};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// The file in the data folder: 7 bytes of magic, a version, the public key, and the sealed private key.
const FILE: &str = "identity.key";
const MAGIC: &[u8; 7] = b"kith-id";
const VERSION: u8 = 1;
const HEADER_LEN: usize = MAGIC.len() + 1 + 32;
const FILE_LEN: usize = HEADER_LEN + 32 + Sealer::OVERHEAD;

/// A node's key pair. The private half is wiped from memory when dropped; only the mesh's transport is given it.
pub struct Identity {
    key: SigningKey,
    node_id: NodeId,
}

/// A signature is not that node's signature of that message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid")]
pub struct SignatureError;

impl Identity {
    /// The identity kept in `dir/identity.key` (0600), or a new one where there is no such file. Blocks; for start-up.
    ///
    /// # Errors
    /// A file that is there but cannot be read, is damaged, or was sealed with another key is an error, never a new identity.
    pub fn load_or_create(dir: &Path, sealer: &Sealer) -> Result<Self, KeyError> {
        let path = dir.join(FILE);
        if let Some(file) = private_file::read(&path)? {
            return Self::decode(&path, &file, sealer);
        }
        let mut secret = Zeroizing::new([0; 32]);
        sealer.entropy().fill(secret.as_mut_slice())?;
        let made = Self::from_secret(&secret);
        if private_file::create(&path, &made.encode(sealer)?)? {
            return Ok(made);
        }
        // Another process was faster; its identity is the node's.
        let file = private_file::read(&path)?.ok_or_else(|| KeyError::Missing { path: path.clone() })?;
        Self::decode(&path, &file, sealer)
    }

    /// Whether `dir` holds an identity, readable or not.
    pub(crate) fn is_in(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// This node's id.
    pub fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    /// The Ed25519 signature of `message`; the same every time.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// Checks that the node `signer` signed `message`. Strict: keys of small order and signatures in a second form are refused.
    ///
    /// # Errors
    /// [`SignatureError`] for any other signature.
    pub fn verify(signer: &NodeId, message: &[u8], signature: &[u8; 64]) -> Result<(), SignatureError> {
        VerifyingKey::from_bytes(&signer.ed25519())
            .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
            .map_err(|_| SignatureError)
    }

    /// A fresh identity that is kept nowhere: a key of an occasion, or a node of a test.
    ///
    /// # Errors
    /// No random bytes.
    pub fn ephemeral(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(secret.as_mut_slice())?;
        Ok(Self::from_secret(&secret))
    }

    /// The 32 bytes of which the key is made, for the transport of the mesh alone, which proves with it that the connection is this
    /// node's. Wiped when dropped; to be kept nowhere.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The key itself, for what else this crate does with it.
    pub(crate) fn signing_key(&self) -> &SigningKey {
        &self.key
    }

    fn from_secret(secret: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(secret);
        let node_id = NodeId::from_ed25519(key.verifying_key().as_bytes());
        Self { key, node_id }
    }

    fn encode(&self, sealer: &Sealer) -> Result<Vec<u8>, KeyError> {
        let sealed = sealer.seal(&purpose(&self.node_id), self.key.as_bytes())?;
        Ok([MAGIC.as_slice(), &[VERSION], self.key.verifying_key().as_bytes(), &sealed].concat())
    }

    fn decode(path: &Path, file: &[u8], sealer: &Sealer) -> Result<Self, KeyError> {
        let header = file.get(..HEADER_LEN).ok_or_else(|| KeyError::damaged(path, format!("only {} bytes", file.len())))?;
        let (magic, rest) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(KeyError::damaged(path, "not a node's key"));
        }
        match rest.split_first() {
            Some((&VERSION, _)) => {}
            Some((&version, _)) if version > VERSION => return Err(KeyError::NewerFormat { path: path.to_owned(), version }),
            _ => return Err(KeyError::damaged(path, "format 0 was never written")),
        }
        if file.len() != FILE_LEN {
            return Err(KeyError::damaged(path, format!("{} bytes instead of {FILE_LEN}", file.len())));
        }
        let mut public = [0; 32];
        public.copy_from_slice(&rest[1..]);
        let tampered = || KeyError::Tampered { path: path.to_owned() };
        let secret = sealer.open(&purpose(&NodeId::from_ed25519(&public)), &file[HEADER_LEN..]).map_err(|error| match error {
            OpenError::NewerFormat(version) => KeyError::NewerFormat { path: path.to_owned(), version },
            OpenError::Truncated | OpenError::Unauthentic => tampered(),
        })?;
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(&secret);
        let identity = Self::from_secret(&bytes);
        if identity.key.verifying_key().as_bytes() == &public { Ok(identity) } else { Err(tampered()) }
    }
}

/// The public key is part of the purpose, so that it cannot be exchanged in the file.
fn purpose(node_id: &NodeId) -> String {
    format!("identity {node_id}")
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.node_id.as_str()).finish()
    }
}

// The signing key wipes itself; the node id is public.
impl ZeroizeOnDrop for Identity {}

#[cfg(test)]
mod tests;
