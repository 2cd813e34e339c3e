//! What the page knows of networks, kept up to date: by the node's events, and by reading again while somebody looks.

use super::ask::Ask;
use crate::{
    dom,
    http::{Client, Problem},
    live::{Link, live},
    session::{Sessions, sessions},
    toast::{Toasts, toasts},
    view::network::{self, Device, Standing},
};
use kith_wire::networks::{
    InviteInfo, InviteList, MemberInfo, MemberList, NetworkInfo, NetworkList, NodeInfo, NodeList, SystemNat, Topology,
};
use leptos::prelude::*;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How often all is read while somebody looks: no event tells a round trip.
const AGAIN: Duration = Duration::from_secs(10);
/// How long events are gathered before all is read.
const GATHER: Duration = Duration::from_millis(250);

/// All that the page knows.
#[derive(Clone, Copy)]
pub struct Net {
    /// The saved networks; `None` before the first answer.
    pub list: RwSignal<Option<NetworkList>>,
    /// Why they could not be read.
    pub problem: RwSignal<Option<Problem>>,
    /// The network that is used.
    pub active: Memo<Option<NetworkInfo>>,
    /// Its devices, this one first.
    pub devices: Memo<Vec<Device>>,
    /// Connections that others tell of.
    pub topology: RwSignal<Topology>,
    /// Invites that this node gave out.
    pub invites: RwSignal<Vec<InviteInfo>>,
    /// How this node is reached.
    pub nat: RwSignal<Option<SystemNat>>,
    /// When all was read last.
    pub now: RwSignal<i64>,
    /// The device whose particulars are shown.
    pub chosen: RwSignal<Option<String>>,
    /// What is asked in the dialog.
    pub ask: RwSignal<Option<Ask>>,
    /// Whether this window may change anything.
    pub is_admin: bool,
    /// The notices.
    pub toasts: Toasts,
    nodes: RwSignal<Vec<NodeInfo>>,
    members: RwSignal<Vec<MemberInfo>>,
    client: StoredValue<Client>,
    sessions: Sessions,
    is_due: RwSignal<bool>,
}

impl Net {
    /// Begins to read and to follow. Ends with the owner.
    pub fn begin(client: Client) -> Self {
        let live = live();
        let list = RwSignal::new(None::<NetworkList>);
        let nodes = RwSignal::new(Vec::<NodeInfo>::new());
        let members = RwSignal::new(Vec::<MemberInfo>::new());
        let nat = RwSignal::new(None::<SystemNat>);
        let active = Memo::new(move |_| list.with(|list| list.as_ref().and_then(network::active).cloned()));
        let devices = Memo::new(move |_| {
            nodes.with(|nodes| members.with(|members| nat.with(|nat| network::devices(members, nodes, nat.as_ref()))))
        });
        let net = Self {
            list,
            problem: RwSignal::new(None),
            active,
            devices,
            topology: RwSignal::new(Topology::default()),
            invites: RwSignal::new(Vec::new()),
            nat,
            now: RwSignal::new(dom::now_ms()),
            chosen: RwSignal::new(None),
            ask: RwSignal::new(None),
            is_admin: client.is_admin(),
            toasts: toasts(),
            nodes,
            members,
            client: StoredValue::new(client),
            sessions: sessions(),
            is_due: RwSignal::new(false),
        };
        net.again();
        let newest =
            Memo::new(move |_| live.events.with(|events| events.iter().find(|event| is_ours(&event.kind)).map(|event| event.id)));
        Effect::new(move |before: Option<Option<u64>>| {
            let newest = newest.get();
            if before.is_some_and(|before| before != newest) {
                net.soon();
            }
            newest
        });
        Effect::new(move |before: Option<bool>| {
            let is_away = matches!(live.link.get(), Link::Offline(_));
            if before == Some(true) && !is_away {
                net.again();
            }
            is_away
        });
        // What belongs to another network is not shown for a moment as if it were this one's.
        let id = Memo::new(move |_| active.with(|active| active.as_ref().map(|active| active.id.clone())));
        Effect::new(move |before: Option<Option<String>>| {
            let id = id.get();
            if before.is_some_and(|before| before != id) {
                net.members.set(Vec::new());
                net.nodes.set(Vec::new());
                net.invites.set(Vec::new());
                net.chosen.set(None);
                net.again();
            }
            id
        });
        let every = set_interval_with_handle(
            move || {
                if dom::is_visible() {
                    net.again();
                }
            },
            AGAIN,
        );
        if let Ok(every) = every {
            on_cleanup(move || every.clear());
        }
        net
    }

    /// The client of this page.
    pub fn client(self) -> Client {
        self.client.get_value()
    }

    /// The id of the network that is used.
    pub fn id(self) -> Option<String> {
        self.active.with_untracked(|active| active.as_ref().map(|active| active.id.clone()))
    }

    /// How this node stands towards the network that is used.
    pub fn standing(self) -> Option<Standing> {
        self.active.with(|active| active.as_ref().map(Standing::of))
    }

    /// Whether this node may change who belongs to the network.
    pub fn may_invite(self) -> bool {
        self.active.with(|active| active.as_ref().is_some_and(network::may_invite))
    }

    /// A device, as it is now.
    pub fn device(self, id: &str) -> Option<Device> {
        self.devices.with(|devices| devices.iter().find(|device| device.id == id).cloned())
    }

    /// Takes note of an answer: a bearer that is no longer good ends the session.
    pub fn note<T>(self, answer: Result<T, Problem>) -> Result<T, Problem> {
        self.sessions.note(answer)
    }

    /// Closes the dialog.
    pub fn close(self) {
        self.ask.try_set(None);
    }

    /// Reads all again, once for many reasons within a moment.
    pub fn soon(self) {
        if self.is_due.try_get_untracked() != Some(false) {
            return;
        }
        self.is_due.set(true);
        set_timeout(
            move || {
                if self.is_due.try_set(false).is_none() {
                    self.again();
                }
            },
            GATHER,
        );
    }

    /// Reads all again. What is known stays while the node is away.
    pub fn again(self) {
        let Some(client) = self.client.try_get_value() else { return };
        leptos::task::spawn_local(async move {
            match self.sessions.note(client.get::<NetworkList>("/api/v1/networks").await) {
                Ok(list) => {
                    let id = network::active(&list).map(|network| network.id.clone());
                    self.now.try_set(dom::now_ms());
                    self.problem.try_set(None);
                    if self.list.try_with_untracked(|known| known.as_ref() != Some(&list)) == Some(true) {
                        self.list.try_set(Some(list));
                    }
                    if let Some(id) = id {
                        self.read_active(&client, &id);
                    }
                }
                Err(problem) => {
                    self.problem.try_set(Some(problem));
                }
            }
        });
    }

    fn read_active(self, client: &Client, id: &str) {
        let id = js_sys::encode_uri_component(id);
        read(client, "/api/v1/nodes".to_owned(), move |list: NodeList| drop(self.nodes.try_set(list.nodes)));
        read(client, format!("/api/v1/networks/{id}/members"), move |list: MemberList| {
            drop(self.members.try_set(list.members));
        });
        read(client, "/api/v1/network/topology".to_owned(), move |topology| drop(self.topology.try_set(topology)));
        read(client, "/api/v1/system/nat".to_owned(), move |nat| drop(self.nat.try_set(Some(nat))));
        if self.is_admin {
            read(client, format!("/api/v1/networks/{id}/invites"), move |list: InviteList| {
                drop(self.invites.try_set(list.invites));
            });
        }
    }
}

/// Reads one body beside others; where it cannot be had, what is known stays.
fn read<T: DeserializeOwned + 'static>(client: &Client, path: String, take: impl FnOnce(T) + 'static) {
    let client = client.clone();
    leptos::task::spawn_local(async move {
        if let Ok(body) = client.get::<T>(&path).await {
            take(body);
        }
    });
}

/// Whether an event says something about networks.
fn is_ours(kind: &str) -> bool {
    ["network.", "mesh.", "node.", "peer."].iter().any(|one| kind.starts_with(one))
}
