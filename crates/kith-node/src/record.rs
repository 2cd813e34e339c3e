//! DIR/node.json: where a running node of this folder is found.

use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What node.json holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Where the API listens.
    pub url: String,
    /// The process.
    pub pid: u32,
    /// The node.
    pub node_id: String,
}

impl NodeRecord {
    /// DIR/node.json.
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("node.json")
    }

    /// What a node of this folder wrote, running or not; `None` if there is nothing readable.
    pub fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::path(data_dir)).ok()?).ok()
    }

    /// Writes the file in one step: a reader sees the old one or the new one, whole.
    pub fn write(&self, data_dir: &Path) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(data_dir)?;
        serde_json::to_writer(&mut file, self)?;
        file.persist(Self::path(data_dir)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes the file if it is still this node's.
    pub fn remove(&self, data_dir: &Path) {
        if Self::read(data_dir).as_ref() == Some(self) {
            // It is stale without us; a reader checks whether the node answers.
            let _ = fs::remove_file(Self::path(data_dir));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_removed_only_by_its_own_node() {
        let dir = tempfile::tempdir().unwrap();
        let ours = NodeRecord { url: "http://127.0.0.1:1".into(), pid: 1, node_id: "a".into() };
        let theirs = NodeRecord { pid: 2, ..ours.clone() };
        theirs.write(dir.path()).unwrap();
        ours.remove(dir.path());
        assert_eq!(NodeRecord::read(dir.path()), Some(theirs.clone()));
        theirs.remove(dir.path());
        assert_eq!(NodeRecord::read(dir.path()), None);
    }
}
