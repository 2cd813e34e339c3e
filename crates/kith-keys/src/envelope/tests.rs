//! What an envelope promises to its recipient, and against everybody else.

use super::*;
use crate::{OsEntropy, Sealer, entropy::tests::NoEntropy, sealing::SealedBy};
use proptest::prelude::*;
use std::sync::Arc;

fn identity(byte: u8) -> Identity {
    let folder = tempfile::tempdir().unwrap();
    Identity::load_or_create(folder.path(), &Sealer::with_key(&[byte; 32], SealedBy::File, Arc::new(OsEntropy))).unwrap()
}

#[test]
fn the_one_it_is_for_opens_it_and_nobody_else() {
    let (ann, bob) = (identity(1), identity(2));
    let sealed = seal_to(ann.node_id(), "key", b"secret", &OsEntropy).unwrap();
    assert_eq!(ann.open_envelope("key", &sealed).unwrap().as_slice(), b"secret");
    assert_eq!(bob.open_envelope("key", &sealed), Err(OpenError::Unauthentic));
    assert_eq!(ann.open_envelope("other", &sealed), Err(OpenError::Unauthentic), "it is bound to its purpose");
    assert_eq!(sealed.len(), b"secret".len() + ENVELOPE_OVERHEAD);
}

#[test]
fn the_montgomery_form_of_a_signing_key_is_the_public_key_of_its_scalar() {
    let ann = identity(1);
    let public = VerifyingKey::from_bytes(&ann.node_id().ed25519()).unwrap();
    let own = ann.signing_key();
    let (one, two) = (SigningKey::from_bytes(&[7; 32]), own);
    let there = public.to_montgomery().mul_clamped(one.to_scalar_bytes());
    let back = one.verifying_key().to_montgomery().mul_clamped(two.to_scalar_bytes());
    assert_eq!(there, back);
}

#[test]
fn every_changed_or_cut_envelope_is_refused() {
    let ann = identity(1);
    let sealed = seal_to(ann.node_id(), "key", b"secret", &OsEntropy).unwrap();
    for keep in 0..sealed.len() {
        assert!(ann.open_envelope("key", &sealed[..keep]).is_err(), "{keep}");
    }
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(ann.open_envelope("key", &changed).is_err(), "{at}");
    }
    let mut later = sealed;
    later[0] = 2;
    assert_eq!(ann.open_envelope("key", &later), Err(OpenError::NewerFormat(2)));
}

#[test]
fn nothing_is_sealed_to_a_key_of_small_order_and_nothing_from_one_is_opened() {
    // The neutral element, and a point of order eight.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let eight = hex::decode("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05").unwrap();
    let ann = identity(1);
    for weak in [neutral, eight.try_into().unwrap()] {
        let to = NodeId::from_ed25519(&weak);
        assert_eq!(seal_to(&to, "key", b"secret", &OsEntropy), Err(EnvelopeError::WeakKey(to.clone())));
        let forged = [&[VERSION], weak.as_slice(), &[0; 20]].concat();
        assert_eq!(ann.open_envelope("key", &forged), Err(OpenError::Unauthentic));
    }
}

#[test]
fn without_random_bytes_nothing_is_sealed() {
    assert!(matches!(seal_to(identity(1).node_id(), "key", b"secret", &NoEntropy), Err(EnvelopeError::Entropy(_))));
}

#[test]
fn the_same_secret_is_never_sealed_to_the_same_bytes() {
    let ann = identity(1);
    let seal = || seal_to(ann.node_id(), "key", b"secret", &OsEntropy).unwrap();
    assert_ne!(seal(), seal());
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(identity(1).open_envelope("key", &bytes).is_err());
    }

    #[test]
    fn what_was_sealed_is_what_is_opened(secret in proptest::collection::vec(any::<u8>(), 0..200), purpose in ".{0,20}") {
        let ann = identity(1);
        let sealed = seal_to(ann.node_id(), &purpose, &secret, &OsEntropy).unwrap();
        let opened = ann.open_envelope(&purpose, &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), secret.as_slice());
    }
}
