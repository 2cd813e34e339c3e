//! What a machine can do at most, measured: how fast its threads read memory, and how fast they multiply 8-bit integers.

use kith_kernels::{Pool, Set};
use std::{hint::black_box, time::Instant};

/// Rounds of an instruction's loop.
const STEPS: usize = 100_000;
/// Sums that do not wait for each other: enough for every processor's latency times its instructions a cycle.
const CHAINS: usize = 12;

/// Seconds of the fastest of some calls; tries for about `seconds`.
pub fn best(seconds: f64, mut work: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut best = f64::MAX;
    let mut tries = 0;
    while tries < 5 || begin.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
        tries += 1;
    }
    best
}

/// Bytes of a 256 MiB buffer that all threads read, per second.
pub fn bandwidth(pool: &Pool) -> f64 {
    let buffer = vec![1u64; 32 << 20];
    let chunk = 64 * 1024;
    let time = best(1.5, || {
        pool.run(buffer.len() / chunk, &|part| {
            let mut sums = [0u64; 16];
            for values in buffer[part * chunk..][..chunk].as_chunks::<16>().0 {
                for i in 0..16 {
                    sums[i] = sums[i].wrapping_add(values[i]);
                }
            }
            black_box(sums);
        });
    });
    buffer.len() as f64 * 8.0 / time
}

/// A loop of one instruction on chains of sums.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! chains {
    ($name:ident, $features:literal, $start:expr, |$sum:ident, $factor:ident| $step:expr) => {
        #[target_feature(enable = $features)]
        pub(super) fn $name() {
            let $factor = black_box($start);
            let mut sums = [black_box($start); CHAINS];
            for _ in 0..STEPS {
                for $sum in &mut sums {
                    *$sum = $step;
                }
            }
            black_box(sums);
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod loops {
    use super::{CHAINS, STEPS, black_box};
    use std::arch::x86_64::*;

    chains!(avx2, "avx2", _mm256_set1_epi8(3), |sum, factor| _mm256_maddubs_epi16(*sum, factor));
    chains!(avx_vnni, "avx2,avxvnni", _mm256_set1_epi8(3), |sum, factor| _mm256_dpbusd_avx_epi32(*sum, factor, factor));
    chains!(avx512, "avx512f,avx512vnni", _mm512_set1_epi8(3), |sum, factor| _mm512_dpbusd_epi32(*sum, factor, factor));
}

#[cfg(target_arch = "aarch64")]
mod loops {
    use super::{CHAINS, STEPS, black_box};
    use std::arch::{aarch64::*, asm};

    chains!(neon, "neon,dotprod", vdupq_n_s32(3), |sum, factor| {
        let mut after = *sum;
        // SAFETY: one instruction on registers; this loop runs only where there are dot products.
        unsafe {
            asm!("sdot {0:v}.4s, {1:v}.16b, {1:v}.16b", inout(vreg) after, in(vreg) factor, options(pure, nomem, nostack, preserves_flags));
        }
        after
    });
}

/// Operations per second of all threads, a multiplication and an addition being two: of a loop of nothing but the instruction with which the
/// set multiplies 8-bit integers. None for sets without one.
pub fn integer_peak(pool: &Pool, set: Set) -> Option<f64> {
    let (products, run): (usize, fn()) = match set.name() {
        // SAFETY: a set exists only where its instructions were detected.
        #[cfg(target_arch = "x86_64")]
        "avx2" => (32, || unsafe { loops::avx2() }),
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        "avx-vnni" => (32, || unsafe { loops::avx_vnni() }),
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        "avx512-vnni" => (64, || unsafe { loops::avx512() }),
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        "neon-dotprod" => (16, || unsafe { loops::neon() }),
        _ => return None,
    };
    let parts = pool.threads() * 4;
    let time = best(0.5, || pool.run(parts, &|_| run()));
    Some((parts * STEPS * CHAINS * products * 2) as f64 / time)
}
