//! Any bytes as a model's file: all of the way from its header over its sizes, its tokenizer and its weights to the first words. It is
//! loaded or refused with a sentence; a model that loads reads a text and writes two tokens, and a window of it loads too.
#![no_main]

use futures::StreamExt;
use kith_engine::{Constraint, Engine, EngineError, GenerateRequest, Input, ModelSpec, Sampling};
use kith_engine_layers::{LayersEngine, Next, Reads, Stage, StageOptions, Track, Window};
use kith_engine_layers_fuzz::{models, plant};
use libfuzzer_sys::fuzz_target;
use std::{path::Path, sync::LazyLock};
use tempfile::NamedTempFile;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));
static FILE: LazyLock<NamedTempFile> = LazyLock::new(|| NamedTempFile::new().expect("a file"));

/// A model that cannot be used is told with a sentence, and is not a fault of ours.
fn refused(error: &EngineError) {
    match error {
        EngineError::UnsupportedModel(sentence) => assert!(sentence.len() > 10, "{sentence}"),
        EngineError::Invalid { field: "window", .. } => {}
        other => panic!("{other:?}"),
    }
}

async fn whole(path: &Path, size: usize) {
    let spec = ModelSpec { context: Some(64), ..ModelSpec::gguf("tried", path, "llama", size as u64) };
    let engine = LayersEngine::new().with_threads(1).with_entropy(|| 1);
    engine.estimate(&spec);
    let model = match engine.load(spec).await {
        Ok(model) => model,
        Err(error) => return refused(&error),
    };
    let text = "hello wor <|im_start|>1234\n\u{e4}\u{1f600}<0x0A>";
    let ids = model.tokenize(text, true).await.expect("any text is read");
    model.detokenize(&ids).await.expect("its own tokens are known");
    let request = GenerateRequest {
        input: Input::Tokens(if ids.is_empty() { vec![0] } else { ids[..ids.len().min(5)].to_vec() }),
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        max_tokens: Some(2),
        logprobs: None,
        constraint: Constraint::None,
        adapter: None,
        ignore_eos: true,
    };
    // A window of a few tokens, or logits that are no numbers, may end it early.
    if let Ok(mut steps) = model.generate(request).await {
        while steps.next().await.is_some_and(|step| step.is_ok()) {}
    }
    model.unload().await;
}

fn window(path: &Path) {
    let window = Window { layers: 0..1, embedding: false, head: true };
    match Stage::load(path, &StageOptions { window: Some(window), context: Some(64), threads: 1, ..StageOptions::default() }) {
        Ok(mut stage) => {
            let (mut track, states) = (Track::new(), vec![0.5; 2 * stage.width()]);
            let read = stage.step(Reads::States(&states), &mut [Next { track: &mut track, tokens: 2 }], &|| false);
            if read.is_ok() {
                stage.logits(&[1]).expect("it has the head");
            }
        }
        Err(error) => refused(&error),
    }
}

fuzz_target!(init: plant(models()), |bytes: &[u8]| {
    let path = FILE.path();
    std::fs::write(path, bytes).expect("room for a file");
    RUNTIME.block_on(whole(path, bytes.len()));
    window(path);
});
