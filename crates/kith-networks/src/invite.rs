//! The code of an invite: everything a newcomer needs, in one text that is itself the right to come in.
//!
//! `kith://join/` and base64url of a version byte and the rest. In the first form the rest is the invite's secret and a body sealed
//! with it: nothing can be read off the code in passing (no address, no key), and who knows only a member's address has nothing. In
//! the second form the rest is sealed to one node's key: who sees the whole code has nothing either.

use crate::{
    Genesis, NetworkId, Psk, Role, addresses,
    certificate::Certificate,
    error::shown,
    signed::{Kind, SignedFault},
    tlv,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    ChaCha20Poly1305, Nonce,
    aead::{Aead, KeyInit},
};
use kith_keys::{Entropy, EnvelopeError, Identity, OpenError, seal_to};
use kith_types::{NodeId, Timestamp};
use std::fmt;
use zeroize::Zeroizing;

/// The longest code that is looked at, in bytes.
pub const MAX_CODE: usize = 8192;
const SCHEME: &str = "kith://join/";
const OPEN: u8 = 1;
const ADDRESSED: u8 = 2;
const CODE_CONTEXT: &str = "kith invite code v1";
const PROOF_CONTEXT: &str = "kith invite proof v1";
const PURPOSE: &str = "kith invite";

/// A code is no invite, or none for this node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InviteFault {
    /// It is not of the form.
    #[error("this is not an invite: it begins with kith://join/")]
    Malformed,
    /// It is of a later form.
    #[error("this invite has format {0}, which this release does not know; use a newer one")]
    Newer(u8),
    /// It was changed on its way, or not signed by the node it names.
    #[error("this invite was changed on its way, or is a forgery")]
    Forged,
    /// It is for another node.
    #[error("this invite is for another device")]
    NotForThisNode,
    /// Its time is over.
    #[error("this invite is over since {0}")]
    Expired(String),
}

/// What is in an invite.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteCode {
    /// The network's founding.
    pub genesis: Genesis,
    /// The network's name.
    pub name: String,
    /// Who invites.
    pub inviter: NodeId,
    /// Where the inviter, or others, may be reached.
    pub addresses: Vec<String>,
    /// From when on it is void, by the inviter's clock.
    pub expires: Timestamp,
    /// How many may come in by it.
    pub uses: u64,
    /// What it makes of who comes in.
    pub role: Role,
    /// Its id, 16 hexadecimal digits.
    pub id: String,
    /// The number of the network's key.
    pub epoch: u64,
    /// The network's key.
    pub psk: Psk,
    /// What the newcomer proves to know.
    pub secret: Zeroizing<[u8; 32]>,
}

const FOUNDER: u8 = 1;
const SALT: u8 = 2;
const NAME: u8 = 3;
const INVITER: u8 = 4;
const ADDRESS: u8 = 5;
const EXPIRES: u8 = 6;
const USES: u8 = 7;
const ID: u8 = 8;
const KEY: u8 = 9;
const ROLE: u8 = 10;
const EPOCH: u8 = 11;

impl InviteCode {
    /// The network's id.
    pub fn network(&self) -> NetworkId {
        self.genesis.id()
    }

    /// Signs it and writes it as a URL. With `to`, only that node can read it. A secret serves for one code only.
    ///
    /// # Errors
    /// [`EnvelopeError`], with `to` only.
    pub fn encode(&self, identity: &Identity, to: Option<&NodeId>, entropy: &dyn Entropy) -> Result<String, EnvelopeError> {
        let mut body = self.body();
        let signature = Kind::Invite.sign(identity, &body);
        body.extend_from_slice(&signature);
        let bytes = Zeroizing::new(match to {
            None => {
                let key = Zeroizing::new(blake3::derive_key(CODE_CONTEXT, self.secret.as_slice()));
                // The key is of this code alone, so a nonce of zeros is used once.
                let sealed = ChaCha20Poly1305::new(key.as_slice().into()).encrypt(&Nonce::default(), body.as_slice());
                let sealed = sealed.map_err(|_| kith_keys::EntropyError("more than 256 GiB under one key".to_owned()))?;
                [&[OPEN], self.secret.as_slice(), &sealed].concat()
            }
            Some(node) => {
                let whole = Zeroizing::new([self.secret.as_slice(), &body].concat());
                [vec![ADDRESSED], seal_to(node, PURPOSE, &whole, entropy)?].concat()
            }
        });
        Ok(format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice())))
    }

    fn body(&self) -> Zeroizing<Vec<u8>> {
        let mut body = Zeroizing::new(Vec::with_capacity(512));
        tlv::put(&mut body, FOUNDER, &self.genesis.founder.ed25519());
        tlv::put(&mut body, SALT, &self.genesis.salt);
        tlv::put(&mut body, NAME, self.name.as_bytes());
        // What is as usual is left out: the code is to be scanned.
        if self.inviter != self.genesis.founder {
            tlv::put(&mut body, INVITER, &self.inviter.ed25519());
        }
        for address in &self.addresses {
            tlv::put(&mut body, ADDRESS, address.as_bytes());
        }
        tlv::put(&mut body, EXPIRES, &self.expires.ms().to_be_bytes());
        if self.uses != 1 {
            tlv::put(&mut body, USES, &self.uses.to_be_bytes());
        }
        if let Ok(id) = hex::decode(&self.id) {
            tlv::put(&mut body, ID, &id);
        }
        tlv::put(&mut body, KEY, self.psk.as_bytes());
        if self.role == Role::Admin {
            tlv::put(&mut body, ROLE, b"admin");
        }
        if self.epoch != 0 {
            tlv::put(&mut body, EPOCH, &self.epoch.to_be_bytes());
        }
        body
    }

    /// Reads a code as a URL, or a file with one in a line of its own, and checks the inviter's signature. `me` opens those that are
    /// for this node. The time is not looked at.
    ///
    /// # Errors
    /// Every [`InviteFault`] but [`InviteFault::Expired`].
    pub fn decode(text: &str, me: &Identity) -> Result<Self, InviteFault> {
        if text.len() > MAX_CODE {
            return Err(InviteFault::Malformed);
        }
        let lines = text.lines().map(str::trim);
        let is_code = |line: &&str| line.get(..SCHEME.len()).is_some_and(|head| head.eq_ignore_ascii_case(SCHEME));
        let code = lines.clone().find(is_code).and_then(|line| line.get(SCHEME.len()..)).ok_or(InviteFault::Malformed)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(code).map_err(|_| InviteFault::Malformed)?);
        let (secret, body) = match bytes.split_first() {
            Some((&OPEN, rest)) => {
                let (secret, sealed) = rest.split_first_chunk::<32>().ok_or(InviteFault::Malformed)?;
                let key = Zeroizing::new(blake3::derive_key(CODE_CONTEXT, secret));
                let body = ChaCha20Poly1305::new(key.as_slice().into()).decrypt(&Nonce::default(), sealed);
                (Zeroizing::new(*secret), Zeroizing::new(body.map_err(|_| InviteFault::Forged)?))
            }
            Some((&ADDRESSED, rest)) => {
                let whole = me.open_envelope(PURPOSE, rest).map_err(|error| match error {
                    OpenError::Truncated => InviteFault::Malformed,
                    OpenError::NewerFormat(version) => InviteFault::Newer(version),
                    OpenError::Unauthentic => InviteFault::NotForThisNode,
                })?;
                let (secret, body) = whole.split_first_chunk::<32>().ok_or(InviteFault::Malformed)?;
                (Zeroizing::new(*secret), Zeroizing::new(body.to_vec()))
            }
            Some((&version, _)) if version > ADDRESSED => return Err(InviteFault::Newer(version)),
            _ => return Err(InviteFault::Malformed),
        };
        let (body, signature) = body.split_last_chunk::<64>().ok_or(InviteFault::Malformed)?;
        let read = Self::read(body, secret).ok_or(InviteFault::Malformed)?;
        Kind::Invite.verify(&read.inviter, body, signature).map_err(|fault| match fault {
            SignedFault::Malformed => InviteFault::Malformed,
            SignedFault::Forged => InviteFault::Forged,
        })?;
        Ok(read)
    }

    /// Reads the inside of a code without asking who signed it. Nothing of it is to be believed: it is there for those who try the
    /// decoder with all kinds of bytes.
    pub fn decode_body(body: &[u8]) -> Option<Self> {
        Self::read(body, Zeroizing::new([0; 32]))
    }

    fn read(body: &[u8], secret: Zeroizing<[u8; 32]>) -> Option<Self> {
        let fields = tlv::fields(body).ok()?;
        let one = |tag: u8| {
            let mut found = fields.iter().filter(|(given, _)| *given == tag).map(|(_, field)| *field);
            let first = found.next();
            // A field given twice could be read in two ways.
            if found.next().is_some() { None } else { Some(first) }
        };
        let node = |field: &[u8]| Some(NodeId::from_ed25519(field.try_into().ok()?));
        let number = |field: &[u8]| Some(u64::from_be_bytes(field.try_into().ok()?));
        let text = |field: &[u8]| String::from_utf8(field.to_vec()).ok();
        let founder = node(one(FOUNDER)??)?;
        let given: Vec<String> = fields.iter().filter(|(tag, _)| *tag == ADDRESS).filter_map(|(_, field)| text(field)).collect();
        Some(Self {
            genesis: Genesis { founder: founder.clone(), salt: one(SALT)??.try_into().ok()? },
            name: shown(&text(one(NAME)??)?),
            inviter: one(INVITER)?.map_or(Some(founder), node)?,
            addresses: addresses::lenient(&given),
            expires: Timestamp::from_ms(i64::from_be_bytes(one(EXPIRES)??.try_into().ok()?)),
            uses: one(USES)?.map_or(Some(1), number)?,
            id: one(ID)?.filter(|id| id.len() == 8).map(hex::encode)?,
            psk: Psk::from_slice(one(KEY)??)?,
            role: one(ROLE)?.map_or(Some(Role::Member), |role| text(role)?.parse().ok())?,
            epoch: one(EPOCH)?.map_or(Some(0), number)?,
            secret,
        })
    }

    /// A random id for a new invite, and its secret.
    pub(crate) fn fresh(entropy: &dyn Entropy) -> Result<(String, Zeroizing<[u8; 32]>), kith_keys::EntropyError> {
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(secret.as_mut_slice())?;
        Ok((Certificate::serial(entropy)?, secret))
    }
}

impl fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InviteCode").field("network", &self.network()).field("id", &self.id).finish_non_exhaustive()
    }
}

/// What the giver of an invite keeps of its secret, to check proofs by.
pub(crate) fn proof_key(secret: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(blake3::derive_key(PROOF_CONTEXT, secret))
}

/// That `newcomer` knows an invite's secret, said to `judge` alone: both have just proved who they are, so the same proof is of no
/// use to anybody else, nor towards anybody else.
pub(crate) fn proof(key: &[u8; 32], network: NetworkId, invite: &str, newcomer: &NodeId, judge: &NodeId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(network.as_bytes()).update(&newcomer.ed25519()).update(&judge.ed25519()).update(invite.as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests;
