//! The node's identity, signatures and the sealing of secrets at rest.
//!
//! A key that cannot be read is an error and never a new key: a node that changed its identity would be a stranger to its peers.

mod entropy;
mod envelope;
mod error;
mod identity;
pub mod private_file;
mod sealer;
mod sealing;

pub use entropy::{Entropy, EntropyError, OsEntropy};
pub use envelope::{ENVELOPE_OVERHEAD, EnvelopeError, seal_to};
pub use error::KeyError;
pub use identity::{Identity, SignatureError};
pub use sealer::{OpenError, Sealer};
pub use sealing::{KeyProvider, KeyProviderError, SealedBy};
