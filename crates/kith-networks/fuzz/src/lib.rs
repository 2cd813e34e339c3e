//! What the targets have in common: seeds, and the nodes and things that they are made of. The same in every run.

mod plant;

use kith_keys::{Entropy, EntropyError, Identity};
use kith_networks::{Certificate, Genesis, Kind, NodeRecord, NodeSays, Psk, Role, Rotation, fuzzing::signed};
use kith_types::{NodeId, Timestamp};
pub use plant::plant;
use std::sync::LazyLock;

/// Not random at all: the same byte over and over.
pub struct Same(pub u8);

impl Entropy for Same {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill(self.0);
        Ok(())
    }
}

/// A founder, an admin, one who was removed, and a member.
pub static NODES: LazyLock<[Identity; 4]> =
    LazyLock::new(|| [1, 2, 3, 4].map(|seed| Identity::ephemeral(&Same(seed)).expect("these bytes are always there")));

/// The id of one of [`NODES`].
pub fn id(node: usize) -> NodeId {
    NODES[node].node_id().clone()
}

/// The founding of their network.
pub fn genesis() -> Genesis {
    Genesis { founder: id(0), salt: [7; 16] }
}

/// The network's key.
pub fn psk() -> Psk {
    Psk::random(&Same(9)).expect("these bytes are always there")
}

/// A certificate by `by` for `member`.
pub fn certificate(by: usize, member: usize, role: Role, epoch: u64) -> Certificate {
    Certificate {
        network: genesis().id(),
        member: id(member),
        role,
        name: "Ann's \u{1f40c}".to_owned(),
        issued_ms: Timestamp::from_ms(1_700_000_000_000),
        serial: "0011223344556677".to_owned(),
        epoch,
        by: id(by),
    }
}

/// A certificate as it travels.
pub fn token(by: usize, member: usize) -> String {
    signed(Kind::Member, &NODES[by], &json(&certificate(by, member, Role::Admin, 1)))
}

/// What a node says of itself, unsigned.
pub fn record() -> NodeRecord {
    let says = NodeSays {
        name: "Ann".to_owned(),
        models: vec!["qwen3:0.6b".to_owned()],
        addresses: vec!["/ip4/192.0.2.1/tcp/4001".to_owned()],
        started_ms: Some(Timestamp::from_ms(1)),
        ..NodeSays::default()
    };
    let chain = kith_networks::Chain(vec![token(1, 3), token(0, 1)]);
    NodeRecord { network: genesis().id(), node: id(3), seq: 5, issued_ms: Timestamp::from_ms(2), chain, says }
}

/// The body of a rotation by the founder that shuts one out, as text.
pub fn rotation() -> String {
    // Keys one behind the other in base64url: 32 zeros, and of them a node that nobody is.
    let node = "A".repeat(43);
    let commitment: String = psk().commitment().iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        r#"{{"network":"{}","epoch":2,"commitment":"{commitment}","issued_ms":{},"by":"{}","admins":"","members":"{node}","removed":{{"2":"{node}"}}}}"#,
        genesis().id(),
        serde_json::to_string(&Timestamp::from_ms(3)).unwrap_or_default(),
        id(0),
    )
}

/// The rotation that [`rotation`] writes.
pub fn rotated() -> Rotation {
    Rotation::decode_body(rotation().as_bytes()).expect("it is a rotation")
}

/// The JSON of something.
pub fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("it can be written")
}
