//! Promises of making models.

use super::*;
use crate::{
    Library, Message, ModelError, NobodyUses, Speaker,
    gguf::{GgmlType, Gguf, Value},
    testing::{GgufBuilder, tiny_gguf},
};
use kith_blobs::Blobs;
use kith_store::Store;
use kith_types::{Clock, ModelName, Timestamp};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use tokio::sync::mpsc;

/// A clock that is set by hand.
#[derive(Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::Relaxed))
    }
}

struct Shelf {
    folder: tempfile::TempDir,
    library: Library,
    clock: Arc<Hand>,
}

impl Shelf {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("kith.db")).await.unwrap();
        let blobs = Blobs::open(&folder.path().join("blobs")).await.unwrap();
        let clock = Arc::new(Hand::default());
        let library = Library::open(store, blobs, clock.clone(), Arc::new(NobodyUses));
        Self { folder, library, clock }
    }

    /// Uploads bytes; gives their digest.
    async fn upload(&self, bytes: &[u8]) -> Sha256 {
        let file = self.folder.path().join("sent");
        std::fs::write(&file, bytes).unwrap();
        let digest = sha256(bytes).await;
        assert!(self.library.upload(digest, bytes).await.unwrap());
        digest
    }

    async fn make(&self, name: &str, recipe: Recipe) -> Result<(crate::Model, Vec<Step>), ModelError> {
        let plan = self.library.plan(named(name), recipe).await?;
        let (sender, mut receiver) = mpsc::channel(32);
        let listening = tokio::spawn(async move {
            let mut steps = Vec::new();
            while let Some(step) = receiver.recv().await {
                steps.push(step);
            }
            steps
        });
        let model = self.library.make(plan, sender).await?;
        Ok((model, listening.await.unwrap()))
    }

    fn files(&self) -> usize {
        let folders = std::fs::read_dir(self.folder.path().join("blobs/b3")).unwrap();
        folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
    }
}

/// The digest, found by sending the bytes under a wrong one.
async fn sha256(bytes: &[u8]) -> Sha256 {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).await.unwrap();
    blobs.put(bytes, None, u64::MAX, |_| {}).await.unwrap().sha256
}

fn named(name: &str) -> ModelName {
    name.parse().unwrap()
}

fn of(base: Base) -> Recipe {
    Recipe { base, adapters: Vec::new(), overrides: Overrides::default(), quantize: None }
}

fn file(digest: Sha256) -> Base {
    Base::Files(vec![("model.gguf".into(), digest)])
}

/// A model whose one matrix can be quantised.
fn wide() -> GgufBuilder {
    let row: Vec<u8> = (0..64u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    GgufBuilder::tiny(1).tensor("blk.0.attn_q.weight", &[32, 2], GgmlType::F32, &row)
}

#[tokio::test]
async fn an_upload_becomes_a_model_without_being_written_again() {
    let shelf = Shelf::new().await;
    let digest = shelf.upload(&tiny_gguf(1)).await;
    assert!(shelf.library.has_bytes(&digest).await.unwrap());
    let (model, steps) = shelf.make("a", of(file(digest))).await.unwrap();
    assert_eq!(steps, [Step::Using(digest), Step::Naming]);
    assert_eq!((model.sha256, shelf.files()), (digest, 1));
    shelf.library.remove(&model.name).await.unwrap();
    assert_eq!(shelf.files(), 0, "the model kept them, and it is gone");
}

#[tokio::test]
async fn bytes_of_another_digest_are_refused_and_not_kept() {
    let shelf = Shelf::new().await;
    let wrong = Sha256::from_bytes([1; 32]);
    let error = shelf.library.upload(wrong, &b"abc"[..]).await.unwrap_err();
    assert!(matches!(&error, ModelError::Invalid { field: "digest", .. }), "{error}");
    assert!(!shelf.library.has_bytes(&wrong).await.unwrap());
    let error = shelf.make("a", of(file(wrong))).await.unwrap_err();
    assert!(matches!(&error, ModelError::Invalid { field: "files", .. }), "{error}");
}

#[tokio::test]
async fn an_upload_is_kept_for_a_day_and_sending_it_again_begins_another() {
    const HOUR: i64 = 60 * 60 * 1000;
    let shelf = Shelf::new().await;
    let bytes = tiny_gguf(1);
    let digest = shelf.upload(&bytes).await;
    shelf.clock.0.store(23 * HOUR, Ordering::Relaxed);
    assert_eq!(shelf.library.rescan().await.unwrap().expired, 0);
    assert!(!shelf.library.upload(digest, &bytes[..]).await.unwrap(), "they are here already");
    shelf.clock.0.store(46 * HOUR, Ordering::Relaxed);
    assert_eq!(shelf.library.rescan().await.unwrap().expired, 0);
    shelf.clock.0.store(47 * HOUR, Ordering::Relaxed);
    let cleaned = shelf.library.rescan().await.unwrap();
    assert_eq!((cleaned.expired, cleaned.collected.files), (1, 1));
    assert!(!shelf.library.has_bytes(&digest).await.unwrap());
    let history = shelf.library.pruned().await.unwrap();
    assert_eq!((history[0].reason.as_str(), history[0].bytes), ("expired_uploads", bytes.len() as u64));
}

#[tokio::test]
async fn a_model_made_from_another_has_what_it_does_not_say_itself() {
    let shelf = Shelf::new().await;
    let digest = shelf.upload(&tiny_gguf(1)).await;
    let user = |text: &str| vec![Message { role: Speaker::User, content: text.into() }];
    let first = Overrides {
        system: Some("Be brief.".into()),
        template: Some("{{ messages }}".into()),
        parameters: json!({"top_k": 3, "temperature": 0.5}).as_object().cloned(),
        messages: Some(user("hi")),
        requires: Some("0.1".into()),
        ..Overrides::default()
    };
    shelf.make("base", Recipe { overrides: first, ..of(file(digest)) }).await.unwrap();
    let second = Overrides {
        system: Some("Be long.".into()),
        parameters: json!({"top_k": 9}).as_object().cloned(),
        license: Some("MIT".into()),
        ..Overrides::default()
    };
    let (model, _) = shelf.make("child", Recipe { overrides: second, ..of(Base::Model("BASE".into())) }).await.unwrap();
    assert_eq!((model.parent.as_deref(), model.system.as_deref()), (Some("base:latest"), Some("Be long.")));
    assert_eq!(model.template.as_deref(), Some("{{ messages }}"));
    assert_eq!(serde_json::Value::Object(model.parameters.clone()), json!({"top_k": 9, "temperature": 0.5}));
    assert_eq!(model.license.as_deref(), Some("apache-2.0\nMIT"));
    assert_eq!((&model.messages, model.requires.as_deref()), (&user("hi"), Some("0.1")));
    assert_eq!(shelf.library.get(&named("child")).await.unwrap(), model, "it is there as it was told");
    shelf.library.remove(&named("base")).await.unwrap();
    assert!(model.path.exists(), "the child still names the bytes");
}

#[tokio::test]
async fn a_model_is_quantised_and_its_base_stays() {
    let shelf = Shelf::new().await;
    let digest = shelf.upload(&wide().build()).await;
    shelf.make("base", of(file(digest))).await.unwrap();
    let recipe = Recipe { quantize: Some("Q8_0".into()), ..of(Base::Model("base".into())) };
    let (model, steps) = shelf.make("small", recipe).await.unwrap();
    assert_eq!(model.details.quantization, "Q8_0");
    assert!(matches!(&steps[0], Step::Writing { what, .. } if what == "quantizing F32 model to Q8_0"), "{steps:?}");
    assert_eq!(steps[steps.len() - 2..], [Step::Created(model.sha256), Step::Naming]);
    let gguf = Gguf::read(std::fs::File::open(&model.path).unwrap()).unwrap();
    assert_eq!(gguf.tensors[1].kind, GgmlType::Q8_0);
    assert_eq!(shelf.files(), 2);
    let again = Recipe { quantize: Some("q4_0".into()), ..of(Base::Model("small".into())) };
    let error = shelf.library.plan(named("x"), again).await.unwrap_err();
    assert!(matches!(&error, ModelError::Unsupported(reason) if reason.contains("quantised already")), "{error}");
    let unknown = Recipe { quantize: Some("q2_K".into()), ..of(Base::Model("base".into())) };
    let error = shelf.library.plan(named("x"), unknown).await.unwrap_err();
    assert!(
        error.to_string().ends_with("possible are Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_1, Q5_0, Q4_K_M, Q4_K_S, Q4_1, Q4_0"),
        "{error}"
    );
}

#[tokio::test]
async fn parts_are_joined_in_whatever_order_they_come() {
    let shelf = Shelf::new().await;
    let part = |no: u16| {
        let mut builder = if no == 0 { GgufBuilder::tiny(1) } else { GgufBuilder::default() };
        builder = builder.with("split.no", Value::U16(no)).with("split.count", Value::U16(2));
        builder.tensor(&format!("x{no}"), &[5], GgmlType::F32, &[7; 20]).build()
    };
    let (first, second) = (shelf.upload(&part(0)).await, shelf.upload(&part(1)).await);
    let recipe = of(Base::Files(vec![("b".into(), second), ("a".into(), first)]));
    let (model, _) = shelf.make("whole", recipe).await.unwrap();
    let gguf = Gguf::read(std::fs::File::open(&model.path).unwrap()).unwrap();
    let names: Vec<_> = gguf.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["token_embd.weight", "x0", "x1"]);
    let alone = of(Base::Files(vec![("a".into(), first)]));
    let error = shelf.library.plan(named("half"), alone).await.unwrap_err();
    assert!(matches!(&error, ModelError::BadFile { reason } if reason.contains("1 of the model's 2 parts")), "{error}");
}

#[tokio::test]
async fn a_folder_with_a_model_in_parts_is_imported_as_one() {
    let shelf = Shelf::new().await;
    let folder = tempfile::tempdir().unwrap();
    for no in 0..2u16 {
        let mut builder = if no == 0 { GgufBuilder::tiny(1) } else { GgufBuilder::default() };
        builder = builder.with("split.no", Value::U16(no)).with("split.count", Value::U16(2));
        let bytes = builder.tensor(&format!("x{no}"), &[5], GgmlType::F32, &[7; 20]).build();
        std::fs::write(folder.path().join(format!("m-{:05}-of-00002.gguf", no + 1)), bytes).unwrap();
    }
    let model = shelf.library.import(folder.path(), named("whole"), Overrides::default(), |_| {}).await.unwrap();
    assert_eq!(model.details.title.as_deref(), Some("Tiny 1"));
    std::fs::write(folder.path().join("other.gguf"), tiny_gguf(2)).unwrap();
    let error = shelf.library.import(folder.path(), named("x"), Overrides::default(), |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("holds 2 models"), "{error}");
}

#[tokio::test]
async fn what_is_no_model_and_what_is_not_there_is_told_before_anything_is_made() {
    let shelf = Shelf::new().await;
    let error = shelf.library.plan(named("a"), of(Base::Model("b".into()))).await.unwrap_err();
    assert!(matches!(error, ModelError::NotFound { .. }), "{error}");
    let nonsense = shelf.upload(b"nonsense").await;
    let error = shelf.library.plan(named("a"), of(file(nonsense))).await.unwrap_err();
    assert!(matches!(error, ModelError::BadFile { .. }), "{error}");
    let digest = shelf.upload(&tiny_gguf(1)).await;
    let twice = of(Base::Files(vec![("a".into(), digest), ("b".into(), digest)]));
    let error = shelf.library.plan(named("a"), twice).await.unwrap_err();
    assert!(error.to_string().contains("listed twice"), "{error}");
    let other = shelf.upload(&tiny_gguf(2)).await;
    let two = of(Base::Files(vec![("a".into(), digest), ("b".into(), other)]));
    let error = shelf.library.plan(named("a"), two).await.unwrap_err();
    assert!(error.to_string().contains("give it alone"), "{error}");
    let adapted = Recipe { adapters: vec![("lora".into(), digest)], ..of(file(digest)) };
    let error = shelf.make("a", adapted).await.unwrap_err();
    assert!(matches!(error, ModelError::BadFile { .. }), "a model is no adapter: {error}");
    assert_eq!(shelf.library.list().await.unwrap(), []);
}

#[tokio::test]
async fn what_a_plan_stands_on_stays_while_it_lives() {
    let shelf = Shelf::new().await;
    let digest = shelf.upload(&tiny_gguf(1)).await;
    shelf.make("base", of(file(digest))).await.unwrap();
    let plan = shelf.library.plan(named("child"), of(Base::Model("base".into()))).await.unwrap();
    shelf.library.remove(&named("base")).await.unwrap();
    let (sender, _receiver) = mpsc::channel(32);
    let child = shelf.library.make(plan, sender).await.unwrap();
    assert!(child.path.exists());
    assert_eq!(shelf.library.rescan().await.unwrap().collected.files, 0);
}

#[tokio::test]
async fn weights_are_written_for_one_model_at_a_time() {
    let shelf = Shelf::new().await;
    let digest = shelf.upload(&wide().build()).await;
    let recipe = Recipe { quantize: Some("q8_0".into()), ..of(file(digest)) };
    let plan = shelf.library.plan(named("a"), recipe).await.unwrap();
    let _turn = shelf.library.turn().unwrap();
    let (sender, _receiver) = mpsc::channel(32);
    let error = shelf.library.make(plan, sender).await.unwrap_err();
    assert!(matches!(error, ModelError::Busy), "{error}");
}

#[tokio::test]
async fn a_default_model_and_policies_last_as_long_as_their_model() {
    let shelf = Shelf::new().await;
    let digest = shelf.upload(&tiny_gguf(1)).await;
    let (model, _) = shelf.make("a", of(file(digest))).await.unwrap();
    assert_eq!(shelf.library.default_model().await.unwrap(), None);
    shelf.library.set_default_model(&model).await.unwrap();
    assert_eq!(shelf.library.default_model().await.unwrap().as_ref(), Some(&model));
    let policy = crate::Policy { auto_manage: true, prune: false, encrypted_pipeline: Some(true) };
    shelf.library.set_policy(&model, &policy).await.unwrap();
    assert_eq!(shelf.library.policy(&model).await.unwrap(), policy);
    shelf.library.remove(&model.name).await.unwrap();
    assert_eq!(shelf.library.policy(&model).await.unwrap(), crate::Policy::default());
    assert_eq!(shelf.library.default_model().await.unwrap(), None);
}

#[tokio::test]
async fn the_turn_lasts_until_the_work_has_ended_even_if_nobody_waits_for_it() {
    let shelf = Shelf::new().await;
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let (end, ending) = std::sync::mpsc::sync_channel::<()>(1);
    let turn = shelf.library.turn().unwrap();
    let library = shelf.library.clone();
    let making = tokio::spawn(async move {
        let work = library.anew(&turn, 10, move |_| {
            begun.send(()).unwrap();
            ending.recv().unwrap();
            Err(ModelError::Busy)
        });
        work.await.map(drop)
    });
    beginning.await.unwrap();
    making.abort();
    assert!(making.await.unwrap_err().is_cancelled());
    assert!(matches!(shelf.library.turn(), Err(ModelError::Busy)), "its work still goes on");
    end.send(()).unwrap();
    while shelf.library.turn().is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn weights_are_not_written_into_room_that_is_promised_to_others() {
    let shelf = Shelf::new().await;
    let digest = shelf.upload(&wide().build()).await;
    let mut others = shelf.library.blobs().reserve(0, 0).await.unwrap();
    others.still_to_come(1 << 62);
    let recipe = || Recipe { quantize: Some("q8_0".into()), ..of(file(digest)) };
    assert!(matches!(shelf.make("a", recipe()).await, Err(ModelError::Full)));
    let spare = sha256(b"more").await;
    assert!(matches!(shelf.library.upload(spare, &b"more"[..]).await, Err(ModelError::Full)));
    drop(others);
    shelf.make("a", recipe()).await.unwrap();
    assert!(shelf.library.upload(spare, &b"more"[..]).await.unwrap());
}

#[tokio::test]
async fn an_upload_that_was_damaged_since_is_taken_again() {
    let shelf = Shelf::new().await;
    let bytes = tiny_gguf(1);
    let digest = shelf.upload(&bytes).await;
    let (hash, _) = shelf.library.bytes(&digest).await.unwrap().unwrap();
    let path = shelf.library.blob_path(&hash);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, vec![0; bytes.len()]).unwrap();
    assert!(shelf.library.upload(digest, &bytes[..]).await.unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert!(!shelf.library.upload(digest, &bytes[..]).await.unwrap());
}
