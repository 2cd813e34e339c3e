//! What a code promises to who has it, and against who has not.

use super::*;
use kith_keys::OsEntropy;
use proptest::prelude::*;
use qrcode::{EcLevel, QrCode};

fn somebody() -> Identity {
    Identity::ephemeral(&OsEntropy).unwrap()
}

fn code(inviter: &Identity) -> InviteCode {
    let (id, secret) = InviteCode::fresh(&OsEntropy).unwrap();
    InviteCode {
        genesis: Genesis { founder: inviter.node_id().clone(), salt: [3; 16] },
        name: "Home".into(),
        inviter: inviter.node_id().clone(),
        addresses: vec!["/ip4/192.168.1.20/tcp/4001".into(), "/ip4/203.0.113.9/tcp/4001".into()],
        expires: Timestamp::from_ms(1_700_000_000_000),
        uses: 1,
        role: Role::Member,
        id,
        epoch: 0,
        psk: Psk::random(&OsEntropy).unwrap(),
        secret,
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn an_invite_is_read_as_it_was_written_from_a_url_and_from_a_file() {
    let ann = somebody();
    let given = InviteCode {
        uses: 5,
        role: Role::Admin,
        epoch: 7,
        genesis: Genesis { founder: somebody().node_id().clone(), salt: [3; 16] },
        ..code(&ann)
    };
    let url = given.encode(&ann, None, &OsEntropy).unwrap();
    assert!(InviteCode::decode(&url, &somebody()).unwrap() == given);
    let file = format!("Invite to the network Home\r\n  {}  \r\n", url.replace("kith://join", "KITH://JOIN"));
    assert!(InviteCode::decode(&file, &somebody()).unwrap() == given);
}

#[test]
fn nothing_can_be_read_off_the_code_in_passing() {
    let ann = somebody();
    let given = code(&ann);
    let url = given.encode(&ann, None, &OsEntropy).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&url[SCHEME.len()..]).unwrap();
    assert!(!contains(&bytes, given.psk.as_bytes()), "the key");
    assert!(!contains(&bytes, b"192.168"), "an address");
    assert!(!contains(&bytes, &ann.node_id().ed25519()), "who invites");
    assert!(!contains(&bytes, b"Home"));
}

#[test]
fn a_code_for_one_device_is_closed_to_everybody_else_who_sees_it_whole() {
    let (ann, bob, eve) = (somebody(), somebody(), somebody());
    let given = code(&ann);
    let url = given.encode(&ann, Some(bob.node_id()), &OsEntropy).unwrap();
    assert!(InviteCode::decode(&url, &bob).unwrap() == given);
    assert_eq!(InviteCode::decode(&url, &eve).unwrap_err(), InviteFault::NotForThisNode);
    let bytes = URL_SAFE_NO_PAD.decode(&url[SCHEME.len()..]).unwrap();
    assert!(!contains(&bytes, given.secret.as_slice()));
}

#[test]
fn every_changed_byte_is_found() {
    let ann = somebody();
    let url = code(&ann).encode(&ann, None, &OsEntropy).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&url[SCHEME.len()..]).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let changed = format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode(changed));
        assert!(InviteCode::decode(&changed, &ann).is_err(), "{at}");
    }
}

#[test]
fn nobody_invites_in_anothers_name() {
    let (ann, eve) = (somebody(), somebody());
    let url = code(&ann).encode(&eve, None, &OsEntropy).unwrap();
    assert_eq!(InviteCode::decode(&url, &ann).unwrap_err(), InviteFault::Forged);
}

#[test]
fn a_code_of_a_later_form_says_so_and_other_text_is_none() {
    let me = somebody();
    let later = format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode([9, 1, 2]));
    assert_eq!(InviteCode::decode(&later, &me).unwrap_err(), InviteFault::Newer(9));
    for text in ["", "kith://join/", "kith://join/!!", "https://example.org/join/AAAA", "kith://vault/AAAA", "kith://join/AA"] {
        assert!(InviteCode::decode(text, &me).is_err(), "{text}");
    }
    let long = format!("{SCHEME}{}", "A".repeat(MAX_CODE));
    assert_eq!(InviteCode::decode(&long, &me).unwrap_err(), InviteFault::Malformed);
}

#[test]
fn a_usual_code_is_scanned_from_a_terminal_of_eighty_columns() {
    let ann = somebody();
    let url = code(&ann).encode(&ann, None, &OsEntropy).unwrap();
    let width = QrCode::with_error_correction_level(&url, EcLevel::L).unwrap().width();
    assert!(width + 8 <= 80, "{} characters make {width} modules", url.len());
}

#[test]
fn a_proof_is_good_for_one_newcomer_one_judge_one_invite_and_one_network() {
    let (ann, bob, eve) = (somebody(), somebody(), somebody());
    let (one, two) = ("00".repeat(16).parse().unwrap(), "11".repeat(16).parse().unwrap());
    let (a, b, e) = (ann.node_id(), bob.node_id(), eve.node_id());
    let given = proof(&[1; 32], one, "i", a, b);
    assert_eq!(given, proof(&[1; 32], one, "i", a, b));
    for other in [
        proof(&[2; 32], one, "i", a, b),
        proof(&[1; 32], two, "i", a, b),
        proof(&[1; 32], one, "j", a, b),
        proof(&[1; 32], one, "i", e, b),
        proof(&[1; 32], one, "i", a, e),
        proof(&[1; 32], one, "i", b, a),
    ] {
        assert_ne!(given, other);
    }
}

#[test]
fn a_field_given_twice_is_refused() {
    let ann = somebody();
    let mut body = code(&ann).body().to_vec();
    assert!(InviteCode::decode_body(&body).is_some());
    tlv::put(&mut body, 99, b"of a later release");
    assert!(InviteCode::decode_body(&body).is_some());
    tlv::put(&mut body, KEY, &[1; 32]);
    assert!(InviteCode::decode_body(&body).is_none());
}

proptest! {
    #[test]
    fn any_text_is_an_error_and_no_panic(text in "(kith://join/)?[A-Za-z0-9_-]{0,400}") {
        prop_assert!(InviteCode::decode(&text, &somebody()).is_err());
    }

    #[test]
    fn any_body_is_read_or_refused_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = InviteCode::decode_body(&body);
    }

    #[test]
    fn any_name_expiry_and_number_come_through(name in ".{0,64}", at in any::<i64>(), uses in any::<u64>(), epoch in any::<u64>()) {
        let ann = somebody();
        let given = InviteCode { name: shown(&name), expires: Timestamp::from_ms(at), uses, epoch, ..code(&ann) };
        let url = given.encode(&ann, None, &OsEntropy).unwrap();
        prop_assert!(InviteCode::decode(&url, &ann).unwrap() == given);
    }
}
