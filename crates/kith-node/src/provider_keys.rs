//! Where keys of cloud providers meet the sealer and the database: sealed before they are written, opened after they are read.

use async_trait::async_trait;
use kith_inference::{KeptProvider, KeyStore, KeyStoreError, Secret};
use kith_keys::Sealer;
use kith_store::{ProviderRow, Store, StoreError};
use std::sync::Arc;

/// The keys in the node's database.
pub(crate) struct SealedKeys {
    store: Store,
    sealer: Arc<Sealer>,
}

/// What a seal is for. The address belongs to it: a row whose address was changed in the file opens no key.
fn purpose(name: &str, base_url: Option<&str>) -> String {
    format!("provider key\n{name}\n{}", base_url.unwrap_or_default())
}

fn fault(error: StoreError) -> KeyStoreError {
    match error {
        StoreError::Full => KeyStoreError::Full,
        other => KeyStoreError::Failed(other.to_string()),
    }
}

impl SealedKeys {
    pub(crate) fn new(store: Store, sealer: Arc<Sealer>) -> Self {
        Self { store, sealer }
    }

    fn open(&self, row: &ProviderRow) -> Option<Secret> {
        let sealed = row.sealed.as_ref()?;
        let opened = match self.sealer.open(&purpose(&row.name, row.base_url.as_deref()), sealed) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(provider = row.name, %error, "a provider's key cannot be opened; it must be set anew");
                return None;
            }
        };
        std::str::from_utf8(&opened).ok().and_then(|text| Secret::parse(text).ok())
    }

    fn sealed(&self, one: KeptProvider) -> Result<ProviderRow, KeyStoreError> {
        let purpose = purpose(&one.name, one.base_url.as_deref());
        let seal = |key: &Secret| self.sealer.seal(&purpose, key.expose().as_bytes());
        let sealed = one.key.as_ref().map(seal).transpose().map_err(|error| KeyStoreError::Failed(error.to_string()))?;
        Ok(ProviderRow { sealed, base_url: one.base_url, updated: one.updated, name: one.name })
    }
}

#[async_trait]
impl KeyStore for SealedKeys {
    async fn load(&self) -> Result<Vec<KeptProvider>, KeyStoreError> {
        let rows = self.store.providers().await.map_err(fault)?;
        let kept = rows.into_iter().map(|row| KeptProvider {
            key: self.open(&row),
            name: row.name,
            base_url: row.base_url,
            updated: row.updated,
        });
        Ok(kept.collect())
    }

    async fn save(&self, changed: Vec<KeptProvider>) -> Result<(), KeyStoreError> {
        let rows = changed.into_iter().map(|one| self.sealed(one)).collect::<Result<Vec<_>, _>>()?;
        self.store.providers_put(&rows).await.map_err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_keys::{KeyProvider, OsEntropy};
    use kith_types::Timestamp;
    use std::{path::Path, sync::Arc};

    async fn keys(dir: &Path) -> SealedKeys {
        let sealer = Sealer::load_or_create(dir, KeyProvider::File, Arc::new(OsEntropy)).unwrap();
        SealedKeys::new(Store::open(&dir.join("kith.db")).await.unwrap(), Arc::new(sealer))
    }

    fn kept(key: &str, base_url: Option<&str>) -> KeptProvider {
        KeptProvider {
            name: "openai".into(),
            key: Some(Secret::parse(key).unwrap()),
            base_url: base_url.map(str::to_owned),
            updated: Timestamp::from_ms(7),
        }
    }

    #[tokio::test]
    async fn a_key_is_found_again_and_its_text_is_nowhere_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let first = keys(dir.path()).await;
        let one = kept("sk-very-secret-key", Some("https://x.example"));
        first.save(vec![one.clone()]).await.unwrap();
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(9).any(|window| window == b"very-secr"));
        }
        first.store.close().await;
        assert_eq!(keys(dir.path()).await.load().await.unwrap(), [one]);
    }

    #[tokio::test]
    async fn a_row_whose_address_was_changed_opens_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let keys = keys(dir.path()).await;
        keys.save(vec![kept("sk-very-secret-key", None)]).await.unwrap();
        let mut row = keys.store.providers().await.unwrap().remove(0);
        row.base_url = Some("https://evil.example".into());
        keys.store.providers_put(&[row]).await.unwrap();
        assert_eq!(keys.load().await.unwrap()[0].key, None);
    }
}
