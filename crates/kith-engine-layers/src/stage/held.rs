//! How much of a model a stage holds.

use super::Stage;
use crate::weights::{Forward, Head, Heads, Inner, Layer};
use kith_kernels::Matrix;

impl Stage {
    /// Bytes of the model's weights that it holds: those of its layers and of its head as the kernels want them, and the embedding's in the
    /// mapped file, where it has them. Windows that make up a model hold together what the whole does.
    pub fn weights(&self) -> u64 {
        let layers: usize = self.layers.iter().map(layer).sum();
        let head = self.head.as_ref().map_or(0, |Head { norm, output, .. }| floats(norm) + matrix(output));
        let embedding = if self.window.embedding { self.embedding.bytes() } else { 0 };
        (layers + head + embedding) as u64
    }
}

fn layer(layer: &Layer) -> usize {
    let Layer { attention_norm, heads, output, output_bias, attention_post_norm, forward_norm, forward, forward_post_norm } =
        layer;
    let Heads { queries, keys, values, biases, norms } = heads;
    let forward = match forward {
        Forward::Dense(part) => inner(part),
        Forward::Experts(router, parts) => matrix(router) + parts.iter().map(inner).sum::<usize>(),
    };
    let vectors = [
        Some(attention_norm),
        output_bias.as_ref(),
        attention_post_norm.as_ref(),
        Some(forward_norm),
        forward_post_norm.as_ref(),
    ];
    let vectors = vectors.into_iter().flatten().chain(biases.iter().flatten()).chain(norms.iter().flatten());
    [queries, keys, values, output].map(matrix).iter().sum::<usize>()
        + forward
        + vectors.map(|vector| floats(vector)).sum::<usize>()
}

fn inner(Inner { gate, up, down }: &Inner) -> usize {
    [gate, up, down].map(matrix).iter().sum()
}

fn matrix(matrix: &Matrix) -> usize {
    matrix.panels().len()
}

const fn floats(values: &[f32]) -> usize {
    size_of_val(values)
}
