//! The node as its owner sees it: measures, audit, reports, folders, profile, contacts, settings.

use kith_engine::scripted::ScriptedEngine;
use kith_system::audit::{End, Entry, Record, verify};
use kith_tests::{TestNode, admin_token};
use kith_types::Timestamp;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

const NODE_ID: &str = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";

async fn node() -> TestNode {
    TestNode::scripted(ScriptedEngine::saying("one two three")).await
}

async fn send(node: &TestNode, method: Method, path: &str, body: Option<Value>) -> Response {
    let request = node.as_admin(method, path);
    body.map_or_else(|| request.try_clone().unwrap(), |body| request.try_clone().unwrap().json(&body)).send().await.unwrap()
}

/// The JSON of an answer that must have this status.
async fn json_of(node: &TestNode, method: Method, path: &str, body: Option<Value>, status: u16) -> Value {
    let answer = send(node, method, path, body).await;
    let found = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    assert_eq!(found, status, "{path}: {text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

async fn get(node: &TestNode, path: &str) -> Value {
    json_of(node, Method::GET, path, None, 200).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_has_figures_of_the_running_node_and_survives_restarts() {
    let node = node().await;
    node.import("tiny:1b", 1).await;
    node.post_json("/api/generate", json!({"model": "tiny:1b", "prompt": "x", "stream": false})).await;
    // The part of the minute that was counted is written when the node stops.
    let node = TestNode::in_dir(node.stop().await, "", ScriptedEngine::saying("x")).await;
    let history = get(&node, "/api/v1/system/metrics").await;
    assert_eq!(history["interval_ms"], 60_000);
    let points = history["points"].as_array().unwrap();
    assert!(!points.is_empty());
    let sum = |name: &str| points.iter().filter_map(|point| point[name].as_u64()).sum::<u64>();
    assert!(sum("requests") >= 2 && sum("network_in_bytes") > 100 && sum("network_out_bytes") > 100, "{history}");
    assert_eq!((sum("prompts"), sum("tokens_out")), (1, 3));
    let last = points.last().unwrap();
    assert!(last["process_memory_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(last["memory_total_bytes"].as_u64() > last["memory_used_bytes"].as_u64());
    assert!(points.iter().any(|point| point["latency_p95_ms"].as_f64().is_some_and(|ms| ms > 0.0)));
    assert!(points.iter().all(|point| point["ts_ms"].as_i64().unwrap() % 60_000 == 0));
    // Once more within the minute: its parts are put together.
    let before = sum("requests");
    let node = TestNode::in_dir(node.stop().await, "", ScriptedEngine::saying("x")).await;
    let again = get(&node, "/api/v1/system/metrics").await;
    let after: u64 = again["points"].as_array().unwrap().iter().filter_map(|point| point["requests"].as_u64()).sum();
    assert!(after > before, "{again}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_range_of_measures_is_refused() {
    let node = node().await;
    for query in ["from=2&to=1", "from=x", "to=", "from=-1", "from=1e3", "from=99999999999999999999"] {
        let body = json_of(&node, Method::GET, &format!("/api/v1/system/metrics?{query}"), None, 400).await;
        assert_eq!(body["code"], "INVALID_REQUEST", "{query}");
    }
    assert_eq!(get(&node, "/api/v1/system/metrics?from=0&to=9999999999999").await["points"].as_array().unwrap().len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throughput_is_told_by_buckets_and_windows() {
    let node = node().await;
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    // The first bucket ends at the next whole ten seconds.
    let stats = loop {
        let stats = get(&node, "/api/v1/stats/throughput").await;
        if !stats["buckets"].as_array().unwrap().is_empty() {
            break stats;
        }
        assert_eq!(stats["windows"], json!([]), "what was not measured is left out");
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(stats["bucket_ms"], 10_000);
    let bucket = &stats["buckets"][0];
    assert!(bucket["in_bytes_per_second"].as_f64().unwrap() > 0.0 && bucket["out_bytes_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(stats["windows"].as_array().unwrap().last().unwrap()["seconds"], 600);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_tells_who_did_what_and_the_export_verifies() {
    let node = node().await;
    let password = "a-long-password";
    send(&node, Method::POST, "/api/v1/auth/admin/set-password", Some(json!({"password": password}))).await;
    let login = |password: &str| node.post("/api/v1/auth/login", json!({"password": password}));
    assert_eq!(login("not-the-password").await.status(), StatusCode::UNAUTHORIZED);
    let token = login(password).await.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
    let key = json_of(&node, Method::POST, "/api/v1/auth/keys", Some(json!({"name": "ci", "scope": "user"})), 201).await;
    let path = format!("/api/v1/auth/keys/{}", key["id"].as_str().unwrap());
    json_of(&node, Method::DELETE, &path, None, 204).await;
    node.import("tiny:1b", 1).await;
    node.request(Method::DELETE, "/api/delete").json(&json!({"model": "tiny:1b"})).send().await.unwrap();
    json_of(&node, Method::PUT, "/api/v1/settings", Some(json!({"metrics_history_hours": 12})), 200).await;
    node.request(Method::GET, "/health").header("host", "evil.example").send().await.unwrap();
    node.request(Method::GET, "/api/v1/whoami").bearer_auth("kith_wrong").send().await.unwrap();
    let list = get(&node, "/api/v1/audit").await;
    let kinds: Vec<&str> = list["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    for kind in [
        "node.started",
        "access.password_set",
        "access.login_failed",
        "access.login",
        "access.key_minted",
        "access.revoked",
        "access.admin_call",
        "model.imported",
        "model.removed",
        "settings.changed",
        "guard.foreign",
        "access.denied",
    ] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    assert_eq!(list["events"][0]["seq"], list["head"]["seq"], "newest first");
    let logins = get(&node, "/api/v1/audit?types=access.login").await;
    assert_eq!(logins["events"].as_array().unwrap().len(), 1);
    let text =
        node.request(Method::GET, &format!("/api/v1/audit/export?token={token}")).send().await.unwrap().text().await.unwrap();
    for secret in [password, &token, key["token"].as_str().unwrap(), &admin_token(node.dir.path())] {
        assert!(!text.contains(secret));
    }
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (first, last) = (&lines[0], lines.last().unwrap());
    assert_eq!(last["verified"], true);
    let records: Vec<Record> = lines[1..lines.len() - 1].iter().map(record).collect();
    let end = verify(end(&first["anchor"]), &records).unwrap();
    assert_eq!(end, self::end(&last["head"]));
    let mut forged = records.clone();
    forged[2].entry.data = forged[2].entry.data.replace('{', "{ ");
    assert_eq!(verify(self::end(&first["anchor"]), &forged).unwrap_err().seq, records[2].seq);
    node.stop().await;
}

fn hash(value: &Value) -> [u8; 32] {
    let text = value.as_str().unwrap();
    std::array::from_fn(|index| u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).unwrap())
}

fn end(value: &Value) -> End {
    End { seq: value["seq"].as_u64().unwrap(), hash: hash(&value["hash"]) }
}

/// A record as whoever holds an export reads it.
fn record(line: &Value) -> Record {
    let entry = Entry {
        at: Timestamp::from_ms(line["ts_ms"].as_i64().unwrap()),
        kind: line["type"].as_str().unwrap().to_owned(),
        data: line["data"].to_string(),
    };
    Record { seq: line["seq"].as_u64().unwrap(), entry, hash: hash(&line["hash"]) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_outlasts_restarts_and_a_flood_is_one_record_a_minute() {
    let node = node().await;
    for _ in 0..200 {
        node.request(Method::GET, "/health").header("host", "evil.example").send().await.unwrap();
    }
    let foreign = get(&node, "/api/v1/audit?types=guard").await;
    assert_eq!(foreign["events"].as_array().unwrap().len(), 1);
    let node = TestNode::in_dir(node.stop().await, "", ScriptedEngine::saying("x")).await;
    let list = get(&node, "/api/v1/audit?types=node,guard").await;
    let kinds: Vec<&str> = list["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["node.started", "node.stopped", "guard.foreign", "guard.foreign", "node.started"]);
    assert_eq!((&list["events"][2]["data"]["count"], &list["events"][3]["data"]["count"]), (&json!(199), &json!(1)));
    for query in ["limit=0", "limit=1001", "since=-1", "since=x", "types=a%27b"] {
        json_of(&node, Method::GET, &format!("/api/v1/audit?{query}"), None, 400).await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_that_was_hit_is_recorded_once() {
    let node = TestNode::with("[limits]\nstandard_per_hour = 3\nadmin_per_minute = 0", ScriptedEngine::saying("x")).await;
    let minted = kith_node::tokens::mint(node.dir.path(), "test", "user".parse().unwrap(), None).await.unwrap();
    for _ in 0..20 {
        node.request(Method::GET, "/api/v1/whoami").bearer_auth(&minted.token).send().await.unwrap();
    }
    let list = kith_store_records(&node).await;
    assert_eq!(list.iter().filter(|kind| *kind == "access.rate_limited").count(), 1, "{list:?}");
    assert!(list.contains(&"access.key_minted".to_owned()), "the command line is recorded too: {list:?}");
    node.stop().await;
}

/// The kinds of records, read beside the node.
async fn kith_store_records(node: &TestNode) -> Vec<String> {
    let store = kith_store::Store::open(&node.dir.path().join("kith.db")).await.unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    loop {
        let rows = store.audit_search(Timestamp::from_ms(0), None, None, 100).await.unwrap();
        let kinds: Vec<String> = rows.into_iter().map(|row| row.entry.kind).collect();
        if kinds.iter().any(|kind| kind == "access.rate_limited") || std::time::Instant::now() > deadline {
            return kinds;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_query_opens_downloads_and_nothing_else() {
    let node = node().await;
    let minted = kith_node::tokens::mint(node.dir.path(), "test", "user".parse().unwrap(), None).await.unwrap();
    let report = json_of(&node, Method::POST, "/api/v1/diagnostics/reports", None, 201).await;
    let path = format!("/api/v1/diagnostics/reports/{}", report["id"].as_str().unwrap());
    let with_token = |method: Method, path: &str| node.request(method, &format!("{path}?token={}", minted.token)).send();
    for path in [path.as_str(), "/api/v1/audit/export"] {
        assert_eq!(with_token(Method::GET, path).await.unwrap().status(), StatusCode::OK, "{path}");
    }
    for (method, path) in [
        (Method::DELETE, path.as_str()),
        (Method::GET, "/api/v1/diagnostics/reports"),
        (Method::GET, "/api/v1/audit"),
        (Method::GET, "/api/v1/profile"),
    ] {
        assert_eq!(with_token(method, path).await.unwrap().status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_made_listed_fetched_and_removed() {
    let node = node().await;
    let made = json_of(&node, Method::POST, "/api/v1/diagnostics/reports", None, 201).await;
    assert_eq!(get(&node, "/api/v1/diagnostics/reports").await["reports"], json!([made]));
    let path = format!("/api/v1/diagnostics/reports/{}", made["id"].as_str().unwrap());
    let answer = send(&node, Method::GET, &path, None).await;
    assert_eq!(answer.headers()["content-type"], "application/zip");
    let name = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(name.starts_with("attachment; filename=\"kith-report-") && name.ends_with(".zip\""), "{name}");
    let zip = answer.bytes().await.unwrap();
    assert!(zip.starts_with(b"PK\x03\x04") && zip.len() as u64 == made["size"].as_u64().unwrap());
    let token = admin_token(node.dir.path());
    assert!(!zip.windows(token.len()).any(|window| window == token.as_bytes()));
    assert!(zip.windows(9).any(|window| window == b"\"node_id\""));
    json_of(&node, Method::DELETE, &path, None, 204).await;
    json_of(&node, Method::GET, &path, None, 404).await;
    for id in ["..%2f..%2fkith.db", "x", "%2e%2e", "1700000000000-00000000"] {
        json_of(&node, Method::GET, &format!("/api/v1/diagnostics/reports/{id}"), None, 404).await;
    }
    std::fs::remove_dir_all(node.dir.path().join("reports")).unwrap();
    std::fs::write(node.dir.path().join("reports"), "in the way").unwrap();
    json_of(&node, Method::POST, "/api/v1/diagnostics/reports", None, 503).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_have_effect_at_once_and_secrets_are_not_told() {
    let node = node().await;
    let default = get(&node, "/api/v1/settings").await;
    assert_eq!(default["push_token"], json!({"set": false}));
    let change = json!({"push_token": "tk-very-secret", "browse_show_hidden": true});
    let changed = json_of(&node, Method::PUT, "/api/v1/settings", Some(change), 200).await;
    assert_eq!((&changed["push_token"], &changed["browse_show_hidden"]), (&json!({"set": true}), &json!(true)));
    for bad in [
        json!({"metrics_history_hours": 25}),
        json!({"unknown": 1}),
        json!({"push_token": ""}),
        json!({"browse_show_hidden": "yes"}),
    ] {
        json_of(&node, Method::PUT, "/api/v1/settings", Some(bad), 400).await;
    }
    let node = TestNode::in_dir(node.stop().await, "", ScriptedEngine::saying("x")).await;
    assert_eq!(get(&node, "/api/v1/settings").await, changed);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_is_kept_and_its_picture_comes_back_as_it_went_in() {
    let node = node().await;
    let empty = get(&node, "/api/v1/profile").await;
    assert_eq!((&empty["avatar"], &empty["push_endpoint"]), (&Value::Null, &Value::Null));
    json_of(&node, Method::POST, "/api/v1/profile/push-test", None, 409).await;
    let avatar = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";
    let change = json!({"display_name": "Ann", "avatar": avatar, "metered": true, "push_endpoint": "http://127.0.0.1:9/x"});
    let profile = json_of(&node, Method::PUT, "/api/v1/profile", Some(change), 200).await;
    assert_eq!(
        (&profile["display_name"], &profile["avatar"], &profile["metered"]),
        (&json!("Ann"), &json!(avatar), &json!(true))
    );
    let tested = json_of(&node, Method::POST, "/api/v1/profile/push-test", None, 200).await;
    assert_eq!((&tested["delivered"], &tested["status"]), (&json!(false), &Value::Null));
    for bad in [
        json!({"avatar": "PHN2Zy8+"}),
        json!({"avatar": "!"}),
        json!({"avatar": "A".repeat(90_000)}),
        json!({"push_endpoint": "https://192.168.1.1/"}),
        json!({"push_endpoint": "http://push.example/"}),
        json!({"display_name": "x".repeat(65)}),
        json!({"name": "Ann"}),
    ] {
        json_of(&node, Method::PUT, "/api/v1/profile", Some(bad), 400).await;
    }
    let node = TestNode::in_dir(node.stop().await, "", ScriptedEngine::saying("x")).await;
    assert_eq!(get(&node, "/api/v1/profile").await, profile);
    let without = json_of(&node, Method::PUT, "/api/v1/profile", Some(json!({"avatar": null})), 200).await;
    assert_eq!((&without["avatar"], &without["display_name"]), (&Value::Null, &json!("Ann")));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_upserted_by_node_id() {
    let node = node().await;
    let path = format!("/api/v1/contacts/{NODE_ID}");
    json_of(&node, Method::GET, &path, None, 404).await;
    let ann = json_of(&node, Method::POST, "/api/v1/contacts", Some(json!({"node_id": NODE_ID, "name": "Ann"})), 201).await;
    assert_eq!(get(&node, &path).await, ann);
    json_of(&node, Method::POST, "/api/v1/contacts", Some(json!({"node_id": NODE_ID, "name": "Ann"})), 200).await;
    let changed = json_of(&node, Method::PUT, &path, Some(json!({"name": "Ann B", "notes": "sister"})), 200).await;
    assert_eq!(get(&node, "/api/v1/contacts").await["contacts"], json!([changed]));
    json_of(&node, Method::PUT, &path, Some(json!({"name": "Ann", "node_id": "other"})), 400).await;
    json_of(&node, Method::PUT, "/api/v1/contacts/x", Some(json!({"name": "Ann"})), 400).await;
    json_of(&node, Method::POST, "/api/v1/contacts", Some(json!({"node_id": "x", "name": "Ann"})), 400).await;
    json_of(&node, Method::DELETE, &path, None, 204).await;
    json_of(&node, Method::DELETE, &path, None, 404).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_are_told_under_the_roots_only() {
    let place = tempfile::tempdir().unwrap();
    let place_path = place.path().canonicalize().unwrap();
    let root = place_path.join("root");
    std::fs::create_dir_all(root.join("music/.hidden")).unwrap();
    std::fs::create_dir_all(place_path.join("outside")).unwrap();
    let toml = format!("[browse]\nroots = [{:?}]", root.to_str().unwrap());
    let node = TestNode::with(&toml, ScriptedEngine::saying("x")).await;
    let root = root.to_str().unwrap().to_owned();
    let roots = get(&node, "/api/v1/system/browse").await;
    assert_eq!(roots["entries"][0]["path"], root);
    let browse = |path: String| format!("/api/v1/system/browse?path={path}");
    assert_eq!(get(&node, &browse(root.clone())).await["entries"][0]["name"], "music");
    let inner = get(&node, &browse(format!("{root}/music"))).await;
    assert_eq!((&inner["entries"], &inner["parent"]), (&json!([]), &json!(root)));
    let hidden = get(&node, &format!("{}&hidden=true", browse(format!("{root}/music")))).await;
    assert_eq!(hidden["entries"][0], json!({"name": ".hidden", "path": format!("{root}/music/.hidden"), "hidden": true}));
    let long = format!("{root}/{}", "a".repeat(5000));
    for (path, status) in [
        (format!("{root}/../outside"), 400),
        (format!("{root}/%2e%2e/outside"), 400),
        (format!("{root}/%00"), 400),
        (long, 400),
        ("music".to_owned(), 400),
        (format!("{root}/%252e%252e/outside"), 404),
        (format!("{root}/nowhere"), 404),
        (place_path.join("outside").to_str().unwrap().to_owned(), 403),
        ("/etc".to_owned(), 403),
        ("/".to_owned(), 403),
    ] {
        json_of(&node, Method::GET, &browse(path), None, status).await;
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(place_path.join("outside"), format!("{root}/out")).unwrap();
        json_of(&node, Method::GET, &browse(format!("{root}/out")), None, 403).await;
        assert_eq!(get(&node, &browse(root)).await["errors"][0]["name"], "out");
    }
    node.stop().await;
}
