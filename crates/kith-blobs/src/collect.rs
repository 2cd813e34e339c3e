//! Removing what nobody names: blobs that are not in use, temporary files that nobody writes, trees and names of blobs that are gone.

use crate::{
    BlobError,
    blobs::{Collected, Inner, discard},
};
use kith_types::Blake3;
use std::{collections::HashSet, fs};

impl Inner {
    /// As [`crate::Blobs::collect`]; blocks.
    pub(crate) fn collect(&self, in_use: &HashSet<Blake3>) -> Result<Collected, BlobError> {
        let mut collected = Collected::default();
        let mut count = |bytes| {
            collected.files += 1;
            collected.bytes += bytes;
        };
        for folder in fs::read_dir(&self.named)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                tracing::warn!(path = %folder.path().display(), "not a folder of blobs; left alone");
                continue;
            }
            for entry in fs::read_dir(folder.path())? {
                let entry = entry?;
                let hash = entry.file_name().to_str().and_then(|name| name.parse::<Blake3>().ok());
                match hash.filter(|hash| self.path(hash) == entry.path()) {
                    Some(hash) if in_use.contains(&hash) => {}
                    Some(hash) => {
                        if let Some(bytes) = self.remove(&hash)? {
                            count(bytes);
                        }
                    }
                    None => tracing::warn!(path = %entry.path().display(), "not a blob's name; left alone"),
                }
            }
        }
        for entry in fs::read_dir(&self.temporary)? {
            let entry = entry?;
            let discarded = self.incoming.unless_active(&entry.file_name(), || {
                let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
                discard(&entry.path()).map(|()| bytes)
            });
            if let Some(bytes) = discarded.transpose()? {
                count(bytes);
            }
        }
        let is_there = |hash: &Blake3| self.path(hash).exists();
        let (files, bytes) = self.trees.collect(is_there)?;
        self.names.collect(is_there)?;
        collected.files += files;
        collected.bytes += bytes;
        Ok(collected)
    }
}
