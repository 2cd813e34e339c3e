//! A registry of models in the protocol of Ollama's, which is that of OCI: manifests and the blobs they list. Knows nothing of the
//! library.

mod challenge;
mod layers;
mod manifest;
mod upload;

pub(crate) use layers::{Brought, MAX_TEXT, Texts, layers_of};
pub use manifest::{Descriptor, Manifest};
pub(crate) use upload::Upload;

use crate::{
    SourceError,
    hub::base_url,
    web::{self, Answer, Ask, Web, host_of},
};
use base64::Engine as _;
use challenge::Challenge;
use kith_types::{Clock, Sha256};
use manifest::{MANIFEST, MAX_MANIFEST};
use reqwest::{
    Method, StatusCode, Url,
    header::{self, HeaderValue},
};
use serde::Deserialize;
use sha2::Digest;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// The registry that is asked where a name says none.
const REGISTRY: &str = "https://registry.ollama.ai";
/// The most tokens remembered.
const MAX_TOKENS: usize = 64;
/// The largest answer with a token, in bytes.
const MAX_TOKEN: usize = 64 << 10;

/// Registries, asked with the configured one's credentials if there are some.
pub struct Registry {
    web: Arc<Web>,
    base: Url,
    credentials: Option<(String, String)>,
    tokens: Mutex<HashMap<String, HeaderValue>>,
    clock: Arc<dyn Clock>,
}

/// One repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    base: Url,
    path: String,
    insecure: bool,
    /// Whether the configured credentials are for it.
    ours: bool,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    /// The name OAuth has for it. Registries tell one of them, or both alike.
    access_token: Option<String>,
}

/// What is to be done with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Pull,
    Push,
}

impl Registry {
    /// Registries; names without a host go to `base`, for which `credentials` are.
    ///
    /// # Errors
    /// [`SourceError::Name`] if `base` is no address.
    pub(crate) fn new(
        web: Arc<Web>,
        base: Option<&str>,
        credentials: Option<(String, String)>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        let text = base.unwrap_or(REGISTRY);
        let base = base_url(text).ok_or_else(|| SourceError::Name(format!("`{text}` is not the address of a registry")))?;
        Ok(Self { web, base, credentials, tokens: Mutex::default(), clock })
    }

    /// The repository at `path` of the registry at `host`. A configured plain address is meant to be one.
    pub(crate) fn repository(
        &self,
        host: Option<&(String, String)>,
        path: &str,
        insecure: bool,
    ) -> Result<Repository, SourceError> {
        let base = match host {
            None => self.base.clone(),
            Some((scheme, host)) => base_url(&format!("{scheme}://{host}"))
                .ok_or_else(|| SourceError::Name(format!("`{host}` is not the address of a registry")))?,
        };
        let ours = base.origin() == self.base.origin();
        let insecure = insecure || (ours && self.base.scheme() == "http");
        Ok(Repository { base, path: path.to_owned(), insecure, ours })
    }

    /// The manifest under a tag.
    pub(crate) async fn manifest(&self, repository: &Repository, tag: &str) -> Result<Manifest, SourceError> {
        let ask = repository.ask(Method::GET, &["manifests", tag]).header(header::ACCEPT, MANIFEST);
        let what = format!("{}:{tag}", repository.path);
        let response = self.asked(repository, Act::Pull, ask, &what).await?.response;
        Manifest::read(&host_of(&repository.base), &web::limited(response, MAX_MANIFEST).await?)
    }

    /// Puts a manifest under a tag.
    pub(crate) async fn put_manifest(&self, repository: &Repository, tag: &str, manifest: &Manifest) -> Result<(), SourceError> {
        let mut ask = repository.ask(Method::PUT, &["manifests", tag]).header(header::CONTENT_TYPE, MANIFEST);
        ask.body = Some(manifest.bytes()?.into());
        self.asked(repository, Act::Push, ask, &format!("{}:{tag}", repository.path)).await.map(drop)
    }

    /// A blob of at most `limit` bytes, with the digest it shall have.
    pub(crate) async fn small(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        limit: usize,
    ) -> Result<Vec<u8>, SourceError> {
        let ask = repository.blob(&descriptor.digest);
        let response = self.asked(repository, Act::Pull, ask, &descriptor.digest.to_string()).await?.response;
        let bytes = web::limited(response, limit).await?;
        let actual = Sha256::from_bytes(sha2::Sha256::digest(&bytes).into());
        if actual != descriptor.digest {
            return Err(SourceError::WrongDigest { expected: descriptor.digest, actual });
        }
        Ok(bytes)
    }

    /// Sends with a token of the registry's own if it wants one. Any final status is an answer.
    pub(crate) async fn send(&self, repository: &Repository, act: Act, mut ask: Ask) -> Result<Answer, SourceError> {
        let key = format!("{} {} {act:?}", repository.base.origin().ascii_serialization(), repository.path);
        ask.insecure = repository.insecure;
        // An upload may go on elsewhere; the token stays here.
        let home = ask.url.origin() == repository.base.origin();
        ask.authorization = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&key).filter(|_| home).cloned();
        let answer = self.web.send(ask.clone()).await?;
        if answer.response.status() != StatusCode::UNAUTHORIZED || !home {
            return Ok(answer);
        }
        let challenge = answer.first.get(header::WWW_AUTHENTICATE).and_then(|value| Challenge::read(value.to_str().ok()?));
        let Some(challenge) = challenge else { return Ok(answer) };
        let Some(authorization) = self.authorize(repository, act, challenge).await? else { return Ok(answer) };
        self.remember(key, &authorization);
        ask.authorization = Some(authorization);
        self.web.send(ask).await
    }

    fn remember(&self, key: String, authorization: &HeaderValue) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            tokens.clear();
        }
        tokens.insert(key, authorization.clone());
    }

    /// What to show a registry that asks; `None` if there is nothing to show.
    async fn authorize(
        &self,
        repository: &Repository,
        act: Act,
        challenge: Challenge,
    ) -> Result<Option<HeaderValue>, SourceError> {
        let basic = self.credentials.as_ref().filter(|_| repository.ours).and_then(|(user, password)| {
            let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            let mut value = HeaderValue::from_str(&format!("Basic {text}")).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        let Challenge::Bearer { realm, service, scope } = challenge else { return Ok(basic) };
        let wrong = || SourceError::unexpected(host_of(&repository.base), "it names no place that gives tokens");
        let mut realm = repository.base.join(&realm).map_err(|_| wrong())?;
        if repository.base.scheme() == "https" && realm.scheme() != "https" {
            return Err(wrong());
        }
        // A registry elsewhere has no business with what listens on this machine alone.
        if web::is_loopback(&realm) && !web::is_loopback(&repository.base) {
            return Err(wrong());
        }
        let actions = if act == Act::Push { "pull,push" } else { "pull" };
        let scope = scope.unwrap_or_else(|| format!("repository:{}:{actions}", repository.path));
        realm.query_pairs_mut().extend_pairs(service.map(|service| ("service", service))).append_pair("scope", &scope);
        let mut ask = Ask::get(realm);
        ask.insecure = repository.insecure;
        ask.authorization = basic;
        let answer = self.web.send(ask).await?.response;
        if !answer.status().is_success() {
            return Err(web::refusal(answer, &repository.path, self.now()).await);
        }
        let token: Token = web::json(answer, MAX_TOKEN).await?;
        let token = token.token.or(token.access_token).ok_or_else(wrong)?;
        Ok(web::bearer(&token))
    }

    /// As [`Registry::send`]; a failing status is an error about `what`.
    pub(crate) async fn asked(&self, repository: &Repository, act: Act, ask: Ask, what: &str) -> Result<Answer, SourceError> {
        let answer = self.send(repository, act, ask).await?;
        if answer.response.status().is_success() {
            return Ok(answer);
        }
        Err(web::refusal(answer.response, what, self.now()).await)
    }

    pub(crate) fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(self.clock.now().ms()).unwrap_or(0))
    }
}

impl Repository {
    fn ask(&self, method: Method, segments: &[&str]) -> Ask {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v2").extend(self.path.split('/')).extend(segments);
        }
        Ask::new(method, url)
    }

    /// The request for a blob.
    pub(crate) fn blob(&self, digest: &Sha256) -> Ask {
        self.ask(Method::GET, &["blobs", &digest.to_string()])
    }

    /// For messages.
    pub(crate) fn host(&self) -> String {
        host_of(&self.base)
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}
