//! The program as scripts and people use it.

use kith_node::NodeRecord;
use kith_tests::{Served, kith_command, real_model};
use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

fn run(dir: &Path, args: &[&str]) -> Output {
    kith_command(dir).args(args).stdin(Stdio::null()).output().expect("kith runs")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// One line on standard error, and a failure.
fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

fn tiny(dir: &Path, seed: u64) -> String {
    let path = dir.join(format!("tiny-{seed}.gguf"));
    std::fs::write(&path, kith_models::testing::tiny_gguf(seed)).expect("a file");
    path.to_string_lossy().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_says_where_it_listens_and_ends_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut child =
        kith_command(dir.path()).args(["serve", "--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
    let url = line.trim_end().strip_prefix("listening on ").expect("the line").to_owned();
    assert!(url.starts_with("http://127.0.0.1:"), "{line}");
    let record = NodeRecord::read(dir.path()).unwrap();
    assert_eq!((record.url.as_str(), record.pid), (url.as_str(), child.id()));
    // A second node on the same folder is refused, and says where the first one is.
    let second = refused(&run(dir.path(), &["serve", "--port", "0"]));
    assert!(second.contains(&url), "{second}");
    let asked = Instant::now();
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert!(!NodeRecord::path(dir.path()).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minted_token_works_whether_or_not_the_node_runs() {
    let dir = tempfile::tempdir().unwrap();
    let before: Value = serde_json::from_str(&stdout(&run(dir.path(), &["token", "mint", "--scope", "user", "--json"]))).unwrap();
    let node = Served::start(dir.path()).await;
    let during: Value =
        serde_json::from_str(&stdout(&run(dir.path(), &["token", "mint", "--scope", "admin", "--json"]))).unwrap();
    let http = kith_tests::client();
    let ask = async |path: &str, token: &Value| {
        let answer = http.get(format!("{}{path}", node.url)).bearer_auth(token["token"].as_str().unwrap()).send().await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!(ask("/api/v1/whoami", &before).await, 200);
    assert_eq!(ask("/api/v1/auth/keys", &before).await, 403);
    assert_eq!(ask("/api/v1/auth/keys", &during).await, 200);
    stdout(&run(dir.path(), &["token", "revoke", before["id"].as_str().unwrap()]));
    assert_eq!(ask("/api/v1/whoami", &before).await, 401);
    let plain = stdout(&run(dir.path(), &["token", "mint", "--scope", "user"]));
    assert!(plain.trim().starts_with("kith_"), "{plain}");
    assert_eq!(node.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_imported_listed_shown_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let node = Served::start(dir.path()).await;
    let file = tiny(dir.path(), 1);
    stdout(&run(dir.path(), &["import", &file, "--name", "tiny:1b"]));
    let list: Value = serde_json::from_str(&stdout(&run(dir.path(), &["list", "--json"]))).unwrap();
    assert!(list.to_string().contains("tiny:1b"), "{list}");
    assert!(stdout(&run(dir.path(), &["list"])).contains("tiny:1b"));
    assert!(stdout(&run(dir.path(), &["show", "tiny:1b"])).contains("llama"));
    stdout(&run(dir.path(), &["ps"]));
    let missing = refused(&run(dir.path(), &["show", "tinny:1b"]));
    assert!(missing.contains("tiny:1b") && missing.contains("kith pull"), "{missing}");
    stdout(&run(dir.path(), &["rm", "tiny:1b"]));
    refused(&run(dir.path(), &["rm", "tiny:1b"]));
    let bad = dir.path().join("bad.gguf");
    std::fs::write(&bad, b"GGUF nonsense").unwrap();
    refused(&run(dir.path(), &["import", &bad.to_string_lossy(), "--name", "bad:1"]));
    refused(&run(dir.path(), &["import", "/nowhere/at/all.gguf", "--name", "bad:1"]));
    refused(&run(dir.path(), &["import", &file, "--name", "../bad"]));
    assert_eq!(node.terminate(), Some(0));
}

#[test]
fn without_a_node_the_commands_that_need_one_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let said = refused(&run(dir.path(), &["ps"]));
    assert!(said.contains("error"), "{said}");
    let json = refused(&run(dir.path(), &["ps", "--json"]));
    assert!(serde_json::from_str::<Value>(json.trim()).unwrap()["error"].is_string());
    refused(&run(dir.path(), &["list", "--url", "http://127.0.0.1:1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn run_starts_a_node_and_streams_a_real_answer() {
    let Some(model) = real_model() else { return };
    let dir = tempfile::tempdir().unwrap();
    stdout(&run(dir.path(), &["import", &model.to_string_lossy(), "--name", "smollm2:135m"]));
    let answer = stdout(&run(
        dir.path(),
        &["run", "smollm2:135m", "Name the planets of the solar system.", "--temperature", "0", "--num-predict", "48"],
    ));
    assert!(answer.contains("Jupiter"), "{answer}");
    let record = NodeRecord::read(dir.path()).expect("a node was started");
    stdout(&run(dir.path(), &["stop", "--node"]));
    let deadline = Instant::now() + Duration::from_secs(10);
    while NodeRecord::read(dir.path()).is_some() {
        assert!(Instant::now() < deadline, "the node {} went on", record.pid);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
