//! Products with AVX-512 and its dot products: a vector is the 16 rows of a panel.
//!
//! `vpdpbusd` adds four products of an unsigned and a signed byte to 32 bits, exactly. Signed weights are made unsigned by adding 128, which is taken
//! back as 128 times the sum of the activations.

use super::avx2::forms::{Codes, K2, K3, K4, K5, K6, Simple};
use crate::{Format, Group, PANEL_ROWS};
use std::arch::x86_64::*;

/// Bytes ahead of the reading that are asked for when one or two columns wait for memory.
const AHEAD: usize = 1536;

/// Quantised weights with 1 to 4 columns, or 8.
///
/// # Safety
/// AVX2, FMA, F16C and AVX-512 F, BW and VNNI are here; `panel` is a whole panel of `format`, no float format; all columns are as deep as it.
pub(super) unsafe fn codes(format: Format, panel: &[u8], inputs: &[&[Group]], out: &mut [[f32; PANEL_ROWS]]) {
    // SAFETY: the caller's promise, unchanged; each arm's form is the one that panels of its format have.
    unsafe {
        match format {
            Format::Q4_0 => tile::<Simple<4, 3, false>>(panel, inputs, out),
            Format::Q4_1 => tile::<Simple<4, 0, true>>(panel, inputs, out),
            Format::Q5_0 => tile::<Simple<5, 4, false>>(panel, inputs, out),
            Format::Q5_1 => tile::<Simple<5, 0, true>>(panel, inputs, out),
            Format::Q8_0 => tile::<Simple<8, 0, false>>(panel, inputs, out),
            Format::Q2_K => tile::<K2>(panel, inputs, out),
            Format::Q3_K => tile::<K3>(panel, inputs, out),
            Format::Q4_K => tile::<K4>(panel, inputs, out),
            Format::Q5_K => tile::<K5>(panel, inputs, out),
            Format::Q6_K => tile::<K6>(panel, inputs, out),
            Format::F32 | Format::F16 | Format::BF16 => {}
        }
    }
}

/// # Safety
/// As [`codes`], for this form.
unsafe fn tile<F: Codes>(panel: &[u8], inputs: &[&[Group]], out: &mut [[f32; PANEL_ROWS]]) {
    // SAFETY: the caller's promise; there are as many columns as the number says.
    unsafe {
        match inputs.len() {
            1 => rows::<F, 1>(panel, inputs, out),
            2 => rows::<F, 2>(panel, inputs, out),
            3 => rows::<F, 3>(panel, inputs, out),
            4 => rows::<F, 4>(panel, inputs, out),
            _ => rows::<F, 8>(panel, inputs, out),
        }
    }
}

/// 16 rows with C columns.
///
/// # Safety
/// As [`codes`], with C columns.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
unsafe fn rows<F: Codes, const C: usize>(panel: &[u8], inputs: &[&[Group]], out: &mut [[f32; PANEL_ROWS]]) {
    let count = inputs[0].len();
    let group_bytes = F::CODES + F::SCALES;
    debug_assert_eq!(panel.len(), count * group_bytes + count / 8 * F::HEAD);
    let columns: [*const Group; C] = std::array::from_fn(|c| inputs[c].as_ptr());
    let mut sums = [_mm512_setzero_ps(); C];
    let mut at = panel.as_ptr();
    let mut head = at;
    for index in 0..count {
        // SAFETY: the panel has `count` groups, a head before every eight, the columns as many. A prefetch may point anywhere.
        unsafe {
            if F::HEAD > 0 && index % 8 == 0 {
                head = at;
                at = at.add(F::HEAD);
            }
            if C <= 2 {
                for line in 0..group_bytes.div_ceil(64) {
                    _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD + 64 * line).cast());
                }
            }
            let groups: [*const Group; C] = std::array::from_fn(|c| columns[c].add(index));
            let halves = cells::<F, C>(at, groups);
            let scales = Scales::read::<F>(head, at.add(F::CODES));
            for c in 0..C {
                let group = &*groups[c];
                let [first, second] = group.halves.map(|sum| _mm512_set1_epi32(i32::from(sum)));
                let scale = _mm512_set1_ps(group.scale);
                let whole = if F::BY_SIXTEEN {
                    let shift = _mm_cvtsi32_si128(F::OFFSET);
                    let (mut low, mut high) = (halves[c][0], halves[c][1]);
                    if F::OFFSET > 0 {
                        low = _mm512_sub_epi32(low, _mm512_sll_epi32(first, shift));
                        high = _mm512_sub_epi32(high, _mm512_sll_epi32(second, shift));
                    }
                    _mm512_add_epi32(_mm512_mullo_epi32(low, scales.scales[0]), _mm512_mullo_epi32(high, scales.scales[1]))
                } else {
                    let whole = _mm512_add_epi32(halves[c][0], halves[c][1]);
                    // Signed bytes have had 128 added.
                    let shift = if F::BITS == 8 { 7 } else { F::OFFSET };
                    if shift > 0 {
                        _mm512_sub_epi32(whole, _mm512_sll_epi32(_mm512_set1_epi32(group.sum), _mm_cvtsi32_si128(shift)))
                    } else {
                        whole
                    }
                };
                let mut sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), _mm512_mul_ps(scales.d, scale), sums[c]);
                if F::MINIMA && F::BY_SIXTEEN {
                    let [low, high] = scales.minima;
                    let minima = _mm512_add_epi32(_mm512_mullo_epi32(low, first), _mm512_mullo_epi32(high, second));
                    sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(minima), _mm512_mul_ps(scales.m, scale), sum);
                } else if F::MINIMA {
                    sum = _mm512_fmadd_ps(scales.m, _mm512_set1_ps(group.scaled_sum), sum);
                }
                sums[c] = sum;
            }
            at = at.add(group_bytes);
        }
    }
    for (sum, results) in sums.iter().zip(out) {
        // SAFETY: a tile's column has 16 values.
        unsafe { _mm512_storeu_ps(results.as_mut_ptr(), *sum) };
    }
}

/// Scales and minima of 16 rows for one group.
struct Scales {
    d: __m512,
    m: __m512,
    scales: [__m512i; 2],
    minima: [__m512i; 2],
}

impl Scales {
    /// # Safety
    /// AVX-512 F is here; as many bytes as the form has may be read at `head` and `scales`.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
    unsafe fn read<F: Codes>(head: *const u8, scales: *const u8) -> Self {
        let none = [_mm512_setzero_si512(); 2];
        let minus = |m: __m512| _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(m), _mm512_set1_epi32(i32::MIN)));
        // SAFETY: the caller's promise.
        unsafe {
            let halves = |at: *const u8| _mm512_cvtph_ps(_mm256_loadu_si256(at.cast()));
            let unsigned = |at: *const u8| _mm512_cvtepu8_epi32(_mm_loadu_si128(at.cast()));
            let signed = |at: *const u8| _mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast()));
            if F::HEAD == 0 {
                let m = if F::MINIMA { halves(scales.add(32)) } else { _mm512_setzero_ps() };
                return Self { d: halves(scales), m, scales: none, minima: none };
            }
            let m = if F::MINIMA { minus(halves(head.add(32))) } else { _mm512_setzero_ps() };
            if !F::BY_SIXTEEN {
                let d = _mm512_mul_ps(halves(head), _mm512_cvtepi32_ps(unsigned(scales)));
                let m = _mm512_mul_ps(m, _mm512_cvtepi32_ps(unsigned(scales.add(16))));
                return Self { d, m, scales: none, minima: none };
            }
            if F::MINIMA {
                // Scales with minima are unsigned.
                let minima = [unsigned(scales.add(32)), unsigned(scales.add(48))];
                Self { d: halves(head), m, scales: [unsigned(scales), unsigned(scales.add(16))], minima }
            } else {
                Self { d: halves(head), m, scales: [signed(scales), signed(scales.add(16))], minima: none }
            }
        }
    }
}

/// The integer sums of cells 0 to 3 and 4 to 7.
///
/// # Safety
/// AVX-512 F, BW and VNNI are here; `at` is the beginning of a group's codes; the groups may be read.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
unsafe fn cells<F: Codes, const C: usize>(at: *const u8, groups: [*const Group; C]) -> [[__m512i; 2]; C] {
    let mut sums = [[_mm512_setzero_si512(); 2]; C];
    for t in 0..8 {
        // SAFETY: the caller's promise; there are eight cells.
        unsafe {
            let weights = cell::<F>(at, t);
            for c in 0..C {
                let values = _mm512_set1_epi32((*groups[c]).codes.as_ptr().add(4 * t).cast::<i32>().read_unaligned());
                sums[c][t / 4] = _mm512_dpbusd_epi32(sums[c][t / 4], weights, values);
            }
        }
    }
    sums
}

/// Cell `t` of 16 rows: 64 codes of 8 bits.
///
/// # Safety
/// AVX-512 F and BW are here; `at` is the beginning of a group's codes; `t` is below 8.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
unsafe fn cell<F: Codes>(at: *const u8, t: usize) -> __m512i {
    // SAFETY: the lines read here are those that a form of so many bits has.
    let line = |line: usize| unsafe { _mm512_loadu_si512(at.add(64 * line).cast()) };
    let right = |v: __m512i, by: usize| _mm512_srl_epi16(v, _mm_cvtsi32_si128(by as i32));
    let left = |v: __m512i, by: usize| _mm512_sll_epi16(v, _mm_cvtsi32_si128(by as i32));
    let mask = |v: __m512i, bits: i8| _mm512_and_si512(v, _mm512_set1_epi8(bits));
    // Bits `from..` of each byte, moved to bit `to`.
    let moved = |v: __m512i, from: usize, to: usize| if from > to { right(v, from - to) } else { left(v, to - from) };
    let nibble = || mask(right(line(t % 4), 4 * (t / 4)), 15);
    let pair = |first: usize, to: usize| mask(moved(line(first + t / 4), 2 * (t % 4), to), 3 << to);
    let bit = |of: usize, to: usize| mask(moved(line(of), t, to), 1 << to);
    match F::BITS {
        2 => pair(0, 0),
        3 => _mm512_or_si512(pair(0, 0), bit(2, 2)),
        4 => nibble(),
        5 => _mm512_or_si512(nibble(), bit(4, 4)),
        6 => _mm512_or_si512(nibble(), pair(4, 4)),
        _ => _mm512_xor_si512(line(t), _mm512_set1_epi8(-128)),
    }
}
