//! `kith show`: what is known of a model, in Ollama's sections.

use crate::{
    cli::Show,
    client::Client,
    context::Context,
    error::{CliError, Result},
    out, render,
};
use serde_json::{Value, json};

/// Lines of a system text or licence shown among the sections.
const EXCERPT: usize = 4;

/// Prints what is known of the model, or one part of it.
pub async fn show(context: &Context, options: &Show) -> Result<()> {
    let shown = ask(&context.ensured().await?, &options.model).await?;
    if context.json {
        return out::json(&shown);
    }
    match options.part() {
        None => out::text(&sections(&shown)),
        Some(field) => {
            let text = part(&shown, field);
            out::text(&text.ok_or_else(|| CliError::Local(format!("{} has no {field}", options.model)))?)
        }
    }
}

/// What the node knows of `model`.
pub async fn ask(client: &Client, model: &str) -> Result<Value> {
    client.post("/api/show", &json!({"model": model})).await
}

fn part(shown: &Value, field: &str) -> Option<String> {
    let text = shown[field].as_str().filter(|text| !text.trim().is_empty())?;
    Some(format!("{}\n", render::printable(text.trim_end(), true)))
}

/// The sections: model, capabilities, parameters, system, licence.
pub fn sections(shown: &Value) -> String {
    let info = &shown["model_info"];
    let details = &shown["details"];
    let architecture = info["general.architecture"].as_str().or_else(|| details["family"].as_str()).unwrap_or_default();
    let mut model: Vec<(String, String)> = Vec::new();
    let mut row = |key: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            model.push((key.to_owned(), value));
        }
    };
    row("architecture", Some(architecture.to_owned()));
    let parameters = details["parameter_size"].as_str().map(str::to_owned);
    row("parameters", parameters.or_else(|| info["general.parameter_count"].as_u64().map(render::count)));
    let of_architecture = |key: &str| info[format!("{architecture}.{key}")].as_u64().map(|number| number.to_string());
    row("context length", of_architecture("context_length"));
    row("embedding length", of_architecture("embedding_length"));
    row("quantization", details["quantization_level"].as_str().map(str::to_owned));

    let capabilities: Vec<_> = shown["capabilities"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|capability| (capability.to_owned(), String::new()))
        .collect();
    let parameters: Vec<_> = shown["parameters"]
        .as_str()
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.trim().split_once(char::is_whitespace))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect();
    [
        render::section("Model", &model),
        render::section("Capabilities", &capabilities),
        render::section("Parameters", &parameters),
        render::excerpt("System", shown["system"].as_str().unwrap_or_default(), EXCERPT),
        render::excerpt("License", shown["license"].as_str().unwrap_or_default(), EXCERPT),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_tell_what_is_known_and_leave_out_what_is_not() {
        let shown = json!({
            "details": {"family": "llama", "parameter_size": "134.52M", "quantization_level": "Q4_1"},
            "model_info": {"general.architecture": "llama", "llama.context_length": 8192, "llama.embedding_length": 576},
            "capabilities": ["completion"],
            "parameters": "stop                           \"<|im_end|>\"\ntemperature    0.2",
            "license": "Apache License\nVersion 2.0",
        });
        assert_eq!(
            sections(&shown),
            "  Model\n    architecture        llama\n    parameters          134.52M\n    context length      8192\n    \
             embedding length    576\n    quantization        Q4_1\n\n  Capabilities\n    completion\n\n  Parameters\n    \
             stop           \"<|im_end|>\"\n    temperature    0.2\n\n  License\n    Apache License\n    Version 2.0\n\n"
        );
        assert_eq!(sections(&json!({})), "");
    }

    #[test]
    fn a_part_is_printed_whole_or_said_to_be_missing() {
        let shown = json!({"template": "{{ messages }}\n", "license": " "});
        assert_eq!(part(&shown, "template").as_deref(), Some("{{ messages }}\n"));
        assert_eq!(part(&shown, "license"), None);
        assert_eq!(part(&shown, "system"), None);
    }
}
