//! What the layers of a manifest mean for a model of the library, and the other way round.

use super::{
    Descriptor, Manifest,
    manifest::{CONFIG, MANIFEST},
};
use crate::{Model, Overrides, SourceError, modelfile::go};
use kith_types::Sha256;
use serde_json::{Map, Value, json};
use sha2::Digest;

/// What media types of layers begin with.
const PREFIX: &str = "application/vnd.ollama.image.";
/// The largest layer of text, in bytes.
pub const MAX_TEXT: usize = 4 << 20;

/// A manifest taken apart.
#[derive(Debug)]
pub struct Brought {
    /// The weights.
    pub model: Descriptor,
    /// Layers of text, with what they are: `template`, `system`, `params`, `license`, `messages`.
    pub texts: Vec<(String, Descriptor)>,
    /// Layers that are not taken, with what they are.
    pub left: Vec<String>,
}

impl Brought {
    /// Sorts a manifest's layers.
    ///
    /// # Errors
    /// [`SourceError::Unsupported`] for models that would answer otherwise without a layer that is not taken.
    pub fn of(host: &str, manifest: &Manifest) -> Result<Self, SourceError> {
        let (mut models, mut texts, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for layer in &manifest.layers {
            match layer.media_type.strip_prefix(PREFIX) {
                Some("model") => models.push(layer.clone()),
                Some("adapter") => {
                    return Err(SourceError::Unsupported(
                        "the model is an adapter (LoRA) on another one: register the adapter beside its base model instead"
                            .into(),
                    ));
                }
                Some(kind @ ("template" | "system" | "params" | "license" | "messages")) => {
                    if layer.size > MAX_TEXT as u64 {
                        return Err(SourceError::unexpected(host, format!("a {kind} of {} bytes", layer.size)));
                    }
                    texts.push((kind.to_owned(), layer.clone()));
                }
                Some(kind) => left.push(kind.to_owned()),
                None => left.push(layer.media_type.clone()),
            }
        }
        let total = texts.iter().fold(0u64, |total, (_, layer): &(String, Descriptor)| total.saturating_add(layer.size));
        if total > MAX_TEXT as u64 {
            return Err(SourceError::unexpected(host, format!("texts of {total} bytes in all")));
        }
        match (models.pop(), models.is_empty()) {
            (Some(model), true) => Ok(Self { model, texts, left }),
            (Some(_), false) => Err(SourceError::Unsupported("the model comes in several files: only one is taken".into())),
            (None, _) if left.iter().any(|kind| kind.contains("tensor")) => {
                Err(SourceError::Unsupported("the model comes as single tensors, not as a GGUF file".into()))
            }
            (None, _) => Err(SourceError::unexpected(host, "a manifest without a model")),
        }
    }
}

/// The texts of a manifest.
#[derive(Debug, Default)]
pub struct Texts {
    overrides: Overrides,
    /// Texts that have no place in the library, by what they are.
    pub left: Vec<&'static str>,
}

impl Texts {
    /// Takes the text of one layer.
    pub fn add(&mut self, host: &str, kind: &str, bytes: Vec<u8>) -> Result<(), SourceError> {
        let text = String::from_utf8(bytes).map_err(|_| SourceError::unexpected(host, format!("a {kind} that is no text")))?;
        match kind {
            // Ollama's templates are Go's. One that has no counterpart is left: the file itself has the model's own.
            "template" => match go::to_jinja(&text) {
                Ok(jinja) => self.overrides.template = Some(jinja.into_owned()),
                Err(error) => {
                    tracing::info!(%error, "the model's Go template is not taken");
                    self.left.push("template");
                }
            },
            "system" => self.overrides.system = Some(text),
            "params" => {
                let parameters: Map<String, Value> =
                    serde_json::from_str(&text).map_err(|error| SourceError::unexpected(host, format!("its params: {error}")))?;
                self.overrides.parameters.get_or_insert_default().extend(parameters);
            }
            "license" => match &mut self.overrides.license {
                Some(license) => license.extend(["\n\n", &text]),
                license => *license = Some(text),
            },
            _ => {
                let messages = serde_json::from_str(&text)
                    .map_err(|error| SourceError::unexpected(host, format!("its messages: {error}")))?;
                self.overrides.messages = Some(messages);
            }
        }
        Ok(())
    }

    /// What the library sets beside the file.
    pub fn overrides(self) -> Overrides {
        self.overrides
    }
}

/// A blob that lies in memory.
pub type Small = (Descriptor, Vec<u8>);

/// The manifest of a model, and the blobs it lists beside the weights.
pub fn layers_of(model: &Model) -> Result<(Manifest, Vec<Small>), SourceError> {
    let mut small = Vec::new();
    let mut layer = |kind: &str, bytes: Vec<u8>| {
        let media_type = format!("{PREFIX}{kind}");
        let descriptor = Descriptor { media_type, digest: digest(&bytes), size: bytes.len() as u64 };
        small.push((descriptor.clone(), bytes));
        descriptor
    };
    let weights = Descriptor { media_type: format!("{PREFIX}model"), digest: model.sha256, size: model.size };
    let mut layers = vec![weights];
    for (kind, text) in [("license", &model.license), ("template", &model.template), ("system", &model.system)] {
        layers.extend(text.as_ref().map(|text| layer(kind, text.clone().into_bytes())));
    }
    if !model.parameters.is_empty() {
        layers.push(layer("params", serde_json::to_vec(&model.parameters).map_err(crate::ModelError::from)?));
    }
    if !model.messages.is_empty() {
        layers.push(layer("messages", serde_json::to_vec(&model.messages).map_err(crate::ModelError::from)?));
    }
    let config = json!({
        "model_format": model.format,
        "model_family": model.details.architecture,
        "model_families": [model.details.architecture],
        "model_type": model.details.parameter_size,
        "file_type": model.details.quantization,
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| layer.digest.to_string()).collect::<Vec<_>>()},
    });
    let bytes = config.to_string().into_bytes();
    let config = Descriptor { media_type: CONFIG.to_owned(), digest: digest(&bytes), size: bytes.len() as u64 };
    small.push((config.clone(), bytes));
    Ok((Manifest { schema_version: 2, media_type: MANIFEST.to_owned(), config, layers }, small))
}

fn digest(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(kinds: &[&str]) -> Manifest {
        let layer =
            |kind: &str| Descriptor { media_type: format!("{PREFIX}{kind}"), digest: Sha256::from_bytes([1; 32]), size: 5 };
        let layers = kinds.iter().map(|kind| layer(kind)).collect();
        Manifest { schema_version: 2, media_type: String::new(), config: layer("config"), layers }
    }

    #[test]
    fn a_model_is_one_file_and_its_texts() {
        let brought = Brought::of("h", &manifest(&["model", "template", "params", "projector"])).unwrap();
        assert_eq!(brought.texts.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["template", "params"]);
        assert_eq!(brought.left, ["projector"]);
        for kinds in [&["model", "adapter"][..], &["model", "model"], &["tensor", "tensor"]] {
            assert!(matches!(Brought::of("h", &manifest(kinds)), Err(SourceError::Unsupported(_))), "{kinds:?}");
        }
        assert!(matches!(Brought::of("h", &manifest(&["template"])), Err(SourceError::Unexpected { .. })));
    }

    #[test]
    fn texts_become_what_the_library_sets_beside_the_file() {
        let mut texts = Texts::default();
        for (kind, text) in [
            ("template", "{{ if .System }}{{ .System }} {{ end }}{{ .Prompt }}"),
            ("template", "{{ if (call .Nobody) }}x{{ end }}"),
            ("messages", r#"[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]"#),
            ("system", "Be brief."),
            ("params", r#"{"stop":["a"],"temperature":1}"#),
            ("license", "one"),
            ("license", "two"),
        ] {
            texts.add("h", kind, text.as_bytes().to_vec()).unwrap();
        }
        assert_eq!(texts.left, ["template"]);
        let overrides = texts.overrides();
        let template = overrides.template.unwrap();
        assert!(template.contains("{%") && !template.contains(".Prompt"), "Go's template became Jinja: {template}");
        assert_eq!(overrides.system.as_deref(), Some("Be brief."));
        assert_eq!(overrides.messages.unwrap().len(), 2);
        assert_eq!(overrides.license.as_deref(), Some("one\n\ntwo"));
        assert_eq!(overrides.parameters.unwrap()["temperature"], 1);
        assert!(Texts::default().add("h", "params", b"[]".to_vec()).is_err());
        assert!(Texts::default().add("h", "system", vec![0xff]).is_err());
    }
}
