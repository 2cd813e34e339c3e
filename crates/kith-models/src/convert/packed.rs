//! Folders that are run as they are: all of one in a single safetensors file, which carries the folder's small files in its header.
//!
//! So the library keeps such a model as one file, like every other. The file is a whole safetensors file, readable by whoever reads
//! those; the small files stand in its metadata, under [`FILE`] and their names. The same folder makes the same bytes.

use super::{Conversion, Source, Stretch, json, refused, shards::Shards, text};
use crate::{Details, ModelError, Tensor, details, gguf::GgmlType, model::Metadata};
use serde_json::{Map, Value, json as value};
use std::{
    io::{self, Read, Seek},
    path::Path,
};

/// The families that are run as they are: those whose images nothing here could convert.
const FAMILIES: &[&str] = &["gemma3", "idefics3", "smolvlm"];
/// What goes before a small file's name in the metadata.
const FILE: &str = "kith.file.";
/// The small files that are kept, and whether there is no model without them.
pub(crate) const FILES: [(&str, bool); 8] = [
    ("config.json", true),
    ("tokenizer.json", true),
    ("preprocessor_config.json", true),
    ("tokenizer_config.json", false),
    ("generation_config.json", false),
    ("processor_config.json", false),
    ("chat_template.json", false),
    ("chat_template.jinja", false),
];
/// The most bytes of a header: what the format allows.
const MAX_HEADER: u64 = 100_000_000;

/// Whether folders of this `model_type` are run as they are.
pub(super) fn takes(kind: &str) -> bool {
    FAMILIES.contains(&kind)
}

/// The families, for those who load them.
pub(crate) fn families() -> &'static [&'static str] {
    FAMILIES
}

/// The folder as one file.
pub(super) fn of(folder: &Path) -> Result<Conversion, ModelError> {
    let mut metadata = Map::new();
    metadata.insert("format".into(), "pt".into());
    for (name, needed) in FILES {
        let path = folder.join(name);
        match text(&path)? {
            Some(content) => {
                if name.ends_with(".json") && serde_json::from_str::<Value>(&content).is_err() {
                    return refused(format!("{} is not JSON", path.display()));
                }
                metadata.insert(format!("{FILE}{name}"), content.into());
            }
            None if needed => return refused(format!("{} is missing: the model cannot be run without it", path.display())),
            None => {}
        }
    }
    if json::<Value>(&folder.join("config.json"))?.is_some_and(|config| !config["quantization_config"].is_null()) {
        return refused("the folder's weights are quantised already; import the folder with whole weights");
    }
    let Shards { files, tensors } = Shards::open(folder)?;
    // Wide numbers first, so that all lie where their width divides.
    let mut kept: Vec<_> =
        tensors.into_iter().filter_map(|(name, (file, stored))| Some((stored.kind?, name, file, stored))).collect();
    kept.sort_by(|a, b| (a.0 != GgmlType::F32, &a.1).cmp(&(b.0 != GgmlType::F32, &b.1)));
    if kept.is_empty() {
        return refused("the folder's weights' file holds no weights");
    }
    let mut header = Map::new();
    header.insert("__metadata__".into(), Value::Object(metadata));
    let (mut at, mut left) = (0u64, Vec::with_capacity(kept.len()));
    for (kind, name, file, stored) in kept {
        let end = at + stored.bytes;
        header.insert(name, value!({"dtype": word(kind), "shape": stored.shape, "data_offsets": [at, end]}));
        let source = Source::File { file, from: stored.from, bytes: stored.bytes, placed: false };
        left.push(Stretch { source, zeros: 0 });
        at = end;
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    if text.len() as u64 > MAX_HEADER {
        return refused(format!("the folder's small files have more than {MAX_HEADER} bytes together"));
    }
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut text);
    let size = bytes.len() as u64 + at;
    left.reverse();
    Ok(Conversion { header: io::Cursor::new(bytes), files, left, size })
}

fn word(kind: GgmlType) -> &'static str {
    match kind {
        GgmlType::F16 => "F16",
        GgmlType::BF16 => "BF16",
        _ => "F32",
    }
}

/// A packed folder, read but for its weights.
pub(crate) struct Packed {
    files: Map<String, Value>,
    tensors: Vec<Tensor>,
    parameters: u64,
    quantization: &'static str,
    data: u64,
}

impl Packed {
    /// Reads the header of a file whose first bytes are no GGUF file's.
    ///
    /// # Errors
    /// [`ModelError::BadFile`] if it is no packed folder, whole.
    pub(crate) fn read(mut file: impl Read, size: u64) -> Result<Self, ModelError> {
        let none = || ModelError::BadFile { reason: "the file is no GGUF model, and no folder of one".to_owned() };
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| none())?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER || length > size.saturating_sub(8) {
            return Err(none());
        }
        let mut header = Vec::new();
        file.take(length).read_to_end(&mut header).map_err(|_| none())?;
        let mut header: Map<String, Value> = serde_json::from_slice(&header).map_err(|_| none())?;
        let Some(Value::Object(metadata)) = header.remove("__metadata__") else { return Err(none()) };
        let files: Map<String, Value> =
            metadata.into_iter().filter_map(|(key, file)| Some((key.strip_prefix(FILE)?.to_owned(), file))).collect();
        if FILES.iter().any(|(name, needed)| *needed && !files.contains_key(*name)) {
            return Err(ModelError::BadFile {
                reason: "the file holds bare weights: import the folder it comes from".to_owned(),
            });
        }
        let (mut tensors, mut numbers, mut ends) = (Vec::with_capacity(header.len()), [0u64; 3], 0u64);
        for (name, tensor) in header {
            let shape: Option<Vec<u64>> =
                tensor["shape"].as_array().map(|shape| shape.iter().filter_map(Value::as_u64).rev().collect());
            let (Some(shape), Some(kind), Some(end)) = (shape, tensor["dtype"].as_str(), tensor["data_offsets"][1].as_u64())
            else {
                return Err(none());
            };
            let count = shape.iter().fold(1u64, |product, side| product.saturating_mul(*side));
            let place = ["F32", "F16", "BF16"].iter().position(|known| *known == kind).ok_or_else(none)?;
            numbers[place] = numbers[place].saturating_add(count);
            ends = ends.max(end);
            tensors.push(Tensor { name, kind: kind.to_owned(), shape });
        }
        if ends != size - 8 - length {
            return Err(ModelError::BadFile { reason: "the file is cut off, or longer than its weights".to_owned() });
        }
        let most = ["F32", "F16", "BF16"].into_iter().zip(numbers).max_by_key(|(_, count)| *count);
        Ok(Self {
            files,
            tensors,
            parameters: numbers.iter().fold(0, |sum, count| sum.saturating_add(*count)),
            quantization: most.map_or("unknown", |(kind, _)| kind),
            data: 8 + length,
        })
    }

    /// The packed folder in `file`, which stands at its start; `None` if the file is of another kind. Then it stands there again.
    pub(crate) fn at(mut file: impl Read + Seek, size: u64) -> Result<Option<Self>, ModelError> {
        let mut first = [0; 8];
        let read = file.read_exact(&mut first);
        file.rewind().map_err(|error| ModelError::BadFile { reason: format!("the file cannot be read: {error}") })?;
        // The length of the header comes first; what a GGUF file begins with would be a longer one.
        if read.is_err() || u64::from_le_bytes(first) > MAX_HEADER {
            return Ok(None);
        }
        Self::read(file, size).map(Some)
    }

    /// How most of the weights are stored.
    pub(crate) fn quantization(&self) -> &'static str {
        self.quantization
    }

    fn json(&self, name: &str) -> Value {
        self.files.get(name).and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// What the folder says of its model.
    pub(crate) fn details(&self) -> Result<Details, ModelError> {
        let config = self.json("config.json");
        let architecture = config["model_type"].as_str().filter(|kind| takes(kind));
        let Some(architecture) = architecture else { return refused("the folder holds a model of a kind that is not known") };
        let text = if config["text_config"].is_object() { &config["text_config"] } else { &config };
        let number = |name: &str| text.get(name).or_else(|| config.get(name)).and_then(Value::as_u64);
        let tokens = self.json("tokenizer_config.json");
        let token = |name: &str| {
            let token = &tokens[name];
            token.as_str().or_else(|| token["content"].as_str()).filter(|text| text.len() <= 256).map(str::to_owned)
        };
        let template = self.template(&tokens);
        if template.as_ref().is_some_and(|template| template.len() > details::MAX_TEXT) {
            return refused(format!("the chat template is longer than {} bytes", details::MAX_TEXT));
        }
        let context = number("max_position_embeddings").unwrap_or_else(|| context(architecture));
        let heads = number("num_attention_heads");
        let width = number("hidden_size");
        let head = number("head_dim").or_else(|| Some(width? / heads.filter(|heads| *heads > 0)?));
        let bos = token("bos_token");
        let mut found = Details {
            architecture: architecture.to_owned(),
            title: None,
            parameter_count: self.parameters,
            parameter_size: details::for_people(self.parameters),
            quantization: self.quantization.to_owned(),
            context_length: u32::try_from(context).unwrap_or(u32::MAX),
            embedding_length: width,
            block_count: number("num_hidden_layers"),
            head_count: heads,
            head_count_kv: number("num_key_value_heads").or(heads),
            key_length: head,
            value_length: head,
            vocabulary_size: number("vocab_size"),
            capabilities: vec!["completion".to_owned(), "vision".to_owned()],
            chat_template: None,
            add_bos: bos.is_some(),
            bos_token: bos,
            eos_token: token("eos_token"),
            bos_id: None,
            eos_id: None,
            license: None,
        };
        if let Some(template) = &template {
            found.follow(template);
        }
        found.chat_template = template;
        Ok(found)
    }

    /// The chat template: in a file of its own, or with the tokenizer's settings.
    fn template(&self, tokens: &Value) -> Option<String> {
        if let Some(template) = self.files.get("chat_template.jinja").and_then(Value::as_str) {
            return Some(template.to_owned());
        }
        let own = [self.json("chat_template.json"), self.json("processor_config.json")];
        let own = own.iter().find_map(|file| file["chat_template"].as_str());
        own.or_else(|| match &tokens["chat_template"] {
            Value::String(template) => Some(template.as_str()),
            // Several of them, by their names.
            Value::Array(templates) => {
                templates.iter().find(|template| template["name"] == "default").and_then(|template| template["template"].as_str())
            }
            _ => None,
        })
        .map(str::to_owned)
    }

    /// The same in the words of a GGUF header.
    pub(crate) fn metadata(self) -> Result<Metadata, ModelError> {
        let details = self.details()?;
        let vision = self.json("config.json")["vision_config"].clone();
        let mut info = Map::new();
        let kind = details.architecture.clone();
        info.insert("general.architecture".into(), kind.clone().into());
        info.insert("general.parameter_count".into(), self.parameters.into());
        let mut put = |name: &str, number: Option<u64>| {
            if let Some(number) = number {
                info.insert(format!("{kind}.{name}"), number.into());
            }
        };
        put("context_length", Some(u64::from(details.context_length)));
        put("embedding_length", details.embedding_length);
        put("block_count", details.block_count);
        put("attention.head_count", details.head_count);
        put("attention.head_count_kv", details.head_count_kv);
        put("attention.key_length", details.key_length);
        put("attention.value_length", details.value_length);
        put("vocab_size", details.vocabulary_size);
        put("vision.block_count", vision["num_hidden_layers"].as_u64().or_else(|| vision["depth"].as_u64()));
        put("vision.embedding_length", vision["hidden_size"].as_u64());
        put("vision.image_size", vision["image_size"].as_u64());
        put("vision.patch_size", vision["patch_size"].as_u64());
        Ok(Metadata { model_info: info, tensors: self.tensors, data_offset: self.data })
    }
}

/// The window of a family whose configuration names none, by the `transformers` library's defaults.
fn context(architecture: &str) -> u64 {
    match architecture {
        "gemma3" => 131_072,
        _ => 2048,
    }
}

#[cfg(test)]
mod tests;
