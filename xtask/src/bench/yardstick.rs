//! llama.cpp as it ships in the npm package node-llama-cpp: prebuilt, nothing compiled, nothing run at its installation.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::inference::Speed;
use crate::paths::Paths;
use crate::process;

/// Of the package and of its prebuilt library.
pub const VERSION: &str = "3.22.1";

/// Loads, warms up, and prints one line of JSON for one measured repetition.
const PROGRAM: &str = include_str!("../../bench/llama.mjs");

/// The installed package.
pub struct Yardstick {
    folder: PathBuf,
}

impl Yardstick {
    /// Installs it once below the cache folder.
    pub fn install(paths: &Paths) -> Result<Self> {
        let library = match (env::consts::OS, env::consts::ARCH) {
            ("linux", "x86_64") => "linux-x64",
            ("linux", "aarch64") => "linux-arm64",
            ("macos", "aarch64") => "mac-arm64-metal",
            ("macos", "x86_64") => "mac-x64",
            (os, arch) => bail!("llama.cpp is not measured on {os} {arch}"),
        };
        if process::on_path("npm").is_none() {
            bail!("npm is not installed; it brings llama.cpp (Debian: apt-get install npm)");
        }
        let folder = paths.cache.join("bench-node");
        fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        let stamp = folder.join("installed.txt");
        if fs::read_to_string(&stamp).unwrap_or_default() != VERSION {
            fs::write(folder.join("package.json"), r#"{"private":true,"type":"module"}"#)?;
            let mut install = Command::new("npm");
            install.current_dir(&folder).args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional"]);
            process::run(install.arg(format!("node-llama-cpp@{VERSION}")).arg(format!("@node-llama-cpp/{library}@{VERSION}")))?;
            fs::write(&stamp, VERSION)?;
        }
        fs::write(folder.join("llama.mjs"), PROGRAM)?;
        Ok(Self { folder })
    }

    /// Runs another program beside the package, which has this name and text, and gives what it printed.
    pub fn ask(&self, name: &str, program: &str, say: impl FnOnce(&mut Command)) -> Result<String> {
        fs::write(self.folder.join(name), program)?;
        let mut node = Command::new("node");
        node.current_dir(&self.folder).arg(name);
        say(&mut node);
        process::text_of(&mut node)
    }

    /// One repetition in a process of its own.
    pub fn measure(&self, model: &std::path::Path, load: &super::inference::Load) -> Result<Speed> {
        let mut node = Command::new("node");
        node.current_dir(&self.folder).arg("llama.mjs").arg(model);
        node.args([load.prompt, load.answer, load.threads].map(|number| number.to_string()));
        let said = process::text_of(&mut node)?;
        Speed::read(said.lines().last().unwrap_or_default())
    }
}
