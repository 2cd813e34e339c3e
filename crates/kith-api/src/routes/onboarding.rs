//! Bringing a device into the network: MeshHold's set-up and sharing, SwarmLLM's codes. All of them are the same invites.

use super::networks::{own_name, told};
use crate::{
    app::App,
    body::Json as Body,
    error::ApiError,
    invitations::{self, active},
    neighbours, notice,
};
use axum::{Extension, Json, extract::State};
use kith_access::Principal;
use kith_networks::Network;
use kith_types::Code;
use kith_wire::networks::{JoinNetwork, JoinedNetwork, NetworkCode, NetworkInfo, SystemSetup, SystemShare, SystemShareNode};
use std::sync::Arc;

/// Puts this node onto a network.
async fn set_up(app: &App, setup: SystemSetup) -> Result<Network, ApiError> {
    let own = own_name(app, setup.device_name).await;
    if let Some(code) = setup.connect_url {
        if setup.swarm_key.is_some() || !setup.bootstrap.is_empty() {
            let message = "`connect_url` holds key and addresses already; leave `swarm_key` and `bootstrap` out";
            return Err(ApiError::new(Code::InvalidRequest, message).with_field("connect_url"));
        }
        return Ok(app.mesh.join(&code, &own).await?);
    }
    let name = setup.name.unwrap_or_else(|| format!("network of {own}").chars().take(64).collect());
    let founded = match setup.swarm_key {
        Some(key) => app.networks.create_with_key(&name, &own, &key, &setup.bootstrap).await?,
        None => {
            let network = app.networks.create(&name, &own).await?;
            app.networks.set_bootstrap(network.id, &setup.bootstrap).await?
        }
    };
    Ok(app.mesh.connect(founded.id).await?)
}

/// Puts this node onto a network: that of an invite, or a new one, with a fresh key or the given one. A key alone lets nobody into
/// somebody else's network.
#[utoipa::path(post, path = "/api/v1/system/setup", tag = "mesh", request_body = SystemSetup,
    responses((status = 200, body = NetworkInfo), (status = 410, description = "The invite holds no longer."),
              (status = 502, description = "No member was reached, or they refused. The network is not kept; the node goes back to where it was.")))]
pub async fn setup(State(app): State<Arc<App>>, Body(body): Body<SystemSetup>) -> Result<Json<NetworkInfo>, ApiError> {
    let network = set_up(&app, body).await?;
    Ok(told(&app, network).await)
}

/// What a new device needs: the key, where this node is reached, and an invite for one device, the same until it is used.
#[utoipa::path(get, path = "/api/v1/system/share", tag = "mesh",
    responses((status = 200, body = SystemShare), (status = 403, description = "This node is no admin of the network."),
              (status = 503, description = "No network is active.")))]
pub async fn share(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<SystemShare>, ApiError> {
    let network = active(&app).await?;
    let code = invitations::shown(&app, &network, &principal).await?;
    let key = app.networks.key_text(network.id, &notice::name(&principal)).await?;
    let bootstrap = addresses(&app).await?;
    Ok(Json(SystemShare { swarm_key: key.to_string(), bootstrap, connect_url: code.url.to_string() }))
}

/// Where this node is reached, or, while it is offline, where its network was last.
async fn addresses(app: &App) -> Result<Vec<String>, ApiError> {
    let own = app.mesh.addresses().await;
    if own.is_empty() { Ok(app.networks.share_node().await?.bootstrap) } else { Ok(own) }
}

/// Who this node is and where, without anything secret.
#[utoipa::path(get, path = "/api/v1/system/share-node", tag = "mesh",
    responses((status = 200, body = SystemShareNode), (status = 503, description = "No network is active.")))]
pub async fn share_node(State(app): State<Arc<App>>) -> Result<Json<SystemShareNode>, ApiError> {
    active(&app).await?;
    let (name, bootstrap) = (app.lan.node_name().await, addresses(&app).await?);
    Ok(Json(SystemShareNode { peer_id: app.node_id.to_string(), name, bootstrap }))
}

/// The code by which one device joins, the same until it is used; and how the network stands. Neither key nor address can be read off
/// it in passing.
#[utoipa::path(get, path = "/api/admin/network-code", tag = "mesh",
    responses((status = 200, body = NetworkCode), (status = 403, description = "This node is no admin of the network."),
              (status = 503, description = "No network is active.")))]
pub async fn network_code(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<NetworkCode>, ApiError> {
    let (network, around) = (active(&app).await?, neighbours::look(&app).await?);
    let code = invitations::shown(&app, &network, &principal).await?;
    let phase = match (around.members.is_empty(), around.peers.is_empty()) {
        (_, false) => "connected",
        (true, true) => "solo",
        (false, true) => "offline",
    };
    let peers = around.peers.len() as u64;
    Ok(Json(NetworkCode { code: code.url.to_string(), phase: phase.to_owned(), peers, expires_at_ms: code.expires }))
}

/// Joins by an invite, or connects to a member of the active network at its address, which is remembered.
#[utoipa::path(post, path = "/api/admin/join-network", tag = "mesh", request_body = JoinNetwork,
    responses((status = 200, body = JoinedNetwork), (status = 400, description = "Neither an invite nor an address."),
              (status = 410, description = "The invite holds no longer."), (status = 502, description = "Nobody was reached, or they refused."),
              (status = 503, description = "An address, and no network is connected.")))]
pub async fn join_network(State(app): State<Arc<App>>, Body(body): Body<JoinNetwork>) -> Result<Json<JoinedNetwork>, ApiError> {
    let code = body.code.trim();
    let (status, peer_id, network) = if code.starts_with('/') {
        let node = app.mesh.dial(code).await?;
        let network = active(&app).await?;
        let network = app.networks.add_bootstrap(network.id, &[code.to_owned()]).await?;
        ("connected", Some(node.to_string()), network)
    } else {
        let own = own_name(&app, None).await;
        ("joined", None, app.mesh.join(code, &own).await?)
    };
    let network = told(&app, network).await.0;
    Ok(Json(JoinedNetwork { status: status.to_owned(), peer_id, network }))
}
