//! Answers that must belong to a language.

use crate::support::{answer, chat, greedy, model};
use kith_engine::{Constraint, EngineError, Finish, GenerateRequest, Sampling};
use serde_json::{Value, json};

#[tokio::test]
async fn a_schema_gives_json_of_that_schema() {
    let Some(model) = model().await else { return };
    let schema = json!({
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "population": {"type": "integer", "minimum": 0, "maximum": 99_999_999}},
        "required": ["city", "population"],
        "additionalProperties": false
    });
    for seed in 0..3 {
        let request = GenerateRequest {
            constraint: Constraint::JsonSchema(schema.clone()),
            sampling: Sampling { temperature: 0.8, seed: Some(seed), ..Sampling::default() },
            ..greedy(&chat("Describe Paris as JSON."), 200)
        };
        let said = answer(&model, request).await.unwrap();
        assert_eq!(said.done.finish, Finish::Stop, "{}", said.text());
        let value: Value = serde_json::from_str(&said.text()).unwrap();
        assert!(value["city"].is_string() && value["population"].is_u64(), "{value}");
        assert_eq!(value.as_object().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_regex_gives_text_that_matches_whole_with_true_log_probabilities() {
    let Some(model) = model().await else { return };
    let request = GenerateRequest {
        constraint: Constraint::Regex("[0-9]{3}-[0-9]{4}".into()),
        logprobs: Some(1),
        ..greedy(&chat("What is your phone number?"), 30)
    };
    let said = answer(&model, request).await.unwrap();
    let text = said.text();
    assert!(
        text.len() == 8 && text.chars().enumerate().all(|(at, c)| if at == 3 { c == '-' } else { c.is_ascii_digit() }),
        "{text}"
    );
    assert_eq!(said.done.finish, Finish::Stop);
    // The model would rather have said something else: its own distribution is reported.
    let first = &said.tokens[0];
    assert!(first.logprob.as_ref().unwrap().logprob < first.top[0].logprob);
}

#[tokio::test]
async fn any_object_and_a_lark_grammar_work_too() {
    let Some(model) = model().await else { return };
    let object = GenerateRequest {
        constraint: Constraint::JsonObject,
        ..greedy(&chat("Give me a JSON object with the keys a and b."), 120)
    };
    let said = answer(&model, object).await.unwrap();
    assert!(said.text().trim_start().starts_with('{'), "{}", said.text());
    let lark = GenerateRequest {
        constraint: Constraint::Lark("start: (\"yes\" | \"no\") \"!\"".into()),
        ..greedy(&chat("Is water wet?"), 10)
    };
    let said = answer(&model, lark).await.unwrap().text();
    assert!(said == "yes!" || said == "no!", "{said}");
}

#[tokio::test]
async fn a_bad_grammar_is_refused_before_anything_runs() {
    let Some(model) = model().await else { return };
    let request = GenerateRequest { constraint: Constraint::Regex("[".into()), ..greedy("x", 1) };
    assert!(matches!(answer(&model, request).await, Err(EngineError::Invalid { field: "constraint", .. })));
}
