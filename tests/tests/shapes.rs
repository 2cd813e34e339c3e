//! Requests as well-known clients send them, written down field by field: what they ask must be understood, empty fields and all.

use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use reqwest::Method;
use serde_json::Value;

const SHAPES: &str = include_str!("../fixtures/shapes.json");

/// The text a stream says, put together from its lines or events; panics at an error within it.
fn said(body: &str, kind: &str) -> String {
    let lines = body.lines().filter_map(|line| match kind {
        "lines" => Some(line),
        _ => line.strip_prefix("data: ").filter(|data| *data != "[DONE]"),
    });
    lines
        .map(|line| {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(value.get("error").is_none(), "{line}");
            let text =
                ["/message/content", "/response", "/choices/0/delta/content"].iter().find_map(|at| value.pointer(at)?.as_str());
            text.unwrap_or_default().to_owned()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_well_known_clients_are_understood() {
    let node = TestNode::scripted(ScriptedEngine::saying("All is well.")).await;
    node.import("tiny:1b", 1).await;
    let shapes: Vec<Value> = serde_json::from_str(SHAPES).unwrap();
    for shape in shapes {
        let client = shape["client"].as_str().unwrap();
        let method = Method::from_bytes(shape["method"].as_str().unwrap().as_bytes()).unwrap();
        let mut request = node.request(method, shape["path"].as_str().unwrap());
        for (name, value) in shape["headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().unwrap());
        }
        if let Some(body) = shape.get("body") {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        assert!(status.is_success(), "{client}: {status} {body}");
        if let Some(kind) = shape["stream"].as_str() {
            assert_eq!(said(&body, kind), "All is well.", "{client}");
            continue;
        }
        let value: Value = serde_json::from_str(&body).unwrap();
        for pointer in shape["has"].as_array().unwrap() {
            let pointer = pointer.as_str().unwrap();
            assert!(value.pointer(pointer).is_some_and(|found| !found.is_null()), "{client}: {pointer} is missing in {body}");
        }
    }
    node.stop().await;
}
