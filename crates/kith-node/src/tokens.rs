//! API keys without a running node: written straight into the database, which a running node reads too.

use crate::node::StartError;
use kith_access::{AccessError, KeyInfo, Minted};
use kith_keys::OsEntropy;
use kith_store::Store;
use kith_types::{Scope, SystemClock, Timestamp};
use serde_json::{Value, json};
use std::path::Path;

async fn open(data_dir: &Path) -> Result<Store, StartError> {
    crate::node::make_private_folder(data_dir)?;
    Ok(Store::open(&data_dir.join("kith.db")).await?)
}

/// Records what was done here: no node may run that would.
async fn record(store: &Store, kind: &str, data: &Value) {
    if let Err(error) = kith_system::audit::append(store, &SystemClock, kind, data).await {
        tracing::warn!(%error, "the audit could not be written");
    }
}

/// Makes an API key.
pub async fn mint(data_dir: &Path, name: &str, scope: Scope, expires: Option<Timestamp>) -> Result<Minted, StartError> {
    let store = open(data_dir).await?;
    let minted = kith_access::mint_key_in(&store, &SystemClock, &OsEntropy, name, scope, expires).await;
    if let Ok(minted) = &minted {
        let data = json!({"id": minted.id.as_str(), "name": name.trim(), "scope": scope.as_str(), "by": "command line"});
        record(&store, "access.key_minted", &data).await;
    }
    store.close().await;
    Ok(minted?)
}

/// Lists API keys, newest first.
pub async fn list(data_dir: &Path) -> Result<Vec<KeyInfo>, StartError> {
    let store = open(data_dir).await?;
    let keys = kith_access::keys_in(&store).await;
    store.close().await;
    Ok(keys?)
}

/// Revokes an API key. A running node refuses it from its next request on.
pub async fn revoke(data_dir: &Path, id: &str) -> Result<(), StartError> {
    let store = open(data_dir).await?;
    let gone = store.bearer_delete(id).await;
    if matches!(gone, Ok(true)) {
        record(&store, "access.revoked", &json!({"id": id, "by": "command line"})).await;
    }
    store.close().await;
    if gone? { Ok(()) } else { Err(AccessError::NotFound.into()) }
}
