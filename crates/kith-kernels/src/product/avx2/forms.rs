//! How 8 rows of one group are read from a panel of each form: codes, and scales as f32 or as pairs of 16-bit integers.

use std::arch::x86_64::*;

/// Scales and minima of 8 rows for one group of 32.
pub(in crate::product) struct Scales {
    /// Multiplies the integer sum (for forms with scales per 16: their common factor).
    pub d: __m256,
    /// Multiplies the scaled sum of the codes, or -(the scaled integer sum of minima).
    pub m: __m256,
    /// Scales of the first and the last 16 values, each twice as 16-bit integers.
    pub pairs: [__m256i; 2],
    /// The two scales of a row side by side.
    pub both: __m256i,
    /// The two minima of a row side by side.
    pub minima: __m256i,
}

/// A form of panels.
pub(in crate::product) trait Codes {
    /// Bits of a code; 8 means signed.
    const BITS: usize;
    /// The power of two that is subtracted from a code, 0 for none.
    const OFFSET: i32;
    /// Whether there are minima.
    const MINIMA: bool;
    /// Whether scales are integers per 16 values.
    const BY_SIXTEEN: bool;
    /// Bytes before every eight groups.
    const HEAD: usize;
    /// Bytes of a group's scales.
    const SCALES: usize;
    /// Bytes of a group's codes.
    const CODES: usize = 64 * Self::BITS;

    /// The scales of 8 rows.
    ///
    /// # Safety
    /// AVX2 and F16C are here; `head` is the beginning of the last head (if there is any) and `scales` that of the group's scales; `half` is 0 or 1.
    unsafe fn scales(head: *const u8, scales: *const u8, half: usize) -> Scales;
}

/// Blocks of 32 with a half for the scale and, with minima, one for the minimum.
pub(in crate::product) struct Simple<const BITS: usize, const OFFSET: i32, const MINIMA: bool>;

impl<const BITS: usize, const OFFSET: i32, const MINIMA: bool> Codes for Simple<BITS, OFFSET, MINIMA> {
    const BITS: usize = BITS;
    const OFFSET: i32 = OFFSET;
    const MINIMA: bool = MINIMA;
    const BY_SIXTEEN: bool = false;
    const HEAD: usize = 0;
    const SCALES: usize = if MINIMA { 64 } else { 32 };

    #[inline(always)]
    unsafe fn scales(_: *const u8, scales: *const u8, half: usize) -> Scales {
        // SAFETY: 16 halves are there, and 16 more with minima.
        unsafe {
            let d = halves(scales.add(16 * half));
            let m = if MINIMA { halves(scales.add(32 + 16 * half)) } else { _mm256_setzero_ps() };
            let none = _mm256_setzero_si256();
            Scales { d, m, pairs: [none; 2], both: none, minima: none }
        }
    }
}

/// Eight halves as f32.
///
/// # Safety
/// F16C is here; `at` may be read for 16 bytes.
#[inline(always)]
unsafe fn halves(at: *const u8) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe { _mm256_cvtph_ps(_mm_loadu_si128(at.cast())) }
}

/// K-quants with a byte for scale and minimum per 32.
///
/// # Safety
/// AVX2 and F16C are here; 64 bytes at `head` and 32 at `scales` may be read.
#[inline(always)]
unsafe fn by_thirty_two(head: *const u8, scales: *const u8, half: usize) -> Scales {
    // SAFETY: the caller's promise.
    unsafe {
        let bytes = |at: *const u8| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(at.cast())));
        let d = _mm256_mul_ps(halves(head.add(16 * half)), bytes(scales.add(8 * half)));
        let m = _mm256_xor_ps(halves(head.add(32 + 16 * half)), _mm256_set1_ps(-0.0));
        let m = _mm256_mul_ps(m, bytes(scales.add(16 + 8 * half)));
        let none = _mm256_setzero_si256();
        Scales { d, m, pairs: [none; 2], both: none, minima: none }
    }
}

/// K-quants with a byte for each scale (and minimum) per 16.
///
/// # Safety
/// AVX2 and F16C are here; as many bytes as the form has may be read at `head` and `scales`.
#[inline(always)]
unsafe fn by_sixteen<const MINIMA: bool>(head: *const u8, scales: *const u8, half: usize) -> Scales {
    // SAFETY: the caller's promise.
    unsafe {
        let low = _mm256_set1_epi32(0xffff);
        let bytes = |at: *const u8| {
            let bytes = _mm_loadl_epi64(at.cast());
            // Scales with minima are unsigned.
            if MINIMA { _mm256_cvtepu8_epi32(bytes) } else { _mm256_and_si256(_mm256_cvtepi8_epi32(bytes), low) }
        };
        let pair = |a: __m256i, b: __m256i| _mm256_or_si256(a, _mm256_slli_epi32::<16>(b));
        let first = bytes(scales.add(8 * half));
        let second = bytes(scales.add(16 + 8 * half));
        let d = halves(head.add(16 * half));
        let (mut m, mut minima) = (_mm256_setzero_ps(), _mm256_setzero_si256());
        if MINIMA {
            m = _mm256_xor_ps(halves(head.add(32 + 16 * half)), _mm256_set1_ps(-0.0));
            minima = pair(bytes(scales.add(32 + 8 * half)), bytes(scales.add(48 + 8 * half)));
        }
        Scales { d, m, pairs: [pair(first, first), pair(second, second)], both: pair(first, second), minima }
    }
}

macro_rules! k_quant {
    ($(#[$meta:meta])* $name:ident, $bits:literal, $offset:literal, $minima:literal, $by_sixteen:literal, $head:literal, $scales:literal, $read:path) => {
        $(#[$meta])*
        pub(in crate::product) struct $name;

        impl Codes for $name {
            const BITS: usize = $bits;
            const OFFSET: i32 = $offset;
            const MINIMA: bool = $minima;
            const BY_SIXTEEN: bool = $by_sixteen;
            const HEAD: usize = $head;
            const SCALES: usize = $scales;

            #[inline(always)]
            unsafe fn scales(head: *const u8, scales: *const u8, half: usize) -> Scales {
                // SAFETY: the caller's promise.
                unsafe { $read(head, scales, half) }
            }
        }
    };
}

k_quant!(/// Q2_K.
    K2, 2, 0, true, true, 64, 64, by_sixteen::<true>);
k_quant!(/// Q3_K.
    K3, 3, 2, false, true, 32, 32, by_sixteen::<false>);
k_quant!(/// Q4_K.
    K4, 4, 0, true, false, 64, 32, by_thirty_two);
k_quant!(/// Q5_K.
    K5, 5, 0, true, false, 64, 32, by_thirty_two);
k_quant!(/// Q6_K.
    K6, 6, 5, false, true, 32, 32, by_sixteen::<false>);

/// Cell `T` of 8 rows: 32 codes of 8 bits.
///
/// # Safety
/// AVX2 is here; `at` is the beginning of a group's codes, plus 32 for the upper 8 rows.
#[inline(always)]
pub(super) unsafe fn cell<const BITS: usize, const T: usize>(at: *const u8) -> __m256i {
    // SAFETY: the lines read here are those that a form of so many bits has.
    unsafe {
        match BITS {
            2 => pair::<T, 0>(at),
            3 => _mm256_or_si256(pair::<T, 0>(at), bit::<T, 2>(at.add(128))),
            4 => nibble::<T>(at),
            5 => _mm256_or_si256(nibble::<T>(at), bit::<T, 4>(at.add(256))),
            6 => _mm256_or_si256(nibble::<T>(at), pair::<T, 4>(at.add(256))),
            _ => load(at.add(64 * T)),
        }
    }
}

/// # Safety
/// AVX2 is here; 32 bytes may be read.
#[inline(always)]
unsafe fn load(at: *const u8) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_loadu_si256(at.cast()) }
}

/// Four bits of cell T.
///
/// # Safety
/// As [`cell`].
#[inline(always)]
unsafe fn nibble<const T: usize>(at: *const u8) -> __m256i {
    // SAFETY: four lines of nibbles.
    unsafe {
        let line = load(at.add(64 * (T % 4)));
        let line = if T < 4 { line } else { _mm256_srli_epi16::<4>(line) };
        _mm256_and_si256(line, _mm256_set1_epi8(15))
    }
}

/// Bits 2(T%4) and 2(T%4)+1 of line T/4, moved to bit TO (0 or 4).
///
/// # Safety
/// As [`cell`], for the first of the two lines of pairs.
#[inline(always)]
unsafe fn pair<const T: usize, const TO: usize>(at: *const u8) -> __m256i {
    // SAFETY: two lines of pairs.
    unsafe {
        let line = load(at.add(64 * (T / 4)));
        let moved = match (T % 4, TO) {
            (1, 0) => _mm256_srli_epi16::<2>(line),
            (2, 0) => _mm256_srli_epi16::<4>(line),
            (3, 0) => _mm256_srli_epi16::<6>(line),
            (0, 4) => _mm256_slli_epi16::<4>(line),
            (1, 4) => _mm256_slli_epi16::<2>(line),
            (3, 4) => _mm256_srli_epi16::<2>(line),
            _ => line,
        };
        _mm256_and_si256(moved, _mm256_set1_epi8(3 << TO))
    }
}

/// Bit T of each byte, moved to bit TO (2 or 4).
///
/// # Safety
/// As [`cell`], for the line of single bits.
#[inline(always)]
unsafe fn bit<const T: usize, const TO: usize>(at: *const u8) -> __m256i {
    // SAFETY: one line of bits.
    unsafe {
        let line = load(at);
        let moved = match (T, TO) {
            (0, 2) => _mm256_slli_epi16::<2>(line),
            (1, 2) => _mm256_slli_epi16::<1>(line),
            (3, 2) => _mm256_srli_epi16::<1>(line),
            (4, 2) => _mm256_srli_epi16::<2>(line),
            (5, 2) => _mm256_srli_epi16::<3>(line),
            (6, 2) => _mm256_srli_epi16::<4>(line),
            (7, 2) => _mm256_srli_epi16::<5>(line),
            (0, 4) => _mm256_slli_epi16::<4>(line),
            (1, 4) => _mm256_slli_epi16::<3>(line),
            (2, 4) => _mm256_slli_epi16::<2>(line),
            (3, 4) => _mm256_slli_epi16::<1>(line),
            (5, 4) => _mm256_srli_epi16::<1>(line),
            (6, 4) => _mm256_srli_epi16::<2>(line),
            (7, 4) => _mm256_srli_epi16::<3>(line),
            _ => line,
        };
        _mm256_and_si256(moved, _mm256_set1_epi8(1 << TO))
    }
}
