//! Carrying a plan out.

use super::{
    Plan, Step, adapter, join,
    pipe::{Writer, written},
    plan::Held,
};
use crate::{Library, Model, ModelError, gguf::Gguf, library::Turn, lora, quantize::Target};
use kith_blobs::Put;
use std::{
    fs::File,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc::Sender, task::spawn_blocking};

/// How often the progress of writing is told.
const TOLD: Duration = Duration::from_millis(100);

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
        let turn = if rewritten { Some(self.turn()?) } else { None };
        for file in files.iter().filter(|_| !rewritten) {
            tell(&steps, Step::Using(file.sha256)).await;
        }
        for (turn, (label, adapter)) in turn.iter().cycle().zip(adapters) {
            tell(&steps, Step::Merging(label)).await;
            let Some(base) = files.pop() else { break };
            let merged = self.merged(&base, &adapter, turn).await?;
            files = vec![self.next(base, merged).await];
        }
        if let Some(turn) = turn.as_ref().filter(|_| files.len() > 1 || target.is_some()) {
            let put = self.assembled(&files, target, &stored, &steps, turn).await?;
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
        let put = Put { hash: file.hash, sha256, size: file.size, pin: file.pin, mended: false };
        let model = self.name_bytes(put, name, overrides, source).await?;
        self.settle_upload(&sha256).await;
        Ok(model)
    }

    /// Takes the bytes of the next stage for those of the one before, which go if nothing else names them.
    async fn next(&self, before: Held, put: Put) -> Held {
        let hash = before.hash;
        drop(before);
        self.let_go(&hash).await;
        self.renewed(&put).await;
        Held { hash: put.hash, sha256: put.sha256, size: put.size, pin: put.pin }
    }

    async fn merged(&self, base: &Held, adapter: &Held, turn: &Turn) -> Result<Put, ModelError> {
        let (base, adapter) = (self.blob_path(&base.hash), self.blob_path(&adapter.hash));
        let (base, lora, size) = spawn_blocking(move || {
            let lora = adapter::read(&adapter)?;
            let size = lora::Plan::of(&base, &lora)?.size();
            Ok::<_, ModelError>((base, lora, size))
        })
        .await??;
        self.anew(turn, size, move |out| lora::merge(&base, &lora, 1.0, out).map(drop)).await
    }

    /// The files as one, quantised if that is wanted.
    async fn assembled(
        &self,
        files: &[Held],
        target: Option<Target>,
        stored: &str,
        steps: &Sender<Step>,
        turn: &Turn,
    ) -> Result<Put, ModelError> {
        let mut opened = Vec::with_capacity(files.len());
        for file in files {
            opened.push(self.open_blob(&file.hash).await?);
        }
        let what = match target {
            Some(target) => format!("quantizing {stored} model to {}", target.name),
            None => format!("joining {} files", files.len()),
        };
        let assembly = spawn_blocking(move || {
            let read = |file: File| Gguf::read(&file).map(|gguf| (file, gguf));
            join(opened.into_iter().map(read).collect::<Result<_, _>>()?, target)
        })
        .await??;
        let steps = steps.clone();
        self.anew(turn, assembly.size(), move |out| {
            let (total, mut told) = (assembly.total(), None::<Instant>);
            Ok(assembly.write(out, |completed| {
                if completed == total || told.is_none_or(|at| at.elapsed() >= TOLD) {
                    told = Some(Instant::now());
                    // A listener that is behind hears of a later moment.
                    let _ = steps.try_send(Step::Writing { what: what.clone(), completed, total });
                }
            })?)
        })
        .await
    }

    /// Stores the `size` bytes that `work` writes. The turn is kept until the work has ended, whoever still waits for it.
    pub(super) async fn anew(
        &self,
        turn: &Turn,
        size: u64,
        work: impl FnOnce(&mut Writer) -> Result<(), ModelError> + Send + 'static,
    ) -> Result<Put, ModelError> {
        let turn = turn.clone();
        written(self.blobs(), size, move |out| {
            let _turn = turn;
            work(out)
        })
        .await
    }
}
