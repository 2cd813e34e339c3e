//! Every instruction set of this machine gives the bits of plain Rust, for whole vectors.

use kith_kernels::{
    Group, Set,
    activations::quantise,
    rope::{Pairing, Rope, Scaling},
    vector,
};
use proptest::prelude::*;

/// Bits, with all NaNs alike.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| if value.is_nan() { u32::MAX } else { value.to_bits() }).collect()
}

fn any_value() -> impl Strategy<Value = f32> {
    prop_oneof![
        20 => -20.0f32..20.0,
        1 => any::<u32>().prop_map(f32::from_bits),
        1 => prop::sample::select(vec![0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-45, f32::MAX, f32::MIN_POSITIVE]),
    ]
}

fn agree(what: &str, values: &[f32], work: impl Fn(Set, &mut [f32])) -> Result<(), TestCaseError> {
    let mut truth = values.to_vec();
    work(Set::scalar(), &mut truth);
    for set in Set::available() {
        let mut got = values.to_vec();
        work(*set, &mut got);
        prop_assert_eq!(bits(&got), bits(&truth), "{} with {}", what, set.name());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn vectors(values in prop::collection::vec(any_value(), 1..200), others in prop::collection::vec(any_value(), 200)) {
        let others = &others[..values.len()];
        agree("add", &values, |set, x| vector::add(set, x, others))?;
        agree("add scaled", &values, |set, x| vector::add_scaled(set, x, others, 0.37))?;
        agree("swiglu", &values, |set, x| vector::swiglu(set, x, others))?;
        agree("geglu", &values, |set, x| vector::geglu(set, x, others))?;
        agree("softmax", &values, vector::softmax)?;
        agree("cap", &values, |set, x| vector::soft_cap(set, x, 30.0))?;
        agree("norm", &values, |set, x| {
            let from = x.to_vec();
            vector::rms_norm(set, &from, others, 1e-5, x);
        })?;
    }

    #[test]
    fn rotations(values in prop::collection::vec(any_value(), 240), position in 0u32..200_000) {
        for pairing in [Pairing::Neighbours, Pairing::Halves] {
            let rope = Rope::new(pairing, 40, 10_000.0, Scaling::None, &[]);
            let mut angles = vec![0.0; 40];
            rope.angles(position, &mut angles);
            agree("rotation", &values, |set, x| rope.rotate(set, &angles, x, 48))?;
        }
    }

    #[test]
    fn eight_bits(values in prop::collection::vec(any_value(), 128)) {
        let blocks = |set: Set| {
            let mut groups = [Group { codes: [0; 32], scale: 0.0, scaled_sum: 0.0, sum: 0, halves: [0; 2] }; 4];
            quantise(set, &values, &mut groups);
            groups.map(|group| (group.codes, bits(&[group.scale, group.scaled_sum]), group.sum, group.halves))
        };
        for set in Set::available() {
            prop_assert_eq!(blocks(*set), blocks(Set::scalar()));
        }
    }
}
