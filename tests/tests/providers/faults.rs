//! Providers that refuse, fail, or talk nonsense: the client is told, and never told success.

use super::{KEY, ask, documents, node, point};
use kith_tests::cloud::{Cloud, End, Reply, event, message_said, said};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_status_and_none_repeats_the_key() {
    let cases: [(u16, Value, u16, &str); 10] = [
        (401, json!({"error": {"message": format!("wrong key {KEY}")}}), 502, "upstream_failed"),
        (403, json!({"error": {"message": "not here"}}), 502, "upstream_failed"),
        (400, json!({"error": {"message": format!("bad field, {KEY}")}}), 400, "invalid_request"),
        (422, json!({"detail": "bad field"}), 400, "invalid_request"),
        (404, json!({"error": {"message": "no such model"}}), 404, "model_not_found"),
        (429, json!({"error": {"message": format!("slow down, {KEY}")}}), 429, "rate_limit_exceeded"),
        (500, json!({"error": {"message": format!("panic at {KEY}")}}), 502, "upstream_failed"),
        (503, json!({}), 503, "overloaded"),
        (504, json!({}), 504, "upstream_timeout"),
        (529, json!({"type": "error", "error": {"type": "overloaded_error"}}), 503, "overloaded"),
    ];
    let node = node().await;
    for provider in ["openai", "anthropic"] {
        for (status, body, ours, code) in &cases {
            let (status, body) = (*status, body.clone());
            let cloud = Cloud::start(move |_| Reply::Plain(status, vec![("retry-after", "7".into())], body.to_string())).await;
            point(&node, provider, &cloud).await;
            let answer = node.post("/v1/chat/completions", ask(&format!("{provider}/m"))).await;
            assert_eq!(answer.status().as_u16(), *ours, "{provider} {status}");
            let waits = matches!(status, 429 | 503 | 529);
            assert_eq!(
                answer.headers().get("retry-after").map(|value| value.to_str().unwrap()),
                waits.then_some("7"),
                "{status}"
            );
            let text = answer.text().await.unwrap();
            assert!(!text.contains(KEY), "{text}");
            let told: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(told["error"]["code"], **code, "{provider} {status}: {text}");
            if status == 401 {
                assert!(text.contains("was refused"), "{text}");
            }
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_so_that_no_key_goes_elsewhere() {
    let elsewhere = Cloud::saying(&["caught"], &[]).await;
    let to = format!("{}/v1/chat/completions", elsewhere.url);
    let cloud = Cloud::start(move |_| Reply::Plain(307, vec![("location", to.clone())], String::new())).await;
    let node = node().await;
    point(&node, "openai", &cloud).await;
    let answer = node.post("/v1/chat/completions", ask("openai/m")).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert!(elsewhere.seen().is_empty());
    node.stop().await;
}

/// Streams that are not whole, of both wire forms.
fn halves(messages: bool) -> Vec<(&'static str, Reply)> {
    let parts = if messages { message_said(&["half an ", "answer"]) } else { said(&["half an ", "answer"]) };
    let half: Vec<String> = parts[..if messages { 5 } else { 2 }].to_vec();
    let with = |last: &str| half.iter().cloned().chain([last.to_owned()]).collect::<Vec<_>>();
    vec![
        ("cut in the middle", Reply::Stream(half.clone(), Duration::ZERO, End::Cut)),
        ("ended too early", Reply::Stream(half.clone(), Duration::ZERO, End::Whole)),
        ("cut inside an event", Reply::Stream(with("data: {\"choi"), Duration::ZERO, End::Cut)),
        ("garbage", Reply::events(with("data: \u{fffd}{]nonsense\n\n"))),
        ("a web page", Reply::events(vec!["<html>hello</html>\n\n".to_owned()])),
        ("a huge line", Reply::events(with(&format!("data: {}", "x".repeat(2 << 20))))),
        ("an error inside", Reply::events(with(&event(&json!({"type": "error", "error": {"message": format!("oh {KEY}")}}))))),
        ("nothing", Reply::events(Vec::new())),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_whole_is_an_error_whole_and_streamed() {
    let node = node().await;
    for provider in ["openai", "anthropic"] {
        for (what, reply) in halves(provider == "anthropic") {
            let cloud = Cloud::start(move |_| reply.clone()).await;
            point(&node, provider, &cloud).await;
            let model = format!("{provider}/m");
            let whole = node.post("/v1/chat/completions", ask(&model)).await;
            assert_eq!(whole.status(), StatusCode::BAD_GATEWAY, "{provider}, {what}");
            let mut body = ask(&model);
            body["stream"] = json!(true);
            let text = node.post("/v1/chat/completions", body).await.text().await.unwrap();
            assert!(
                !text.contains("[DONE]") && !text.contains("\"finish_reason\":\"stop\"") && !text.contains(KEY),
                "{what}: {text}"
            );
            assert_eq!(documents(&text).last().unwrap()["error"]["code"], "upstream_failed", "{what}: {text}");
            let text = node.post("/api/chat", ask(&model)).await.text().await.unwrap();
            let last = documents(&text).pop().unwrap();
            assert!(last["error"].is_string() && last.get("done").is_none(), "{what}: {text}");
        }
    }
    node.stop().await;
}
