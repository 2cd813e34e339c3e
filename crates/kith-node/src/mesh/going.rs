//! Going on and off a network: at the start, when the owner says so, by an invite, and again where it failed.

use super::{
    MeshHost, Online, carrying,
    ports::{self, Door, Judge, Remembered},
    protocols, talk, traffic,
};
use kith_api::mesh::{MeshError, Throughput};
use kith_mesh::{Mesh, NetworkKey, NodeSeed, Ports, StartError, bounds::MAX_RETIRED_KEYS};
use kith_networks::{Applied, KeyPurpose, Membership, Network, NetworkId};
use kith_types::NodeId;
use std::{
    sync::{Arc, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How long a newcomer waits for a member that takes it in.
const ADMISSION: Duration = Duration::from_secs(20);
/// How often it looks whether it was.
const LOOK: Duration = Duration::from_millis(50);

const fn is_in(network: &Network) -> bool {
    matches!(network.membership, Membership::Member | Membership::Admin)
}

impl MeshHost {
    /// Goes onto the network that was connected last. Where that fails it is told, and tried again.
    pub async fn resume(&self) {
        let _one = self.changing.lock().await;
        if let Err(error) = self.start_active().await {
            tracing::error!(%error, "the network is not connected");
        }
    }

    /// Leaves the mesh, as the node ends.
    pub async fn stop(&self) {
        let _one = self.changing.lock().await;
        self.end().await;
    }

    /// Starts the mesh of the network that is to be connected, if there is one and its mesh does not run.
    async fn start_active(&self) -> Result<(), MeshError> {
        let active = self.parts.networks.active().await?;
        match active {
            Some(network) if network.connected && self.online.read().await.is_none() => self.start(&network).await,
            _ => Ok(()),
        }
    }

    /// Tries again to go onto the network that is to be connected, if that failed. Whether nothing is left to be tried.
    pub(super) async fn mend(&self) -> bool {
        if self.fault.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return true;
        }
        let _one = self.changing.lock().await;
        match self.start_active().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "the network is not connected yet; it is tried again");
                false
            }
        }
    }

    pub(super) async fn end(&self) -> bool {
        let Some(online) = self.online.write().await.take() else { return false };
        online.ended.cancel();
        online.mesh.stop().await;
        self.parts.events.publish("mesh.stopped", serde_json::json!({"network": online.network}));
        true
    }

    fn tell_fault(&self, fault: Option<String>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Starts the mesh of a network, with its present key; whoever comes with an earlier one is given that.
    pub(super) async fn start(&self, network: &Network) -> Result<(), MeshError> {
        let started = self.try_start(network).await;
        self.tell_fault(started.as_ref().err().map(ToString::to_string));
        started
    }

    async fn try_start(&self, network: &Network) -> Result<(), MeshError> {
        let parts = &self.parts;
        if parts.stop.is_cancelled() {
            return Err(MeshError::Offline);
        }
        let keys = parts.networks.keys_to_listen(network.id).await?;
        let (present, mut retired): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.purpose == KeyPurpose::Current);
        retired.truncate(MAX_RETIRED_KEYS);
        let key = present.into_iter().next();
        let key = key.ok_or_else(|| MeshError::Start("the network's key is not known".to_owned()))?;
        let mut config = kith_mesh::MeshConfig::new(
            NodeSeed::new(*parts.identity.seed()),
            NetworkKey::new(*key.psk.as_bytes()),
            network.id.to_string(),
        );
        config.retired = retired.iter().map(|key| NetworkKey::new(*key.psk.as_bytes())).collect();
        config.external = parts.config.external.iter().filter_map(|address| address.parse().ok()).collect();
        // A member's own words: what is no address is nowhere.
        config.bootstrap = network.bootstrap.iter().filter_map(|address| address.parse().ok()).collect();
        config.discovery = parts.config.discovery;
        config.upnp = parts.config.upnp;
        config.relay = parts.config.relay;
        config.listen = parts.config.listen(parts.config.port);
        let ports = Ports {
            admission: Arc::new(Door {
                networks: Arc::clone(&parts.networks),
                network: network.id,
                changes: self.changes.clone(),
                retired: retired.into_iter().map(|key| key.purpose).collect(),
                clock: Arc::clone(&parts.clock),
            }),
            validation: Arc::new(Judge {
                networks: Arc::clone(&parts.networks),
                network: network.id,
                changes: self.changes.clone(),
            }),
            cache: Arc::new(Remembered { store: parts.store.clone(), network: network.id }),
            clock: Arc::clone(&parts.clock),
        };
        let router = || protocols::router(parts, &self.changes, &self.tests, &self.sharing, network.id);
        let started = match Mesh::start(config.clone(), router()?, ports.clone()).await {
            Err(StartError::Listen { address, reason }) if !parts.config.port_is_set => {
                tracing::warn!(%address, reason, "the usual port is taken; taking another");
                config.listen = parts.config.listen(0);
                Mesh::start(config, router()?, ports).await
            }
            started => started,
        };
        let (mesh, events) = started.map_err(|error| MeshError::Start(error.to_string()))?;
        for topic in [ports::RECORDS, ports::ROTATIONS] {
            if let Err(error) = mesh.subscribe(topic).await {
                // It would run on without anybody who knows of it.
                mesh.stop().await;
                return Err(MeshError::Start(error.to_string()));
            }
        }
        let ended = parts.stop.child_token();
        parts.events.publish("mesh.started", serde_json::json!({"network": network.id, "name": network.name}));
        let talk = talk::Talk {
            networks: Arc::clone(&parts.networks),
            events: parts.events.clone(),
            about: Arc::clone(&parts.about),
            mesh: mesh.clone(),
            network: network.id,
            region: parts.config.region.clone(),
            changes: self.changes.clone(),
        };
        let talk = Arc::new(talk);
        tokio::spawn(ended.clone().run_until_cancelled_owned(Arc::clone(&talk).follow(events)));
        tokio::spawn(ended.clone().run_until_cancelled_owned(talk.keep_saying()));
        tokio::spawn(Self::measure(self.itself.clone(), mesh.clone(), ended.clone()));
        if parts.config.relay {
            let carrying = carrying::follow(mesh.clone(), Arc::clone(&parts.giving), parts.limits.clone());
            tokio::spawn(ended.clone().run_until_cancelled_owned(carrying));
        }
        if parts.networks.rotation_due(network.id).await? {
            // The node ended before it did so.
            self.changes.rotation(&Applied { rotate_again: true, ..Applied::default() });
        }
        *self.online.write().await = Some(Online { mesh, network: network.id, key_id: key.key_id, ended });
        Ok(())
    }

    /// Notes what crosses the mesh, also the part of a step in which it ends.
    async fn measure(host: Weak<Self>, mesh: Mesh, ended: CancellationToken) {
        let mut before = (0, 0);
        loop {
            let Some(this) = host.upgrade() else { return };
            let at = this.parts.clock.now();
            drop(this);
            let over = tokio::time::timeout(traffic::STEP, ended.cancelled()).await.is_ok();
            let Some(this) = host.upgrade() else { return };
            let now = mesh.bytes();
            this.traffic.note(Throughput { at, bytes_in: now.0 - before.0, bytes_out: now.1 - before.1 });
            if over {
                return;
            }
            before = now;
        }
    }

    /// Goes onto a saved network. Not to be dropped halfway, like all that follows: see [`MeshHost::whole`].
    pub(super) async fn go_on(&self, id: NetworkId) -> Result<Network, MeshError> {
        let _one = self.changing.lock().await;
        let network = self.parts.networks.connect(id).await?;
        if self.online.read().await.as_ref().is_none_or(|online| online.network != id) {
            self.end().await;
            self.start(&network).await?;
        }
        Ok(network)
    }

    /// Goes offline; whether it was online.
    pub(super) async fn go_off(&self) -> Result<bool, MeshError> {
        let _one = self.changing.lock().await;
        let was = self.end().await;
        self.tell_fault(None);
        Ok(self.parts.networks.disconnect().await? || was)
    }

    /// Goes offline if this node is no member of its network any more.
    pub(super) async fn leave(&self) -> Result<(), MeshError> {
        let _one = self.changing.lock().await;
        let Some(network) = self.online.read().await.as_ref().map(|online| online.network) else { return Ok(()) };
        if is_in(&self.parts.networks.network(network).await?) {
            // It was put out of another one.
            return Ok(());
        }
        self.end().await;
        self.parts.networks.disconnect().await?;
        self.tell_fault(Some("another device removed this one from the network".to_owned()));
        Ok(())
    }

    /// Enters a network by an invite, or goes back to where the node was.
    pub(super) async fn enter(&self, code: &str, own_name: &str) -> Result<Network, MeshError> {
        let networks = &self.parts.networks;
        let before = networks.networks().await?;
        let inviter = networks.preview(code)?.inviter;
        let id = networks.join(code, own_name).await?.id;
        let Err(error) = self.try_enter(id, &inviter).await else { return Ok(networks.network(id).await?) };
        // A member may have come at the last moment.
        if let Ok(network) = networks.network(id).await
            && is_in(&network)
        {
            return Ok(network);
        }
        if let Err(fault) = self.go_back(id, &before).await {
            tracing::warn!(error = %fault, "the network that was connected before is not connected again");
        }
        Err(error)
    }

    async fn try_enter(&self, id: NetworkId, inviter: &NodeId) -> Result<(), MeshError> {
        {
            let _one = self.changing.lock().await;
            if self.online.read().await.as_ref().is_some_and(|online| online.network == id) {
                // It waits there already, at the addresses of an earlier invite.
                self.end().await;
            }
        }
        self.go_on(id).await?;
        let events = self.mesh().await.ok().map(|(mesh, _)| mesh.events());
        let admission = self.await_admission(id, inviter, events);
        // A node that stops waits for nobody.
        self.parts.stop.run_until_cancelled(admission).await.unwrap_or(Err(MeshError::Offline)).map(drop)
    }

    /// Undoes an entrance that failed: the former network is connected again, and what came by the invite alone is forgotten.
    async fn go_back(&self, id: NetworkId, before: &[Network]) -> Result<(), MeshError> {
        let networks = &self.parts.networks;
        let former = before.iter().find(|network| network.connected);
        if former.is_some_and(|former| former.id == id) {
            return Ok(());
        }
        let _one = self.changing.lock().await;
        let mut back = Ok(());
        // Its owner may have gone elsewhere in the meantime.
        if networks.active().await?.is_some_and(|network| network.connected && network.id == id) {
            self.end().await;
            networks.disconnect().await?;
            self.tell_fault(None);
            if let Some(former) = former {
                back = match networks.connect(former.id).await {
                    Ok(former) => self.start(&former).await,
                    Err(error) => Err(error.into()),
                };
            }
        }
        if !before.iter().any(|network| network.id == id) {
            networks.forget(id).await?;
        }
        back
    }

    /// Waits until a member took this node in; what the one who refused said otherwise. Only who gave the invite can say that it is void:
    /// other members do not know it.
    async fn await_admission(
        &self,
        id: NetworkId,
        inviter: &NodeId,
        mut events: Option<tokio::sync::broadcast::Receiver<kith_mesh::Event>>,
    ) -> Result<Network, MeshError> {
        let begun = Instant::now();
        let mut refused = None;
        loop {
            let network = self.parts.networks.network(id).await?;
            if is_in(&network) {
                return Ok(network);
            }
            while let Some(Ok(event)) = events.as_mut().map(tokio::sync::broadcast::Receiver::try_recv) {
                if let kith_mesh::Event::Refused { by: kith_mesh::Refuser::Peer, message, code, peer } = event
                    && peer == *inviter
                {
                    refused = Some((code, message));
                }
            }
            if let Some((code, message)) = refused.take_if(|(code, _)| talk::is_final(code)) {
                tracing::info!(code, message, "the invite does not let this node in");
                return Err(MeshError::Unreachable(message));
            }
            if begun.elapsed() > ADMISSION {
                let silence = "no member of the network answers at the addresses in the invite, and the network is not kept; try again when the device that made the invite is online";
                return Err(MeshError::Unreachable(refused.map_or_else(|| silence.to_owned(), |(_, message)| message)));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
