//! When this node carries connections between other members: while it gives anything at all, and as long as its owner limits nothing.

use super::Limits;
use kith_blobs::Gate;
use kith_mesh::Mesh;
use std::time::Duration;

/// How often it is looked whether that has changed.
const LOOK: Duration = Duration::from_secs(1);

/// What is carried for others passes twice, and cannot be slowed down: with a limit nothing is.
fn carries(gate: &Gate, limits: &Limits) -> bool {
    gate() && limits.upload.limit().is_none() && limits.download.limit().is_none()
}

/// Turns carrying off and on with what the owner allows, as long as the mesh runs.
pub(super) async fn follow(mesh: Mesh, gate: Gate, limits: Limits) {
    let mut told = None;
    loop {
        let now = carries(&gate, &limits);
        if told != Some(now) {
            mesh.carry(now).await;
            tracing::debug!(carries = now, "connections between other members");
            told = Some(now);
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn nothing_is_carried_in_quiet_hours_and_while_there_is_a_limit() {
        let open: Gate = Arc::new(|| true);
        let closed: Gate = Arc::new(|| false);
        let limits = Limits::default();
        assert!(carries(&open, &limits) && !carries(&closed, &limits));
        limits.upload.set(Some(1 << 20));
        assert!(!carries(&open, &limits));
        limits.upload.set(None);
        limits.download.set(Some(1 << 20));
        assert!(!carries(&open, &limits));
    }
}
