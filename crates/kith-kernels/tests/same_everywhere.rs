//! One number for everything this crate computes from fixed inputs: it is the same on every processor, and changes only when the arithmetic that
//! the crate's page describes is changed on purpose.

#![allow(clippy::unwrap_used, reason = "shapes are fixed here")]

use kith_kernels::{
    Activations, Format, Matrix, Pool, Product, Set,
    attention::{AttentionShape, CacheShape, PAGE, Span, Stored, attend},
    multiply,
    rope::{Pairing, Rope, Scaling},
    vector,
};

/// Products of all formats; vectors; rotations; attention.
const SUMS: [&str; 4] = ["f8405f6f05509609", "0d7d097a417a20f8", "24ff7ced59ee4c94", "4a3b30299c82b27d"];

/// FNV-1a over bits; all NaNs count alike.
struct Sum(u64);

impl Sum {
    fn add(&mut self, values: &[f32]) {
        for value in values {
            let bits = if value.is_nan() { u32::MAX } else { value.to_bits() };
            for byte in bits.to_le_bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
}

struct Noise(u64);

impl Noise {
    fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 56) as u8
    }

    fn values(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| (f32::from(self.byte()) * 256.0 + f32::from(self.byte())) / 8192.0 - 4.0).collect()
    }

    /// Halves and floats in it are of ordinary size, whatever their place.
    fn weights(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.byte() % 0x3c) | (self.byte() & 0x80)).collect()
    }
}

fn everything(set: Set) -> [u64; 4] {
    let pool = Pool::new(2);
    let mut noise = Noise(7);

    let mut products = Sum(0xcbf2_9ce4_8422_2325);
    for format in Format::ALL {
        let file = noise.weights(format.row_bytes(512).unwrap() * 37);
        let matrix = Matrix::repack(&pool, format, 37, 512, &file).unwrap();
        let mut columns = Activations::new();
        columns.load(&pool, set, &noise.values(512 * 11), 512);
        let mut out = vec![0.0; 37 * 11];
        multiply(&pool, set, &columns, &mut [Product { matrix: &matrix, out: &mut out }]);
        products.add(&out);
    }

    let mut vectors = Sum(0xcbf2_9ce4_8422_2325);
    let (mut a, b) = (noise.values(1000), noise.values(1000));
    let mut c = a.clone();
    vector::rms_norm(set, &a, &b, 1e-6, &mut c);
    vectors.add(&c);
    vector::swiglu(set, &mut c, &b);
    vectors.add(&c);
    vector::geglu(set, &mut a, &b);
    vectors.add(&a);
    vector::softmax(set, &mut a);
    vectors.add(&a);
    vector::soft_cap(set, &mut c, 3.0);
    vectors.add(&c);

    let mut rotations = Sum(0xcbf2_9ce4_8422_2325);
    let yarn = Scaling::Yarn { factor: 4.0, original: 4096.0, fast: 32.0, slow: 1.0, magnitude: 1.0 };
    let llama = Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
    for scaling in [Scaling::None, Scaling::Linear { factor: 2.0 }, yarn, llama] {
        for pairing in [Pairing::Neighbours, Pairing::Halves] {
            let rope = Rope::new(pairing, 64, 500_000.0, scaling, &[]);
            let mut angles = vec![0.0; 64];
            let mut heads = noise.values(9 * 64);
            for position in [0, 1, 77, 4095, 131_071] {
                rope.angles(position, &mut angles);
                rope.rotate(set, &angles, &mut heads, 64);
                rotations.add(&heads);
            }
        }
    }

    let mut attention = Sum(0xcbf2_9ce4_8422_2325);
    for (stored, cap, window) in [(Stored::Half, None, None), (Stored::Byte, Some(20.0), None), (Stored::Half, None, Some(50))] {
        let cache = CacheShape::new(2, 40, stored);
        let shape = AttentionShape { cache, heads: 6, scale: 0.16, cap, window };
        let mut pages = vec![vec![0; cache.page_bytes()]; 3];
        for position in 0..150 {
            cache.write(&mut pages[position / PAGE], position % PAGE, &noise.values(80), &noise.values(80));
        }
        let mut out = vec![0.0; 150 * 240];
        attend(&pool, set, &shape, &[Span { first: 0, tokens: 150, pages: &pages }], &noise.values(150 * 240), &mut out);
        attention.add(&out);
    }
    [products.0, vectors.0, rotations.0, attention.0]
}

#[test]
fn products_vectors_rotations_and_attention_have_the_bits_they_always_had() {
    for set in Set::available() {
        println!("{}", set.name());
        assert_eq!(everything(*set).map(|sum| format!("{sum:016x}")), SUMS, "{}", set.name());
    }
}
