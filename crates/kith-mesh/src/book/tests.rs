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
    assert!(book.hint(held, (0..100).map(address), Told::Itself, now));
    assert_eq!(book.addresses(&held).len(), MAX_ADDRESSES);
    book.connected(held, Some(&address(500)), Timestamp::from_ms(1), now);
    assert_eq!((book.addresses(&held)[0].clone(), book.addresses(&held).len()), (address(500), MAX_ADDRESSES));
    assert!(book.hint(stale, [address(1)], Told::Itself, now));
    assert!(book.hint(fresh, [address(2)], Told::Itself, now), "the connected one stays, the stale one goes");
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
        Told::Itself,
        now,
    );
    assert!(book.addresses(&peer).is_empty());
    book.hint(peer, [address(1).with(Protocol::P2p(peer)), address(1)], Told::Itself, now);
    assert_eq!(book.addresses(&peer), [address(1)]);
    assert!(!book.hint(own, [address(1)], Told::Itself, now), "a node does not dial itself");
}

#[test]
fn the_pause_between_dials_doubles_up_to_its_bound() {
    let start = Instant::now();
    let mut book = Book::new(PeerId::random(), 8);
    let peer = PeerId::random();
    book.hint(peer, [address(1)], Told::Itself, start);
    let mut now = start;
    let mut pauses = Vec::new();
    for _ in 0..7 {
        assert_eq!(book.due(8, now), [peer]);
        assert!(book.due(8, now).is_empty(), "it is under way");
        now += Duration::from_secs(1);
        book.failed(&peer, now);
        let next = book.entries[&peer].next_try;
        pauses.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
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
    book.hint(heard, [address(1)], Told::Itself, now);
    book.connected(met, Some(&address(2)), Timestamp::from_ms(9), now);
    let saved = book.changes().unwrap();
    assert_eq!(saved.len(), 1);
    assert_eq!((saved[0].node.as_str(), saved[0].last_seen), (met.to_base58().as_str(), Timestamp::from_ms(9)));
    assert_eq!(book.changes(), None);
    let mut again = Book::new(PeerId::random(), 8);
    again.remember(met, saved[0].clone(), now);
    assert_eq!(again.due(8, now), [met]);
}

#[test]
fn a_new_address_or_a_sign_of_life_ends_a_long_pause_but_not_a_rest() {
    let start = Instant::now();
    let mut book = Book::new(PeerId::random(), 8);
    let peer = PeerId::random();
    book.hint(peer, [address(1)], Told::Itself, start);
    (0..6).for_each(|_| book.failed(&peer, start));
    assert!(book.due(8, start + Duration::from_secs(20)).is_empty(), "it pauses");
    book.hint(peer, [address(1)], Told::Itself, start);
    assert!(book.due(8, start).is_empty(), "nothing new was heard");
    book.hint(peer, [address(2)], Told::Others, start);
    assert_eq!(book.due(8, start), [peer]);
    (0..6).for_each(|_| book.failed(&peer, start));
    book.heard(&peer, start + Duration::from_secs(5));
    assert!(book.due(8, start + Duration::from_secs(5)).is_empty(), "not more often than every ten seconds");
    book.heard(&peer, start + HURRY);
    assert_eq!(book.due(8, start + HURRY), [peer]);
    let later = start + Duration::from_secs(100);
    book.rest(&peer, Duration::from_secs(600), later);
    book.heard(&peer, later);
    assert!(book.due(8, later + Duration::from_secs(300)).is_empty(), "who refused this node is left alone");
}

#[test]
fn what_a_peer_says_of_itself_is_taken_however_much_is_told_of_it() {
    let now = Instant::now();
    let mut book = Book::new(PeerId::random(), 8);
    let peer = PeerId::random();
    book.hint(peer, (0..100).map(address), Told::Others, now);
    assert_eq!(book.addresses(&peer).len(), FROM_OTHERS, "others do not fill the book");
    book.connected(peer, Some(&address(500)), Timestamp::from_ms(1), now);
    book.hint(peer, (100..120).map(address), Told::Itself, now);
    book.hint(peer, [address(700), address(701)], Told::Itself, now);
    let known = book.addresses(&peer);
    assert_eq!((known.len(), &known[..3]), (MAX_ADDRESSES, &[address(500), address(700), address(701)][..]));
}
