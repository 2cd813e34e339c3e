//! What the book of peers keeps, drops, and when it asks for a dial.

use super::*;

fn address(n: u16) -> Multiaddr {
    format!("/ip4/10.0.0.1/tcp/{}", n + 1).parse().unwrap()
}

#[test]
fn the_book_is_bounded_in_peers_and_addresses_and_the_stalest_makes_room() {
    let now = Instant::now();
    let mut book = Book::new(PeerId::random(), 2);
    let (held, stale, fresh) = (PeerId::random(), PeerId::random(), PeerId::random());
    assert!(book.hint(held, (0..100).map(address), now));
    assert_eq!(book.addresses(&held).len(), MAX_ADDRESSES);
    book.connected(held, Some(&address(500)), Timestamp::from_ms(1), now);
    assert_eq!((book.addresses(&held)[0].clone(), book.addresses(&held).len()), (address(500), MAX_ADDRESSES));
    assert!(book.hint(stale, [address(1)], now));
    assert!(book.hint(fresh, [address(2)], now), "the connected one stays, the stale one goes");
    assert!(book.addresses(&stale).is_empty() && !book.addresses(&held).is_empty());
}

#[test]
fn what_cannot_be_dialled_is_not_kept() {
    let now = Instant::now();
    let own = PeerId::random();
    let mut book = Book::new(own, 8);
    let peer = PeerId::random();
    book.hint(
        peer,
        ["/ip4/0.0.0.0/tcp/4001", "/ip4/10.0.0.1/udp/4001/quic-v1", "/ip4/10.0.0.1/tcp/0"].map(|text| text.parse().unwrap()),
        now,
    );
    assert!(book.addresses(&peer).is_empty());
    book.hint(peer, [address(1).with(Protocol::P2p(peer)), address(1)], now);
    assert_eq!(book.addresses(&peer), [address(1)]);
    assert!(!book.hint(own, [address(1)], now), "a node does not dial itself");
}

#[test]
fn the_pause_between_dials_doubles_up_to_its_bound() {
    let start = Instant::now();
    let mut book = Book::new(PeerId::random(), 8);
    let peer = PeerId::random();
    book.hint(peer, [address(1)], start);
    let mut now = start;
    let mut pauses = Vec::new();
    for _ in 0..10 {
        assert_eq!(book.due(8, now), [peer]);
        assert!(book.due(8, now).is_empty(), "it is under way");
        let next = book.entries[&peer].next_try;
        pauses.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    book.connected(peer, None, Timestamp::from_ms(5), now);
    assert!(book.due(8, now + LONGEST_PAUSE).is_empty(), "it is connected");
    book.disconnected(&peer, Timestamp::from_ms(6), now);
    assert_eq!(book.due(8, now + FIRST_PAUSE), [peer]);
}

#[test]
fn only_peers_once_connected_are_saved_and_only_after_a_change() {
    let now = Instant::now();
    let mut book = Book::new(PeerId::random(), 8);
    let key = libp2p::identity::Keypair::ed25519_from_bytes([7; 32]).unwrap();
    let (met, heard) = (key.public().to_peer_id(), PeerId::random());
    book.hint(heard, [address(1)], now);
    book.connected(met, Some(&address(2)), Timestamp::from_ms(9), now);
    let saved = book.changes().unwrap();
    assert_eq!(saved.len(), 1);
    assert_eq!((saved[0].node.as_str(), saved[0].last_seen), (met.to_base58().as_str(), Timestamp::from_ms(9)));
    assert_eq!(book.changes(), None);
    let mut again = Book::new(PeerId::random(), 8);
    again.remember(met, saved[0].clone(), now);
    assert_eq!(again.due(8, now), [met]);
}
