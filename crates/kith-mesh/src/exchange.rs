//! Peers tell each other whom they are connected to: `/kith/peers/1`. Signed by nobody: an address is a hint, proved by the handshake.

use crate::{
    address::Address,
    bounds::{EXCHANGED_PEERS, MAX_ADDRESSES},
    frames::{Call, Declined},
    mesh::Mesh,
    protocol::ProtocolError,
    router::{RouteError, Router},
};
use kith_types::NodeId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A member and where it may be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hint {
    pub node: NodeId,
    #[serde(default)]
    pub addresses: Vec<Address>,
}

/// The question; nothing in it yet.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Whom {}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct These {
    #[serde(default)]
    pub peers: Vec<Hint>,
}

impl These {
    /// As many of them, and of their addresses, as are taken.
    pub fn bounded(mut self) -> Vec<Hint> {
        self.peers.truncate(EXCHANGED_PEERS);
        self.peers.iter_mut().for_each(|hint| hint.addresses.truncate(MAX_ADDRESSES));
        self.peers
    }
}

/// 32 peers with 16 addresses of 200 bytes.
pub(crate) const MAX_FRAME: u32 = 128 * 1024;
/// Nothing yet, and room for what may come.
pub(crate) const MAX_QUESTION: u32 = 1024;

fn call() -> Result<Call, ProtocolError> {
    Ok(Call::new("/kith/peers/1", MAX_FRAME, Duration::from_secs(10))?.with_questions_of(MAX_QUESTION))
}

/// Adds the route that answers.
pub(crate) fn route(router: Router, mesh: Mesh) -> Result<Router, RouteError> {
    router.answer(&call()?, move |asker: NodeId, _: Whom| {
        let mesh = mesh.clone();
        async move {
            let peers = mesh.hints_for(asker).await.map_err(|_| Declined::new("stopped", "The node is stopping."))?;
            Ok(These { peers })
        }
    })
}

/// Asks `peer`; nothing where it does not answer.
pub(crate) async fn ask(mesh: &Mesh, peer: &NodeId) -> Vec<Hint> {
    let Ok(call) = call() else { return Vec::new() };
    match mesh.request::<Whom, These>(peer, &call, &Whom {}).await {
        Ok(these) => these.bounded(),
        Err(error) => {
            tracing::debug!(%peer, %error, "the peer told nobody else");
            Vec::new()
        }
    }
}
