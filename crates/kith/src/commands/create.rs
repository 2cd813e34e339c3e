//! `kith create`: sends what a Modelfile names to the node and has it make the model. And `kith cp`.

use crate::{
    cli::{Copy, Create},
    client::Client,
    commands::import::read_text,
    context::Context,
    error::{CliError, Result},
    out, render,
};
use kith_node::modelfile::{MAX_BYTES, Modelfile};
use kith_wire::{
    ollama::{CopyRequest, CreateRequest, Message, Role},
    openai::Stop,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    env,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Bytes hashed at once.
const CHUNK: usize = 1 << 20;

/// Makes the model that the Modelfile describes.
pub async fn create(context: &Context, options: &Create) -> Result<()> {
    let text = if options.file.as_os_str() == "-" {
        let mut text = String::new();
        let read = io::stdin().take(MAX_BYTES as u64 + 1).read_to_string(&mut text);
        read.map_err(|error| CliError::local("cannot read the Modelfile from stdin", error))?;
        text
    } else {
        read_text(&options.file, MAX_BYTES as u64)?
    };
    let file: Modelfile = text.parse().map_err(|error| CliError::local("cannot read the Modelfile", error))?;
    let folder = options.file.parent().unwrap_or(Path::new(""));
    let client = context.ensured().await?;
    let mut request = described(&file, options);
    match found(&file.from, folder)? {
        None => request.from = file.from.first().cloned(),
        Some(paths) => request.files = Some(sent(&client, &paths).await?),
    }
    if !file.adapters.is_empty() {
        let paths = found(&file.adapters, folder)?;
        let paths = paths.ok_or_else(|| CliError::Local(format!("there is no adapter {}", file.adapters.join(", "))))?;
        request.adapters = Some(sent(&client, &paths).await?);
    }
    let progress = out::spinner("creating");
    let mut lines = client.lines("/api/create", &request).await?;
    while let Some(line) = lines.next().await? {
        let status = line["status"].as_str().unwrap_or_default();
        if status == "success" {
            drop(progress);
            return done(context, &options.model);
        }
        progress.advance(status, line["completed"].as_u64().unwrap_or_default(), line["total"].as_u64());
    }
    Err(CliError::Unreachable(format!("the node at {} ended the work too early", client.url())))
}

/// `kith cp FROM TO`.
pub async fn copy(context: &Context, options: &Copy) -> Result<()> {
    let body = CopyRequest { source: options.source.clone(), destination: options.destination.clone() };
    context.ensured().await?.post("/api/copy", &body).await?;
    if context.json {
        return out::json(&json!({"source": body.source, "destination": body.destination}));
    }
    let (source, destination) = (render::printable(&body.source, false), render::printable(&body.destination, false));
    out::text(&format!("copied {source} to {destination}\n"))
}

fn done(context: &Context, model: &str) -> Result<()> {
    if context.json {
        return out::json(&json!({"name": model}));
    }
    out::text(&format!("created {}\n", render::printable(model, false)))
}

/// Everything of the Modelfile but the files it names.
fn described(file: &Modelfile, options: &Create) -> CreateRequest {
    let message = |message: &kith_node::modelfile::Message| {
        let role = match message.role.as_str() {
            "system" => Role::System,
            "user" => Role::User,
            _ => Role::Assistant,
        };
        Message::text(role, message.content.clone())
    };
    CreateRequest {
        model: Some(options.model.clone()),
        template: file.template.clone(),
        system: file.system.clone(),
        license: (!file.license.is_empty()).then(|| Stop::Many(file.license.clone())),
        parameters: (!file.parameters.is_empty()).then(|| file.parameters.clone()),
        messages: (!file.messages.is_empty()).then(|| file.messages.iter().map(message).collect()),
        requires: file.requires.clone(),
        quantize: options.quantize.clone(),
        ..CreateRequest::default()
    }
}

/// The files that a Modelfile in `folder` names; `None` if it names a model instead.
fn found(named: &[String], folder: &Path) -> Result<Option<Vec<PathBuf>>> {
    let mut paths = Vec::new();
    for name in named {
        let path = match name.strip_prefix("~/").zip(env::home_dir()) {
            Some((rest, home)) => home.join(rest),
            None => folder.join(name),
        };
        let looks = name.starts_with(['/', '.', '~']) || name.to_ascii_lowercase().ends_with(".gguf");
        if path.is_dir() {
            let inside = || CliError::Local(format!("{} is a folder: take it in with `kith import`", path.display()));
            if looks {
                return Err(inside());
            }
        }
        if path.is_file() {
            paths.extend(parts(&path));
        } else if looks {
            return Err(CliError::Local(format!("there is no file {}", path.display())));
        } else if named.len() > 1 {
            return Err(CliError::Local("several lines FROM must all name files".to_owned()));
        } else {
            return Ok(None);
        }
    }
    Ok(Some(paths))
}

/// All parts of a model, if the file is the first of several: `name-00001-of-00003.gguf`.
fn parts(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let several = || {
        let (stem, count) = name.strip_suffix(".gguf")?.rsplit_once("-00001-of-")?;
        let number: u32 = count.parse().ok().filter(|number| count.len() == 5 && (2..=1024).contains(number))?;
        Some((1..=number).map(|no| path.with_file_name(format!("{stem}-{no:05}-of-{count}.gguf"))).collect())
    };
    several().unwrap_or_else(|| vec![path.to_owned()])
}

/// Sends the files that the node does not have; gives their names and digests.
async fn sent(client: &Client, paths: &[PathBuf]) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("model.gguf").to_owned();
        let progress = out::spinner(format!("reading {name}"));
        let digest = digest(path)?;
        progress.advance(&format!("sending {name}"), 0, None);
        client.send_blob(&digest, path).await?;
        files.insert(name, digest);
    }
    Ok(files)
}

/// The file's SHA-256, `sha256:…`.
fn digest(path: &Path) -> Result<String> {
    let fail = |error: io::Error| CliError::local(format_args!("cannot read {}", path.display()), error);
    let mut file = File::open(path).map_err(fail)?;
    let (mut hasher, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        let count = file.read(&mut chunk).map_err(fail)?;
        if count == 0 {
            break;
        }
        hasher.update(chunk.get(..count).unwrap_or_default());
    }
    let digits: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("sha256:{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modelfile_names_a_model_or_files_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gguf");
        std::fs::write(&path, b"x").unwrap();
        let found = |names: &[&str]| found(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), folder.path());
        assert_eq!(found(&["llama3.2:1b"]).unwrap(), None);
        assert_eq!(found(&["./a.gguf"]).unwrap(), Some(vec![folder.path().join("./a.gguf")]));
        assert_eq!(found(&["a.gguf"]).unwrap(), Some(vec![path]));
        assert!(found(&["./b.gguf"]).unwrap_err().message().starts_with("there is no file"));
        assert!(found(&["b", "c"]).unwrap_err().message().starts_with("several lines FROM"));
    }

    #[test]
    fn the_first_part_stands_for_all() {
        let names =
            |path: &str| -> Vec<String> { parts(Path::new(path)).iter().map(|path| path.display().to_string()).collect() };
        assert_eq!(names("m-00001-of-00002.gguf"), ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]);
        assert_eq!(names("m-00002-of-00002.gguf"), ["m-00002-of-00002.gguf"]);
        assert_eq!(names("m.gguf"), ["m.gguf"]);
    }

    #[test]
    fn a_digest_is_the_one_everybody_knows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"abc").unwrap();
        assert_eq!(digest(&path).unwrap(), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
