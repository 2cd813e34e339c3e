//! `layers.toml` as values, and the contradictions it may hold within itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Finding;

/// The name of the file, as findings about it say it.
pub const FILE: &str = "layers.toml";

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// From the lowest to the highest.
    pub layers: Vec<Layer>,
    /// By name of the crate.
    pub crates: BTreeMap<String, Place>,
    /// Outside crates (or, with a final `*`, families of them) that few may name.
    #[serde(default)]
    pub only: BTreeMap<String, Only>,
    /// What a crate must not be linked with, however far away.
    #[serde(default)]
    pub absent: Vec<Absent>,
    pub licences: Licences,
    pub doubled: Doubled,
}

/// A layer of the house.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    pub name: String,
    /// What to do where an arrow within this layer, or out of it and up, seems needed.
    pub instead: String,
}

/// Where a crate stands and what it may name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    pub layer: String,
    /// Crates of the workspace.
    pub may: Vec<String>,
    /// If given, the only crates from outside that it may name, tests aside.
    pub outside: Option<Vec<String>>,
    /// If given, its folder, where that is not `crates/` and its name.
    pub folder: Option<String>,
}

/// Who alone may name an outside crate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Only {
    pub crates: Vec<String>,
    pub reason: String,
}

/// A crate that must not be linked with another.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absent {
    pub from: String,
    #[serde(rename = "crate")]
    pub absent: String,
    pub reason: String,
}

/// What licences outside crates may have.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licences {
    /// SPDX identifiers, with their exception where they have one.
    pub allowed: Vec<String>,
    /// Crates looked at one by one.
    #[serde(default)]
    pub reviewed: Vec<Reviewed>,
}

/// A crate whose licence is none of the allowed ones, and why it may stay.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reviewed {
    #[serde(rename = "crate")]
    pub name: String,
    /// As its manifest has it; another one is looked at anew.
    pub licence: String,
    pub reason: String,
}

/// Crates that cost so much to compile, or hold so much state, that one version is enough.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Doubled {
    pub heavy: Vec<String>,
    #[serde(default)]
    pub allowed: Vec<Twice>,
}

/// A heavy crate that is there more than once all the same.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Twice {
    #[serde(rename = "crate")]
    pub name: String,
    /// The first numbers of the versions, as `0.21`.
    pub versions: Vec<String>,
    pub reason: String,
}

impl Rules {
    /// Reads the file at the root.
    pub fn read(root: &Path) -> Result<Self> {
        let text = fs::read_to_string(root.join(FILE)).with_context(|| format!("could not read {FILE}"))?;
        Self::parse(&text)
    }

    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).with_context(|| format!("{FILE} cannot be read"))
    }

    /// How high a layer lies; nothing if there is no such layer.
    pub fn height(&self, layer: &str) -> Option<usize> {
        self.layers.iter().position(|one| one.name == layer)
    }

    /// Where the table itself breaks its own rule: an arrow that does not point down, a name that is not in it.
    pub fn contradictions(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (name, place) in &self.crates {
            let Some(own) = self.height(&place.layer) else {
                findings.push(Finding::new(FILE, format!("{name} stands in a layer {:?} that does not exist", place.layer)));
                continue;
            };
            for target in &place.may {
                let Some(other) = self.crates.get(target) else {
                    findings.push(Finding::new(FILE, format!("{name} may name {target}, which is not in the table")));
                    continue;
                };
                if self.height(&other.layer).is_some_and(|other| other >= own) {
                    let says =
                        format!("{name} ({}) may name {target} ({}), but arrows point down only", place.layer, other.layer);
                    findings.push(Finding::new(FILE, says));
                }
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"
        layers = [{ name = "low", instead = "x" }, { name = "high", instead = "y" }]
        licences = { allowed = ["MIT"] }
        doubled = { heavy = [] }
        [crates]
        ground = { layer = "low", may = [] }
        roof = { layer = "high", may = ["ground"] }
    "#;

    #[test]
    fn a_table_whose_arrows_point_down_contradicts_nothing() {
        assert_eq!(Rules::parse(TWO).unwrap().contradictions(), []);
    }

    #[test]
    fn a_table_that_allows_an_upward_or_sideways_arrow_is_itself_a_finding() {
        let upward = TWO.replace("layer = \"low\", may = []", "layer = \"low\", may = [\"roof\"]");
        let findings = Rules::parse(&upward).unwrap().contradictions();
        assert_eq!(findings[0].says, "ground (low) may name roof (high), but arrows point down only");
        let sideways = TWO.replace("layer = \"low\"", "layer = \"high\"");
        assert_eq!(Rules::parse(&sideways).unwrap().contradictions().len(), 1);
    }

    #[test]
    fn an_unknown_layer_or_crate_in_the_table_is_named() {
        let layer = Rules::parse(&TWO.replace("layer = \"high\"", "layer = \"attic\"")).unwrap().contradictions();
        assert_eq!(layer[0].says, "roof stands in a layer \"attic\" that does not exist");
        let name = Rules::parse(&TWO.replace("may = [\"ground\"]", "may = [\"cellar\"]")).unwrap().contradictions();
        assert_eq!(name[0].says, "roof may name cellar, which is not in the table");
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        assert!(Rules::parse(&TWO.replace("allowed", "alowed")).is_err());
    }
}
