//! All of it together, opened once when the node starts.

use crate::{
    Browse, Contacts, Metrics, Probe, Profile, ProfileChange, Profiles, Pusher, Reports, Sampler, SettingsChange, SettingsKeeper,
    SystemError, Throughput,
    audit::{Audit, Writer},
    diagnostics::Sources,
    push,
};
use kith_events::Events;
use kith_keys::{Entropy, Sealer};
use kith_store::Store;
use kith_types::Clock;
use std::{path::PathBuf, sync::Arc};
use zeroize::Zeroizing;

/// What it is built from.
pub struct SystemParts {
    /// The node's database.
    pub store: Store,
    /// Where what happens is told.
    pub events: Events,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source, for the names of reports.
    pub entropy: Arc<dyn Entropy>,
    /// Seals secret settings.
    pub sealer: Arc<Sealer>,
    /// The node's folder.
    pub data_dir: PathBuf,
    /// The owner's home folder, if there is one.
    pub home: Option<PathBuf>,
    /// Folders whose content may be looked at.
    pub browse_roots: Vec<PathBuf>,
    /// Secrets that must not stand in a report, wherever they come up.
    pub secrets: Vec<Zeroizing<String>>,
    /// What must stay readable in a report although it looks like a secret: the node's id.
    pub plain: Vec<String>,
}

/// The node as its owner sees it.
pub struct System {
    /// What happened.
    pub audit: Arc<Audit>,
    /// The last day in minutes.
    pub metrics: Arc<Metrics>,
    /// The last ten minutes.
    pub throughput: Arc<Throughput>,
    /// Reports of problems.
    pub reports: Reports,
    /// Who the owner is.
    pub profiles: Arc<Profiles>,
    /// Sends pushes.
    pub pusher: Pusher,
    /// Whom the owner knows.
    pub contacts: Contacts,
    /// What the owner set.
    pub settings: Arc<SettingsKeeper>,
    /// Folders to choose from.
    pub browse: Browse,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Events,
}

impl System {
    /// Changes the profile: what is given, all of it or nothing. The push token is for the endpoint it was given for: one at another
    /// place does not get it.
    ///
    /// # Errors
    /// [`SystemError::Invalid`], [`SystemError::Store`].
    pub async fn change_profile(&self, change: ProfileChange) -> Result<Profile, SystemError> {
        if let Some(endpoint) = &change.push_endpoint {
            let before = self.profiles.get().await?.push_endpoint;
            if push::elsewhere(before.as_deref(), endpoint.as_deref()) && before.is_some() {
                self.settings.change(SettingsChange { push_token: Some(None), ..SettingsChange::default() }).await?;
            }
        }
        self.profiles.change(change).await
    }

    /// Opens it. From now on the audit listens; what it hears is written by the second part, whose [`Writer::run`] is to be run as a
    /// task.
    ///
    /// # Errors
    /// [`SystemError::Store`].
    pub async fn open(parts: SystemParts) -> Result<(Arc<Self>, Writer), SystemError> {
        let SystemParts { store, events, clock, entropy, sealer, data_dir, home, browse_roots, secrets, plain } = parts;
        let (audit, writer) = Audit::open(store.clone(), events.clone(), Arc::clone(&clock));
        let settings = Arc::new(SettingsKeeper::open(store.clone(), sealer, events.clone()).await?);
        let profiles = Arc::new(Profiles::new(store.clone(), Arc::clone(&clock), events.clone()));
        let metrics = Arc::new(Metrics::new(store.clone(), Arc::clone(&clock)));
        let reports = Reports::new(Sources {
            store: store.clone(),
            clock: Arc::clone(&clock),
            entropy,
            events: events.clone(),
            settings: Arc::clone(&settings),
            metrics: Arc::clone(&metrics),
            profiles: Arc::clone(&profiles),
            data_dir,
            home,
            secrets,
            plain,
        });
        let system = Self {
            audit,
            metrics,
            throughput: Arc::default(),
            reports,
            pusher: Pusher::new(Arc::clone(&profiles), Arc::clone(&settings)),
            profiles,
            contacts: Contacts::new(store.clone(), Arc::clone(&clock), events.clone()),
            settings,
            browse: Browse::new(browse_roots),
            store,
            clock,
            events,
        };
        Ok((Arc::new(system), writer))
    }

    /// What fills the rings of measures from this probe; to be run as a task.
    pub fn sampler(&self, probe: Arc<dyn Probe>) -> Sampler {
        Sampler::new(self, probe)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kith_keys::{KeyProvider, OsEntropy};
    use kith_types::Timestamp;
    use std::{
        path::Path,
        sync::atomic::{AtomicI64, Ordering},
    };

    /// 2023-11-14T22:13:20Z, twenty seconds into a minute.
    pub(crate) const START: i64 = 1_700_000_000_000;

    pub(crate) struct FakeClock(AtomicI64);

    impl FakeClock {
        pub(crate) fn forward(&self, ms: i64) {
            self.0.fetch_add(ms, Ordering::SeqCst);
        }
    }

    impl Clock for FakeClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_ms(self.0.load(Ordering::SeqCst))
        }
    }

    /// A system on a folder of its own, and a clock that stands still.
    pub(crate) struct House {
        pub(crate) system: Arc<System>,
        pub(crate) store: Store,
        pub(crate) events: Events,
        pub(crate) clock: Arc<FakeClock>,
        pub(crate) writer: Option<Writer>,
        pub(crate) folder: tempfile::TempDir,
    }

    pub(crate) fn parts(dir: &Path, store: &Store, events: &Events, clock: &Arc<FakeClock>) -> SystemParts {
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        SystemParts {
            store: store.clone(),
            events: events.clone(),
            clock: Arc::clone(clock) as Arc<dyn Clock>,
            entropy: Arc::clone(&entropy),
            sealer: Arc::new(Sealer::load_or_create(dir, KeyProvider::File, entropy).unwrap()),
            data_dir: dir.to_owned(),
            home: None,
            browse_roots: vec![],
            secrets: vec![],
            plain: vec![],
        }
    }

    impl House {
        pub(crate) async fn new() -> Self {
            Self::with(|_, _| {}).await
        }

        pub(crate) async fn with(change: impl FnOnce(&mut SystemParts, &Path)) -> Self {
            Self::on(tempfile::tempdir().unwrap(), START, change).await
        }

        pub(crate) async fn on(folder: tempfile::TempDir, now: i64, change: impl FnOnce(&mut SystemParts, &Path)) -> Self {
            let clock = Arc::new(FakeClock(AtomicI64::new(now)));
            let events = Events::new(Arc::clone(&clock) as Arc<dyn Clock>);
            let store = Store::open(&folder.path().join("kith.db")).await.unwrap();
            let mut parts = parts(folder.path(), &store, &events, &clock);
            change(&mut parts, folder.path());
            let (system, writer) = System::open(parts).await.unwrap();
            Self { system, store, events, clock, writer: Some(writer), folder }
        }

        /// Ends it and gives its folder back.
        pub(crate) async fn close(self) -> tempfile::TempDir {
            self.store.close().await;
            self.folder
        }
    }
}
