//! The saved networks: adding, founding, connecting, where members are looked for, and the key.

use crate::{
    app::App,
    body::Json as Body,
    error::ApiError,
    mesh::{self, Peer},
    network_error::network_id,
    notice,
};
use axum::{
    Extension, Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use kith_access::Principal;
use kith_networks::{KEPT_MS, Membership, Network, NetworkId};
use kith_wire::networks::{
    AddNetwork, BootstrapAddresses, BootstrapInvite, CreateNetwork, InvitePreview, KeyRotated, NetworkDisconnected, NetworkInfo,
    NetworkKey, NetworkList, NetworkMembership, PreviewInvite,
};
use std::sync::Arc;

/// The network's id in a path.
pub(super) type Given = Result<Path<String>, PathRejection>;

/// The network that a path names.
pub(super) fn given(id: Given) -> Result<NetworkId, ApiError> {
    network_id(&id?.0)
}

/// A network on the wire.
pub(super) fn info(network: Network, standing: &mesh::Standing) -> NetworkInfo {
    let state = match network.connected {
        _ if standing.network == Some(network.id) => "connected",
        true => "connecting",
        false => "disconnected",
    };
    NetworkInfo {
        id: network.id.to_string(),
        name: network.name,
        state: state.to_owned(),
        active: network.active,
        membership: match network.membership {
            Membership::Invited => NetworkMembership::Invited,
            Membership::Member => NetworkMembership::Member,
            Membership::Admin => NetworkMembership::Admin,
            Membership::Removed => NetworkMembership::Removed,
        },
        device_name: network.own_name,
        founder: network.founder.to_string(),
        member_count: network.members as u64,
        bootstrap: network.bootstrap,
        key_epoch: network.epoch,
        key_id: network.key_id,
        created_at_ms: network.created,
    }
}

/// As [`info`], as it stands now.
pub(super) async fn told(app: &App, network: Network) -> Json<NetworkInfo> {
    Json(info(network, &app.mesh.standing().await))
}

/// What this node is to be called: as it was told, or by its own name.
pub(super) async fn own_name(app: &App, given: Option<String>) -> String {
    match given {
        Some(name) => name,
        None => app.lan.node_name().await,
    }
}

/// Connected peers, if this is the network that is connected.
pub(super) async fn connected(app: &App, id: NetworkId) -> Vec<Peer> {
    if app.mesh.standing().await.network == Some(id) { app.mesh.peers().await } else { Vec::new() }
}

/// A key that was changed just now.
pub(super) async fn rotated(app: &App, id: NetworkId, changed: mesh::Rotated) -> Result<KeyRotated, ApiError> {
    let network = app.networks.network(id).await?;
    let others = network.members.saturating_sub(1) as u64;
    Ok(KeyRotated {
        key_epoch: changed.epoch,
        key_id: network.key_id,
        sealed_to: others,
        told: others.min(changed.told as u64),
        kept_until_ms: app.clock.now().plus_ms(KEPT_MS),
    })
}

/// The saved networks, and which of them is the active one.
#[utoipa::path(get, path = "/api/v1/networks", tag = "mesh", responses((status = 200, body = NetworkList)))]
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<NetworkList>, ApiError> {
    let (networks, standing) = (app.networks.networks().await?, app.mesh.standing().await);
    let networks: Vec<NetworkInfo> = networks.into_iter().map(|network| info(network, &standing)).collect();
    let active = networks.iter().find(|network| network.active).map(|network| network.id.clone());
    Ok(Json(NetworkList { networks, active, fault: standing.fault }))
}

/// One saved network.
#[utoipa::path(get, path = "/api/v1/networks/{id}", tag = "mesh", params(("id" = String, Path, description = "The network.")),
    responses((status = 200, body = NetworkInfo), (status = 404, description = "No such network.")))]
pub async fn get(State(app): State<Arc<App>>, id: Given) -> Result<Json<NetworkInfo>, ApiError> {
    let network = app.networks.network(given(id)?).await?;
    Ok(told(&app, network).await)
}

/// Adds the network of an invite. With `connect` this node goes onto it, and the answer comes when a member has let it in.
#[utoipa::path(post, path = "/api/v1/networks", tag = "mesh", request_body = AddNetwork,
    responses((status = 201, body = NetworkInfo), (status = 400, description = "`INVITE_INVALID`: no invite, a forged one, or another's."),
              (status = 409, description = "This node is in that network already, or as many are saved as may be."),
              (status = 410, description = "The invite holds no longer."),
              (status = 502, description = "No member was reached, or they refused. The network is not kept; the node goes back to where it was.")))]
pub async fn add(State(app): State<Arc<App>>, Body(body): Body<AddNetwork>) -> Result<(StatusCode, Json<NetworkInfo>), ApiError> {
    let name = own_name(&app, body.device_name).await;
    let network = match body.connect {
        true => app.mesh.join(&body.url, &name).await?,
        false => app.networks.join(&body.url, &name).await?,
    };
    Ok((StatusCode::CREATED, told(&app, network).await))
}

/// Founds a network with a new key; this node is its first admin.
#[utoipa::path(post, path = "/api/v1/networks/create", tag = "mesh", request_body = CreateNetwork,
    responses((status = 201, body = NetworkInfo), (status = 409, description = "As many networks are saved as may be."),
              (status = 503, description = "It cannot be connected. The network is saved.")))]
pub async fn create(
    State(app): State<Arc<App>>,
    Body(body): Body<CreateNetwork>,
) -> Result<(StatusCode, Json<NetworkInfo>), ApiError> {
    let name = own_name(&app, body.device_name).await;
    let mut network = app.networks.create(&body.name, &name).await?;
    if body.connect {
        network = app.mesh.connect(network.id).await?;
    }
    Ok((StatusCode::CREATED, told(&app, network).await))
}

/// What an invite says, without using it.
#[utoipa::path(post, path = "/api/v1/networks/preview", tag = "mesh", request_body = PreviewInvite,
    responses((status = 200, body = InvitePreview), (status = 400, description = "`INVITE_INVALID`.")))]
pub async fn preview(State(app): State<Arc<App>>, Body(body): Body<PreviewInvite>) -> Result<Json<InvitePreview>, ApiError> {
    let preview = app.networks.preview(&body.url)?;
    let known = app.networks.networks().await?.iter().any(|network| network.id == preview.network);
    Ok(Json(InvitePreview {
        network_id: preview.network.to_string(),
        name: preview.name,
        inviter: preview.inviter.to_string(),
        addresses: preview.addresses,
        role: preview.role.as_str().to_owned(),
        expires_at_ms: preview.expires,
        known,
    }))
}

/// Goes onto this network, and off another.
#[utoipa::path(post, path = "/api/v1/networks/{id}/connect", tag = "mesh",
    params(("id" = String, Path, description = "The network.")),
    responses((status = 200, body = NetworkInfo), (status = 403, description = "This node was removed from it."),
              (status = 404, description = "No such network."), (status = 503, description = "It cannot be connected.")))]
pub async fn connect(State(app): State<Arc<App>>, id: Given) -> Result<Json<NetworkInfo>, ApiError> {
    let network = app.mesh.connect(given(id)?).await?;
    Ok(told(&app, network).await)
}

/// Goes offline. The node itself goes on, and stays offline across restarts.
#[utoipa::path(post, path = "/api/v1/networks/disconnect", tag = "mesh", responses((status = 200, body = NetworkDisconnected)))]
pub async fn disconnect(State(app): State<Arc<App>>) -> Result<Json<NetworkDisconnected>, ApiError> {
    Ok(Json(NetworkDisconnected { disconnected: app.mesh.disconnect().await? }))
}

/// Forgets a network with its key, its members and its invites. To come back, this node needs a new invite.
#[utoipa::path(delete, path = "/api/v1/networks/{id}", tag = "mesh", params(("id" = String, Path, description = "The network.")),
    responses((status = 204, description = "Forgotten."), (status = 404, description = "No such network."),
              (status = 409, description = "It is connected; disconnect it first.")))]
pub async fn forget(State(app): State<Arc<App>>, id: Given) -> Result<StatusCode, ApiError> {
    app.networks.forget(given(id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces the addresses at which members are looked for.
#[utoipa::path(put, path = "/api/v1/networks/{id}/bootstrap", tag = "mesh", request_body = BootstrapAddresses,
    params(("id" = String, Path, description = "The network.")),
    responses((status = 200, body = NetworkInfo), (status = 404, description = "No such network.")))]
pub async fn set_bootstrap(
    State(app): State<Arc<App>>,
    id: Given,
    Body(body): Body<BootstrapAddresses>,
) -> Result<Json<NetworkInfo>, ApiError> {
    let network = app.networks.set_bootstrap(given(id)?, &body.bootstrap).await?;
    Ok(told(&app, network).await)
}

/// As above, with the addresses of an invite into the same network.
#[utoipa::path(put, path = "/api/v1/networks/{id}/bootstrap-invite", tag = "mesh", request_body = BootstrapInvite,
    params(("id" = String, Path, description = "The network.")),
    responses((status = 200, body = NetworkInfo), (status = 400, description = "No invite, or one into another network."),
              (status = 404, description = "No such network.")))]
pub async fn set_bootstrap_by_invite(
    State(app): State<Arc<App>>,
    id: Given,
    Body(body): Body<BootstrapInvite>,
) -> Result<Json<NetworkInfo>, ApiError> {
    let network = app.networks.bootstrap_from(given(id)?, &body.url).await?;
    Ok(told(&app, network).await)
}

/// Adds addresses at which members are looked for; over 16 the oldest go.
#[utoipa::path(post, path = "/api/v1/networks/{id}/peers", tag = "mesh", request_body = BootstrapAddresses,
    params(("id" = String, Path, description = "The network.")),
    responses((status = 200, body = NetworkInfo), (status = 404, description = "No such network.")))]
pub async fn add_bootstrap(
    State(app): State<Arc<App>>,
    id: Given,
    Body(body): Body<BootstrapAddresses>,
) -> Result<Json<NetworkInfo>, ApiError> {
    let network = app.networks.add_bootstrap(given(id)?, &body.bootstrap).await?;
    Ok(told(&app, network).await)
}

/// The network's key. It opens the door; only an invite lets in. That it was shown, and to whom, is told in the audit.
#[utoipa::path(get, path = "/api/v1/networks/{id}/key", tag = "mesh", params(("id" = String, Path, description = "The network.")),
    responses((status = 200, body = NetworkKey), (status = 404, description = "No such network.")))]
pub async fn key(
    State(app): State<Arc<App>>,
    id: Given,
    Extension(principal): Extension<Principal>,
) -> Result<Json<NetworkKey>, ApiError> {
    let key = app.networks.key_text(given(id)?, &notice::name(&principal)).await?;
    Ok(Json(NetworkKey { swarm_key: key.to_string() }))
}

/// Changes the key. Members who are connected get the new one at once, the others when they come back within 30 days.
#[utoipa::path(post, path = "/api/v1/networks/{id}/swarm-key", tag = "mesh",
    params(("id" = String, Path, description = "The network.")),
    responses((status = 200, body = KeyRotated), (status = 403, description = "This node is no admin of the network."),
              (status = 404, description = "No such network.")))]
pub async fn rotate(State(app): State<Arc<App>>, id: Given) -> Result<Json<KeyRotated>, ApiError> {
    let id = given(id)?;
    let changed = app.mesh.rotate(id).await?;
    Ok(Json(rotated(&app, id, changed).await?))
}

#[cfg(test)]
mod tests;
