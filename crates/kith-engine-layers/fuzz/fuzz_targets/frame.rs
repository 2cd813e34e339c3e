//! Any bytes as a frame of hidden states: refused with a sentence, or decoded without taking more than four times their room. What was
//! decoded is encoded and decoded again as the same numbers, where that loses nothing.
#![no_main]

use kith_engine_layers::{Encoding, Frame};
use kith_engine_layers_fuzz::plant;
use libfuzzer_sys::fuzz_target;

fn seeds() -> Vec<Vec<u8>> {
    let states: Vec<f32> = (0..80).map(|at| (at * 37 % 101) as f32 - 50.0).collect();
    let frame = |encoding, width| {
        let mut out = Vec::new();
        Frame::encode(encoding, width, &states, &mut out).expect("whole states");
        out
    };
    [Encoding::F32, Encoding::F16, Encoding::I8]
        .into_iter()
        .flat_map(|encoding| [frame(encoding, 40), frame(encoding, 8)])
        .collect()
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    let frame = match Frame::read(bytes) {
        Ok(frame) => frame,
        Err(error) => return assert!(error.to_string().len() > 10),
    };
    let (mut states, mut again, mut out) = (Vec::new(), Vec::new(), Vec::new());
    frame.decode(&mut states);
    assert_eq!(states.len(), frame.tokens() * frame.width());
    assert!(4 * states.capacity() <= 4 * bytes.len());
    Frame::encode(Encoding::F32, frame.width(), &states, &mut out).expect("whole states");
    Frame::read(&out).expect("its own frame").decode(&mut again);
    assert!(states.iter().map(|value| value.to_bits()).eq(again.iter().map(|value| value.to_bits())));
    out.clear();
    Frame::encode(frame.encoding(), frame.width(), &states, &mut out).expect("whole states");
    assert_eq!(Frame::read(&out).expect("its own frame").tokens(), frame.tokens());
});
