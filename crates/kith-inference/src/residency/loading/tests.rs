//! Models that guess for others, on the scripted engine.

use crate::{
    Bounds, Catalogue, Generate, Inference, InferenceError, ModelCard, Prompt,
    answer::made::{bounds, card, inference},
};
use kith_engine::{Engine, EngineError, Loaded, Memory, ModelSpec, scripted::ScriptedEngine};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Knows `large`, `small` and `tiny`, and none that is `gone`. Their files are called as they are.
struct Sizes;

#[async_trait::async_trait]
impl Catalogue for Sizes {
    async fn find(&self, name: &str) -> Result<Arc<ModelCard>, InferenceError> {
        let size = match name {
            "large" => 900,
            "small" => 50,
            "tiny" => 5,
            _ => return Err(InferenceError::ModelNotFound { name: name.into(), nearest: None }),
        };
        let mut card = ModelCard::clone(&card(name, "llama"));
        (card.spec.path, card.spec.size_bytes) = (name.into(), size);
        Ok(Arc::new(card))
    }
}

/// A model that was loaded, and its draft.
type Load = (String, Option<String>);

/// Lets any model guess for any other, and remembers which it loaded with which.
#[derive(Clone)]
struct Guessing {
    engine: ScriptedEngine,
    loads: Arc<Mutex<Vec<Load>>>,
    /// Whether drafts suit.
    suits: bool,
    /// Bytes that a draft takes.
    takes: u64,
}

impl Guessing {
    fn new(suits: bool, takes: u64) -> Self {
        Self { engine: ScriptedEngine::saying("yes"), loads: Arc::default(), suits, takes }
    }

    /// What was loaded since this was asked last, with its draft.
    fn loads(&self) -> Vec<Load> {
        std::mem::take(&mut *self.loads.lock().unwrap())
    }
}

#[async_trait::async_trait]
impl Engine for Guessing {
    fn name(&self) -> &'static str {
        "guessing"
    }

    fn supports(&self, _spec: &ModelSpec) -> bool {
        true
    }

    fn drafts(&self, _spec: &ModelSpec, _draft: &ModelSpec) -> bool {
        true
    }

    fn estimate(&self, spec: &ModelSpec) -> Memory {
        Memory { weights: 1 + if spec.draft.is_some() { self.takes } else { 0 }, ..Memory::default() }
    }

    async fn load(&self, spec: ModelSpec) -> Result<Arc<dyn Loaded>, EngineError> {
        let draft = spec.draft.as_ref().map(|path| path.display().to_string());
        self.loads.lock().unwrap().push((spec.name.clone(), draft));
        if spec.draft.is_some() && !self.suits {
            return Err(EngineError::UnsuitableDraft("it has other tokens".into()));
        }
        self.engine.load(spec).await
    }
}

fn drafting(draft: &str) -> Bounds {
    Bounds { draft: Some(draft.into()), ..bounds() }
}

fn on(engine: &Guessing, draft: &str) -> Arc<Inference> {
    inference(vec![Arc::new(engine.clone())], Sizes, drafting(draft))
}

fn with(name: &str, draft: Option<&str>) -> Load {
    (name.to_owned(), draft.map(str::to_owned))
}

#[tokio::test]
async fn a_model_is_loaded_with_the_draft_model_but_never_with_itself_or_a_larger_one() {
    let engine = Guessing::new(true, 1);
    let inference = on(&engine, "small");
    for name in ["large", "small", "tiny"] {
        inference.load(name, None, None).await.unwrap();
    }
    assert_eq!(engine.loads(), [with("large", Some("small")), with("small", None), with("tiny", None)]);
}

#[tokio::test]
async fn a_draft_that_does_not_suit_or_has_no_room_or_is_gone_leaves_the_model_without() {
    for (engine, draft, loads) in [
        (Guessing::new(false, 1), "small", vec![with("large", Some("small")), with("large", None)]),
        (Guessing::new(true, 1 << 40), "small", vec![with("large", None)]),
        (Guessing::new(true, 1), "gone", vec![with("large", None)]),
    ] {
        let inference = on(&engine, draft);
        inference.load("large", None, None).await.unwrap();
        assert_eq!(engine.loads(), loads);
        assert_eq!(inference.loaded().len(), 1);
    }
}

#[tokio::test]
async fn no_model_waits_for_room_for_its_draft() {
    let mut engine = Guessing::new(true, 200);
    engine.engine = ScriptedEngine::saying("one two three").with_pace(Duration::from_secs(3600));
    let few = Bounds { memory: 1000, ..drafting("tiny") };
    let inference = inference(vec![Arc::new(engine.clone())], Sizes, few);
    // While this one answers, there is room for a small model, and none for its draft.
    let _answer = inference.generate(Generate::new("large", Prompt::Raw("a".into()))).await.unwrap();
    let begun = Instant::now();
    inference.load("small", None, None).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(engine.loads(), [with("large", Some("tiny")), with("small", None)]);
}

#[tokio::test]
async fn an_engine_that_does_not_guess_so_is_not_asked_to() {
    let engine = ScriptedEngine::saying("yes");
    let inference = inference(vec![Arc::new(engine)], Sizes, drafting("small"));
    assert!(inference.load("large", None, None).await.is_ok());
}

#[tokio::test]
async fn another_draft_model_holds_from_the_next_load_on() {
    let engine = Guessing::new(true, 1);
    let inference = on(&engine, "small");
    inference.load("large", None, None).await.unwrap();
    inference.set_bounds(drafting("tiny"));
    inference.load("large", None, None).await.unwrap();
    assert_eq!(engine.loads(), [with("large", Some("small"))]);
    inference.unload("large").await.unwrap();
    inference.load("large", None, None).await.unwrap();
    assert_eq!(engine.loads(), [with("large", Some("tiny"))]);
}

#[tokio::test]
async fn a_model_whose_draft_leaves_the_library_leaves_memory_with_it() {
    let engine = Guessing::new(true, 1);
    let inference = on(&engine, "small");
    inference.load("large", None, None).await.unwrap();
    inference.release("tiny").await;
    assert_eq!(inference.loaded().len(), 1);
    inference.release("small").await;
    assert_eq!(inference.loaded().len(), 0);
}

#[tokio::test]
async fn only_a_model_of_the_library_can_be_named() {
    let inference = on(&Guessing::new(true, 1), "small");
    assert!(inference.must_have("tiny").await.is_ok());
    assert!(matches!(inference.must_have("gone").await, Err(InferenceError::ModelNotFound { .. })));
    assert!(matches!(inference.must_have("small+tone").await, Err(InferenceError::Invalid { .. })));
}
