//! Numbers between the parts of a layer, kept from step to step so that steps of about the same size allocate nothing.

use kith_engine::EngineError;
use kith_kernels::{Pool, Set, vector};

/// All of one stage.
#[derive(Default)]
pub(super) struct Buffers {
    pub(super) states: Vec<f32>,
    pub(super) normed: Vec<f32>,
    pub(super) queries: Vec<f32>,
    pub(super) keys: Vec<f32>,
    pub(super) values: Vec<f32>,
    pub(super) attended: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) up: Vec<f32>,
    pub(super) out: Vec<f32>,
    pub(super) logits: Vec<f32>,
    pub(super) positions: Vec<u32>,
    pub(super) angles: [Vec<f32>; 2],
    pub(super) experts: super::layer::Chosen,
}

impl Buffers {
    /// Norms some of the states, for the head.
    pub(super) fn finished(&mut self, set: Set, norm: &[f32], epsilon: f32, tokens: &[usize]) -> Result<(), EngineError> {
        let width = norm.len();
        let normed = sized(&mut self.normed, tokens.len() * width);
        for (normed, token) in normed.chunks_exact_mut(width).zip(tokens) {
            let state = self.states.chunks_exact(width).nth(*token).ok_or_else(|| EngineError::Invalid {
                field: "tokens",
                message: format!("token {token} was not in the last step"),
            })?;
            vector::rms_norm(set, state, norm, epsilon, normed);
        }
        Ok(())
    }
}

/// The buffer with exactly this length; what it holds is left over.
pub(super) fn sized(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    buffer.resize(length, 0.0);
    buffer
}

/// Calls `work` with every token's part of two buffers, on all threads.
pub(super) fn pairs(
    pool: &Pool,
    first: (&mut [f32], usize),
    second: (&mut [f32], usize),
    work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) {
    let tokens = first.0.len() / first.1;
    let both = first.0.chunks_exact_mut(first.1).zip(second.0.chunks_exact_mut(second.1));
    if tokens <= 2 || pool.threads() == 1 {
        both.enumerate().for_each(|(token, (first, second))| work(token, first, second));
        return;
    }
    let together = tokens.div_ceil(4 * pool.threads());
    let mut both: Vec<_> = both.collect();
    pool.for_chunks(&mut both, together, |chunk, both| {
        for (token, (first, second)) in both.iter_mut().enumerate() {
            work(chunk * together + token, first, second);
        }
    });
}
