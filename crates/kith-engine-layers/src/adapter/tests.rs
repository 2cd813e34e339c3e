//! What `adapter` promises, sentence by sentence; and adapters made by code, for these and other tests.

use super::*;
use crate::{
    made::{Draw, EXPERTS, Made},
    stage::{Stage, StageOptions},
};
use kith_engine::{AdapterReading, AdapterSource};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Matrices that lie in memory.
#[derive(Default)]
pub(crate) struct Lying {
    matrices: Vec<AdapterMatrices>,
    reads: AtomicUsize,
}

impl AdapterSource for Lying {
    fn read(&self) -> Result<AdapterReading<'_>, EngineError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(self.matrices.iter().cloned().map(Ok)))
    }
}

pub(crate) fn adapter(id: &str, matrices: Vec<AdapterMatrices>) -> Adapter {
    Adapter { id: id.into(), scale: 0.5, source: Arc::new(Lying { matrices, reads: AtomicUsize::new(0) }) }
}

/// Changes to all matrices of a model but the embedding.
pub(crate) fn matrices(made: &Made, rank: usize, seed: u64) -> Vec<AdapterMatrices> {
    let mut draw = Draw(seed);
    let mut values = |count| (0..count).map(|_| draw.unit() * 0.25).collect::<Vec<f32>>();
    let matrices = made.tensors.iter().filter(|(name, shape, ..)| shape.len() == 2 && name != "token_embd.weight");
    let matrices = matrices.map(|(name, shape, ..)| AdapterMatrices {
        target: name.clone(),
        rank,
        inputs: shape[0],
        outputs: shape[1],
        a: values(rank * shape[0]),
        b: values(rank * shape[1]),
        scale: 2.0,
    });
    matrices.collect()
}

/// The model with the matrices folded in, as [`adapter`] scales them; all weights as f32.
pub(crate) fn merged(made: &Made, matrices: &[AdapterMatrices]) -> Made {
    let mut values = made.values();
    for AdapterMatrices { target, rank, inputs, a, b, scale, .. } in matrices {
        for (row, weights) in values.get_mut(target).unwrap().chunks_mut(*inputs).enumerate() {
            for (column, weight) in weights.iter_mut().enumerate() {
                let product = |k: usize| f64::from(b[row * rank + k]) * f64::from(a[k * inputs + column]);
                *weight += (0.5 * f64::from(*scale) * (0..*rank).map(product).sum::<f64>()) as f32;
            }
        }
    }
    let mut merged = made.clone();
    for (name, _, format, bytes) in &mut merged.tensors {
        *format = Format::F32;
        *bytes = values[name].iter().flat_map(|value| value.to_le_bytes()).collect();
    }
    merged
}

/// The model with a tensor for each expert.
pub(crate) fn split(made: &Made) -> Made {
    let mut split = Made { tensors: Vec::new(), ..made.clone() };
    for (name, shape, format, bytes) in made.tensors.clone() {
        match name.strip_suffix("_exps.weight") {
            None => split.tensors.push((name, shape, format, bytes)),
            Some(name) => split.tensors.extend(
                bytes
                    .chunks(bytes.len() / EXPERTS)
                    .enumerate()
                    .map(|(expert, bytes)| (format!("{name}.{expert}.weight"), shape[..2].to_vec(), format, bytes.to_vec())),
            ),
        }
    }
    split
}

/// An adapter that changes nothing.
pub(crate) fn empty(id: &str) -> Arc<Weights> {
    Arc::new(Weights { key: Key::of(&adapter(id, Vec::new())), pairs: HashMap::new(), _held: Vec::new() })
}

fn targets(made: &Made) -> Targets {
    Stage::load(made.file().path(), &StageOptions::default()).unwrap().targets()
}

/// The adapter as a stage wants it.
pub(crate) fn loaded(stage: &Stage, adapter: Adapter) -> Result<Arc<Weights>, EngineError> {
    get(&Arc::new(Shelf::new(stage.targets(), 0)), adapter)
}

fn get(shelf: &Arc<Shelf>, adapter: Adapter) -> Result<Arc<Weights>, EngineError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(shelf.get(adapter))
}

#[test]
fn what_does_not_fit_the_model_is_refused_with_the_reason() {
    let made = Made::new("phi3", Format::Q8_0, 1);
    let shelf = Arc::new(Shelf::new(targets(&made), 0));
    let good = matrices(&made, 2, 1);
    assert!(get(&shelf, adapter("good", good.clone())).is_ok());
    let refusal = |name: &str, change: &dyn Fn(&mut AdapterMatrices)| {
        let mut wrong = good.clone();
        change(wrong.iter_mut().find(|matrices| matrices.target.ends_with(name)).unwrap());
        match get(&shelf, adapter("wrong", wrong)).err() {
            Some(EngineError::Invalid { field: "adapter", message }) => message,
            other => panic!("{other:?}"),
        }
    };
    for unknown in ["blk.99.attn_qkv.weight", "token_embd.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.weight", "nothing"] {
        let message = refusal("blk.0.attn_qkv.weight", &|matrices| matrices.target = unknown.into());
        assert!(message.contains(unknown), "{message}");
    }
    let message = refusal("blk.3.attn_qkv.weight", &|matrices| {
        matrices.outputs -= 1;
        matrices.b.truncate(matrices.outputs * 2);
    });
    assert!(message.contains("64 inputs and 127 outputs; the model's has 64 and 128"), "{message}");
    assert!(refusal("blk.1.ffn_down.weight", &|matrices| matrices.inputs = 95).contains("95 inputs"));
    assert!(refusal("blk.1.ffn_down.weight", &|matrices| matrices.rank = 3).contains("rank 3"));
    assert!(refusal("blk.1.ffn_down.weight", &|matrices| matrices.rank = usize::MAX).contains("rank"));
    assert!(refusal("blk.1.ffn_down.weight", &|matrices| matrices.rank = 0).contains("rank 0"));
    assert!(refusal("blk.2.ffn_up.weight", &|matrices| matrices.a[5] = f32::NAN).contains("not numbers"));
    assert!(refusal("blk.2.ffn_up.weight", &|matrices| matrices.scale = f32::INFINITY).contains("not numbers"));
    let mut twice = good.clone();
    twice.push(good[0].clone());
    let refused = get(&shelf, adapter("twice", twice)).err();
    assert!(matches!(&refused, Some(EngineError::Invalid { message, .. }) if message.contains("twice")), "{refused:?}");
}

#[test]
fn an_adapter_is_read_once_as_long_as_there_is_room() {
    let made = Made::new("llama", Format::Q8_0, 2);
    let shelf = Arc::new(Shelf::new(targets(&made), 0));
    let source = Arc::new(Lying { matrices: matrices(&made, 4, 1), ..Lying::default() });
    let adapter = |id: &str, scale| Adapter { id: id.into(), scale, source: Arc::clone(&source) as Arc<dyn AdapterSource> };
    let reads = || source.reads.load(Ordering::Relaxed);
    let first = get(&shelf, adapter("one", 1.0)).unwrap();
    assert!(Arc::ptr_eq(&first, &get(&shelf, adapter("one", 1.0)).unwrap()));
    assert_eq!(reads(), 1);
    let one = shelf.held();
    let strong = get(&shelf, adapter("one", 2.0)).unwrap();
    assert!(strong.key() != first.key() && reads() == 2 && shelf.held() == 2 * one);
    let tokio = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let many = (0..8).map(|_| shelf.get(adapter("many", 1.0)));
    tokio.block_on(futures::future::join_all(many)).into_iter().for_each(|got| drop(got.unwrap()));
    assert_eq!((reads(), shelf.held()), (3, 3 * one));
}

#[test]
fn the_bound_counts_adapters_in_use_and_the_idle_leave_first() {
    let made = Made::new("llama", Format::Q8_0, 3);
    let measured = Arc::new(Shelf::new(targets(&made), 0));
    let of = |id: &str| adapter(id, matrices(&made, 4, 1));
    get(&measured, of("one")).unwrap();
    let one = measured.held();
    let shelf = Arc::new(Shelf::new(targets(&made), 0).with_ceiling(2 * one));
    let first = get(&shelf, of("first")).unwrap();
    get(&shelf, of("idle")).unwrap();
    let third = get(&shelf, of("third")).unwrap();
    assert_eq!(shelf.held(), 2 * one, "the idle one has gone");
    assert!(matches!(get(&shelf, of("fourth")).err(), Some(EngineError::OutOfMemory { .. })));
    assert_eq!(shelf.held(), 2 * one, "what was begun is not counted any more");
    drop(third);
    assert!(get(&shelf, of("fourth")).is_ok());
    let small = Arc::new(Shelf::new(targets(&made), 0).with_ceiling(one - 1));
    assert!(matches!(get(&small, of("one")).err(), Some(EngineError::Unsupported(_))));
    shelf.close();
    assert_eq!(shelf.held(), one, "the first is in use");
    assert_eq!(get(&shelf, of("fifth")).err(), Some(EngineError::Unloaded));
    drop(first);
    assert_eq!(shelf.held(), 0);
}
