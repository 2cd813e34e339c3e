//! Power cuts while models are uploaded, made, quantised, copied and removed: nothing acknowledged is lost, nothing half-made is seen.

use crate::{
    crash::{Random, blob_files, listed},
    create::{digest, wide},
};
use kith_models::testing::tiny_gguf;
use kith_tests::{Served, client};
use reqwest::Client;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Power cuts in one run; with those of the two other tests they are three hundred.
const CUTS: usize = 100;
/// Clients at a time, each with names and bytes of its own, so that it knows what became of them.
const WORKERS: u64 = 2;
/// Names of each.
const NAMES: u64 = 4;

/// What the clients were told.
#[derive(Default)]
struct Told {
    /// Models certainly there, with their system texts.
    present: BTreeMap<String, String>,
    /// Names whose last change was not acknowledged.
    unsure: BTreeSet<String>,
    /// Uploads certainly there: of bytes that no model is made of.
    uploads: BTreeSet<String>,
}

/// A model's bytes, made of by this worker alone.
fn bytes(worker: u64, n: u64) -> Vec<u8> {
    wide(1000 + worker * 10 + n)
}

/// Bytes that stay uploads.
fn spare(worker: u64, n: u64) -> Vec<u8> {
    tiny_gguf(2000 + worker * 100 + n)
}

async fn send(http: &Client, url: &str, bytes: Vec<u8>) -> Option<bool> {
    let answer = http.post(format!("{url}/api/blobs/{}", digest(&bytes))).body(bytes).send().await.ok()?;
    assert!(matches!(answer.status().as_u16(), 200 | 201), "{}", answer.status());
    Some(true)
}

/// One change and what it was told; `None` once the node is gone.
async fn change(http: &Client, url: &str, told: &Mutex<Told>, random: &mut Random, worker: u64) -> Option<()> {
    let name = |n: u64| format!("made-{worker}:{n}");
    let (one, other) = (random.next(NAMES), random.next(NAMES));
    let system = format!("system {}", random.next(1000));
    let target = name(one);
    let doing = random.next(5);
    if doing == 0 {
        let bytes = spare(worker, random.next(20));
        let digest = digest(&bytes);
        send(http, url, bytes).await?;
        told.lock().unwrap().uploads.insert(digest);
        return Some(());
    }
    if doing == 1 {
        let bytes = bytes(worker, one);
        let files = json!({"model.gguf": digest(&bytes)});
        // Its bytes may go with the model that named them: sent first, each time.
        send(http, url, bytes).await?;
        let body = json!({"model": target, "files": files, "system": system, "stream": false});
        return make(http, url, told, "create", body, target, system).await;
    }
    if doing == 2 {
        let quantize = random.next(2) == 0;
        let mut body = json!({"model": target, "from": name(other), "system": system, "stream": false});
        if quantize {
            body["quantize"] = json!("q8_0");
        }
        return make(http, url, told, "create", body, target, system).await;
    }
    if doing == 3 {
        let from = name(other);
        let system = told.lock().unwrap().present.get(&from).cloned();
        let body = json!({"source": from, "destination": target});
        return make(http, url, told, "copy", body, target, system.unwrap_or_default()).await;
    }
    told.lock().unwrap().unsure.insert(target.clone());
    let answer = http.delete(format!("{url}/api/delete")).json(&json!({"model": target})).send().await.ok()?;
    assert!(matches!(answer.status().as_u16(), 200 | 404), "{}", answer.status());
    let mut told = told.lock().unwrap();
    told.present.remove(&target);
    told.unsure.remove(&target);
    Some(())
}

async fn make(
    http: &Client,
    url: &str,
    told: &Mutex<Told>,
    path: &str,
    body: Value,
    target: String,
    system: String,
) -> Option<()> {
    told.lock().unwrap().unsure.insert(target.clone());
    let answer = http.post(format!("{url}/api/{path}")).json(&body).send().await.ok()?;
    let status = answer.status().as_u16();
    let text = answer.text().await.ok()?;
    // No such base; a base that is quantised already; another model's weights being written.
    assert!(matches!(status, 200 | 404 | 400 | 503), "{status} {text}");
    let mut told = told.lock().unwrap();
    told.unsure.remove(&target);
    if status == 200 {
        told.present.insert(target, system);
    }
    Some(())
}

async fn has(url: &str, digest: &str) -> bool {
    client().head(format!("{url}/api/blobs/{digest}")).send().await.unwrap().status().is_success()
}

/// Holds what is there against what was told.
async fn check(url: &str, told: &Mutex<Told>, context: &str) {
    let mut seen = BTreeMap::new();
    for model in listed(url).await {
        let name = model["name"].as_str().unwrap().to_owned();
        let answer = client().post(format!("{url}/api/show")).json(&json!({"model": name})).send().await.unwrap();
        assert!(answer.status().is_success(), "{name} is listed and cannot be shown, {context}");
        let shown: Value = answer.json().await.unwrap();
        seen.insert(name, shown["system"].as_str().unwrap_or_default().to_owned());
    }
    let uploads = {
        let mut told = told.lock().unwrap();
        let unsure = std::mem::take(&mut told.unsure);
        for name in seen.keys().chain(told.present.keys()).filter(|name| !unsure.contains(*name)) {
            assert_eq!(seen.get(name), told.present.get(name), "{name}, {context}");
        }
        told.present = seen;
        told.uploads.clone()
    };
    for digest in uploads {
        assert!(has(url, &digest).await, "an upload is lost, {context}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_more_power_cuts_lose_no_model_that_was_made_and_no_upload() {
    let dir = tempfile::tempdir().unwrap();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = Random(seed);
    let told = Arc::new(Mutex::new(Told::default()));
    for cut in 0..CUTS {
        let node = Served::start(dir.path()).await;
        check(&node.url, &told, &format!("cut {cut}, seed {seed}")).await;
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (url, told, mut random) = (node.url.clone(), Arc::clone(&told), Random(random.next(u64::MAX)));
                tokio::spawn(async move {
                    let http = client();
                    while change(&http, &url, &told, &mut random, worker).await.is_some() {}
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(random.next(150))).await;
        node.kill();
        for worker in workers {
            worker.await.expect("the client saw only what it may see");
        }
    }
    // After its own clean-up the folder holds one file for each distinct model and each upload, and nothing else.
    let node = Served::start(dir.path()).await;
    check(&node.url, &told, &format!("the end, seed {seed}")).await;
    let models = listed(&node.url).await;
    let mut named: BTreeSet<String> =
        models.iter().map(|model| format!("sha256:{}", model["digest"].as_str().unwrap())).collect();
    let sent = (0..WORKERS).flat_map(|worker| {
        let models = (0..NAMES).map(move |n| bytes(worker, n));
        models.chain((0..20).map(move |n| spare(worker, n))).map(|bytes| digest(&bytes)).collect::<Vec<_>>()
    });
    for digest in sent {
        if has(&node.url, &digest).await {
            named.insert(digest);
        }
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while blob_files(dir.path()) != named.len() {
        let files = blob_files(dir.path());
        assert!(std::time::Instant::now() < deadline, "{files} files for {} digests, seed {seed}", named.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(node.terminate(), Some(0));
}
