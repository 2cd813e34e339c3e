//! Conversations over the API of a running node: trees, search, undo, pictures, exports, two clients, power cuts.

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::StreamExt;
use kith_engine::scripted::ScriptedEngine;
use kith_tests::{Served, TestNode, admin_token, client};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

const ROOT: &str = "/api/v1/conversations";
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\0\0\0;";

async fn node() -> TestNode {
    TestNode::scripted(ScriptedEngine::saying("x")).await
}

async fn send(node: &TestNode, method: Method, path: &str, body: Option<Value>) -> Response {
    let request = node.as_admin(method, &format!("{ROOT}{path}"));
    match body {
        Some(body) => request.json(&body).send().await.unwrap(),
        None => request.send().await.unwrap(),
    }
}

/// The JSON of an answer that must have this status.
async fn json_of(node: &TestNode, method: Method, path: &str, body: Option<Value>, status: u16) -> Value {
    let answer = send(node, method, path, body).await;
    let found = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    assert_eq!(found, status, "{path}: {text:.2000}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

async fn get(node: &TestNode, path: &str) -> Value {
    json_of(node, Method::GET, path, None, 200).await
}

async fn post(node: &TestNode, path: &str, body: Value, status: u16) -> Value {
    json_of(node, Method::POST, path, Some(body), status).await
}

/// A refusal in the house's form.
async fn refused(node: &TestNode, method: Method, path: &str, body: Option<Value>, status: u16, code: &str) -> Value {
    let error = json_of(node, method, path, body, status).await;
    assert_eq!(error["code"], code, "{path}: {error}");
    assert!(error["request_id"].as_str().unwrap().starts_with("req_") && error["timestamp"].is_string(), "{error}");
    error
}

fn ids(list: &Value) -> Vec<&str> {
    list["conversations"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_held_edited_and_shown_as_a_tree() {
    let node = node().await;
    let new = json!({"id": "c1", "model": "tiny:1b", "system": "Be brief.", "options": {"temperature": 0.5}});
    let begun = post(&node, "", new.clone(), 201).await;
    assert_eq!((&begun["title"], &begun["head"], &begun["message_count"]), (&json!(""), &Value::Null, &json!(0)));
    assert_eq!(post(&node, "", new, 200).await, begun);
    let question = json!({"id": "q1", "role": "user", "content": "Why are there tides?"});
    let written = post(&node, "/c1/messages", question.clone(), 201).await;
    assert_eq!(
        (&written["conversation"]["title"], &written["message"]["parent"]),
        (&json!("Why are there tides?"), &Value::Null)
    );
    assert_eq!(post(&node, "/c1/messages", question, 200).await, written);
    for (content, status) in [("The", 201), ("The moon.", 200)] {
        let answer = json!({"role": "assistant", "content": content, "model": "tiny:1b"});
        json_of(&node, Method::PUT, "/c1/messages/a1", Some(answer), status).await;
    }
    let end = json!({
        "role": "assistant", "content": "The moon.", "reasoning": "hm", "model": "tiny:1b", "finish": "stop",
        "usage": {"prompt": 9, "completion": 3}, "timings": {"prefill_ms": 12.5, "decode_ms": 30.25, "tokens_per_s": 99.17},
        "tool_calls": [{"id": "t1", "name": "tide", "arguments": "{}"}],
        "attachments": [{"name": "a.txt", "kind": "text", "text": "text"}],
    });
    let done = json_of(&node, Method::PUT, "/c1/messages/a1", Some(end.clone()), 200).await["message"].clone();
    for (field, value) in end.as_object().unwrap() {
        assert_eq!(&done[field], value, "{field}");
    }
    assert_eq!(get(&node, "/c1/messages/a1").await, done);
    // Retry: a variant beside it. Edit and resend: a variant of the question.
    post(&node, "/c1/messages", json!({"id": "a2", "parent": "q1", "role": "assistant", "content": "The sun."}), 201).await;
    post(&node, "/c1/messages", json!({"id": "q2", "parent": null, "role": "user", "content": "Why waves?"}), 201).await;
    let whole = get(&node, "/c1").await;
    let tree: Vec<_> = whole["messages"].as_array().unwrap().iter().map(|m| (m["id"].clone(), m["parent"].clone())).collect();
    let expected = [("q1", Value::Null), ("a1", json!("q1")), ("a2", json!("q1")), ("q2", Value::Null)];
    assert_eq!(tree, expected.map(|(id, parent)| (json!(id), parent)));
    assert_eq!((&whole["head"], &whole["options"]), (&json!("q2"), &json!({"temperature": 0.5})));
    assert_eq!(get(&node, "/c1?messages=false").await["messages"], json!([]));
    let changed = json_of(&node, Method::PATCH, "/c1", Some(json!({"head": "a1", "pinned": true, "system": null})), 200).await;
    assert_eq!((&changed["head"], &changed["pinned"], &changed["system"]), (&json!("a1"), &json!(true), &Value::Null));
    let fork = post(&node, "/c1/fork", json!({"at": "a2", "id": "c2"}), 201).await;
    let copied: Vec<_> = fork["messages"].as_array().unwrap().iter().map(|message| &message["id"]).collect();
    assert_eq!((copied, &fork["model"]), (vec![&json!("q1"), &json!("a2")], &json!("tiny:1b")));
    assert_eq!(ids(&get(&node, "").await), ["c1", "c2"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_in_the_houses_form() {
    let node = node().await;
    post(&node, "", json!({"id": "c1"}), 201).await;
    post(&node, "/c1/messages", json!({"id": "m1", "role": "user", "content": "x"}), 201).await;
    let message = |more: Value| {
        let mut body = json!({"role": "user", "content": "x"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(body)
    };
    let (nobody, orphan, clash) = (json!({}), json!({"parent": "nobody"}), json!({"id": "m1", "content": "y"}));
    refused(&node, Method::GET, "/nobody", None, 404, "NOT_FOUND").await;
    refused(&node, Method::POST, "/nobody/messages", message(nobody.clone()), 404, "NOT_FOUND").await;
    refused(&node, Method::GET, "/c1/messages/nobody", None, 404, "NOT_FOUND").await;
    refused(&node, Method::POST, "/c1/fork", Some(json!({"at": "nobody"})), 404, "NOT_FOUND").await;
    refused(&node, Method::POST, "/nobody/restore", None, 404, "NOT_FOUND").await;
    refused(&node, Method::DELETE, "/nobody?forever=true", None, 404, "NOT_FOUND").await;
    refused(&node, Method::GET, "/nobody/export", None, 404, "NOT_FOUND").await;
    let error = refused(&node, Method::POST, "/c1/messages", message(orphan), 409, "CONFLICT").await;
    assert_eq!((error["field"].as_str(), error["error"].as_str().unwrap().contains("nobody")), (Some("parent"), true));
    refused(&node, Method::POST, "/c1/messages", message(clash), 409, "CONFLICT").await;
    refused(&node, Method::PATCH, "/c1", Some(json!({"head": "nobody"})), 409, "CONFLICT").await;
    refused(&node, Method::PUT, "/c1/messages/m1", message(json!({"role": "system"})), 409, "CONFLICT").await;
    for (body, field) in [
        (json!({"role": "nobody"}), "role"),
        (json!({"id": "a/b"}), "id"),
        (json!({"images": [{"data": STANDARD.encode("<svg/>")}]}), "images[0].data"),
        (json!({"images": [{"digest": "00"}]}), "images[0].digest"),
        (json!({"images": [{"digest": "0".repeat(64)}]}), "images[0].digest"),
        (json!({"timings": {"decode_ms": -1}}), "timings.decode_ms"),
    ] {
        let error = refused(&node, Method::POST, "/c1/messages", message(body), 400, "INVALID_REQUEST").await;
        assert_eq!(error["field"], field);
    }
    refused(&node, Method::PUT, "/c1/messages/m1", message(json!({"id": "m2"})), 400, "INVALID_REQUEST").await;
    let large = message(json!({"content": "x".repeat((8 << 20) + 1)}));
    assert_eq!(refused(&node, Method::POST, "/c1/messages", large, 413, "BODY_TOO_LARGE").await["field"], "content");
    for (body, status) in [
        (json!({"title": ""}), 400),
        (json!({"title": "x".repeat(201)}), 400),
        (json!({"titel": "x"}), 400),
        (json!({"options": []}), 400),
        (json!({"system": "x".repeat(300 << 10)}), 413),
    ] {
        json_of(&node, Method::PATCH, "/c1", Some(body), status).await;
    }
    for path in ["?limit=0", "?limit=201", "?limit=x", "?cursor=x", "?deleted=perhaps", "/c1?messages=7", "/c1/export?format=pdf"]
    {
        refused(&node, Method::GET, path, None, 400, "INVALID_REQUEST").await;
    }
    refused(&node, Method::GET, &format!("?query={}", "x".repeat(201)), None, 400, "INVALID_REQUEST").await;
    assert_eq!(get(&node, "/c1").await["messages"].as_array().unwrap().len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search_pages_and_undo() {
    let node = node().await;
    for n in 0..5 {
        post(&node, "", json!({"id": format!("c{n}")}), 201).await;
        let content = format!("Question {n} about the crème brûlée of Lyon");
        post(&node, &format!("/c{n}/messages"), json!({"role": "user", "content": content}), 201).await;
        // Times have milliseconds.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    post(&node, "/c3/messages", json!({"role": "assistant", "content": "昨日は猫の話をした。"}), 201).await;
    assert_eq!(ids(&get(&node, "").await), ["c3", "c4", "c2", "c1", "c0"]);
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = get(&node, &format!("?query=brulee&limit=2{next}")).await;
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        for one in page["conversations"].as_array().unwrap() {
            assert!(one["snippet"].as_str().unwrap().contains("brûlée"), "{one}");
        }
        let Some(cursor) = page["next"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    assert_eq!(seen, ["c3", "c4", "c2", "c1", "c0"]);
    assert_eq!(ids(&get(&node, "?query=creme%20ques").await).len(), 5);
    assert_eq!(ids(&get(&node, "?query=%E7%8C%AB").await), ["c3"]);
    assert_eq!(ids(&get(&node, "?query=%22%20OR%20%28").await), [""; 0]);
    let before = get(&node, "/c2").await;
    json_of(&node, Method::DELETE, "/c2", None, 204).await;
    refused(&node, Method::GET, "/c2", None, 404, "NOT_FOUND").await;
    assert_eq!(ids(&get(&node, "?query=creme").await), ["c3", "c4", "c1", "c0"]);
    let thrown = get(&node, "?deleted=true").await;
    assert_eq!(ids(&thrown), ["c2"]);
    assert!(thrown["conversations"][0]["deleted_at_ms"].as_i64().unwrap() > 0);
    json_of(&node, Method::POST, "/c2/restore", None, 200).await;
    assert_eq!(get(&node, "/c2").await, before);
    json_of(&node, Method::DELETE, "/c2?forever=true", None, 204).await;
    refused(&node, Method::POST, "/c2/restore", None, 404, "NOT_FOUND").await;
    // After a restart everything is found as before.
    let node = TestNode::in_dir(node.stop().await, "", ScriptedEngine::saying("x")).await;
    assert_eq!(ids(&get(&node, "?query=lyon").await), ["c3", "c4", "c1", "c0"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_kept_by_their_digest_and_cannot_run() {
    let node = node().await;
    post(&node, "", json!({"id": "c1"}), 201).await;
    post(&node, "", json!({"id": "c2"}), 201).await;
    let thumbnail = format!("data:image/gif;base64,{}", STANDARD.encode(GIF));
    let image =
        json!({"data": thumbnail, "media_type": "text/html", "name": "dot.gif", "width": 1, "height": 1, "thumbnail": thumbnail});
    let written = post(&node, "/c1/messages", json!({"id": "m1", "role": "user", "images": [image]}), 201).await;
    let kept = written["message"]["images"][0].clone();
    assert_eq!((&kept["media_type"], &kept["size"], &kept["data"]), (&json!("image/gif"), &json!(GIF.len()), &Value::Null));
    assert_eq!(kept["thumbnail"], thumbnail);
    // What was told can be sent back as it is.
    json_of(&node, Method::PUT, "/c1/messages/m1", Some(json!({"role": "user", "content": "see", "images": [kept]})), 200).await;
    let digest = kept["digest"].as_str().unwrap();
    let shown = send(&node, Method::GET, &format!("/c1/images/{digest}"), None).await;
    assert_eq!(shown.status(), StatusCode::OK);
    assert_eq!(shown.headers()["content-type"], "image/gif");
    assert_eq!(shown.headers()["x-content-type-options"], "nosniff");
    assert!(shown.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"));
    assert!(shown.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(shown.bytes().await.unwrap(), GIF);
    refused(&node, Method::GET, &format!("/c2/images/{digest}"), None, 404, "NOT_FOUND").await;
    refused(&node, Method::GET, "/c1/images/x", None, 404, "NOT_FOUND").await;
    let document = send(&node, Method::GET, "/c1/images/..%2F..%2Fkith.db", None).await;
    assert_eq!(document.status(), StatusCode::NOT_FOUND);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_a_file_with_a_name_every_system_takes() {
    let node = node().await;
    post(&node, "", json!({"id": "c1", "system": "Be brief."}), 201).await;
    post(&node, "/c1/messages", json!({"id": "m1", "role": "user", "content": "../Why \"tides\"?\r\nX: y 猫"}), 201).await;
    post(&node, "/c1/messages", json!({"role": "assistant", "content": "The moon.", "model": "tiny:1b"}), 201).await;
    post(&node, "/c1/messages", json!({"parent": "m1", "role": "assistant", "content": "Another."}), 201).await;
    let markdown = send(&node, Method::GET, "/c1/export?format=markdown", None).await;
    assert_eq!(markdown.headers()["content-type"], "text/markdown; charset=utf-8");
    assert_eq!(
        markdown.headers()["content-disposition"],
        "attachment; filename=\"Why-tides.md\"; filename*=UTF-8''Why%20tides.md"
    );
    let text = markdown.text().await.unwrap();
    assert!(text.starts_with("# ../Why \"tides\"?\n") && text.contains("## System\n\nBe brief."), "{text}");
    assert!(text.contains("Another.") && !text.contains("The moon."), "{text}");
    let exported = send(&node, Method::GET, "/c1/export?format=json", None).await;
    assert!(exported.headers()["content-disposition"].to_str().unwrap().contains("Why-tides.json"));
    assert_eq!(exported.json::<Value>().await.unwrap(), get(&node, "/c1").await);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_window_of_the_user_hears_what_the_first_does() {
    let node = node().await;
    let minted = kith_node::tokens::mint(node.dir.path(), "phone", "user".parse().unwrap(), None).await.unwrap();
    let stream = node.request(Method::GET, "/api/v1/events/stream").bearer_auth(&minted.token).send().await.unwrap();
    let mut stream = stream.bytes_stream();
    let as_user = |method, path: &str| node.request(method, &format!("{ROOT}{path}")).bearer_auth(&minted.token);
    assert_eq!(as_user(Method::POST, "").json(&json!({"id": "c1"})).send().await.unwrap().status(), StatusCode::CREATED);
    post(&node, "/c1/messages", json!({"id": "m1", "role": "user", "content": "a secret"}), 201).await;
    json_of(&node, Method::DELETE, "/c1", None, 204).await;
    let heard = tokio::time::timeout(Duration::from_secs(10), async {
        let mut text = String::new();
        while !text.contains("conversation.deleted") {
            text.push_str(&String::from_utf8_lossy(&stream.next().await.unwrap().unwrap()));
        }
        text
    });
    let text = heard.await.expect("the events arrive");
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .filter(|event: &Value| event["type"].as_str().is_some_and(|kind| kind.starts_with("conversation.")))
        .collect();
    let told: Vec<_> = events.iter().map(|event| (event["type"].as_str().unwrap(), &event["data"])).collect();
    assert_eq!(
        told,
        [
            ("conversation.created", &json!({"id": "c1"})),
            ("conversation.changed", &json!({"id": "c1", "fields": ["messages"], "message": "m1"})),
            ("conversation.deleted", &json!({"id": "c1", "forever": false})),
        ]
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_at_once_make_one_chain_and_lose_nothing() {
    let node = node().await;
    post(&node, "", json!({"id": "c1"}), 201).await;
    let token = admin_token(node.dir.path());
    let writers = ["a", "b"].map(|writer| {
        let (http, token) = (client(), token.clone());
        let url = format!("{}{ROOT}/c1/messages", node.url);
        tokio::spawn(async move {
            for n in 0..25 {
                let body = json!({"id": format!("{writer}{n}"), "role": "user", "content": format!("{writer} {n}")});
                // Each is sent twice, as by a client that heard no answer.
                for _ in 0..2 {
                    let answer = http.post(&url).header("x-kith-admin-token", &token).json(&body).send().await.unwrap();
                    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
                }
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    let whole = get(&node, "/c1").await;
    let messages = whole["messages"].as_array().unwrap();
    assert_eq!((messages.len(), &whole["message_count"]), (50, &json!(50)));
    for pair in messages.windows(2) {
        assert_eq!(pair[1]["parent"], pair[0]["id"]);
    }
    assert_eq!(whole["head"], messages[49]["id"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cuts_between_messages_lose_nothing_that_was_acknowledged() {
    const CUTS: u64 = 8;
    let dir = tempfile::tempdir().unwrap();
    let http = client();
    let mut acknowledged: Vec<String> = Vec::new();
    let mut sent = 0;
    for cut in 0..CUTS {
        let node = Served::start(dir.path()).await;
        let token = admin_token(dir.path());
        let call = |method: Method, path: String| {
            http.request(method, format!("{}{ROOT}{path}", node.url)).header("x-kith-admin-token", &token)
        };
        let made = call(Method::POST, String::new()).json(&json!({"id": "c1"})).send().await.unwrap().status().as_u16();
        assert_eq!(made, if cut == 0 { 201 } else { 200 });
        let whole: Value = call(Method::GET, "/c1".to_owned()).send().await.unwrap().json().await.unwrap();
        let there: Vec<&str> =
            whole["messages"].as_array().unwrap().iter().map(|message| message["id"].as_str().unwrap()).collect();
        assert!(acknowledged.iter().all(|id| there.contains(&id.as_str())), "cut {cut}: {acknowledged:?} and {there:?}");
        // At most the one that was under way when the power went.
        assert!(there.len() <= acknowledged.len() + 1, "cut {cut}");
        assert_eq!(whole["message_count"], json!(there.len()));
        assert_eq!(whole["head"].as_str(), there.last().copied());
        let found: Value = call(Method::GET, "?query=word".to_owned()).send().await.unwrap().json().await.unwrap();
        assert_eq!(found["conversations"].as_array().unwrap().len(), usize::from(!there.is_empty()));
        acknowledged = there.into_iter().map(str::to_owned).collect();
        let until = tokio::time::sleep(Duration::from_millis(20 + cut * 17));
        tokio::pin!(until);
        loop {
            sent += 1;
            let id = format!("m{sent}");
            let message = json!({"id": id, "role": "user", "content": format!("word {sent}")});
            tokio::select! {
                biased;
                () = &mut until => break,
                answer = call(Method::POST, "/c1/messages".to_owned()).json(&message).send() => {
                    assert_eq!(answer.unwrap().status(), StatusCode::CREATED);
                    acknowledged.push(id);
                }
            }
        }
        node.kill();
    }
    println!("{} messages over {CUTS} cuts", acknowledged.len());
    assert!(!acknowledged.is_empty());
}
