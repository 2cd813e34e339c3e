//! Rotations against the plain formula, and the same bits in every set.

use super::*;

fn angles(rope: &Rope, position: u32) -> Vec<f32> {
    let mut angles = vec![0.0; rope.dimensions()];
    rope.angles(position, &mut angles);
    angles
}

/// The angle of pair `i` at position 1, in radians: small enough to be told from its sine and cosine.
fn frequency(rope: &Rope, i: usize) -> f64 {
    let angles = angles(rope, 1);
    f64::from(angles[rope.dimensions() / 2 + i]).atan2(f64::from(angles[i]))
}

#[test]
fn position_zero_changes_nothing_and_lengths_are_kept() {
    for pairing in [Pairing::Neighbours, Pairing::Halves] {
        let rope = Rope::new(pairing, 8, 10_000.0, Scaling::None, &[]);
        let mut heads: Vec<f32> = (0..24).map(|i| i as f32 - 7.0).collect();
        let before = heads.clone();
        rope.rotate(Set::best(), &angles(&rope, 0), &mut heads, 12);
        assert_eq!(heads, before);
        rope.rotate(Set::best(), &angles(&rope, 1234), &mut heads, 12);
        let length = |vector: &[f32]| vector.iter().map(|value| value * value).sum::<f32>();
        assert!((length(&heads[..8]) - length(&before[..8])).abs() < 1e-3);
        assert_eq!(heads[8..12], before[8..12], "values beyond the rotated ones stay");
        assert_ne!(heads[12..20], before[12..20]);
    }
}

#[test]
fn a_quarter_turn_swaps_a_pair() {
    // Base 1: every pair turns by one radian per position.
    let rope = Rope::new(Pairing::Neighbours, 2, 1.0, Scaling::None, &[1.0 / std::f32::consts::FRAC_PI_2]);
    let mut pair = [1.0, 0.0];
    rope.rotate(Set::best(), &angles(&rope, 1), &mut pair, 2);
    assert!(pair[0].abs() < 1e-6 && (pair[1] - 1.0).abs() < 1e-6);
    let rope = Rope::new(Pairing::Halves, 4, 1.0, Scaling::None, &[1.0 / std::f32::consts::FRAC_PI_2, 1.0]);
    let mut head = [1.0, 0.0, 2.0, 0.0];
    rope.rotate(Set::best(), &angles(&rope, 1), &mut head, 4);
    assert!((head[0] + 2.0).abs() < 1e-6 && (head[2] - 1.0).abs() < 1e-6, "{head:?}");
}

#[test]
fn scalings_stretch_as_their_papers_say() {
    let plain = Rope::new(Pairing::Halves, 128, 500_000.0, Scaling::None, &[]);
    let linear = Rope::new(Pairing::Halves, 128, 500_000.0, Scaling::Linear { factor: 4.0 }, &[]);
    let factors = Rope::new(Pairing::Halves, 128, 500_000.0, Scaling::None, &[4.0; 64]);
    let llama = Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
    let llama = Rope::new(Pairing::Halves, 128, 500_000.0, llama, &[]);
    let yarn = Scaling::Yarn { factor: 4.0, original: 32768.0, fast: 32.0, slow: 1.0, magnitude: 1.0 };
    let yarn = Rope::new(Pairing::Halves, 128, 500_000.0, yarn, &[]);
    for i in [0, 10, 63] {
        assert!((frequency(&linear, i) * 4.0 / frequency(&plain, i) - 1.0).abs() < 1e-6);
        assert!((frequency(&factors, i) * 4.0 / frequency(&plain, i) - 1.0).abs() < 1e-6);
    }
    assert!((frequency(&llama, 0) / frequency(&plain, 0) - 1.0).abs() < 1e-6, "fast pairs stay");
    assert!((frequency(&llama, 63) * 8.0 / frequency(&plain, 63) - 1.0).abs() < 1e-6, "slow pairs are stretched");
    let between = frequency(&plain, 32) / frequency(&llama, 32);
    assert!(between > 1.0 && between < 8.0, "{between}");
    assert!((frequency(&yarn, 0) / frequency(&plain, 0) - 1.0).abs() < 1e-6);
    assert!((frequency(&yarn, 63) * 4.0 / frequency(&plain, 63) - 1.0).abs() < 1e-6);
    let [cos, sin] = [angles(&yarn, 5)[3], angles(&yarn, 5)[67]];
    assert!(((cos * cos + sin * sin).sqrt() - 1.138_629_4).abs() < 1e-5, "vectors grow by 1 + 0.1 ln 4");
}
