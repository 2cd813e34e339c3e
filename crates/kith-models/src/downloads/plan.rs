//! What a download will fetch, asked of its source.

use super::{
    Inner,
    near::{Near, Nobody},
};
use crate::{
    Overrides, SourceError,
    hub::HubFile,
    reference::{Place, Reference},
    registry::{Brought, Descriptor, Repository, Texts},
    web::Answer,
};
use kith_types::Sha256;
use sha2::Digest;

/// The large file of a model, and its texts; or the files of a model in a folder.
pub struct Plan {
    pub weights: Wanted,
    /// For a model in a folder: its other files.
    pub rest: Vec<Wanted>,
    pub texts: Vec<(String, Descriptor)>,
    /// Where it comes from, as the library keeps it.
    pub source: String,
    repository: Option<Repository>,
}

/// A large file.
pub struct Wanted {
    pub origin: Origin,
    /// Stands for its bytes: their digest, or one of the place where that is not known.
    pub key: Sha256,
    /// Under what they lie until they are whole. Whoever names the digest of another's bytes, and a wrong length or bytes of his own,
    /// does not come near the other's.
    pub partial: Sha256,
    pub expect: Option<Sha256>,
    pub size: u64,
    pub label: String,
    pub near: Near,
}

/// Where a large file is.
pub enum Origin {
    Hub { repo: String, path: String },
    Registry { repository: Repository, digest: Sha256 },
}

/// Asks the source what there is.
pub async fn plan(inner: &Inner, reference: &Reference, insecure: bool) -> Result<Plan, SourceError> {
    match &reference.place {
        Place::Hub { repo, choice } => {
            let host = inner.hub.host();
            let near = Near::Ask(Nobody::default());
            let files = inner.hub.wanted(repo, choice).await?.into_iter();
            let mut files = files.map(|file| of_hub(&host, repo, file, near.clone()));
            let Some(weights) = files.next() else {
                return Err(SourceError::NotFound(format!("the repository `{repo}` has no files")));
            };
            let rest: Vec<Wanted> = files.collect();
            let source = if rest.is_empty() { format!("hf.co/{repo}/{}", weights.label) } else { format!("hf.co/{repo}") };
            Ok(Plan { weights, rest, texts: Vec::new(), source, repository: None })
        }
        Place::Registry { host, path, tag } => {
            let repository = inner.registry.repository(host.as_ref(), path, insecure)?;
            let manifest = inner.registry.manifest(&repository, tag).await?;
            let Brought { model, texts, left } = Brought::of(&repository.host(), &manifest)?;
            if !left.is_empty() {
                tracing::info!(model = %reference.name, left = left.join(", "), "the model brings layers that are not taken");
            }
            let source = format!("{}/{path}:{tag}", repository.host());
            let origin = Origin::Registry { repository: repository.clone(), digest: model.digest };
            let (key, size) = (model.digest, model.size);
            let partial = partial(&repository.host(), &key, size);
            let weights = Wanted {
                origin,
                key,
                partial,
                expect: Some(key),
                size,
                label: "model".to_owned(),
                near: Near::Ask(Nobody::default()),
            };
            Ok(Plan { weights, rest: Vec::new(), texts, source, repository: Some(repository) })
        }
    }
}

/// The key of bytes that are not whole yet: of this host, digest and length alone.
fn partial(host: &str, key: &Sha256, size: u64) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(format!("{host} {key} {size}")).into())
}

fn of_hub(host: &str, repo: &str, file: HubFile, near: Near) -> Wanted {
    let HubFile { path, size, sha256 } = file;
    let place = format!("hf.co/{repo}/{path} {size}");
    let key = sha256.unwrap_or_else(|| Sha256::from_bytes(sha2::Sha256::digest(place).into()));
    let (label, partial) = (path.clone(), partial(host, &key, size));
    Wanted { origin: Origin::Hub { repo: repo.to_owned(), path }, key, partial, expect: sha256, size, label, near }
}

/// Where a reference leads, for people.
pub fn source_of(inner: &Inner, reference: &Reference) -> String {
    match &reference.place {
        Place::Hub { repo, .. } => format!("{}/{repo}", inner.hub.host()),
        Place::Registry { host, path, tag } => match inner.registry.repository(host.as_ref(), path, false) {
            Ok(repository) => format!("{}/{path}:{tag}", repository.host()),
            Err(_) => format!("{path}:{tag}"),
        },
    }
}

impl Plan {
    /// Every large file.
    pub fn all(&self) -> impl Iterator<Item = &Wanted> {
        std::iter::once(&self.weights).chain(&self.rest)
    }

    /// The texts, fetched and verified. `told` hears of each that is there, by its place among them.
    pub async fn overrides(&self, inner: &Inner, told: impl Fn(usize)) -> Result<Overrides, SourceError> {
        let mut texts = Texts::default();
        let Some(repository) = &self.repository else { return Ok(texts.overrides()) };
        for (at, (kind, descriptor)) in self.texts.iter().enumerate() {
            let bytes = inner.registry.small(repository, descriptor, crate::registry::MAX_TEXT).await?;
            texts.add(&repository.host(), kind, bytes)?;
            told(at);
        }
        if !texts.left.is_empty() {
            // The file has a template of its own; opening messages have no place yet.
            tracing::info!(source = self.source, left = texts.left.join(", "), "texts of the model that are not taken");
        }
        Ok(texts.overrides())
    }
}

impl Origin {
    /// Asks for the bytes from `from` on. Any final status is an answer.
    pub async fn open(&self, inner: &Inner, from: u64, etag: Option<&str>) -> Result<Answer, SourceError> {
        match self {
            Self::Hub { repo, path } => inner.hub.web().send(inner.hub.download(repo, path)?.from(from, etag)).await,
            Self::Registry { repository, digest } => {
                inner.registry.send(repository, crate::registry::Act::Pull, repository.blob(digest).from(from, etag)).await
            }
        }
    }

    /// Says more of a refusal where the source says little.
    pub fn explained(&self, inner: &Inner, error: SourceError) -> SourceError {
        match self {
            Self::Hub { .. } => inner.hub.explained(error),
            Self::Registry { .. } => error,
        }
    }
}
