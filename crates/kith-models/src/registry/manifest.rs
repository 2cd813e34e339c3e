//! The manifest of a model: the blobs it is made of, by digest.

use crate::SourceError;
use kith_types::Sha256;
use serde::{Deserialize, Serialize};

/// The media type of manifests.
pub const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The media type of configurations.
pub const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// The largest manifest read, in bytes.
pub const MAX_MANIFEST: usize = 4 << 20;
/// The most layers of a manifest.
const MAX_LAYERS: usize = 128;

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// [`MANIFEST`].
    #[serde(default)]
    pub media_type: String,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, in order.
    pub layers: Vec<Descriptor>,
}

/// A blob that a manifest lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is: `application/vnd.ollama.image.model`.
    pub media_type: String,
    /// Its digest.
    pub digest: Sha256,
    /// Its length in bytes.
    pub size: u64,
}

impl Manifest {
    /// Reads one from `host`.
    ///
    /// # Errors
    /// [`SourceError::Unexpected`].
    pub fn read(host: &str, bytes: &[u8]) -> Result<Self, SourceError> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| SourceError::unexpected(host, format!("its manifest: {error}")))?;
        if manifest.layers.len() > MAX_LAYERS {
            return Err(SourceError::unexpected(host, format!("a manifest of more than {MAX_LAYERS} layers")));
        }
        Ok(manifest)
    }

    /// As it is sent.
    pub fn bytes(&self) -> Result<Vec<u8>, SourceError> {
        serde_json::to_vec(self).map_err(|error| SourceError::Model(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_is_written_and_bounded() {
        let layer = Descriptor { media_type: "a".into(), digest: Sha256::from_bytes([1; 32]), size: 5 };
        let config = Descriptor { media_type: CONFIG.into(), digest: Sha256::from_bytes([2; 32]), size: 2 };
        let mut manifest = Manifest { schema_version: 2, media_type: MANIFEST.into(), config, layers: vec![layer.clone()] };
        assert_eq!(Manifest::read("h", &manifest.bytes().unwrap()).unwrap(), manifest);
        manifest.layers = vec![layer; MAX_LAYERS + 1];
        assert!(matches!(Manifest::read("h", &manifest.bytes().unwrap()), Err(SourceError::Unexpected { .. })));
        assert!(Manifest::read("h", b"{}").is_err());
    }
}
