//! Embeddings: texts in, vectors out.

use super::CompletionPrompt;
use crate::KeepAlive;
use serde::{Deserialize, Serialize};

/// `POST /v1/embeddings`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EmbeddingRequest {
    /// The model's name, `family:tag`.
    pub model: String,
    /// What is to be embedded: a text, a list of texts, a list of token ids, or a list of such lists. At most 2048 texts of together
    /// 8 MiB, none of them empty. Token ids are the model's own.
    pub input: CompletionPrompt,
    /// `float` (the default) for lists of numbers, `base64` for the Base64 of little-endian 32-bit floats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding_format: Option<String>,
    /// Keep only the first so many numbers of each vector. At least 1, at most the model's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub dimensions: Option<i64>,
    /// A name for the person on the client's side; taken and not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Extra: cut texts that are longer than the model's window, instead of refusing them. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncate: Option<bool>,
    /// Extra: how long the model stays loaded afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EmbeddingList {
    /// `list`.
    pub object: String,
    /// One embedding for each text, in their order.
    pub data: Vec<Embedding>,
    /// The model that embedded.
    pub model: String,
    /// Counts of tokens.
    pub usage: EmbeddingUsage,
}

/// One text's embedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Embedding {
    /// `embedding`.
    pub object: String,
    /// The text's place in the request.
    pub index: u32,
    /// The vector.
    pub embedding: Vector,
}

/// A vector in the form that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = EmbeddingVector)]
pub enum Vector {
    /// Its numbers.
    Float(Vec<f32>),
    /// Base64 of its numbers as little-endian 32-bit floats.
    Base64(String),
}

/// Counts of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EmbeddingUsage {
    /// Tokens read, those among them that open and close a text.
    pub prompt_tokens: u64,
    /// The same.
    pub total_tokens: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_str, from_value, json, to_string};

    #[test]
    fn an_answer_has_openais_names_and_order() {
        let one = |index, embedding| Embedding { object: "embedding".into(), index, embedding };
        let list = EmbeddingList {
            object: "list".into(),
            data: vec![one(0, Vector::Float(vec![0.5, -1.0])), one(1, Vector::Base64("AAAAPw==".into()))],
            model: "m:1".into(),
            usage: EmbeddingUsage { prompt_tokens: 3, total_tokens: 3 },
        };
        let text = to_string(&list).unwrap();
        insta::assert_snapshot!(text, @r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1.0]},{"object":"embedding","index":1,"embedding":"AAAAPw=="}],"model":"m:1","usage":{"prompt_tokens":3,"total_tokens":3}}"#);
        assert_eq!(from_str::<EmbeddingList>(&text).unwrap(), list);
    }

    #[test]
    fn a_request_needs_a_model_and_an_input() {
        assert!(from_value::<EmbeddingRequest>(json!({"model": "m", "input": "a"})).is_ok());
        for field in ["model", "input"] {
            let mut request = json!({"model": "m", "input": [[1, 2], [3]]});
            request.as_object_mut().unwrap().remove(field);
            assert!(from_value::<EmbeddingRequest>(request).unwrap_err().to_string().contains(field));
        }
    }
}
