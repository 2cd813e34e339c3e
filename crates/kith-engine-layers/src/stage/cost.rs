//! What a token costs a stage, for reports that speak of fractions of a machine.

use super::Stage;
use crate::weights::{Forward, Layer};
use kith_kernels::Matrix;

/// What one more token costs a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Weights of the layers' matrices that it is multiplied with; of experts, those that work on it.
    pub weights: u64,
    /// Bytes of weights that are read for it when it comes alone and its logits are asked for: those of the same matrices as the kernels want
    /// them, and the head's.
    pub bytes: u64,
}

impl Stage {
    /// What one more token costs.
    pub fn cost(&self) -> Cost {
        let used = self.shape.experts.map_or(0, |experts| experts.used);
        let layers = || self.layers.iter().flat_map(|layer| matrices(layer, used));
        let head = self.head.iter().map(|head| &head.output);
        Cost {
            weights: layers().map(|matrix| matrix.rows() as u64 * matrix.depth() as u64).sum(),
            bytes: layers().chain(head).map(|matrix| matrix.panels().len() as u64).sum(),
        }
    }
}

/// The matrices of a layer that work on a token; experts are all of one size.
fn matrices(layer: &Layer, used: usize) -> Vec<&Matrix> {
    let heads = &layer.heads;
    let mut all = vec![&heads.queries, &heads.keys, &heads.values, &layer.output];
    match &layer.forward {
        Forward::Dense(inner) => all.extend([&inner.gate, &inner.up, &inner.down]),
        Forward::Experts(router, experts) => {
            all.push(router);
            all.extend(experts.iter().take(used).flat_map(|inner| [&inner.gate, &inner.up, &inner.down]));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use crate::{
        made::{EXPERTS, EXPERTS_USED, HEAD, HEADS, INNER, KV_HEADS, LAYERS, Made, VOCABULARY, WIDTH},
        stage::{Cost, Stage, StageOptions, Window},
    };
    use kith_kernels::Format;

    fn cost(name: &str, window: Option<Window>) -> Cost {
        let file = Made::new(name, Format::F32, 1).file();
        Stage::load(file.path(), &StageOptions { window, ..StageOptions::default() }).unwrap().cost()
    }

    #[test]
    fn a_token_costs_the_matrices_of_the_layers_and_reads_the_head_too() {
        let attention = WIDTH * HEAD * (2 * HEADS + 2 * KV_HEADS);
        let layer = (attention + 3 * WIDTH * INNER) as u64;
        let head = (WIDTH * VOCABULARY) as u64;
        let whole = cost("llama", None);
        assert_eq!(whole, Cost { weights: LAYERS as u64 * layer, bytes: 4 * (LAYERS as u64 * layer + head) });
        let part = cost("llama", Some(Window { layers: 2..4, embedding: false, head: false }));
        assert_eq!(part, Cost { weights: 2 * layer, bytes: 8 * layer });
    }

    #[test]
    fn of_experts_only_those_count_that_work_on_a_token() {
        let dense = cost("llama", None).weights;
        let own = cost("llama with experts", None).weights;
        let router = WIDTH * EXPERTS;
        assert_eq!(own - dense, (LAYERS * (router + (EXPERTS_USED - 1) * 3 * WIDTH * INNER)) as u64);
    }
}
