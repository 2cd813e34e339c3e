//! What `cargo metadata` tells of the crates, reduced to what the rules look at.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};

/// One crate of the build, at one version.
#[derive(Debug, Clone, Default)]
pub struct Crate {
    pub name: String,
    pub version: String,
    /// As the author wrote it.
    pub licence: Option<String>,
    /// From the root of the workspace; nothing for a crate from outside.
    pub folder: Option<String>,
    /// The crates its manifest names, of every kind, optional ones as well.
    pub names: Vec<Named>,
    /// Places in [`Graph::crates`] of what it is linked with, outside tests and build scripts.
    pub linked: Vec<usize>,
}

/// A name in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    /// Only for tests, examples and benchmarks.
    pub in_tests: bool,
}

/// All crates of the build on every platform.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    pub crates: Vec<Crate>,
}

impl Graph {
    /// The crates of the workspace itself.
    pub fn members(&self) -> impl Iterator<Item = &Crate> {
        self.crates.iter().filter(|one| one.folder.is_some())
    }

    /// Asks cargo.
    pub fn read(root: &Path) -> Result<Self> {
        let metadata = MetadataCommand::new().manifest_path(root.join("Cargo.toml")).exec().context("cargo metadata failed")?;
        let places: HashMap<_, usize> = metadata.packages.iter().enumerate().map(|(at, package)| (&package.id, at)).collect();
        let mut crates: Vec<Crate> = metadata
            .packages
            .iter()
            .map(|package| Crate {
                name: package.name.to_string(),
                version: package.version.to_string(),
                licence: package.license.clone(),
                folder: metadata.workspace_members.contains(&package.id).then(|| {
                    let folder = package.manifest_path.parent().unwrap_or(&metadata.workspace_root);
                    let inside = folder.strip_prefix(&metadata.workspace_root).unwrap_or(folder);
                    inside.as_str().replace('\\', "/")
                }),
                names: package
                    .dependencies
                    .iter()
                    .map(|dependency| Named {
                        name: dependency.name.clone(),
                        in_tests: dependency.kind == DependencyKind::Development,
                    })
                    .collect(),
                linked: Vec::new(),
            })
            .collect();
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            let Some(&from) = places.get(&node.id) else { continue };
            let normal = |kinds: &[cargo_metadata::DepKindInfo]| kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            crates[from].linked =
                node.deps.iter().filter(|dep| normal(&dep.dep_kinds)).filter_map(|dep| places.get(&dep.pkg).copied()).collect();
        }
        Ok(Self { crates })
    }
}
