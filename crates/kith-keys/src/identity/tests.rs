//! What a node's key promises, above all that it is never silently exchanged.

use super::*;
use crate::{KeyProvider, OsEntropy, entropy::tests::NoEntropy, sealing::SealedBy};
use proptest::prelude::*;
use std::{fs, sync::Arc};

fn sealer(byte: u8) -> Sealer {
    Sealer::with_key(&[byte; 32], SealedBy::File, Arc::new(OsEntropy))
}

#[test]
fn a_node_keeps_its_identity_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let sealer = Sealer::load_or_create(folder.path(), KeyProvider::File, Arc::new(OsEntropy)).unwrap();
        Identity::load_or_create(folder.path(), &sealer).unwrap()
    };
    let (first, second) = (start(), start());
    assert_eq!(first.node_id(), second.node_id());
    assert_eq!(first.sign(b"hello"), second.sign(b"hello"));
    assert!(first.node_id().as_str().starts_with("12D3Koo"));
}

#[test]
fn the_seed_makes_the_same_key_again() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::load_or_create(folder.path(), &sealer(1)).unwrap();
    let again = Identity::from_secret(&identity.seed());
    assert_eq!(again.node_id(), identity.node_id());
    assert_ne!(Identity::ephemeral(&OsEntropy).unwrap().node_id(), identity.node_id());
    assert!(Identity::ephemeral(&NoEntropy).is_err());
}

#[test]
fn two_folders_are_two_nodes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sealer = sealer(1);
    let id = |dir: &Path| Identity::load_or_create(dir, &sealer).unwrap().node_id().clone();
    assert_ne!(id(one.path()), id(two.path()));
}

#[test]
fn two_processes_that_start_at_once_become_one_node() {
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Identity::load_or_create(folder.path(), &sealer(1)).unwrap().node_id().clone()))
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn the_private_key_is_not_in_the_file_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::load_or_create(folder.path(), &sealer(1)).unwrap();
    let file = fs::read(folder.path().join(FILE)).unwrap();
    assert_eq!(file.len(), FILE_LEN);
    assert!(!file.windows(32).any(|window| window == identity.key.as_bytes()));
}

#[test]
fn every_truncated_file_is_an_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    Identity::load_or_create(folder.path(), &sealer(1)).unwrap();
    let whole = fs::read(&path).unwrap();
    for keep in 0..whole.len() {
        fs::write(&path, &whole[..keep]).unwrap();
        let error = Identity::load_or_create(folder.path(), &sealer(1)).unwrap_err();
        assert!(matches!(error, KeyError::Damaged { .. }), "{keep}: {error}");
        assert_eq!(fs::read(&path).unwrap(), whole[..keep]);
    }
    fs::write(&path, [whole.as_slice(), b"x"].concat()).unwrap();
    assert!(matches!(Identity::load_or_create(folder.path(), &sealer(1)), Err(KeyError::Damaged { .. })));
}

#[test]
fn a_change_of_any_byte_is_an_error_and_never_a_new_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    Identity::load_or_create(folder.path(), &sealer(1)).unwrap();
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        fs::write(&path, &changed).unwrap();
        assert!(Identity::load_or_create(folder.path(), &sealer(1)).is_err(), "byte {at}");
        assert_eq!(fs::read(&path).unwrap(), changed);
    }
}

#[test]
fn another_sealing_key_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    Identity::load_or_create(folder.path(), &sealer(1)).unwrap();
    let error = Identity::load_or_create(folder.path(), &sealer(2)).unwrap_err();
    assert!(matches!(error, KeyError::Tampered { .. }));
    assert!(error.to_string().contains("identity.key"), "{error}");
}

#[test]
fn a_later_format_asks_for_a_newer_release() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    Identity::load_or_create(folder.path(), &sealer(1)).unwrap();
    let mut file = fs::read(&path).unwrap();
    file[MAGIC.len()] = 2;
    fs::write(&path, file).unwrap();
    assert!(matches!(Identity::load_or_create(folder.path(), &sealer(1)), Err(KeyError::NewerFormat { version: 2, .. })));
}

#[test]
fn without_random_bytes_there_is_no_identity() {
    let folder = tempfile::tempdir().unwrap();
    let sealer = Sealer::with_key(&[1; 32], SealedBy::File, Arc::new(NoEntropy));
    assert!(matches!(Identity::load_or_create(folder.path(), &sealer), Err(KeyError::Entropy(_))));
    assert!(!Identity::is_in(folder.path()));
}

#[cfg(unix)]
#[test]
fn wrong_permissions_are_put_right() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    Identity::load_or_create(folder.path(), &sealer(1)).unwrap();
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    Identity::load_or_create(folder.path(), &sealer(1)).unwrap();
    assert_eq!(mode(), 0o600);
}

#[test]
fn the_private_key_is_wiped_on_drop_and_never_printed() {
    fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<Identity>();
    wiped::<SigningKey>();
    let identity = Identity::from_secret(&[7; 32]);
    assert_eq!(format!("{identity:?}"), format!("Identity(\"{}\")", identity.node_id()));
}

/// RFC 8032, section 7.1, test 2.
#[test]
fn signatures_are_those_of_the_standard() {
    let array = |text: &str| <[u8; 32]>::try_from(hex::decode(text).unwrap()).unwrap();
    let identity = Identity::from_secret(&array("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
    assert_eq!(identity.node_id().ed25519(), array("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"));
    assert_eq!(
        hex::encode(identity.sign(&[0x72])),
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    );
}

proptest! {
    #[test]
    fn a_signature_holds_for_its_signer_and_message_only(secret in any::<[u8; 32]>(), message in any::<Vec<u8>>(), bit in 0..512usize) {
        let identity = Identity::from_secret(&secret);
        let mut signature = identity.sign(&message);
        prop_assert_eq!(Identity::verify(identity.node_id(), &message, &signature), Ok(()));
        prop_assert_eq!(Identity::verify(identity.node_id(), &[message.as_slice(), b"x"].concat(), &signature), Err(SignatureError));
        let other = Identity::from_secret(&[secret[0] ^ 1; 32]);
        prop_assume!(other.node_id() != identity.node_id());
        prop_assert_eq!(Identity::verify(other.node_id(), &message, &signature), Err(SignatureError));
        signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(Identity::verify(identity.node_id(), &message, &signature), Err(SignatureError));
    }
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    // The neutral element, whose all-zero-scalar signature passes a lax check for every message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    assert_eq!(Identity::verify(&NodeId::from_ed25519(&neutral), b"anything", &signature), Err(SignatureError));
}
