//! What the targets have in common: seeds, and what they are made of.

#[path = "../../../kith-networks/fuzz/src/plant.rs"]
mod plant;

use kith_mesh::{NetworkKey, fuzzing::Hinted};
use kith_types::NodeId;
pub use plant::plant;
use std::{collections::HashSet, sync::LazyLock};
use tokio::runtime::{Builder, Runtime};

/// Where what waits is waited for; nothing here waits long.
pub static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime of one thread"));

/// The network's keys, the present one first.
pub static KEYS: LazyLock<[NetworkKey; 3]> = LazyLock::new(|| [1, 2, 3].map(|seed| NetworkKey::new([seed; 32])));

/// A node.
pub fn node(seed: u8) -> NodeId {
    NodeId::from_ed25519(&[seed; 32])
}

/// Behind a frame's length.
pub fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes(), body].concat()
}

/// Somebody and their addresses, as JSON.
pub fn hint(seed: u8, addresses: &[&str]) -> String {
    let addresses: Vec<String> = addresses.iter().map(|address| format!("{address:?}")).collect();
    format!(r#"{{"node":"{}","addresses":[{}]}}"#, node(seed), addresses.join(","))
}

/// Remembers what was told, in a book with little room, by the node itself and by others.
pub fn remember(told: Vec<Hinted>) {
    const MOST: usize = 4;
    let nodes: HashSet<NodeId> = told.iter().map(|(node, _)| node.clone()).collect();
    for itself in [true, false] {
        let (known, due) = kith_mesh::fuzzing::remembered(&node(1), MOST, told.clone(), itself);
        assert!(known <= MOST && known <= nodes.len() && due <= known, "{known} are known, and {due} are dialled");
    }
}
