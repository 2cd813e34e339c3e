//! Making tokens and the bearers that stand for them.

use crate::{Access, AccessError, BearerId, access::hash};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kith_keys::{Entropy, EntropyError};
use kith_store::{Bearer, BearerKind, Store};
use kith_types::{Scope, Timestamp};
use std::fmt;
use zeroize::Zeroizing;

/// A session, from signing in or from a ticket, lasts this long.
pub(crate) const SESSION_MS: i64 = 24 * 3_600_000;
/// The most sessions of one kind; one more ends the oldest.
pub(crate) const MAX_SESSIONS: usize = 256;

/// A fresh token. It is told once, here; the node keeps its hash only.
#[derive(Clone, PartialEq, Eq)]
pub struct Minted {
    /// By what it is listed and revoked.
    pub id: BearerId,
    /// The secret.
    pub token: String,
    /// From when on it is void; `None` means never.
    pub expires: Option<Timestamp>,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted").field("id", &self.id).field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// `prefix` and 43 base64url characters of 32 random bytes.
pub(crate) fn random_token(prefix: &str, entropy: &dyn Entropy) -> Result<String, EntropyError> {
    let mut bytes = Zeroizing::new([0; 32]);
    entropy.fill(bytes.as_mut_slice())?;
    let mut token = String::with_capacity(prefix.len() + 43);
    token.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut token);
    Ok(token)
}

/// What a new bearer is to be.
pub(crate) struct Order<'a> {
    pub(crate) kind: BearerKind,
    pub(crate) name: &'a str,
    pub(crate) scope: Scope,
    pub(crate) expires: Option<Timestamp>,
}

/// Makes a token and keeps its bearer. The caller has looked to the bounds.
pub(crate) async fn mint(store: &Store, now: Timestamp, entropy: &dyn Entropy, order: Order<'_>) -> Result<Minted, AccessError> {
    let (bearer, minted) = forge(now, entropy, order)?;
    store.bearer_insert(&bearer).await?;
    Ok(minted)
}

/// A token and its bearer, which is yet to be kept.
pub(crate) fn forge(now: Timestamp, entropy: &dyn Entropy, order: Order<'_>) -> Result<(Bearer, Minted), AccessError> {
    let (prefix, id_prefix) = match order.kind {
        BearerKind::ApiKey => ("kith_", "key"),
        BearerKind::Device => ("kithd_", "dev"),
        BearerKind::Login | BearerKind::Window => ("kiths_", "ses"),
    };
    let token = random_token(prefix, entropy)?;
    let mut id = [0; 8];
    entropy.fill(&mut id)?;
    let id = format!("{id_prefix}_{}", hex::encode(id));
    let bearer = Bearer {
        id: id.clone(),
        name: order.name.to_owned(),
        kind: order.kind,
        scope: order.scope,
        hash: hash(&token),
        created: now,
        expires: order.expires,
        last_used: None,
    };
    Ok((bearer, Minted { id: id.into(), token, expires: order.expires }))
}

impl Access {
    /// A session of 24 hours. Expired bearers are cleared away, and the oldest sessions over the bound are ended.
    pub(crate) async fn mint_session(&self, kind: BearerKind, name: &str, scope: Scope) -> Result<Minted, AccessError> {
        let _minting = self.minting.lock().await;
        let now = self.clock.now();
        self.store.bearers_prune(now).await?;
        let sessions = self.store.bearers().await?.into_iter().filter(|bearer| bearer.kind == kind);
        // The list has the newest first.
        for old in sessions.skip(MAX_SESSIONS - 1) {
            self.end(old.id).await?;
        }
        let expires = Some(now.plus_ms(SESSION_MS));
        mint(&self.store, now, self.entropy.as_ref(), Order { kind, name, scope, expires }).await
    }

    /// Takes a bearer away at once, and tells whoever listens; says whether it was there.
    pub(crate) async fn end(&self, id: String) -> Result<bool, AccessError> {
        let was_there = self.store.bearer_delete(&id).await?;
        if was_there {
            let id = BearerId::from(id);
            self.presence.forget(&id);
            self.announce(id);
            self.devices_changed();
        }
        Ok(was_there)
    }
}
