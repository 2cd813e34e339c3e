//! Who is let in: what this node shows to a peer, how it judges what a peer shows, and what it makes of a welcome.
//!
//! The connection has the network's key and has proved both peers' ids when this is asked. A peer that is refused hears why.

use crate::{
    Applied, Certificate, Chain, Claim, Fault, Hello, HelloBody, KeyPurpose, MAX_MEMBERS, NetworkError, NetworkId, Networks,
    Role, Welcome,
    error::shown,
    invite::proof,
    invites::proof_purpose,
    view::{View, member_row},
};
use kith_store::InviteClaim;
use kith_types::NodeId;
use serde_json::json;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Why a peer is not let in, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCode {
    /// What it showed is not of the form it should have.
    Malformed,
    /// It showed no certificate and no claim.
    NoCertificate,
    /// It means another network.
    WrongNetwork,
    /// A signature is wrong.
    Forged,
    /// It was removed.
    Removed,
    /// Its invite is not one of this node's.
    InviteUnknown,
    /// It does not know the invite's secret, or the invite is for another node.
    WrongProof,
    /// Its invite is over.
    InviteExpired,
    /// Its invite was used up.
    InviteUsed,
    /// Its invite was taken back.
    InviteRevoked,
    /// This node may not let anybody in.
    CannotAdmit,
    /// The network has as many members as it may.
    Full,
    /// This node knows the network no longer, or cannot tell.
    Unavailable,
}

impl RefusalCode {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NoCertificate => "no_certificate",
            Self::WrongNetwork => "wrong_network",
            Self::Forged => "forged",
            Self::Removed => "removed",
            Self::InviteUnknown => "invite_unknown",
            Self::WrongProof => "wrong_proof",
            Self::InviteExpired => "invite_expired",
            Self::InviteUsed => "invite_used",
            Self::InviteRevoked => "invite_revoked",
            Self::CannotAdmit => "cannot_admit",
            Self::Full => "network_full",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Why a peer is not let in, fit to be told to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// As a word.
    pub code: RefusalCode,
    /// As a sentence.
    pub message: String,
}

impl Refusal {
    fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let code = match fault {
            Fault::Malformed => RefusalCode::NoCertificate,
            Fault::WrongNetwork => RefusalCode::WrongNetwork,
            Fault::Forged | Fault::NotTheirs => RefusalCode::Forged,
            Fault::Removed => RefusalCode::Removed,
        };
        Self::new(code, fault.to_string())
    }
}

/// A peer that is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What is to be told to it: bytes of a [`Welcome`].
    pub welcome: Vec<u8>,
    /// Whether the connection may go on. `false` on a retired key: the peer has been given the present one and comes again with it.
    pub stays: bool,
    /// Whether it is new in the network.
    pub newcomer: bool,
}

/// What a welcome changed here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admitted {
    /// This node has become a member, or has another certificate.
    pub certified: bool,
    /// What the rotation changed that came with it, if one did: a key, and who was shut out, as if it had come by itself.
    pub applied: Option<Applied>,
}

impl Networks {
    /// What this node shows to `peer` on a connection of that network, whichever is the active one: its certificate, or its claim of
    /// the invite by which it wants to come in, good towards this peer only. Empty where it has neither.
    ///
    /// # Errors
    /// [`NetworkError::Store`], [`NetworkError::Sealed`], [`NetworkError::Damaged`].
    pub async fn hello(&self, network: NetworkId, peer: &NodeId) -> Result<Vec<u8>, NetworkError> {
        let view = match self.view(network).await {
            Ok(view) => view,
            Err(NetworkError::NotFound) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let me = self.identity.node_id();
        let body = match view.own(me) {
            Ok(own) => HelloBody::Member(own.chain),
            Err(_) => match self.claim(&view)? {
                Some(claim) => {
                    let key = claim.proof_key().ok_or_else(|| NetworkError::Damaged("the claim of its invite".to_owned()))?;
                    HelloBody::Claim(Claim {
                        proof: hex::encode(proof(&key, view.id, &claim.invite, me, peer)),
                        invite: claim.invite.clone(),
                        name: view.row.own_name.clone(),
                    })
                }
                None => return Ok(Vec::new()),
            },
        };
        Ok(Hello { network: view.id, epoch: view.row.epoch, key_id: view.row.key_id.clone(), body }.encode())
    }

    /// Judges what `peer` showed on a connection of that network, made with a key of that purpose. Every refusal is told on the bus, at
    /// most once a minute for one peer and reason.
    ///
    /// # Errors
    /// [`Refusal`]: what to tell the peer. A fault of this node itself is [`RefusalCode::Unavailable`].
    pub async fn judge(&self, network: NetworkId, peer: &NodeId, hello: &[u8], key: KeyPurpose) -> Result<Judged, Refusal> {
        let judged = self.judged(network, peer, hello, key).await;
        if let Err(refusal) = &judged {
            let data = json!({"node": peer, "code": refusal.code.as_str(), "reason": refusal.message});
            self.events.publish_coalesced("network.refused", &format!("{peer} {}", refusal.code.as_str()), data);
        }
        judged
    }

    async fn judged(&self, network: NetworkId, peer: &NodeId, hello: &[u8], key: KeyPurpose) -> Result<Judged, Refusal> {
        let _changing = self.changing.lock().await;
        let view = self.view(network).await.map_err(|error| match error {
            NetworkError::NotFound => Refusal::new(RefusalCode::Unavailable, "this node has forgotten this network"),
            error => unavailable(&error),
        })?;
        if hello.is_empty() {
            return Err(Refusal::new(RefusalCode::NoCertificate, "nothing was shown: neither a certificate nor an invite"));
        }
        let hello = Hello::decode(hello)
            .ok_or_else(|| Refusal::new(RefusalCode::Malformed, "what was shown is not of the form it should have"))?;
        if hello.network != view.id {
            return Err(Refusal::new(RefusalCode::WrongNetwork, "that is another network than the one of this key"));
        }
        let (chain, newcomer) = match &hello.body {
            HelloBody::Member(chain) => {
                let recognised = self.recognise(&view, peer, chain).await.map_err(|error| unavailable(&error))?;
                let verified = recognised?;
                (later_chain(&view, peer, &verified.certificate), false)
            }
            HelloBody::Claim(claim) => {
                let (chain, newcomer) = self.admit(&view, peer, claim).await?;
                (Some(chain), newcomer)
            }
        };
        let now = self.clock.now();
        self.store.network_member_seen(&view.row.id, peer.as_str(), now).await.map_err(|error| unavailable(&error.into()))?;
        // A newcomer has the present key from its invite, and yet must learn from the rotation who was shut out.
        let (epoch, key_id) =
            if matches!(hello.body, HelloBody::Claim(_)) { (0, "") } else { (hello.epoch, hello.key_id.as_str()) };
        let handover = self.handover(&view, peer, epoch, key_id).await.map_err(|error| unavailable(&error))?;
        let welcome = Welcome { name: view.row.name.clone(), epoch: view.row.epoch, chain, handover };
        Ok(Judged { welcome: welcome.encode(), stays: key == KeyPurpose::Current, newcomer })
    }

    /// Lets a newcomer in by an invite. One who comes again with the same invite, since it never got its certificate, gets it again.
    async fn admit(&self, view: &View, peer: &NodeId, claim: &Claim) -> Result<(Chain, bool), Refusal> {
        let own = match self.own_admin(view) {
            Ok(own) => own,
            // Nothing of the claim can be checked here: whoever shows it may have the key and nothing else, and is told no names.
            Err(NetworkError::NotAdmin) => {
                let message = "this device may not let others in; come to the one that gave the invite";
                return Err(Refusal::new(RefusalCode::CannotAdmit, message));
            }
            Err(_) => return Err(Refusal::new(RefusalCode::CannotAdmit, "this node is not a member itself yet")),
        };
        let row = self.store.network_invite(&view.row.id, &claim.invite).await.map_err(|error| unavailable(&error.into()))?;
        // An invite is honoured by who gave it: nobody else can know how often it has served.
        let row = row.ok_or_else(|| {
            Refusal::new(RefusalCode::InviteUnknown, "this invite was not given by this device; come to the one that gave it")
        })?;
        let kept =
            self.sealer.open(&proof_purpose(view.id, &row.id), &row.proof_key).map_err(|error| unavailable(&error.into()))?;
        let kept: Option<Zeroizing<[u8; 32]>> = kept.as_slice().try_into().map(Zeroizing::new).ok();
        let kept = kept.ok_or_else(|| unavailable(&NetworkError::Damaged("an invite".to_owned())))?;
        let expected = proof(&kept, view.id, &row.id, peer, self.identity.node_id());
        let mut shown_proof = [0; 32];
        let read = hex::decode_to_slice(&claim.proof, &mut shown_proof).is_ok();
        if !read || !bool::from(expected.ct_eq(&shown_proof)) {
            return Err(Refusal::new(RefusalCode::WrongProof, "the invite's secret is not known to who shows it"));
        }
        if row.for_node.as_deref().is_some_and(|only| only != peer.as_str()) {
            return Err(Refusal::new(RefusalCode::WrongProof, "this invite is for another device"));
        }
        if let Some((member, verified)) = view.verified_member(peer)
            && (member.invite.as_deref() == Some(row.id.as_str()) || verified.role >= row.role.parse().unwrap_or(Role::Member))
        {
            return Ok((verified.chain, false));
        }
        let name = match shown(&claim.name) {
            name if name.is_empty() => "device".to_owned(),
            name => name,
        };
        let role = row.role.parse().map_err(|()| unavailable(&NetworkError::Damaged("an invite's role".to_owned())))?;
        let (certificate, chain) = self.certify(view, &own, peer, &name, role).map_err(|error| unavailable(&error))?;
        let now = self.clock.now();
        let member = member_row(&certificate, &chain, Some(&row.id), now);
        let refuse = |code, message: &str| Err(Refusal::new(code, message));
        match self
            .store
            .network_invite_claim(&row.id, &member, now, MAX_MEMBERS)
            .await
            .map_err(|error| unavailable(&error.into()))?
        {
            InviteClaim::Admitted => {}
            InviteClaim::Unknown => return refuse(RefusalCode::InviteUnknown, "there is no such invite any more"),
            InviteClaim::Used => return refuse(RefusalCode::InviteUsed, "this invite was used already; ask for a new one"),
            InviteClaim::Revoked => return refuse(RefusalCode::InviteRevoked, "this invite was taken back; ask for a new one"),
            InviteClaim::Expired => return refuse(RefusalCode::InviteExpired, "this invite is over; ask for a new one"),
            InviteClaim::Full => return refuse(RefusalCode::Full, "this network has as many members as it may"),
        }
        let data = json!({"network": view.id, "node": peer, "name": name, "role": role, "invite": row.id});
        self.events.publish("network.member_admitted", data);
        Ok((chain, true))
    }

    /// Takes what `peer` said when it let this node into that network: a certificate, the network's present key.
    ///
    /// # Errors
    /// [`NetworkError::Refused`] for what is not what it should be, [`NetworkError::NotFound`]; [`NetworkError::Store`],
    /// [`NetworkError::Entropy`].
    pub async fn admitted(&self, network: NetworkId, peer: &NodeId, welcome: &[u8]) -> Result<Admitted, NetworkError> {
        let refused = |what: String| NetworkError::Refused(what);
        let welcome = Welcome::decode(welcome).ok_or_else(|| refused("the peer's welcome is not understood".to_owned()))?;
        let _changing = self.changing.lock().await;
        let mut outcome = Admitted::default();
        // The rotation goes first: the certificate may hold only by it.
        if let Some(bundle) = &welcome.handover {
            let view = self.view(network).await?;
            outcome.applied = match self.take_rotation(&view, bundle).await {
                Ok(applied) => Some(applied),
                // The peer has not heard yet that the signer was removed: it hears it from this node's welcome, or from others.
                Err(NetworkError::RemovedSigner) => None,
                Err(error) => return Err(error),
            };
        }
        let view = self.view(network).await?;
        let me = self.identity.node_id();
        if let Some(chain) = &welcome.chain {
            let verified = view.standing.verify(&view.genesis, me, chain);
            let verified =
                verified.map_err(|fault| refused(format!("the membership that {peer} gave does not hold: {fault}")))?;
            let own = view.own(me).ok().map(|own| own.certificate);
            let (new, network) = (&verified.certificate, &view.row.id);
            if own.is_none_or(|own| new.is_later_than(own.epoch, own.issued_ms, &own.serial)) {
                let name = match shown(&welcome.name) {
                    name if name.is_empty() => view.row.name.clone(),
                    name => name,
                };
                let row = member_row(new, chain, None, self.clock.now());
                self.store.network_member_put(&row, crate::members::MAX_ROWS).await?;
                self.store.network_admitted(network, &name, &chain.to_text()).await?;
                self.events.publish("network.admitted", json!({"network": network, "by": peer, "role": verified.role}));
                outcome.certified = true;
            }
        }
        self.store.network_member_seen(&view.row.id, peer.as_str(), self.clock.now()).await?;
        Ok(outcome)
    }
}

/// What this node knows of the peer that the peer does not yet: a later certificate.
fn later_chain(view: &View, peer: &NodeId, showed: &Certificate) -> Option<Chain> {
    let (row, verified) = view.verified_member(peer)?;
    let known = &verified.certificate;
    let later = known.is_later_than(showed.epoch, showed.issued_ms, &showed.serial);
    later.then(|| Chain::from_text(&row.chain))
}

/// A fault of this node: the log has it, the peer hears only that there is one.
fn unavailable(error: &NetworkError) -> Refusal {
    tracing::error!(%error, "a peer could not be judged");
    Refusal::new(RefusalCode::Unavailable, "this node cannot tell now; try again later")
}

#[cfg(test)]
mod tests;
