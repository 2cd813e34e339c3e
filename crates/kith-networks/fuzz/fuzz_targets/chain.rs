//! Chains of certificates that are signed well and say anything. A line is a certificate: a digit for who signs it, and its JSON; the
//! first line is the last certificate. Who holds the chain stands before the first.
#![no_main]

use kith_networks::{Certificate, Chain, Kind, Role, Standing, fuzzing::signed};
use kith_networks_fuzz::{NODES, certificate, genesis, id, json, plant};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static STANDING: LazyLock<Standing> = LazyLock::new(|| Standing {
    removed: [(id(2), 2)].into(),
    vouched: [(id(1), (1, Role::Admin)), (id(3), (2, Role::Member))].into(),
    present: 3,
});

fn seeds() -> Vec<Vec<u8>> {
    let line = |by: usize, member: usize, role, epoch| {
        [by.to_string().into_bytes(), json(&certificate(by, member, role, epoch)), vec![b'\n']].concat()
    };
    let (admin, member) = (Role::Admin, Role::Member);
    let chains = [
        (1, vec![line(0, 1, admin, 0)]),
        (3, vec![line(1, 3, member, 1), line(0, 1, admin, 1)]),
        (3, vec![line(2, 3, member, 1), line(0, 2, admin, 1)]),
        (2, vec![line(1, 2, admin, 3), line(0, 1, admin, 1)]),
        (0, vec![line(0, 0, admin, 0)]),
        (3, vec![line(1, 3, admin, 1); 8]),
    ];
    chains.map(|(holder, lines)| [vec![b'0' + holder], lines.concat()].concat()).into()
}

fn node(digit: u8) -> usize {
    usize::from(digit) % NODES.len()
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    let Some((holder, lines)) = bytes.split_first() else { return };
    let holder = id(node(*holder));
    let lines = lines.split(|byte| *byte == b'\n').filter_map(|line| line.split_first()).take(12);
    let chain = Chain(lines.map(|(by, body)| signed(Kind::Member, &NODES[node(*by)], body)).collect());
    if let Ok(verified) = STANDING.verify(&genesis(), &holder, &chain) {
        assert_eq!(verified.certificate.member, holder);
        let last = chain.0.last().and_then(|token| Certificate::open(token).ok()).expect("it was verified");
        assert_eq!(last.by, genesis().founder, "a chain begins with the founder");
        assert!(verified.role <= verified.certificate.role || holder == id(1) || holder == id(3), "nobody rises by himself");
    }
});
