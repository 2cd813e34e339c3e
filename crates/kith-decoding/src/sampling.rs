//! Choosing the next token from logits: penalties, temperature, top-k, top-p, min-p. Pure functions over slices.
//!
//! Logits that are not numbers count as minus infinity, so a token that the model or a grammar forbids is never taken.

use kith_engine::Sampling;
use std::cmp::Ordering;

/// Changes the logits by what was said before: repetition over the last tokens of `context` (prompt and answer), frequency and
/// presence over `answer`, then the bias. Ids beyond the logits are ignored.
pub fn penalise(logits: &mut [f32], sampling: &Sampling, context: &[u32], answer: &[u32]) {
    if sampling.repetition_penalty != 1.0 && sampling.repeat_last_n > 0 {
        let from = context.len().saturating_sub(sampling.repeat_last_n as usize);
        for (id, _) in counted(&context[from..]) {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = if *logit > 0.0 { *logit / sampling.repetition_penalty } else { *logit * sampling.repetition_penalty };
            }
        }
    }
    if sampling.frequency_penalty != 0.0 || sampling.presence_penalty != 0.0 {
        for (id, count) in counted(answer) {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit -= sampling.frequency_penalty * count as f32 + sampling.presence_penalty;
            }
        }
    }
    for (id, bias) in &sampling.logit_bias {
        if let Some(logit) = logits.get_mut(*id as usize) {
            *logit += bias;
        }
    }
}

/// Each id once, with how often it occurs.
fn counted(ids: &[u32]) -> Vec<(u32, u32)> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.chunk_by(|a, b| a == b).map(|run| (run[0], u32::try_from(run.len()).unwrap_or(u32::MAX))).collect()
}

/// ln Σ exp(logit): subtract it from a logit to get the natural logarithm of its probability.
pub fn log_sum_exp(logits: &[f32]) -> f32 {
    let Some(best) = likeliest(logits) else { return f32::NEG_INFINITY };
    let best = f64::from(logits[best as usize]);
    let sum: f64 = logits.iter().filter(|logit| !logit.is_nan()).map(|logit| (f64::from(*logit) - best).exp()).sum();
    (best + sum.ln()) as f32
}

/// The ids of the `count` likeliest tokens, likeliest first; of equals the smaller id.
pub fn top(logits: &[f32], count: usize) -> Vec<u32> {
    let mut ids = open(logits);
    keep_top(&mut ids, logits, count);
    ids
}

/// The next token, or `None` if all are forbidden. `draw` is called at most once and gives a number in [0, 1).
pub fn choose(logits: &[f32], sampling: &Sampling, draw: impl FnOnce() -> f64) -> Option<u32> {
    let best = likeliest(logits)?;
    if sampling.temperature <= 0.0 || sampling.top_k == Some(1) {
        return Some(best);
    }
    let highest = logits[best as usize];
    if highest.is_infinite() {
        // Only a bias or a broken model gives plus infinity: it has all the probability.
        return Some(best);
    }
    let weights = Weights { logits, highest, temperature: sampling.temperature };
    let top_k = sampling.top_k.filter(|k| *k > 0);
    let top_p = sampling.top_p.filter(|p| *p < 1.0);
    let min_p = sampling.min_p.filter(|p| *p > 0.0);
    if (top_k, top_p, min_p) == (None, None, None) {
        return Some(weights.draw_from_all(draw()).unwrap_or(best));
    }
    let mut ids = open(logits);
    if let Some(k) = top_k {
        keep_top(&mut ids, logits, k as usize);
    }
    if let Some(p) = top_p {
        keep_nucleus(&mut ids, &weights, f64::from(p));
    }
    if let Some(p) = min_p {
        ids.retain(|id| weights.of(*id) >= f64::from(p));
    }
    let total: f64 = ids.iter().map(|id| weights.of(*id)).sum();
    let mut left = draw() * total;
    let mut last = best;
    for id in ids {
        let weight = weights.of(id);
        if weight > 0.0 {
            if left < weight {
                return Some(id);
            }
            left -= weight;
            last = id;
        }
    }
    // Rounding can leave a trifle over: it belongs to the last token.
    Some(last)
}

/// Probabilities up to a common factor: the likeliest token weighs 1.
struct Weights<'a> {
    logits: &'a [f32],
    highest: f32,
    temperature: f32,
}

impl Weights<'_> {
    fn of(&self, id: u32) -> f64 {
        f64::from(self.weight(self.logits[id as usize]))
    }

    #[inline]
    fn weight(&self, logit: f32) -> f32 {
        exp((logit - self.highest) / self.temperature)
    }

    /// The token at the share `drawn` (in [0, 1)) of all weights, in the order of their ids; `None` where rounding leaves none.
    fn draw_from_all(&self, drawn: f64) -> Option<u32> {
        /// Tokens whose weights are added before any is looked at.
        const BLOCK: usize = 256;
        let weights: Vec<f32> = self.logits.iter().map(|logit| self.weight(*logit)).collect();
        let sums: Vec<f64> = weights.chunks(BLOCK).map(sum).collect();
        let mut left = drawn * sums.iter().sum::<f64>();
        let mut last = None;
        for ((weights, sum), first) in weights.chunks(BLOCK).zip(sums).zip((0u32..).step_by(BLOCK)) {
            if left >= sum {
                left -= sum;
                continue;
            }
            for (id, weight) in (first..).zip(weights).filter(|(_, weight)| **weight > 0.0) {
                let weight = f64::from(*weight);
                if left < weight {
                    return Some(id);
                }
                left -= weight;
                last = Some(id);
            }
        }
        // Rounding can leave a trifle over: it belongs to the last token that was looked at.
        last
    }
}

/// The sum of some weights: in eight parts, which a processor adds side by side.
fn sum(weights: &[f32]) -> f64 {
    let mut parts = [0.0; 8];
    let (whole, rest) = weights.as_chunks::<8>();
    for weights in whole {
        for (part, weight) in parts.iter_mut().zip(weights) {
            *part += f64::from(*weight);
        }
    }
    for (part, weight) in parts.iter_mut().zip(rest) {
        *part += f64::from(*weight);
    }
    parts.iter().sum()
}

/// e^x for x up to 0; 0 below -87 and for what is no number. Relative error below 4e-7. It has no branches and no operation that
/// processors do differently, so that the weights of a vocabulary take microseconds, and the same bits everywhere.
#[inline]
fn exp(x: f32) -> f32 {
    /// 1.5 * 2^23: added to a small number it rounds it to the nearest integer, and has it in its low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts: the first has so few bits that its product with the exponent is exact.
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let bounded = if x > -87.0 { x } else { -87.0 };
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (bounded - n * LN2_HIGH) - n * LN2_LOW;
    // The series to the sixth power: |r| is at most ln 2 / 2.
    let p = 1.0 / 120.0 + r * (1.0 / 720.0);
    let p = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * p))));
    let power = f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    if x > -87.0 { p * power } else { 0.0 }
}

/// The ids that are not forbidden, ascending.
fn open(logits: &[f32]) -> Vec<u32> {
    (0u32..).zip(logits).filter(|(_, logit)| **logit > f32::NEG_INFINITY).map(|(id, _)| id).collect()
}

fn likeliest(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (id, logit) in (0u32..).zip(logits) {
        if *logit > best.map_or(f32::NEG_INFINITY, |(_, highest)| highest) {
            best = Some((id, *logit));
        }
    }
    best.map(|(id, _)| id)
}

/// Descending logit, then ascending id.
fn order(logits: &[f32], a: u32, b: u32) -> Ordering {
    logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b))
}

/// Keeps the `count` likeliest, likeliest first.
fn keep_top(ids: &mut Vec<u32>, logits: &[f32], count: usize) {
    if count < ids.len() {
        if count == 0 {
            ids.clear();
            return;
        }
        ids.select_nth_unstable_by(count - 1, |a, b| order(logits, *a, *b));
        ids.truncate(count);
    }
    ids.sort_unstable_by(|a, b| order(logits, *a, *b));
}

/// Keeps the smallest set of likeliest tokens whose probabilities (among `ids`) reach `p`; at least one.
fn keep_nucleus(ids: &mut Vec<u32>, weights: &Weights<'_>, p: f64) {
    let total: f64 = ids.iter().map(|id| weights.of(*id)).sum();
    // Tokens below (1 - p) / n hold less than 1 - p together, so the others reach p without them: only those need sorting.
    let floor = total * (1.0 - p) / ids.len() as f64;
    ids.retain(|id| weights.of(*id) >= floor);
    ids.sort_unstable_by(|a, b| order(weights.logits, *a, *b));
    let mut sum = 0.0;
    let enough = ids.iter().position(|id| {
        sum += weights.of(*id);
        sum >= p * total
    });
    ids.truncate(enough.map_or(ids.len(), |last| last + 1));
}

#[cfg(test)]
mod tests;
