//! Adapters on the scripted engine, with and without its taking them.

use super::*;
use crate::{Apart, Bounds, Catalogue, Generate, Piece, Prompt, answer::made};
use futures::StreamExt;
use kith_engine::{
    AdapterMatrices, AdapterReading, AdapterSource, Engine, EngineError, Loaded, Memory, ModelSpec, scripted::ScriptedEngine,
};
use std::sync::atomic::{AtomicUsize, Ordering};

fn card(name: &str) -> Arc<ModelCard> {
    made::card(name, "llama")
}

/// Two matrices; none of the adapter `broken`.
struct Two(bool);

impl AdapterSource for Two {
    fn read(&self) -> Result<AdapterReading<'_>, EngineError> {
        if self.0 {
            return Err(EngineError::Invalid { field: "adapter", message: "it does not fit".into() });
        }
        let matrices = |target: &str| AdapterMatrices {
            target: target.into(),
            rank: 1,
            inputs: 1,
            outputs: 1,
            a: vec![1.0],
            b: vec![1.0],
            scale: 1.0,
        };
        Ok(Box::new(["a", "b"].map(matrices).into_iter().map(Ok)))
    }
}

/// Knows every model, with every adapter. Counts the copies that were made.
#[derive(Clone, Default)]
struct Everything(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl Catalogue for Everything {
    async fn find(&self, name: &str) -> Result<Arc<ModelCard>, InferenceError> {
        match name.split_once('+') {
            Some((name, adapter)) => self.find_adapted(name, adapter).await,
            None => Ok(card(name)),
        }
    }

    async fn find_adapted(&self, name: &str, adapter: &str) -> Result<Arc<ModelCard>, InferenceError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(card(&format!("{name}+{adapter}")))
    }

    async fn find_apart(&self, name: &str, adapter: Option<&str>) -> Result<Option<Apart>, InferenceError> {
        let Some((name, id)) = adapter.map(|adapter| (name, adapter)).or_else(|| name.split_once('+')) else { return Ok(None) };
        let adapter = Adapter { id: id.into(), scale: 1.0, source: Arc::new(Two(id == "broken")) };
        Ok(Some(Apart { base: card(name), name: format!("{name}+{id}"), adapter }))
    }
}

/// Says that it takes adapters; what it loads takes none.
struct Boasting(ScriptedEngine);

#[async_trait::async_trait]
impl Engine for Boasting {
    fn name(&self) -> &'static str {
        "boasting"
    }

    fn supports(&self, spec: &ModelSpec) -> bool {
        self.0.supports(spec)
    }

    fn adapts(&self, _spec: &ModelSpec) -> bool {
        true
    }

    fn estimate(&self, spec: &ModelSpec) -> Memory {
        self.0.estimate(spec)
    }

    async fn load(&self, spec: ModelSpec) -> Result<Arc<dyn Loaded>, EngineError> {
        self.0.load(spec).await
    }
}

fn echo() -> ScriptedEngine {
    ScriptedEngine::new(|prompt| Ok(prompt.to_owned()))
}

fn inference(engine: impl Engine, catalogue: &Everything) -> Arc<Inference> {
    made::inference(vec![Arc::new(engine)], catalogue.clone(), made::bounds())
}

fn asking(model: &str, adapter: Option<&str>) -> Generate {
    Generate { lora_adapter: adapter.map(str::to_owned), ..Generate::new(model, Prompt::Raw("hi".into())) }
}

/// What was said, and under which name.
async fn said(inference: &Inference, request: Generate) -> (String, String) {
    let mut answer = inference.generate(request).await.unwrap();
    let mut text = String::new();
    while let Some(piece) = answer.pieces.next().await {
        if let Piece::Text { text: more, .. } = piece.unwrap() {
            text.push_str(&more);
        }
    }
    (answer.card.name.clone(), text)
}

fn loaded(inference: &Inference) -> Vec<String> {
    inference.loaded().into_iter().map(|model| model.card.name.clone()).collect()
}

#[tokio::test]
async fn an_engine_that_takes_adapters_holds_one_model_for_all_of_them() {
    let (engine, catalogue) = (echo().with_adapters(), Everything::default());
    let inference = inference(engine.clone(), &catalogue);
    for (model, adapter, name, text) in [
        ("m", Some("one"), "m+one", "[2 matrices of one] hi"),
        ("m", None, "m", "hi"),
        ("m", Some("two"), "m+two", "[2 matrices of two] hi"),
        ("m+one", None, "m+one", "[2 matrices of one] hi"),
    ] {
        assert_eq!(said(&inference, asking(model, adapter)).await, (name.to_owned(), text.to_owned()));
    }
    assert_eq!(loaded(&inference), ["m"]);
    assert_eq!((engine.counters().loads.load(Ordering::Relaxed), catalogue.0.load(Ordering::Relaxed)), (1, 0));
    assert_eq!(inference.last_asked().as_deref(), Some("m+one"));
    let demand: Vec<(String, u64)> = inference.demand().into_iter().collect();
    assert_eq!(demand, [("m".to_owned(), 1), ("m+one".to_owned(), 2), ("m+two".to_owned(), 1)]);
}

#[tokio::test]
async fn for_other_engines_a_copy_with_the_adapter_folded_in_is_a_model_of_its_own() {
    let (engine, catalogue) = (echo(), Everything::default());
    let inference = inference(engine.clone(), &catalogue);
    assert_eq!(said(&inference, asking("m", Some("one"))).await, ("m+one".to_owned(), "hi".to_owned()));
    assert_eq!(said(&inference, asking("m", None)).await, ("m".to_owned(), "hi".to_owned()));
    assert_eq!(loaded(&inference), ["m", "m+one"]);
    assert_eq!((engine.counters().loads.load(Ordering::Relaxed), catalogue.0.load(Ordering::Relaxed)), (2, 1));
}

#[tokio::test]
async fn a_model_that_turns_out_to_take_no_adapters_is_answered_by_the_copy() {
    let (engine, catalogue) = (echo(), Everything::default());
    let inference = inference(Boasting(engine.clone()), &catalogue);
    for _ in 0..2 {
        assert_eq!(said(&inference, asking("m", Some("one"))).await, ("m+one".to_owned(), "hi".to_owned()));
    }
    assert_eq!(loaded(&inference), ["m", "m+one"]);
    assert_eq!(engine.counters().loads.load(Ordering::Relaxed), 2);
    assert_eq!(inference.load("m+two", None, None).await.unwrap().card.name, "m+two");
    assert_eq!(loaded(&inference), ["m", "m+one", "m+two"]);
}

#[tokio::test]
async fn loading_a_model_with_an_adapter_loads_the_model() {
    let (engine, catalogue) = (echo().with_adapters(), Everything::default());
    let inference = inference(engine.clone(), &catalogue);
    assert_eq!(inference.load("m+one", None, None).await.unwrap().card.name, "m+one");
    assert_eq!(loaded(&inference), ["m"]);
    assert_eq!(inference.find("m+one").await.unwrap().name, "m+one");
    assert!(inference.supports("m+one").await.unwrap());
    assert_eq!(inference.count(&asking("m+one", None)).await.unwrap(), 1);
    assert_eq!(catalogue.0.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_model_leaves_when_the_last_name_it_is_kept_under_is_unloaded_or_it_itself() {
    let inference = inference(echo().with_adapters(), &Everything::default());
    let unload = async |name: &str| {
        let (card, was) = inference.unload(name).await.unwrap();
        assert_eq!(card.name, name);
        was
    };
    said(&inference, asking("m", Some("one"))).await;
    said(&inference, asking("m", None)).await;
    assert!(!unload("m+two").await, "nobody asked for it");
    assert!(unload("m+one").await);
    assert_eq!(loaded(&inference), ["m"], "others answer with it");
    assert!(!unload("m+one").await, "it is gone already");
    said(&inference, asking("m", Some("two"))).await;
    assert!(unload("m").await, "by its own name with all its adapters");
    assert_eq!(loaded(&inference), [] as [&str; 0]);
    said(&inference, asking("m", Some("one"))).await;
    assert!(unload("m+one").await);
    assert_eq!(loaded(&inference), [] as [&str; 0], "nobody else kept it");
}

#[tokio::test]
async fn a_model_stays_as_long_as_the_name_that_keeps_it_longest() {
    let inference = inference(echo().with_adapters(), &Everything::default());
    let at_once = Some(KeepAlive::For(Duration::ZERO));
    inference.set_bounds(Bounds { context: 64, ..made::bounds() });
    inference.load("m", None, Some(KeepAlive::For(Duration::from_secs(3600)))).await.unwrap();
    // The larger window is another load, and the same model.
    inference.load("m+two", Some(2048), at_once).await.unwrap();
    said(&inference, Generate { keep_alive: at_once, ..asking("m", Some("one")) }).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(inference.loaded().first().is_some_and(|model| model.expires.is_some()), "another name keeps it for an hour");
    inference.load("m", None, at_once).await.unwrap();
    for _ in 0..100 {
        if inference.loaded().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it stayed");
}

#[tokio::test]
async fn an_adapter_that_the_engine_refuses_is_told_by_its_field() {
    let inference = inference(echo().with_adapters(), &Everything::default());
    let refused = inference.generate(asking("m", Some("broken"))).await.err();
    assert!(matches!(&refused, Some(InferenceError::Invalid { field, .. }) if field == "lora_adapter"), "{refused:?}");
}
