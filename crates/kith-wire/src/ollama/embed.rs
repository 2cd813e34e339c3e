//! Embeddings: `/api/embed`, and the older `/api/embeddings`.

use super::Options;
use crate::{KeepAlive, union::by_kind};
use serde::{Deserialize, Serialize};

/// `POST /api/embed`. Without texts it only loads the model; with a `keep_alive` of zero it unloads it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaEmbedRequest)]
pub struct EmbedRequest {
    /// The model's name, `family:tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What is to be embedded: a text, or a list of at most 2048 texts of together 8 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<EmbedTexts>,
    /// Extra: the same for a single text, where `input` is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Cut texts that are longer than the model's window; else they are refused. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncate: Option<bool>,
    /// Keep only the first so many numbers of each vector. At least 1, at most the model's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub dimensions: Option<i64>,
    /// Options of the run; only `num_ctx` means anything here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
    /// How long the model stays loaded afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
}

/// Texts to embed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = OllamaEmbedTexts)]
pub enum EmbedTexts {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

by_kind!(EmbedTexts, "a string or a list of strings", text => |t| Ok(EmbedTexts::One(t)), list => |l| Ok(EmbedTexts::Many(l)));

/// The answer of `/api/embed`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaEmbedResponse)]
pub struct EmbedResponse {
    /// The model that embedded.
    pub model: String,
    /// One vector for each text, in their order.
    pub embeddings: Vec<Vec<f32>>,
    /// The whole time, in nanoseconds.
    pub total_duration: u64,
    /// The time loading took, in nanoseconds; 0 if the model was loaded.
    pub load_duration: u64,
    /// Tokens read, those among them that open and close a text.
    pub prompt_eval_count: u64,
}

/// `POST /api/embeddings`. Without a prompt it only loads the model; with a `keep_alive` of zero it unloads it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaEmbeddingRequest)]
pub struct EmbeddingRequest {
    /// The model's name, `family:tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The text; cut where the model's window ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Options of the run; only `num_ctx` means anything here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
    /// How long the model stays loaded afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
}

/// The answer of `/api/embeddings`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaEmbeddingResponse)]
pub struct EmbeddingResponse {
    /// The text's vector; empty where there was no text.
    pub embedding: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json, to_string};

    #[test]
    fn an_answer_has_ollamas_names() {
        let answer = EmbedResponse {
            model: "m:1".into(),
            embeddings: vec![vec![0.25, -1.0], vec![0.1, 0.0]],
            total_duration: 9,
            load_duration: 0,
            prompt_eval_count: 4,
        };
        insta::assert_snapshot!(to_string(&answer).unwrap(), @r#"{"model":"m:1","embeddings":[[0.25,-1.0],[0.1,0.0]],"total_duration":9,"load_duration":0,"prompt_eval_count":4}"#);
        insta::assert_snapshot!(to_string(&EmbeddingResponse { embedding: vec![0.5] }).unwrap(), @r#"{"embedding":[0.5]}"#);
    }

    #[test]
    fn texts_are_one_or_many() {
        assert_eq!(from_value::<EmbedTexts>(json!("a")).unwrap(), EmbedTexts::One("a".into()));
        assert_eq!(from_value::<EmbedTexts>(json!(["a", "b"])).unwrap(), EmbedTexts::Many(vec!["a".into(), "b".into()]));
        for wrong in [json!(1), json!([1]), json!({}), json!(null), json!([["a"]])] {
            assert!(from_value::<EmbedTexts>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
