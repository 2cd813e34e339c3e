//! The house rules, read from `layers.toml` and held against the workspace. Each rule is a pure function from what is there
//! to what is wrong; only this module and [`source`] touch the disk.

mod arrows;
mod documents;
mod doubled;
mod graph;
mod licences;
mod modules;
mod rules;
pub mod source;
mod spdx;
mod tracked;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use graph::Graph;
use rules::Rules;

/// One thing that is not as the rules have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file or crate it is about.
    pub place: String,
    /// What is wrong, and what to do.
    pub says: String,
}

impl Finding {
    fn new(place: impl Into<String>, says: impl Into<String>) -> Self {
        Self { place: place.into(), says: says.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.says)
    }
}

/// Prints what is wrong; fails if anything is.
pub fn run(root: &Path) -> Result<()> {
    let findings = findings(root)?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("the house rules have 1 finding"),
        many => bail!("the house rules have {many} findings"),
    }
}

/// All rules on the checkout at `root`, in order of place.
pub fn findings(root: &Path) -> Result<Vec<Finding>> {
    let rules = Rules::read(root)?;
    let graph = Graph::read(root)?;
    let files = source::read_all(root)?;
    let mut findings = Vec::new();
    findings.extend(rules.contradictions());
    findings.extend(arrows::between_members(&rules, &graph));
    findings.extend(arrows::to_outside(&rules, &graph));
    findings.extend(arrows::reached(&rules, &graph));
    findings.extend(arrows::folders(&rules, &graph));
    findings.extend(licences::refused(&rules.licences, &graph));
    findings.extend(doubled::heavy(&rules.doubled, &graph));
    findings.extend(files.iter().flat_map(modules::check));
    findings.extend(files.iter().flat_map(tracked::check));
    findings.extend(documents::check(&files));
    findings.sort();
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_its_own_rules() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let findings = findings(root).unwrap();
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }
}
