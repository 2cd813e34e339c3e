//! The model and the requests of these tests.

use futures::StreamExt;
use kith_engine::{Constraint, Engine, EngineError, GenerateRequest, Generated, Input, Loaded, ModelSpec, Sampling, Step, Token};
use kith_engine_mistral::MistralEngine;
use std::{path::PathBuf, sync::Arc};
use tokio::sync::OnceCell;

/// A model that all tests share, or `None` where there is no file.
pub async fn model() -> Option<Arc<dyn Loaded>> {
    static MODEL: OnceCell<Option<Arc<dyn Loaded>>> = OnceCell::const_new();
    MODEL
        .get_or_init(|| async {
            let spec = spec()?;
            Some(MistralEngine::new().load(spec).await.unwrap())
        })
        .await
        .clone()
}

/// The model's description: 4 answers at once, a window of 1024 tokens.
pub fn spec() -> Option<ModelSpec> {
    let named = std::env::var_os("KITH_TEST_MODEL").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let path = named.unwrap_or_else(|| home.join(".cache/kith/models/SmolLM2-135M-Instruct.Q4_1.gguf"));
    let Ok(file) = std::fs::metadata(&path) else {
        assert!(std::env::var_os("CI").is_none(), "the test model is missing: {}", path.display());
        println!("skipped: no model at {}", path.display());
        return None;
    };
    Some(ModelSpec { context: Some(1024), parallel: 4, ..ModelSpec::gguf("smollm2:135m", path, "llama", file.len()) })
}

/// A user's message in the model's template.
pub fn chat(message: &str) -> String {
    format!("<|im_start|>user\n{message}<|im_end|>\n<|im_start|>assistant\n")
}

/// The likeliest answer to `text`, at most `max_tokens` long.
pub fn greedy(text: &str, max_tokens: u32) -> GenerateRequest {
    GenerateRequest {
        input: Input::Text { text: text.into(), add_special: true, images: Vec::new() },
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        max_tokens: Some(max_tokens),
        logprobs: None,
        constraint: Constraint::None,
        ignore_eos: false,
        adapter: None,
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub tokens: Vec<Token>,
    pub done: Generated,
}

impl Answer {
    pub fn text(&self) -> String {
        self.tokens.iter().map(|token| token.text.as_str()).collect()
    }

    pub fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|token| token.id).collect()
    }
}

/// Reads an answer to its end.
pub async fn answer(model: &Arc<dyn Loaded>, request: GenerateRequest) -> Result<Answer, EngineError> {
    let mut stream = model.generate(request).await?;
    let mut tokens = Vec::new();
    while let Some(step) = stream.next().await {
        match step? {
            Step::Token(token) => tokens.push(token),
            Step::Done(done) => {
                assert!(stream.next().await.is_none(), "nothing follows the end");
                assert_eq!(done.usage.completion as usize, tokens.len());
                return Ok(Answer { tokens, done });
            }
        }
    }
    panic!("the stream ended without an end");
}
