//! Who belongs to a network, and the invites by which they come in.

use super::networks::{Given, connected, given, rotated};
use crate::{
    app::App,
    body::Json as Body,
    error::ApiError,
    invitations,
    network_error::{network_id, node_id},
    query,
};
use axum::{
    Extension, Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::StatusCode,
};
use kith_access::Principal;
use kith_networks::{InviteState, KEPT_MS, Member, MemberState, Membership, Network, NetworkError, NetworkId};
use kith_types::NodeId;
use kith_wire::networks::{
    InviteList, InviteQuery, MemberDetail, MemberInfo, MemberList, MemberRemoved, NetworkInvite, NewInvite, RemovalConsequences,
};
use std::sync::Arc;

type GivenTwo = Result<Path<(String, String)>, PathRejection>;

fn member_of(given: GivenTwo) -> Result<(NetworkId, NodeId), ApiError> {
    let Path((network, node)) = given?;
    Ok((network_id(&network)?, node_id(&node)?))
}

fn info(member: Member) -> MemberInfo {
    let state = match member.state {
        MemberState::Active => "active",
        MemberState::Heard => "heard",
        MemberState::Removed => "removed",
    };
    MemberInfo {
        node_id: member.node.to_string(),
        name: member.name,
        role: member.role.as_str().to_owned(),
        state: state.to_owned(),
        is_self: member.itself,
        is_founder: member.founder,
        joined_at_ms: member.joined,
        last_seen_at_ms: member.last_seen,
    }
}

/// Why this node cannot remove that member.
fn refusal(network: &Network, member: &Member) -> Option<NetworkError> {
    match network.membership {
        _ if member.itself => Some(NetworkError::Itself),
        _ if member.founder => Some(NetworkError::Founder),
        _ if member.state == MemberState::Removed => Some(NetworkError::NoSuchMember),
        Membership::Admin => None,
        Membership::Member => Some(NetworkError::NotAdmin),
        Membership::Invited | Membership::Removed => Some(NetworkError::NotMember),
    }
}

async fn open_invites(app: &App, id: NetworkId) -> Result<u64, ApiError> {
    let invites = app.networks.invites(id).await?;
    Ok(invites.iter().filter(|invite| invite.state == InviteState::Open).count() as u64)
}

async fn detail(app: &App, id: NetworkId, node: &NodeId) -> Result<MemberDetail, ApiError> {
    let (network, members) = (app.networks.network(id).await?, app.networks.members(id).await?);
    let stay = members.iter().filter(|member| !member.itself && member.node != *node && member.state != MemberState::Removed);
    let peers = connected(app, id).await;
    let (now, later): (Vec<_>, Vec<_>) = stay.partition(|member| peers.iter().any(|peer| peer.node == member.node));
    let member = members.iter().find(|member| member.node == *node).ok_or(NetworkError::NoSuchMember)?;
    let removal = RemovalConsequences {
        refused: refusal(&network, member).map(|error| error.to_string()),
        disconnects: peers.iter().any(|peer| peer.node == *node),
        told_now: now.len() as u64,
        told_later: later.len() as u64,
        kept_for_s: KEPT_MS.unsigned_abs() / 1000,
        invites_ended: open_invites(app, id).await?,
    };
    Ok(MemberDetail { member: info(member.clone()), removal })
}

/// Everybody who belongs to a network, or did.
#[utoipa::path(get, path = "/api/v1/networks/{id}/members", tag = "mesh",
    params(("id" = String, Path, description = "The network.")),
    responses((status = 200, body = MemberList), (status = 404, description = "No such network.")))]
pub async fn list(State(app): State<Arc<App>>, id: Given) -> Result<Json<MemberList>, ApiError> {
    let members = app.networks.members(given(id)?).await?;
    Ok(Json(MemberList { members: members.into_iter().map(info).collect() }))
}

/// A member, and what removing it would do.
#[utoipa::path(get, path = "/api/v1/networks/{id}/members/{node_id}", tag = "mesh",
    params(("id" = String, Path, description = "The network."), ("node_id" = String, Path, description = "The member.")),
    responses((status = 200, body = MemberDetail), (status = 404, description = "No such network, or no such member.")))]
pub async fn get(State(app): State<Arc<App>>, given: GivenTwo) -> Result<Json<MemberDetail>, ApiError> {
    let (id, node) = member_of(given)?;
    Ok(Json(detail(&app, id, &node).await?))
}

/// Removes a member: it is shut out, the key changes without it, and this node's open invites end.
#[utoipa::path(delete, path = "/api/v1/networks/{id}/members/{node_id}", tag = "mesh",
    params(("id" = String, Path, description = "The network."), ("node_id" = String, Path, description = "The member.")),
    responses((status = 200, body = MemberRemoved), (status = 404, description = "No such network, or no such member."),
              (status = 409, description = "A device does not remove itself.")))]
pub async fn remove(State(app): State<Arc<App>>, given: GivenTwo) -> Result<Json<MemberRemoved>, ApiError> {
    let (id, node) = member_of(given)?;
    let open = open_invites(&app, id).await?;
    let changed = app.mesh.remove(id, &node).await?;
    let ended = open.saturating_sub(open_invites(&app, id).await?);
    let key = rotated(&app, id, changed).await?;
    Ok(Json(MemberRemoved { node_id: node.to_string(), invites_ended: ended, key }))
}

/// Makes a member an admin: it may let in others, remove them and change the key. There is no way back but its removal.
#[utoipa::path(post, path = "/api/v1/networks/{id}/members/{node_id}/promote", tag = "mesh",
    params(("id" = String, Path, description = "The network."), ("node_id" = String, Path, description = "The member.")),
    responses((status = 200, body = MemberDetail), (status = 404, description = "No such network, or no such member.")))]
pub async fn promote(State(app): State<Arc<App>>, given: GivenTwo) -> Result<Json<MemberDetail>, ApiError> {
    let (id, node) = member_of(given)?;
    app.networks.promote(id, &node).await?;
    Ok(Json(detail(&app, id, &node).await?))
}

/// Makes an invite. Its code is told this once. Without the admin scope it is one for one member, within a day.
#[utoipa::path(get, path = "/api/v1/networks/{id}/invite", tag = "mesh",
    params(("id" = String, Path, description = "The network."),
           ("uses" = Option<u64>, Query, description = "How many may come in, 1 to 200; one if left out."),
           ("expires_in_s" = Option<u64>, Query, description = "For how long, 60 to 2,592,000 s; a day if left out."),
           ("role" = Option<String>, Query, description = "`member` (if left out) or `admin`."),
           ("label" = Option<String>, Query, description = "A note for the list of invites."),
           ("for_node" = Option<String>, Query, description = "The only node that may use it.")),
    responses((status = 200, body = NetworkInvite),
              (status = 403, description = "This node is no admin of the network, or more is asked than one without the admin scope may."),
              (status = 404, description = "No such network."), (status = 409, description = "As many invites are open as may be.")))]
pub async fn invite(
    State(app): State<Arc<App>>,
    id: Given,
    Extension(principal): Extension<Principal>,
    asked: Result<Query<InviteQuery>, QueryRejection>,
) -> Result<Json<NetworkInvite>, ApiError> {
    let asked = query::read(asked)?;
    let label = asked.label.unwrap_or_default();
    let new = NewInvite { label, uses: asked.uses, expires_in_s: asked.expires_in_s, role: asked.role, for_node: asked.for_node };
    Ok(Json(invitations::make(&app, given(id)?, new, &principal).await?))
}

/// Makes an invite. Its code is told this once.
#[utoipa::path(post, path = "/api/v1/networks/{id}/invites", tag = "mesh", request_body = NewInvite,
    params(("id" = String, Path, description = "The network.")),
    responses((status = 201, body = NetworkInvite), (status = 404, description = "No such network."),
              (status = 409, description = "As many invites are open as may be.")))]
pub async fn new_invite(
    State(app): State<Arc<App>>,
    id: Given,
    Extension(principal): Extension<Principal>,
    Body(new): Body<NewInvite>,
) -> Result<(StatusCode, Json<NetworkInvite>), ApiError> {
    Ok((StatusCode::CREATED, Json(invitations::make(&app, given(id)?, new, &principal).await?)))
}

/// The invites that this node gave out, the newest first, without their codes.
#[utoipa::path(get, path = "/api/v1/networks/{id}/invites", tag = "mesh",
    params(("id" = String, Path, description = "The network.")),
    responses((status = 200, body = InviteList), (status = 404, description = "No such network.")))]
pub async fn invites(State(app): State<Arc<App>>, id: Given) -> Result<Json<InviteList>, ApiError> {
    let invites = app.networks.invites(given(id)?).await?;
    Ok(Json(InviteList { invites: invites.into_iter().map(invitations::info).collect() }))
}

/// Takes an invite back. Who came in by it stays.
#[utoipa::path(delete, path = "/api/v1/networks/{id}/invites/{invite_id}", tag = "mesh",
    params(("id" = String, Path, description = "The network."), ("invite_id" = String, Path, description = "The invite.")),
    responses((status = 204, description = "Taken back."), (status = 404, description = "No such network, or no such invite."),
              (status = 410, description = "It held no longer anyway.")))]
pub async fn revoke(State(app): State<Arc<App>>, given: GivenTwo) -> Result<StatusCode, ApiError> {
    let Path((network, invite)) = given?;
    app.networks.revoke_invite(network_id(&network)?, &invite).await?;
    Ok(StatusCode::NO_CONTENT)
}
