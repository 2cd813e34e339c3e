//! Promises of the library: names, shared bytes, and what remains after a crash.

use super::*;
use crate::testing::{GgufBuilder, tiny_gguf};
use kith_blobs::Collected;
use kith_types::{Sha256, Timestamp};
use serde_json::{Map, json};
use std::{
    path::PathBuf,
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicI64, Ordering},
    },
};

/// Tells a later time at each look.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Notes what it is asked to let go of, and whether the bytes were still there.
#[derive(Default)]
struct Noting {
    released: StdMutex<Vec<(Blake3, bool)>>,
    blobs: StdMutex<Option<Blobs>>,
}

#[async_trait::async_trait]
impl InUse for Noting {
    async fn release(&self, blob: &Blake3) {
        let blobs = self.blobs.lock().unwrap().clone().unwrap();
        let there = blobs.exists(blob).await.unwrap();
        self.released.lock().unwrap().push((*blob, there));
    }
}

struct Shelf {
    folder: tempfile::TempDir,
    library: Library,
    noting: Arc<Noting>,
}

impl Shelf {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::over(folder).await
    }

    /// A library on what `folder` holds, as after a restart.
    async fn over(folder: tempfile::TempDir) -> Self {
        let store = Store::open(&folder.path().join("kith.db")).await.unwrap();
        let blobs = Blobs::open(&folder.path().join("blobs")).await.unwrap();
        let noting = Arc::new(Noting::default());
        *noting.blobs.lock().unwrap() = Some(blobs.clone());
        let library = Library::open(store, blobs, Arc::new(Ticking(AtomicI64::new(1))), noting.clone());
        Self { folder, library, noting }
    }

    async fn restart(self) -> Self {
        let Self { folder, library, noting } = self;
        library.inner.store.close().await;
        drop((library, noting));
        Self::over(folder).await
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    async fn import(&self, seed: u64, name: &str) -> Model {
        let path = self.file("import.gguf", &tiny_gguf(seed));
        self.library.import(&path, name.parse().unwrap(), Overrides::default(), |_| ()).await.unwrap()
    }

    async fn names(&self) -> Vec<String> {
        self.library.list().await.unwrap().iter().map(|model| model.name.to_string()).collect()
    }

    async fn there(&self, model: &Model) -> bool {
        self.library.inner.blobs.exists(&model.blob).await.unwrap()
    }

    fn blob_files(&self) -> usize {
        let folders = fs::read_dir(self.folder.path().join("blobs/b3")).unwrap();
        folders.map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
    }
}

fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

#[tokio::test]
async fn an_imported_model_is_listed_with_what_its_file_says() {
    let shelf = Shelf::new().await;
    let path = shelf.file("a.gguf", &tiny_gguf(5));
    let overrides = Overrides {
        template: Some("{{ messages }}".into()),
        system: Some("Be brief.".into()),
        parameters: json!({"temperature": 0.5}).as_object().cloned(),
        ..Overrides::default()
    };
    let mut seen = 0;
    let model = shelf.library.import(&path, name("Tiny:5"), overrides, |bytes| seen = bytes).await.unwrap();
    assert_eq!(seen, model.size);
    assert_eq!(model.name.to_string(), "Tiny:5");
    assert_eq!(fs::read(&model.path).unwrap(), tiny_gguf(5));
    assert_eq!((model.size, model.format.as_str()), (tiny_gguf(5).len() as u64, "gguf"));
    assert_eq!(model.details.title.as_deref(), Some("Tiny 5"));
    assert_eq!((model.template.as_deref(), model.system.as_deref()), (Some("{{ messages }}"), Some("Be brief.")));
    assert_eq!(model.parameters["temperature"], 0.5);
    assert_eq!(model.license.as_deref(), Some("apache-2.0"), "the file's own, since none was given");
    assert_eq!(shelf.library.list().await.unwrap(), std::slice::from_ref(&model));
    assert_eq!(shelf.library.get(&name("tiny:5")).await.unwrap(), model);
    let metadata = shelf.library.metadata(&model, false).await.unwrap();
    assert_eq!(metadata.model_info["general.architecture"], "llama");
    assert_eq!(metadata.tensors[0].name, "token_embd.weight");
    assert!(path.exists(), "the original stays");
}

#[tokio::test]
async fn models_are_there_after_a_restart() {
    let shelf = Shelf::new().await;
    let model = shelf.import(1, "a").await;
    let shelf = shelf.restart().await;
    assert_eq!(shelf.library.clean().await.unwrap(), Collected::default());
    assert_eq!(shelf.library.list().await.unwrap(), [model]);
}

#[tokio::test]
async fn a_file_that_is_no_model_is_refused_and_leaves_nothing() {
    let shelf = Shelf::new().await;
    let adapter = GgufBuilder::tiny(1).with("general.type", crate::gguf::Value::String("adapter".into())).build();
    for (bytes, word) in [(b"hello".to_vec(), "GGUF"), (tiny_gguf(1)[..600].to_vec(), "incomplete"), (adapter, "LoRA")] {
        let path = shelf.file("bad", &bytes);
        let error = shelf.library.import(&path, name("a"), Overrides::default(), |_| ()).await.unwrap_err();
        assert!(matches!(&error, ModelError::BadFile { reason } if reason.contains(word)), "{error}");
    }
    let nowhere = shelf.library.import(Path::new("/nowhere"), name("a"), Overrides::default(), |_| ()).await.unwrap_err();
    assert!(matches!(nowhere, ModelError::BadFile { .. }));
    let folder = shelf.library.import(shelf.folder.path(), name("a"), Overrides::default(), |_| ()).await.unwrap_err();
    assert!(matches!(folder, ModelError::BadFile { .. }));
    assert!(shelf.names().await.is_empty());
    assert_eq!(shelf.blob_files(), 0);
}

#[tokio::test]
async fn bytes_that_turn_out_no_model_after_the_copy_are_removed() {
    let shelf = Shelf::new().await;
    // The original was swapped between the first look and the copy: what was copied decides.
    let put = shelf.library.inner.blobs.put(b"swapped".as_slice(), None, 100, |_| ()).await.unwrap();
    let error = shelf.library.inner.add(put, name("a"), Overrides::default(), "x".into()).await.unwrap_err();
    assert!(matches!(error, ModelError::BadFile { .. }));
    assert_eq!(shelf.blob_files(), 0);
}

#[tokio::test]
async fn an_import_under_a_taken_name_replaces_the_model_and_frees_its_bytes() {
    let shelf = Shelf::new().await;
    let old = shelf.import(1, "a").await;
    let new = shelf.import(2, "A:latest").await;
    assert_eq!(shelf.library.list().await.unwrap(), [new]);
    assert!(!shelf.there(&old).await);
    assert_eq!(*shelf.noting.released.lock().unwrap(), [(old.blob, true)], "let go of before the bytes went");
    // Once more the same bytes: nothing is freed.
    let same = shelf.import(2, "a").await;
    assert!(shelf.there(&same).await);
}

#[tokio::test]
async fn two_names_share_their_bytes_until_the_last_is_removed() {
    let shelf = Shelf::new().await;
    let one = shelf.import(1, "a").await;
    let two = shelf.library.copy(&name("a"), name("b:x")).await.unwrap();
    assert_eq!((one.blob, shelf.blob_files()), (two.blob, 1));
    assert_eq!(shelf.names().await, ["b:x", "a:latest"]);
    let removed = shelf.library.remove(&name("a")).await.unwrap();
    assert_eq!((removed.name.to_string(), removed.size), ("a:latest".to_owned(), one.size));
    assert!(shelf.there(&two).await);
    assert!(shelf.noting.released.lock().unwrap().is_empty());
    shelf.library.remove(&name("B:X")).await.unwrap();
    assert_eq!(shelf.blob_files(), 0);
    assert_eq!(*shelf.noting.released.lock().unwrap(), [(one.blob, true)]);
}

#[tokio::test]
async fn copying_onto_another_model_replaces_it_and_onto_itself_changes_nothing() {
    let shelf = Shelf::new().await;
    let one = shelf.import(1, "a").await;
    let two = shelf.import(2, "b").await;
    assert_eq!(shelf.library.copy(&name("a"), name("a")).await.unwrap(), one);
    let copy = shelf.library.copy(&name("a"), name("b")).await.unwrap();
    assert_eq!(copy.blob, one.blob);
    assert!(!shelf.there(&two).await);
    assert!(matches!(shelf.library.copy(&name("c"), name("d")).await.unwrap_err(), ModelError::NotFound { .. }));
}

#[tokio::test]
async fn a_name_means_itself_then_latest_then_the_only_tag() {
    let shelf = Shelf::new().await;
    shelf.import(1, "smollm2:135m").await;
    let resolved = |text: &'static str| {
        let library = shelf.library.clone();
        async move { library.resolve(text).await.map(|model| model.name.to_string()) }
    };
    assert_eq!(resolved("SmolLM2:135M").await.unwrap(), "smollm2:135m");
    assert_eq!(resolved("smollm2").await.unwrap(), "smollm2:135m", "the only tag");
    // A tag that was asked for is not replaced by another, `latest` neither.
    assert!(resolved("smollm2:latest").await.is_err());
    shelf.import(2, "smollm2:360m").await;
    let error = resolved("smollm2").await.unwrap_err();
    assert!(matches!(&error, ModelError::NotFound { nearest: Some(_), .. }), "two tags and no latest: {error}");
    shelf.import(3, "smollm2").await;
    assert_eq!(resolved("smollm2").await.unwrap(), "smollm2:latest");
}

#[tokio::test]
async fn an_unknown_name_is_answered_with_the_nearest() {
    let shelf = Shelf::new().await;
    shelf.import(1, "smollm2:135m").await;
    let error = shelf.library.resolve("smolm2").await.unwrap_err();
    let ModelError::NotFound { name: asked, nearest } = &error else { panic!("{error}") };
    assert_eq!((asked.as_str(), nearest.as_deref()), ("smolm2", Some("smollm2:135m")));
    assert!(error.to_string().contains("did you mean `smollm2:135m`?"));
    assert!(matches!(shelf.library.resolve("no name").await.unwrap_err(), ModelError::BadName(_)));
    assert!(matches!(shelf.library.remove(&name("x")).await.unwrap_err(), ModelError::NotFound { nearest: None, .. }));
}

#[tokio::test]
async fn bytes_whose_row_a_crash_prevented_are_collected() {
    let shelf = Shelf::new().await;
    let kept = shelf.import(1, "a").await;
    // The import's first half; then the machine stops.
    drop(shelf.library.inner.blobs.put(tiny_gguf(2).as_slice(), None, 1 << 20, |_| ()).await.unwrap());
    let shelf = shelf.restart().await;
    assert_eq!(shelf.library.clean().await.unwrap(), Collected { files: 1, bytes: tiny_gguf(2).len() as u64 });
    assert_eq!(shelf.library.list().await.unwrap(), [kept]);
}

#[tokio::test]
async fn bytes_whose_removal_a_crash_prevented_are_collected() {
    let shelf = Shelf::new().await;
    let model = shelf.import(1, "a").await;
    // The removal's first half; then the machine stops.
    shelf.library.inner.store.model_delete("a:latest").await.unwrap().unwrap();
    let shelf = shelf.restart().await;
    assert_eq!(shelf.library.clean().await.unwrap().files, 1);
    assert!(!shelf.there(&model).await);
}

#[tokio::test]
async fn rows_without_their_bytes_are_not_listed_and_go_when_the_owner_says_so() {
    let shelf = Shelf::new().await;
    let (gone, cut, kept) = (shelf.import(1, "gone").await, shelf.import(2, "cut").await, shelf.import(3, "kept").await);
    fs::remove_file(&gone.path).unwrap();
    fs::remove_file(&cut.path).unwrap();
    fs::write(&cut.path, &tiny_gguf(2)[..50]).unwrap();
    assert_eq!(shelf.names().await, ["kept:latest"]);
    assert!(matches!(shelf.library.get(&name("gone")).await.unwrap_err(), ModelError::Damaged { .. }));
    assert!(matches!(shelf.library.resolve("cut").await.unwrap_err(), ModelError::Damaged { .. }));
    assert!(matches!(shelf.library.metadata(&gone, true).await.unwrap_err(), ModelError::Damaged { .. }));
    let shelf = shelf.restart().await;
    // A disk may only be missing for now: what runs unasked keeps what it cannot see.
    assert_eq!(shelf.library.clean().await.unwrap(), Collected::default());
    assert!(matches!(shelf.library.get(&name("gone")).await.unwrap_err(), ModelError::Damaged { .. }));
    assert_eq!(shelf.library.rescan().await.unwrap().collected, Collected { files: 1, bytes: 50 });
    assert!(matches!(shelf.library.get(&name("gone")).await.unwrap_err(), ModelError::NotFound { .. }));
    assert_eq!(shelf.names().await, ["kept:latest"]);
    assert!(shelf.there(&kept).await);
}

#[tokio::test]
async fn a_broken_model_can_be_removed_or_imported_again() {
    let shelf = Shelf::new().await;
    let broken = shelf.import(1, "a").await;
    fs::remove_file(&broken.path).unwrap();
    assert_eq!(shelf.import(1, "a").await.blob, broken.blob);
    fs::remove_file(&broken.path).unwrap();
    shelf.library.remove(&name("a")).await.unwrap();
    assert!(shelf.names().await.is_empty());
}

#[tokio::test]
async fn a_description_of_another_release_is_read_anew_from_the_file() {
    let shelf = Shelf::new().await;
    let model = shelf.import(1, "a").await;
    let row = shelf.library.inner.store.model("a:latest").await.unwrap().unwrap();
    shelf.library.inner.store.model_put(&ModelRow { metadata: r#"{"old":true}"#.into(), ..row }).await.unwrap();
    assert!(shelf.names().await.is_empty());
    shelf.library.clean().await.unwrap();
    assert_eq!(shelf.library.list().await.unwrap(), [model]);
}

#[tokio::test]
async fn a_clean_up_during_imports_takes_nothing_that_is_wanted() {
    let shelf = Shelf::new().await;
    let imports = (0..24u64).map(|seed| {
        let (library, path) = (shelf.library.clone(), shelf.file(&format!("{seed}.gguf"), &tiny_gguf(seed)));
        tokio::spawn(async move { library.import(&path, name(&format!("m{seed}")), Overrides::default(), |_| ()).await })
    });
    let imports: Vec<_> = imports.collect();
    for _ in 0..20 {
        shelf.library.clean().await.unwrap();
    }
    for import in imports {
        let model = import.await.unwrap().unwrap();
        assert!(shelf.there(&model).await);
    }
    assert_eq!(shelf.names().await.len(), 24);
}

#[tokio::test]
async fn nothing_is_taken_from_defaults_that_were_not_given() {
    let shelf = Shelf::new().await;
    let model = shelf.import(1, "a").await;
    assert_eq!((&model.template, &model.system, &model.parameters), (&None, &None, &Map::new()));
    assert!(model.details.chat_template.is_some());
    assert_ne!(model.sha256, Sha256::from_bytes([0; 32]));
}

#[tokio::test]
async fn a_folder_of_an_encoder_becomes_one_file_and_the_same_folder_the_same_file() {
    let shelf = Shelf::new().await;
    let folder = crate::convert::tests::Folder::new();
    let import = |name: &'static str| shelf.library.import(folder.0.path(), name.parse().unwrap(), Overrides::default(), |_| ());
    let model = import("mini").await.unwrap();
    assert_eq!((model.format.as_str(), model.details.architecture.as_str()), ("gguf", "bert"));
    assert_eq!(model.details.capabilities, ["embedding"]);
    assert_eq!(fs::metadata(&model.path).unwrap().len(), model.size);
    assert_eq!(import("again").await.unwrap().blob, model.blob);
    assert_eq!(shelf.blob_files(), 1);
    fs::remove_file(folder.0.path().join("config.json")).unwrap();
    assert!(matches!(import("broken").await.unwrap_err(), ModelError::BadFile { .. }));
    assert_eq!((shelf.names().await.len(), shelf.blob_files()), (2, 1));
}

#[tokio::test]
async fn importing_a_model_again_heals_damage_that_its_length_does_not_show() {
    let shelf = Shelf::new().await;
    let model = shelf.import(1, "a").await;
    fs::remove_file(&model.path).unwrap();
    fs::write(&model.path, vec![0; tiny_gguf(1).len()]).unwrap();
    shelf.import(1, "b").await;
    assert_eq!(fs::read(&model.path).unwrap(), tiny_gguf(1));
    assert_eq!(*shelf.noting.released.lock().unwrap(), [(model.blob, true)], "who has the damaged bytes open lets go of them");
    shelf.import(1, "c").await;
    assert_eq!(shelf.noting.released.lock().unwrap().len(), 1, "sound bytes stay in use");
}
