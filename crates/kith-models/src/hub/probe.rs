//! The header of a remote file, read by ranges until it is whole.

use super::{Hub, HubFile, layout::SHARD_MIB, layout::Shard, layout::layout};
use crate::{
    Details, SourceError,
    gguf::{Gguf, GgufError, MAX_HEADER},
    reference::Reference,
    web::{self, host_of},
};
use kith_types::Sha256;
use reqwest::{Response, StatusCode, header};
use std::io::{self, Read, Seek, SeekFrom};
use tokio::task::spawn_blocking;

/// Bytes asked for first. Each further piece is as long as all before.
const FIRST: u64 = 1 << 20;

/// What is known of a remote model without its weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its name in the library, and where it is.
    pub reference: Reference,
    /// `user/repository`.
    pub repo: String,
    /// The file's path there.
    pub filename: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest, if the hub tells.
    pub sha256: Option<Sha256>,
    /// What its header says.
    pub details: Details,
    /// How it would be cut into shards.
    pub shards: Vec<Shard>,
}

/// The first bytes of a file whose length is known.
struct Beginning {
    bytes: Vec<u8>,
    size: u64,
    at: u64,
}

impl Read for Beginning {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.at).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        if rest.is_empty() && self.at < self.size && !into.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = rest.len().min(into.len());
        into.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Beginning {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.size.saturating_add_signed(by),
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

pub async fn probe(hub: &Hub, repo: &str, reference: Reference, file: HubFile) -> Result<Probe, SourceError> {
    let mut bytes = Vec::new();
    let (mut size, mut wanted) = (file.size, FIRST);
    loop {
        let (more, total, ended) = piece(hub, repo, &file.path, bytes.len() as u64, wanted).await?;
        size = total.unwrap_or(size);
        bytes.extend(more);
        let beginning = Beginning { bytes, size, at: 0 };
        let (parsed, beginning) = spawn_blocking(move || {
            let mut beginning = beginning;
            (parsed(&mut beginning), beginning)
        })
        .await
        .map_err(crate::ModelError::from)?;
        bytes = beginning.bytes;
        match parsed {
            Ok((details, shards)) => {
                let (repo, filename, sha256) = (repo.to_owned(), file.path, file.sha256);
                return Ok(Probe { reference, repo, filename, size, sha256, details, shards });
            }
            Err(GgufError::Io(error))
                if error.kind() == io::ErrorKind::WouldBlock && !ended && (bytes.len() as u64) < MAX_HEADER =>
            {
                wanted = bytes.len() as u64;
            }
            Err(error) => return Err(crate::ModelError::from(error).into()),
        }
    }
}

fn parsed(beginning: &mut Beginning) -> Result<(Details, Vec<Shard>), GgufError> {
    let gguf = Gguf::read(beginning)?;
    Ok((Details::of(&gguf)?, layout(&gguf, SHARD_MIB << 20)))
}

/// The bytes from `from` on, `count` or fewer; the file's length, if the answer tells; and whether the file ends there.
async fn piece(hub: &Hub, repo: &str, path: &str, from: u64, count: u64) -> Result<(Vec<u8>, Option<u64>, bool), SourceError> {
    let last = from.saturating_add(count).saturating_sub(1);
    let ask = hub.download(repo, path)?.header(header::RANGE, &format!("bytes={from}-{last}"));
    let mut response = hub.web().send(ask).await?.response;
    let host = host_of(response.url());
    let total = match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let range =
                response.headers().get(header::CONTENT_RANGE).and_then(|range| crate::downloads::range(range.to_str().ok()?));
            match range {
                Some((first, total)) if first == from => total,
                _ => return Err(SourceError::unexpected(host, "a range of bytes that was not asked for")),
            }
        }
        // It ignores ranges: what comes before is skipped, and no more is read than wanted.
        StatusCode::OK => response.content_length(),
        _ => return Err(hub.explained(web::refusal(response, &format!("`{path}` of `{repo}`"), hub.now()).await)),
    };
    let skip = if response.status() == StatusCode::OK { from } else { 0 };
    let mut bytes = web::patiently(&mut response, async |response| read(response, skip, count).await).await?;
    let ended = (bytes.len() as u64) < count;
    bytes.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    Ok((bytes, total, ended))
}

/// So many bytes of an answer, or as many as there are, after the first `skip`.
async fn read(response: &mut Response, mut skip: u64, count: u64) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    let url = response.url().clone();
    while (bytes.len() as u64) < count {
        let Some(chunk) = response.chunk().await.map_err(|error| web::broken(&url, &error))? else { break };
        let skipped = skip.min(chunk.len() as u64);
        skip -= skipped;
        bytes.extend_from_slice(usize::try_from(skipped).ok().and_then(|skipped| chunk.get(skipped..)).unwrap_or_default());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tiny_gguf;

    #[test]
    fn a_header_that_is_not_yet_whole_asks_for_more_and_a_whole_one_needs_no_weights() {
        let file = tiny_gguf(1);
        let size = file.len() as u64;
        let mut short = Beginning { bytes: file[..200].to_vec(), size, at: 0 };
        assert!(matches!(parsed(&mut short), Err(GgufError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock));
        let mut enough = Beginning { bytes: file[..file.len() - 100].to_vec(), size, at: 0 };
        let (details, shards) = parsed(&mut enough).unwrap();
        assert_eq!((details.architecture.as_str(), shards.len()), ("llama", 1));
    }
}
