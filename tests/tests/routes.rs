//! The route table: every endpoint is asked in every wrong way, and compared with the specification's list.

use kith_access::Level;
use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use reqwest::{Method, StatusCode};
use std::collections::BTreeSet;

/// The specification's endpoints: area, method, path, access.
const ENDPOINTS: &str = include_str!("../endpoints.tsv");

/// A path with its parameters filled in.
fn concrete(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/")
}

fn method(text: &str) -> Method {
    text.parse().unwrap()
}

fn has_body(text: &str) -> bool {
    matches!(text, "POST" | "PUT" | "PATCH" | "DELETE")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_only_open_and_loopback_endpoints_answer() {
    let node = TestNode::scripted(ScriptedEngine::saying("yes")).await;
    for route in node.node().app().routes() {
        let answer = node.request(method(&route.method), &concrete(&route.path)).send().await.unwrap();
        let refused = answer.status() == StatusCode::UNAUTHORIZED;
        assert_eq!(refused, matches!(route.access, Level::User | Level::Admin | Level::Mesh), "{route:?}: {}", answer.status());
        assert!(answer.headers().contains_key("x-request-id"), "{route:?}");
        assert!(answer.headers().contains_key("x-ratelimit-limit"), "{route:?}");
        assert!(answer.headers().contains_key("x-ratelimit-remaining"), "{route:?}");
        assert!(answer.headers().contains_key("x-ratelimit-reset"), "{route:?}");
        if refused {
            let body: serde_json::Value = answer.json().await.unwrap();
            let code = if body["error"].is_object() { &body["error"]["code"] } else { &body["code"] };
            assert_eq!(code, "UNAUTHORIZED", "{route:?}: {body}");
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_keys_are_required_loopback_is_no_credential() {
    let node = TestNode::with("[auth]\nrequire_key = true", ScriptedEngine::saying("yes")).await;
    for route in node.node().app().routes() {
        let answer = node.request(method(&route.method), &concrete(&route.path)).bearer_auth("any-word").send().await.unwrap();
        assert_eq!(answer.status() == StatusCode::UNAUTHORIZED, route.access != Level::Open, "{route:?}: {}", answer.status());
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused_wherever_a_key_matters() {
    let node = TestNode::scripted(ScriptedEngine::saying("yes")).await;
    for route in node.node().app().routes().iter().filter(|route| route.access != Level::Open) {
        let path = concrete(&route.path);
        let wrong_key = node.request(method(&route.method), &path).bearer_auth("kith_wrong").send().await.unwrap();
        assert_eq!(wrong_key.status(), StatusCode::UNAUTHORIZED, "{route:?}");
        let wrong_admin = node.request(method(&route.method), &path).header("x-kith-admin-token", "wrong").send().await.unwrap();
        assert_eq!(wrong_admin.status(), StatusCode::UNAUTHORIZED, "{route:?}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_key_does_not_reach_admin_endpoints() {
    let node = TestNode::scripted(ScriptedEngine::saying("yes")).await;
    let minted = kith_node::tokens::mint(node.dir.path(), "test", "user".parse().unwrap(), None).await.unwrap();
    for route in node.node().app().routes() {
        // The event stream never ends by itself; its head is enough.
        let answer = node.request(method(&route.method), &concrete(&route.path)).bearer_auth(&minted.token).send().await.unwrap();
        let closed = matches!(route.access, Level::Admin | Level::Mesh);
        assert_eq!(answer.status() == StatusCode::FORBIDDEN, closed, "{route:?}: {}", answer.status());
        assert_ne!(answer.status(), StatusCode::UNAUTHORIZED, "{route:?}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_methods_and_unknown_paths_are_told_in_the_familys_form() {
    let node = TestNode::scripted(ScriptedEngine::saying("yes")).await;
    let paths: BTreeSet<&str> = node.node().app().routes().iter().map(|route| route.path.as_str()).collect();
    let patched = |path: &str| node.node().app().routes().iter().any(|route| route.path == path && route.method == "PATCH");
    for path in paths.into_iter().filter(|path| !patched(path)) {
        let answer = node.as_admin(Method::PATCH, &concrete(path)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert!(answer.headers().contains_key("allow"), "{path}");
        let body: serde_json::Value = answer.json().await.unwrap();
        if path.starts_with("/v1/messages") {
            // Anthropic's form has no code.
            assert_eq!(body["error"]["type"], "invalid_request_error", "{path}: {body}");
            continue;
        }
        let error = if body["error"].is_object() { &body["error"]["code"] } else { &body["code"] };
        assert!(error.as_str().unwrap().eq_ignore_ascii_case("METHOD_NOT_ALLOWED"), "{path}: {body}");
    }
    for (path, code) in [("/nowhere", "/code"), ("/api/v1/nowhere", "/code"), ("/v1/nowhere", "/error/code")] {
        let answer = node.request(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        let body: serde_json::Value = answer.json().await.unwrap();
        assert!(body.pointer(code).unwrap().as_str().unwrap().eq_ignore_ascii_case("ROUTE_NOT_FOUND"), "{body}");
    }
    node.stop().await;
}

/// Endpoints whose handler reads a body.
fn reads_body(node: &TestNode, path: &str, method: &str) -> bool {
    let document: serde_json::Value = serde_json::from_str(kith_api::document(node.node().app())).unwrap();
    document["paths"][path][method.to_lowercase()].get("requestBody").is_some()
}

/// Those whose body is JSON, and not bytes.
fn reads_json(node: &TestNode, path: &str, method: &str) -> bool {
    let document: serde_json::Value = serde_json::from_str(kith_api::document(node.node().app())).unwrap();
    document["paths"][path][method.to_lowercase()]["requestBody"]["content"].get("application/json").is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_content_types_and_nonsense_are_refused_and_the_node_lives() {
    let node = TestNode::scripted(ScriptedEngine::saying("yes")).await;
    let nonsense = vec![b'\xfe'; 10 << 20];
    // The mesh is no admin's: what it sends wrongly is asked in the tests beside its handlers.
    let sent = |route: &&kith_api::Route| has_body(&route.method) && route.access != Level::Mesh;
    for route in node.node().app().routes().iter().filter(sent) {
        if !reads_body(&node, &route.path, &route.method) {
            continue;
        }
        let (path, method) = (concrete(&route.path), method(&route.method));
        let typed = node.as_admin(method.clone(), &path).header("content-type", "text/xml").body("<a/>").send().await.unwrap();
        assert_eq!(typed.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{route:?}");
        if !reads_json(&node, &route.path, &route.method) {
            continue;
        }
        for body in ["", "{", "[]", "null", "7", "\"x\"", "{\"model\":7,\"name\":7,\"password\":7,\"ticket\":7}"] {
            let answer =
                node.as_admin(method.clone(), &path).header("content-type", "application/json").body(body).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{route:?} {body}");
        }
        let sent = node.as_admin(method, &path).header("content-type", "application/json").body(nonsense.clone()).send().await;
        // A server may answer and close before it has read everything; then the client sees the closed connection.
        if let Ok(answer) = sent {
            assert!(matches!(answer.status().as_u16(), 400 | 413), "{route:?}: {}", answer.status());
        }
    }
    assert_eq!(node.get_json("/health").await["status"], "healthy");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_and_the_document_are_the_specification_so_far() {
    let node = TestNode::scripted(ScriptedEngine::saying("yes")).await;
    let specified: BTreeSet<(&str, &str, &str)> = ENDPOINTS
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            (fields[1], fields[2], fields[3])
        })
        .collect();
    // What Kith adds to the specification.
    let added = BTreeSet::from([
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/api/openapi.json"),
        ("GET", "/api/v1/auth/keys"),
        ("POST", "/api/v1/auth/keys"),
        ("DELETE", "/api/v1/auth/keys/{id}"),
        ("POST", "/api/v1/auth/bootstrap-tickets"),
        ("POST", "/api/v1/models/import"),
        ("POST", "/v1/messages/count_tokens"),
        ("GET", "/api/docs"),
        ("GET", "/api/docs/page.js"),
        ("GET", "/api/docs/page.css"),
        ("POST", "/api/admin/ws-ticket"),
        ("GET", "/api/v1/conversations"),
        ("POST", "/api/v1/conversations"),
        ("GET", "/api/v1/conversations/{id}"),
        ("PATCH", "/api/v1/conversations/{id}"),
        ("DELETE", "/api/v1/conversations/{id}"),
        ("POST", "/api/v1/conversations/{id}/restore"),
        ("POST", "/api/v1/conversations/{id}/fork"),
        ("GET", "/api/v1/conversations/{id}/export"),
        ("POST", "/api/v1/conversations/{id}/messages"),
        ("GET", "/api/v1/conversations/{id}/messages/{message}"),
        ("PUT", "/api/v1/conversations/{id}/messages/{message}"),
        ("GET", "/api/v1/conversations/{id}/images/{digest}"),
        ("POST", "/api/v1/documents/text"),
        ("GET", "/api/v1/devices"),
        ("PATCH", "/api/v1/devices/{id}"),
        ("DELETE", "/api/v1/devices/{id}"),
        ("GET", "/api/v1/devices/pair"),
        ("POST", "/api/v1/devices/pair"),
        ("DELETE", "/api/v1/devices/pair"),
        ("POST", "/api/v1/devices/pair/claim"),
        ("POST", "/api/v1/devices/listener"),
        ("GET", "/app"),
        ("GET", "/app/{*path}"),
        ("GET", "/pair"),
        ("GET", "/assets/{name}"),
        ("GET", "/manifest.webmanifest"),
        ("GET", "/favicon.ico"),
        ("GET", "/icons/{name}"),
        ("GET", "/api/v1/networks/{id}"),
        ("POST", "/api/v1/networks/preview"),
        ("GET", "/api/v1/networks/{id}/members"),
        ("GET", "/api/v1/networks/{id}/members/{node_id}"),
        ("DELETE", "/api/v1/networks/{id}/members/{node_id}"),
        ("POST", "/api/v1/networks/{id}/members/{node_id}/promote"),
        ("GET", "/api/v1/networks/{id}/invites"),
        ("POST", "/api/v1/networks/{id}/invites"),
        ("DELETE", "/api/v1/networks/{id}/invites/{invite_id}"),
    ]);
    let document: serde_json::Value = serde_json::from_str(kith_api::document(node.node().app())).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let operations = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let ids: Vec<&str> = operations.filter_map(|operation| operation["operationId"].as_str()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "generated clients name endpoints by these");
    let mut built = BTreeSet::new();
    for route in node.node().app().routes() {
        let key = (route.method.as_str(), route.path.as_str());
        assert!(document["paths"][&route.path][route.method.to_lowercase()].is_object(), "{key:?} is not in the document");
        if added.contains(&key) {
            continue;
        }
        let access = match route.access {
            Level::Open => "open",
            Level::Loopback => "loopback",
            Level::User => "user",
            Level::Admin => "admin",
            Level::Mesh => "mesh",
        };
        assert!(specified.contains(&(key.0, key.1, access)), "{key:?} with access {access} is not in the specification");
        built.insert((key.0.to_owned(), key.1.to_owned()));
    }
    let missing = specified.iter().filter(|(m, p, _)| !built.contains(&((*m).to_owned(), (*p).to_owned()))).count();
    println!("{} of {} specified endpoints are built, {missing} are missing", built.len(), specified.len());
    assert_eq!(built.len() + missing, specified.len());
    node.stop().await;
}
