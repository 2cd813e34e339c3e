//! The Hugging Face hub: searching it, listing a repository, reading a remote file's header. Knows nothing of the library.

mod layout;
mod listing;
mod origin;
mod probe;
mod quant;

pub use layout::{MAX_SHARDS, SHARD_MIB, Shard, layout};
pub use listing::{HubFile, Variant};
pub use origin::HubPlace;
pub use probe::Probe;
pub use quant::quant_of;

use crate::{
    SourceError,
    reference::{Choice, Reference},
    web::{self, Answer, Ask, Web, host_of},
};
use futures::StreamExt;
use kith_types::{Clock, Sha256};
use listing::TreeEntry;
use reqwest::{Url, header};
use serde::Deserialize;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Where the hub is unless configured otherwise.
const ENDPOINT: &str = "https://huggingface.co";
/// The largest JSON answer read, in bytes.
const MAX_JSON: usize = 16 << 20;
/// The most pages of a repository's listing read; each has up to a thousand files.
const MAX_PAGES: usize = 10;
/// The most repositories that a search tells.
pub const MAX_FOUND: usize = 20;
/// Repositories listed at once.
const AT_ONCE: usize = 4;

/// The hub, asked with its owner's token if there is one.
pub struct Hub {
    web: Arc<Web>,
    base: Url,
    token: Option<String>,
    clock: Arc<dyn Clock>,
    known: origin::Known,
}

/// A repository that a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `user/repository`.
    pub repo: String,
    /// Downloads, as the hub counts them.
    pub downloads: u64,
    /// Likes.
    pub likes: u64,
    /// Its models.
    pub variants: Vec<Variant>,
}

#[derive(Debug, Deserialize)]
struct FoundModel {
    #[serde(rename(deserialize = "id"))]
    own: Option<String>,
    /// The older word for the same; the hub tells both.
    #[serde(rename(deserialize = "modelId"))]
    older: Option<String>,
    #[serde(default)]
    downloads: u64,
    #[serde(default)]
    likes: u64,
}

impl FoundModel {
    /// `user/repository`.
    fn id(&self) -> &str {
        self.own.as_deref().or(self.older.as_deref()).unwrap_or_default()
    }
}

impl Hub {
    /// The hub at `endpoint`. A configured plain endpoint is meant to be one.
    ///
    /// # Errors
    /// [`SourceError::Name`] if it is no address.
    pub(crate) fn new(
        web: Arc<Web>,
        endpoint: Option<&str>,
        token: Option<String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        let text = endpoint.unwrap_or(ENDPOINT);
        let base = base_url(text).ok_or_else(|| SourceError::Name(format!("`{text}` is not the address of a hub")))?;
        Ok(Self { web, base, token, clock, known: origin::Known::default() })
    }

    /// Repositories with GGUF models that match `query`, the most downloaded first: at most `limit`, and [`MAX_FOUND`].
    pub async fn search(&self, query: &str, limit: usize) -> Result<Vec<Found>, SourceError> {
        let models = self.repositories(query, limit).await?;
        let found = futures::stream::iter(models).map(|model| async move {
            // A gated or vanished repository is no reason to fail the search.
            let files = match self.files(model.id()).await {
                Err(SourceError::NotFound(_) | SourceError::Refused { .. } | SourceError::Name(_)) => return Ok(None),
                files => files?,
            };
            let variants = listing::variants(&files);
            let found = Found { repo: model.id().to_owned(), downloads: model.downloads, likes: model.likes, variants };
            Ok((!found.variants.is_empty()).then_some(found))
        });
        let found: Vec<Result<_, SourceError>> = found.buffered(AT_ONCE).collect().await;
        found.into_iter().filter_map(Result::transpose).collect()
    }

    /// Repositories with GGUF models that match `query`, the most downloaded first, without their files.
    async fn repositories(&self, query: &str, limit: usize) -> Result<Vec<FoundModel>, SourceError> {
        let mut url = self.url(&["api", "models"]);
        url.query_pairs_mut()
            .append_pair("search", query)
            .append_pair("filter", "gguf")
            .append_pair("sort", "downloads")
            .append_pair("direction", "-1")
            .append_pair("limit", &limit.clamp(1, MAX_FOUND).to_string());
        let answer = self.asked(Ask::get(url), "the search").await?;
        let mut models: Vec<FoundModel> = web::json(answer.response, MAX_JSON).await?;
        models.retain(|model| !model.id().is_empty());
        models.truncate(limit.clamp(1, MAX_FOUND));
        Ok(models)
    }

    /// The files of a repository.
    pub async fn files(&self, repo: &str) -> Result<Vec<HubFile>, SourceError> {
        let (user, repository) = parts(repo)?;
        let mut url = self.url(&["api", "models", user, repository, "tree", "main"]);
        url.query_pairs_mut().append_pair("recursive", "true");
        let mut files = Vec::new();
        for _ in 0..MAX_PAGES {
            let answer = self.asked(Ask::get(url.clone()), &format!("the repository `{repo}`")).await?;
            let next = answer.response.headers().get(header::LINK).and_then(|link| next_page(link.to_str().ok()?, &url));
            let entries: Vec<TreeEntry> = web::json(answer.response, MAX_JSON).await?;
            files.extend(entries.into_iter().filter_map(TreeEntry::file));
            match next.filter(|next| next.origin() == self.base.origin()) {
                Some(next) => url = next,
                None => break,
            }
        }
        Ok(files)
    }

    /// The one file of a repository that `choice` means.
    ///
    /// # Errors
    /// [`SourceError::NotFound`], and [`SourceError::Unsupported`] for a model in several files.
    pub async fn choose(&self, repo: &str, choice: &Choice) -> Result<HubFile, SourceError> {
        listing::choose(repo, &self.files(repo).await?, choice)
    }

    /// The files of what `choice` means: one GGUF file, or, where the repository has none and nothing else was asked for, those of a model
    /// in a folder that is kept as it is.
    pub(crate) async fn wanted(&self, repo: &str, choice: &Choice) -> Result<Vec<HubFile>, SourceError> {
        let files = self.files(repo).await?;
        listing::choose(repo, &files, choice).map(|file| vec![file]).or_else(|error| match listing::folder(&files) {
            Some(folder) if *choice == Choice::Recommended => Ok(folder),
            _ => Err(error),
        })
    }

    /// What the header of a remote GGUF file says. Only the header is read, in growing pieces.
    pub async fn probe(&self, repo: &str, filename: &str) -> Result<Probe, SourceError> {
        let (reference, file) = self.file(repo, filename).await?;
        probe::probe(self, repo, reference, file).await
    }

    /// The file of a repository that `filename` means, and its name in the library, which no other file of the repository has.
    pub(crate) async fn file(&self, repo: &str, filename: &str) -> Result<(Reference, HubFile), SourceError> {
        let files = self.files(repo).await?;
        let file = match listing::choose_exactly(&files, filename) {
            Some(file) => file,
            None => listing::choose(repo, &files, &Choice::Called(filename.to_owned()))?,
        };
        Ok((listing::reference(repo, &files, &file)?, file))
    }

    /// The request for a file's bytes.
    pub(crate) fn download(&self, repo: &str, path: &str) -> Result<Ask, SourceError> {
        let (user, repository) = parts(repo)?;
        let mut segments = vec![user, repository, "resolve", "main"];
        segments.extend(path.split('/'));
        Ok(self.with_token(Ask::get(self.url(&segments))))
    }

    pub(crate) fn web(&self) -> &Web {
        &self.web
    }

    pub(crate) fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(self.clock.now().ms()).unwrap_or(0))
    }

    fn with_token(&self, mut ask: Ask) -> Ask {
        ask.insecure = self.base.scheme() == "http";
        ask.authorization = self.token.as_deref().and_then(web::bearer);
        ask
    }

    async fn asked(&self, ask: Ask, what: &str) -> Result<Answer, SourceError> {
        let answer = self.web.send(self.with_token(ask)).await?;
        if answer.response.status().is_success() {
            return Ok(answer);
        }
        Err(self.explained(web::refusal(answer.response, what, self.now()).await))
    }

    /// The hub says «no credentials» for what does not exist, too.
    pub(crate) fn explained(&self, error: SourceError) -> SourceError {
        match error {
            SourceError::Refused { host, reason } if self.token.is_none() => {
                let reason = format!("{reason}; it may not exist, or needs a token (HF_TOKEN)");
                SourceError::Refused { host, reason }
            }
            error => error,
        }
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    pub(crate) fn host(&self) -> String {
        host_of(&self.base)
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// An `http` or `https` address, without query and without a password, which would be shown with it.
pub(crate) fn base_url(text: &str) -> Option<Url> {
    let plain = |url: &Url| url.has_host() && url.username().is_empty() && url.password().is_none();
    let mut url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && plain(url))?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

/// User and repository. Each is one part of a path and never a way out of it.
fn parts(repo: &str) -> Result<(&str, &str), SourceError> {
    let ok = |part: &str| {
        !part.is_empty()
            && part.len() <= 96
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    match repo.split_once('/') {
        Some((user, repository)) if ok(user) && ok(repository) => Ok((user, repository)),
        _ => Err(SourceError::Name(format!("`{repo}` is not a repository: use user/repository"))),
    }
}

/// The `rel="next"` of a Link header.
fn next_page(link: &str, base: &Url) -> Option<Url> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let (_, rest) = next.split_once('<')?;
    let (target, _) = rest.split_once('>')?;
    base.join(target).ok()
}

/// The digest that the hub's redirect names for a large file: a SHA-256 in quotes.
pub(crate) fn linked_digest(answer: &Answer) -> Option<Sha256> {
    let tag = answer.first.get("x-linked-etag")?.to_str().ok()?;
    tag.trim_start_matches("W/").trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_two_plain_parts() {
        assert_eq!(parts("acme/Tiny-GGUF.v1").unwrap(), ("acme", "Tiny-GGUF.v1"));
        for repo in ["acme", "acme/", "/tiny", "acme/../x", "acme/a/b", "a?b/c", "../x"] {
            assert!(parts(repo).is_err(), "{repo}");
        }
    }

    #[test]
    fn the_next_page_is_read_from_the_link() {
        let base = "https://hub.example/api".parse().unwrap();
        let next = next_page("</x?cursor=2>; rel=\"next\"", &base).unwrap();
        assert_eq!(next.as_str(), "https://hub.example/x?cursor=2");
        assert_eq!(next_page("</x>; rel=\"prev\"", &base), None);
    }
}
