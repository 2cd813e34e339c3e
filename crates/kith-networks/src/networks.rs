//! The networks of one node: founding and joining, which one is active, where its members are looked for, its key.

use crate::{
    Certificate, Chain, Genesis, InviteCode, InviteFault, MAX_NETWORKS, NetworkError, NetworkId, Psk, Role, SKEW_MS,
    addresses::{addresses, lenient},
    error::name,
    view::{list, member_row},
};
use kith_events::Events;
use kith_keys::{Entropy, Identity, Sealer};
use kith_store::{MemberRow, NetworkForget, NetworkRow, RotationRow, Store};
use kith_types::{Clock, NodeId, Timestamp};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// What the networks of a node are built from.
pub struct NetworksParts {
    /// Holds networks, members, invites, keys and records.
    pub store: Store,
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Seals keys and claims at rest.
    pub sealer: Arc<Sealer>,
    /// Tells when invites end and keys are given up.
    pub clock: Arc<dyn Clock>,
    /// Makes keys, secrets and ids.
    pub entropy: Arc<dyn Entropy>,
    /// Where everything that happens is told, what is refused above all.
    pub events: Events,
}

/// The networks of one node. Share it in an `Arc`.
pub struct Networks {
    pub(crate) store: Store,
    pub(crate) identity: Arc<Identity>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) events: Events,
    /// Held while what is read decides what is written.
    pub(crate) changing: Mutex<()>,
}

/// How this node stands in a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// It has an invite, and waits for a member to let it in.
    Invited,
    /// It is in.
    Member,
    /// It is in, and may let in others.
    Admin,
    /// It was removed.
    Removed,
}

/// A saved network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// What its members call it.
    pub name: String,
    /// Who founded it.
    pub founder: NodeId,
    /// When it came to this node.
    pub created: Timestamp,
    /// What this node is called in it.
    pub own_name: String,
    /// How this node stands in it.
    pub membership: Membership,
    /// The number of its key.
    pub epoch: u64,
    /// The name of its key.
    pub key_id: String,
    /// Where members are looked for.
    pub bootstrap: Vec<String>,
    /// Whether it is the one that is used.
    pub active: bool,
    /// Whether it is to be connected.
    pub connected: bool,
    /// Members in good standing that this node knows of.
    pub members: usize,
}

/// What a node tells of itself so that others find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// This node.
    pub node: NodeId,
    /// Where members of the network are looked for.
    pub bootstrap: Vec<String>,
}

impl Networks {
    /// The networks kept in the store.
    pub fn new(parts: NetworksParts) -> Self {
        let NetworksParts { store, identity, sealer, clock, entropy, events } = parts;
        Self { store, identity, sealer, clock, entropy, events, changing: Mutex::new(()) }
    }

    /// Founds a network of which this node is the first admin. It is saved, not connected.
    ///
    /// # Errors
    /// [`NetworkError::Invalid`], [`NetworkError::TooMany`]; [`NetworkError::Store`], [`NetworkError::Entropy`].
    pub async fn create(&self, network_name: &str, own_name: &str) -> Result<Network, NetworkError> {
        let psk = Psk::random(self.entropy.as_ref())?;
        self.found(network_name, own_name, &psk, &[]).await
    }

    /// As [`Networks::create`], with a key that exists already (in its three-line form) and addresses. A key alone makes nobody a
    /// member of somebody else's network; it makes a new one with that key.
    ///
    /// # Errors
    /// As [`Networks::create`]; [`NetworkError::Invalid`] for a text that is no key.
    pub async fn create_with_key(
        &self,
        network_name: &str,
        own_name: &str,
        key: &str,
        bootstrap: &[String],
    ) -> Result<Network, NetworkError> {
        let psk = Psk::from_text(key).map_err(|error| NetworkError::invalid("swarm_key", error.to_string()))?;
        self.found(network_name, own_name, &psk, bootstrap).await
    }

    async fn found(&self, network_name: &str, own_name: &str, psk: &Psk, bootstrap: &[String]) -> Result<Network, NetworkError> {
        let (network_name, own_name) = (name("name", network_name)?, name("device_name", own_name)?);
        let bootstrap = addresses(bootstrap)?;
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt)?;
        let me = self.identity.node_id();
        let genesis = Genesis { founder: me.clone(), salt };
        let now = self.clock.now();
        let certificate = Certificate {
            network: genesis.id(),
            member: me.clone(),
            role: Role::Admin,
            name: own_name.to_owned(),
            issued_ms: now,
            serial: Certificate::serial(self.entropy.as_ref())?,
            epoch: 0,
            by: me.clone(),
        };
        let token = certificate.sign(&self.identity).map_err(|fault| NetworkError::Refused(fault.to_string()))?;
        let chain = Chain(vec![token]);
        let member = member_row(&certificate, &chain, None, now);
        let key = self.key_row(genesis.id(), 0, psk, now)?;
        let row = NetworkRow {
            name: network_name.to_owned(),
            own_name: own_name.to_owned(),
            chain: Some(chain.to_text()),
            bootstrap: list(&bootstrap),
            ..blank(&genesis, &key, now)
        };
        let data = json!({"network": row.id, "name": row.name});
        self.insert(&row, &key, Some(&member)).await?;
        self.events.publish("network.created", data);
        self.network(genesis.id()).await
    }

    /// Saves the network of an invite. This node is let in when it first meets the inviter; `own_name` is what it will be called.
    ///
    /// # Errors
    /// [`NetworkError::Invite`], [`NetworkError::AlreadyMember`], [`NetworkError::Invalid`], [`NetworkError::TooMany`];
    /// [`NetworkError::Store`], [`NetworkError::Entropy`].
    pub async fn join(&self, code: &str, own_name: &str) -> Result<Network, NetworkError> {
        let own_name = name("device_name", own_name)?;
        let invite = InviteCode::decode(code, &self.identity)?;
        let now = self.clock.now();
        if invite.expires.plus_ms(SKEW_MS) <= now {
            return Err(InviteFault::Expired(invite.expires.rfc3339()).into());
        }
        let _changing = self.changing.lock().await;
        let id = invite.network();
        let claim = self.sealed_claim(&invite)?;
        let key = self.key_row(id, invite.epoch, &invite.psk, now)?;
        match self.view(id).await {
            Err(NetworkError::NotFound) => {
                let network_name = if invite.name.is_empty() { "network" } else { &invite.name };
                let row = NetworkRow {
                    name: network_name.to_owned(),
                    own_name: own_name.to_owned(),
                    claim: Some(claim),
                    claim_from: Some(invite.inviter.to_string()),
                    bootstrap: list(&invite.addresses),
                    ..blank(&invite.genesis, &key, now)
                };
                self.insert(&row, &key, None).await?;
            }
            Err(error) => return Err(error),
            Ok(view) if view.own(self.identity.node_id()).is_ok() => return Err(NetworkError::AlreadyMember(view.row.name)),
            Ok(view) => {
                let mut bootstrap = invite.addresses.clone();
                bootstrap.extend(view.bootstrap());
                let bootstrap = list(&lenient(&bootstrap));
                self.store.network_claim_put(&view.row.id, &claim, invite.inviter.as_str(), &bootstrap).await?;
                let later = (invite.epoch, &key.key_id) > (view.row.epoch, &view.row.key_id);
                let row = RotationRow { retired: (!later).then_some(now), ..key };
                let new = kith_store::RotationNew { row, vouches: Vec::new(), revoke_invites: false };
                self.store.network_rotation_apply(&new).await?;
            }
        }
        let data = json!({"network": id, "name": invite.name, "inviter": invite.inviter});
        self.events.publish("network.joined", data);
        self.network(id).await
    }

    /// Every saved network, by name.
    ///
    /// # Errors
    /// [`NetworkError::Store`].
    pub async fn networks(&self) -> Result<Vec<Network>, NetworkError> {
        let mut networks = Vec::new();
        for row in self.store.networks().await? {
            networks.push(self.described(&self.view_of(row).await?));
        }
        Ok(networks)
    }

    /// One network.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`]; [`NetworkError::Store`].
    pub async fn network(&self, id: NetworkId) -> Result<Network, NetworkError> {
        Ok(self.described(&self.view(id).await?))
    }

    /// The active network, whether connected or not.
    ///
    /// # Errors
    /// [`NetworkError::Store`].
    pub async fn active(&self) -> Result<Option<Network>, NetworkError> {
        Ok(self.active_view().await?.map(|view| self.described(&view)))
    }

    /// Makes a network the active one that is to be connected; no other is from now on.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`]; [`NetworkError::NotMember`] where this node was removed; [`NetworkError::Store`].
    pub async fn connect(&self, id: NetworkId) -> Result<Network, NetworkError> {
        let _changing = self.changing.lock().await;
        if self.network(id).await?.membership == Membership::Removed {
            return Err(NetworkError::NotMember);
        }
        if !self.store.network_connect(&id.to_string()).await? {
            return Err(NetworkError::NotFound);
        }
        let network = self.network(id).await?;
        self.events.publish("network.connected", json!({"network": id, "name": network.name}));
        Ok(network)
    }

    /// No network is to be connected from now on; says whether one was. The active one stays the active one.
    ///
    /// # Errors
    /// [`NetworkError::Store`].
    pub async fn disconnect(&self) -> Result<bool, NetworkError> {
        let was = self.store.network_disconnect().await?;
        if was {
            self.events.publish("network.disconnected", json!({}));
        }
        Ok(was)
    }

    /// Forgets a network: its key, its members, its invites.
    ///
    /// # Errors
    /// [`NetworkError::Connected`], [`NetworkError::NotFound`]; [`NetworkError::Store`].
    pub async fn forget(&self, id: NetworkId) -> Result<(), NetworkError> {
        match self.store.network_forget(&id.to_string()).await? {
            NetworkForget::Forgotten => self.events.publish("network.forgotten", json!({"network": id})),
            NetworkForget::Connected => return Err(NetworkError::Connected),
            NetworkForget::Unknown => return Err(NetworkError::NotFound),
        }
        Ok(())
    }

    /// Replaces the addresses at which members are looked for.
    ///
    /// # Errors
    /// [`NetworkError::Invalid`], [`NetworkError::NotFound`]; [`NetworkError::Store`].
    pub async fn set_bootstrap(&self, id: NetworkId, given: &[String]) -> Result<Network, NetworkError> {
        let list = list(&addresses(given)?);
        if !self.store.network_bootstrap_put(&id.to_string(), &list).await? {
            return Err(NetworkError::NotFound);
        }
        self.events.publish("network.bootstrap_changed", json!({"network": id}));
        self.network(id).await
    }

    /// Adds addresses to those that are there; over the bound the oldest go.
    ///
    /// # Errors
    /// As [`Networks::set_bootstrap`].
    pub async fn add_bootstrap(&self, id: NetworkId, given: &[String]) -> Result<Network, NetworkError> {
        let given = addresses(given)?;
        let _changing = self.changing.lock().await;
        let known = self.network(id).await?.bootstrap;
        let mut all: Vec<String> = known.into_iter().filter(|address| !given.contains(address)).collect();
        all.extend(given);
        let over = all.len().saturating_sub(crate::MAX_ADDRESSES);
        self.set_bootstrap(id, &all[over..]).await
    }

    /// Replaces the addresses by those of an invite to the same network.
    ///
    /// # Errors
    /// [`NetworkError::Invite`]; [`NetworkError::Invalid`] for an invite to another network; as [`Networks::set_bootstrap`].
    pub async fn bootstrap_from(&self, id: NetworkId, code: &str) -> Result<Network, NetworkError> {
        let invite = InviteCode::decode(code, &self.identity)?;
        if invite.network() != id {
            return Err(NetworkError::invalid("invite", "leads into another network"));
        }
        self.set_bootstrap(id, &invite.addresses).await
    }

    /// The network's present key, to be told to its owner; the record says `by` whom it was asked for.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`]; [`NetworkError::Damaged`], [`NetworkError::Sealed`], [`NetworkError::Store`].
    pub async fn key_text(&self, id: NetworkId, by: &str) -> Result<Zeroizing<String>, NetworkError> {
        let view = self.view(id).await?;
        let psk = self.present_key(&view).await?;
        self.events.publish("network.key_shown", json!({"network": id, "by": by}));
        Ok(psk.to_text())
    }

    /// What may be told of this node and its network without letting anybody in: no key, no secret.
    ///
    /// # Errors
    /// [`NetworkError::NoneActive`]; [`NetworkError::Store`].
    pub async fn share_node(&self) -> Result<Share, NetworkError> {
        let view = self.active_view().await?.ok_or(NetworkError::NoneActive)?;
        Ok(Share { node: self.identity.node_id().clone(), bootstrap: view.bootstrap() })
    }

    async fn insert(&self, row: &NetworkRow, key: &RotationRow, member: Option<&MemberRow>) -> Result<(), NetworkError> {
        if self.store.network_insert(row, key, member, MAX_NETWORKS).await? {
            return Ok(());
        }
        Err(NetworkError::TooMany { what: "networks", most: MAX_NETWORKS as usize })
    }
}

/// A row with what every new network has.
fn blank(genesis: &Genesis, key: &RotationRow, now: Timestamp) -> NetworkRow {
    NetworkRow {
        id: genesis.id().to_string(),
        name: String::new(),
        founder: genesis.founder.to_string(),
        salt: genesis.salt,
        created: now,
        own_name: String::new(),
        epoch: key.epoch,
        key_id: key.key_id.clone(),
        chain: None,
        claim: None,
        claim_from: None,
        bootstrap: String::new(),
        active: false,
        connected: false,
    }
}

#[cfg(test)]
pub(crate) mod tests;
