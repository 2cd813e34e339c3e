//! What the targets have in common: seeds, which are the tiny models of the crate's own tests with one layer each.

#[path = "../../src/family.rs"]
#[allow(dead_code)]
mod family;
#[path = "../../src/made.rs"]
#[allow(dead_code)]
mod made;
#[path = "../../../kith-networks/fuzz/src/plant.rs"]
mod plant;

use kith_kernels::Format;
use made::{Field, Made};
pub use plant::plant;

/// A model of every family, some with other numbers or another tokenizer.
pub fn models() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (name, format) in made::names().zip([Format::Q4_1, Format::Q8_0, Format::F32].into_iter().cycle()) {
        let mut made = small(name, format);
        seeds.push(made.bytes());
        made.set("tokenizer.ggml.model", Field::Text("llama".into()));
        made.set("tokenizer.ggml.unknown_token_id", Field::U32(3));
        seeds.push(made.bytes());
    }
    for (kind, factor) in [("linear", 2.0), ("yarn", 4.0)] {
        let mut made = small("llama", Format::Q4_1);
        made.set("llama.rope.scaling.type", Field::Text(kind.into()));
        made.set("llama.rope.scaling.factor", Field::F32(factor));
        made.set("llama.rope.scaling.original_context_length", Field::U32(64));
        seeds.push(made.bytes());
    }
    seeds
}

fn small(name: &str, format: Format) -> Made {
    let mut made = Made::new(name, format, 1);
    let architecture = name.split(' ').next().unwrap_or(name);
    made.set(&format!("{architecture}.block_count"), Field::U32(1));
    made.tensors.retain(|(name, ..)| !name.starts_with("blk.") || name.starts_with("blk.0."));
    made
}
