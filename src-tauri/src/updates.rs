//! New versions of the app: found, fetched and put in place by Tauri's updater, which takes only what the publisher's key signed.

use async_trait::async_trait;
use kith_node::{Release, Staged, UpdateRefusal, Updates};
use sha2::{Digest, Sha256};
use tauri::AppHandle;
use tauri_plugin_updater::{Error, Update, UpdaterExt};
use tokio::sync::Mutex;

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
        let updater = self.app.updater().map_err(refusal)?;
        updater.check().await.map_err(refusal)
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
        let bytes = update.download(|_, _| {}, || {}).await.map_err(refusal)?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let version = update.version.clone();
        let installed = tokio::task::spawn_blocking(move || update.install(bytes)).await;
        installed.map_err(|error| UpdateRefusal::Disk(error.to_string()))?.map_err(refusal)?;
        let path = std::env::current_exe().map_err(|error| UpdateRefusal::Disk(error.to_string()))?;
        Ok(Staged { version, path, sha256 })
    }
}

fn refusal(error: Error) -> UpdateRefusal {
    match error {
        Error::EmptyEndpoints => {
            UpdateRefusal::NotConfigured("this build of the app names no place where newer ones are told".to_owned())
        }
        Error::Minisign(_) | Error::Base64(_) | Error::SignatureUtf8(_) => {
            UpdateRefusal::Untrusted(format!("the update is not signed by the publisher's key: {error}"))
        }
        Error::Io(error) => UpdateRefusal::Disk(error.to_string()),
        error => UpdateRefusal::Feed(error.to_string()),
    }
}
