//! Models of the llama family evaluated plainly: the weights as the file has them, dequantised, and everything else in f64. No part of it
//! is the engine's but the meaning of the stored bytes.

use super::gguf::File;
use std::{error::Error, ops::Range, path::Path};

/// Rows that a thread works on together, so that inputs are looked at once for all of them.
const TOGETHER: usize = 4;
/// Partial sums of a dot product: a fixed number, so that the compiler can work on them side by side.
const LANES: usize = 16;

/// Tokens from the beginning of a text, and those of them after which the logits are wanted.
pub struct Sequence {
    /// The tokens.
    pub ids: Vec<u32>,
    /// Which of them.
    pub wanted: Range<usize>,
}

/// A model.
pub struct Plain {
    file: File,
    threads: usize,
    layers: usize,
    width: usize,
    heads: usize,
    kv_heads: usize,
    epsilon: f64,
    base: f64,
}

impl Plain {
    /// Reads the model at `path`.
    pub fn open(path: &Path, threads: usize) -> Result<Self, Box<dyn Error>> {
        let file = File::open(path)?;
        if file.text("general.architecture") != Some("llama") || file.has("rope_freqs.weight") {
            return Err("only plain llama models are evaluated here".into());
        }
        let number = |name: &str| file.number(&format!("llama.{name}"));
        let size = |name: &str| number(name).map(|size| size as usize);
        Ok(Self {
            threads: threads.max(1),
            layers: size("block_count")?,
            width: size("embedding_length")?,
            heads: size("attention.head_count")?,
            kv_heads: size("attention.head_count_kv")?,
            epsilon: number("attention.layer_norm_rms_epsilon")?,
            base: number("rope.freq_base")?,
            file,
        })
    }

    /// The logits that are wanted of each sequence, one after another, for each of those tokens.
    pub fn logits(&self, sequences: &[Sequence]) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
        let embedding = self.file.tensor("token_embd.weight")?;
        let ids = sequences.iter().flat_map(|sequence| &sequence.ids);
        let mut states: Vec<Vec<f64>> = ids.map(|id| self.file.row(embedding, *id as usize)).collect::<Result<_, _>>()?;
        for layer in 0..self.layers {
            let name = |part: &str| format!("blk.{layer}.{part}.weight");
            let normed = self.normed(&states, &name("attn_norm"))?;
            let (mut queries, mut keys) = (self.product(&name("attn_q"), &normed)?, self.product(&name("attn_k"), &normed)?);
            let values = self.product(&name("attn_v"), &normed)?;
            let mut attended = Vec::with_capacity(states.len());
            let mut first = 0;
            for sequence in sequences {
                let tokens = first..first + sequence.ids.len();
                for (position, token) in tokens.clone().enumerate() {
                    self.rotate(&mut queries[token], position);
                    self.rotate(&mut keys[token], position);
                }
                for (position, token) in tokens.clone().enumerate() {
                    attended.push(self.attend(
                        &queries[token],
                        &keys[first..=first + position],
                        &values[first..=first + position],
                    ));
                }
                first = tokens.end;
            }
            add(&mut states, &self.product(&name("attn_output"), &attended)?);
            let normed = self.normed(&states, &name("ffn_norm"))?;
            let (mut gate, up) = (self.product(&name("ffn_gate"), &normed)?, self.product(&name("ffn_up"), &normed)?);
            for (gate, up) in gate.iter_mut().flatten().zip(up.iter().flatten()) {
                *gate = *gate / (1.0 + (-*gate).exp()) * up;
            }
            add(&mut states, &self.product(&name("ffn_down"), &gate)?);
        }
        let mut wanted = Vec::new();
        let mut first = 0;
        for sequence in sequences {
            wanted.extend(sequence.wanted.clone().map(|token| states[first + token].clone()));
            first += sequence.ids.len();
        }
        let normed = self.normed(&wanted, "output_norm.weight")?;
        self.product(if self.file.has("output.weight") { "output.weight" } else { "token_embd.weight" }, &normed)
    }

    fn normed(&self, states: &[Vec<f64>], name: &str) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
        let weight = self.file.row(self.file.tensor(name)?, 0)?;
        let normed = |state: &Vec<f64>| {
            let mean = state.iter().map(|value| value * value).sum::<f64>() / state.len() as f64;
            let scale = 1.0 / (mean + self.epsilon).sqrt();
            state.iter().zip(&weight).map(|(value, weight)| value * scale * weight).collect()
        };
        Ok(states.iter().map(normed).collect())
    }

    /// Turns the pairs of neighbours of every head.
    fn rotate(&self, heads: &mut [f64], position: usize) {
        let head = self.width / self.heads;
        for vector in heads.chunks_exact_mut(head) {
            for (pair, values) in vector.chunks_exact_mut(2).enumerate() {
                let angle = position as f64 * self.base.powf(-(2.0 * pair as f64) / head as f64);
                let (sin, cos) = angle.sin_cos();
                (values[0], values[1]) = (values[0] * cos - values[1] * sin, values[0] * sin + values[1] * cos);
            }
        }
    }

    /// What one token's heads make of all tokens up to it.
    fn attend(&self, queries: &[f64], keys: &[Vec<f64>], values: &[Vec<f64>]) -> Vec<f64> {
        let head = self.width / self.heads;
        let shared = self.heads / self.kv_heads;
        let mut attended = vec![0.0; self.width];
        for (number, (query, out)) in queries.chunks_exact(head).zip(attended.chunks_exact_mut(head)).enumerate() {
            let at = number / shared * head..(number / shared + 1) * head;
            let scores: Vec<f64> = keys.iter().map(|keys| dot(&keys[at.clone()], query) / (head as f64).sqrt()).collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for (weight, values) in weights.iter().zip(values) {
                out.iter_mut().zip(&values[at.clone()]).for_each(|(out, value)| *out += weight / sum * value);
            }
        }
        attended
    }

    /// The matrix of this name times every input.
    fn product(&self, name: &str, inputs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
        let tensor = self.file.tensor(name)?;
        let mut outputs = vec![0.0; tensor.rows * inputs.len()];
        let each = tensor.rows.div_ceil(self.threads).next_multiple_of(TOGETHER);
        let failed = std::thread::scope(|scope| {
            let parts = outputs.chunks_mut((each * inputs.len()).max(1)).enumerate();
            let work = |(part, outputs): (usize, &mut [f64])| -> Result<(), String> {
                for (block, outputs) in outputs.chunks_mut(TOGETHER * inputs.len()).enumerate() {
                    let first = part * each + block * TOGETHER;
                    let rows: Vec<Vec<f64>> = (first..first + outputs.len() / inputs.len())
                        .map(|row| self.file.row(tensor, row).map_err(|error| error.to_string()))
                        .collect::<Result<_, _>>()?;
                    for (at, input) in inputs.iter().enumerate() {
                        for (row, weights) in rows.iter().enumerate() {
                            outputs[row * inputs.len() + at] = dot(weights, input);
                        }
                    }
                }
                Ok(())
            };
            let threads: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
            threads.into_iter().find_map(|thread| thread.join().map_or_else(|_| Some("a thread fell over".into()), Result::err))
        });
        match failed {
            Some(reason) => Err(reason.into()),
            None => Ok((0..inputs.len()).map(|at| outputs.iter().skip(at).step_by(inputs.len()).copied().collect()).collect()),
        }
    }
}

fn add(states: &mut [Vec<f64>], what: &[Vec<f64>]) {
    states.iter_mut().flatten().zip(what.iter().flatten()).for_each(|(state, what)| *state += what);
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f64>()
}
