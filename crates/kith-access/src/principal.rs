//! Who a caller turned out to be, and how far each kind of caller reaches.

use kith_store::BearerKind;
use kith_types::{NodeId, Scope};
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// The public id of a bearer: lists and revocations name it by this, never by its token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BearerId(String);

impl BearerId {
    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for BearerId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl fmt::Display for BearerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// By what a caller is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// No credentials, from another machine.
    Anonymous(IpAddr),
    /// No credentials, from this machine.
    Loopback,
    /// A bearer token.
    Bearer {
        /// Its id.
        id: BearerId,
        /// What its owner calls it.
        name: String,
        /// What it was made for.
        kind: BearerKind,
    },
    /// The configured admin token, or the one this process wrote for the command line.
    AdminToken,
    /// The mesh token.
    MeshToken,
    /// An approved node, by its signature of the request.
    Node(NodeId),
}

/// A caller whose credentials, if any, were found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// By what they are known.
    pub who: Who,
    /// What their token lets them do; `None` without one, and for the mesh token, which is no user's.
    pub scope: Option<Scope>,
    /// Whether they call from this machine.
    pub loopback: bool,
}

/// What a principal's requests are counted under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKey {
    /// Everybody without credentials from one IPv4 address or one IPv6 /64.
    Network(IpAddr),
    /// Everybody without credentials on this machine.
    Loopback,
    /// One bearer, wherever it is used.
    Bearer(BearerId),
    /// Holders of an admin token.
    AdminToken,
    /// Holders of the mesh token.
    MeshToken,
    /// One node, wherever it calls from.
    Node(NodeId),
}

/// How much an endpoint asks of its callers: the words of the specification's access table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Anybody who reaches the listener.
    Open,
    /// Without a token from this machine (unless the node requires keys); with a user's token from anywhere.
    Loopback,
    /// Any bearer, or an admin token.
    User,
    /// A bearer with the admin scope, or an admin token.
    Admin,
    /// A request signed by an approved node's key, or the mesh token from this machine.
    Mesh,
}

impl Principal {
    /// Somebody at `remote` who presented nothing, or nothing right: what refused requests are counted under.
    pub fn without_credentials(remote: IpAddr) -> Self {
        let remote = remote.to_canonical();
        let loopback = remote.is_loopback();
        Self { who: if loopback { Who::Loopback } else { Who::Anonymous(remote) }, scope: None, loopback }
    }

    /// Somebody who presented nothing, and came by a listener that nobody on this machine is meant to use: at home is only who comes
    /// by loopback's own.
    pub fn from_afar(remote: IpAddr) -> Self {
        Self { who: Who::Anonymous(remote.to_canonical()), scope: None, loopback: false }
    }

    /// An approved node that signed its request. It is no user, wherever it calls from.
    pub fn signed_by(node: NodeId) -> Self {
        Self { who: Who::Node(node), scope: None, loopback: false }
    }

    /// Whether this is a paired device.
    pub fn is_device(&self) -> bool {
        matches!(self.who, Who::Bearer { kind: BearerKind::Device, .. })
    }

    /// What this principal's requests are counted under.
    pub fn limit_key(&self) -> LimitKey {
        match &self.who {
            Who::Anonymous(remote) => LimitKey::Network(network(*remote)),
            Who::Loopback => LimitKey::Loopback,
            Who::Bearer { id, .. } => LimitKey::Bearer(id.clone()),
            Who::AdminToken => LimitKey::AdminToken,
            Who::MeshToken => LimitKey::MeshToken,
            Who::Node(node) => LimitKey::Node(node.clone()),
        }
    }

    /// Whether this is the window on this machine, which no limit holds back.
    pub fn is_local_window(&self) -> bool {
        self.loopback && matches!(self.who, Who::Bearer { kind: BearerKind::Window, .. })
    }

    pub(crate) fn presented_nothing(&self) -> bool {
        matches!(self.who, Who::Anonymous(_) | Who::Loopback)
    }

    pub(crate) fn reaches(&self, level: Level, require_key: bool) -> bool {
        match level {
            Level::Open => true,
            Level::Loopback => self.scope.is_some() || (self.loopback && !require_key),
            Level::User => self.scope.is_some(),
            Level::Admin => self.scope == Some(Scope::Admin),
            Level::Mesh => matches!(self.who, Who::Node(_)) || (self.who == Who::MeshToken && self.loopback),
        }
    }
}

/// The network that one caller is likely to hold whole: an IPv4 address, or an IPv6 /64.
pub(crate) fn network(remote: IpAddr) -> IpAddr {
    match remote.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(who: Who, scope: Option<Scope>, loopback: bool) -> Principal {
        Principal { who, scope, loopback }
    }

    /// One row per kind of caller, one column per level in the order of the specification, without and with `require_key`.
    #[test]
    fn the_access_table_is_that_of_the_specification() {
        let bearer = |kind| Who::Bearer { id: BearerId::from("id".to_owned()), name: String::new(), kind };
        let far = Who::Anonymous([203, 0, 113, 9].into());
        let (user, admin) = (Some(Scope::User), Some(Scope::Admin));
        let rows = [
            (principal(far, None, false), "o----", "o----"),
            (principal(Who::Loopback, None, true), "ol---", "o----"),
            (principal(bearer(BearerKind::ApiKey), user, false), "olu--", "olu--"),
            (principal(bearer(BearerKind::Device), user, true), "olu--", "olu--"),
            (principal(bearer(BearerKind::Login), admin, false), "olua-", "olua-"),
            (principal(bearer(BearerKind::Window), admin, true), "olua-", "olua-"),
            (principal(Who::AdminToken, admin, false), "olua-", "olua-"),
            (principal(Who::MeshToken, None, true), "ol--m", "o---m"),
            (principal(Who::MeshToken, None, false), "o----", "o----"),
            (Principal::signed_by(NodeId::from_ed25519(&[7; 32])), "o---m", "o---m"),
        ];
        for (who, free, keyed) in rows {
            for (require_key, expected) in [(false, free), (true, keyed)] {
                let levels = [Level::Open, Level::Loopback, Level::User, Level::Admin, Level::Mesh];
                let reached: String = levels
                    .iter()
                    .zip("oluam".chars())
                    .map(|(level, c)| if who.reaches(*level, require_key) { c } else { '-' })
                    .collect();
                assert_eq!(reached, expected, "{who:?} require_key={require_key}");
            }
        }
    }

    #[test]
    fn callers_are_counted_by_what_they_hold_or_by_their_network() {
        let key = |text: &str| Principal::without_credentials(text.parse().unwrap()).limit_key();
        assert_eq!(key("2001:db8:1:2:3::4"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("203.0.113.9"), key("203.0.113.8"));
        assert_eq!(key("::ffff:203.0.113.9"), key("203.0.113.9"));
        for text in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(key(text), LimitKey::Loopback, "{text}");
        }
        assert_ne!(key("0.0.0.0"), LimitKey::Loopback);
    }
}
