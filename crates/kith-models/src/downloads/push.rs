//! The way back: a model of the library goes to a registry.

use super::{
    Inner,
    fetch::pause,
    item::{FileProgress, Item, Phase, Progress},
    plan::source_of,
    queue::{Following, Interest, patiently},
    retry::Tries,
};
use crate::{
    Model, SourceError,
    model::SAFETENSORS,
    reference::{Place, Reference},
    registry::{Repository, Upload, layers_of},
};
use bytes::Bytes;
use kith_types::Sha256;
use std::{
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
    sync::Arc,
};
use tokio::task::spawn_blocking;

/// Bytes sent in one request.
const CHUNK: u64 = 8 << 20;

/// Where the bytes of a blob are.
#[derive(Clone)]
enum Bytewise {
    File(PathBuf),
    Memory(Bytes),
}

/// Begins to send a model; it is cancelled when the answer is dropped.
pub fn push(inner: &Arc<Inner>, reference: Reference, insecure: bool) -> Result<Following, SourceError> {
    let place = Arc::clone(&inner.pushes).try_acquire_owned();
    let place = place.map_err(|_| SourceError::QueueFull(inner.bounds.waiting))?;
    let item = Item::new(0, reference.name.clone(), source_of(inner, &reference), inner.clock.now());
    let progress = Progress::new(item, Arc::clone(&inner.clock));
    let cancel = inner.stop.child_token();
    let following = Following::new(&progress, Interest::Push(cancel.clone().drop_guard()));
    let task = Arc::clone(inner);
    inner.tasks.spawn(async move {
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(SourceError::Cancelled),
            outcome = run(&task, &progress, &reference, insecure) => outcome,
        };
        // Before anybody hears of the end, and may ask for the next.
        drop(place);
        progress.end(outcome);
    });
    Ok(following)
}

async fn run(inner: &Inner, progress: &Progress, reference: &Reference, insecure: bool) -> Result<(), SourceError> {
    progress.phase(Phase::Manifest);
    let model = inner.library.get(&reference.name).await?;
    if model.format == SAFETENSORS {
        return Err(SourceError::Unsupported(
            "registries of this kind take GGUF models; this one is a folder of safetensors".to_owned(),
        ));
    }
    let Place::Registry { host, path, tag } = &reference.place else {
        return Err(SourceError::Unsupported("the hub takes no models this way: push to a registry".to_owned()));
    };
    let repository = inner.registry.repository(host.as_ref(), path, insecure)?;
    let Ok(_turn) = inner.pushing.acquire().await else { return Err(SourceError::Cancelled) };
    let (manifest, blobs) = parts(&model)?;
    progress.files(blobs.iter().map(|(file, _)| file.clone()).collect());
    // Pinned: a model may be removed while it is on its way.
    let _pin = inner.blobs.pin(&model.blob).await?;
    progress.phase(Phase::Moving);
    for (at, (file, bytes)) in blobs.iter().enumerate() {
        send(inner, progress, &repository, at, file, bytes).await?;
    }
    progress.phase(Phase::Writing);
    patiently(inner, progress, || inner.registry.put_manifest(&repository, tag, &manifest)).await
}

type Blob = (FileProgress, Bytewise);

/// The manifest of a model and the blobs it lists, each once.
fn parts(model: &Model) -> Result<(crate::registry::Manifest, Vec<Blob>), SourceError> {
    let (manifest, small) = layers_of(model)?;
    let file = |digest: Sha256, label: &str, total| FileProgress { digest, label: label.to_owned(), total, completed: 0 };
    let mut blobs = vec![(file(model.sha256, "model", model.size), Bytewise::File(model.path.clone()))];
    for (descriptor, bytes) in small {
        if blobs.iter().all(|(file, _)| file.digest != descriptor.digest) {
            let label = descriptor.media_type.rsplit('.').next().unwrap_or_default();
            blobs.push((file(descriptor.digest, label, descriptor.size), Bytewise::Memory(bytes.into())));
        }
    }
    Ok((manifest, blobs))
}

async fn send(
    inner: &Inner,
    progress: &Progress,
    repository: &Repository,
    at: usize,
    file: &FileProgress,
    bytes: &Bytewise,
) -> Result<(), SourceError> {
    let begin = || inner.registry.upload(repository, &file.digest);
    let Some(mut upload) = patiently(inner, progress, begin).await? else {
        progress.at(at, file.total);
        return Ok(());
    };
    let (mut sent, mut tries) = (0, Tries::default());
    while sent < file.total {
        let chunk = bytes.piece(sent, CHUNK.min(file.total - sent)).await?;
        let length = chunk.len() as u64;
        match inner.registry.send_chunk(&mut upload, sent, chunk).await {
            Ok(()) => {
                tries.progressed();
                sent += length;
                progress.moved(at, length);
            }
            Err(error) => {
                pause(inner, progress, &mut tries, error).await?;
                sent = standing(inner, progress, &mut upload, sent).await?.min(file.total);
                progress.at(at, sent);
            }
        }
    }
    patiently(inner, progress, || inner.registry.close(&upload)).await
}

/// Where the registry stands after a chunk failed; where it does not say, the chunk is sent again.
async fn standing(inner: &Inner, progress: &Progress, upload: &mut Upload, sent: u64) -> Result<u64, SourceError> {
    let mut tries = Tries::default();
    loop {
        match inner.registry.sent(upload).await {
            Ok(there) => return Ok(there),
            Err(error) if error.passes() => pause(inner, progress, &mut tries, error).await?,
            Err(SourceError::NotFound(_) | SourceError::Unexpected { .. }) => return Ok(sent),
            Err(error) => return Err(error),
        }
    }
}

impl Bytewise {
    async fn piece(&self, from: u64, count: u64) -> Result<Bytes, SourceError> {
        match self {
            Self::Memory(bytes) => {
                let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(at(from)..at(from.saturating_add(count))))
            }
            Self::File(path) => {
                let path = path.clone();
                let read = move || -> std::io::Result<Vec<u8>> {
                    let mut file = std::fs::File::open(path)?;
                    file.seek(SeekFrom::Start(from))?;
                    let mut bytes = Vec::new();
                    file.take(count).read_to_end(&mut bytes)?;
                    if bytes.len() as u64 == count { Ok(bytes) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
                };
                let bytes = spawn_blocking(read).await.map_err(crate::ModelError::from)?;
                Ok(bytes.map_err(kith_blobs::BlobError::from)?.into())
            }
        }
    }
}
