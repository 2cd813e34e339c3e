//! What `model` promises, sentence by sentence.

use super::*;
use crate::MistralEngine;
use futures::StreamExt;
use kith_engine::{Constraint, ModelSpec, Sampling, Step};
use std::{path::PathBuf, time::Duration};

fn request() -> GenerateRequest {
    GenerateRequest {
        input: Input::Text { text: "Once upon a time".into(), add_special: true, images: Vec::new() },
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        max_tokens: Some(12),
        logprobs: None,
        constraint: Constraint::None,
        ignore_eos: true,
        adapter: None,
    }
}

/// The test model, or `None` where there is none. CI must have it.
fn model_file() -> Option<PathBuf> {
    let named = std::env::var_os("KITH_TEST_MODEL").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let path = named.unwrap_or_else(|| home.join(".cache/kith/models/SmolLM2-135M-Instruct.Q4_1.gguf"));
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "the test model is missing: {}", path.display());
    println!("skipped: no model at {}", path.display());
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_engine_fails_waiting_and_later_requests_and_the_model_can_be_loaded_again() {
    let Some(path) = model_file() else { return };
    let size_bytes = std::fs::metadata(&path).unwrap().len();
    let spec = ModelSpec { context: Some(512), parallel: 2, ..ModelSpec::gguf("test", path, "llama", size_bytes) };
    let engine = MistralEngine::new();
    let model = engine.load_model(spec.clone()).await.unwrap();
    *model.fault_after.lock().unwrap() = Some(3);
    let faulty = model.generate(request()).await.unwrap();
    let waiting = model.generate(request()).await.unwrap();
    let ends = tokio::time::timeout(Duration::from_secs(60), async {
        let faulty: Vec<_> = faulty.collect().await;
        let waiting: Vec<_> = waiting.collect().await;
        (faulty, waiting)
    });
    let (faulty, waiting) = ends.await.unwrap();
    assert_eq!(faulty.iter().filter(|step| matches!(step, Ok(Step::Token(_)))).count(), 3);
    assert!(matches!(faulty.last(), Some(Err(EngineError::Failed(_)))), "{faulty:?}");
    assert!(matches!(waiting.last(), Some(Err(EngineError::Failed(_)))), "{waiting:?}");
    assert!(matches!(model.generate(request()).await.err(), Some(EngineError::Failed(_))));
    model.unload().await;

    let again = engine.load_model(spec).await.unwrap();
    let steps: Vec<_> = again.generate(request()).await.unwrap().collect().await;
    assert!(matches!(steps.last(), Some(Ok(Step::Done(_)))), "{steps:?}");
    again.unload().await;
}
