//! How fast and when bytes move between this node and its peers.

use super::MeshConfig;
use crate::live_config::LiveConfig;
use futures::StreamExt;
use kith_api::configuration::Configuration;
use kith_blobs::{Gate, Throttle};
use kith_events::{Delivery, Events};
use kith_store::Store;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio_util::sync::CancellationToken;

/// Limits of what moves to and from all peers together. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    /// What goes to peers.
    pub upload: Throttle,
    /// What comes from them.
    pub download: Throttle,
}

impl Limits {
    /// The limits of this configuration.
    pub fn new(config: &MeshConfig) -> Self {
        let limits = Self::default();
        limits.set(config);
        limits
    }

    /// Takes the limits of this configuration into force, for what moves already too.
    pub fn set(&self, config: &MeshConfig) {
        for (throttle, kib) in [(&self.upload, config.upload_kib_s), (&self.download, config.download_kib_s)] {
            let limit = (kib > 0).then(|| kib.saturating_mul(1024));
            // Set anew, a limit forgets who has a debt.
            if throttle.limit() != limit.map(|limit| limit.max(kith_blobs::SLOWEST)) {
                throttle.set(limit);
            }
        }
    }
}

/// Whether this node gives anything now: not in quiet hours that pause sharing, and not over a connection that the owner pays by volume.
/// What comes from peers is asked for by the owner, each time, and does not wait for it. Until the profile was read nothing is given.
pub(crate) fn giving(live: Arc<LiveConfig>, store: Store, events: &Events, stop: CancellationToken) -> Gate {
    let metered = Arc::new(AtomicBool::new(true));
    let known = Arc::clone(&metered);
    // From now on, so that no change falls between the first look and the listening.
    let mut told = Box::pin(events.listen(None));
    let follow = async move {
        look(&store, &known).await;
        while let Some(delivery) = told.next().await {
            let other = matches!(&delivery, Delivery::Event(event) if event.kind != "profile.changed");
            if !other {
                look(&store, &known).await;
            }
        }
    };
    tokio::spawn(stop.run_until_cancelled_owned(follow));
    Arc::new(move || !metered.load(Ordering::Relaxed) && live.paused_until().is_none())
}

async fn look(store: &Store, metered: &AtomicBool) {
    match store.profile().await {
        Ok(profile) => metered.store(profile.is_some_and(|profile| profile.metered), Ordering::Relaxed),
        Err(error) => tracing::warn!(%error, "it is not known whether the connection is metered; that stays as it was"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::MeshTable;

    #[test]
    fn no_limit_is_none_and_a_limit_is_in_kibibytes_a_second() {
        let mut config = MeshConfig::from_table(MeshTable::default()).unwrap();
        let limits = Limits::new(&config);
        assert_eq!((limits.upload.limit(), limits.download.limit()), (None, None));
        (config.upload_kib_s, config.download_kib_s) = (1, 2048);
        limits.set(&config);
        assert_eq!((limits.upload.limit(), limits.download.limit()), (Some(kith_blobs::SLOWEST), Some(2 << 20)));
        config.upload_kib_s = u64::MAX;
        limits.set(&config);
        assert_eq!(limits.upload.limit(), Some(u64::MAX));
    }
}
