//! What the model reads.

use crate::support::{answer, chat, greedy, model, spec};
use kith_engine::{Engine, EngineError, Finish, GenerateRequest, Input, ModelSpec};
use kith_engine_mistral::MistralEngine;

#[tokio::test]
async fn text_survives_tokens_and_back() {
    let Some(model) = model().await else { return };
    for text in
        ["Hello, world!", "  two spaces\n\n\ttab", "Größe 漢字 😀 12345", "<|im_start|>user\nhi<|im_end|>\n", "it's I'LL", ""]
    {
        let ids = model.tokenize(text, false).await.unwrap();
        assert_eq!(model.detokenize(&ids).await.unwrap(), text);
    }
}

#[tokio::test]
async fn special_tokens_in_the_text_are_read_as_such_and_digits_one_by_one() {
    let Some(model) = model().await else { return };
    assert_eq!(model.tokenize("<|im_start|><|im_end|>", true).await.unwrap(), [1, 2]);
    let ids = model.tokenize("2026", false).await.unwrap();
    assert_eq!(ids.len(), 4);
    // "Hello world" as the tokenizer published with the model cuts it.
    assert_eq!(model.tokenize("Hello world", false).await.unwrap(), [19556, 905]);
}

#[tokio::test]
async fn a_prompt_that_fills_the_window_is_refused_with_both_numbers() {
    let Some(model) = model().await else { return };
    let with = |count| GenerateRequest { input: Input::Tokens(vec![28; count]), ..greedy("", 5) };
    for count in [1024, 3000] {
        let prompt = u32::try_from(count).unwrap();
        let refused = EngineError::ContextExceeded { prompt, window: 1024 };
        assert_eq!(answer(&model, with(count)).await.unwrap_err(), refused);
    }
}

#[tokio::test]
async fn an_answer_fills_the_window_to_its_last_token() {
    let Some(spec) = spec() else { return };
    let model = MistralEngine::new().load(ModelSpec { context: Some(64), ..spec }).await.unwrap();
    let request = GenerateRequest { input: Input::Tokens(vec![28; 58]), max_tokens: None, ignore_eos: true, ..greedy("", 5) };
    let said = answer(&model, request).await.unwrap();
    assert_eq!((said.tokens.len(), said.done.finish), (6, Finish::Length));
    model.unload().await;
}

#[tokio::test]
async fn an_empty_prompt_and_unknown_tokens_are_refused() {
    let Some(model) = model().await else { return };
    for input in [
        Input::Tokens(vec![]),
        Input::Tokens(vec![5, 49_152]),
        Input::Text { text: String::new(), add_special: true, images: Vec::new() },
    ] {
        let error = answer(&model, GenerateRequest { input, ..greedy("", 5) }).await.unwrap_err();
        assert!(matches!(error, EngineError::Invalid { field: "input", .. }), "{error:?}");
    }
    assert!(matches!(model.detokenize(&[49_152]).await, Err(EngineError::Invalid { field: "input", .. })));
}

#[tokio::test]
async fn a_conversation_continues_from_the_prefix_cache_and_says_the_same() {
    let Some(spec) = spec() else { return };
    let engine = MistralEngine::new();
    let model = engine.load(spec.clone()).await.unwrap();
    let mut conversation = chat("Name three animals that live in the sea, and say one sentence about each of them.");
    let first = answer(&model, greedy(&conversation, 60)).await.unwrap();
    assert_eq!(first.done.usage.cached, 0);
    conversation += &first.text();
    conversation += "<|im_end|>\n";
    conversation += &chat("Which of them is the largest?");
    let cached = answer(&model, greedy(&conversation, 40)).await.unwrap();
    assert!(cached.done.usage.cached > 50, "{:?}", cached.done.usage);
    assert!(cached.done.usage.cached < cached.done.usage.prompt);
    model.unload().await;

    let fresh = engine.load(spec).await.unwrap();
    let uncached = answer(&fresh, greedy(&conversation, 40)).await.unwrap();
    assert_eq!(uncached.done.usage.cached, 0);
    assert_eq!(uncached.text(), cached.text());
    fresh.unload().await;
}
