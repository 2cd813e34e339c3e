//! Keys and addresses: what may be changed, by what, and what is told of it.

use super::*;
use async_trait::async_trait;
use kith_types::SystemClock;
use std::sync::Mutex;

/// Keeps keys in memory; refuses while `full`.
#[derive(Default)]
struct Memory {
    rows: Mutex<Vec<KeptProvider>>,
    full: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl KeyStore for Memory {
    async fn load(&self) -> Result<Vec<KeptProvider>, KeyStoreError> {
        Ok(self.rows.lock().unwrap().clone())
    }

    async fn save(&self, changed: Vec<KeptProvider>) -> Result<(), KeyStoreError> {
        if self.full.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(KeyStoreError::Full);
        }
        let mut rows = self.rows.lock().unwrap();
        for one in changed {
            rows.retain(|row| row.name != one.name);
            if one.key.is_some() || one.base_url.is_some() {
                rows.push(one);
            }
        }
        Ok(())
    }
}

async fn opened(store: &Arc<Memory>, environment: &[(&str, &str)]) -> Arc<Providers> {
    let environment = environment.iter().map(|(name, key)| ((*name).to_owned(), Secret::parse(key).unwrap())).collect();
    let parts = ProvidersParts {
        store: Arc::clone(store) as Arc<dyn KeyStore>,
        environment,
        list_models: false,
        bounds: ProviderBounds::default(),
        clock: Arc::new(SystemClock),
    };
    Providers::open(parts).await.unwrap()
}

fn change(name: &str, key: Option<&str>, base_url: Option<&str>) -> ProviderChange {
    ProviderChange { name: name.into(), forget: false, key: key.map(str::to_owned), base_url: base_url.map(str::to_owned) }
}

fn told(providers: &Providers, name: &str) -> ProviderSetting {
    providers.settings().into_iter().find(|one| one.name == name).unwrap()
}

#[tokio::test]
async fn a_key_is_kept_used_and_never_told() {
    let store = Arc::new(Memory::default());
    let providers = opened(&store, &[]).await;
    assert!(providers.settings().iter().all(|one| one.key.is_none()));
    providers.change(vec![change("OpenAI", Some(" sk-one "), None)]).await.unwrap();
    assert_eq!(told(&providers, "openai").key, Some(KeySource::Kept));
    assert!(!format!("{:?}", providers.settings()).contains("sk-one"));
    // Another start finds it.
    let again = opened(&store, &[]).await;
    assert_eq!(again.target(table::provider("openai").unwrap()).unwrap().key.expose(), "sk-one");
    let gone = ProviderChange { forget: true, ..change("openai", None, None) };
    again.change(vec![gone]).await.unwrap();
    assert_eq!(told(&again, "openai").key, None);
    assert!(store.rows.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_key_never_follows_a_changed_address() {
    let store = Arc::new(Memory::default());
    let providers = opened(&store, &[("groq", "gsk-env")]).await;
    let elsewhere = "https://elsewhere.example/v1";
    providers.change(vec![change("openai", Some("sk-one"), None)]).await.unwrap();
    let error = providers.change(vec![change("openai", None, Some(elsewhere))]).await.unwrap_err();
    assert!(matches!(&error, SettingsError::Invalid { field, .. } if field == "openai.base_url"), "{error}");
    providers.change(vec![change("openai", Some("sk-two"), Some(elsewhere))]).await.unwrap();
    assert_eq!(told(&providers, "openai").base_url, elsewhere);
    // The same address again is no change.
    providers.change(vec![change("openai", None, Some(elsewhere))]).await.unwrap();
    // A key of the environment is for the provider's own address.
    assert_eq!(told(&providers, "groq").key, Some(KeySource::Environment));
    providers.change(vec![change("groq", None, Some(elsewhere))]).await.unwrap();
    assert_eq!(told(&providers, "groq").key, None);
}

#[tokio::test]
async fn changes_are_made_all_or_none() {
    let store = Arc::new(Memory::default());
    let providers = opened(&store, &[]).await;
    for bad in [
        change("nobody", Some("k"), None),
        change("groq", Some("two words"), None),
        change("groq", None, Some("http://groq.example")),
        change("openai", Some("k"), None),
    ] {
        let both = vec![change("openai", Some("sk-one"), None), bad];
        assert!(matches!(providers.change(both).await, Err(SettingsError::Invalid { .. })));
        assert_eq!(told(&providers, "openai").key, None);
    }
    store.full.store(true, std::sync::atomic::Ordering::Relaxed);
    let full = providers.change(vec![change("openai", Some("sk-one"), None)]).await;
    assert!(matches!(full, Err(SettingsError::Store(KeyStoreError::Full))));
    // What is not on disk does not hold.
    assert_eq!(told(&providers, "openai").key, None);
}
