//! `kith serve` on a machine of its own, and what one asks of it.

use super::wires::Host;
use kith_node::NodeRecord;
use kith_tests::{admin_token, client, kith_command};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The port for members on every machine.
pub const PORT: u16 = 4345;
/// For what takes a moment.
pub const SOON: Duration = Duration::from_secs(30);
/// For what first has to be missed: a silent peer is given up after half a minute, and looked for with growing pauses.
pub const LATER: Duration = Duration::from_secs(150);

/// A node on a machine. Killed when dropped.
pub struct Node<'a> {
    host: &'a Host,
    process: Option<Child>,
    environment: Vec<(String, String)>,
    dir: TempDir,
    url: String,
    http: Client,
    /// Its id.
    pub id: String,
}

impl<'a> Node<'a> {
    /// A new node that members reach at `bind` alone, with the rest of its settings of networks as they come.
    pub async fn at(host: &'a Host, bind: &str) -> Self {
        Self::with(host, &format!("bind = [\"{bind}\"]\nport = {PORT}\n"), &[]).await
    }

    /// A new node with these settings of networks and these variables.
    pub async fn with(host: &'a Host, mesh: &str, environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("config.toml"), format!("[api]\nollama_port = false\n[mesh]\n{mesh}")).expect("written");
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (process, url, id) = (None, format!("http://{}:4343", host.address), String::new());
        let mut node = Self { host, process, environment, dir, url, http: client(), id };
        node.start().await;
        node
    }

    /// Starts it, again or for the first time, and waits until it answers.
    pub async fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.log()).expect("a log");
        let kith = kith_command(self.dir.path());
        let mut command = self.host.command(kith.get_program());
        command.args(kith.get_args()).args(["serve", "--host", &self.host.address, "--port", "4343"]);
        for (name, value) in kith.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("kith starts");
        let begun = Instant::now();
        loop {
            // `ip netns exec` becomes what it executes.
            if let Some(record) = NodeRecord::read(self.dir.path()).filter(|record| record.pid == process.id())
                && let Ok(answer) = self.http.get(format!("{}/health", self.url)).send().await
                && answer.status().is_success()
            {
                self.id = record.node_id;
                self.process = Some(process);
                return;
            }
            if let Some(status) = process.try_wait().expect("a status") {
                panic!("kith serve ended with {status}: {}", self.said());
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "kith serve did not come up: {}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// As a power cut does it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Where members reach it, as an address that names it.
    pub fn address(&self, ip: &str) -> String {
        format!("/ip4/{ip}/tcp/{PORT}/p2p/{}", self.id)
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("stderr.txt")
    }

    /// The end of what it printed.
    fn said(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// A figure of `/proc/PID/status`, in bytes.
    pub fn memory(&self, name: &str) -> u64 {
        let process = self.process.as_ref().expect("a running node").id();
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the figure");
        line.trim_start_matches(':').split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
    }

    /// Counts the most it held (`VmHWM`) from now on.
    pub fn forget_peak(&self) {
        let process = self.process.as_ref().expect("a running node").id();
        std::fs::write(format!("/proc/{process}/clear_refs"), "5").expect("the peak is forgotten");
    }

    /// Asks for what is told in lines of JSON, the last of which must be a success.
    pub async fn good_lines(&self, path: &str, body: Value) {
        let request = self.http.post(format!("{}{path}", self.url)).header("x-kith-admin-token", admin_token(self.dir.path()));
        let answer = request.json(&body).send().await.expect("an answer");
        let text = answer.text().await.expect("lines");
        assert!(text.lines().last().is_some_and(|line| line.contains("\"success\"")), "{path}: {text}");
    }

    /// Asks as the owner.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.url));
        request = request.header("x-kith-admin-token", admin_token(self.dir.path()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{method} {path}: {error}: {}", self.said()));
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    /// Asks for what must succeed.
    pub async fn good(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.ask(method.clone(), path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    /// Founds a network and goes onto it. Its id.
    pub async fn found(&self) -> String {
        let made = json!({"name": "Home", "connect": true});
        let made = self.good(Method::POST, "/api/v1/networks/create", Some(made)).await;
        made["id"].as_str().expect("an id").to_owned()
    }

    /// An invite for so many.
    pub async fn invite(&self, network: &str, uses: usize) -> String {
        let invite = self.good(Method::GET, &format!("/api/v1/networks/{network}/invite?uses={uses}"), None).await;
        invite["url"].as_str().expect("a URL").to_owned()
    }

    /// Comes in by an invite.
    pub async fn join(&self, invite: &str) {
        let joined = self.good(Method::POST, "/api/v1/networks", Some(json!({"url": invite, "connect": true}))).await;
        assert_eq!(joined["membership"], "member", "{joined}");
    }

    /// What it knows of the others.
    pub async fn others(&self) -> Vec<Value> {
        let list = self.good(Method::GET, "/api/v1/nodes", None).await;
        list["nodes"].as_array().expect("nodes").iter().filter(|node| node["is_self"] == false).cloned().collect()
    }

    /// How many it is connected to.
    pub async fn peers(&self) -> usize {
        self.others().await.iter().filter(|node| node["status"] == "active").count()
    }

    /// How it reaches another: `direct`, `hole-punched`, `relayed` or `none`, and why.
    pub async fn way_to(&self, other: &str) -> (String, String) {
        let others = self.others().await;
        let other = others.iter().find(|node| node["id"] == other);
        let text = |name: &str| other.and_then(|other| other[name].as_str()).unwrap_or_default().to_owned();
        (text("path"), text("path_reason"))
    }

    /// What the audit has of these kinds.
    pub async fn audit(&self, kinds: &str) -> Vec<Value> {
        let list = self.good(Method::GET, &format!("/api/v1/audit?types={kinds}"), None).await;
        list["events"].as_array().expect("events").clone()
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("what the node at {} printed last:\n{}", self.host.address, self.said());
        }
        self.kill();
    }
}

/// Waits until something is so; how long that took.
pub async fn until(what: &str, patience: Duration, mut there: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !there().await {
        assert!(begun.elapsed() < patience, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    begun.elapsed()
}

/// Waits until each of these is connected to all others.
pub async fn until_all_meet(nodes: &[Node<'_>], patience: Duration) -> Duration {
    until("all are connected to all", patience, async || {
        for node in nodes {
            if node.peers().await + 1 < nodes.len() {
                return false;
            }
        }
        true
    })
    .await
}
