//! Sending a blob to a registry: in chunks, each tried again from where the registry says it stands.

use super::{Act, Registry, Repository};
use crate::{
    SourceError,
    web::{self, Ask, host_of},
};
use bytes::Bytes;
use kith_types::Sha256;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{self, HeaderMap},
};

/// An upload that was begun. The registry tells a new address with every answer.
pub struct Upload {
    repository: Repository,
    digest: Sha256,
    location: Url,
}

impl Registry {
    /// Begins to send a blob; `None` if the registry has it already.
    pub(crate) async fn upload(&self, repository: &Repository, digest: &Sha256) -> Result<Option<Upload>, SourceError> {
        let mut ask = repository.blob(digest);
        ask.method = Method::HEAD;
        let there = self.send(repository, Act::Push, ask).await?.response;
        match there.status() {
            status if status.is_success() => return Ok(None),
            StatusCode::NOT_FOUND => {}
            _ => return Err(web::refusal(there, &repository.path, self.now()).await),
        }
        let mut ask = repository.ask(Method::POST, &["blobs", "uploads", ""]).header(header::CONTENT_LENGTH, "0");
        ask.body = Some(Bytes::new());
        let answer = self.asked(repository, Act::Push, ask, repository.path()).await?.response;
        let location = location(&answer).ok_or_else(|| nowhere(repository))?;
        Ok(Some(Upload { repository: repository.clone(), digest: *digest, location }))
    }

    /// Sends the bytes that begin at `from` of the blob.
    pub(crate) async fn send_chunk(&self, upload: &mut Upload, from: u64, bytes: Bytes) -> Result<(), SourceError> {
        let end = from.saturating_add(bytes.len() as u64).saturating_sub(1);
        let mut ask = Ask::new(Method::PATCH, upload.location.clone())
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_RANGE, &format!("{from}-{end}"));
        ask.body = Some(bytes);
        let answer = self.asked(&upload.repository, Act::Push, ask, &upload.digest.to_string()).await?.response;
        if let Some(location) = location(&answer) {
            upload.location = location;
        }
        Ok(())
    }

    /// Bytes that the registry has of an upload that was interrupted.
    pub(crate) async fn sent(&self, upload: &mut Upload) -> Result<u64, SourceError> {
        let ask = Ask::get(upload.location.clone());
        let answer = self.asked(&upload.repository, Act::Push, ask, &upload.digest.to_string()).await?.response;
        let sent = received(answer.headers());
        if let Some(location) = location(&answer) {
            upload.location = location;
        }
        Ok(sent)
    }

    /// Ends an upload: the registry compares the digest.
    pub(crate) async fn close(&self, upload: &Upload) -> Result<(), SourceError> {
        let mut url = upload.location.clone();
        url.query_pairs_mut().append_pair("digest", &upload.digest.to_string());
        let mut ask = Ask::new(Method::PUT, url).header(header::CONTENT_LENGTH, "0");
        ask.body = Some(Bytes::new());
        self.asked(&upload.repository, Act::Push, ask, &upload.digest.to_string()).await.map(drop)
    }
}

/// The address an answer tells, if it is one that may be asked.
fn location(answer: &Response) -> Option<Url> {
    let url = answer.url().join(answer.headers().get(header::LOCATION)?.to_str().ok()?).ok()?;
    // Not from an encrypted connection to a plain one, and from elsewhere not to what listens on this machine alone.
    let encrypted = answer.url().scheme() == url.scheme() || url.scheme() == "https";
    (encrypted && (web::is_loopback(answer.url()) || !web::is_loopback(&url))).then_some(url)
}

/// `Range: 0-N` says that N + 1 bytes are there.
fn received(headers: &HeaderMap) -> u64 {
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let last = range.and_then(|range| range.trim_start_matches("bytes=").split_once('-')?.1.parse::<u64>().ok());
    last.map_or(0, |last| last.saturating_add(u64::from(last > 0)))
}

fn nowhere(repository: &Repository) -> SourceError {
    SourceError::unexpected(host_of(&repository.base), "it does not say where to send the bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_counts_its_bytes_by_the_last_ones_number() {
        let with = |text: &'static str| HeaderMap::from_iter([(header::RANGE, text.parse().unwrap())]);
        assert_eq!(received(&with("0-99")), 100);
        assert_eq!(received(&with("bytes=0-99")), 100);
        assert_eq!(received(&with("0-0")), 0, "registries say so of nothing");
        assert_eq!(received(&HeaderMap::new()), 0);
    }
}
