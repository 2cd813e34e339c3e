//! How fast the way to a peer is: round trips, then bytes there, then bytes back.
//!
//! Each part has a stream: the one who asks writes as a frame which part comes, and is told whether it does. `trips`: a byte comes back
//! for every byte, until the agreed number. `up`: the asker sends for its time, closes its half, and is told how many bytes came.
//! `down`: the other sends for that time. Both keep to what their owners let pass in a second; what the other says is believed only
//! as far as it can be true, and all times are taken by this node's clock.

mod turns;

use super::Limits;
use kith_api::mesh::{MeshError, Speed};
use kith_blobs::{Gate, Throttle};
use kith_mesh::{Fault, Inbound, Mesh, Stream, read_json, write_json};
use kith_store::{SpeedTestRow, Store, StoreError};
use kith_types::{NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
    time::timeout_at,
};
use turns::{Part, Said, Turns};

const PROTOCOL: &str = "/kith/speed/1";
/// Round trips of one test.
const TRIPS: u32 = 20;
/// The most round trips that are answered.
const MOST_TRIPS: u32 = 100;
/// How long bytes are sent each way.
const SENDING: Duration = Duration::from_secs(2);
/// How long they are counted: what lay in buffers before a limit comes late.
const COUNTING: Duration = Duration::from_secs(4);
/// After this a whole test has failed.
const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of a write; at the slowest limit they pass in a second.
const CHUNK: usize = 16 << 10;
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
    Down,
}

impl Order {
    const fn part(self) -> Part {
        match self {
            Self::Trips { .. } => Part::Trips,
            Self::Up => Part::Up,
            Self::Down => Part::Down,
        }
    }
}

/// What came.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Came {
    bytes: u64,
}

/// Bytes that passed, and in which time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Passed {
    bytes: u64,
    time: Duration,
}

impl Passed {
    /// What the other says that came of `sent` bytes, when its word was there after `waited`: never more than was sent, and in the time
    /// that this node saw pass, without the word's own way.
    fn told(came: u64, sent: u64, waited: Duration, rtt_ms: f64) -> Self {
        let way = Duration::try_from_secs_f64(rtt_ms / 1000.0).unwrap_or_default();
        Self { bytes: came.min(sent), time: waited.saturating_sub(way) }
    }

    /// Bytes a second. Sending takes its time: who ends early was not so much faster.
    fn rate(self) -> f64 {
        self.bytes as f64 / self.time.max(SENDING / 2).as_secs_f64()
    }
}

/// Why a test did not come to its end.
enum Failed {
    Broke(io::Error),
    Declined(Said),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Broke(error)
    }
}

impl Failed {
    fn told(self, node: &NodeId) -> MeshError {
        let declined = |why: &str| MeshError::Declined(format!("{node} answers no speed test now: {why}"));
        match self {
            Self::Broke(error) => MeshError::Unreachable(format!("the speed test with {node} failed: {error}")),
            Self::Declined(Said::Soon) => declined("this node tested it less than a minute ago"),
            Self::Declined(Said::Quiet) => declined("its owner lets it give nothing at this time"),
            Self::Declined(Said::Busy | Said::Go) => declined("another one runs there; try again in half a minute"),
        }
    }
}

/// The tests of a node: those it asks for, and those it answers.
pub(super) struct Tests {
    limits: Limits,
    /// Whether members are given anything now.
    gate: Gate,
    /// One at a time of those that this node asks for.
    asking: Semaphore,
    turns: Mutex<Turns>,
}

impl Tests {
    pub fn new(limits: Limits, gate: Gate) -> Self {
        Self { limits, gate, asking: Semaphore::new(1), turns: Mutex::default() }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Measures the way to a peer.
    pub async fn test(&self, mesh: &Mesh, node: &NodeId, at: Timestamp) -> Result<Speed, MeshError> {
        let _one = self.asking.try_acquire().map_err(|_| MeshError::Busy)?;
        let late = || Failed::Broke(io::Error::new(io::ErrorKind::TimedOut, "it took too long"));
        let measured = tokio::time::timeout(DEADLINE, self.measure(mesh, node)).await.unwrap_or_else(|_| Err(late()));
        let ((rtt_ms, jitter_ms), up, down) = measured.map_err(|failed| failed.told(node))?;
        let bytes = up.bytes.saturating_add(down.bytes);
        Ok(Speed { node: node.clone(), at, rtt_ms, jitter_ms, up: up.rate(), down: down.rate(), bytes })
    }

    async fn measure(&self, mesh: &Mesh, node: &NodeId) -> Result<((f64, f64), Passed, Passed), Failed> {
        let trips = trips(order(mesh, node, Order::Trips { count: TRIPS }).await?).await?;
        let mut stream = order(mesh, node, Order::Up).await?;
        let begun = Instant::now();
        let sent = send(&mut stream, &self.limits.upload).await?;
        let came: Came = read_json(&mut stream, FRAME).await.map_err(io::Error::other)?;
        let up = Passed::told(came.bytes, sent, begun.elapsed(), trips.0);
        let mut stream = order(mesh, node, Order::Down).await?;
        let down = count(&mut stream, &self.limits.download).await?;
        Ok((trips, up, down))
    }

    /// Answers a part of a test, or says why not.
    pub async fn answer(&self, mut inbound: Inbound) {
        let answered = tokio::time::timeout(DEADLINE, self.answer_one(&mut inbound.stream)).await;
        if let Ok(Err(error)) = answered {
            tracing::debug!(peer = %inbound.stream.peer(), %error, "a speed test broke off");
            if error.kind() == io::ErrorKind::InvalidData {
                inbound.report(Fault::BadFrame);
            }
        }
    }

    async fn answer_one(&self, stream: &mut Stream) -> io::Result<()> {
        let order: Order = read_json(stream, FRAME).await.map_err(|error| {
            let kind = if error.is_fault() { io::ErrorKind::InvalidData } else { io::ErrorKind::UnexpectedEof };
            io::Error::new(kind, error.to_string())
        })?;
        let (peer, part) = (stream.peer().clone(), order.part());
        let said = match (self.gate)() {
            true => self.turns().enter(&peer, part, Instant::now(), DEADLINE),
            false => Said::Quiet,
        };
        if said != Said::Go {
            write_json(stream, &said, FRAME).await.map_err(io::Error::other)?;
            return stream.shutdown().await;
        }
        let answered = self.take_part(stream, order).await;
        self.turns().leave(&peer, part, answered.is_ok());
        answered
    }

    async fn take_part(&self, stream: &mut Stream, order: Order) -> io::Result<()> {
        write_json(stream, &Said::Go, FRAME).await.map_err(io::Error::other)?;
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
                let bytes = count(stream, &self.limits.download).await?.bytes;
                write_json(stream, &Came { bytes }, FRAME).await.map_err(io::Error::other)?;
                stream.shutdown().await
            }
            Order::Down => send(stream, &self.limits.upload).await.map(drop),
        }
    }
}

/// Opens the stream of a part, once the other has agreed to it.
async fn order(mesh: &Mesh, node: &NodeId, order: Order) -> Result<Stream, Failed> {
    let mut stream = mesh.open(node, PROTOCOL).await.map_err(io::Error::other)?;
    write_json(&mut stream, &order, FRAME).await.map_err(io::Error::other)?;
    match read_json(&mut stream, FRAME).await.map_err(io::Error::other)? {
        Said::Go => Ok(stream),
        said => Err(Failed::Declined(said)),
    }
}

/// The median round trip and the mean step between them, in milliseconds.
async fn trips(mut stream: Stream) -> io::Result<(f64, f64)> {
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

/// Sends for its time, not faster than `limit`, then closes this half. How many bytes went.
async fn send(stream: &mut Stream, limit: &Throttle) -> io::Result<u64> {
    // Bytes that no layer below could make smaller.
    let chunk: Vec<u8> = (0..CHUNK as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let (party, mut sent) = (stream.peer().to_string(), 0);
    let until = tokio::time::Instant::now() + SENDING;
    while tokio::time::Instant::now() < until {
        let one = async {
            limit.take(&party, CHUNK as u64).await;
            stream.write(&chunk).await
        };
        // Who does not read is not waited for any longer.
        match timeout_at(until, one).await {
            Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => sent += written? as u64,
            Err(_) => break,
        }
    }
    stream.shutdown().await?;
    Ok(sent)
}

/// Counts what comes, not faster than `limit`, until the other side closes its half or the time for it is over.
async fn count(stream: &mut Stream, limit: &Throttle) -> io::Result<Passed> {
    let mut chunk = vec![0; CHUNK];
    let (party, mut bytes) = (stream.peer().to_string(), 0);
    let begun = tokio::time::Instant::now();
    let until = begun + COUNTING;
    while tokio::time::Instant::now() < until {
        let Ok(read) = timeout_at(until, stream.read(&mut chunk)).await else { break };
        let read = read? as u64;
        if read == 0 {
            break;
        }
        bytes += read;
        if timeout_at(until, limit.take(&party, read)).await.is_err() {
            break;
        }
    }
    Ok(Passed { bytes, time: begun.elapsed() })
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

    #[test]
    fn what_the_other_side_says_is_believed_as_far_as_it_can_be_true() {
        let boast = Passed::told(u64::MAX, 1 << 20, Duration::from_secs(2), 1.0);
        assert_eq!(boast.bytes, 1 << 20, "no more came than was sent");
        assert!((boast.rate() / f64::from(1 << 19) - 1.0).abs() < 0.01, "{}", boast.rate());
        let hasty = Passed { bytes: 1 << 20, time: Duration::ZERO };
        assert!((hasty.rate() - f64::from(1 << 20)).abs() < 1.0, "half of the time of sending at the least: {}", hasty.rate());
        assert_eq!(Passed::told(5, 9, Duration::from_millis(1), 50.0), Passed { bytes: 5, time: Duration::ZERO });
        assert_eq!(Passed::told(5, 9, Duration::from_secs(2), f64::NAN).time, Duration::from_secs(2));
    }
}
