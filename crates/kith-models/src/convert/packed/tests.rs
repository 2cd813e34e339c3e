//! What `packed` promises, sentence by sentence.

use super::*;
use crate::testing::sight;
use std::{fs, path::PathBuf};
use tempfile::TempDir;

fn folder(family: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    sight::write(folder.path(), family, 5).unwrap();
    let path = folder.path().to_owned();
    (folder, path)
}

fn packed(folder: &Path) -> Result<Vec<u8>, String> {
    let mut conversion = Conversion::of(folder).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    conversion.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, conversion.size());
    Ok(bytes)
}

fn read(bytes: &[u8]) -> Result<Packed, String> {
    Packed::read(bytes, bytes.len() as u64).map_err(|error| error.to_string())
}

#[test]
fn a_folder_of_each_family_says_what_it_is() {
    for family in ["idefics3", "gemma3"] {
        let (_folder, path) = folder(family);
        let bytes = packed(&path).unwrap();
        assert_eq!(packed(&path).unwrap(), bytes, "the same folder makes the same bytes");
        let details = read(&bytes).unwrap().details().unwrap();
        assert_eq!((details.architecture.as_str(), details.context_length), (family, 512));
        assert_eq!((details.quantization.as_str(), details.block_count, details.head_count_kv), ("F32", Some(2), Some(2)));
        assert_eq!(details.capabilities, ["completion", "vision"]);
        assert!(details.chat_template.is_some_and(|template| template.contains("add_generation_prompt")));
        assert_eq!((details.bos_token.as_deref(), details.add_bos), (Some("<|im_start|>"), true));
        assert!((100_000..1_000_000).contains(&details.parameter_count) && details.parameter_size.ends_with('K'));
        let metadata = read(&bytes).unwrap().metadata().unwrap();
        assert_eq!(metadata.model_info["general.architecture"], family);
        assert_eq!(metadata.model_info[&format!("{family}.vision.block_count")], 1);
        assert!(metadata.tensors.len() > 20 && metadata.data_offset < bytes.len() as u64);
    }
}

#[test]
fn every_number_is_where_the_header_says() {
    let (_folder, path) = folder("idefics3");
    let (before, after) = (fs::read(path.join("model.safetensors")).unwrap(), packed(&path).unwrap());
    let header = |bytes: &[u8]| {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        (serde_json::from_slice::<Value>(&bytes[8..8 + length]).unwrap(), bytes[8 + length..].to_vec())
    };
    let ((before, old), (after, new)) = (header(&before), header(&after));
    for (name, tensor) in before.as_object().unwrap() {
        let bytes = |tensor: &Value, data: &[u8]| {
            let at = |end: usize| tensor["data_offsets"][end].as_u64().unwrap() as usize;
            data[at(0)..at(1)].to_vec()
        };
        assert_eq!(tensor["shape"], after[name]["shape"]);
        assert!(bytes(tensor, &old) == bytes(&after[name], &new), "{name}");
    }
}

#[test]
fn a_folder_that_is_not_whole_is_refused_by_what_is_wrong() {
    for (name, content, said) in [
        ("tokenizer.json", None, "tokenizer.json is missing"),
        ("preprocessor_config.json", None, "preprocessor_config.json is missing"),
        ("preprocessor_config.json", Some("{"), "preprocessor_config.json is not JSON"),
        ("model.safetensors", None, "model.safetensors is missing"),
        ("model.safetensors", Some("12345678{}"), "no safetensors file, or is cut off"),
        ("model.safetensors.index.json", Some(r#"{"weight_map": {"a": "gone.safetensors"}}"#), "gone.safetensors is missing"),
        ("model.safetensors.index.json", Some(r#"{"weight_map": {"a": "../model.safetensors"}}"#), "does not lie directly"),
        ("model.safetensors.index.json", Some(r#"{"weight_map": {"a": "/etc/passwd"}}"#), "does not lie directly"),
        ("config.json", Some(r#"{"model_type": "idefics3", "quantization_config": {"bits": 4}}"#), "quantised already"),
    ] {
        let (_folder, path) = folder("idefics3");
        match content {
            Some(content) => fs::write(path.join(name), content).unwrap(),
            None => fs::remove_file(path.join(name)).unwrap(),
        }
        let error = packed(&path).unwrap_err();
        assert!(error.contains(said), "{name}: {error}");
    }
}

#[test]
fn files_that_are_no_packed_folder_are_refused() {
    let (_folder, path) = folder("idefics3");
    let bytes = packed(&path).unwrap();
    assert!(read(b"hello").err().unwrap().contains("no GGUF model"));
    assert!(read(&[0xff; 64]).err().unwrap().contains("no GGUF model"));
    assert!(read(&bytes[..bytes.len() - 4]).err().unwrap().contains("cut off"));
    let bare = fs::read(path.join("model.safetensors")).unwrap();
    assert!(read(&bare).is_err(), "weights alone are no model");
}
