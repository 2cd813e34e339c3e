//! Which connection is used, which is one too many, and what is said of the way.

use super::*;
use libp2p::identity::Keypair;

fn peer(seed: u8) -> PeerId {
    Keypair::ed25519_from_bytes([seed; 32]).unwrap().public().to_peer_id()
}

fn link(id: usize, dialled: bool, relay: Option<PeerId>, opened: Instant) -> Link {
    let address = "/ip4/10.0.0.1/tcp/4001".parse().unwrap();
    Link { id: ConnectionId::new_unchecked(id), address, relay, dialled, punched: false, opened, rtt: None, heard: 0 }
}

fn with(own: PeerId, other: PeerId, links: Vec<Link>) -> Links {
    let mut table = Links::new(own);
    for one in links {
        table.opened(other, one, Timestamp::from_ms(0), Arc::default());
    }
    table
}

#[test]
fn a_direct_connection_makes_the_relayed_one_needless_after_a_while() {
    let start = Instant::now();
    let (own, other, relay) = (peer(1), peer(2), peer(3));
    let table = with(own, other, vec![link(1, true, Some(relay), start), link(2, false, None, start + Duration::from_secs(1))]);
    assert_eq!(table.best(&other).unwrap().id, ConnectionId::new_unchecked(2));
    assert!(table.surplus(start + GRACE).is_empty(), "the newer one is not settled");
    let later = start + GRACE + Duration::from_secs(1);
    assert_eq!(table.surplus(later), [(other, ConnectionId::new_unchecked(1))]);
}

#[test]
fn two_that_dialled_each_other_keep_the_same_connection() {
    let start = Instant::now();
    let (a, b) = (peer(1), peer(2));
    // As both see them: connection 1 was dialled by a, connection 2 by b.
    let at_a = with(a, b, vec![link(1, true, None, start), link(2, false, None, start)]);
    let at_b = with(b, a, vec![link(2, true, None, start), link(1, false, None, start)]);
    assert_eq!(at_a.best(&b).unwrap().id, at_b.best(&a).unwrap().id);
    let later = start + GRACE;
    assert_eq!(at_a.surplus(later)[0].1, at_b.surplus(later)[0].1);
}

#[test]
fn of_two_that_one_side_dialled_only_that_side_closes_one() {
    let start = Instant::now();
    let (a, b) = (peer(1), peer(2));
    let later = start + GRACE + Duration::from_secs(1);
    let at_a = with(a, b, vec![link(1, true, None, start), link(2, true, None, start + Duration::from_secs(1))]);
    assert_eq!(at_a.surplus(later), [(b, ConnectionId::new_unchecked(2))]);
    let at_b = with(b, a, vec![link(2, false, None, start), link(1, false, None, start)]);
    assert!(at_b.surplus(later).is_empty());
}

#[test]
fn the_path_says_which_way_and_why() {
    let now = Instant::now();
    let (own, other, relay) = (peer(1), peer(2), peer(3));
    let mut table = with(own, other, vec![link(1, true, Some(relay), now)]);
    let by = node_id(&relay).unwrap();
    assert_eq!(
        table.path(&other),
        Some((Path::Relayed { by: by.clone() }, format!("Through {by}, while a direct connection is tried.")))
    );
    table.punch_failed(&other, "both routers choose new ports".to_owned());
    assert!(table.path(&other).unwrap().1.ends_with("no direct connection came about: both routers choose new ports."));
    table.opened(other, link(2, true, None, now), Timestamp::from_ms(0), Arc::default());
    assert_eq!(table.path(&other).unwrap().0, Path::Direct);
    table.punched(&other, ConnectionId::new_unchecked(2));
    assert_eq!(table.path(&other).unwrap().0, Path::HolePunched);
    assert!(!table.closed(&other, ConnectionId::new_unchecked(2)));
    assert!(table.closed(&other, ConnectionId::new_unchecked(1)));
    assert_eq!(table.count(), 0);
}

#[test]
fn what_a_peer_says_of_itself_is_bounded() {
    let (own, other) = (peer(1), peer(2));
    let mut table = with(own, other, vec![link(1, true, None, Instant::now())]);
    table.identified(&other, &"a\n".repeat(1000), (0..1000).map(|n| n.to_string()).collect());
    let figures = table.figures().remove(0);
    assert_eq!((figures.agent.unwrap().len(), figures.protocols.len(), figures.connections), (MAX_AGENT, MAX_PROTOCOLS, 1));
}
