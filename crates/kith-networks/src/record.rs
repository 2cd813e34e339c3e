//! What a node says of itself: signed, numbered, bounded.

use crate::{
    Chain, MAX_ADDRESSES, NetworkId, addresses,
    error::shown,
    signed::{self, Kind, SignedBy, SignedFault},
};
use kith_keys::Identity;
use kith_types::{NodeId, Timestamp};
use serde::{Deserialize, Serialize};

/// The largest record, in bytes.
pub const MAX_RECORD: usize = 32 * 1024;
/// Entries of a list in a record.
const MAX_ENTRIES: usize = 128;
/// The longest text in a record, in bytes.
const MAX_TEXT: usize = 255;

/// The machine a node runs on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hardware {
    /// Threads that run at once.
    pub cores: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// The accelerators' names.
    pub accelerators: Vec<String>,
    /// Bytes of memory of all accelerators together.
    pub accelerator_memory_bytes: u64,
    /// Bytes free for what others may store.
    pub storage_bytes: u64,
}

/// A connection of a node, as it tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidLink {
    /// With whom.
    pub node: NodeId,
    /// How the one reaches the other: `direct`, `hole_punched` or `relayed`.
    pub path: String,
}

/// What a node tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeSays {
    /// What it is called.
    pub name: String,
    /// Where it is, as its owner says: a country or a place.
    pub region: String,
    /// Its operating system and architecture.
    pub platform: String,
    /// Its program's version.
    pub version: String,
    /// What it does for others, by words.
    pub capabilities: Vec<String>,
    /// The models it can answer with.
    pub models: Vec<String>,
    /// Its machine.
    pub hardware: Hardware,
    /// Where it may be reached.
    pub addresses: Vec<String>,
    /// Whom it is connected to.
    pub links: Vec<SaidLink>,
    /// When its program started, by its own clock.
    pub started_ms: Option<Timestamp>,
}

impl NodeSays {
    /// Cuts everything to its bounds: texts to 255 bytes, lists to 128 entries (16 addresses), the name to 64 characters.
    pub(crate) fn bounded(mut self) -> Self {
        self.name = shown(&self.name);
        for text in [&mut self.region, &mut self.platform, &mut self.version] {
            cut(text);
        }
        for list in [&mut self.capabilities, &mut self.models, &mut self.hardware.accelerators] {
            list.truncate(MAX_ENTRIES);
            list.iter_mut().for_each(cut);
        }
        self.addresses = addresses::lenient(&self.addresses);
        self.links.truncate(MAX_ENTRIES);
        self.links.iter_mut().for_each(|link| cut(&mut link.path));
        self
    }

    /// Whether it is within the bounds.
    fn is_bounded(&self) -> bool {
        let lists = [&self.capabilities, &self.models, &self.hardware.accelerators];
        let texts = [&self.region, &self.platform, &self.version];
        self.name == shown(&self.name)
            && texts.iter().all(|text| text.len() <= MAX_TEXT)
            && lists.iter().all(|list| list.len() <= MAX_ENTRIES && list.iter().all(|text| text.len() <= MAX_TEXT))
            && self.links.len() <= MAX_ENTRIES
            && self.links.iter().all(|link| link.path.len() <= MAX_TEXT)
            && self.addresses.len() <= MAX_ADDRESSES
            && self.addresses.iter().all(|address| addresses::plausible(address))
    }
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
}

/// A node's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// The network it is said in.
    pub network: NetworkId,
    /// Who says it, of itself.
    pub node: NodeId,
    /// Grows with every record of the node.
    pub seq: u64,
    /// When it was said, by the node's clock.
    pub issued_ms: Timestamp,
    /// The node's membership.
    #[serde(default)]
    pub chain: Chain,
    /// What it says.
    #[serde(flatten)]
    pub says: NodeSays,
}

impl SignedBy for NodeRecord {
    fn signer(&self) -> &NodeId {
        &self.node
    }
}

impl NodeRecord {
    pub(crate) fn sign(&self, identity: &Identity) -> Result<String, SignedFault> {
        signed::seal(Kind::NodeRecord, identity, self)
    }

    /// Reads a record of at most [`MAX_RECORD`] bytes, checks that the node it speaks of signed it, and that it keeps its bounds.
    ///
    /// # Errors
    /// [`SignedFault`].
    pub fn open(bytes: &[u8]) -> Result<Self, SignedFault> {
        if bytes.len() > MAX_RECORD {
            return Err(SignedFault::Malformed);
        }
        let token = std::str::from_utf8(bytes).map_err(|_| SignedFault::Malformed)?;
        let read: Self = signed::open(Kind::NodeRecord, token, MAX_RECORD)?;
        if read.is_sound() { Ok(read) } else { Err(SignedFault::Malformed) }
    }

    /// Reads the inside of a record without asking who signed it. Nothing of it is to be believed: it is there for those who try the
    /// decoder with all kinds of bytes.
    pub fn decode_body(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().filter(Self::is_sound)
    }

    fn is_sound(&self) -> bool {
        self.says.is_bounded() && i64::try_from(self.seq).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_keys::OsEntropy;
    use proptest::prelude::*;

    fn record(identity: &Identity, says: NodeSays) -> NodeRecord {
        NodeRecord {
            network: "00112233445566778899aabbccddeeff".parse().unwrap(),
            node: identity.node_id().clone(),
            seq: 7,
            issued_ms: Timestamp::from_ms(9),
            chain: Chain::default(),
            says,
        }
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec(".{0,300}", 0..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_a_node_says_is_cut_to_its_bounds_and_read_as_it_was_signed(
            name in ".{0,100}", region in ".{0,300}", models in texts(), addresses in texts(), cores in any::<u32>()
        ) {
            let ann = Identity::ephemeral(&OsEntropy).unwrap();
            let hardware = Hardware { cores, ..Hardware::default() };
            let says = NodeSays { name, region, models, addresses, hardware, ..NodeSays::default() }.bounded();
            let given = record(&ann, says);
            let token = given.sign(&ann).unwrap();
            if token.len() <= MAX_RECORD {
                prop_assert_eq!(NodeRecord::open(token.as_bytes()), Ok(given));
            } else {
                prop_assert_eq!(NodeRecord::open(token.as_bytes()), Err(SignedFault::Malformed));
            }
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(NodeRecord::open(&bytes).is_err());
        }
    }

    #[test]
    fn nobody_speaks_for_another_and_nobody_over_the_bounds() {
        let (ann, bob) = (Identity::ephemeral(&OsEntropy).unwrap(), Identity::ephemeral(&OsEntropy).unwrap());
        let forged = record(&ann, NodeSays::default()).sign(&bob).unwrap();
        assert_eq!(NodeRecord::open(forged.as_bytes()), Err(SignedFault::Forged));
        let wordy = NodeSays { region: "x".repeat(MAX_TEXT + 1), ..NodeSays::default() };
        let many = NodeSays { models: vec![String::new(); MAX_ENTRIES + 1], ..NodeSays::default() };
        let hidden = NodeSays { name: "a\u{1b}[2J".into(), ..NodeSays::default() };
        let elsewhere = NodeSays { addresses: vec!["http://x".into()], ..NodeSays::default() };
        for says in [wordy, many, hidden, elsewhere] {
            assert_eq!(NodeRecord::open(record(&ann, says).sign(&ann).unwrap().as_bytes()), Err(SignedFault::Malformed));
        }
    }

    #[test]
    fn a_record_of_a_later_release_is_read_and_its_new_words_passed_over() {
        let ann = Identity::ephemeral(&OsEntropy).unwrap();
        #[derive(Serialize)]
        struct Later {
            #[serde(flatten)]
            record: NodeRecord,
            mood: &'static str,
        }
        impl SignedBy for Later {
            fn signer(&self) -> &NodeId {
                &self.record.node
            }
        }
        let later = Later { record: record(&ann, NodeSays::default()), mood: "fine" };
        let token = signed::seal(Kind::NodeRecord, &ann, &later).unwrap();
        assert_eq!(NodeRecord::open(token.as_bytes()), Ok(later.record));
    }
}
