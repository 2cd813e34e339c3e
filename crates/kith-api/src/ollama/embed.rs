//! Embeddings requests: one native request each, and its vectors as Ollama's clients read them.

use super::options;
use crate::field_error::{FieldError, checks};
use kith_inference::{Embed, EmbedInput, Embeddings, KeepAlive};
use kith_wire::ollama::{EmbedRequest, EmbedResponse, EmbedTexts, EmbeddingRequest, EmbeddingResponse, Options};

/// Translates a request of `/api/embed`. An empty text by itself asks for nothing but the model.
pub(crate) fn embed(request: EmbedRequest) -> Result<Embed, FieldError> {
    let input = request.input.or(request.prompt.map(EmbedTexts::One));
    let texts = match input {
        Some(EmbedTexts::One(text)) => not_empty(text),
        Some(EmbedTexts::Many(texts)) => texts,
        None => Vec::new(),
    };
    let dimensions = checks::whole("dimensions", request.dimensions, 1, checks::MAX_COUNT)?;
    let embed = native(request.model, texts, request.options, checks::keep_alive(request.keep_alive)?)?;
    Ok(Embed { truncate: request.truncate.unwrap_or(true), dimensions, ..embed })
}

/// Translates a request of `/api/embeddings`. An empty prompt asks for nothing but the model.
pub(crate) fn embedding(request: EmbeddingRequest) -> Result<Embed, FieldError> {
    let texts = not_empty(request.prompt.unwrap_or_default());
    native(request.model, texts, request.options, checks::keep_alive(request.keep_alive)?)
}

fn not_empty(text: String) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { vec![text] }
}

fn native(
    model: Option<String>,
    texts: Vec<String>,
    options: Option<Options>,
    keep_alive: Option<KeepAlive>,
) -> Result<Embed, FieldError> {
    let model = model.unwrap_or_default();
    checks::model(&model)?;
    let context = options::options(options)?.context;
    let inputs = texts.into_iter().map(EmbedInput::Text).collect();
    Ok(Embed { model, inputs, truncate: true, dimensions: None, context, keep_alive })
}

/// The answer of `/api/embed`.
pub(crate) fn embedded(done: Embeddings) -> EmbedResponse {
    let nanoseconds = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    EmbedResponse {
        model: done.card.name.clone(),
        embeddings: done.vectors,
        total_duration: nanoseconds(done.total),
        load_duration: nanoseconds(done.load),
        prompt_eval_count: done.tokens,
    }
}

/// The answer of `/api/embeddings`.
pub(crate) fn one_embedded(done: Embeddings) -> EmbeddingResponse {
    EmbeddingResponse { embedding: done.vectors.into_iter().next().unwrap_or_default() }
}

/// A field of the native request in the words of `/api/embed`.
pub(crate) fn embed_field(native: &str) -> String {
    match native {
        "messages" => "input".to_owned(),
        "context" => "options.num_ctx".to_owned(),
        _ => native.to_owned(),
    }
}

/// A field of the native request in the words of `/api/embeddings`.
pub(crate) fn embedding_field(native: &str) -> String {
    match native {
        "input" | "messages" => "prompt".to_owned(),
        _ => embed_field(native),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn one_text_many_and_none_are_told_apart() {
        let inputs = |body: serde_json::Value| embed(from_value(body).unwrap()).unwrap().inputs;
        let text = |text: &str| EmbedInput::Text(text.into());
        assert_eq!(inputs(json!({"model": "m", "input": "a"})), [text("a")]);
        assert_eq!(inputs(json!({"model": "m", "prompt": "a"})), [text("a")]);
        assert_eq!(inputs(json!({"model": "m", "input": ["a", ""]})), [text("a"), text("")]);
        assert_eq!(inputs(json!({"model": "m", "input": ""})), []);
        assert_eq!(inputs(json!({"model": "m"})), []);
        assert_eq!(embedding(from_value(json!({"model": "m", "prompt": "a"})).unwrap()).unwrap().inputs, [text("a")]);
    }

    #[test]
    fn long_texts_are_cut_unless_told_otherwise() {
        let request = |body: serde_json::Value| embed(from_value(body).unwrap());
        assert!(request(json!({"model": "m", "input": "a"})).unwrap().truncate);
        let told = json!({"model": "m", "input": "a", "truncate": false, "dimensions": 4, "options": {"num_ctx": 128}, "keep_alive": -1});
        let told = request(told).unwrap();
        assert_eq!((told.truncate, told.dimensions, told.context), (false, Some(4), Some(128)));
        assert_eq!(told.keep_alive, Some(KeepAlive::Forever));
        assert_eq!(request(json!({"input": "a"})).unwrap_err().field, "model");
        assert_eq!(request(json!({"model": "m", "dimensions": 0})).unwrap_err().field, "dimensions");
    }
}
