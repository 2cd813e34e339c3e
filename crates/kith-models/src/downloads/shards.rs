//! A model of the hub by its shards. A node keeps whole models: every shard, or none.

use super::{Downloads, Item};
use crate::{SourceError, hub::MAX_SHARDS};
use std::collections::BTreeSet;

/// Which shards are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shards {
    /// Every one.
    All,
    /// Those with these indices.
    These(Vec<u32>),
    /// The one that this node should hold so that all nodes together hold the model.
    FairShare,
}

impl Downloads {
    /// Fetches a file of the hub, whether or not anybody follows.
    ///
    /// # Errors
    /// [`SourceError::Unsupported`] for a part of a model; [`SourceError::Name`] for an index that the model does not have.
    pub async fn start_shards(&self, repo: &str, filename: &str, shards: Shards) -> Result<Item, SourceError> {
        let reference = match shards {
            Shards::All => self.hub().file(repo, filename).await?.0,
            Shards::FairShare => {
                return Err(SourceError::Unsupported(
                    "this node keeps whole models, not its share of one: ask for all shards".to_owned(),
                ));
            }
            Shards::These(indices) => {
                if indices.is_empty() || indices.len() as u64 > MAX_SHARDS {
                    return Err(SourceError::Name(format!("`shards` takes 1 to {MAX_SHARDS} indices")));
                }
                let probe = self.hub().probe(repo, filename).await?;
                whole(&indices, probe.shards.len())?;
                probe.reference
            }
        };
        self.start(reference, false)
    }
}

/// Sees that the indices are all of `0..count`.
fn whole(indices: &[u32], count: usize) -> Result<(), SourceError> {
    let wanted: BTreeSet<usize> = indices.iter().map(|index| usize::try_from(*index).unwrap_or(usize::MAX)).collect();
    if let Some(beyond) = wanted.iter().find(|index| **index >= count) {
        return Err(SourceError::Name(format!("there is no shard {beyond}: the model has {count}, from 0")));
    }
    if wanted.len() < count {
        return Err(SourceError::Unsupported(format!(
            "this node keeps whole models, not single shards: ask for all {count} shards"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_model_is_refused_and_not_taken_for_the_whole() {
        assert!(whole(&[0, 1, 2], 3).is_ok() && whole(&[2, 1, 0, 0], 3).is_ok());
        assert!(matches!(whole(&[0, 2], 3), Err(SourceError::Unsupported(_))));
        assert!(matches!(whole(&[0, 3], 3), Err(SourceError::Name(_))));
    }
}
