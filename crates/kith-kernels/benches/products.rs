//! How fast products, attention and the pool are here, beside what the machine can do, measured in the same run.
//!
//! `cargo bench -p kith-kernels --profile dev --bench products [-- THREADS FORMAT...]` (2 threads and every format if none are named; the dev profile compiles this crate
//! fully optimised). Every figure is the best of several tries, since others may use the machine.
//!
//! - Bandwidth: bytes of a 256 MiB buffer read per second by all threads.
//! - Integer peak: multiplications of 8-bit integers by the instruction that the set has for them, times 2 (multiply and add), by all
//!   threads, from a loop of nothing else.
//! - Tall: one column; bytes of panels per second, over enough copies of the matrix to lie outside the caches, and over one copy.
//! - Tiled: 512 columns; 2 * rows * depth * columns operations per second.

#[path = "../examples/peak/machine.rs"]
mod machine;

use kith_kernels::{
    Activations, Format, Matrix, Pool, Product, Set,
    attention::{AttentionShape, CacheShape, PAGE, Span, Stored, attend},
    multiply, vector,
};
use machine::{bandwidth, best, integer_peak};
use std::{
    io::{Write, stdout},
    sync::atomic::{AtomicUsize, Ordering},
};

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Bytes below 0x3c make halves and floats of ordinary size, whatever their place.
            (state >> 56) as u8 % 0x3c
        })
        .collect()
}

fn values(len: usize) -> Vec<f32> {
    noise(len).into_iter().map(|byte| f32::from(byte) / 30.0 - 1.0).collect()
}

/// Seconds of a job in which every thread takes part: each part waits until all have begun.
fn meeting(pool: &Pool) -> f64 {
    const JOBS: usize = 200;
    let threads = pool.threads();
    let begun = AtomicUsize::new(0);
    let time = best(0.5, || {
        for _ in 0..JOBS {
            begun.store(0, Ordering::Relaxed);
            pool.run(threads, &|_| {
                begun.fetch_add(1, Ordering::AcqRel);
                while begun.load(Ordering::Acquire) < threads {
                    std::hint::spin_loop();
                }
            });
        }
    });
    time / JOBS as f64
}

/// With `bytes` of copies of the matrix.
fn tall(pool: &Pool, set: Set, format: Format, rows: usize, depth: usize, bytes: usize) -> f64 {
    let file = noise(format.row_bytes(depth).unwrap_or(0) * rows);
    let one = Matrix::bytes_needed(format, rows, depth).unwrap_or(1);
    let copies = bytes.div_ceil(one);
    let Ok(first) = Matrix::repack(pool, format, rows, depth, &file) else { return f64::NAN };
    let matrices: Vec<_> = (0..copies)
        .filter_map(|_| Matrix::from_panels(format, rows, depth, std::sync::Arc::new(first.panels().to_vec()), 0).ok())
        .collect();
    let mut x = Activations::new();
    x.load(pool, set, &values(depth), depth);
    let mut out = vec![0.0; rows];
    let time = best(0.5, || {
        for matrix in &matrices {
            multiply(pool, set, &x, &mut [Product { matrix, out: &mut out }]);
        }
    });
    (one * matrices.len()) as f64 / time
}

fn tiled(pool: &Pool, set: Set, format: Format, rows: usize, depth: usize) -> f64 {
    const COLUMNS: usize = 512;
    let rows = rows.min(4096);
    let file = noise(format.row_bytes(depth).unwrap_or(0) * rows);
    let Ok(matrix) = Matrix::repack(pool, format, rows, depth, &file) else { return f64::NAN };
    let mut x = Activations::new();
    x.load(pool, set, &values(depth * COLUMNS), depth);
    let mut out = vec![0.0; rows * COLUMNS];
    let time = best(0.5, || multiply(pool, set, &x, &mut [Product { matrix: &matrix, out: &mut out }]));
    2.0 * (rows * depth * COLUMNS) as f64 / time
}

/// Seconds for one token at `context`, and operations per second of a prompt of 512 there (SmolLM2's heads).
fn attention(pool: &Pool, set: Set, stored: Stored, context: usize) -> (f64, f64) {
    let cache = CacheShape::new(3, 64, stored);
    let shape = AttentionShape { cache, heads: 9, scale: 0.125, cap: None, window: None };
    let mut pages = vec![vec![0; cache.page_bytes()]; context.div_ceil(PAGE)];
    let vector = values(3 * 64);
    for position in 0..context {
        cache.write(&mut pages[position / PAGE], position % PAGE, &vector, &vector);
    }
    let run = |tokens: usize| {
        let queries = values(tokens * 9 * 64);
        let mut out = vec![0.0; queries.len()];
        let spans = [Span { first: context - tokens, tokens, pages: &pages }];
        best(0.5, || attend(pool, set, &shape, &spans, &queries, &mut out))
    };
    let tokens = 512.min(context);
    let seen = (0..tokens).map(|i| context - i).sum::<usize>();
    (run(1), (4 * seen * 9 * 64) as f64 / run(tokens))
}

fn main() -> std::io::Result<()> {
    // The test runner asks every program what tests it has.
    if std::env::args().any(|argument| argument == "--list") {
        return Ok(());
    }
    let threads = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(2);
    let pool = Pool::new(threads);
    let set = Set::best();
    let mut out = stdout().lock();
    let memory = bandwidth(&pool);
    let peak = integer_peak(&pool, set).unwrap_or(f64::NAN);
    writeln!(out, "{threads} threads, {}: bandwidth {:.1} GB/s, integer peak {:.0} GOPS", set.name(), memory / 1e9, peak / 1e9)?;
    writeln!(
        out,
        "a job of {threads} empty parts: {:.0} ns",
        best(0.3, || (0..1000).for_each(|_| pool.run(threads, &|_| {}))) * 1e6
    )?;
    writeln!(out, "a job whose {threads} parts wait for each other: {:.0} ns", meeting(&pool) * 1e9)?;
    let smol = [(576, 576), (1536, 576), (576, 1536), (49152, 576)];
    let mut cases = vec![(Format::Q4_1, 2048, 2048)];
    cases.extend(smol.map(|(rows, depth)| (Format::Q4_1, rows, depth)));
    cases.extend(Format::ALL.iter().filter(|format| **format != Format::Q4_1).map(|format| (*format, 2048, 2048)));
    let named: Vec<_> =
        std::env::args().filter_map(|word| Format::ALL.into_iter().find(|format| format!("{format:?}") == word)).collect();
    cases.retain(|(format, ..)| named.is_empty() || named.contains(format));
    for (format, rows, depth) in cases {
        let [cached, tall] = [1, 160 << 20].map(|bytes| tall(&pool, set, format, rows, depth, bytes));
        let tiled = tiled(&pool, set, format, rows, depth);
        writeln!(
            out,
            "{:5} {rows:5} x {depth:4}: tall {:5.1} GB/s ({:3.0} %), one copy {:5.1} GB/s, tiled {:5.0} GOPS ({:3.0} %)",
            format!("{format:?}"),
            tall / 1e9,
            100.0 * tall / memory,
            cached / 1e9,
            tiled / 1e9,
            100.0 * tiled / peak
        )?;
    }
    for stored in [Stored::Half, Stored::Byte] {
        for context in [512, 4096] {
            let (one, many) = attention(&pool, set, stored, context);
            writeln!(
                out,
                "attention {stored:?} at {context}: one token {:.1} us a layer, prompt {:.1} GFLOPS",
                one * 1e6,
                many / 1e9
            )?;
        }
    }
    let (x, mut y) = (values(1536), values(1536));
    let mut z = x.clone();
    writeln!(
        out,
        "rms_norm of 576: {:.2} us",
        best(0.1, || vector::rms_norm(set, &x[..576], &x[..576], 1e-5, &mut y[..576])) * 1e6
    )?;
    writeln!(out, "swiglu of 1536: {:.2} us", best(0.1, || vector::swiglu(set, &mut z, &x)) * 1e6)?;
    let mut a = Activations::new();
    writeln!(out, "8 bits of 1536: {:.2} us", best(0.1, || a.load(&pool, set, &x, 1536)) * 1e6)?;
    Ok(())
}
