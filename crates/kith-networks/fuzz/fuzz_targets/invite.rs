//! Codes of invites, and the text form of keys. What is understood is written, and read again as the same.
#![no_main]

use kith_networks::{InviteCode, Psk, Role};
use kith_networks_fuzz::{NODES, Same, genesis, id, plant, psk};
use kith_types::Timestamp;
use libfuzzer_sys::fuzz_target;

/// The reader of codes.
const ME: usize = 3;

fn seeds() -> Vec<Vec<u8>> {
    let secret = psk().as_bytes().to_owned().into();
    let code = InviteCode {
        genesis: genesis(),
        name: "Home".to_owned(),
        inviter: id(1),
        addresses: vec!["/ip4/192.0.2.1/tcp/4001".to_owned(), "/dns4/a.example/tcp/1".to_owned()],
        expires: Timestamp::from_ms(1_800_000_000_000),
        uses: 3,
        role: Role::Admin,
        id: "0011223344556677".to_owned(),
        epoch: 2,
        psk: psk(),
        secret,
    };
    let written = |to: Option<usize>| code.encode(&NODES[1], to.map(id).as_ref(), &Same(5)).expect("the node has a key");
    let field = |tag: u8, bytes: &[u8]| [&[tag], (bytes.len() as u16).to_be_bytes().as_slice(), bytes].concat();
    let body = [
        field(1, &genesis().founder.ed25519()),
        field(2, &[7; 16]),
        field(3, b"Home"),
        field(4, &id(1).ed25519()),
        field(5, b"/ip4/192.0.2.1/tcp/4001"),
        field(6, &1_800_000_000_000_u64.to_be_bytes()),
        field(7, &3_u64.to_be_bytes()),
        field(8, &[8; 8]),
        field(9, &[9; 32]),
        field(10, b"admin"),
        field(11, &2_u64.to_be_bytes()),
        field(200, b"later"),
    ];
    vec![
        written(None).into_bytes(),
        written(Some(ME)).into_bytes(),
        format!("An invite\r\n  {}\r\n", written(None)).into_bytes(),
        psk().to_text().as_bytes().to_vec(),
        body.concat(),
        [&body[..3], &body[4..6], &body[7..9]].concat().concat(),
    ]
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(key) = Psk::from_text(&text) {
        assert_eq!(Psk::from_text(&key.to_text()), Ok(key));
    }
    let _ = InviteCode::decode(&text, &NODES[ME]);
    if let Some(mut code) = InviteCode::decode_body(bytes) {
        // Signed by one who can sign, and read again.
        code.inviter = id(1);
        for to in [None, Some(id(ME))] {
            let written = code.encode(&NODES[1], to.as_ref(), &Same(5)).expect("the node has a key");
            if written.len() <= kith_networks::MAX_CODE {
                assert_eq!(InviteCode::decode(&written, &NODES[ME]).as_ref(), Ok(&code));
            }
        }
    }
});
