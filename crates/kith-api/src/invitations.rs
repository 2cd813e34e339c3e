//! Invites to the active network as clients show them: with QR code and file, and one that is told again until it is used.

use crate::{app::App, error::ApiError, notice, qr::qr_svg};
use kith_access::Principal;
use kith_networks::{Invite, InviteOrder, InviteState, Issued, MAX_INVITES, Network, NetworkError, NetworkId, Role};
use kith_types::{Code, NodeId, Scope, Timestamp};
use kith_wire::networks::{InviteInfo, InviteStage, NetworkInvite, NewInvite};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// What is shown again is good for at least this long still: who scans it must have time to come in.
const LEAST_LEFT_MS: i64 = 3_600_000;
/// What an invite that is shown again is noted as.
const LABEL: &str = "shown code";
/// Invites of a network, open or lately over, up to which one without the admin scope may make another: half of what is kept, so that
/// an owner always can.
const FOR_ANYBODY: usize = MAX_INVITES as usize / 2;

/// The invite that is shown to whoever asks for the network's code. Asking often does not make one each time.
#[derive(Default)]
pub(crate) struct Invitations(Mutex<Option<Shown>>);

struct Shown {
    network: NetworkId,
    key_id: String,
    invite: String,
    expires: Timestamp,
    url: Zeroizing<String>,
    addresses: Vec<String>,
}

impl Shown {
    /// Whether who has it finds this node still; while nothing is known of where that is, nothing is better.
    fn leads_to(&self, own: &[String]) -> bool {
        own.is_empty() || self.addresses.iter().any(|address| own.contains(address))
    }
}

/// The code that lets one device into a network.
#[derive(Clone)]
pub(crate) struct ShownCode {
    /// `kith://join/…`.
    pub url: Zeroizing<String>,
    /// From when on it is void.
    pub expires: Timestamp,
}

/// The active network.
///
/// # Errors
/// [`Code::NetworkOffline`] without one.
pub(crate) async fn active(app: &App) -> Result<Network, ApiError> {
    Ok(app.networks.active().await?.ok_or(NetworkError::NoneActive)?)
}

/// Where a newcomer to a network finds this node, if that is the network it is on.
async fn addresses(app: &App, network: NetworkId) -> Vec<String> {
    if app.mesh.standing().await.network == Some(network) { app.mesh.addresses().await } else { Vec::new() }
}

/// The code for one device that is told until it is used, taken back, or nearly over, or the network's key or this node's addresses
/// change.
pub(crate) async fn shown(app: &App, network: &Network, by: &Principal) -> Result<ShownCode, ApiError> {
    let mut kept = app.invitations.0.lock().await;
    let (now, addresses) = (app.clock.now(), addresses(app, network.id).await);
    let fits = |shown: &&Shown| shown.network == network.id && shown.key_id == network.key_id && shown.leads_to(&addresses);
    if let Some(shown) = kept.as_ref().filter(fits) {
        let invites = app.networks.invites(network.id).await?;
        let open = invites.iter().any(|invite| invite.id == shown.invite && invite.state == InviteState::Open);
        if open && shown.expires >= now.plus_ms(LEAST_LEFT_MS) {
            return Ok(ShownCode { url: shown.url.clone(), expires: shown.expires });
        }
    }
    let order = InviteOrder { label: LABEL.to_owned(), addresses, by: notice::name(by), ..InviteOrder::default() };
    let issued = app.networks.invite(network.id, order).await?;
    let code = ShownCode { url: Zeroizing::new(issued.url), expires: issued.invite.expires };
    *kept = Some(Shown {
        network: network.id,
        key_id: network.key_id.clone(),
        invite: issued.invite.id,
        expires: code.expires,
        url: code.url.clone(),
        addresses: issued.addresses,
    });
    Ok(code)
}

/// Refuses what one without the admin scope may not make: more than an invite for one member within a day.
async fn modest(app: &App, network: NetworkId, order: &InviteOrder) -> Result<(), ApiError> {
    let usual = InviteOrder::default();
    if order.role != usual.role || order.uses > usual.uses || order.lifetime_ms > usual.lifetime_ms {
        let message = "without the admin scope an invite is for one member, within a day";
        return Err(ApiError::new(Code::Forbidden, message));
    }
    if app.networks.invites(network).await?.len() >= FOR_ANYBODY {
        let message = "so many invites were made that only one with the admin scope may make another; take some back";
        return Err(ApiError::new(Code::Conflict, message));
    }
    Ok(())
}

/// Makes the invite that is asked for, as far as who asks may.
pub(crate) async fn make(app: &App, network: NetworkId, new: NewInvite, by: &Principal) -> Result<NetworkInvite, ApiError> {
    let invalid = |field: &str, message: &str| ApiError::new(Code::InvalidRequest, message).with_field(field);
    let role: Role = match new.role.as_deref() {
        None => Role::Member,
        Some(role) => role.parse().map_err(|()| invalid("role", "`role` must be `member` or `admin`"))?,
    };
    let for_node: Option<NodeId> = match new.for_node.as_deref() {
        None => None,
        Some(node) => Some(node.parse().map_err(|_| invalid("for_node", "`for_node` must be a node's id, 12D3Koo…"))?),
    };
    let usual = InviteOrder::default();
    let lifetime_ms = match new.expires_in_s {
        None => usual.lifetime_ms,
        // Over its bounds it is refused by the networks, which know them.
        Some(seconds) => i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000),
    };
    let addresses = addresses(app, network).await;
    let (label, uses, name) = (new.label, new.uses.unwrap_or(usual.uses), notice::name(by));
    let order = InviteOrder { label, uses, lifetime_ms, role, for_node, addresses, by: name };
    if by.scope != Some(Scope::Admin) {
        modest(app, network, &order).await?;
    }
    Ok(told(app.networks.invite(network, order).await?))
}

fn told(issued: Issued) -> NetworkInvite {
    let (qr_svg, file) = (qr_svg(&issued.url), issued.file());
    NetworkInvite { qr_svg, file, url: issued.url, addresses: issued.addresses, invite: info(issued.invite) }
}

/// An invite on the wire.
pub(crate) fn info(invite: Invite) -> InviteInfo {
    InviteInfo {
        id: invite.id,
        label: invite.label,
        role: invite.role.as_str().to_owned(),
        for_node: invite.for_node,
        uses: invite.uses,
        used: invite.used,
        state: match invite.state {
            InviteState::Open => InviteStage::Open,
            InviteState::Used => InviteStage::Used,
            InviteState::Revoked => InviteStage::Revoked,
            InviteState::Expired => InviteStage::Expired,
        },
        members: invite.members,
        created_at_ms: invite.created,
        expires_at_ms: invite.expires,
    }
}
