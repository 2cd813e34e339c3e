//! How fast the way to a peer is: round trips, then bytes there, then bytes back.
//!
//! One stream: the one who asks writes what comes next as a frame. `trips`: a byte comes back for every byte, until the agreed number.
//! `up`: the asker sends for its time, closes its half, and is told how many bytes came. `down`: the other sends for that time.

use kith_api::mesh::{MeshError, Speed};
use kith_mesh::{Fault, Inbound, Mesh, Stream, read_json, write_json};
use kith_store::{SpeedTestRow, Store, StoreError};
use kith_types::{NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
};

const PROTOCOL: &str = "/kith/speed/1";
/// Round trips of one test.
const TRIPS: u32 = 20;
/// The most round trips that are answered.
const MOST_TRIPS: u32 = 1000;
/// How long bytes are sent each way.
const SENDING: Duration = Duration::from_secs(2);
/// The longest that is answered.
const MOST_SENDING: Duration = Duration::from_secs(10);
/// After this a whole test has failed.
const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of a write.
const CHUNK: usize = 64 << 10;
/// Bytes of a frame.
const FRAME: u32 = 1024;

/// What the asker wants next.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Order {
    /// Bytes that are sent back one by one.
    Trips {
        /// How many.
        count: u32,
    },
    /// The asker sends.
    Up,
    /// The other sends.
    Down {
        /// For how long, in milliseconds.
        ms: u64,
    },
}

/// What came.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Came {
    bytes: u64,
    /// From the first byte to the last.
    us: u64,
}

/// Measures the way to a peer.
pub(super) async fn test(mesh: &Mesh, node: &NodeId, at: Timestamp) -> Result<Speed, MeshError> {
    let failed = |error: &dyn std::fmt::Display| MeshError::Unreachable(format!("the speed test with {node} failed: {error}"));
    let measured = tokio::time::timeout(DEADLINE, async {
        let trips = trips(open(mesh, node).await?).await?;
        let up = up(open(mesh, node).await?).await?;
        let down = down(open(mesh, node).await?).await?;
        Ok::<_, std::io::Error>((trips, up, down))
    });
    let ((rtt_ms, jitter_ms), up, down) =
        measured.await.map_err(|_| failed(&"it took too long"))?.map_err(|error| failed(&error))?;
    let rate = |came: Came| came.bytes as f64 / Duration::from_micros(came.us.max(1)).as_secs_f64();
    Ok(Speed { node: node.clone(), at, rtt_ms, jitter_ms, up: rate(up), down: rate(down), bytes: up.bytes + down.bytes })
}

async fn open(mesh: &Mesh, node: &NodeId) -> std::io::Result<Stream> {
    mesh.open(node, PROTOCOL).await.map_err(std::io::Error::other)
}

/// The median round trip and the mean step between them, in milliseconds.
async fn trips(mut stream: Stream) -> std::io::Result<(f64, f64)> {
    write_json(&mut stream, &Order::Trips { count: TRIPS }, FRAME).await.map_err(std::io::Error::other)?;
    let mut times = Vec::new();
    for n in 0..TRIPS {
        let begun = Instant::now();
        stream.write_u8(n as u8).await?;
        stream.flush().await?;
        stream.read_u8().await?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(told(times))
}

fn told(mut times: Vec<f64>) -> (f64, f64) {
    let steps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    let jitter = if steps.is_empty() { 0.0 } else { steps.iter().sum::<f64>() / steps.len() as f64 };
    times.sort_by(f64::total_cmp);
    (times.get(times.len() / 2).copied().unwrap_or_default(), jitter)
}

async fn up(mut stream: Stream) -> std::io::Result<Came> {
    write_json(&mut stream, &Order::Up, FRAME).await.map_err(std::io::Error::other)?;
    send(&mut stream, SENDING).await?;
    read_json(&mut stream, FRAME).await.map_err(std::io::Error::other)
}

async fn down(mut stream: Stream) -> std::io::Result<Came> {
    let ms = u64::try_from(SENDING.as_millis()).unwrap_or(u64::MAX);
    write_json(&mut stream, &Order::Down { ms }, FRAME).await.map_err(std::io::Error::other)?;
    count(&mut stream, MOST_SENDING).await
}

/// Sends for so long, then closes this half.
async fn send(stream: &mut Stream, time: Duration) -> std::io::Result<()> {
    // Bytes that no layer below could make smaller.
    let chunk: Vec<u8> = (0..CHUNK as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let begun = Instant::now();
    while begun.elapsed() < time {
        stream.write_all(&chunk).await?;
    }
    stream.shutdown().await
}

/// Counts what comes until the other side closes its half, for at most so long.
async fn count(stream: &mut Stream, most: Duration) -> std::io::Result<Came> {
    let mut chunk = vec![0; CHUNK];
    let (mut bytes, mut begun) = (0, None);
    loop {
        let read = stream.read(&mut chunk).await?;
        let now = Instant::now();
        let begun = *begun.get_or_insert(now);
        if read == 0 {
            let us = u64::try_from((now - begun).as_micros()).unwrap_or(u64::MAX);
            return Ok(Came { bytes, us });
        }
        bytes += read as u64;
        if now - begun > most {
            return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the other side does not end"));
        }
    }
}

/// Answers a test, one at a time: others hear that this node is busy by the stream's end.
pub(super) async fn answer(mut inbound: Inbound, tested: &Semaphore) {
    let Ok(_one) = tested.try_acquire() else { return };
    let answered = tokio::time::timeout(DEADLINE, answer_one(&mut inbound.stream)).await;
    if let Ok(Err(error)) = answered {
        tracing::debug!(peer = %inbound.stream.peer(), %error, "a speed test broke off");
        if error.kind() == std::io::ErrorKind::InvalidData {
            inbound.report(Fault::BadFrame);
        }
    }
}

async fn answer_one(stream: &mut Stream) -> std::io::Result<()> {
    let order: Order = read_json(stream, FRAME).await.map_err(|error| {
        let kind = if error.is_fault() { std::io::ErrorKind::InvalidData } else { std::io::ErrorKind::UnexpectedEof };
        std::io::Error::new(kind, error.to_string())
    })?;
    match order {
        Order::Trips { count } => {
            for _ in 0..count.min(MOST_TRIPS) {
                let byte = stream.read_u8().await?;
                stream.write_u8(byte).await?;
                stream.flush().await?;
            }
            stream.shutdown().await
        }
        Order::Up => {
            let came = count(stream, MOST_SENDING).await?;
            write_json(stream, &came, FRAME).await.map_err(std::io::Error::other)?;
            stream.shutdown().await
        }
        Order::Down { ms } => send(stream, Duration::from_millis(ms).min(MOST_SENDING)).await,
    }
}

/// Keeps a test.
pub(super) async fn keep(store: &Store, speed: &Speed) -> Result<(), StoreError> {
    store
        .speed_test_put(&SpeedTestRow {
            node: speed.node.to_string(),
            at: speed.at,
            rtt_ms: speed.rtt_ms,
            jitter_ms: speed.jitter_ms,
            up: speed.up,
            down: speed.down,
            bytes: i64::try_from(speed.bytes).unwrap_or(i64::MAX),
        })
        .await
}

/// The tests with a peer, the newest first.
pub(super) async fn kept(store: &Store, node: &NodeId) -> Result<Vec<Speed>, StoreError> {
    let rows = store.speed_tests(node.as_str()).await?;
    let speed = |row: SpeedTestRow| Speed {
        node: node.clone(),
        at: row.at,
        rtt_ms: row.rtt_ms,
        jitter_ms: row.jitter_ms,
        up: row.up,
        down: row.down,
        bytes: u64::try_from(row.bytes).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(speed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_trip_is_told_and_how_much_trips_differ() {
        assert_eq!(told(vec![1.0, 9.0, 2.0]), (2.0, 7.5));
        assert_eq!(told(vec![4.0]), (4.0, 0.0));
        assert_eq!(told(Vec::new()), (0.0, 0.0));
    }
}
