//! The default model: its name, its file, the one digest it may have, and its place in the cache folder.

pub mod encoder;
mod sources;
mod wheel;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use crate::paths::Paths;

/// What the user calls it.
pub const NAME: &str = "smollm2:135m";

/// SmolLM2-135M-Instruct, Apache-2.0, quantised to Q4_1.
const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Its length in bytes.
const LENGTH: u64 = 98_362_432;

/// Its SHA-256. A file with any other is not this model, wherever it came from.
const DIGEST: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// Whether a file lies in its place; its digest is checked by [`make_sure`].
pub fn is_cached(paths: &Paths) -> bool {
    place(paths).is_file()
}

/// The model's file in the cache, its digest checked; fetched from the first source that has it.
///
/// Fails, with what each source answered, when none has it.
pub fn make_sure(paths: &Paths) -> Result<PathBuf> {
    let place = place(paths);
    if place.is_file() {
        match verify(&place) {
            Ok(()) => return Ok(place),
            Err(error) => {
                eprintln!("{} is not the model ({error:#}); it is fetched again", place.display());
                fs::remove_file(&place).with_context(|| format!("could not remove {}", place.display()))?;
            }
        }
    }
    let folder = place.parent().context("the cache has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    // Beside its final place, so that the last step is one rename. Two set-ups at once do not share a name.
    let part = folder.join(format!("{FILE}.{}.part", std::process::id()));
    let mut refusals = Vec::new();
    for source in sources::in_order(paths) {
        eprintln!("default model {NAME}: from {source}");
        let outcome = source.fetch(&part).and_then(|()| verify(&part));
        match outcome {
            Ok(()) => {
                fs::rename(&part, &place).with_context(|| format!("could not place {}", place.display()))?;
                return Ok(place);
            }
            Err(error) => refusals.push(format!("{source}: {error:#}")),
        }
        if part.exists() {
            fs::remove_file(&part).with_context(|| format!("could not remove {}", part.display()))?;
        }
    }
    bail!("the default model could not be had:\n  {}", refusals.join("\n  "))
}

fn place(paths: &Paths) -> PathBuf {
    paths.cache.join("models").join(FILE)
}

/// Checks length first, since that costs nothing, then the digest.
fn verify(path: &Path) -> Result<()> {
    let length = fs::metadata(path).with_context(|| format!("could not look at {}", path.display()))?.len();
    if length != LENGTH {
        bail!("it has {length} bytes, not {LENGTH}");
    }
    let digest = digest_of(path)?;
    if digest != DIGEST {
        bail!("its SHA-256 is {digest}, not {DIGEST}");
    }
    Ok(())
}

fn digest_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("could not open {}", path.display()))?;
    let bar = bytes_bar(file.metadata()?.len(), "checking");
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).with_context(|| format!("could not read {}", path.display()))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        bar.inc(read as u64);
    }
    bar.finish_and_clear();
    Ok(hex::encode(hasher.finalize()))
}

/// A bar counting bytes; invisible where standard error is no terminal.
fn bytes_bar(length: u64, verb: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>10} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let bar = ProgressBar::new(length).with_message(verb);
    match style {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-model-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn the_digest_is_the_published_sha_256() {
        let folder = scratch("digest");
        let file = folder.join("abc");
        fs::write(&file, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(digest_of(&file).unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_of_another_length_or_content_is_refused() {
        let folder = scratch("refused");
        let short = folder.join("short");
        fs::write(&short, "not a model").unwrap();
        assert_eq!(verify(&short).unwrap_err().to_string(), format!("it has 11 bytes, not {LENGTH}"));
        let zeros = folder.join("zeros");
        File::create(&zeros).unwrap().set_len(LENGTH).unwrap();
        assert!(verify(&zeros).unwrap_err().to_string().starts_with("its SHA-256 is "));
        fs::remove_dir_all(folder).unwrap();
    }
}
