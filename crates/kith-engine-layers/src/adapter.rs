//! Adapters (LoRA) in memory: which of a model's matrices they may change, whether they fit, and their own matrices laid out for the kernels.
//!
//! Nothing of the model is changed: `scale * B * A * x` is added to `W * x` for the tokens of the sequences that have the adapter, in f32.

mod shelf;

pub(crate) use shelf::Shelf;

use crate::{gguf::Gguf, shape::Shape};
use kith_engine::{Adapter, AdapterMatrices, EngineError};
use kith_kernels::{Format, Matrix, Pool};
use shelf::Held;
use std::{collections::HashMap, fmt, ops::Range, sync::Arc};

/// Which product of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Queries,
    Keys,
    Values,
    Output,
    Router,
    Gate,
    Up,
    Down,
    /// The last product of all, which gives logits.
    Head,
}

/// Where a product happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The layer, by its number in the whole model; 0 for the head.
    pub(crate) layer: usize,
    pub(crate) part: Part,
    /// The expert; 0 where there are none.
    pub(crate) expert: usize,
}

impl Place {
    pub(crate) fn new(layer: usize, part: Part) -> Self {
        Self { layer, part, expert: 0 }
    }
}

/// What tells adapters apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    id: Arc<str>,
    /// The bits of the request's scale.
    scale: u32,
}

impl Key {
    pub(crate) fn of(adapter: &Adapter) -> Self {
        Self { id: Arc::clone(&adapter.id), scale: adapter.scale.to_bits() }
    }
}

/// The matrices of a model that adapters may change, by their names in its file.
pub(crate) struct Targets(HashMap<String, Target>);

struct Target {
    inputs: usize,
    outputs: usize,
    /// The products it is cut into, and the rows that go there.
    parts: Vec<(Place, Range<usize>)>,
}

impl Targets {
    pub(crate) fn of(file: &Gguf, shape: &Shape) -> Self {
        let named = |name: &String| {
            let [inputs, outputs, 1, 1] = file.tensors().get(name)?.shape else { return None };
            let parts = parts(name, outputs, shape)?;
            Some((name.clone(), Target { inputs, outputs, parts }))
        };
        Self(file.tensors().keys().filter_map(named).collect())
    }
}

/// What a tensor of `rows` outputs is to the stage; `None` if it is not one that products are made with.
fn parts(name: &str, rows: usize, shape: &Shape) -> Option<Vec<(Place, Range<usize>)>> {
    if name == "output.weight" {
        return Some(vec![(Place::new(0, Part::Head), 0..rows)]);
    }
    let (layer, part) = name.strip_prefix("blk.")?.strip_suffix(".weight")?.split_once('.')?;
    let layer: usize = layer.parse().ok()?;
    let (part, expert) = match part.split_once('.') {
        None => (part, 0),
        Some((part @ ("ffn_gate" | "ffn_up" | "ffn_down"), expert)) => (part, expert.parse().ok()?),
        Some(_) => return None,
    };
    let whole = |part| Some(vec![(Place { layer, part, expert }, 0..rows)]);
    let (queries, keys) = (shape.heads * shape.head, shape.kv_heads * shape.head);
    match part {
        "attn_q" => whole(Part::Queries),
        "attn_k" => whole(Part::Keys),
        "attn_v" => whole(Part::Values),
        "attn_qkv" => Some(vec![
            (Place::new(layer, Part::Queries), 0..queries),
            (Place::new(layer, Part::Keys), queries..queries + keys),
            (Place::new(layer, Part::Values), queries + keys..queries + 2 * keys),
        ]),
        "attn_output" => whole(Part::Output),
        "ffn_gate_inp" => whole(Part::Router),
        "ffn_gate" => whole(Part::Gate),
        "ffn_up" if shape.family.fused => Some(vec![
            (Place::new(layer, Part::Gate), 0..shape.inner),
            (Place::new(layer, Part::Up), shape.inner..2 * shape.inner),
        ]),
        "ffn_up" => whole(Part::Up),
        "ffn_down" => whole(Part::Down),
        _ => None,
    }
}

/// What an adapter does to one product.
#[derive(Clone)]
pub(crate) struct Pair {
    /// Rank by inputs.
    pub(crate) a: Matrix,
    /// Outputs by rank, the strength multiplied in.
    pub(crate) b: Matrix,
}

/// An adapter in memory.
pub(crate) struct Weights {
    key: Key,
    pairs: HashMap<Place, Pair>,
    /// Counted as long as it lives.
    _held: Vec<Held>,
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weights").field("key", &self.key).field("pairs", &self.pairs.len()).finish_non_exhaustive()
    }
}

impl Weights {
    /// Reads an adapter to a model with these targets. `room` is asked for the bytes of each matrix before it is laid out.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] in `adapter` says what does not fit; what `room` and the adapter's source say.
    fn read(
        adapter: &Adapter,
        targets: &Targets,
        mut room: impl FnMut(u64) -> Result<Held, EngineError>,
    ) -> Result<Self, EngineError> {
        // The model's own threads are at work elsewhere.
        let pool = Pool::new(1);
        let (mut pairs, mut held) = (HashMap::new(), Vec::new());
        for matrices in adapter.source.read()? {
            let matrices = matrices?;
            let target = fitting(targets, &matrices)?;
            let AdapterMatrices { target: name, rank, inputs, a, b, .. } = &matrices;
            let scale = adapter.scale * matrices.scale;
            let b: Vec<f32> = b.iter().map(|value| scale * value).collect();
            if a.iter().chain(&b).any(|value| !value.is_finite()) {
                return invalid(format!("the adapter's matrices for {name:?} hold values that are not numbers"));
            }
            let bytes = |rows: usize, depth: usize| {
                let bytes = Matrix::bytes_needed(Format::F32, rows, depth).or_else(|_| invalid(too_large(name)))?;
                Ok::<_, EngineError>(bytes as u64)
            };
            let parts = target.parts.iter().map(|(_, rows)| bytes(rows.len(), *rank)).sum::<Result<u64, _>>()?;
            held.push(room(bytes(*rank, *inputs)?.saturating_add(parts))?);
            let laid = |values: &[f32], rows: usize, depth: usize| {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                Matrix::repack(&pool, Format::F32, rows, depth, &bytes).or_else(|_| invalid(too_large(name)))
            };
            let a = laid(a, *rank, *inputs)?;
            for (place, rows) in &target.parts {
                let b = laid(&b[rows.start * rank..rows.end * rank], rows.len(), *rank)?;
                if pairs.insert(*place, Pair { a: a.clone(), b }).is_some() {
                    return invalid(format!("the adapter changes {name:?} twice"));
                }
            }
        }
        Ok(Self { key: Key::of(adapter), pairs, _held: held })
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// What it does to a product; `None` is nothing.
    pub(crate) fn pair(&self, place: Place) -> Option<&Pair> {
        self.pairs.get(&place)
    }
}

/// The target of these matrices, if they are of its shape.
fn fitting<'a>(targets: &'a Targets, matrices: &AdapterMatrices) -> Result<&'a Target, EngineError> {
    let AdapterMatrices { target: name, rank, inputs, outputs, a, b, .. } = matrices;
    let Some(target) = targets.0.get(name) else {
        return invalid(format!("the adapter changes {name:?}, which is none of the matrices that this model multiplies with"));
    };
    if (*inputs, *outputs) != (target.inputs, target.outputs) {
        return invalid(format!(
            "the adapter's matrices for {name:?} are for {inputs} inputs and {outputs} outputs; the model's has {} and {}",
            target.inputs, target.outputs
        ));
    }
    if *rank == 0 || Some(a.len()) != rank.checked_mul(*inputs) || Some(b.len()) != rank.checked_mul(*outputs) {
        return invalid(format!("the adapter's matrices for {name:?} are not of the rank {rank}"));
    }
    let cut = target.parts.last().map_or(0, |(_, rows)| rows.end);
    if cut == *outputs {
        Ok(target)
    } else {
        invalid(format!("the model's {name:?} is cut in another way than {outputs} outputs"))
    }
}

fn too_large(name: &str) -> String {
    format!("the adapter's matrices for {name:?} are too large")
}

fn invalid<T>(message: String) -> Result<T, EngineError> {
    Err(EngineError::Invalid { field: "adapter", message })
}

#[cfg(test)]
pub(crate) mod tests;
