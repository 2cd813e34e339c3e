//! What bodies become of the JSON that nodes answer.

use super::*;
use kith_wire::{conversations::ConversationMessage, ollama::ChatResponse, ollama::Options};
use serde::Deserialize;
use serde_json::json;
use std::{collections::BTreeMap, fmt::Debug};

/// Reads a text both ways; what comes is the same, or neither takes it.
fn both<T: DeserializeOwned + PartialEq + Debug>(text: &str) -> Option<T> {
    let (ours, plain) = (parse::<T>(text).ok(), serde_json::from_str::<T>(text).ok());
    assert_eq!(ours, plain, "{text}");
    ours
}

#[derive(Debug, PartialEq, Deserialize)]
struct Name(String);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shape {
    Plain,
    One(u8),
    Two(u8, String),
    Named { size: u16 },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Tagged {
    Text { text: String },
    Gap,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Whole {
    name: Name,
    count: Option<u64>,
    #[serde(default)]
    shapes: Vec<Shape>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[test]
fn a_body_is_read_as_serde_reads_it() {
    let text = r#"{"name":"a","count":18446744073709551615,"shapes":["plain",{"one":1},{"two":[2,"b"]},{"named":{"size":1}}],"more":[null,-1]}"#;
    assert_eq!(both::<Whole>(text).map(|whole| whole.shapes.len()), Some(4));
    assert!(both::<Whole>(r#"{"name":"a"}"#).is_some_and(|whole| whole.count.is_none() && whole.rest.is_empty()));
    assert_eq!(both::<Vec<Tagged>>(r#"[{"type":"gap"},{"text":"x","type":"text"}]"#).map(|all| all.len()), Some(2));
    assert_eq!(both::<BTreeMap<Shape, i8>>(r#"{"plain":-1}"#).map(|all| all.len()), Some(1));
    assert_eq!(both::<(bool, char, f64)>("[true,\"x\",3]"), Some((true, 'x', 3.0)));
    assert_eq!(both::<()>("null"), Some(()));
    assert_eq!(both::<Value>(r#"{"b":[1,2.5,"x",null,{}],"a":false}"#), Some(json!({"b": [1, 2.5, "x", null, {}], "a": false})));
}

#[test]
fn bodies_of_the_node_are_read_as_serde_reads_them() {
    let line = r#"{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"a\u00e9"},"done":true,
        "done_reason":"stop","total_duration":5,"load_duration":1,"prompt_eval_count":2,"prompt_eval_duration":1,"eval_count":3,
        "eval_duration":3}"#;
    assert!(both::<ChatResponse>(line).is_some_and(|line| line.metrics.is_some()));
    let options = both::<Options>(r#"{"temperature":1,"top_k":40.0,"stop":["a","b"],"unknown":{"x":1}}"#);
    assert!(options.is_some_and(|options| options.top_k == Some(40) && options.stop.is_some()));
    let message = r#"{"id":"a","parent":null,"role":"user","content":"x","created_at_ms":0,"updated_at_ms":1}"#;
    assert!(both::<ConversationMessage>(message).is_some());
}

#[test]
fn what_is_not_asked_for_is_refused_with_a_reason() {
    for text in ["", "{", r#"{"name":1}"#, r#"{"name":"a","count":-1}"#, r#"{"name":"a","shapes":["round"]}"#, "[1]", "null"] {
        assert_eq!(both::<Whole>(text), None);
    }
    assert_eq!(both::<(u8, u8)>("[1,2,3]"), None);
    assert_eq!(both::<u8>("256"), None);
    let said = |text: &str| parse::<Whole>(text).map_err(|error| error.to_string());
    assert_eq!(said("{}"), Err("missing field `name`".to_owned()));
    assert_eq!(said(r#"{"name":true}"#), Err("invalid type: boolean `true`, expected a string".to_owned()));
}

#[test]
fn an_array_never_stands_for_a_struct() {
    assert!(serde_json::from_str::<Shape>(r#"{"named":[1]}"#).is_ok());
    assert!(parse::<Shape>(r#"{"named":[1]}"#).is_err());
}
