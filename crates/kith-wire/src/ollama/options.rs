//! Options of a run, with Ollama's names. Unknown ones (`num_gpu`, `mirostat`, …) are ignored, as Ollama does.

use crate::openai::Stop;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// Options of a run. What is left out comes from the model's own parameters.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaOptions)]
pub struct Options {
    /// The most tokens of the answer; 0 and below is the rest of the window.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub num_predict: Option<i64>,
    /// 0 takes the likeliest token; higher is more varied. 0 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 5)]
    pub temperature: Option<f32>,
    /// Keep the k likeliest tokens; 0 or less keeps all.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i64>,
    /// Keep the smallest set of likeliest tokens whose probabilities reach this. 0 to 1; 0 keeps the likeliest alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f32>,
    /// Keep tokens at least this fraction as likely as the likeliest. 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub min_p: Option<f32>,
    /// The same seed, prompt and options give the same answer; -1 draws one.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Texts that end the answer and are not part of it: at most 16, each at most 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// The context window to load the model with, in tokens.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub num_ctx: Option<i64>,
    /// Weakens tokens seen lately; 1 is off. 0.01 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.01, maximum = 10)]
    pub repeat_penalty: Option<f32>,
    /// How many of the last tokens `repeat_penalty` looks at; 0 is none, -1 all.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -1)]
    pub repeat_last_n: Option<i64>,
    /// Lowers a token's logit for each time the answer has it. -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -2, maximum = 2)]
    pub frequency_penalty: Option<f32>,
    /// Lowers the logit of every token the answer has. -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -2, maximum = 2)]
    pub presence_penalty: Option<f32>,
}

/// A whole number, also where a client writes it as `10.0` or `1e3`: Ollama reads every number as a float and cuts it.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    struct Whole;
    impl<'de> de::Visitor<'de> for Whole {
        type Value = Option<i64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(i64::try_from(number).unwrap_or(i64::MAX)))
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
            // `as` saturates; JSON has no NaN.
            Ok(Some(number.trunc() as i64))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_any(self)
        }
    }
    deserializer.deserialize_any(Whole)
}
