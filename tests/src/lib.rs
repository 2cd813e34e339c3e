//! Real nodes for tests: inside the test's process with a scripted engine, or as the program people run.

pub mod cloud;
pub mod pictures;

use kith_engine::scripted::ScriptedEngine;
use kith_node::{Config, Node, NodeRecord, Overrides};
use kith_types::{Clock, SystemClock};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A client that keeps no connection longer than a test.
pub fn client() -> Client {
    Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().expect("a client")
}

/// A node in this process, on a port of the system's choice, with a folder of its own.
pub struct TestNode {
    node: Option<Node>,
    /// Its API.
    pub url: String,
    /// Its folder.
    pub dir: TempDir,
    /// A client.
    pub http: Client,
}

impl TestNode {
    /// A node that answers by the script.
    pub async fn scripted(engine: ScriptedEngine) -> Self {
        Self::with("", engine).await
    }

    /// A node with this config.toml.
    pub async fn with(toml: &str, engine: ScriptedEngine) -> Self {
        Self::in_dir(tempfile::tempdir().expect("a folder"), toml, engine).await
    }

    /// A node on an existing folder.
    pub async fn in_dir(dir: TempDir, toml: &str, engine: ScriptedEngine) -> Self {
        Self::set_up(dir, toml, &[], Arc::new(SystemClock), engine).await
    }

    /// A node with these variables of the environment and this clock.
    pub async fn set_up(
        dir: TempDir,
        toml: &str,
        variables: &[(&str, &str)],
        clock: Arc<dyn Clock>,
        engine: ScriptedEngine,
    ) -> Self {
        std::fs::write(dir.path().join("config.toml"), toml).expect("config.toml");
        let env = |name: &str| match name {
            _ if variables.iter().any(|(known, _)| *known == name) => {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            }
            "KITH_LIMITS" if !toml.contains("[limits]") => Some("off".to_owned()),
            "KITH_KEY_PROVIDER" => Some("file".to_owned()),
            _ => None,
        };
        let overrides = Overrides { port: Some(0), host: None };
        let config = Config::load(dir.path(), &overrides, &env, 8 << 30).expect("a configuration");
        let node = Node::start_by(config, vec![Arc::new(engine)], clock).await.expect("a node");
        Self { url: node.url().to_owned(), node: Some(node), dir, http: client() }
    }

    /// The running node.
    pub fn node(&self) -> &Node {
        self.node.as_ref().expect("a running node")
    }

    /// A request with JSON.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// A request as the owner.
    pub fn as_admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).header("x-kith-admin-token", admin_token(self.dir.path()))
    }

    /// `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Response {
        self.request(Method::POST, path).json(&body).send().await.expect("an answer")
    }

    /// `POST` of a JSON body that must succeed with JSON.
    pub async fn post_json(&self, path: &str, body: Value) -> Value {
        let response = self.post(path, body).await;
        let status = response.status();
        let text = response.text().await.expect("a body");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// `GET` that must succeed with JSON.
    pub async fn get_json(&self, path: &str) -> Value {
        self.request(Method::GET, path).send().await.expect("an answer").json().await.expect("JSON")
    }

    /// Imports a tiny model file under this name.
    pub async fn import(&self, name: &str, seed: u64) {
        self.import_bytes(name, &kith_models::testing::tiny_gguf(seed)).await;
    }

    /// Imports these bytes under this name.
    pub async fn import_bytes(&self, name: &str, bytes: &[u8]) {
        let file = self.dir.path().join(format!("{}.gguf", name.replace([':', '/'], "-")));
        std::fs::write(&file, bytes).expect("a file");
        let response = self
            .as_admin(Method::POST, "/api/v1/models/import")
            .json(&serde_json::json!({"path": file, "name": name}))
            .send()
            .await
            .expect("an answer");
        let text = response.text().await.expect("lines");
        assert!(text.lines().last().is_some_and(|line| line.contains("\"success\"")), "{text}");
        std::fs::remove_file(file).expect("removed");
    }

    /// Stops the node and gives its folder back.
    pub async fn stop(mut self) -> TempDir {
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
        self.dir
    }
}

/// The token the node on this folder wrote for its owner.
pub fn admin_token(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("admin.token")).expect("admin.token").trim().to_owned()
}

/// The `kith` program of this build.
pub fn kith() -> PathBuf {
    let mut path = std::env::current_exe().expect("this test's own path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    let path = path.join(format!("kith{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not built; tests are run with: cargo xtask test", path.display());
    path
}

/// The command with nothing of the tester's own settings.
pub fn kith_command(dir: &Path) -> Command {
    let mut command = Command::new(kith());
    for name in ["KITH_URL", "KITH_PORT", "KITH_HOST", "OLLAMA_HOST", "KITH_DATA_DIR", "KITH_ADMIN_TOKEN"] {
        command.env_remove(name);
    }
    command.env("KITH_KEY_PROVIDER", "file").env("KITH_LIMITS", "off").arg("--data-dir").arg(dir);
    command
}

/// `kith serve` as a process; killed when dropped.
pub struct Served {
    child: Child,
    /// Its API.
    pub url: String,
}

impl Served {
    /// Starts it and waits until it answers.
    pub async fn start(dir: &Path) -> Self {
        let mut child = kith_command(dir)
            .args(["serve", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("kith starts");
        let deadline = Instant::now() + Duration::from_secs(30);
        let http = client();
        loop {
            if let Some(record) = NodeRecord::read(dir).filter(|record| record.pid == child.id())
                && http.get(format!("{}/health", record.url)).send().await.is_ok_and(|answer| answer.status().is_success())
            {
                return Self { child, url: record.url };
            }
            if let Some(status) = child.try_wait().expect("a status") {
                panic!("kith serve ended with {status}");
            }
            assert!(Instant::now() < deadline, "kith serve did not come up");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As a power cut does it.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }

    /// Asks it to end and waits; gives its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
        assert!(status.success());
        self.child.wait().expect("an end").code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The real model, or `None` (said aloud) where it has not been fetched. In CI it must be there.
pub fn real_model() -> Option<PathBuf> {
    let path = std::env::var_os("KITH_TEST_MODEL").map_or_else(
        || {
            let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
            cache.unwrap_or_default().join("kith/models/SmolLM2-135M-Instruct.Q4_1.gguf")
        },
        PathBuf::from,
    );
    if path.is_file() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "the default model is missing: {}", path.display());
    println!("skipped: the default model is not at {}; fetch it with: cargo xtask setup", path.display());
    None
}

/// The folder of the real encoder, all-MiniLM-L6-v2, or `None` (said aloud) where it has not been fetched. In CI it must be there.
pub fn real_encoder() -> Option<PathBuf> {
    let path = std::env::var_os("KITH_TEST_EMBEDDING_MODEL").map_or_else(
        || {
            let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
            cache.unwrap_or_default().join("kith/models/all-MiniLM-L6-v2")
        },
        PathBuf::from,
    );
    if path.join("model.safetensors").is_file() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "the embedding model is missing: {}", path.display());
    println!("skipped: the embedding model is not at {}; fetch it with: cargo xtask setup", path.display());
    None
}
