//! Embedding on the scripted engine.

use super::*;
use crate::{
    Catalogue, Generate, Piece, Prompt,
    answer::made::{bounds, card, inference as inference_on},
};
use futures::StreamExt;
use kith_engine::{
    Engine, EngineError, GenerateRequest, Loaded, LoadedInfo, Memory, ModelSpec, TokenStream, scripted::ScriptedEngine,
};
use std::sync::atomic::Ordering;

/// Knows a model for every architecture, by its name.
struct Anything;

#[async_trait::async_trait]
impl Catalogue for Anything {
    async fn find(&self, name: &str) -> Result<Arc<ModelCard>, InferenceError> {
        Ok(card(name, name))
    }
}

fn inference(engine: &ScriptedEngine) -> Arc<Inference> {
    inference_on(vec![Arc::new(engine.clone())], Anything, bounds())
}

fn asking(model: &str, inputs: Vec<EmbedInput>) -> Embed {
    Embed { model: model.into(), inputs, truncate: true, dimensions: None, context: None, keep_alive: None }
}

fn text(text: &str) -> EmbedInput {
    EmbedInput::Text(text.into())
}

#[tokio::test]
async fn texts_get_their_vectors_and_are_counted() {
    let engine = ScriptedEngine::saying("");
    let inference = inference(&engine);
    let done = inference.embed(asking("bert", vec![text("a b"), text("c"), text("a b")])).await.unwrap();
    assert_eq!((done.vectors.len(), done.tokens, done.card.name.as_str()), (3, 5, "bert"));
    assert_eq!(done.vectors[0], done.vectors[2]);
    let stats = inference.stats();
    assert_eq!((stats.prompts, stats.finished, stats.prompt_tokens, stats.running), (1, 1, 5, 0));
    assert_eq!(inference.loaded()[0].card.name, "bert");
    let again = inference.embed(asking("bert", vec![EmbedInput::Tokens(vec![0, 1])])).await.unwrap();
    assert_eq!((again.load, &again.vectors[0]), (Duration::ZERO, &done.vectors[0]));
    assert_eq!(engine.counters().loads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn without_texts_the_model_is_only_loaded_or_unloaded() {
    let engine = ScriptedEngine::saying("");
    let inference = inference(&engine);
    let done = inference.embed(asking("bert", Vec::new())).await.unwrap();
    assert_eq!((done.vectors.len(), done.tokens, inference.loaded().len()), (0, 0, 1));
    let gone = Embed { keep_alive: Some(KeepAlive::For(Duration::ZERO)), ..asking("bert", Vec::new()) };
    inference.embed(gone.clone()).await.unwrap();
    assert_eq!(inference.loaded().len(), 0);
    inference.embed(gone).await.unwrap();
    assert_eq!(engine.counters().loads.load(Ordering::Relaxed), 1, "what is not loaded is not loaded to be unloaded");
}

#[tokio::test]
async fn neither_kind_of_model_does_the_others_work_nor_is_loaded_for_it() {
    let engine = ScriptedEngine::saying("yes");
    let inference = inference(&engine);
    let refused = inference.embed(asking("llama", vec![text("a")])).await.unwrap_err();
    assert!(matches!(&refused, InferenceError::UnsupportedByModel(why) if why.contains("does not embed")), "{refused}");
    let refused = inference.generate(Generate::new("bert", Prompt::Raw("a".into()))).await.err().unwrap();
    assert!(matches!(&refused, InferenceError::UnsupportedByModel(why) if why.contains("writes no answers")), "{refused}");
    assert_eq!(engine.counters().loads.load(Ordering::Relaxed), 0);
    assert_eq!(inference.stats().failed, 2);
}

/// An engine whose models write answers and embed texts.
struct Both(ScriptedEngine);

struct WritesAndEmbeds {
    writer: Arc<dyn Loaded>,
    encoder: Arc<dyn Loaded>,
}

#[async_trait::async_trait]
impl Engine for Both {
    fn name(&self) -> &'static str {
        "both"
    }

    fn supports(&self, _spec: &ModelSpec) -> bool {
        true
    }

    fn embeds(&self, _spec: &ModelSpec) -> bool {
        true
    }

    fn estimate(&self, spec: &ModelSpec) -> Memory {
        self.0.estimate(spec)
    }

    async fn load(&self, spec: ModelSpec) -> Result<Arc<dyn Loaded>, EngineError> {
        let encoder = self.0.load(ModelSpec { architecture: "bert".into(), ..spec.clone() }).await?;
        Ok(Arc::new(WritesAndEmbeds { writer: self.0.load(spec).await?, encoder }))
    }
}

#[async_trait::async_trait]
impl Loaded for WritesAndEmbeds {
    fn info(&self) -> &LoadedInfo {
        self.writer.info()
    }

    fn memory(&self) -> Memory {
        self.writer.memory()
    }

    async fn tokenize(&self, text: &str, add_special: bool) -> Result<Vec<u32>, EngineError> {
        self.writer.tokenize(text, add_special).await
    }

    async fn detokenize(&self, tokens: &[u32]) -> Result<String, EngineError> {
        self.writer.detokenize(tokens).await
    }

    async fn generate(&self, request: GenerateRequest) -> Result<TokenStream, EngineError> {
        self.writer.generate(request).await
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embedded, EngineError> {
        self.encoder.embed(request).await
    }

    async fn unload(&self) {
        self.writer.unload().await;
        self.encoder.unload().await;
    }
}

#[tokio::test]
async fn a_model_that_does_both_answers_and_embeds_without_being_loaded_twice() {
    let engine = ScriptedEngine::saying("yes");
    let inference = inference_on(vec![Arc::new(Both(engine.clone()))], Anything, bounds());
    let answer = inference.generate(Generate::new("llama", Prompt::Raw("a".into()))).await.unwrap();
    let pieces = answer.pieces.collect::<Vec<_>>().await;
    assert!(pieces.iter().all(Result::is_ok) && pieces.len() > 1);
    assert_eq!(inference.embed(asking("llama", vec![text("a b")])).await.unwrap().tokens, 2);
    assert_eq!((inference.loaded().len(), inference.stats().finished), (1, 2));
    assert_eq!(engine.counters().loads.load(Ordering::Relaxed), 2, "its two halves, once each");
}

#[tokio::test]
async fn a_model_that_the_first_engine_only_answers_with_embeds_on_the_one_that_can_and_then_does_both_there() {
    let (writer, both) = (ScriptedEngine::saying("first"), ScriptedEngine::saying("both"));
    let inference = inference_on(vec![Arc::new(writer.clone()), Arc::new(Both(both.clone()))], Anything, bounds());
    let said = async || {
        let answer = inference.generate(Generate::new("llama", Prompt::Raw("a".into()))).await.unwrap();
        answer
            .pieces
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .any(|piece| matches!(piece.unwrap(), Piece::Text { text, .. } if text.contains("both")))
    };
    let loads = || [&writer, &both].map(|engine| engine.counters().loads.load(Ordering::Relaxed));
    assert!(!said().await);
    assert_eq!(loads(), [1, 0]);
    for _ in 0..2 {
        assert_eq!(inference.embed(asking("llama", vec![text("a b")])).await.unwrap().tokens, 2);
    }
    assert!(said().await, "it is not loaded to and fro");
    assert_eq!((loads(), inference.loaded().len()), ([1, 2], 1));
}

/// Says that its models embed, and refuses them all.
struct Refusing;

#[async_trait::async_trait]
impl Engine for Refusing {
    fn name(&self) -> &'static str {
        "refusing"
    }

    fn supports(&self, _spec: &ModelSpec) -> bool {
        true
    }

    fn embeds(&self, _spec: &ModelSpec) -> bool {
        true
    }

    fn estimate(&self, _spec: &ModelSpec) -> Memory {
        Memory::default()
    }

    async fn load(&self, _spec: ModelSpec) -> Result<Arc<dyn Loaded>, EngineError> {
        Err(EngineError::UnsupportedModel("its file is strange".into()))
    }
}

#[tokio::test]
async fn where_the_engine_that_embeds_refuses_a_model_it_answers_on_and_is_not_tried_again() {
    let writer = ScriptedEngine::saying("yes");
    let inference = inference_on(vec![Arc::new(writer.clone()), Arc::new(Refusing)], Anything, bounds());
    for _ in 0..3 {
        let refused = inference.embed(asking("llama", vec![text("a")])).await.unwrap_err();
        assert!(matches!(&refused, InferenceError::UnsupportedByModel(why) if why.contains("not embed")), "{refused}");
        let answer = inference.generate(Generate::new("llama", Prompt::Raw("a".into()))).await.unwrap();
        assert!(answer.pieces.collect::<Vec<_>>().await.iter().all(Result::is_ok));
    }
    assert_eq!(writer.counters().loads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn requests_beyond_the_bounds_are_refused_by_field() {
    let inference = inference(&ScriptedEngine::saying(""));
    let field = async |request: Embed| match inference.embed(request).await {
        Err(InferenceError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(inference.embed(asking("bert", vec![text("a"); MAX_EMBED_INPUTS])).await.unwrap().vectors.len(), MAX_EMBED_INPUTS);
    assert_eq!(field(asking("bert", vec![text("a"); MAX_EMBED_INPUTS + 1])).await, "input");
    let half = "x".repeat(MAX_EMBED_BYTES / 2);
    assert_eq!(inference.embed(asking("bert", vec![text(&half), text(&half)])).await.unwrap().vectors.len(), 2);
    assert_eq!(field(asking("bert", vec![text(&half), text(&half), text("x")])).await, "input");
    assert_eq!(field(asking("bert", vec![EmbedInput::Tokens(vec![0; MAX_EMBED_BYTES / 4 + 1])])).await, "input");
    assert_eq!(field(Embed { dimensions: Some(0), ..asking("bert", vec![text("a")]) }).await, "dimensions");
    assert_eq!(field(Embed { dimensions: Some(9), ..asking("bert", vec![text("a")]) }).await, "dimensions");
    let long = Embed { truncate: false, ..asking("bert", vec![text(&"a ".repeat(3000))]) };
    assert!(matches!(inference.embed(long).await, Err(InferenceError::ContextExceeded { window: 2048, .. })));
}

#[tokio::test]
async fn a_dropped_request_leaves_its_place_to_the_next() {
    let engine = ScriptedEngine::saying("").with_pace(Duration::from_millis(20));
    let inference = inference(&engine);
    let many = inference.embed(asking("bert", vec![text("a"); 1000]));
    assert!(tokio::time::timeout(Duration::from_millis(60), many).await.is_err());
    inference.embed(asking("bert", vec![text("a")])).await.unwrap();
    let stats = inference.stats();
    assert_eq!((stats.cancelled, stats.finished, stats.running), (1, 1, 0));
    assert_eq!(engine.counters().running.load(Ordering::Relaxed), 0);
}
