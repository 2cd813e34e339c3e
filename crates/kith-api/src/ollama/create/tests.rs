//! Requests to make models, in every form clients send them.

use super::*;
use serde_json::{from_value, json};

fn asked(body: serde_json::Value) -> Asked {
    create(from_value(body).unwrap()).unwrap()
}

fn refused(body: serde_json::Value) -> ApiError {
    create(from_value(body).unwrap()).map(|asked| asked.recipe).unwrap_err()
}

fn digest() -> String {
    Sha256::from_bytes([7; 32]).to_string()
}

#[test]
fn every_field_has_its_place() {
    let asked = asked(json!({
        "model": "mario", "from": "llama3.2", "system": "You are Mario.", "template": "{{ .System }}{{ .Prompt }}",
        "license": ["MIT", "more"], "parameters": {"temperature": 0.5, "stop": ["x"]}, "quantize": "q4_0",
        "messages": [{"role": "user", "content": "hi"}], "requires": "0.14.0", "stream": false,
    }));
    assert_eq!((asked.name.to_string().as_str(), asked.stream), ("mario:latest", false));
    let recipe = asked.recipe;
    assert_eq!(recipe.base, Base::Model("llama3.2".into()));
    assert_eq!(recipe.quantize.as_deref(), Some("q4_0"));
    let overrides = recipe.overrides;
    assert!(overrides.template.unwrap().contains("{% macro exchange"), "the Go template was translated");
    assert_eq!((overrides.system.as_deref(), overrides.license.as_deref()), (Some("You are Mario."), Some("MIT\nmore")));
    assert_eq!(overrides.messages.unwrap(), [Message { role: Speaker::User, content: "hi".into() }]);
    assert_eq!(overrides.parameters.unwrap()["stop"], json!(["x"]));
    assert_eq!(overrides.requires.as_deref(), Some("0.14.0"));
}

#[test]
fn empty_texts_are_as_good_as_none() {
    let asked =
        asked(json!({"name": "a", "from": "b", "system": "", "template": "", "license": "", "quantize": "", "messages": []}));
    assert_eq!(asked.recipe.overrides, Overrides::default());
    assert_eq!(asked.recipe.quantize, None);
    assert!(asked.stream, "streamed unless told otherwise");
}

#[test]
fn an_older_clients_modelfile_is_read() {
    let modelfile = format!("FROM @{}\nSYSTEM be brief\nPARAMETER top_k 3\nMESSAGE user hi", digest());
    let recipe = asked(json!({"name": "a", "modelfile": modelfile, "parameters": {"top_k": 4}})).recipe;
    assert_eq!(recipe.base, Base::Files(vec![(digest(), Sha256::from_bytes([7; 32]))]));
    assert_eq!(recipe.overrides.system.as_deref(), Some("be brief"));
    assert_eq!(recipe.overrides.parameters.unwrap()["top_k"], 4, "the request's own fields win");
    assert_eq!(recipe.overrides.messages.unwrap().len(), 1);
    assert_eq!(asked(json!({"name": "a", "modelfile": "FROM llama3.2"})).recipe.base, Base::Model("llama3.2".into()));
}

#[test]
fn what_cannot_be_is_told_with_its_field() {
    for (body, field) in [
        (json!({"from": "b"}), "model"),
        (json!({"model": "a b", "from": "b"}), "model"),
        (json!({"model": "a"}), "from"),
        (json!({"model": "a", "from": "/etc/passwd"}), "from"),
        (json!({"model": "a", "from": "../x.gguf"}), "from"),
        (json!({"model": "a", "path": "/etc/Modelfile"}), "path"),
        (json!({"model": "a", "modelfile": "FROM /etc/passwd"}), "from"),
        (json!({"model": "a", "modelfile": "FROM b\nADAPTER ./lora"}), "modelfile"),
        (json!({"model": "a", "modelfile": "SYSTEM b"}), "modelfile"),
        (json!({"model": "a", "from": "b", "files": {"x": digest()}}), "files"),
        (json!({"model": "a", "files": {"x": "sha256:12"}}), "files"),
        (json!({"model": "a", "from": "b", "adapters": {"x": "y"}}), "adapters"),
        (json!({"model": "a", "from": "b", "template": "{{ template \"x\" }}"}), "template"),
        (json!({"model": "a", "from": "b", "template": "{% if %}"}), "template"),
        (json!({"model": "a", "from": "b", "parameters": {"temperature": "hot"}}), "parameters.temperature"),
        (json!({"model": "a", "from": "b", "messages": [{"role": "tool", "content": "x"}]}), "messages[0]"),
        (json!({"model": "a", "from": "b", "messages": [{"role": "user", "content": "x", "images": ["eA=="]}]}), "messages[0]"),
    ] {
        let error = refused(body.clone());
        assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some(field)), "{body}: {}", error.message);
    }
}
