//! API keys: `kith_…`, long-lived, for programs.

use crate::{
    Access, AccessError, BearerId, Minted,
    access::expired,
    mint::{Order, mint},
};
use kith_keys::Entropy;
use kith_store::{BearerKind, Store};
use kith_types::{Clock, Scope, Timestamp};
use serde_json::json;

/// The most API keys a node has.
pub const MAX_KEYS: usize = 1000;
/// The longest name of a key, in characters.
const MAX_NAME: usize = 64;

/// An API key as it is listed: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// By what it is revoked.
    pub id: BearerId,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is void; `None` means never.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Timestamp>,
}

/// Makes an API key in a node's database, whether or not the node runs.
///
/// # Errors
/// [`AccessError::Invalid`] for a name that is empty, longer than 64 characters or holds control characters, and for an expiry that is
/// past; [`AccessError::TooManyKeys`] over [`MAX_KEYS`]; [`AccessError::Store`]; [`AccessError::Entropy`].
pub async fn mint_key_in(
    store: &Store,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    name: &str,
    scope: Scope,
    expires: Option<Timestamp>,
) -> Result<Minted, AccessError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let reason = format!("must have 1 to {MAX_NAME} characters, none of them control characters");
        return Err(AccessError::Invalid { field: "name", reason });
    }
    let now = clock.now();
    if expired(expires, now) {
        return Err(AccessError::Invalid { field: "expires", reason: "must lie in the future".to_owned() });
    }
    store.bearers_prune(now).await?;
    let count = keys_in(store).await?.len();
    if count >= MAX_KEYS {
        return Err(AccessError::TooManyKeys(count));
    }
    mint(store, now, entropy, Order { kind: BearerKind::ApiKey, name, scope, expires }).await
}

/// The API keys in a node's database, the newest first.
///
/// # Errors
/// [`AccessError::Store`].
pub async fn keys_in(store: &Store) -> Result<Vec<KeyInfo>, AccessError> {
    let keys = store.bearers().await?.into_iter().filter(|bearer| bearer.kind == BearerKind::ApiKey);
    Ok(keys
        .map(|key| KeyInfo {
            id: key.id.into(),
            name: key.name,
            scope: key.scope,
            created: key.created,
            expires: key.expires,
            last_used: key.last_used,
        })
        .collect())
}

impl Access {
    /// Makes an API key; see [`mint_key_in`].
    ///
    /// # Errors
    /// As [`mint_key_in`].
    pub async fn mint_key(&self, name: &str, scope: Scope, expires: Option<Timestamp>) -> Result<Minted, AccessError> {
        let _minting = self.minting.lock().await;
        let minted = mint_key_in(&self.store, self.clock.as_ref(), self.entropy.as_ref(), name, scope, expires).await?;
        self.tell("access.key_minted", json!({"id": minted.id.as_str(), "name": name.trim(), "scope": scope.as_str()}));
        Ok(minted)
    }

    /// The API keys, the newest first.
    ///
    /// # Errors
    /// [`AccessError::Store`].
    pub async fn keys(&self) -> Result<Vec<KeyInfo>, AccessError> {
        keys_in(&self.store).await
    }

    /// Takes away an API key, a session or a device's bearer: from its return on nobody comes in with it, and what it has open is told
    /// to close.
    ///
    /// # Errors
    /// [`AccessError::NotFound`]; [`AccessError::Store`].
    pub async fn revoke(&self, id: &str) -> Result<(), AccessError> {
        if !self.end(id.to_owned()).await? {
            return Err(AccessError::NotFound);
        }
        self.tell("access.revoked", json!({"id": id}));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::tests::{Gate, NoEntropy};
    use kith_store::Bearer;

    #[tokio::test]
    async fn a_key_is_told_once_and_listed_without_its_secret() {
        let gate = Gate::new().await;
        let minted = gate.access.mint_key("  laptop ", Scope::User, None).await.unwrap();
        let secret = minted.token.strip_prefix("kith_").unwrap();
        assert_eq!(secret.len(), 43);
        assert!(secret.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        assert_eq!(
            gate.access.keys().await.unwrap(),
            [KeyInfo {
                id: minted.id.clone(),
                name: "laptop".to_owned(),
                scope: Scope::User,
                created: gate.clock.now(),
                expires: None,
                last_used: None,
            }]
        );
        assert!(!format!("{minted:?}").contains(secret));
        assert_ne!(gate.access.mint_key("laptop", Scope::User, None).await.unwrap().token, minted.token);
    }

    #[tokio::test]
    async fn names_and_expiries_have_bounds() {
        let gate = Gate::new().await;
        for name in ["", "   ", "a\nb", "\u{0}", &"x".repeat(65)] {
            let error = gate.access.mint_key(name, Scope::User, None).await.unwrap_err();
            assert!(matches!(error, AccessError::Invalid { field: "name", .. }), "{name:?}");
        }
        gate.access.mint_key(&"é".repeat(64), Scope::User, None).await.unwrap();
        let now = gate.clock.now();
        let error = gate.access.mint_key("late", Scope::User, Some(now)).await.unwrap_err();
        assert!(matches!(error, AccessError::Invalid { field: "expires", .. }));
        gate.access.mint_key("soon", Scope::User, Some(now.plus_ms(1))).await.unwrap();
    }

    #[tokio::test]
    async fn there_are_a_thousand_keys_at_most_and_expired_ones_make_room() {
        let gate = Gate::new().await;
        let expires = Some(gate.clock.now().plus_ms(1000));
        for index in 0..u32::try_from(MAX_KEYS).unwrap() {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&index.to_le_bytes());
            let bearer = Bearer {
                id: format!("key_{index}"),
                name: "many".to_owned(),
                kind: BearerKind::ApiKey,
                scope: Scope::User,
                hash,
                created: gate.clock.now(),
                expires: expires.filter(|_| index == 0),
                last_used: None,
            };
            gate.store.bearer_insert(&bearer).await.unwrap();
        }
        let error = gate.access.mint_key("one more", Scope::User, None).await.unwrap_err();
        assert!(matches!(error, AccessError::TooManyKeys(MAX_KEYS)));
        gate.clock.forward(1000);
        gate.access.mint_key("one more", Scope::User, None).await.unwrap();
        assert!(gate.access.mint_key("yet one more", Scope::User, None).await.is_err());
    }

    #[tokio::test]
    async fn revoking_what_is_not_there_says_so() {
        let gate = Gate::new().await;
        let minted = gate.access.mint_key("k", Scope::User, None).await.unwrap();
        gate.access.revoke(minted.id.as_str()).await.unwrap();
        for id in [minted.id.as_str(), "", "key_x", minted.token.as_str()] {
            assert!(matches!(gate.access.revoke(id).await, Err(AccessError::NotFound)));
        }
    }

    #[tokio::test]
    async fn the_command_line_makes_keys_that_a_running_node_takes() {
        let gate = Gate::new().await;
        let minted =
            mint_key_in(&gate.store, gate.clock.as_ref(), &kith_keys::OsEntropy, "cli", Scope::Admin, None).await.unwrap();
        assert_eq!(gate.bearer(&minted.token).await.unwrap().scope, Some(Scope::Admin));
    }

    #[tokio::test]
    async fn without_random_bytes_there_is_no_key() {
        let gate = Gate::new().await;
        let error = mint_key_in(&gate.store, gate.clock.as_ref(), &NoEntropy, "k", Scope::User, None).await.unwrap_err();
        assert!(matches!(error, AccessError::Entropy(_)));
        assert_eq!(gate.access.keys().await.unwrap(), []);
    }
}
