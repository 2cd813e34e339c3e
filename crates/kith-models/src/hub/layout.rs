//! How a model of many layers would be cut into shards: whole layers, near-equal bytes, the embedding first and the output last.

use crate::gguf::Gguf;

/// The size that shards are aimed at, in MiB.
pub const SHARD_MIB: u64 = 512;
/// The most shards of one model.
pub const MAX_SHARDS: u64 = 256;

/// One shard: some layers in a row, with the embedding if it is the first, with the output if it is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Its place, from 0.
    pub index: u32,
    /// Its first layer.
    pub first_layer: u32,
    /// The layer after its last.
    pub end_layer: u32,
    /// Bytes of its tensors.
    pub size: u64,
}

/// Cuts a model into shards of about `shard_size` bytes. A model without layers is one shard.
pub fn layout(gguf: &Gguf, shard_size: u64) -> Vec<Shard> {
    let layers = usize::try_from(gguf.block_count().unwrap_or(0)).unwrap_or(0).min(gguf.tensors.len());
    let mut weights = vec![0u64; layers];
    let (mut head, mut tail) = (0u64, 0u64);
    for tensor in &gguf.tensors {
        let bytes = tensor.bytes();
        let layer = tensor.name.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        match layer.and_then(|layer| weights.get_mut(layer)) {
            Some(weight) => *weight = weight.saturating_add(bytes),
            None if tensor.name.starts_with("output") => tail = tail.saturating_add(bytes),
            None => head = head.saturating_add(bytes),
        }
    }
    let total = weights.iter().fold(head.saturating_add(tail), |sum, weight| sum.saturating_add(*weight));
    let wanted = total.div_ceil(shard_size.max(1)).clamp(1, MAX_SHARDS).min(layers.max(1) as u64);
    let mut shards = Vec::new();
    let (mut first, mut size, mut done) = (0, head, 0u64);
    for (layer, weight) in weights.iter().enumerate() {
        size = size.saturating_add(*weight);
        let (cut, left) = (shards.len() as u64 + 1, layers - layer - 1);
        // Cut where the running sum passes this shard's share, or where the layers left are just enough for the shards left.
        let share = u128::from(total) * u128::from(cut) / u128::from(wanted);
        let passes = u128::from(done) + u128::from(size) >= share || left as u64 == wanted - cut;
        if cut < wanted && left > 0 && passes {
            shards.push((first, layer + 1, size));
            done = done.saturating_add(size);
            (first, size) = (layer + 1, 0);
        }
    }
    shards.push((first, layers, size.saturating_add(tail)));
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let shard =
        |(index, (first, end, size))| Shard { index: number(index), first_layer: number(first), end_layer: number(end), size };
    shards.into_iter().enumerate().map(shard).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        gguf::{GgmlType, Value},
        testing::GgufBuilder,
    };
    use proptest::prelude::*;

    fn model(layers: u32, width: u64) -> Gguf {
        let mut builder = GgufBuilder::tiny(1).with("llama.block_count", Value::U32(layers));
        for layer in 0..layers {
            builder = builder.tensor(&format!("blk.{layer}.w"), &[width], GgmlType::F32, &[]);
        }
        Gguf::from_bytes(&builder.tensor("output.weight", &[8], GgmlType::F32, &[]).build()).unwrap()
    }

    #[test]
    fn a_small_model_is_one_shard() {
        let shards = layout(&model(4, 8), SHARD_MIB << 20);
        assert_eq!(shards, [Shard { index: 0, first_layer: 0, end_layer: 4, size: 160 + 4 * 32 + 32 }]);
    }

    proptest! {
        #[test]
        fn shards_hold_every_layer_and_byte_once_and_in_order(layers in 1u32..40, width in 1u64..64, size in 1u64..8000) {
            let gguf = model(layers, width);
            let shards = layout(&gguf, size);
            prop_assert!(shards.len() as u64 <= u64::from(layers));
            let mut next = 0;
            for (at, shard) in shards.iter().enumerate() {
                prop_assert_eq!((shard.index as usize, shard.first_layer), (at, next));
                prop_assert!(shard.end_layer > shard.first_layer);
                next = shard.end_layer;
            }
            prop_assert_eq!(next, layers);
            prop_assert_eq!(shards.iter().map(|s| s.size).sum::<u64>(), gguf.tensors.iter().map(|t| t.bytes()).sum::<u64>());
        }
    }
}
