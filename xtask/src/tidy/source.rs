//! The files of the checkout, tracked or about to be, as plain values for the rules.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Files longer than this are not read as text; the rules about size speak of them anyway.
const MOST_TEXT: u64 = 4 << 20;

/// One file.
#[derive(Debug, Clone, Default)]
pub struct SourceFile {
    /// From the root, with forward slashes.
    pub path: String,
    /// In bytes.
    pub length: u64,
    /// Empty if it is not UTF-8 or too long to be text.
    pub text: String,
}

impl SourceFile {
    /// The file's name without its folders.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// A file that exists only in a test.
    #[cfg(test)]
    pub fn of(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), length: text.len() as u64, text: text.to_owned() }
    }
}

/// Every file that git tracks or would track, as it is on disk now.
pub fn read_all(root: &Path) -> Result<Vec<SourceFile>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]);
    let listed = process::text_of(&mut git)?;
    let mut files = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let place = root.join(path);
        // Deleted but still in the index, or a link: nothing to read.
        let Ok(facts) = fs::symlink_metadata(&place) else { continue };
        if !facts.is_file() {
            continue;
        }
        let text = match facts.len() {
            0..=MOST_TEXT => String::from_utf8(fs::read(&place).with_context(|| format!("could not read {path}"))?),
            _ => Ok(String::new()),
        };
        files.push(SourceFile { path: path.to_owned(), length: facts.len(), text: text.unwrap_or_default() });
    }
    Ok(files)
}
