//! Options: what the request says, else what the model's file says, else Kith's defaults. Everything is checked against its bounds here.

use crate::{InferenceError, Options};
use kith_engine::Sampling;
use serde_json::{Map, Value};

/// Defaults where neither request nor model says anything: Ollama's, but for the repetition penalty, which is off as in llama.cpp:
/// it counts the prompt's words too, and small models then avoid the very words of the answer.
const TEMPERATURE: f32 = 0.8;
const TOP_K: u32 = 40;
const TOP_P: f32 = 0.9;
const REPETITION_PENALTY: f32 = 1.0;
const REPEAT_LAST_N: u32 = 64;

/// The most stop texts, and the most bytes of one.
const MAX_STOPS: usize = 16;
const MAX_STOP_BYTES: usize = 256;
/// The most alternatives reported with a token.
const MAX_TOP_LOGPROBS: u8 = 20;
/// The most biased tokens.
const MAX_LOGIT_BIAS: usize = 1024;

/// Options with nothing left open.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// The most tokens of the answer.
    pub max_tokens: Option<u32>,
    /// Alternatives to report.
    pub logprobs: Option<u8>,
    /// The window wanted, in tokens.
    pub context: Option<u32>,
}

fn invalid(field: &str, message: String) -> InferenceError {
    InferenceError::Invalid { field: field.to_owned(), message }
}

fn within(field: &str, value: Option<f32>, low: f32, high: f32) -> Result<(), InferenceError> {
    match value {
        Some(value) if !(low..=high).contains(&value) => {
            Err(invalid(field, format!("`{field}` is {value}; it must lie between {low} and {high}")))
        }
        _ => Ok(()),
    }
}

/// Checks what a request says against the bounds of each option.
pub(crate) fn check(options: &Options) -> Result<(), InferenceError> {
    within("temperature", options.temperature, 0.0, 5.0)?;
    within("top_p", options.top_p, 0.0, 1.0)?;
    within("min_p", options.min_p, 0.0, 1.0)?;
    within("frequency_penalty", options.frequency_penalty, -2.0, 2.0)?;
    within("presence_penalty", options.presence_penalty, -2.0, 2.0)?;
    within("repetition_penalty", options.repetition_penalty, 0.01, 10.0)?;
    if options.max_tokens == Some(0) {
        return Err(invalid("max_tokens", "`max_tokens` is 0; an answer has at least 1 token".to_owned()));
    }
    if options.stop.len() > MAX_STOPS {
        return Err(invalid("stop", format!("`stop` has {} texts; at most {MAX_STOPS} are taken", options.stop.len())));
    }
    if let Some(at) = options.stop.iter().position(|text| text.is_empty() || text.len() > MAX_STOP_BYTES) {
        let field = format!("stop[{at}]");
        return Err(invalid(&field, format!("`{field}` has {} bytes; 1 to {MAX_STOP_BYTES} are taken", options.stop[at].len())));
    }
    if options.logprobs.is_some_and(|n| n > MAX_TOP_LOGPROBS) {
        return Err(invalid("logprobs", format!("at most {MAX_TOP_LOGPROBS} alternatives can be reported with each token")));
    }
    if options.logit_bias.len() > MAX_LOGIT_BIAS {
        return Err(invalid("logit_bias", format!("`logit_bias` names more than {MAX_LOGIT_BIAS} tokens")));
    }
    if let Some((id, bias)) = options.logit_bias.iter().find(|(_, bias)| !(-100.0..=100.0).contains(bias)) {
        return Err(invalid("logit_bias", format!("the bias of token {id} is {bias}; it must lie between -100 and 100")));
    }
    Ok(())
}

/// Checks the parameters a model is to have: known names must have values of their type and within their bounds.
pub(crate) fn check_parameters(parameters: &Map<String, Value>) -> Result<(), InferenceError> {
    let of_type = |name: &str, value: &Value| match name {
        "temperature" | "top_p" | "min_p" | "repeat_penalty" | "frequency_penalty" | "presence_penalty" => value.is_number(),
        "top_k" | "seed" | "num_ctx" => value.is_u64(),
        "num_predict" | "repeat_last_n" => value.is_i64() || value.is_u64(),
        "stop" => value.is_string() || value.as_array().is_some_and(|texts| texts.iter().all(Value::is_string)),
        _ => true,
    };
    if let Some((name, value)) = parameters.iter().find(|(name, value)| !of_type(name, value)) {
        return Err(invalid(&format!("parameters.{name}"), format!("`parameters.{name}` cannot be {value}")));
    }
    check(&of_parameters(parameters))
}

/// The model's own parameters as options. Values of the wrong type are refused when a model is made; they count as unset here.
pub(crate) fn of_parameters(parameters: &Map<String, Value>) -> Options {
    let number = |key: &str| parameters.get(key).and_then(Value::as_f64);
    #[allow(clippy::cast_possible_truncation)]
    let float = |key: &str| number(key).map(|value| value as f32);
    let whole = |key: &str| parameters.get(key).and_then(Value::as_u64).and_then(|value| u32::try_from(value).ok());
    Options {
        temperature: float("temperature"),
        top_k: whole("top_k"),
        top_p: float("top_p"),
        min_p: float("min_p"),
        repetition_penalty: float("repeat_penalty"),
        repeat_last_n: parameters.get("repeat_last_n").and_then(Value::as_i64).map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        frequency_penalty: float("frequency_penalty"),
        presence_penalty: float("presence_penalty"),
        logit_bias: Vec::new(),
        seed: parameters.get("seed").and_then(Value::as_u64),
        max_tokens: whole("num_predict"),
        stop: match parameters.get("stop") {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        },
        logprobs: None,
        context: whole("num_ctx"),
    }
}

/// Lays the request's options over the model's parameters over the defaults.
pub(crate) fn effective(options: &Options, parameters: &Map<String, Value>) -> Result<Effective, InferenceError> {
    check(options)?;
    let model = of_parameters(parameters);
    let pick = |ours: Option<f32>, models: Option<f32>, default: f32| ours.or(models).unwrap_or(default);
    Ok(Effective {
        sampling: Sampling {
            temperature: pick(options.temperature, model.temperature, TEMPERATURE),
            top_k: Some(options.top_k.or(model.top_k).unwrap_or(TOP_K)).filter(|k| *k > 0),
            top_p: Some(pick(options.top_p, model.top_p, TOP_P)).filter(|p| *p > 0.0 && *p < 1.0),
            min_p: options.min_p.or(model.min_p).filter(|p| *p > 0.0),
            repetition_penalty: pick(options.repetition_penalty, model.repetition_penalty, REPETITION_PENALTY),
            repeat_last_n: options.repeat_last_n.or(model.repeat_last_n).unwrap_or(REPEAT_LAST_N),
            frequency_penalty: pick(options.frequency_penalty, model.frequency_penalty, 0.0),
            presence_penalty: pick(options.presence_penalty, model.presence_penalty, 0.0),
            logit_bias: options.logit_bias.clone(),
            seed: options.seed.or(model.seed),
        },
        stop: if options.stop.is_empty() { model.stop } else { options.stop.clone() },
        max_tokens: options.max_tokens.or(model.max_tokens),
        logprobs: options.logprobs,
        context: options.context.or(model.context),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn the_request_wins_over_the_model_and_the_model_over_the_default() {
        let parameters = map(json!({"temperature": 0.2, "top_k": 7, "stop": ["<end>"]}));
        let options = Options { temperature: Some(0.0), ..Options::default() };
        let effective = effective(&options, &parameters).unwrap();
        assert_eq!(effective.sampling.temperature, 0.0);
        assert_eq!(effective.sampling.top_k, Some(7));
        assert_eq!(effective.sampling.top_p, Some(TOP_P));
        assert_eq!(effective.stop, ["<end>"]);
    }

    #[test]
    fn values_out_of_bounds_are_refused_by_name() {
        let none = Map::new();
        let field = |options: Options| match effective(&options, &none) {
            Err(InferenceError::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(Options { temperature: Some(-0.1), ..Options::default() }), "temperature");
        assert_eq!(field(Options { temperature: Some(f32::NAN), ..Options::default() }), "temperature");
        assert_eq!(field(Options { top_p: Some(1.1), ..Options::default() }), "top_p");
        assert_eq!(field(Options { max_tokens: Some(0), ..Options::default() }), "max_tokens");
        assert_eq!(field(Options { stop: vec!["a".into(); 17], ..Options::default() }), "stop");
        assert_eq!(field(Options { stop: vec!["a".into(), String::new()], ..Options::default() }), "stop[1]");
        assert_eq!(field(Options { logprobs: Some(21), ..Options::default() }), "logprobs");
        assert_eq!(field(Options { logit_bias: vec![(1, 101.0)], ..Options::default() }), "logit_bias");
    }
}
