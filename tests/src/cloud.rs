//! Imitates a cloud provider: speaks HTTP by hand, so that it can also speak it badly.

use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `POST /v1/chat/completions`.
    pub line: String,
    /// All header lines, in lower case names.
    pub headers: Vec<(String, String)>,
    /// The body; null if there is none.
    pub body: Value,
}

impl Seen {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Whole,
    /// The connection closes in the middle.
    Cut,
    /// Nothing more comes.
    Silence,
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status, further header lines, and a body.
    Plain(u16, Vec<(&'static str, String)>, String),
    /// Parts of a stream of events with a pause before each.
    Stream(Vec<String>, Duration, End),
}

impl Reply {
    /// A JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::Plain(status, Vec::new(), body.to_string())
    }

    /// Parts of a stream that ends as it should.
    pub fn events(parts: Vec<String>) -> Self {
        Self::Stream(parts, Duration::ZERO, End::Whole)
    }
}

/// One event.
pub fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// One event under its name, as Anthropic writes them.
pub fn named(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

/// A chat completion that says these words.
pub fn said(words: &[&str]) -> Vec<String> {
    let mut parts: Vec<String> = words
        .iter()
        .map(|word| event(&json!({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": null}]})))
        .collect();
    parts.push(event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})));
    let usage = json!({"prompt_tokens": 11, "completion_tokens": words.len(), "total_tokens": 11 + words.len()});
    parts.push(event(&json!({"choices": [], "usage": usage})));
    parts.push("data: [DONE]\n\n".to_owned());
    parts
}

/// A message of Anthropic's that says these words.
pub fn message_said(words: &[&str]) -> Vec<String> {
    let mut parts = vec![
        named(&json!({"type": "message_start", "message": {"usage": {"input_tokens": 11, "output_tokens": 1}}})),
        named(&json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
        named(&json!({"type": "ping"})),
    ];
    let delta =
        |word: &&str| named(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}));
    parts.extend(words.iter().map(delta));
    parts.push(named(&json!({"type": "content_block_stop", "index": 0})));
    let stop = json!({"stop_reason": "end_turn", "stop_sequence": null});
    parts.push(named(&json!({"type": "message_delta", "delta": stop, "usage": {"output_tokens": words.len()}})));
    parts.push(named(&json!({"type": "message_stop"})));
    parts
}

type Script = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// A provider on this machine.
pub struct Cloud {
    /// Its address, without a path.
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    open: Arc<AtomicUsize>,
}

impl Cloud {
    /// A provider that answers by the script.
    pub async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (seen, open) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<AtomicUsize>::default());
        let script: Script = Arc::new(script);
        let (all, count) = (Arc::clone(&seen), Arc::clone(&open));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, all, count) = (Arc::clone(&script), Arc::clone(&all), Arc::clone(&count));
                tokio::spawn(async move {
                    count.fetch_add(1, Ordering::SeqCst);
                    // A client that leaves is no fault of the provider's.
                    let _ = serve(stream, &script, &all).await;
                    count.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, seen, open }
    }

    /// A provider that says these words, and lists these models.
    pub async fn saying(words: &'static [&'static str], models: &'static [&'static str]) -> Self {
        Self::start(move |seen| match seen.line.as_str() {
            line if line.starts_with("GET ") => {
                let list: Vec<Value> = models.iter().map(|id| json!({"id": id, "created": 1_700_000_000})).collect();
                Reply::json(200, &json!({"object": "list", "data": list}))
            }
            line if line.ends_with("/messages") => Reply::events(message_said(words)),
            _ => Reply::events(said(words)),
        })
        .await
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    /// The last request.
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("a request")
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Seen { line, headers, body: serde_json::from_slice(&body).unwrap_or_default() })
}

async fn serve(mut stream: TcpStream, script: &Script, all: &Mutex<Vec<Seen>>) -> std::io::Result<()> {
    let seen = read(&mut stream).await?;
    let reply = script(&seen);
    all.lock().expect("no panic").push(seen);
    match reply {
        Reply::Plain(status, headers, body) => {
            let mut head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            stream.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
        }
        Reply::Stream(parts, pause, end) => {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            for part in parts {
                if !pause.is_zero() {
                    gone_or(&mut stream, pause).await?;
                }
                stream.write_all(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes()).await?;
            }
            match end {
                End::Whole => stream.write_all(b"0\r\n\r\n").await?,
                End::Cut => {}
                End::Silence => gone_or(&mut stream, Duration::from_secs(600)).await?,
            }
        }
    }
    stream.shutdown().await
}

/// Waits, or ends with an error once the client is gone.
async fn gone_or(stream: &mut TcpStream, wait: Duration) -> std::io::Result<()> {
    let mut byte = [0];
    match tokio::time::timeout(wait, stream.read(&mut byte)).await {
        Err(_) => Ok(()),
        Ok(Ok(0)) => Err(std::io::ErrorKind::ConnectionReset.into()),
        Ok(read) => read.map(|_| ()),
    }
}
