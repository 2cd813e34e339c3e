//! The window as the node serves it: the page under every path of its own, files that may be kept for ever, and what pages may not do.

use kith_engine::scripted::ScriptedEngine;
use kith_tests::{TestNode, kith_command};
use reqwest::{Client, Method, StatusCode, redirect::Policy};
use std::io::Read;

fn browser() -> Client {
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}

async fn node() -> TestNode {
    TestNode::scripted(ScriptedEngine::new(|_| Ok("hello".to_owned()))).await
}

fn plain(brotli: &[u8]) -> String {
    let mut text = String::new();
    brotli_decompressor::Decompressor::new(brotli, 4096).read_to_string(&mut text).unwrap();
    text
}

/// The paths of files that the page names.
fn named(page: &str) -> Vec<&str> {
    page.split('"').filter(|part| part.starts_with("/assets/")).collect()
}

#[tokio::test]
async fn a_browser_is_shown_the_window_and_an_ollama_client_its_greeting() {
    let node = node().await;
    let answer = browser().get(&node.url).header("accept", "text/html,application/xhtml+xml").send().await.unwrap();
    assert_eq!((answer.status(), answer.headers()["location"].to_str().unwrap()), (StatusCode::TEMPORARY_REDIRECT, "/app"));
    let answer = browser().get(&node.url).header("accept", "*/*").send().await.unwrap();
    assert_eq!((answer.status(), answer.text().await.unwrap().as_str()), (StatusCode::OK, "Ollama is running"));
}

#[tokio::test]
async fn every_path_of_the_window_gives_its_page_and_the_page_allows_no_strangers() {
    let node = node().await;
    for path in ["/app", "/app/chat/abc", "/app/settings/access", "/pair"] {
        let answer = browser().get(format!("{}{path}", node.url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let headers = answer.headers().clone();
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(headers["cache-control"], "no-cache");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(!headers.contains_key("content-encoding"), "nobody said that they read brotli");
        let policy = headers["content-security-policy"].to_str().unwrap();
        for rule in [
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(rule), "{policy}");
        }
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"));
        let page = answer.text().await.unwrap();
        assert!(
            !page.contains("<script>") && !page.contains("style=\"") && !page.contains("onload="),
            "nothing is written into it"
        );
        assert!(!page.contains("http://") && !page.contains("https://"), "nothing comes from elsewhere");
    }
}

#[tokio::test]
async fn files_named_by_their_content_are_kept_for_ever_and_sent_compressed() {
    let node = node().await;
    let page = browser().get(format!("{}/app", node.url)).send().await.unwrap().text().await.unwrap();
    let files = named(&page);
    assert!(files.len() >= 4, "{page}");
    for file in files {
        let url = format!("{}{file}", node.url);
        let answer = browser().get(&url).header("accept-encoding", "gzip, br").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{file}");
        assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(answer.headers()["content-encoding"], "br");
        assert_eq!(answer.headers()["vary"], "accept-encoding");
        let packed = answer.bytes().await.unwrap();
        if file.ends_with(".css") || file.ends_with(".js") {
            let whole = browser().get(&url).send().await.unwrap().text().await.unwrap();
            assert_eq!(plain(&packed), whole, "{file}");
        }
        if file.ends_with(".wasm") {
            assert!(packed.len() < 700 << 10, "the pages weigh {} bytes", packed.len());
        }
    }
    let answer = browser().get(format!("{}/assets/none-000.js", node.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let answer = browser().get(format!("{}/assets/..%2findex.html", node.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_page_of_another_host_does_not_reach_the_window() {
    let node = node().await;
    let answer = browser().get(format!("{}/app", node.url)).header("host", "evil.example").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let answer = browser().get(format!("{}/app", node.url)).header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn open_prints_an_address_whose_ticket_is_good_once() {
    let node = node().await;
    let (url, dir) = (node.url.clone(), node.dir.path().to_owned());
    let printed =
        tokio::task::spawn_blocking(move || kith_command(&dir).args(["--url", &url, "open", "--print"]).output().unwrap());
    let printed = printed.await.unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let address = String::from_utf8(printed.stdout).unwrap();
    let (page, ticket) = address.trim().split_once("#ticket=").unwrap();
    assert_eq!(page, format!("{}/app", node.url));
    let exchange = || {
        let body = serde_json::json!({"ticket": ticket});
        node.request(Method::POST, "/api/v1/auth/bootstrap-exchange").json(&body).send()
    };
    let first = exchange().await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    let token: serde_json::Value = first.json().await.unwrap();
    let whoami = node.request(Method::GET, "/api/v1/whoami").bearer_auth(token["token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(whoami.status(), StatusCode::OK);
    assert_eq!(exchange().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}
