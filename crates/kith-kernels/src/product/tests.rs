//! Products: the same bits in every set, with every company.

use super::*;
use crate::{Format, float::to_f16};
use proptest::prelude::*;

/// Numbers that look random and are the same each time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From -1 to 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A tensor of any codes and small scales.
fn tensor(format: Format, rows: usize, depth: usize, noise: &mut Noise) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..format.row_bytes(depth).unwrap() * rows).map(|_| noise.next() as u8).collect();
    let halves: &[usize] = match format {
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => &[0],
        Format::Q4_1 | Format::Q5_1 | Format::Q4_K | Format::Q5_K => &[0, 2],
        Format::Q2_K => &[80, 82],
        Format::Q3_K => &[108],
        Format::Q6_K => &[208],
        Format::F16 => &[0],
        Format::F32 | Format::BF16 => &[],
    };
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        for at in halves {
            block[*at..at + 2].copy_from_slice(&to_f16(noise.unit() * 0.1).to_le_bytes());
        }
        match format {
            Format::F32 => block.copy_from_slice(&noise.unit().to_le_bytes()),
            Format::BF16 => block.copy_from_slice(&noise.unit().to_le_bytes()[2..]),
            _ => {}
        }
    }
    bytes
}

fn columns(count: usize, depth: usize, noise: &mut Noise) -> Vec<f32> {
    (0..count * depth).map(|_| noise.unit() * 3.0).collect()
}

fn product(pool: &Pool, set: Set, matrix: &Matrix, values: &[f32]) -> Vec<f32> {
    let mut activations = Activations::new();
    activations.load(pool, set, values, matrix.depth());
    let mut out = vec![f32::MAX; activations.count() * matrix.rows()];
    multiply(pool, set, &activations, &mut [Product { matrix, out: &mut out }]);
    out
}

/// Bits, with all NaNs alike.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| if value.is_nan() { u32::MAX } else { value.to_bits() }).collect()
}

#[test]
fn every_format_is_near_the_product_of_its_dequantised_weights() {
    let pool = Pool::new(2);
    let mut noise = Noise(1);
    for format in Format::ALL {
        let (rows, depth, count) = (35, 512, 3);
        let bytes = tensor(format, rows, depth, &mut noise);
        let values = columns(count, depth, &mut noise);
        let matrix = Matrix::repack(&pool, format, rows, depth, &bytes).unwrap();
        let mut weights = vec![0.0; rows * depth];
        format.dequantise(&bytes, &mut weights);
        let got = product(&pool, Set::best(), &matrix, &values);
        for column in 0..count {
            let column_values = &values[column * depth..][..depth];
            for row in 0..rows {
                let pairs = weights[row * depth..][..depth].iter().zip(column_values);
                let truth: f64 = pairs.clone().map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                let size = pairs.map(|(a, b)| (f64::from(*a) * f64::from(*b)).powi(2)).sum::<f64>().sqrt();
                let error = (f64::from(got[column * rows + row]) - truth).abs();
                // Activations in 8 bits are off by 0.3 % or so; the errors of 512 of them add up as a random walk.
                assert!(error < size * 0.03, "{format:?} row {row} column {column}: off by {error} of {size}");
            }
        }
    }
}

#[test]
fn every_set_thread_number_and_number_of_columns_gives_the_bits_of_plain_rust() {
    let mut noise = Noise(2);
    let alone = Pool::new(1);
    for format in Format::ALL {
        for (rows, depth) in [(1, 256), (16, 512), (45, 768)] {
            let matrix = Matrix::repack(&alone, format, rows, depth, &tensor(format, rows, depth, &mut noise)).unwrap();
            let values = columns(9, depth, &mut noise);
            let truth = bits(&product(&alone, Set::scalar(), &matrix, &values));
            for set in Set::available() {
                for count in 1..=9 {
                    let got = bits(&product(&alone, *set, &matrix, &values[..count * depth]));
                    assert_eq!(got, truth[..count * rows], "{format:?} {rows}x{depth}, {count} columns, {}", set.name());
                }
                for threads in 2..=8 {
                    let got = bits(&product(&Pool::new(threads), *set, &matrix, &values));
                    assert_eq!(got, truth, "{format:?} {rows}x{depth}, {threads} threads, {}", set.name());
                }
            }
        }
    }
}

#[test]
fn a_hundred_columns_have_the_bits_of_each_alone() {
    let mut noise = Noise(3);
    let pool = Pool::new(2);
    let (rows, depth) = (40, 256);
    for format in Format::ALL {
        let matrix = Matrix::repack(&pool, format, rows, depth, &tensor(format, rows, depth, &mut noise)).unwrap();
        let values = columns(133, depth, &mut noise);
        let together = bits(&product(&pool, Set::best(), &matrix, &values));
        for column in 0..133 {
            let alone = bits(&product(&pool, Set::best(), &matrix, &values[column * depth..][..depth]));
            assert_eq!(alone, together[column * rows..][..rows], "{format:?} column {column}");
        }
    }
}

#[test]
fn extremes_of_codes_overflow_nowhere() {
    let pool = Pool::new(1);
    // As many rows and columns as the largest tile takes, and one of each more.
    const ROWS: usize = 33;
    for format in Format::ALL.into_iter().filter(|format| !format.is_float()) {
        for fill in [0xffu8, 0x00, 0x80, 0x7f] {
            let mut bytes = vec![fill; format.row_bytes(512).unwrap() * ROWS];
            for block in bytes.chunks_exact_mut(format.block_bytes()) {
                // Every place where a format has a half: what is not one is a code, and any code will do.
                for at in [0, 2, 80, 82, 108, 208] {
                    if let Some(half) = block.get_mut(at..at + 2) {
                        half.copy_from_slice(&to_f16(1.0).to_le_bytes());
                    }
                }
            }
            let matrix = Matrix::repack(&pool, format, ROWS, 512, &bytes).unwrap();
            for sign in [1.0, -1.0] {
                let values = vec![sign; 9 * 512];
                let truth = bits(&product(&pool, Set::scalar(), &matrix, &values));
                for set in Set::available() {
                    assert_eq!(bits(&product(&pool, *set, &matrix, &values)), truth, "{format:?} {fill:x} {}", set.name());
                }
            }
        }
    }
}

#[test]
fn rests_bring_a_product_near_that_of_the_values_themselves() {
    let pool = Pool::new(2);
    let mut noise = Noise(7);
    let (rows, depth, count) = (40, 512, 3);
    for format in Format::ALL.into_iter().filter(|format| !format.is_float()) {
        let bytes = tensor(format, rows, depth, &mut noise);
        let matrix = Matrix::repack(&pool, format, rows, depth, &bytes).unwrap();
        let mut weights = vec![0.0; rows * depth];
        format.dequantise(&bytes, &mut weights);
        let values = columns(count, depth, &mut noise);
        let finely = |set: Set, values: &[f32]| {
            let mut activations = Activations::new();
            activations.load_with_rests(&pool, set, values, depth);
            let mut out = vec![0.0; activations.count() * rows];
            multiply(&pool, set, &activations, &mut [Product { matrix: &matrix, out: &mut out }]);
            let (products, rests) = out.split_at(out.len() / 2);
            products.iter().zip(rests).map(|(product, rest)| product + rest).collect::<Vec<_>>()
        };
        let (coarse, fine) = (product(&pool, Set::best(), &matrix, &values), finely(Set::best(), &values));
        let mut errors = [0.0f64; 2];
        for (at, got) in [&coarse, &fine].into_iter().enumerate() {
            for (i, got) in got.iter().enumerate() {
                let pairs = weights[i % rows * depth..][..depth].iter().zip(&values[i / rows * depth..][..depth]);
                errors[at] += (f64::from(*got) - pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()).powi(2);
            }
        }
        assert!(errors[1] < errors[0] / 1e3, "{format:?}: squares of errors {errors:?}");
        for set in Set::available() {
            assert_eq!(bits(&finely(*set, &values)), bits(&fine), "{format:?} {}", set.name());
        }
        let alone = finely(Set::best(), &values[depth..2 * depth]);
        assert_eq!(bits(&alone), bits(&fine[rows..2 * rows]), "{format:?} alone");
    }
    let mut activations = Activations::new();
    activations.load_with_rests(&pool, Set::best(), &[f32::NAN; 32], 32);
    assert!(activations.groups(0..2).iter().all(|group| group.scale.is_nan()));
}

#[test]
fn several_matrices_in_one_job_are_as_each_alone() {
    let mut noise = Noise(4);
    let pool = Pool::new(3);
    let matrices: Vec<_> = [(Format::Q4_1, 100), (Format::Q8_0, 17), (Format::F16, 33)]
        .map(|(format, rows)| Matrix::repack(&pool, format, rows, 64, &tensor(format, rows, 64, &mut noise)).unwrap())
        .into();
    let values = columns(2, 64, &mut noise);
    let mut activations = Activations::new();
    activations.load(&pool, Set::best(), &values, 64);
    let mut outs: Vec<_> = matrices.iter().map(|matrix| vec![0.0; 2 * matrix.rows()]).collect();
    let mut products: Vec<_> = matrices.iter().zip(&mut outs).map(|(matrix, out)| Product { matrix, out }).collect();
    multiply(&pool, Set::best(), &activations, &mut products);
    for (matrix, out) in matrices.iter().zip(&outs) {
        assert_eq!(bits(out), bits(&product(&pool, Set::best(), matrix, &values)));
    }
}

#[test]
#[should_panic(expected = "columns as deep as the matrix")]
fn columns_of_another_depth_are_refused() {
    let pool = Pool::new(1);
    let matrix = Matrix::repack(&pool, Format::F32, 1, 2, &[0; 8]).unwrap();
    let mut activations = Activations::new();
    activations.load(&pool, Set::best(), &[0.0; 3], 3);
    multiply(&pool, Set::best(), &activations, &mut [Product { matrix: &matrix, out: &mut [0.0] }]);
}

fn any_value() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -4.0f32..4.0,
        1 => any::<u32>().prop_map(f32::from_bits),
        1 => prop::sample::select(vec![0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 1e-45, -3e-39, 1e-30]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_bytes_and_any_values_have_the_same_bits_in_every_set(
        format in prop::sample::select(Format::ALL.to_vec()),
        rows in 1usize..34,
        blocks in 1usize..4,
        count in 1usize..10,
        seed in any::<u64>(),
        sane in any::<bool>(),
        values in prop::collection::vec(any_value(), 9 * 768),
    ) {
        let depth = blocks * format.block_len().max(32);
        let pool = Pool::new(1);
        let mut noise = Noise(seed);
        let bytes = if sane {
            tensor(format, rows, depth, &mut noise)
        } else {
            (0..format.row_bytes(depth).unwrap() * rows).map(|_| noise.next() as u8).collect()
        };
        let matrix = Matrix::repack(&pool, format, rows, depth, &bytes).unwrap();
        let values = &values[..count * depth];
        let truth = bits(&product(&pool, Set::scalar(), &matrix, values));
        for set in Set::available() {
            prop_assert_eq!(&bits(&product(&pool, *set, &matrix, values)), &truth);
        }
    }
}
