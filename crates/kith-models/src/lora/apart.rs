//! An adapter's matrices by themselves, their rows as the model's file has them: for engines that add them while they answer.

use super::{Lora, failed, fit::source_row};
use crate::{ModelError, gguf::Gguf};
use std::{fs::File, path::Path};

/// What an adapter adds to one of a model's matrices: `strength * B * A`.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrices {
    /// The model's tensor, by its name in the model's file.
    pub target: String,
    /// Rows of A and columns of B; at most [`super::MAX_RANK`].
    pub rank: usize,
    /// Columns of A: the inputs of the model's matrix.
    pub inputs: usize,
    /// Rows of B: the outputs of the model's matrix.
    pub outputs: usize,
    /// A, row after row.
    pub a: Vec<f32>,
    /// B, row after row, in the order of the model's rows.
    pub b: Vec<f32>,
    /// The adapter's own strength: `alpha / rank`, or what stands for it.
    pub strength: f32,
}

impl Lora {
    /// The matrices, read one pair at a time as they are asked for; each takes memory for itself alone. Blocks as long as the disk does.
    ///
    /// # Errors
    /// [`ModelError::BadFile`] if the adapter does not fit the model at `base`, or holds values that are not numbers.
    pub fn matrices(
        self,
        base: &Path,
    ) -> Result<impl Iterator<Item = Result<Matrices, ModelError>> + Send + 'static + use<>, ModelError> {
        let gguf = Gguf::read(&File::open(base).map_err(failed)?)?;
        let mut heads = vec![None; self.pairs.len()];
        for change in self.fit(&gguf)?.into_values() {
            if let Some(heads) = heads.get_mut(change.pair) {
                *heads = change.reordered;
            }
        }
        let file = File::open(&self.path).map_err(failed)?;
        Ok(self.pairs.into_iter().zip(heads).map(move |(pair, heads)| {
            // The shapes were seen to be those of a tensor whose bytes are there.
            let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            let (rank, inputs, outputs) = (count(pair.a.rows), count(pair.a.columns), count(pair.b.rows));
            let a = pair.a.load(&file, &pair.target)?;
            let given = pair.b.load(&file, &pair.target)?;
            let b = match heads.map(count) {
                None => given,
                Some(heads) => {
                    (0..outputs).flat_map(|row| &given[source_row(row, outputs, heads) * rank..][..rank]).copied().collect()
                }
            };
            Ok(Matrices { target: pair.target, rank, inputs, outputs, a, b, strength: pair.strength })
        }))
    }
}
