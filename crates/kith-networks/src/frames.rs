//! What nodes say to each other before anything else: one hello each, then one welcome each. JSON, so that later releases may add to
//! it; fields that are not known are passed over.

use crate::{Chain, NetworkId, RotationBundle};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The largest frame, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;

/// What a node shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The network it means.
    pub network: NetworkId,
    /// The number of its key, so that it is given a later one.
    #[serde(default)]
    pub epoch: u64,
    /// The name of that key.
    #[serde(default)]
    pub key_id: String,
    /// By what it comes in.
    #[serde(flatten)]
    pub body: HelloBody,
}

/// By what a node comes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HelloBody {
    /// It is a member.
    Member(Chain),
    /// It was invited.
    Claim(Claim),
}

/// The claim of an invite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The invite's id.
    pub invite: String,
    /// That its secret is known, 64 hexadecimal digits, good between these two nodes only.
    pub proof: String,
    /// What the newcomer wants to be called.
    pub name: String,
}

/// What a node that let another in tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Welcome {
    /// The network's name.
    pub name: String,
    /// The number of its key.
    pub epoch: u64,
    /// For one who came by an invite: its membership from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<Chain>,
    /// For one who has an earlier key: the present one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handover: Option<RotationBundle>,
}

/// A frame of at most [`MAX_FRAME`] bytes as what it should be; `None` if it is not.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    if bytes.len() > MAX_FRAME {
        return None;
    }
    serde_json::from_slice(bytes).ok()
}

impl Hello {
    /// Reads a hello.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        read(bytes)
    }

    /// The bytes of the frame.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Welcome {
    /// Reads a welcome.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        read(bytes)
    }

    /// The bytes of the frame.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network() -> NetworkId {
        "00112233445566778899aabbccddeeff".parse().unwrap()
    }

    #[test]
    fn a_hello_is_read_as_it_was_written_and_passes_over_what_it_does_not_know() {
        let member =
            Hello { network: network(), epoch: 3, key_id: "k".into(), body: HelloBody::Member(Chain(vec!["a.b".into()])) };
        assert_eq!(Hello::decode(&member.encode()), Some(member.clone()));
        let claim = Claim { invite: "i".into(), proof: "p".into(), name: "Ann".into() };
        let claim = Hello { body: HelloBody::Claim(claim), ..member };
        assert_eq!(Hello::decode(&claim.encode()), Some(claim));
        let later = r#"{"network":"00112233445566778899aabbccddeeff","member":["a.b"],"later":{"x":1}}"#;
        let read = Hello::decode(later.as_bytes()).unwrap();
        assert_eq!((read.epoch, read.body), (0, HelloBody::Member(Chain(vec!["a.b".into()]))));
    }

    #[test]
    fn a_frame_of_the_largest_size_is_read_and_one_byte_more_is_not() {
        let mut bytes = Welcome::default().encode();
        bytes.resize(MAX_FRAME, b' ');
        assert!(Welcome::decode(&bytes).is_some());
        bytes.push(b' ');
        assert!(Welcome::decode(&bytes).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (Hello::decode(&bytes), Welcome::decode(&bytes));
        }

        #[test]
        fn any_json_is_read_or_refused_without_a_panic(text in r#"\{("(network|member|claim|chain|handover|epoch)":("[a-f0-9]{0,32}"|\[\]|\{\}|-?[0-9]{1,30}),?){0,5}\}"#) {
            let _ = (Hello::decode(text.as_bytes()), Welcome::decode(text.as_bytes()));
        }
    }
}
