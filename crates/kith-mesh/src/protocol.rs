//! Names of protocols: `/kith/<name>/<version>`.

use libp2p::StreamProtocol;
use std::{cmp::Ordering, fmt, str::FromStr};

/// A protocol of the product, in one version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Protocol {
    name: String,
    version: u32,
}

/// A text was not the name of a protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a protocol: it has the form /kith/blobs/1")]
pub struct ProtocolError(pub String);

/// Longest name, without `/kith/` and the version: all names are told to every peer.
const MAX_NAME: usize = 48;

impl Protocol {
    /// The name, as `blobs`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    pub(crate) fn wire(&self) -> Option<StreamProtocol> {
        StreamProtocol::try_from_owned(self.to_string()).ok()
    }
}

/// The newest version of a name comes first.
impl Ord for Protocol {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(&other.name).then(other.version.cmp(&self.version))
    }
}

impl PartialOrd for Protocol {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/kith/{}/{}", self.name, self.version)
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        let error = || ProtocolError(text.chars().take(64).collect());
        let (name, version) = text.strip_prefix("/kith/").and_then(|rest| rest.rsplit_once('/')).ok_or_else(error)?;
        let named = !name.is_empty()
            && name.len() <= MAX_NAME
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        match version.parse() {
            Ok(number) if named && number > 0 && !version.starts_with(['0', '+']) => {
                Ok(Self { name: name.to_owned(), version: number })
            }
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_has_one_spelling() {
        let protocol: Protocol = "/kith/blobs/12".parse().unwrap();
        assert_eq!((protocol.name(), protocol.version(), protocol.to_string().as_str()), ("blobs", 12, "/kith/blobs/12"));
        for text in [
            "",
            "/kith/blobs",
            "/kith/blobs/0",
            "/kith/blobs/01",
            "/kith/blobs/+1",
            "/kith//1",
            "/kith/a/b/1",
            "/ipfs/blobs/1",
            "/kith/Blobs/1",
        ] {
            assert!(text.parse::<Protocol>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_newest_version_comes_first() {
        let mut versions: Vec<Protocol> = ["/kith/a/2", "/kith/a/10", "/kith/a/1"].map(|text| text.parse().unwrap()).to_vec();
        versions.sort();
        assert_eq!(versions.iter().map(Protocol::version).collect::<Vec<_>>(), [10, 2, 1]);
    }
}
