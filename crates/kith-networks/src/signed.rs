//! Signed things: a body and its signer's signature of exactly those bytes, under a word for what kind of thing it is, so that
//! nothing signed as one kind passes as another.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kith_keys::Identity;
use kith_types::NodeId;
use serde::{Serialize, de::DeserializeOwned};

/// What kinds of things are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The body of an invite.
    Invite,
    /// A certificate of membership.
    Member,
    /// What a node says of itself.
    NodeRecord,
    /// A new key, and who belongs to the network from then on.
    Rotation,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Invite, Self::Member, Self::NodeRecord, Self::Rotation];

    /// The word before every signed body.
    pub const fn domain(self) -> &'static str {
        match self {
            Self::Invite => "kith invite v1",
            Self::Member => "kith member v1",
            Self::NodeRecord => "kith node record v1",
            Self::Rotation => "kith rotation v1",
        }
    }

    fn message(self, body: &[u8]) -> Vec<u8> {
        [self.domain().as_bytes(), b"\0", body].concat()
    }

    /// The signature of `body` as this kind.
    pub(crate) fn sign(self, identity: &Identity, body: &[u8]) -> [u8; 64] {
        identity.sign(&self.message(body))
    }

    /// Whether `signer` signed `body` as this kind.
    pub(crate) fn verify(self, signer: &NodeId, body: &[u8], signature: &[u8; 64]) -> Result<(), SignedFault> {
        Identity::verify(signer, &self.message(body), signature).map_err(|_| SignedFault::Forged)
    }
}

/// Something signed is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedFault {
    /// It is not of the form, or too long.
    #[error("it is not of the form it should have")]
    Malformed,
    /// The signature is not its signer's.
    #[error("its signature is not that of the node it names")]
    Forged,
}

/// A body that tells who signed it.
pub(crate) trait SignedBy {
    fn signer(&self) -> &NodeId;
}

/// `body.signature`, both base64url without padding; the body is JSON.
pub(crate) fn seal<T: Serialize>(kind: Kind, identity: &Identity, body: &T) -> Result<String, SignedFault> {
    Ok(token(kind, identity, &serde_json::to_vec(body).map_err(|_| SignedFault::Malformed)?))
}

/// The token of a body as it stands.
pub(crate) fn token(kind: Kind, identity: &Identity, body: &[u8]) -> String {
    let signature = kind.sign(identity, body);
    let mut token = String::with_capacity(body.len() * 4 / 3 + 100);
    URL_SAFE_NO_PAD.encode_string(body, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

/// Reads a token of at most `most` bytes and checks its signature by the node that its body names.
pub(crate) fn open<T: DeserializeOwned + SignedBy>(kind: Kind, token: &str, most: usize) -> Result<T, SignedFault> {
    if token.len() > most {
        return Err(SignedFault::Malformed);
    }
    let (body, signature) = token.split_once('.').ok_or(SignedFault::Malformed)?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| SignedFault::Malformed);
    let (body, signature) = (decode(body)?, decode(signature)?);
    let signature: [u8; 64] = signature.try_into().map_err(|_| SignedFault::Malformed)?;
    let read: T = serde_json::from_slice(&body).map_err(|_| SignedFault::Malformed)?;
    kind.verify(read.signer(), &body, &signature)?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_keys::OsEntropy;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        by: NodeId,
        text: String,
    }

    impl SignedBy for Note {
        fn signer(&self) -> &NodeId {
            &self.by
        }
    }

    #[test]
    fn nothing_signed_as_one_kind_passes_as_another() {
        let ann = Identity::ephemeral(&OsEntropy).unwrap();
        let note = Note { by: ann.node_id().clone(), text: "hello".into() };
        for kind in Kind::ALL {
            let token = seal(kind, &ann, &note).unwrap();
            for other in Kind::ALL {
                let read = open::<Note>(other, &token, 1000);
                assert_eq!(read.is_ok(), kind == other, "{kind:?} as {other:?}");
            }
            assert_eq!(open::<Note>(kind, &token, token.len() - 1), Err(SignedFault::Malformed));
        }
    }

    #[test]
    fn nobody_signs_for_another() {
        let (ann, bob) = (Identity::ephemeral(&OsEntropy).unwrap(), Identity::ephemeral(&OsEntropy).unwrap());
        let token = seal(Kind::Member, &bob, &Note { by: ann.node_id().clone(), text: "I am Ann".into() }).unwrap();
        assert_eq!(open::<Note>(Kind::Member, &token, 1000), Err(SignedFault::Forged));
    }

    proptest! {
        #[test]
        fn any_text_is_an_error_and_no_panic(text in ".{0,300}") {
            prop_assert!(open::<Note>(Kind::Member, &text, 1000).is_err());
        }

        #[test]
        fn a_changed_token_is_refused(at in 0_usize..200, by in 1_u8..=255) {
            let ann = Identity::ephemeral(&OsEntropy).unwrap();
            let token = seal(Kind::Member, &ann, &Note { by: ann.node_id().clone(), text: "hello".into() }).unwrap();
            let mut bytes = token.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] = bytes[at].wrapping_add(by);
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert!(open::<Note>(Kind::Member, &changed, 1000).is_err());
            }
        }
    }
}
