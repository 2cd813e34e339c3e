//! Weights of a window of layers: taken from the file by name, checked against the model's shape, laid out anew for the kernels.

use crate::{
    family::Given,
    gguf::{Gguf, Tensor},
    panels::Panels,
    shape::Shape,
};
use kith_engine::EngineError;
use kith_kernels::{BadMatrix, Format, Matrix, Pool};
use std::{cell::RefCell, collections::HashSet, ops::Range};

/// Queries, keys and values.
pub(crate) struct Heads<M = Matrix> {
    pub(crate) queries: M,
    pub(crate) keys: M,
    pub(crate) values: M,
    /// Of queries, keys and values.
    pub(crate) biases: Option<[Vec<f32>; 3]>,
    /// Over each head of queries and of keys.
    pub(crate) norms: Option<[Vec<f32>; 2]>,
}

/// A feed-forward part: of a layer, or one expert of it.
pub(crate) struct Inner<M = Matrix> {
    pub(crate) gate: M,
    pub(crate) up: M,
    pub(crate) down: M,
}

/// What works on a token after attention.
pub(crate) enum Forward<M = Matrix> {
    /// One part for all tokens.
    Dense(Inner<M>),
    /// A router that chooses among experts.
    Experts(M, Vec<Inner<M>>),
}

/// One layer.
pub(crate) struct Layer<M = Matrix> {
    pub(crate) attention_norm: Vec<f32>,
    pub(crate) heads: Heads<M>,
    pub(crate) output: M,
    pub(crate) output_bias: Option<Vec<f32>>,
    pub(crate) attention_post_norm: Option<Vec<f32>>,
    pub(crate) forward_norm: Vec<f32>,
    pub(crate) forward: Forward<M>,
    pub(crate) forward_post_norm: Option<Vec<f32>>,
}

/// What turns hidden states into logits.
pub(crate) struct Head<M = Matrix> {
    pub(crate) norm: Vec<f32>,
    pub(crate) output: M,
    /// Whether `output` is the embedding too.
    pub(crate) tied: bool,
}

/// What becomes of a matrix of the file.
pub(crate) trait Becomes {
    /// What it becomes.
    type Matrix;

    /// Makes that of `rows` rows of `depth` values in this format.
    fn make(&self, format: Format, rows: usize, depth: usize, bytes: &[u8]) -> Result<Self::Matrix, BadMatrix>;
}

/// It is laid out for the kernels.
pub(crate) struct LaidOut<'a> {
    pool: &'a Pool,
    /// Laid out before, in the order of loading.
    panels: Option<Panels>,
    /// All matrices so far, and whether one of them was laid out anew.
    made: RefCell<(Vec<Matrix>, bool)>,
}

impl Becomes for LaidOut<'_> {
    type Matrix = Matrix;

    fn make(&self, format: Format, rows: usize, depth: usize, bytes: &[u8]) -> Result<Matrix, BadMatrix> {
        let mut made = self.made.borrow_mut();
        let kept = self.panels.as_ref().and_then(|panels| panels.matrix(made.0.len(), format, rows, depth));
        made.1 |= kept.is_none();
        let matrix = kept.map_or_else(|| Matrix::repack(self.pool, format, rows, depth, bytes), Ok)?;
        made.0.push(matrix.clone());
        Ok(matrix)
    }
}

/// Nothing: whether the kernels take it is all that is asked, and none of its bytes is read.
struct Checked;

impl Becomes for Checked {
    type Matrix = ();

    fn make(&self, format: Format, rows: usize, depth: usize, _bytes: &[u8]) -> Result<(), BadMatrix> {
        Matrix::bytes_needed(format, rows, depth).map(|_| ())
    }
}

/// Refuses a file in which these layers, or the head (of so many tokens) if there is one, lack a tensor, have one of another shape or format, or
/// one that is not known. Takes milliseconds, where laying out the weights takes seconds.
pub(crate) fn check(file: &Gguf, shape: &Shape, layers: Range<usize>, head: Option<usize>) -> Result<(), EngineError> {
    let loader = Loader { file, shape, taken: RefCell::default(), becomes: Checked };
    for number in layers.clone() {
        loader.layer(number)?;
    }
    if let Some(vocabulary) = head {
        loader.head(vocabulary)?;
    }
    loader.finish(layers)
}

/// Takes tensors out of a file, each once.
pub(crate) struct Loader<'a, B: Becomes> {
    file: &'a Gguf,
    shape: &'a Shape,
    taken: RefCell<HashSet<String>>,
    becomes: B,
}

/// Tensors that are read elsewhere, or that change nothing.
const ELSEWHERE: &[&str] = &["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"];

impl<'a> Loader<'a, LaidOut<'a>> {
    /// Lays out the weights of a file that [`check`] has not refused.
    pub(crate) fn new(file: &'a Gguf, shape: &'a Shape, pool: &'a Pool, panels: Option<Panels>) -> Self {
        Self { file, shape, taken: RefCell::default(), becomes: LaidOut { pool, panels, made: RefCell::default() } }
    }

    /// All matrices in the order of loading, if one of them was laid out anew.
    pub(crate) fn fresh(&self) -> Option<Vec<Matrix>> {
        let (matrices, fresh) = self.becomes.made.take();
        fresh.then_some(matrices)
    }
}

impl<'a, B: Becomes> Loader<'a, B> {
    /// A layer, by its number in the whole model.
    pub(crate) fn layer(&self, number: usize) -> Result<Layer<B::Matrix>, EngineError> {
        let name = |part: &str| format!("blk.{number}.{part}");
        let (family, width) = (self.shape.family, self.shape.width);
        let norm = |part: &str| self.vector(&name(part), width);
        let post = |part: &str| if family.post_norms { norm(part).map(Some) } else { Ok(None) };
        let queries = self.shape.heads * self.shape.head;
        Ok(Layer {
            attention_norm: norm("attn_norm.weight")?,
            heads: self.heads(&name)?,
            output: self.matrix(&name("attn_output.weight"), width, queries)?,
            output_bias: self.bias(&name("attn_output.bias"), width, family.biases == Given::Sometimes)?,
            attention_post_norm: post("post_attention_norm.weight")?,
            forward_norm: norm("ffn_norm.weight")?,
            forward: self.forward(&name)?,
            forward_post_norm: post("post_ffw_norm.weight")?,
        })
    }

    /// What follows the last layer. Without a matrix of its own, the embedding serves.
    pub(crate) fn head(&self, vocabulary: usize) -> Result<Head<B::Matrix>, EngineError> {
        let own = self.file.tensors().contains_key("output.weight");
        let output = if own { "output.weight" } else { "token_embd.weight" };
        Ok(Head {
            norm: self.vector("output_norm.weight", self.shape.width)?,
            output: self.matrix(output, vocabulary, self.shape.width)?,
            tied: !own,
        })
    }

    /// Refuses a file whose layers hold tensors that nobody asked for: whatever they do, its answers would be wrong without them.
    fn finish(&self, layers: Range<usize>) -> Result<(), EngineError> {
        let taken = self.taken.borrow();
        let strange = self.file.tensors().keys().find(|name| {
            let layer = name.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
            match layer {
                Some(layer) if layer < self.shape.layers && !layers.contains(&layer) => false,
                Some(_) => !taken.contains(*name),
                None => {
                    let known = ["token_embd.weight", "output.weight", "output_norm.weight"].contains(&name.as_str());
                    !known && !ELSEWHERE.contains(&name.as_str())
                }
            }
        });
        strange
            .map_or(Ok(()), |name| Err(refused(format!("the tensor {name:?} is not known in {} models", self.shape.family.name))))
    }

    fn heads(&self, name: &dyn Fn(&str) -> String) -> Result<Heads<B::Matrix>, EngineError> {
        let shape = self.shape;
        let width = shape.width;
        let [of_queries, of_keys] = [shape.heads, shape.kv_heads].map(|heads| heads * shape.head);
        let [queries, keys, values] = if shape.family.fused {
            let fused = name("attn_qkv.weight");
            let tensor = self.tensor(&fused, &[width, of_queries + 2 * of_keys])?;
            let part = |rows| self.part(&fused, tensor, rows);
            let (first, second) = (of_queries, of_queries + of_keys);
            [part(0..first)?, part(first..second)?, part(second..second + of_keys)?]
        } else {
            [
                self.matrix(&name("attn_q.weight"), of_queries, width)?,
                self.matrix(&name("attn_k.weight"), of_keys, width)?,
                self.matrix(&name("attn_v.weight"), of_keys, width)?,
            ]
        };
        let biased = match shape.family.biases {
            Given::Never => false,
            Given::Always => true,
            Given::Sometimes => self.file.tensors().contains_key(&name("attn_q.bias")),
        };
        let biases = biased.then(|| -> Result<_, EngineError> {
            Ok([
                self.vector(&name("attn_q.bias"), of_queries)?,
                self.vector(&name("attn_k.bias"), of_keys)?,
                self.vector(&name("attn_v.bias"), of_keys)?,
            ])
        });
        let norms = (shape.family.head_norms == Given::Always).then(|| -> Result<_, EngineError> {
            Ok([self.vector(&name("attn_q_norm.weight"), shape.head)?, self.vector(&name("attn_k_norm.weight"), shape.head)?])
        });
        Ok(Heads { queries, keys, values, biases: biases.transpose()?, norms: norms.transpose()? })
    }

    fn forward(&self, name: &dyn Fn(&str) -> String) -> Result<Forward<B::Matrix>, EngineError> {
        let (width, inner) = (self.shape.width, self.shape.inner);
        let Some(experts) = self.shape.experts else {
            let down = self.matrix(&name("ffn_down.weight"), width, inner)?;
            let (gate, up) = if self.shape.family.fused {
                let fused = name("ffn_up.weight");
                let tensor = self.tensor(&fused, &[width, 2 * inner])?;
                (self.part(&fused, tensor, 0..inner)?, self.part(&fused, tensor, inner..2 * inner)?)
            } else {
                (self.matrix(&name("ffn_gate.weight"), inner, width)?, self.matrix(&name("ffn_up.weight"), inner, width)?)
            };
            return Ok(Forward::Dense(Inner { gate, up, down }));
        };
        let router = self.matrix(&name("ffn_gate_inp.weight"), experts.count, width)?;
        let all = |part: &str, rows: usize, depth: usize| -> Result<Vec<B::Matrix>, EngineError> {
            let together = name(&format!("ffn_{part}_exps.weight"));
            if self.file.tensors().contains_key(&together) {
                let tensor = self.tensor(&together, &[depth, rows, experts.count])?;
                return (0..experts.count).map(|at| self.part(&together, tensor, at * rows..(at + 1) * rows)).collect();
            }
            (0..experts.count).map(|at| self.matrix(&name(&format!("ffn_{part}.{at}.weight")), rows, depth)).collect()
        };
        let (gates, ups, downs) = (all("gate", inner, width)?, all("up", inner, width)?, all("down", width, inner)?);
        let parts = gates.into_iter().zip(ups).zip(downs);
        Ok(Forward::Experts(router, parts.map(|((gate, up), down)| Inner { gate, up, down }).collect()))
    }

    fn bias(&self, name: &str, length: usize, possible: bool) -> Result<Option<Vec<f32>>, EngineError> {
        (possible && self.file.tensors().contains_key(name)).then(|| self.vector(name, length)).transpose()
    }

    /// A matrix of `rows` outputs by `depth` inputs.
    fn matrix(&self, name: &str, rows: usize, depth: usize) -> Result<B::Matrix, EngineError> {
        let tensor = self.tensor(name, &[depth, rows])?;
        self.part(name, tensor, 0..rows)
    }

    /// Some rows of a tensor as a matrix.
    fn part(&self, name: &str, tensor: &Tensor, rows: Range<usize>) -> Result<B::Matrix, EngineError> {
        let format = known(name, tensor)?;
        let bytes = self.file.rows(tensor, rows.clone()).ok_or_else(|| refused(format!("the tensor {name:?} is cut short")))?;
        let depth = tensor.shape[0];
        if !depth.is_multiple_of(kith_kernels::GROUP) && !format.is_float() {
            return Err(refused(format!("the tensor {name:?} has rows of {depth} values")));
        }
        let made = self.becomes.make(format, rows.len(), depth, bytes);
        made.map_err(|error| refused(format!("the tensor {name:?} cannot be used: {error}")))
    }

    fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, EngineError> {
        self.taken.borrow_mut().insert(name.to_owned());
        vector(self.file, name, length)
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<&'a Tensor, EngineError> {
        self.taken.borrow_mut().insert(name.to_owned());
        tensor(self.file, name, shape)
    }
}

/// A tensor of this shape, its missing dimensions being 1.
pub(crate) fn tensor<'a>(file: &'a Gguf, name: &str, shape: &[usize]) -> Result<&'a Tensor, EngineError> {
    let tensor = file.tensors().get(name).ok_or_else(|| refused(format!("the tensor {name:?} is missing")))?;
    let mut wanted = [1; 4];
    wanted[..shape.len()].copy_from_slice(shape);
    if tensor.shape != wanted {
        return Err(refused(format!("the tensor {name:?} has the shape {:?} instead of {wanted:?}", tensor.shape)));
    }
    Ok(tensor)
}

/// A vector of `length` numbers, as f32.
pub(crate) fn vector(file: &Gguf, name: &str, length: usize) -> Result<Vec<f32>, EngineError> {
    let tensor = tensor(file, name, &[length])?;
    let format = known(name, tensor)?;
    let bytes = file.rows(tensor, 0..1).ok_or_else(|| refused(format!("the tensor {name:?} is cut short")))?;
    let mut values = vec![0.0; length];
    format.dequantise(bytes, &mut values);
    Ok(values)
}

fn known(name: &str, tensor: &Tensor) -> Result<Format, EngineError> {
    tensor.format.map_err(|number| refused(format!("the tensor {name:?} is stored as type {number}, which has no kernels")))
}

fn refused(reason: String) -> EngineError {
    EngineError::UnsupportedModel(reason)
}

/// Bytes that the weights of a whole model take once they are laid out for the kernels.
pub(crate) fn bytes(file: &Gguf, shape: &Shape) -> Result<u64, EngineError> {
    let mut bytes = 0u64;
    for (name, tensor) in file.tensors() {
        // The embedding stays in the file, unless it is the output's matrix too.
        let embedding = name == "token_embd.weight" && file.tensors().contains_key("output.weight");
        if embedding {
            continue;
        }
        let experts = shape.experts.map_or(1, |experts| experts.count).min(tensor.shape[2].max(1));
        let rows = tensor.rows() / experts.max(1);
        let one = Matrix::bytes_needed(known(name, tensor)?, rows, tensor.shape[0])
            .map_err(|error| refused(format!("the tensor {name:?} cannot be used: {error}")))?;
        bytes = bytes.saturating_add((one as u64).saturating_mul(experts as u64));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
