//! Other nodes of the owner's network as a source of models: of bytes before the internet, and of names where their origin does not
//! tell. Implemented where the network is known.

use crate::Overrides;
use async_trait::async_trait;
use kith_blobs::{BlobError, Put, Room};
use kith_types::{Blake3, ModelName, Sha256};
use std::sync::Arc;

/// A model as a neighbour has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The digest of its bytes.
    pub sha256: Sha256,
    /// Their number.
    pub size: u64,
    /// What belongs to it beside its file.
    pub overrides: Overrides,
    /// Who told it, by the names their owners gave them.
    pub by: Vec<String>,
}

/// Bytes that are wanted.
#[derive(Debug)]
pub struct Asked {
    /// Their digest: nothing else is taken.
    pub sha256: Sha256,
    /// Their number; of more, none are taken.
    pub size: u64,
    /// Whether their origin was reached, and told the digest and the size: then they come from there if neighbours are silent, or slow.
    /// Otherwise both are neighbours' word alone, and nobody else has them.
    pub elsewhere: bool,
    /// Room that was promised for them; without it, room is reserved.
    pub room: Option<Room>,
    /// Bytes of the disk that stay free beside them.
    pub spare: u64,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// So many bytes are there.
    Came {
        /// Those of earlier attempts included.
        bytes: u64,
        /// Those who gave of them in this attempt, by the names their owners gave them.
        from: Vec<String>,
    },
    /// All are there, and are read again.
    Verifying,
}

/// Is given the steps. It must be quick.
pub type Tell = Arc<dyn Fn(Step) + Send + Sync>;

/// Bytes did not come from neighbours.
#[derive(Debug, thiserror::Error)]
pub enum NoNeighbour {
    /// Nobody who is connected has them, or gives what is missing of them.
    #[error("no device of the network gives it")]
    Nobody {
        /// The blob whose pieces came all the same, if some did.
        came: Option<Blake3>,
    },
    /// They cannot be kept here.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// The nodes of the owner's network.
#[async_trait]
pub trait Neighbours: Send + Sync + 'static {
    /// The model of exactly this name, as the most of those who have one have it; `None` where nobody has. It takes seconds at most.
    async fn find(&self, name: &ModelName) -> Option<Told>;

    /// Fetches bytes from all who have them, and stores them. Dropping the future stops it; what came is kept for the next attempt.
    async fn fetch(&self, asked: Asked, tell: Tell) -> Result<Put, NoNeighbour>;
}

/// For a node in no network.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNeighbours;

#[async_trait]
impl Neighbours for NoNeighbours {
    async fn find(&self, _name: &ModelName) -> Option<Told> {
        None
    }

    async fn fetch(&self, _asked: Asked, _tell: Tell) -> Result<Put, NoNeighbour> {
        Err(NoNeighbour::Nobody { came: None })
    }
}
