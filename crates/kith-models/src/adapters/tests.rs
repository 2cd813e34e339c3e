//! What registering, listing, using and removing adapters promises.

use super::*;
use crate::{
    InUse, NobodyUses, Overrides,
    gguf::GgmlType,
    testing::{
        GgufBuilder,
        adapters::{bytes, noise, peft},
    },
};
use kith_blobs::Blobs;
use kith_store::Store;
use kith_types::SystemClock;
use tempfile::TempDir;

const V: &str = "model.layers.0.self_attn.v_proj";

struct House {
    dir: TempDir,
    library: Library,
    adapters: Adapters,
    blobs: Blobs,
}

fn model(seed: u64) -> Vec<u8> {
    GgufBuilder::tiny(seed).tensor("blk.0.attn_v.weight", &[8, 4], GgmlType::F32, &bytes(&noise(2, 32))).build()
}

async fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("kith.db")).await.unwrap();
    let blobs = Blobs::open(&dir.path().join("blobs")).await.unwrap();
    let derived = Derived::at(dir.path().join("derived"), Arc::new(SystemClock), Arc::new(NobodyUses));
    let library = Library::open(store, blobs.clone(), Arc::new(SystemClock), Arc::new(derived.clone()));
    let adapters = Adapters::new(library.clone(), derived, dir.path().join("adapters"));
    std::fs::create_dir(dir.path().join("adapters")).unwrap();
    let house = House { dir, library, adapters, blobs };
    house.import("base:1", 1).await;
    house
}

impl House {
    async fn import(&self, name: &str, seed: u64) {
        let path = self.dir.path().join("import.gguf");
        std::fs::write(&path, model(seed)).unwrap();
        self.library.import(&path, name.parse().unwrap(), Overrides::default(), |_| ()).await.unwrap();
    }

    fn put(&self, file: &str, bytes: &[u8]) {
        std::fs::write(self.dir.path().join("adapters").join(file), bytes).unwrap();
    }

    async fn register(&self, id: &str, seed: u32) -> Result<Adapter, ModelError> {
        self.put("a.safetensors", &peft(&[(V, 8, 4)], 2, 1.0, seed));
        self.adapters.register(new(id)).await
    }

    fn made(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("derived")).map_or(0, Iterator::count)
    }
}

fn new(id: &str) -> NewAdapter {
    NewAdapter { id: id.into(), base_model: "base:1".into(), path: "a.safetensors".into(), ..NewAdapter::default() }
}

#[tokio::test]
async fn a_registered_adapter_is_listed_and_outlives_its_file() {
    let house = house().await;
    let adapter = house.register("mine", 1).await.unwrap();
    assert_eq!((adapter.name.as_str(), adapter.rank, adapter.alpha), ("mine", 2, 2.0));
    assert_eq!(adapter.modules, ["attn_v"]);
    std::fs::remove_file(house.dir.path().join("adapters/a.safetensors")).unwrap();
    assert_eq!(house.adapters.list().await.unwrap(), [adapter]);
    house.library.clean().await.unwrap();
    let adapted = house.adapters.adapted("base:1", "mine").await.unwrap();
    assert!(adapted.path.is_file());
    assert_eq!(adapted.size, std::fs::metadata(&adapted.path).unwrap().len());
}

#[tokio::test]
async fn an_adapted_model_is_made_once_and_again_when_its_file_is_lost() {
    let house = house().await;
    house.register("mine", 1).await.unwrap();
    let asks = futures_join(&house, 8).await;
    assert!(asks.iter().all(|adapted| *adapted == asks[0]));
    assert_eq!(house.made(), 1);
    let bytes = std::fs::read(&asks[0].path).unwrap();
    std::fs::remove_file(&asks[0].path).unwrap();
    assert_eq!(house.adapters.adapted("base:1", "MINE").await.unwrap(), asks[0]);
    assert!(std::fs::read(&asks[0].path).unwrap() == bytes);
}

async fn futures_join(house: &House, count: usize) -> Vec<Adapted> {
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let adapters = house.adapters.clone();
            tokio::spawn(async move { adapters.adapted("base:1", "mine").await.unwrap() })
        })
        .collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

#[tokio::test]
async fn a_model_and_its_adapter_are_given_apart_without_making_a_file() {
    let house = house().await;
    house.register("mine", 1).await.unwrap();
    let apart = house.adapters.apart("base:1", "mine").await.unwrap();
    assert_eq!((apart.model.name.to_string().as_str(), apart.adapter.id.as_str(), apart.scale), ("base:1", "mine", 1.0));
    let matrices: Vec<_> = apart.matrices().unwrap().map(|matrices| matrices.unwrap()).collect();
    assert_eq!((matrices.len(), matrices[0].target.as_str(), matrices[0].rank), (1, "blk.0.attn_v.weight", 2));
    assert_eq!(house.made(), 0);
    assert_eq!(apart.version, house.adapters.adapted("base:1", "mine").await.unwrap().version);
    house.import("other:1", 2).await;
    assert!(matches!(house.adapters.apart("other:1", "mine").await, Err(ModelError::BadFile { .. })));
    house.adapters.remove("mine").await.unwrap();
    assert!(matches!(house.adapters.apart("base:1", "mine").await, Err(ModelError::NoAdapter { .. })));
    assert!(apart.matrices().is_err(), "its bytes are gone");
}

#[tokio::test]
async fn an_adapter_of_other_bytes_or_strength_is_another_version() {
    let house = house().await;
    house.register("one", 1).await.unwrap();
    house.register("two", 2).await.unwrap();
    house.put("a.safetensors", &peft(&[(V, 8, 4)], 2, 1.0, 1));
    house.adapters.register(NewAdapter { alpha: Some(9.0), ..new("strong") }).await.unwrap();
    let mut versions = Vec::new();
    for id in ["one", "two", "strong"] {
        versions.push(house.adapters.adapted("base:1", id).await.unwrap().version);
    }
    versions.sort();
    versions.dedup();
    assert_eq!((versions.len(), house.made()), (3, 3));
}

#[tokio::test]
async fn removing_an_adapter_removes_its_bytes_and_what_was_made_with_it() {
    let house = house().await;
    let one = house.register("one", 1).await.unwrap();
    house.register("twin", 1).await.unwrap();
    house.adapters.adapted("base:1", "one").await.unwrap();
    house.adapters.remove("one").await.unwrap();
    assert_eq!(house.made(), 0);
    assert!(house.blobs.exists(&one.blob).await.unwrap(), "its twin has the same bytes");
    house.adapters.remove("twin").await.unwrap();
    assert!(!house.blobs.exists(&one.blob).await.unwrap());
    for result in [house.adapters.remove("one").await.map(drop), house.adapters.adapted("base:1", "one").await.map(drop)] {
        assert!(matches!(result, Err(ModelError::NoAdapter { id }) if id == "one"));
    }
}

#[tokio::test]
async fn what_was_made_of_a_model_goes_with_the_model() {
    let house = house().await;
    house.register("mine", 1).await.unwrap();
    house.adapters.adapted("base:1", "mine").await.unwrap();
    house.library.remove(&"base:1".parse().unwrap()).await.unwrap();
    assert_eq!(house.made(), 0);
    assert!(matches!(house.adapters.adapted("base:1", "mine").await, Err(ModelError::NotFound { .. })));
    house.import("base:1", 1).await;
    assert!(house.adapters.adapted("base:1", "mine").await.is_ok());
}

#[tokio::test]
async fn an_adapter_is_for_its_own_model_under_any_name() {
    let house = house().await;
    house.register("mine", 1).await.unwrap();
    house.library.copy(&"base:1".parse().unwrap(), "copy:1".parse().unwrap()).await.unwrap();
    assert!(house.adapters.adapted("copy:1", "mine").await.is_ok());
    house.import("other:1", 2).await;
    let error = house.adapters.adapted("other:1", "mine").await.unwrap_err();
    assert!(
        matches!(&error, ModelError::BadFile { reason } if reason.contains("made for `base:1`, not for `other:1`")),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_said_of_an_adapter_must_be_so() {
    let house = house().await;
    house.put("a.safetensors", &peft(&[(V, 8, 4)], 2, 1.0, 1));
    let field = async |new: NewAdapter| match house.adapters.register(new).await {
        Err(ModelError::BadAdapter { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    for id in ["", ".", "-a", "a/b", "a b", "a..b", &"a".repeat(65), "ä"] {
        assert_eq!(field(new(id)).await, "id", "{id}");
    }
    assert_eq!(field(NewAdapter { name: Some(String::new()), ..new("a") }).await, "name");
    assert_eq!(field(NewAdapter { rank: Some(3), ..new("a") }).await, "rank");
    assert_eq!(field(NewAdapter { alpha: Some(-1.0), ..new("a") }).await, "alpha");
    assert_eq!(field(NewAdapter { path: "../kith.db".into(), ..new("a") }).await, "path");
    house.put("adapter_config.json", br#"{"lora_alpha": 4}"#);
    assert_eq!(field(NewAdapter { alpha: Some(5.0), ..new("a") }).await, "alpha");
    let unknown = house.adapters.register(NewAdapter { base_model: "nothing:1".into(), ..new("a") }).await;
    assert!(matches!(unknown, Err(ModelError::NotFound { .. })));
    assert_eq!(house.adapters.list().await.unwrap(), []);
    assert_eq!(house.adapters.register(NewAdapter { rank: Some(2), alpha: Some(4.0), ..new("a") }).await.unwrap().alpha, 4.0);
    assert!(matches!(house.register("A", 3).await, Err(ModelError::AdapterExists { .. })));
}

#[tokio::test]
async fn a_file_that_is_no_adapter_or_does_not_fit_leaves_nothing_behind() {
    let house = house().await;
    for bytes in [model(1), b"secret text".to_vec(), peft(&[(V, 8, 5)], 2, 1.0, 1)] {
        house.put("a.safetensors", &bytes);
        let error = house.adapters.register(new("a")).await.unwrap_err();
        assert!(matches!(error, ModelError::BadFile { .. }), "{error}");
        assert!(!error.to_string().contains("secret"));
    }
    assert_eq!(house.adapters.list().await.unwrap(), []);
    assert_eq!(house.library.clean().await.unwrap().files, 0);
    assert_eq!(house.library.list().await.unwrap().len(), 1, "the model whose bytes were offered is still there");
}

#[tokio::test]
async fn only_so_many_wait_for_adapted_models_to_be_made() {
    let house = house().await;
    house.register("mine", 1).await.unwrap();
    let making = house.adapters.inner.making.lock().await;
    let asks: Vec<_> = (0..MAX_WAITING)
        .map(|_| {
            let adapters = house.adapters.clone();
            tokio::spawn(async move { adapters.adapted("base:1", "mine").await })
        })
        .collect();
    while house.adapters.inner.waiting.load(Ordering::Acquire) < MAX_WAITING {
        tokio::task::yield_now().await;
    }
    assert!(matches!(house.adapters.adapted("base:1", "mine").await, Err(ModelError::Busy)));
    drop(making);
    for ask in asks {
        assert!(ask.await.unwrap().is_ok());
    }
    assert!(house.adapters.adapted("base:1", "mine").await.is_ok());
}

#[tokio::test]
async fn only_so_many_adapters_are_registered_and_none_that_is_too_large() {
    let house = house().await;
    house.register("mine", 1).await.unwrap();
    #[cfg(unix)]
    {
        let file = std::fs::File::options().append(true).open(house.dir.path().join("adapters/a.safetensors")).unwrap();
        file.set_len(MAX_FILE + 1).unwrap();
        assert!(matches!(house.adapters.register(new("large")).await, Err(ModelError::BadFile { .. })));
    }
    let store = house.library.shared().store;
    let row = store.adapter("mine").await.unwrap().unwrap();
    for count in 1..MAX_ADAPTERS {
        assert!(store.adapter_add(&AdapterRow { id: format!("n{count}"), ..row.clone() }).await.unwrap());
    }
    assert!(matches!(house.register("more", 2).await, Err(ModelError::TooManyAdapters(MAX_ADAPTERS))));
    house.adapters.remove("n1").await.unwrap();
    assert!(house.register("more", 2).await.is_ok());
}

#[tokio::test]
async fn clean_up_keeps_what_is_whole() {
    let house = house().await;
    house.register("mine", 1).await.unwrap();
    let adapted = house.adapters.adapted("base:1", "mine").await.unwrap();
    std::fs::write(house.dir.path().join("derived/making-x"), "half").unwrap();
    assert_eq!(house.adapters.clean().await.unwrap(), 1);
    assert!(adapted.path.is_file());
}

#[tokio::test]
async fn a_release_reaches_whoever_holds_the_bytes() {
    #[derive(Default)]
    struct Told(std::sync::Mutex<Vec<Blake3>>);
    #[async_trait::async_trait]
    impl InUse for Told {
        async fn release(&self, blob: &Blake3) {
            self.0.lock().unwrap().push(*blob);
        }
    }
    let told = Arc::new(Told::default());
    let dir = tempfile::tempdir().unwrap();
    let derived = Derived::at(dir.path().join("none"), Arc::new(SystemClock), told.clone());
    derived.release(&Blake3::from_bytes([1; 32])).await;
    assert_eq!(*told.0.lock().unwrap(), [Blake3::from_bytes([1; 32])]);
}
