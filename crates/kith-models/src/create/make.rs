//! Carrying a plan out.

use super::{Plan, Step, adapter, join, plan::Held, written};
use crate::{Library, Model, ModelError, gguf::Gguf, quantize::Target};
use kith_blobs::Put;
use std::{
    fs::File,
    io::{Seek, SeekFrom},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc::Sender, task::spawn_blocking};

/// How often the progress of writing is told.
const TOLD: Duration = Duration::from_millis(100);
/// The largest file written, in bytes: the largest that the database can count.
const MAX_FILE: u64 = i64::MAX as u64;

/// Tells a step; nobody need listen.
async fn tell(steps: &Sender<Step>, step: Step) {
    let _ = steps.send(step).await;
}

impl Library {
    /// Makes the model. `steps` is told what is being done, and must be read: its bound holds the work up.
    ///
    /// Dropping the future before the last step leaves no trace but bytes that the next clean-up removes.
    ///
    /// # Errors
    /// [`ModelError::Busy`] while another model's weights are being written.
    pub async fn make(&self, plan: Plan, steps: Sender<Step>) -> Result<Model, ModelError> {
        let Plan { name, mut files, adapters, overrides, target, stored, source } = plan;
        let rewritten = files.len() > 1 || target.is_some() || !adapters.is_empty();
        // Writing weights anew keeps disk and processor busy: one at a time.
        let _turn = if rewritten { Some(self.turn()?) } else { None };
        for file in files.iter().filter(|_| !rewritten) {
            tell(&steps, Step::Using(file.sha256)).await;
        }
        for (label, adapter) in adapters {
            tell(&steps, Step::Merging(label)).await;
            let Some(base) = files.pop() else { break };
            let merged = self.merged(&base, &adapter).await?;
            files = vec![self.next(base, merged).await];
        }
        if files.len() > 1 || target.is_some() {
            let put = self.assembled(&files, target, &stored, &steps).await?;
            let base = files.pop();
            files = match base {
                Some(base) => vec![self.next(base, put).await],
                None => Vec::new(),
            };
        }
        let Some(file) = files.pop() else { return Err(ModelError::BadFile { reason: "there is no file".to_owned() }) };
        if rewritten {
            tell(&steps, Step::Created(file.sha256)).await;
        }
        tell(&steps, Step::Naming).await;
        let sha256 = file.sha256;
        let put = Put { hash: file.hash, sha256, size: file.size, pin: file.pin };
        let model = self.name_bytes(put, name, overrides, source).await?;
        self.settle_upload(&sha256).await;
        Ok(model)
    }

    /// Takes the bytes of the next stage for those of the one before, which go if nothing else names them.
    async fn next(&self, before: Held, put: Put) -> Held {
        let hash = before.hash;
        drop(before);
        self.let_go(&hash).await;
        Held { hash: put.hash, sha256: put.sha256, size: put.size, pin: put.pin }
    }

    async fn merged(&self, base: &Held, adapter: &Held) -> Result<Put, ModelError> {
        let (base, adapter, mut out) = (self.blob_path(&base.hash), self.blob_path(&adapter.hash), self.scratch().await?);
        let out = spawn_blocking(move || {
            adapter::merge(&base, &adapter, 1.0, &mut out)?;
            out.seek(SeekFrom::Start(0)).map_err(kith_blobs::BlobError::from)?;
            Ok::<File, ModelError>(out)
        })
        .await??;
        Ok(self.blobs().put(tokio::fs::File::from_std(out), None, MAX_FILE, |_| {}).await?)
    }

    /// The files as one, quantised if that is wanted.
    async fn assembled(
        &self,
        files: &[Held],
        target: Option<Target>,
        stored: &str,
        steps: &Sender<Step>,
    ) -> Result<Put, ModelError> {
        let mut opened = Vec::with_capacity(files.len());
        for file in files {
            opened.push(self.open_blob(&file.hash).await?);
        }
        let what = match target {
            Some(target) => format!("quantizing {stored} model to {}", target.name),
            None => format!("joining {} files", files.len()),
        };
        let steps = steps.clone();
        written(self.blobs(), move |out| {
            let read = |file: File| Gguf::read(&file).map(|gguf| (file, gguf));
            let assembly = join(opened.into_iter().map(read).collect::<Result<_, _>>()?, target)?;
            let (total, mut told) = (assembly.total(), None::<Instant>);
            assembly.write(out, |completed| {
                if completed == total || told.is_none_or(|at| at.elapsed() >= TOLD) {
                    told = Some(Instant::now());
                    // A listener that is behind hears of a later moment.
                    let _ = steps.try_send(Step::Writing { what: what.clone(), completed, total });
                }
            })
        })
        .await
    }
}
