//! Products with AVX-512 and its dot products: a vector is the 16 rows of a panel.
//!
//! `vpdpbusd` adds four products of an unsigned and a signed byte to 32 bits, exactly. Signed weights are made unsigned by adding 128, which is taken
//! back as 128 times the sum of the activations.

mod wide;

use super::avx2::forms::{Codes, K2, K3, K4, K5, K6, Simple};
use crate::{Format, Group, PANEL_ROWS};
use std::arch::{asm, x86_64::*};

/// Bytes ahead of the reading that are asked for when one or two columns wait for memory.
const AHEAD: usize = 3072;

/// Columns that [`pair`] takes: those of the widest tile.
const COLUMNS: usize = super::TILE;

/// Chooses the form of a format.
macro_rules! by_format {
    ($format:expr, $tiles:ident($($arg:ident),*)) => {
        match $format {
            Format::Q4_0 => $tiles::<Simple<4, 3, false>>($($arg),*),
            Format::Q4_1 => $tiles::<Simple<4, 0, true>>($($arg),*),
            Format::Q5_0 => $tiles::<Simple<5, 4, false>>($($arg),*),
            Format::Q5_1 => $tiles::<Simple<5, 0, true>>($($arg),*),
            Format::Q8_0 => $tiles::<Simple<8, 0, false>>($($arg),*),
            Format::Q2_K => $tiles::<K2>($($arg),*),
            Format::Q3_K => $tiles::<K3>($($arg),*),
            Format::Q4_K => $tiles::<K4>($($arg),*),
            Format::Q5_K => $tiles::<K5>($($arg),*),
            Format::Q6_K => $tiles::<K6>($($arg),*),
            Format::F32 | Format::F16 | Format::BF16 => {}
        }
    };
}

/// Quantised weights with 1 to 4 columns.
///
/// # Safety
/// AVX2, FMA, F16C and AVX-512 F, BW and VNNI are here; `panel` is a whole panel of `format`, no float format; all columns are as deep as it.
pub(super) unsafe fn codes(format: Format, panel: &[u8], inputs: &[&[Group]], out: &mut [[f32; PANEL_ROWS]]) {
    // SAFETY: the caller's promise, unchanged; each arm's form is the one that panels of its format have.
    unsafe { by_format!(format, tile(panel, inputs, out)) }
}

/// Two panels with [`COLUMNS`] columns; `then` are bytes that are asked for meanwhile.
///
/// # Safety
/// As [`codes`], for both panels.
pub(super) unsafe fn pair(
    format: Format,
    panels: [&[u8]; 2],
    inputs: &[&[Group]; COLUMNS],
    out: [&mut [[f32; PANEL_ROWS]; COLUMNS]; 2],
    then: &[u8],
) {
    use wide::pair;
    // SAFETY: the caller's promise, unchanged; each arm's form is the one that panels of its format have.
    unsafe { by_format!(format, pair(panels, inputs, out, then)) }
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
            _ => rows::<F, 4>(panel, inputs, out),
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
                sums[c] = scales.link::<F>(halves[c], &*groups[c], sums[c]);
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
    /// Multiplies the integer sum (for forms with scales per 16: their common factor).
    d: __m512,
    /// Multiplies the scaled sum of the codes, or -(the scaled integer sum of minima).
    m: __m512,
    /// Scales of the first and the last 16 values.
    scales: [__m512i; 2],
    /// Of the same, side by side as 16-bit integers: the minima, or where there are none, the scales times the form's offset.
    pairs: __m512i,
}

impl Scales {
    /// # Safety
    /// AVX-512 F is here; as many bytes as the form has may be read at `head` and `scales`.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
    unsafe fn read<F: Codes>(head: *const u8, scales: *const u8) -> Self {
        let none = _mm512_setzero_si512();
        let minus = |m: __m512| _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(m), _mm512_set1_epi32(i32::MIN)));
        // SAFETY: the caller's promise.
        unsafe {
            let halves = |at: *const u8| _mm512_cvtph_ps(_mm256_loadu_si256(at.cast()));
            let unsigned = |at: *const u8| _mm512_cvtepu8_epi32(_mm_loadu_si128(at.cast()));
            let signed = |at: *const u8| _mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast()));
            if F::HEAD == 0 {
                let m = if F::MINIMA { halves(scales.add(32)) } else { _mm512_setzero_ps() };
                return Self { d: halves(scales), m, scales: [none; 2], pairs: none };
            }
            let m = if F::MINIMA { minus(halves(head.add(32))) } else { _mm512_setzero_ps() };
            if !F::BY_SIXTEEN {
                let d = _mm512_mul_ps(halves(head), _mm512_cvtepi32_ps(unsigned(scales)));
                let m = _mm512_mul_ps(m, _mm512_cvtepi32_ps(unsigned(scales.add(16))));
                return Self { d, m, scales: [none; 2], pairs: none };
            }
            let beside = |[first, second]: [__m512i; 2]| {
                _mm512_or_si512(_mm512_and_si512(first, _mm512_set1_epi32(0xffff)), _mm512_slli_epi32::<16>(second))
            };
            if F::MINIMA {
                // Scales with minima are unsigned.
                let pairs = beside([unsigned(scales.add(32)), unsigned(scales.add(48))]);
                return Self { d: halves(head), m, scales: [unsigned(scales), unsigned(scales.add(16))], pairs };
            }
            let scales = [signed(scales), signed(scales.add(16))];
            let pairs = _mm512_sll_epi16(beside(scales), _mm_cvtsi32_si128(F::OFFSET));
            Self { d: halves(head), m, scales, pairs }
        }
    }

    /// The next link of a column's chain: `y` with the integer sums of a group, which are of both halves together in the first place where the form has
    /// one scale for both.
    ///
    /// # Safety
    /// AVX-512 F and BW are here.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
    unsafe fn link<F: Codes>(&self, [first, second]: [__m512i; 2], group: &Group, y: __m512) -> __m512 {
        let scale = _mm512_set1_ps(group.scale);
        if !F::BY_SIXTEEN {
            // SAFETY: the caller's promise.
            let whole = unsafe { _mm512_sub_epi32(first, surplus::<F>(group)) };
            let sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), _mm512_mul_ps(self.d, scale), y);
            return if F::MINIMA { _mm512_fmadd_ps(self.m, _mm512_set1_ps(group.scaled_sum), sum) } else { sum };
        }
        // SAFETY: two integers of 16 bits are 32 bits.
        let halves = _mm512_set1_epi32(unsafe { (&raw const group.halves).cast::<i32>().read_unaligned() });
        let pairs = _mm512_madd_epi16(self.pairs, halves);
        let whole = _mm512_add_epi32(_mm512_mullo_epi32(first, self.scales[0]), _mm512_mullo_epi32(second, self.scales[1]));
        let whole = if F::MINIMA { whole } else { _mm512_sub_epi32(whole, pairs) };
        let sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), _mm512_mul_ps(self.d, scale), y);
        if F::MINIMA { _mm512_fmadd_ps(_mm512_cvtepi32_ps(pairs), _mm512_mul_ps(self.m, scale), sum) } else { sum }
    }
}

/// What the sum of codes times activations is too large by: the offset of the form, or the 128 that was added to signed bytes, times the sum of the
/// activations, in every lane.
///
/// # Safety
/// AVX-512 F is here.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
unsafe fn surplus<F: Codes>(group: &Group) -> __m512i {
    /// One instruction, which a compiler takes apart into three.
    macro_rules! times {
        ($shift:literal) => {{
            let times: __m512i;
            // SAFETY: the caller's promise; a number of 32 bits is read.
            unsafe {
                asm!(
                    concat!("vpslld {times}, dword ptr [{sum}]{{1to16}}, ", $shift),
                    times = lateout(zmm_reg) times,
                    sum = in(reg) &raw const group.sum,
                    options(nostack, readonly, pure, preserves_flags)
                );
            }
            times
        }};
    }
    match if F::BITS == 8 { 7 } else { F::OFFSET } {
        0 => _mm512_setzero_si512(),
        3 => times!("3"),
        4 => times!("4"),
        7 => times!("7"),
        shift => _mm512_sll_epi32(_mm512_set1_epi32(group.sum), _mm_cvtsi32_si128(shift)),
    }
}

/// The integer sums of cells 0 to 3 and 4 to 7 where the form has a scale for each, else of all and nothing.
///
/// # Safety
/// AVX-512 F, BW and VNNI are here; `at` is the beginning of a group's codes; the groups may be read.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
unsafe fn cells<F: Codes, const C: usize>(at: *const u8, groups: [*const Group; C]) -> [[__m512i; 2]; C] {
    let mut sums = [[_mm512_setzero_si512(); 2]; C];
    macro_rules! cells {
        ($($t:literal)+) => {
            $(
                let weights = cell::<F, $t>(at);
                for c in 0..C {
                    let values = _mm512_set1_epi32((*groups[c]).codes.as_ptr().add(4 * $t).cast::<i32>().read_unaligned());
                    let sum = &mut sums[c][if F::BY_SIXTEEN { $t / 4 } else { 0 }];
                    *sum = _mm512_dpbusd_epi32(*sum, weights, values);
                }
            )+
        };
    }
    // SAFETY: the caller's promise; there are eight cells.
    unsafe {
        cells!(0 1 2 3 4 5 6 7);
    }
    sums
}

/// Cell T of 16 rows: 64 codes of 8 bits.
///
/// # Safety
/// AVX-512 F and BW are here; `at` is the beginning of a group's codes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
unsafe fn cell<F: Codes, const T: usize>(at: *const u8) -> __m512i {
    // SAFETY: the lines read here are those that a form of so many bits has.
    let line = |line: usize| unsafe { _mm512_loadu_si512(at.add(64 * line).cast()) };
    const { assert!(T < 8) };
    let right = |v: __m512i, by: usize| _mm512_srl_epi16(v, _mm_cvtsi32_si128(by as i32));
    let left = |v: __m512i, by: usize| _mm512_sll_epi16(v, _mm_cvtsi32_si128(by as i32));
    let mask = |v: __m512i, bits: i8| _mm512_and_si512(v, _mm512_set1_epi8(bits));
    // Bits `from..` of each byte, moved to bit `to`.
    let moved = |v: __m512i, from: usize, to: usize| if from > to { right(v, from - to) } else { left(v, to - from) };
    let nibble = || mask(right(line(T % 4), 4 * (T / 4)), 15);
    let pair = |first: usize, to: usize| mask(moved(line(first + T / 4), 2 * (T % 4), to), 3 << to);
    let bit = |of: usize, to: usize| mask(moved(line(of), T, to), 1 << to);
    match F::BITS {
        2 => pair(0, 0),
        3 => _mm512_or_si512(pair(0, 0), bit(2, 2)),
        4 => nibble(),
        5 => _mm512_or_si512(nibble(), bit(4, 4)),
        6 => _mm512_or_si512(nibble(), pair(4, 4)),
        _ => _mm512_xor_si512(line(T), _mm512_set1_epi8(-128)),
    }
}
