//! The models that layers are measured on: the default one, the same in other formats, and one of another shape. Made below the cache folder when
//! they are asked for, and kept there; in all less than 2 GB.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::Paths;
use crate::process;

/// Where models are made and found.
pub struct Models<'a> {
    paths: &'a Paths,
    /// The default model as it ships, in Q4_1.
    pub shipped: PathBuf,
    folder: PathBuf,
}

impl<'a> Models<'a> {
    /// Of the default model's file.
    pub fn of(paths: &'a Paths, shipped: PathBuf) -> Result<Self> {
        let folder = paths.cache.join("bench-models");
        fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        Ok(Self { paths, shipped, folder })
    }

    /// The default model with its matrices in another format: `F32`, `F16`, `Q8_0`, `Q4_0` or `Q4_K_M`.
    pub fn smollm2(&self, format: &str) -> Result<PathBuf> {
        let shipped = self.shipped.clone();
        self.made(&format!("SmolLM2-135M-Instruct.{format}.gguf"), |program, place| {
            program.arg(&shipped).arg(place).arg(format);
        })
    }

    /// A model of the shape of gemma3-270m in Q8_0, its weights drawn from a seed.
    pub fn gemma3(&self) -> Result<PathBuf> {
        self.made("shape-of-gemma3-270m.Q8_0.gguf", |program, place| {
            program.arg("--gemma3-270m").arg(place);
        })
    }

    /// The folder for weights as the kernels want them.
    pub fn panels(&self) -> PathBuf {
        self.folder.join("panels")
    }

    /// The file of this name, made anew if it is not there or older than what it is made from and by.
    fn made(&self, name: &str, say: impl Fn(&mut Command, &Path)) -> Result<PathBuf> {
        let place = self.folder.join(name);
        let program = self.paths.built("examples/requantise");
        let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified());
        let sources =
            [changed(&self.shipped)?, changed(&program).with_context(|| format!("{} is not built", program.display()))?];
        if changed(&place).is_ok_and(|made| sources.iter().all(|source| *source < made)) {
            return Ok(place);
        }
        let mut command = Command::new(program);
        say(&mut command, &place);
        process::run(&mut command)?;
        Ok(place)
    }
}
