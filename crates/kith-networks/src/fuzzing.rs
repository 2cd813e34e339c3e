//! For those who try the decoders with all kinds of bytes: the ways to what stands behind a signature.

use crate::{Kind, Psk, Rotation, RotationBundle, signed};
use kith_keys::Identity;

/// Any bytes as a signed thing of that kind; what reads it finds the signature right if the bytes name `by`.
pub fn signed(kind: Kind, by: &Identity, body: &[u8]) -> String {
    signed::token(kind, by, body)
}

/// The key that a rotation brings to `me`, whoever signed it.
pub fn key_for(bundle: &RotationBundle, rotation: &Rotation, me: &Identity) -> Option<Psk> {
    bundle.key_for(rotation, me)
}
