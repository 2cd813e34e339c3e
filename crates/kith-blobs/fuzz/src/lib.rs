//! What the targets have in common: seeds, and blobs to begin with.

#[path = "../../../kith-networks/fuzz/src/plant.rs"]
mod plant;

use kith_blobs::fuzzing::{GROUP, Grown};
pub use plant::plant;
use std::sync::LazyLock;
use tokio::runtime::{Builder, Runtime};

/// Blobs of every kind of size: one group or more, whole or not, more than one piece.
pub static BLOBS: LazyLock<Vec<Grown>> = LazyLock::new(|| {
    let sizes = [5, 0, GROUP, GROUP + 1, 3 * GROUP + 7, 8 * GROUP, 66 * GROUP + 1];
    sizes.map(|size| Grown::of((0..size).map(|at| (at % 251) as u8 ^ (at >> 14) as u8).collect())).into()
});

/// Reads an input byte by byte; behind its end there are zeros.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    /// A number of the next `bytes` bytes.
    pub fn number(&mut self, bytes: usize) -> u64 {
        (0..bytes).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// The next bytes, as many as the two before them say and there are.
    pub fn part(&mut self) -> &'a [u8] {
        let length = (self.number(2) as usize).min(self.0.len());
        let (part, rest) = self.0.split_at(length);
        self.0 = rest;
        part
    }
}

/// A runtime whose clock goes on as soon as nobody has anything to do, so that no deadline is really waited for.
pub fn hurried() -> Runtime {
    match Builder::new_current_thread().enable_all().start_paused(true).build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime: {error}"),
    }
}
