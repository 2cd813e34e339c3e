//! Rotary positions: angles per pair of a head's values, with every scaling in use, and the rotation.
//!
//! Frequencies and angles are worked out in 64 bits with functions of our own, so that they are the same everywhere; sine and cosine are then
//! rounded to f32 once. They are meant to be worked out once per position and used by all layers.

mod wide;

use crate::{Set, sets::per_set};
use wide::{exp, ln, sin_cos};

/// Which values of a head make a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Neighbours: 2i and 2i + 1 (llama).
    Neighbours,
    /// Halves: i and i + n/2 (NeoX, qwen, gemma, phi).
    Halves,
}

/// How a model's context was stretched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scaling {
    /// Not at all.
    None,
    /// Positions divided by a factor.
    Linear {
        /// How many times longer.
        factor: f64,
    },
    /// YaRN: slow pairs are interpolated, fast ones kept, and vectors grow a little.
    Yarn {
        /// How many times longer.
        factor: f64,
        /// The context before, in positions.
        original: f64,
        /// Turns within the original context above which a pair is kept (usually 32).
        fast: f64,
        /// Turns below which it is interpolated (usually 1).
        slow: f64,
        /// An extra factor of the magnitude (usually 1).
        magnitude: f64,
    },
    /// Llama 3.1: like YaRN by wavelength, and without the magnitude.
    Llama3 {
        /// How many times longer.
        factor: f64,
        /// Wavelengths longer than the original context divided by this are interpolated (usually 1).
        low: f64,
        /// Shorter than the original context divided by this are kept (usually 4).
        high: f64,
        /// The context before, in positions.
        original: f64,
    },
}

/// The rotation of one model (or of one kind of its layers).
#[derive(Clone, Debug)]
pub struct Rope {
    pairing: Pairing,
    frequencies: Vec<f64>,
    magnitude: f64,
}

impl Rope {
    /// Rotates the first `dimensions` values of each head with angles position * base^(-2i / dimensions).
    /// `factors`, one per pair or none at all, divide the frequencies (`rope_freqs` of a GGUF file).
    ///
    /// # Panics
    /// If `dimensions` is odd, or there are factors but not one per pair.
    pub fn new(pairing: Pairing, dimensions: usize, base: f64, scaling: Scaling, factors: &[f32]) -> Self {
        assert!(dimensions.is_multiple_of(2), "pairs");
        assert!(factors.is_empty() || factors.len() == dimensions / 2, "a factor per pair");
        let n = dimensions as f64;
        let log_base = ln(base);
        let frequencies = (0..dimensions / 2).map(|i| {
            let frequency = exp(-2.0 * i as f64 / n * log_base);
            let frequency = factors.get(i).map_or(frequency, |factor| frequency / f64::from(*factor));
            scaling.frequency(frequency, i as f64, n, log_base)
        });
        let magnitude = match scaling {
            Scaling::Yarn { factor, magnitude, .. } => magnitude * (1.0 + 0.1 * ln(factor)),
            _ => 1.0,
        };
        Self { pairing, frequencies: frequencies.collect(), magnitude }
    }

    /// Values of a head that are rotated.
    pub fn dimensions(&self) -> usize {
        self.frequencies.len() * 2
    }

    /// Writes cosine and sine of every pair at a position below 2^31: first all cosines, then all sines, [`Rope::dimensions`] in all.
    ///
    /// # Panics
    /// If `angles` has another length.
    pub fn angles(&self, position: u32, angles: &mut [f32]) {
        let pairs = self.frequencies.len();
        assert_eq!(angles.len(), 2 * pairs, "a cosine and a sine per pair");
        for (i, frequency) in self.frequencies.iter().enumerate() {
            let (sin, cos) = sin_cos(f64::from(position) * frequency);
            angles[i] = (cos * self.magnitude) as f32;
            angles[pairs + i] = (sin * self.magnitude) as f32;
        }
    }

    /// Rotates heads of `head` values each, in place, by the angles that [`Rope::angles`] gave:
    /// `(a, b)` becomes `(fma(a, cos, -(b * sin)), fma(a, sin, b * cos))`.
    ///
    /// # Panics
    /// If `head` is less than [`Rope::dimensions`], `vectors` is no whole number of heads, or `angles` has another length.
    pub fn rotate(&self, set: Set, angles: &[f32], vectors: &mut [f32], head: usize) {
        let dimensions = self.dimensions();
        assert!(dimensions > 0 && head >= dimensions && vectors.len().is_multiple_of(head), "whole heads");
        assert_eq!(angles.len(), dimensions, "a cosine and a sine per pair");
        match self.pairing {
            Pairing::Neighbours => rotate_neighbours(set, angles, vectors, head),
            Pairing::Halves => rotate_halves(set, angles, vectors, head),
        }
    }
}

impl Scaling {
    /// The frequency of pair `i` of `n / 2`, stretched.
    fn frequency(self, frequency: f64, i: f64, n: f64, log_base: f64) -> f64 {
        const TURN: f64 = 2.0 * std::f64::consts::PI;
        match self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Yarn { factor, original, fast, slow, .. } => {
                // The pair that turns so often within the original context.
                let pair = |turns: f64| n * ln(original / (turns * TURN)) / (2.0 * log_base);
                let first = pair(fast).floor().max(0.0);
                let last = pair(slow).ceil().min(n - 1.0);
                let kept = 1.0 - ((i - first) / (last - first).max(0.001)).clamp(0.0, 1.0);
                frequency / factor * (1.0 - kept) + frequency * kept
            }
            Self::Llama3 { factor, low, high, original } => {
                let wavelength = TURN / frequency;
                if wavelength < original / high {
                    frequency
                } else if wavelength > original / low {
                    frequency / factor
                } else {
                    let smooth = (original / wavelength - low) / (high - low);
                    (1.0 - smooth) * frequency / factor + smooth * frequency
                }
            }
        }
    }
}

#[inline(always)]
fn neighbours_body(angles: &[f32], vectors: &mut [f32], head: usize) {
    let (cos, sin) = angles.split_at(angles.len() / 2);
    for vector in vectors.chunks_exact_mut(head) {
        for ((pair, cos), sin) in vector.as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
            let [a, b] = *pair;
            *pair = [a.mul_add(*cos, -(b * sin)), a.mul_add(*sin, b * cos)];
        }
    }
}

#[inline(always)]
fn halves_body(angles: &[f32], vectors: &mut [f32], head: usize) {
    let pairs = angles.len() / 2;
    let (cos, sin) = angles.split_at(pairs);
    for vector in vectors.chunks_exact_mut(head) {
        let (first, second) = vector.split_at_mut(pairs);
        for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
            let (x, y) = (*a, *b);
            *a = x.mul_add(*cos, -(y * sin));
            *b = x.mul_add(*sin, y * cos);
        }
    }
}

per_set! {
    fn rotate_neighbours(angles: &[f32], vectors: &mut [f32], head: usize) = neighbours_body;
}
per_set! {
    fn rotate_halves(angles: &[f32], vectors: &mut [f32], head: usize) = halves_body;
}

#[cfg(test)]
mod tests;
