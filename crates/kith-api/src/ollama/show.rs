//! A model as the Modelfile that would make it again.

use kith_models::{Model, modelfile::Modelfile};
use serde_json::Value;

/// One `name value` per line; text in JSON's quotes, lists one line each.
pub(crate) fn parameters(model: &Model) -> String {
    let mut lines = Vec::new();
    for (name, value) in &model.parameters {
        match value {
            Value::Array(values) => lines.extend(values.iter().map(|value| format!("{name:<30} {value}"))),
            value => lines.push(format!("{name:<30} {value}")),
        }
    }
    lines.join("\n")
}

/// The Modelfile, with a word on how to build on this model instead. What no Modelfile can hold is named in a comment.
pub(crate) fn modelfile(model: &Model) -> String {
    let file = Modelfile {
        from: vec![model.path.display().to_string()],
        parameters: model.parameters.clone(),
        template: model.template.clone().or_else(|| model.details.chat_template.clone()),
        system: model.system.clone(),
        messages: model.messages.clone(),
        license: model.license.iter().cloned().collect(),
        requires: model.requires.clone(),
        ..Modelfile::default()
    };
    let head = format!("# Modelfile of {0}\n# To build on this model, replace the next line with:\n# FROM {0}\n", model.name);
    match file.to_text() {
        Ok(text) => head + &text,
        Err(error) => {
            let bare = Modelfile { template: None, system: None, messages: Vec::new(), license: Vec::new(), ..file };
            format!("{head}# {error}; some are left out here\n{}", bare.to_text().unwrap_or_default())
        }
    }
}
