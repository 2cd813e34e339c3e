//! The official JavaScript clients of the dialects that Kith speaks, below the cache folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::Paths;
use crate::process;

/// The clients that the tests drive, unmodified, and what looks through pages for faults that shut people out. A change here installs them anew.
const CLIENTS: [&str; 3] = ["ollama@0.6.4", "openai@7.55.0", "axe-core@4.14.1"];

/// The folder whose `node_modules` has the pinned clients; installs them once. Nothing where they cannot be had: without Node.js and npm
/// (the test that needs them says so and passes): a node of Kith needs neither.
pub fn with_clients(paths: &Paths) -> Result<Option<PathBuf>> {
    let folder = paths.cache.join("javascript");
    let stamp = folder.join("clients.txt");
    let pinned = CLIENTS.join("\n");
    if process::on_path("node").is_none() {
        return Ok(None);
    }
    if fs::read_to_string(&stamp).is_ok_and(|text| text == pinned) {
        return Ok(Some(folder));
    }
    if process::on_path("npm").is_none() {
        return Ok(None);
    }
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    fs::write(folder.join("package.json"), r#"{"private":true}"#).context("could not write package.json")?;
    let mut install = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    install.current_dir(&folder).args(["install", "--ignore-scripts", "--no-audit", "--no-fund"]);
    if let Err(error) = process::run(install.args(CLIENTS)) {
        eprintln!("going on without the JavaScript clients: {error:#}");
        return Ok(None);
    }
    fs::write(&stamp, pinned).context("could not note what is installed")?;
    Ok(Some(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_is_pinned() {
        assert!(CLIENTS.iter().all(|client| client.split_once('@').is_some_and(|(_, version)| !version.is_empty())));
    }
}
