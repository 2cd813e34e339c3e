//! An embeddings request: one native request, and its vectors as OpenAI's clients read them.

use crate::field_error::{FieldError, checks};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use kith_inference::{Embed, EmbedInput, Embeddings};
use kith_wire::openai::{CompletionPrompt, Embedding, EmbeddingList, EmbeddingRequest, EmbeddingUsage, Vector};

/// How the answer writes vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Lists of numbers.
    Float,
    /// Base64 of little-endian 32-bit floats.
    Base64,
}

/// Translates a request. Errors name OpenAI's field.
pub(crate) fn embeddings(request: EmbeddingRequest) -> Result<(Embed, Encoding), FieldError> {
    checks::model(&request.model)?;
    let encoding = match request.encoding_format.as_deref() {
        None | Some("float") => Encoding::Float,
        Some("base64") => Encoding::Base64,
        Some(_) => return Err(FieldError::new("encoding_format", "`encoding_format` must be \"float\" or \"base64\"")),
    };
    let embed = Embed {
        model: request.model,
        inputs: inputs(request.input)?,
        truncate: request.truncate.unwrap_or(false),
        dimensions: checks::whole("dimensions", request.dimensions, 1, checks::MAX_COUNT)?,
        context: None,
        keep_alive: checks::keep_alive(request.keep_alive)?,
    };
    Ok((embed, encoding))
}

fn inputs(input: CompletionPrompt) -> Result<Vec<EmbedInput>, FieldError> {
    let (inputs, one): (Vec<EmbedInput>, bool) = match input {
        CompletionPrompt::Text(text) => (vec![EmbedInput::Text(text)], true),
        CompletionPrompt::Texts(texts) => (texts.into_iter().map(EmbedInput::Text).collect(), false),
        CompletionPrompt::Tokens(tokens) => (vec![EmbedInput::Tokens(tokens)], true),
        CompletionPrompt::TokenLists(lists) => (lists.into_iter().map(EmbedInput::Tokens).collect(), false),
    };
    let empty = |input: &EmbedInput| match input {
        EmbedInput::Text(text) => text.is_empty(),
        EmbedInput::Tokens(tokens) => tokens.is_empty(),
    };
    if inputs.is_empty() {
        return Err(FieldError::new("input", "`input` is an empty list"));
    }
    match inputs.iter().position(empty) {
        None => Ok(inputs),
        Some(at) => {
            let field = if one { "input".to_owned() } else { format!("input[{at}]") };
            let message = format!("`{field}` is empty");
            Err(FieldError::new(field, message))
        }
    }
}

/// The answer.
pub(crate) fn embedding_list(done: Embeddings, encoding: Encoding) -> EmbeddingList {
    let written = |vector: Vec<f32>| match encoding {
        Encoding::Float => Vector::Float(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            Vector::Base64(BASE64_STANDARD.encode(bytes))
        }
    };
    let one = |(index, vector)| Embedding { object: "embedding".into(), index, embedding: written(vector) };
    EmbeddingList {
        object: "list".into(),
        data: (0..).zip(done.vectors).map(one).collect(),
        model: done.card.name.clone(),
        usage: EmbeddingUsage { prompt_tokens: done.tokens, total_tokens: done.tokens },
    }
}

/// A field of the native request in the words of `/v1/embeddings`.
pub(crate) fn embedding_field(native: &str) -> String {
    match native {
        "messages" => "input".to_owned(),
        _ => native.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(input: CompletionPrompt) -> EmbeddingRequest {
        EmbeddingRequest { model: "m".into(), input, ..EmbeddingRequest::default() }
    }

    #[test]
    fn texts_and_tokens_become_inputs_in_their_order() {
        let (embed, encoding) = embeddings(asking(CompletionPrompt::Texts(vec!["a".into(), "b".into()]))).unwrap();
        assert_eq!(embed.inputs, [EmbedInput::Text("a".into()), EmbedInput::Text("b".into())]);
        assert_eq!((encoding, embed.truncate, embed.dimensions), (Encoding::Float, false, None));
        let (embed, _) = embeddings(asking(CompletionPrompt::Tokens(vec![1, 2]))).unwrap();
        assert_eq!(embed.inputs, [EmbedInput::Tokens(vec![1, 2])]);
    }

    #[test]
    fn what_cannot_be_embedded_is_told_by_field() {
        let field = |request: EmbeddingRequest| embeddings(request).unwrap_err().field;
        assert_eq!(field(asking(CompletionPrompt::Text(String::new()))), "input");
        assert_eq!(field(asking(CompletionPrompt::Texts(Vec::new()))), "input");
        assert_eq!(field(asking(CompletionPrompt::Texts(vec!["a".into(), String::new()]))), "input[1]");
        assert_eq!(field(asking(CompletionPrompt::TokenLists(vec![Vec::new()]))), "input[0]");
        let text = || asking(CompletionPrompt::Text("a".into()));
        assert_eq!(field(EmbeddingRequest { model: String::new(), ..text() }), "model");
        assert_eq!(field(EmbeddingRequest { encoding_format: Some("int8".into()), ..text() }), "encoding_format");
        assert_eq!(field(EmbeddingRequest { dimensions: Some(0), ..text() }), "dimensions");
    }
}
