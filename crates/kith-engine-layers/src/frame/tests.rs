//! What `frame` promises, sentence by sentence.

use super::*;
use proptest::{collection::vec, prelude::*};

const ALL: [Encoding; 3] = [Encoding::F32, Encoding::F16, Encoding::I8];

fn encoded(encoding: Encoding, width: usize, states: &[f32]) -> Vec<u8> {
    let mut out = Vec::new();
    Frame::encode(encoding, width, states, &mut out).unwrap();
    out
}

fn decoded(bytes: &[u8]) -> Vec<f32> {
    let mut states = vec![7.0; 3];
    Frame::read(bytes).unwrap().decode(&mut states);
    states
}

fn through(encoding: Encoding, width: usize, states: &[f32]) -> Vec<f32> {
    let bytes = encoded(encoding, width, states);
    let frame = Frame::read(&bytes).unwrap();
    assert_eq!((frame.encoding(), frame.width()), (encoding, width));
    assert_eq!(frame.tokens() * width, states.len());
    assert_eq!(encoding.frame_bytes(frame.tokens(), width), Some(bytes.len()));
    decoded(&bytes)
}

fn refusal(bytes: &[u8]) -> String {
    match Frame::read(bytes) {
        Err(EngineError::Invalid { field: "frame", message }) => message,
        other => panic!("{other:?}"),
    }
}

/// Numbers of all magnitudes that occur, and far more.
fn finite() -> impl Strategy<Value = f32> {
    prop_oneof![-4.0f32..4.0, (-30i32..100, -1.0f32..1.0).prop_map(|(power, value)| value * 2f32.powi(power)), Just(0.0)]
}

fn states(value: impl Strategy<Value = f32>) -> impl Strategy<Value = (usize, Vec<f32>)> {
    (1usize..80, 0usize..5, vec(value, 400)).prop_map(|(width, tokens, values)| (width, values[..width * tokens].to_vec()))
}

proptest! {
    #[test]
    fn f32_keeps_every_bit((width, states) in states(any::<u32>().prop_map(f32::from_bits))) {
        let back = through(Encoding::F32, width, &states);
        prop_assert!(back.iter().map(|value| value.to_bits()).eq(states.iter().map(|value| value.to_bits())));
    }

    #[test]
    fn f16_is_wrong_by_half_a_unit_of_its_last_place((width, states) in states(finite())) {
        let back = through(Encoding::F16, width, &states);
        prop_assert_eq!(back.len(), states.len());
        for (token, back) in states.chunks(width).zip(back.chunks(width)) {
            let largest = token.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            let factor = if largest > LARGEST_HALF { 2.0 * largest / LARGEST_HALF } else { 1.0 };
            for (value, back) in token.iter().zip(back) {
                let most = (value.abs() * 2f32.powi(-11)).max(factor * 2f32.powi(-25));
                prop_assert!((value - back).abs() <= most, "{} became {}", value, back);
            }
        }
    }

    #[test]
    fn eight_bits_are_wrong_by_half_a_step((width, states) in states(finite())) {
        let back = through(Encoding::I8, width, &states);
        prop_assert_eq!(back.len(), states.len());
        for (token, back) in states.chunks(width).zip(back.chunks(width)) {
            for (group, back) in token.chunks(32).zip(back.chunks(32)) {
                let largest = group.iter().fold(0.0f32, |most, value| most.max(value.abs()));
                for (value, back) in group.iter().zip(back) {
                    // What is rounded on the way (the scale, the product) may shift a tie.
                    let most = (largest / 254.0 * 1.0001).max(1e-30);
                    prop_assert!((value - back).abs() <= most, "{} became {} beside {}", value, back, largest);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Frame::read(&bytes);
    }

    #[test]
    fn any_header_and_any_values_are_read_or_refused(
        number in 0u32..4, tokens in 0u32..4, width in 0u32..70, odd in any::<bool>(), values in vec(any::<u8>(), 0..900),
    ) {
        let tokens = if odd { u32::MAX - tokens } else { tokens };
        let mut bytes = MAGIC.to_vec();
        [number, tokens, width].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        bytes.extend(values);
        for length in HEADER..=bytes.len() {
            if let Ok(frame) = Frame::read(&bytes[..length]) {
                let mut states = Vec::new();
                frame.decode(&mut states);
                prop_assert_eq!(states.len(), frame.tokens() * frame.width());
                prop_assert!(4 * states.capacity() <= 4 * length.max(16));
            }
        }
    }
}

#[test]
fn a_frame_is_put_behind_what_is_there() {
    let mut out = vec![1, 2, 3];
    Frame::encode(Encoding::F32, 2, &[1.0, -2.0], &mut out).unwrap();
    assert_eq!(out[..3], [1, 2, 3]);
    assert_eq!(decoded(&out[3..]), [1.0, -2.0]);
}

#[test]
fn no_tokens_are_a_frame_too() {
    for encoding in ALL {
        assert!(through(encoding, 576, &[]).is_empty());
        assert!(through(encoding, 0, &[]).is_empty());
    }
}

#[test]
fn what_is_not_finite_shows_at_the_other_end() {
    let states = [1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 98_304.0, 2.0];
    let back = through(Encoding::F16, 6, &states);
    assert_eq!(back[..3], states[..3]);
    assert!(back[3].is_nan());
    assert_eq!(back[4..], [98_304.0, 2.0]);
    let wide: Vec<f32> = (0..64).map(|at| if at == 40 { f32::INFINITY } else { 1.0 }).collect();
    let back = through(Encoding::I8, 64, &wide);
    assert!(back[..32].iter().all(|value| (value - 1.0).abs() < 1e-6), "the other group is whole");
    assert!(back[32..].iter().all(|value| value.is_nan()), "the broken one is NaN");
}

#[test]
fn malformed_frames_are_refused_with_a_sentence() {
    let good = encoded(Encoding::F32, 3, &[1.0; 6]);
    assert_eq!(refusal(&[]), "0 bytes are no frame of hidden states: its header alone has 16");
    assert_eq!(refusal(&good[..39]), "2 hidden states of 3 values do not take 39 bytes");
    assert_eq!(refusal(&[good.as_slice(), &[0]].concat()), "2 hidden states of 3 values do not take 41 bytes");
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(refusal(&changed(0, b'k')), "it does not begin as a frame of hidden states does");
    assert_eq!(refusal(&changed(4, 3)), "frames of the encoding 3 are not known");
    assert_eq!(refusal(&changed(12, 0)), "it claims to hold 2 hidden states of no values");
    assert_eq!(refusal(&changed(11, 255)), "4278190082 hidden states of 3 values do not take 40 bytes");
}

#[test]
fn what_is_no_whole_number_of_states_is_not_written() {
    let mut out = vec![9];
    for (width, states) in [(4, [0.0; 6].as_slice()), (0, &[1.0])] {
        for encoding in ALL {
            let refused = Frame::encode(encoding, width, states, &mut out);
            assert!(matches!(refused, Err(EngineError::Invalid { field: "states", .. })));
        }
    }
    assert_eq!(out, [9]);
    assert_eq!(Encoding::F32.frame_bytes(usize::MAX, 1), None);
}
