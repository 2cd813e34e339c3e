//! `kith import`: has the node take a GGUF file into its library.

use crate::{
    cli::Import,
    context::Context,
    error::{CliError, Result},
    out, render,
};
use kith_wire::system::ImportRequest;
use serde_json::{Value, json};
use std::{fs, io::Read, path::Path};

/// The largest template file read, in bytes.
const MAX_TEMPLATE: u64 = 1 << 20;

/// Imports the file under the wanted name and shows how far it is.
pub async fn import(context: &Context, options: &Import) -> Result<()> {
    // The node has another working directory.
    let path = options
        .file
        .canonicalize()
        .map_err(|error| CliError::local(format_args!("cannot read {}", options.file.display()), error))?;
    let Some(path) = path.to_str() else {
        return Err(CliError::Local(format!("the path {} is not UTF-8", path.display())));
    };
    let body = ImportRequest {
        path: path.to_owned(),
        name: options.name.clone(),
        template: options.template.as_deref().map(|file| read_text(file, MAX_TEMPLATE)).transpose()?,
        system: options.system.clone(),
        parameters: None,
    };
    let client = context.ensured().await?;
    let progress = out::spinner("importing");
    let mut lines = client.lines("/api/v1/models/import", &body).await?;
    while let Some(line) = lines.next().await? {
        let status = line["status"].as_str().unwrap_or_default();
        if status == "success" {
            drop(progress);
            return done(context, options, &line);
        }
        progress.advance(status, line["completed"].as_u64().unwrap_or_default(), line["total"].as_u64());
    }
    Err(CliError::Unreachable(format!("the node at {} ended the import too early", client.url())))
}

fn done(context: &Context, options: &Import, line: &Value) -> Result<()> {
    let name = line["model"].as_str().unwrap_or(&options.name);
    let size = line["total"].as_u64();
    if context.json {
        return out::json(&json!({"name": name, "size": size}));
    }
    let size = size.map(|bytes| format!(" ({})", render::size(bytes))).unwrap_or_default();
    out::text(&format!("imported {}{size}\n", render::printable(name, false)))
}

/// The text of the file at `path`, of at most `limit` bytes.
pub fn read_text(path: &Path, limit: u64) -> Result<String> {
    let fail = |error: &dyn std::fmt::Display| CliError::local(format_args!("cannot read {}", path.display()), error);
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| fail(&error))?;
    file.take(limit + 1).read_to_string(&mut text).map_err(|error| fail(&error))?;
    if text.len() as u64 > limit {
        return Err(fail(&format_args!("it has more than {limit} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("template");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert!(read_text(&path, 4).unwrap_err().message().ends_with("it has more than 4 bytes"));
        fs::remove_file(&path).unwrap();
        assert!(read_text(&path, 4).unwrap_err().message().starts_with("cannot read "));
    }
}
