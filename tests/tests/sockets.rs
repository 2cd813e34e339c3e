//! WebSockets: who may open them, what is heard, how they end.

use futures::{SinkExt, StreamExt};
use kith_engine::scripted::ScriptedEngine;
use kith_tests::{TestNode, admin_token};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, handshake::client::Request},
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn node() -> TestNode {
    TestNode::scripted(ScriptedEngine::saying("one two three")).await
}

fn request(node: &TestNode, path: &str) -> Request {
    format!("{}{path}", node.url.replace("http://", "ws://")).into_client_request().unwrap()
}

fn as_admin(node: &TestNode, path: &str) -> Request {
    let mut request = request(node, path);
    request.headers_mut().insert("x-kith-admin-token", admin_token(node.dir.path()).parse().unwrap());
    request
}

async fn open(request: Request) -> Result<Socket, u16> {
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn until(socket: &mut Socket, kind: &str) -> Value {
    let found = timeout(Duration::from_secs(20), async {
        loop {
            if let Message::Text(text) = socket.next().await.expect("an open socket").expect("a message") {
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["type"] == kind {
                    return message;
                }
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("no {kind} came"))
}

async fn closed(socket: &mut Socket) -> Option<u16> {
    let end = timeout(Duration::from_secs(20), async {
        while let Some(message) = socket.next().await {
            match message {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
        None
    });
    end.await.expect("an end")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_needs_credentials_and_a_ticket_opens_it_once() {
    let node = node().await;
    for path in ["/ws", "/api/admin/ws"] {
        assert_eq!(open(request(&node, path)).await.err(), Some(401));
        assert_eq!(open(request(&node, &format!("{path}?ticket=guess"))).await.err(), Some(401));
        let made: Value = node.as_admin(Method::POST, "/api/admin/ws-ticket").send().await.unwrap().json().await.unwrap();
        let with_ticket = format!("{path}?ticket={}", made["ticket"].as_str().unwrap());
        until(&mut open(request(&node, &with_ticket)).await.unwrap(), "welcome").await;
        assert_eq!(open(request(&node, &with_ticket)).await.err(), Some(401));
        // A ticket opens nothing else, and plain HTTP is told what is missing.
        let plain = node.as_admin(Method::GET, path).send().await.unwrap();
        assert_eq!(plain.status(), StatusCode::BAD_REQUEST);
    }
    // A window's first ticket does as well.
    let made: Value = node.as_admin(Method::POST, "/api/v1/auth/bootstrap-tickets").send().await.unwrap().json().await.unwrap();
    let path = format!("/ws?ticket={}", made["ticket"].as_str().unwrap());
    assert!(open(request(&node, &path)).await.is_ok());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_open_no_socket() {
    let node = node().await;
    let mut foreign = as_admin(&node, "/ws");
    foreign.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(open(foreign).await.err(), Some(403));
    let mut own = as_admin(&node, "/ws");
    own.headers_mut().insert("origin", node.url.parse().unwrap());
    assert!(open(own).await.is_ok());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_administration_hears_activity_figures_and_changed_models() {
    let node = node().await;
    let mut socket = open(as_admin(&node, "/api/admin/ws")).await.unwrap();
    assert_eq!(until(&mut socket, "peer_list").await["data"]["peers"], json!([]));
    let stats = until(&mut socket, "stats_update").await;
    assert_eq!(stats["data"]["inference"]["requests_total"], 0);
    node.import("tiny:1b", 1).await;
    // The owner's own calls are told as well.
    let activity = loop {
        let activity = until(&mut socket, "activity_event").await;
        if activity["data"]["kind"] == "model.imported" {
            break activity;
        }
    };
    assert_eq!(activity["data"]["model_id"], "tiny:1b");
    until(&mut socket, "models_changed").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_hears_prompts_begin_and_end_and_only_what_it_subscribed_to() {
    let node = node().await;
    node.import("tiny:1b", 1).await;
    let mut socket = open(as_admin(&node, "/ws")).await.unwrap();
    until(&mut socket, "metrics").await;
    socket.send(Message::text(json!({"type": "subscribe", "channels": ["inference"]}).to_string())).await.unwrap();
    until(&mut socket, "subscribed").await;
    node.post_json("/api/generate", json!({"model": "tiny:1b", "prompt": "x", "stream": false})).await;
    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        if let Message::Text(text) = timeout(Duration::from_secs(10), socket.next()).await.unwrap().unwrap().unwrap() {
            kinds.push(serde_json::from_str::<Value>(&text).unwrap()["type"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(kinds, ["inference_started", "inference_completed"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_closes_its_sockets_and_a_stopping_node_closes_all() {
    let node = node().await;
    let made: Value = node
        .as_admin(Method::POST, "/api/v1/auth/keys")
        .json(&json!({"name": "page", "scope": "user"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    // The socket of a ticket ends with the key that asked for the ticket.
    let ticket = node.request(Method::POST, "/api/admin/ws-ticket").bearer_auth(made["token"].as_str().unwrap());
    let ticket: Value = ticket.send().await.unwrap().json().await.unwrap();
    let mut socket = open(request(&node, &format!("/ws?ticket={}", ticket["ticket"].as_str().unwrap()))).await.unwrap();
    until(&mut socket, "welcome").await;
    let path = format!("/api/v1/auth/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(node.as_admin(Method::DELETE, &path).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(closed(&mut socket).await, Some(1008));
    let mut socket = open(as_admin(&node, "/api/admin/ws")).await.unwrap();
    until(&mut socket, "welcome").await;
    let (_, code) = tokio::join!(node.stop(), closed(&mut socket));
    assert_eq!(code, Some(1001));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_too_large_ends_the_socket() {
    let node = node().await;
    let mut socket = open(as_admin(&node, "/ws")).await.unwrap();
    until(&mut socket, "welcome").await;
    let _ = socket.send(Message::text("x".repeat(100_000))).await;
    closed(&mut socket).await;
    assert_eq!(node.get_json("/health").await["status"], "healthy");
    node.stop().await;
}
