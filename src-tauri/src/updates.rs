//! New versions of the app: found, fetched and put in place by Tauri's updater, which takes only what the publisher's key signed.

use crate::shell::Shell;
use async_trait::async_trait;
use kith_node::{Release, Staged, UpdateRefusal, Updates};
use sha2::{Digest, Sha256};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tauri::{AppHandle, Manager};
use tauri_plugin_updater::{Error, Update, UpdaterExt};
use tokio::sync::Mutex;

/// How long the feed may take.
const FEED_PATIENCE: Duration = Duration::from_secs(30);
/// How long a download may stand still.
const STALL: Duration = Duration::from_secs(60);
/// How often it is looked at.
const GLANCE: Duration = Duration::from_secs(1);
/// The largest download, in bytes: it is held in memory until its signature is checked.
const MAX_DOWNLOAD: u64 = 1 << 30;

/// The node's way to new versions, where the node is part of the app.
pub struct AppUpdates {
    app: AppHandle,
    /// Held while one is fetched.
    fetching: Mutex<()>,
}

impl AppUpdates {
    /// For this app.
    pub fn new(app: AppHandle) -> Self {
        Self { app, fetching: Mutex::new(()) }
    }

    async fn found(&self) -> Result<Option<Update>, UpdateRefusal> {
        let leaving = self.app.clone();
        let updater = self
            .app
            .updater_builder()
            // Windows' installer takes the app's place at once: the node ends in order before that.
            .on_before_exit(move || tauri::async_runtime::block_on(leaving.state::<Shell>().host.stop()))
            .build()
            .map_err(refusal)?;
        let late = |_| UpdateRefusal::Feed(format!("the update feed did not answer within {} s", FEED_PATIENCE.as_secs()));
        tokio::time::timeout(FEED_PATIENCE, updater.check()).await.map_err(late)?.map_err(refusal)
    }

    /// The update's bytes, signed; given up if they stand still or do not end.
    async fn bytes(&self, update: &Update) -> Result<Vec<u8>, UpdateRefusal> {
        let come = AtomicU64::new(0);
        let download = update.download(
            |bytes, _| {
                come.fetch_add(bytes as u64, Ordering::Relaxed);
            },
            || {},
        );
        tokio::select! {
            bytes = download => bytes.map_err(refusal),
            fault = watch(&come) => Err(UpdateRefusal::Feed(format!("the download of version {} {fault}", update.version))),
        }
    }

    fn running(&self) -> String {
        self.app.package_info().version.to_string()
    }
}

#[async_trait]
impl Updates for AppUpdates {
    async fn check(&self) -> Result<Release, UpdateRefusal> {
        Ok(match self.found().await? {
            // The feed does not say how large it is.
            Some(update) => Release { version: update.version, size: 0, changelog: update.body, newer: true },
            None => Release { version: self.running(), size: 0, changelog: None, newer: false },
        })
    }

    async fn apply(&self) -> Result<Staged, UpdateRefusal> {
        let _one = self.fetching.try_lock().map_err(|_| UpdateRefusal::Busy)?;
        let update = self.found().await?.ok_or_else(|| UpdateRefusal::Newest(self.running()))?;
        // Checked against the publisher's key before any of it is used.
        let bytes = self.bytes(&update).await?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let version = update.version.clone();
        let installed = tokio::task::spawn_blocking(move || update.install(bytes)).await;
        installed.map_err(|error| UpdateRefusal::Disk(error.to_string()))?.map_err(refusal)?;
        let path = std::env::current_exe().map_err(|error| UpdateRefusal::Disk(error.to_string()))?;
        Ok(Staged { version, path, sha256 })
    }
}

/// Ends when a download stands still or is too large, with what to say of it.
async fn watch(come: &AtomicU64) -> String {
    let (mut before, mut still) = (0, Duration::ZERO);
    loop {
        tokio::time::sleep(GLANCE).await;
        let now = come.load(Ordering::Relaxed);
        still = if now == before { still + GLANCE } else { Duration::ZERO };
        before = now;
        if now > MAX_DOWNLOAD {
            return format!("is larger than {} MiB", MAX_DOWNLOAD >> 20);
        }
        if still >= STALL {
            return format!("stood still for {} s", STALL.as_secs());
        }
    }
}

fn refusal(error: Error) -> UpdateRefusal {
    match error {
        Error::EmptyEndpoints => {
            UpdateRefusal::NotConfigured("this build of the app names no place where newer ones are told".to_owned())
        }
        Error::Minisign(_)
        | Error::Base64(_)
        | Error::SignatureUtf8(_)
        | Error::SignedVersionMismatch { .. }
        | Error::MissingSignedVersion => {
            UpdateRefusal::Untrusted(format!("the update is not signed by the publisher's key: {error}"))
        }
        Error::Io(error) => UpdateRefusal::Disk(error.to_string()),
        error => UpdateRefusal::Feed(error.to_string()),
    }
}
