//! Pages of keys and values: 64 positions of all heads of one layer.
//!
//! Per head, keys lie turned (values of a head by positions), values as they are (positions by values of a head), so that lanes are always what
//! is not summed over. In 8 bits, 32 values of one position share a scale (f32, largest magnitude / 127).

use super::{
    PAGE,
    chains::{Bytes, Rows, SHARING},
};
use crate::{
    Set,
    float::{from_f16, to_f16},
    math::ROUND,
    sets::{Kind, per_set},
};

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// IEEE halves, rounded to nearest.
    Half,
    /// 8 bits with a scale per 32 values.
    Byte,
}

/// The shape of a layer's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheShape {
    heads: usize,
    head: usize,
    stored: Stored,
}

impl CacheShape {
    /// `heads` heads of `head` values each.
    ///
    /// # Panics
    /// If `head` is 0 or no multiple of 8.
    pub fn new(heads: usize, head: usize, stored: Stored) -> Self {
        assert!(head > 0 && head.is_multiple_of(8), "heads of a multiple of 8 values");
        Self { heads, head, stored }
    }

    /// Heads of keys and values.
    pub const fn heads(&self) -> usize {
        self.heads
    }

    /// Values of a head.
    pub const fn head(&self) -> usize {
        self.head
    }

    /// Bytes of the keys (or of the values) of one head in a page.
    const fn side(&self) -> usize {
        match self.stored {
            Stored::Half => 2 * PAGE * self.head,
            Stored::Byte => PAGE * self.head + 4 * PAGE * self.head.div_ceil(SHARING),
        }
    }

    /// Bytes of a page: keys and values of 64 positions of one layer.
    pub const fn page_bytes(&self) -> usize {
        2 * self.heads * self.side()
    }

    /// Writes keys and values of one position (all heads, one after another) into slot `slot` of a page.
    ///
    /// # Panics
    /// If the page, the keys or the values have the wrong length, or the slot is not below [`PAGE`].
    pub fn write(&self, page: &mut [u8], slot: usize, keys: &[f32], values: &[f32]) {
        assert!(page.len() == self.page_bytes() && slot < PAGE, "a slot of a page");
        assert!(keys.len() == self.heads * self.head && values.len() == keys.len(), "all heads of a position");
        let sides = page.chunks_exact_mut(2 * self.side());
        for ((sides, keys), values) in sides.zip(keys.chunks_exact(self.head)).zip(values.chunks_exact(self.head)) {
            let (key_side, value_side) = sides.split_at_mut(self.side());
            match self.stored {
                Stored::Half => {
                    for (i, key) in keys.iter().enumerate() {
                        key_side[2 * (i * PAGE + slot)..][..2].copy_from_slice(&to_f16(*key).to_le_bytes());
                    }
                    let row = &mut value_side[2 * slot * self.head..][..2 * self.head];
                    for (to, value) in row.as_chunks_mut().0.iter_mut().zip(values) {
                        *to = to_f16(*value).to_le_bytes();
                    }
                }
                Stored::Byte => {
                    self.write_bytes(key_side, keys, |i| i * PAGE + slot, |block| block * PAGE + slot);
                    let blocks = self.head.div_ceil(SHARING);
                    self.write_bytes(value_side, values, |i| slot * self.head + i, |block| slot * blocks + block);
                }
            }
        }
    }

    /// Writes one head of one position in 8 bits.
    fn write_bytes(&self, side: &mut [u8], from: &[f32], code_at: impl Fn(usize) -> usize, scale_at: impl Fn(usize) -> usize) {
        let (codes, scales) = side.split_at_mut(PAGE * self.head);
        for (block, values) in from.chunks(SHARING).enumerate() {
            let largest = values.iter().fold(0, |largest, value| (value.to_bits() & 0x7fff_ffff).max(largest));
            let largest = f32::from_bits(largest);
            let (scale, per_value) = if !largest.is_finite() {
                (f32::NAN, 0.0)
            } else if largest < crate::activations::NOTHING {
                (0.0, 0.0)
            } else {
                (largest / 127.0, 127.0 / largest)
            };
            scales[4 * scale_at(block)..][..4].copy_from_slice(&scale.to_le_bytes());
            for (i, value) in values.iter().enumerate() {
                let code = if per_value == 0.0 { 0.0 } else { value.mul_add(per_value, ROUND) - ROUND };
                codes[code_at(block * SHARING + i)] = code as i8 as u8;
            }
        }
    }

    /// Keys and values of one head; as f32 in the given vectors if `often` (they will be read many times). `then` is the page that will be read next,
    /// if any.
    ///
    /// # Panics
    /// If a page has the wrong length.
    pub(super) fn rows<'a>(
        &self,
        set: Set,
        [page, then]: [&'a [u8]; 2],
        head: usize,
        often: bool,
        keys: &'a mut Vec<f32>,
        values: &'a mut Vec<f32>,
    ) -> KeysAndValues<'a> {
        assert_eq!(page.len(), self.page_bytes(), "a whole page");
        let sides = 2 * head * self.side()..2 * (head + 1) * self.side();
        let then = then.get(sides.clone()).unwrap_or_default();
        let (key_side, value_side) = page[sides].split_at(self.side());
        let bytes = |side: &'a [u8], lanes: usize| {
            let (codes, scales) = side.split_at(PAGE * self.head);
            Bytes { codes, scales, lanes }
        };
        match self.stored {
            Stored::Half if !often => {
                let (keys, values) = (Rows::Half(key_side, PAGE, value_side), Rows::Half(value_side, self.head, then));
                return KeysAndValues { keys, values };
            }
            Stored::Byte if !often => {
                let (keys, values) = (bytes(key_side, PAGE), bytes(value_side, self.head));
                return KeysAndValues { keys: Rows::Turned(keys), values: Rows::Straight(values) };
            }
            _ => {}
        }
        keys.resize(PAGE * self.head, 0.0);
        values.resize(PAGE * self.head, 0.0);
        match self.stored {
            Stored::Half => {
                widen(set, key_side, keys);
                widen(set, value_side, values);
            }
            Stored::Byte => {
                let (codes, scales) = key_side.split_at(PAGE * self.head);
                scale_turned(set, codes, scales, keys);
                let (codes, scales) = value_side.split_at(PAGE * self.head);
                scale_rows(set, codes, scales, values, self.head);
            }
        }
        KeysAndValues { keys: Rows::Single(keys, PAGE), values: Rows::Single(values, self.head) }
    }
}

/// One head of a page.
pub(super) struct KeysAndValues<'a> {
    /// A row per value of the head, a lane per position.
    pub keys: Rows<'a>,
    /// A row per position, a lane per value of the head.
    pub values: Rows<'a>,
}

/// The next scales as numbers.
#[inline(always)]
fn scales_of<const N: usize>(bytes: &[u8], at: usize) -> [f32; N] {
    let mut scales = [0.0; N];
    for (scale, bytes) in scales.iter_mut().zip(bytes[4 * at..].as_chunks().0) {
        *scale = f32::from_le_bytes(*bytes);
    }
    scales
}

#[inline(always)]
fn scale_turned_body(codes: &[u8], scales: &[u8], keys: &mut [f32]) {
    let rows = codes.as_chunks::<PAGE>().0.chunks(SHARING).zip(keys.as_chunks_mut::<PAGE>().0.chunks_mut(SHARING));
    for (block, (codes, keys)) in rows.enumerate() {
        let scales = scales_of::<PAGE>(scales, block * PAGE);
        for (codes, keys) in codes.iter().zip(keys) {
            for i in 0..PAGE {
                keys[i] = f32::from(codes[i] as i8) * scales[i];
            }
        }
    }
}

#[inline(always)]
fn scale_rows_body(codes: &[u8], scales: &[u8], values: &mut [f32], head: usize) {
    let mut at = 0;
    for (codes, values) in codes.chunks_exact(head).zip(values.chunks_exact_mut(head)) {
        let (whole_codes, rest_codes) = codes.as_chunks::<SHARING>();
        let (whole_values, rest_values) = values.as_chunks_mut::<SHARING>();
        for (codes, values) in whole_codes.iter().zip(whole_values) {
            let [scale] = scales_of::<1>(scales, at);
            at += 1;
            for i in 0..SHARING {
                values[i] = f32::from(codes[i] as i8) * scale;
            }
        }
        if !rest_codes.is_empty() {
            let [scale] = scales_of::<1>(scales, at);
            at += 1;
            for (value, code) in rest_values.iter_mut().zip(rest_codes) {
                *value = f32::from(*code as i8) * scale;
            }
        }
    }
}

per_set! {
    fn scale_turned(codes: &[u8], scales: &[u8], keys: &mut [f32]) = scale_turned_body;
}
per_set! {
    fn scale_rows(codes: &[u8], scales: &[u8], values: &mut [f32], head: usize) = scale_rows_body;
}

/// Halves as f32; both have as many.
fn widen(set: Set, from: &[u8], to: &mut [f32]) {
    let plain = |to: &mut [f32]| {
        for (to, from) in to.iter_mut().zip(from.as_chunks().0) {
            *to = from_f16(u16::from_le_bytes(*from));
        }
    };
    match set.kind() {
        Kind::Scalar => plain(to),
        #[cfg(target_arch = "aarch64")]
        Kind::Neon | Kind::NeonI8mm => plain(to),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a `Set` of this kind exists only where F16C does.
        Kind::Avx2 | Kind::AvxVnni | Kind::Avx512 => unsafe { widen_avx2(from, to) },
    }
}

/// # Safety
/// F16C is here.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c")]
unsafe fn widen_avx2(from: &[u8], to: &mut [f32]) {
    use std::arch::x86_64::{_mm_loadu_si128, _mm256_cvtph_ps, _mm256_storeu_ps};
    let (wholes, _) = to.as_chunks_mut::<8>();
    for (to, from) in wholes.iter_mut().zip(from.as_chunks::<16>().0) {
        // SAFETY: 16 bytes are read and eight floats written where there are so many. Halves of a head come in multiples of eight.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast()))) };
    }
}
