//! What an answer is made of.

use crate::support::{answer, chat, greedy, model};
use kith_engine::{EngineError, Finish, GenerateRequest, Sampling};
use std::time::Duration;

#[tokio::test]
async fn the_model_knows_the_capital_of_france() {
    let Some(model) = model().await else { return };
    let said = answer(&model, greedy(&chat("What is the capital of France?"), 40)).await.unwrap();
    assert!(said.text().contains("Paris"), "{}", said.text());
    assert_eq!(said.done.finish, Finish::Stop);
    assert!(!said.text().contains("<|im_end|>"));
    assert!(said.done.timings.prefill > Duration::ZERO && said.done.timings.decode > Duration::ZERO);
}

fn sampled(seed: u64) -> GenerateRequest {
    let sampling = Sampling { temperature: 1.0, top_p: Some(0.95), seed: Some(seed), ..Sampling::default() };
    GenerateRequest { sampling, ..greedy(&chat("Tell me a story about a fox."), 24) }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_tokens_and_another_seed_others() {
    let Some(model) = model().await else { return };
    let first = answer(&model, sampled(11)).await.unwrap().ids();
    assert_eq!(answer(&model, sampled(11)).await.unwrap().ids(), first);
    assert_ne!(answer(&model, sampled(12)).await.unwrap().ids(), first);
}

#[tokio::test]
async fn without_a_seed_answers_differ() {
    let Some(model) = model().await else { return };
    let unseeded = || GenerateRequest { sampling: Sampling::default(), ..sampled(0) };
    assert_ne!(answer(&model, unseeded()).await.unwrap().ids(), answer(&model, unseeded()).await.unwrap().ids());
}

#[tokio::test]
async fn log_probabilities_are_those_of_a_distribution() {
    let Some(model) = model().await else { return };
    let request = GenerateRequest { logprobs: Some(20), ..greedy(&chat("Count from one to five."), 10) };
    let said = answer(&model, request).await.unwrap();
    for token in &said.tokens {
        let own = token.logprob.as_ref().unwrap();
        assert_eq!((own.id, token.top.len()), (token.id, 20));
        assert_eq!(own, &token.top[0], "the greedy token is the likeliest");
        assert!(token.top.windows(2).all(|pair| pair[0].logprob >= pair[1].logprob));
        let sum: f32 = token.top.iter().map(|top| top.logprob.exp()).sum();
        assert!(sum > 0.2 && sum <= 1.0001, "{sum}");
    }
    let plain = answer(&model, greedy(&chat("Count from one to five."), 3)).await.unwrap();
    assert!(plain.tokens.iter().all(|token| token.logprob.is_none() && token.top.is_empty()));
}

#[tokio::test]
async fn max_tokens_ends_the_answer_for_its_length() {
    let Some(model) = model().await else { return };
    for max in [1, 5] {
        let said = answer(&model, greedy(&chat("Write a long poem."), max)).await.unwrap();
        assert_eq!((said.tokens.len(), said.done.finish), (max as usize, Finish::Length));
    }
    let none = answer(&model, greedy(&chat("Write a long poem."), 0)).await.unwrap();
    assert_eq!((none.tokens.len(), none.done.finish), (0, Finish::Length));
}

#[tokio::test]
async fn ignoring_the_end_goes_on_after_it() {
    let Some(model) = model().await else { return };
    let ended = answer(&model, greedy(&chat("What is the capital of France?"), 60)).await.unwrap();
    assert_eq!(ended.done.finish, Finish::Stop);
    let request = GenerateRequest { ignore_eos: true, ..greedy(&chat("What is the capital of France?"), 60) };
    let went_on = answer(&model, request).await.unwrap();
    assert_eq!((went_on.tokens.len(), went_on.done.finish), (60, Finish::Length));
}

#[tokio::test]
async fn a_bias_of_minus_one_hundred_forbids_a_token() {
    let Some(model) = model().await else { return };
    let free = answer(&model, greedy("The capital of France is", 1)).await.unwrap().ids();
    let sampling = Sampling { temperature: 0.0, logit_bias: vec![(free[0], -100.0)], ..Sampling::default() };
    let biased = GenerateRequest { sampling, ..greedy("The capital of France is", 1) };
    assert_ne!(answer(&model, biased).await.unwrap().ids(), free);
}

#[tokio::test]
async fn values_out_of_bounds_are_refused() {
    let Some(model) = model().await else { return };
    let sampling = Sampling { top_p: Some(1.5), ..Sampling::default() };
    let error = answer(&model, GenerateRequest { sampling, ..greedy("x", 1) }).await.unwrap_err();
    assert!(matches!(error, EngineError::Invalid { field: "sampling.top_p", .. }));
}
