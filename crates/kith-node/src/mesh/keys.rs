//! The network's key as the node goes by it: changed, handed on to those who are connected, and gone over to.

use super::{MeshHost, protocols};
use kith_api::mesh::{MeshError, Rotated};
use kith_networks::{NetworkId, RotationBundle};
use kith_types::NodeId;
use std::time::Duration;

/// How long a new key is handed on under the old one before this node goes over to it.
const HAND_ON: Duration = Duration::from_millis(500);

impl MeshHost {
    /// Changes the key of a network. Not to be dropped halfway: see [`MeshHost::whole`].
    pub(super) async fn rotate_now(&self, id: NetworkId) -> Result<Rotated, MeshError> {
        let bundle = self.parts.networks.rotate(id).await?;
        self.hand_on(id, &bundle, None).await
    }

    /// Shuts a member out. Not to be dropped halfway either.
    pub(super) async fn remove_now(&self, id: NetworkId, node: &NodeId) -> Result<Rotated, MeshError> {
        let bundle = self.parts.networks.remove(id, node).await?;
        self.changes.removed(node.clone());
        self.hand_on(id, &bundle, Some(node)).await
    }

    /// Tells a new key to all who are connected, and goes over to it.
    async fn hand_on(&self, id: NetworkId, bundle: &RotationBundle, leaver: Option<&NodeId>) -> Result<Rotated, MeshError> {
        let told = match self.mesh().await {
            Ok((mesh, network)) if network == id => protocols::hand_on(&mesh, bundle, leaver).await,
            _ => 0,
        };
        // Also where nothing was connected just now: the mesh may be on its way, with the key before.
        self.changes.key();
        Ok(Rotated { epoch: self.parts.networks.network(id).await?.epoch, told })
    }

    /// Goes over to the present key, after a moment in which it is handed on under the old one.
    pub(super) async fn change_key(&self) -> Result<(), MeshError> {
        tokio::time::sleep(HAND_ON).await;
        let _one = self.changing.lock().await;
        let runs = self.online.read().await.as_ref().map(|online| (online.network, online.key_id.clone()));
        let Some((network, key_id)) = runs else { return Ok(()) };
        let network = self.parts.networks.network(network).await?;
        if network.key_id == key_id {
            return Ok(());
        }
        self.end().await;
        self.start(&network).await
    }
}
