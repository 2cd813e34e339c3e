//! A server that imitates hubs and registries, as well and as badly as a test wants.

use sha2::Digest;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The first byte asked for.
    pub fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
    }
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection breaks after so many bytes of the body.
    pub cut: Option<usize>,
    /// After so many bytes of the body nothing comes for so long.
    pub pause: Option<(usize, Duration)>,
    /// It comes in pieces of so many bytes, with so long before the head and before each.
    pub pace: Option<(usize, Duration)>,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub fn json(value: &serde_json::Value) -> Self {
        Self { status: 200, body: value.to_string().into_bytes(), ..Self::default() }
    }

    /// The whole file, whatever was asked for.
    pub fn whole(bytes: &[u8]) -> Self {
        Self { status: 200, body: bytes.to_vec(), ..Self::default() }
    }

    /// The file, or the range of it that was asked for.
    pub fn file(seen: &Seen, bytes: &[u8]) -> Self {
        let Some(range) = seen.header("range").and_then(|range| range.strip_prefix("bytes=")) else { return Self::whole(bytes) };
        let (first, last) = range.split_once('-').unwrap();
        let first: usize = first.parse().unwrap();
        let last = last.parse().unwrap_or(usize::MAX).min(bytes.len() - 1);
        let range = format!("bytes {first}-{last}/{}", bytes.len());
        Self { status: 206, body: bytes[first..=last].to_vec(), ..Self::default() }.with("content-range", &range)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn cut(self, after: usize) -> Self {
        Self { cut: Some(after), ..self }
    }

    pub fn pause(self, after: usize, pause: Duration) -> Self {
        Self { pause: Some((after, pause)), ..self }
    }

    pub fn pace(self, piece: usize, wait: Duration) -> Self {
        Self { pace: Some((piece, wait)), ..self }
    }
}

type Handler = dyn Fn(&Seen, usize) -> Reply + Send + Sync;

/// The running server; it ends when dropped.
pub struct Imitation {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    sent: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Imitation {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Imitation {
    /// Answers by `handler`, which is told the request and how many of the same method and path came before.
    pub async fn start(handler: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let sent: Arc<AtomicU64> = Arc::default();
        let (handler, log, count): (Arc<Handler>, _, _) = (Arc::new(handler), Arc::clone(&seen), Arc::clone(&sent));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (handler, log, count) = (Arc::clone(&handler), Arc::clone(&log), Arc::clone(&count));
                tokio::spawn(async move { serve(stream, &*handler, &log, &count).await });
            }
        });
        Self { url, seen, sent, task }
    }

    /// Host and port.
    pub fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Bytes of bodies sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Requests so far whose path has this in it.
    pub fn seen_at(&self, part: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.target.contains(part)).collect()
    }
}

async fn serve(mut stream: TcpStream, handler: &Handler, log: &Mutex<Vec<Seen>>, sent: &AtomicU64) -> Option<()> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(':')).map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect();
    let mut seen = Seen { method, target, headers, body: bytes.split_off(head + 4) };
    let length: usize = seen.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while seen.body.len() < length {
        if stream.read_buf(&mut seen.body).await.ok()? == 0 {
            return None;
        }
    }
    let before = {
        let mut log = log.lock().unwrap();
        let before = log.iter().filter(|other| other.method == seen.method && other.path() == seen.path()).count();
        log.push(seen.clone());
        before
    };
    let reply = handler(&seen, before);
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", reply.status);
    if !reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        head += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let (piece, wait) = reply.pace.unwrap_or((usize::MAX, Duration::ZERO));
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await.ok()?;
    if seen.method == "HEAD" {
        return None;
    }
    let end = reply.cut.unwrap_or(usize::MAX).min(reply.body.len());
    let (first, pause) = reply.pause.unwrap_or((end, Duration::ZERO));
    let first = first.min(end);
    for piece in reply.body[..first].chunks(piece) {
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        stream.write_all(piece).await.ok()?;
        sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    if !pause.is_zero() {
        stream.flush().await.ok()?;
        tokio::time::sleep(pause).await;
    }
    stream.write_all(&reply.body[first..end]).await.ok()?;
    sent.fetch_add((end - first) as u64, Ordering::Relaxed);
    stream.shutdown().await.ok()
}

/// The SHA-256 of bytes as registries write it.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A listing of the hub: `(path, bytes)`.
pub fn tree(files: &[(&str, &[u8])]) -> Reply {
    let entry = |(path, bytes): &(&str, &[u8])| {
        serde_json::json!({"type": "file", "path": path, "size": bytes.len(), "oid": "0",
            "lfs": {"oid": sha256(bytes), "size": bytes.len(), "pointerSize": 134}})
    };
    Reply::json(&serde_json::Value::Array(files.iter().map(entry).collect()))
}

/// A registry's manifest: `(kind, bytes)`.
pub fn manifest(layers: &[(&str, &[u8])]) -> serde_json::Value {
    let layer = |(kind, bytes): &(&str, &[u8])| {
        serde_json::json!({"mediaType": format!("application/vnd.ollama.image.{kind}"),
            "digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len()})
    };
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": format!("sha256:{}", sha256(b"{}")), "size": 2},
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    })
}
