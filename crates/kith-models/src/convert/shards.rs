//! The weights of a folder: one file, or several and a list of them.

use super::{
    WEIGHTS, config, json, refused,
    safetensors::{Safetensors, Stored},
};
use crate::ModelError;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::Path,
};

/// The list, where there are several files.
const INDEX: &str = "model.safetensors.index.json";
/// The most files. The largest known models have 191.
const MAX_FILES: usize = 1024;

/// A tensor, and which of the files it lies in.
pub(super) type Placed = (usize, Stored);

/// The files and the tensors in them.
#[derive(Debug)]
pub(super) struct Shards {
    pub(super) files: Vec<File>,
    pub(super) tensors: BTreeMap<String, Placed>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Shards {
    /// Opens every file and reads its header.
    pub(super) fn open(folder: &Path) -> Result<Self, ModelError> {
        let index = json::<Index>(&folder.join(INDEX))?;
        let names: BTreeSet<String> = match &index {
            Some(index) => index.weight_map.values().cloned().collect(),
            None => BTreeSet::from([WEIGHTS.to_owned()]),
        };
        if names.len() > MAX_FILES {
            return refused(format!("{INDEX} names {} files; at most {MAX_FILES} are read", names.len()));
        }
        let mut shards = Self { files: Vec::with_capacity(names.len()), tensors: BTreeMap::new() };
        for name in names {
            let (file, stored) = Safetensors::open(&folder.join(config::plain(&name)?))?;
            let place = shards.files.len();
            shards.files.push(file);
            for (tensor, stored) in stored.0 {
                // A file may hold what the list assigns to another; the list decides.
                let elsewhere = |index: &Index| index.weight_map.get(&tensor).is_some_and(|at| *at != name);
                if index.as_ref().is_some_and(elsewhere) {
                    continue;
                }
                shards.tensors.insert(tensor, (place, stored));
            }
        }
        Ok(shards)
    }
}
