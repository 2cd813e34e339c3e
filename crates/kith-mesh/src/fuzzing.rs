//! For those who try the decoders with all kinds of bytes: a peer or a stranger says something, and what is understood of it comes back.

use crate::{
    Address, Admission, NetworkKey,
    address::peer_id,
    admission::Door,
    beacon::Beacons,
    book::{Book, Told},
    bounds::Bounds,
    exchange::{MAX_FRAME, MAX_QUESTION, These, Whom},
    frames::{Answer, announced, parsed, whole},
    keyed,
    ports::KeyUse,
    standing::Bans,
    traffic::Traffic,
};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use kith_types::NodeId;
use libp2p::{PeerId, identity::Keypair, noise};
use std::{
    collections::BTreeSet,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use tokio::sync::mpsc;

/// Somebody and the addresses told of them.
pub type Hinted = (NodeId, Vec<Address>);

/// A stream on which everything has been said already. What is said to it is kept.
#[derive(Debug, Default)]
pub struct Said<'a> {
    /// What is still to be read.
    pub says: &'a [u8],
    /// What was written.
    pub heard: Vec<u8>,
}

impl AsyncRead for Said<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let (now, later) = self.says.split_at(self.says.len().min(buffer.len()));
        if let Some(place) = buffer.get_mut(..now.len()) {
            place.copy_from_slice(now);
        }
        let count = now.len();
        self.says = later;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Said<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.heard.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The beacon in a datagram.
pub fn beacon(key: &NetworkKey, datagram: &[u8]) -> Option<Hinted> {
    Beacons::new(key).read(datagram).map(|beacon| (beacon.node, beacon.addresses))
}

/// A member's datagram with that body.
pub fn datagram(key: &NetworkKey, body: &[u8]) -> Vec<u8> {
    Beacons::new(key).datagram(body)
}

/// The answer of a peer that was asked whom it knows. An error's text.
pub async fn known(mut stream: &[u8]) -> Result<Vec<Hinted>, String> {
    let length = announced(&mut stream, MAX_FRAME).await.map_err(|error| error.to_string())?;
    let body = whole(&mut stream, length).await.map_err(|error| error.to_string())?;
    match parsed::<Answer<These>>(&body).map_err(|error| error.to_string())? {
        Answer::Ok(these) => Ok(these.bounded().into_iter().map(|hint| (hint.node, hint.addresses)).collect()),
        Answer::Declined(declined) => Err(declined.to_string()),
    }
}

/// Whether it is the question whom this node knows.
pub async fn asks(mut stream: &[u8]) -> bool {
    let Ok(length) = announced(&mut stream, MAX_QUESTION).await else { return false };
    whole(&mut stream, length).await.is_ok_and(|body| parsed::<Whom>(&body).is_ok())
}

/// How many peers are known, and are to be dialled at once, after all this was told of a node's network with room for `most`.
pub fn remembered(own: &NodeId, most: usize, told: Vec<Hinted>, itself: bool) -> (usize, usize) {
    let now = Instant::now();
    let Some(own) = peer_id(own) else { return (0, 0) };
    let mut book = Book::new(own, most);
    let by = if itself { Told::Itself } else { Told::Others };
    let peers: BTreeSet<PeerId> = told.iter().filter_map(|(node, _)| peer_id(node)).collect();
    for (node, addresses) in told {
        if let Some(peer) = peer_id(&node) {
            book.hint(peer, addresses.into_iter().map(|address| address.0), by, now);
        }
    }
    let known = peers.iter().filter(|peer| !book.addresses(peer).is_empty()).count();
    (known, book.due(usize::MAX, now).len())
}

/// The key that fits what a dialler says first, and all that it says under it.
pub async fn first_words(said: Said<'_>, keys: &[NetworkKey]) -> Option<(usize, Vec<u8>)> {
    let (mut socket, index) = keyed::accept(said, keys).await.ok()?;
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.ok()?;
    Some((index, rest))
}

/// What a dialler with `key` and that nonce sends that says `plain`.
pub fn spoken(key: &NetworkKey, nonce: &[u8; 24], plain: &[u8]) -> Vec<u8> {
    [nonce.as_slice(), &keyed::encrypted(key, nonce, plain)].concat()
}

/// A peer that has proved its id says all this at the door. Whether it is let in, and why not.
pub async fn admitted(said: &mut Said<'_>, dialler: bool, admission: Arc<dyn Admission>) -> Result<(), String> {
    let pair = |seed| Keypair::ed25519_from_bytes([seed; 32]).map_err(|error| error.to_string());
    let noise = noise::Config::new(&pair(1)?).map_err(|error| error.to_string())?;
    let (refusals, _told) = mpsc::channel(1);
    let (bans, traffic, deadline) = (Bans::default(), Traffic::default(), Bounds::default().admission);
    let door = Door { noise, key: KeyUse::Present, admission, bans, traffic, refusals, deadline };
    door.pass(pair(2)?.public().to_peer_id(), said, dialler).await.map(drop).map_err(|error| error.to_string())
}
