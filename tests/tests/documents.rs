//! Documents that people attach: their text over the API, and what becomes of those made to harm who reads them.

use kith_engine::scripted::ScriptedEngine;
use kith_tests::{Served, TestNode, admin_token, client};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use std::{
    ffi::OsString,
    time::{Duration, Instant},
};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};
use tempfile::TempDir;

/// A PDF of so many pages that all show this stream, with further objects behind them, as its specification lays one out.
fn lay_out(pages: usize, content: Vec<u8>, more: &[Vec<u8>]) -> Vec<u8> {
    let kids: Vec<String> = (0..pages).map(|page| format!("{} 0 R", page + 5)).collect();
    let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 3 0 R >> >> >>";
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [{}] /Count {pages} >>", kids.join(" ")).into_bytes(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_vec(),
        content,
    ];
    objects.extend((0..pages).map(|_| page.as_bytes().to_vec()));
    objects.extend_from_slice(more);
    let (mut file, mut table) = (b"%PDF-1.5\n".to_vec(), String::new());
    for (at, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.extend(format!("{} 0 obj\n", at + 1).bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let (start, size) = (file.len(), objects.len() + 1);
    let trailer = format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n");
    file.extend(format!("xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}").bytes());
    file
}

fn stream(entries: &str, content: &[u8]) -> Vec<u8> {
    let mut stream = format!("<< {entries} /Length {} >>\nstream\n", content.len()).into_bytes();
    stream.extend(content);
    stream.extend(b"\nendstream");
    stream
}

fn deflated(entries: &str, content: Vec<u8>) -> Vec<u8> {
    let mut packed = lopdf::Stream::new(lopdf::Dictionary::new(), content);
    packed.compress().unwrap();
    stream(&format!("{entries} /Filter /FlateDecode"), &packed.content)
}

/// A PDF of one page with this line.
fn pdf(line: &str) -> Vec<u8> {
    lay_out(1, stream("", format!("BT /F1 12 Tf 72 720 Td ({line}) Tj ET").as_bytes()), &[])
}

/// A PDF whose one page becomes gigabytes of objects when it is read.
fn swollen_page() -> Vec<u8> {
    lay_out(1, deflated("", [b"[]".repeat(4 << 20), b" TJ".to_vec()].concat()), &[])
}

/// A PDF that becomes gigabytes of objects while it is opened, no part of which is large.
fn swollen_parts() -> Vec<u8> {
    let part = |number: usize| {
        let content = format!("{number} 0 [{}]", "[]".repeat(512 << 10));
        deflated("/Type /ObjStm /N 1 /First 6", content.into_bytes())
    };
    let parts: Vec<Vec<u8>> = (900..916).map(part).collect();
    lay_out(1, stream("", b"BT /F1 12 Tf (x) Tj ET"), &parts)
}

/// A PDF that takes little memory and as much time as it is given.
fn slow() -> Vec<u8> {
    lay_out(1000, deflated("", vec![b' '; 15 << 20]), &[])
}

async fn read(node: &TestNode, bytes: Vec<u8>) -> (StatusCode, Value) {
    let answer = node.as_admin(Method::POST, "/api/v1/documents/text").body(bytes).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_pdf_and_a_text_are_read_and_what_is_neither_is_refused_in_words() {
    let node = TestNode::scripted(ScriptedEngine::saying("x")).await;
    let (status, found) = read(&node, pdf("The sky is blue.")).await;
    assert_eq!(status, StatusCode::OK, "{found}");
    assert_eq!(
        (found["text"].as_str(), found["pages"].as_u64(), found["cut"].as_bool()),
        (Some("The sky is blue."), Some(1), Some(false))
    );
    let (status, found) = read(&node, "héllo".into()).await;
    assert_eq!((status, found["text"].as_str(), found["pages"].is_null()), (StatusCode::OK, Some("héllo"), true));
    let (status, found) = read(&node, b"\x89PNG\r\n\x1a\n\0\0".to_vec()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(found.to_string().contains("neither text"), "{found}");
    let (status, _) = read(&node, vec![b'a'; (32 << 20) + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, found) = read(&node, vec![b'a'; 2 << 20]).await;
    assert_eq!(
        (status, found["cut"].as_bool(), found["text"].as_str().map(str::len)),
        (StatusCode::OK, Some(true), Some(1 << 20))
    );
    node.stop().await;
}

/// The arguments and the environment of a process.
type Started = (Vec<OsString>, Vec<OsString>);

fn reads(process: &Started) -> bool {
    process.0.last().is_some_and(|argument| argument == "--read-document")
}

/// A node as people run it, seen as the system sees it.
struct Watched {
    node: Served,
    dir: TempDir,
    system: System,
}

impl Watched {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { node: Served::start(dir.path()).await, dir, system: System::new() }
    }

    fn ask(&self, document: Vec<u8>) -> RequestBuilder {
        let request = client().post(format!("{}/api/v1/documents/text", self.node.url));
        request.header("x-kith-admin-token", admin_token(self.dir.path())).body(document)
    }

    /// Bytes of the node in memory.
    fn resident(&mut self) -> u64 {
        let pid = Pid::from_u32(self.node.pid());
        let what = ProcessRefreshKind::nothing().without_tasks().with_memory();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        self.system.process(pid).unwrap().memory()
    }

    /// The processes that the node has started and that have not ended.
    fn children(&mut self) -> Vec<Started> {
        let pid = Pid::from_u32(self.node.pid());
        let what = ProcessRefreshKind::nothing().without_tasks();
        let what = what.with_cmd(UpdateKind::Always).with_environ(UpdateKind::Always);
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        let children = self.system.processes().values().filter(|process| process.parent() == Some(pid));
        children.map(|process| (process.cmd().to_vec(), process.environ().to_vec())).collect()
    }

    async fn until(&mut self, what: &str, within: Duration, fits: impl Fn(&[Started]) -> bool) {
        let begun = Instant::now();
        while !fits(&self.children()) {
            assert!(begun.elapsed() < within, "not within {within:?}: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_pdf_is_read_by_a_process_that_is_given_no_secrets_and_ends_with_the_request() {
    let mut node = Watched::start().await;
    let asked = tokio::spawn(node.ask(slow()).send());
    node.until("a reader runs", Duration::from_secs(10), |all| all.iter().any(reads)).await;
    let children = node.children();
    assert_eq!(children.len(), 1, "{children:?}");
    let given = ["LD_LIBRARY_PATH=", "PATH=", "SystemRoot="];
    for variable in &children[0].1 {
        let variable = variable.to_string_lossy();
        assert!(given.iter().any(|name| variable.starts_with(name)), "{variable}");
    }

    // Nobody waits any more, long before the reader's time is over.
    asked.abort();
    node.until("the reader has ended", Duration::from_secs(5), <[Started]>::is_empty).await;

    let answer = node.ask(pdf("The sky is blue.")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let found: Value = answer.json().await.unwrap();
    assert_eq!((found["text"].as_str(), found["pages"].as_u64()), (Some("The sky is blue."), Some(1)));
    assert!(node.children().is_empty());
}

#[tokio::test]
async fn a_small_pdf_that_becomes_gigabytes_is_refused_and_the_node_does_not_grow_with_it() {
    let mut node = Watched::start().await;
    let health = format!("{}/health", node.node.url);
    let http = client();
    for bomb in [swollen_page(), swollen_parts()] {
        assert!(bomb.len() < 64 << 10, "{}", bomb.len());
        let before = node.resident();
        let mut most = before;
        let mut asked = tokio::spawn(node.ask(bomb).send());
        let answer = loop {
            if let Ok(answer) = tokio::time::timeout(Duration::from_millis(20), &mut asked).await {
                break answer.unwrap().unwrap();
            }
            most = most.max(node.resident());
            assert!(http.get(&health).send().await.unwrap().status().is_success());
        };
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let found: Value = answer.json().await.unwrap();
        assert!(found["error"].as_str().unwrap().contains("1024 MiB of memory"), "{found}");
        assert!(most < before + (200 << 20), "from {before} to {most} bytes");
        assert!(node.children().is_empty());
        assert!(http.get(&health).send().await.unwrap().status().is_success());
    }
}
