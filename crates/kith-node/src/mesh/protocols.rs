//! What members ask each other: what all say of themselves, the network's key, how fast the way is.

use super::{Changes, MeshParts, blobs, models, ports, speed};
use kith_api::mesh::MeshError;
use kith_mesh::{Call, Declined, Fault, Inbound, Mesh, Router};
use kith_networks::{Heard, MAX_ROTATION, NetworkError, NetworkId, Networks, Rotation, RotationBundle};
use kith_types::NodeId;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Asks a peer for the records it keeps, and gives it one's own.
const RECORDS: &str = "/kith/records/1";
/// Hands on a changed key.
const ROTATION: &str = "/kith/rotation/1";
/// Measures.
const SPEED: &str = "/kith/speed/1";
/// Records in one frame: with their base64 they fit in it.
const MOST_RECORDS: usize = 100;
/// Bytes of a frame of records.
const RECORDS_FRAME: u32 = 1 << 20;
/// How long members may take to answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// Members to which a changed key is handed at once.
const AT_ONCE: usize = 16;

/// Records, as text: each is a signed token.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Records {
    records: Vec<String>,
}

/// What is said of a changed key that was handed on.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Taken {
    /// The number of the key that the peer has now.
    epoch: u64,
}

fn call(protocol: &str, frame: u32) -> Result<Call, MeshError> {
    Call::new(protocol, frame, DEADLINE).map_err(|error| MeshError::Start(error.to_string()))
}

/// What this node answers.
pub(super) fn router(
    parts: &MeshParts,
    changes: &Changes,
    tests: &Arc<speed::Tests>,
    sharing: &Arc<blobs::Sharing>,
    network: NetworkId,
) -> Result<Router, MeshError> {
    let fault = |error: kith_mesh::RouteError| MeshError::Start(error.to_string());
    let (records, rotation) = (Arc::clone(&parts.networks), Arc::clone(&parts.networks));
    let (changes, tests) = (changes.clone(), Arc::clone(tests));
    Router::new()
        .answer(&call(RECORDS, RECORDS_FRAME)?, move |from: NodeId, told: Records| {
            let networks = Arc::clone(&records);
            async move {
                take(&networks, network, &from, told).await;
                ours(&networks, network).await.map_err(|error| declined(&error))
            }
        })
        .and_then(|router| {
            let largest = u32::try_from(MAX_ROTATION).unwrap_or(u32::MAX);
            let call = Call::new(ROTATION, largest.saturating_add(1024), DEADLINE)?;
            router.answer(&call, move |from: NodeId, bundle: RotationBundle| {
                let (networks, changes) = (Arc::clone(&rotation), changes.clone());
                async move {
                    let applied =
                        networks.apply_rotation(network, &from, &bundle.encode()).await.map_err(|error| declined(&error))?;
                    changes.rotation(&applied);
                    Ok(Taken { epoch: applied.epoch })
                }
            })
        })
        .and_then(|router| {
            router.route(SPEED, move |inbound: Inbound| {
                let tests = Arc::clone(&tests);
                async move { tests.answer(inbound).await }
            })
        })
        .and_then(|router| blobs::route(router, sharing))
        .and_then(|router| models::route(router, sharing))
        .map_err(fault)
}

/// A fault of this node is told in the log, not to the peer.
fn declined(error: &NetworkError) -> Declined {
    match error {
        NetworkError::Refused(_) | NetworkError::RemovedSigner | NetworkError::NotFound | NetworkError::NotMember => {
            Declined::new("refused", error.to_string())
        }
        error => {
            tracing::warn!(%error, "a member's question has no answer");
            Declined::new("unavailable", "this node cannot answer now")
        }
    }
}

async fn ours(networks: &Networks, network: NetworkId) -> Result<Records, NetworkError> {
    let said = networks.said(network).await?;
    let texts = said.into_iter().take(MOST_RECORDS).filter_map(|bytes| String::from_utf8(bytes).ok());
    Ok(Records { records: texts.collect() })
}

/// Hears what `from` told; says whether something of it was such as no honest node would tell.
async fn take(networks: &Networks, network: NetworkId, from: &NodeId, told: Records) -> bool {
    let mut is_false = false;
    // Each is signed by the node it speaks of. That it does not hold is told of who handed it on.
    for record in told.records.iter().take(MOST_RECORDS) {
        match networks.hear(network, from, record.as_bytes()).await {
            Ok(heard) => is_false |= matches!(heard, Heard::Reject(_)),
            Err(error) => {
                tracing::warn!(%error, "a node's record cannot be kept");
                break;
            }
        }
    }
    is_false
}

/// Tells a peer all that is known of the network's nodes, and hears the same from it.
pub(super) async fn exchange(mesh: &Mesh, networks: &Networks, network: NetworkId, peer: &NodeId) -> Result<(), MeshError> {
    let unreachable = |error: &dyn std::fmt::Display| MeshError::Unreachable(error.to_string());
    let told = ours(networks, network).await?;
    let theirs: Records = mesh.request(peer, &call(RECORDS, RECORDS_FRAME)?, &told).await.map_err(|error| unreachable(&error))?;
    if take(networks, network, peer, theirs).await {
        mesh.report(peer, Fault::FalseContent).await;
    }
    Ok(())
}

/// Gives a changed key to all who are connected: by gossip, and to each by itself, so that it is known to have come. How many have said
/// that it did; one who is put out by it does not count.
pub(super) async fn hand_on(mesh: &Mesh, bundle: &RotationBundle, leaver: Option<&NodeId>) -> usize {
    if let Err(error) = mesh.publish(ports::ROTATIONS, bundle.encode()).await {
        tracing::debug!(%error, "nobody hears of the changed key by gossip");
    }
    let largest = u32::try_from(MAX_ROTATION).unwrap_or(u32::MAX).saturating_add(1024);
    let Ok(call) = call(ROTATION, largest) else { return 0 };
    let Ok(Rotation { epoch, .. }) = Rotation::open(&bundle.rotation) else { return 0 };
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut handing = tokio::task::JoinSet::new();
    for peer in mesh.peers().await {
        let (mesh, call, bundle, places) = (mesh.clone(), call.clone(), bundle.clone(), Arc::clone(&places));
        let counts = leaver != Some(&peer.peer);
        handing.spawn(async move {
            let _place = places.acquire().await;
            match mesh.request::<_, Taken>(&peer.peer, &call, &bundle).await {
                Ok(taken) => {
                    tracing::debug!(peer = %peer.peer, epoch = taken.epoch, "the changed key was answered");
                    counts && taken.epoch >= epoch
                }
                // It takes the key when it comes again.
                Err(error) => {
                    tracing::info!(peer = %peer.peer, %error, "the changed key was not taken yet");
                    false
                }
            }
        });
    }
    let mut told = 0;
    while let Some(taken) = handing.join_next().await {
        told += usize::from(taken.unwrap_or(false));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_newer_node_adds_is_passed_over() {
        let read: Records = serde_json::from_str(r#"{"records": ["a"], "more": 1}"#).unwrap();
        assert_eq!(read.records, ["a"]);
        let read: Taken = serde_json::from_str("{}").unwrap();
        assert_eq!(read.epoch, 0);
    }
}
