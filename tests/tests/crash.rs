//! Power cuts: the node is killed at random moments; nothing acknowledged is lost, nothing half-made is seen, no byte is left over.

use kith_tests::{Served, admin_token, client};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Power cuts in one run.
const CUTS: usize = 100;
/// Names the client works with.
const NAMES: u64 = 6;
/// Clients at a time.
const WORKERS: u64 = 2;

/// What the client was told: names certainly there, and those whose last change was not acknowledged.
#[derive(Default)]
struct Told {
    present: BTreeSet<String>,
    unsure: BTreeSet<String>,
}

/// A small generator for the moments of the cuts (SplitMix64, Steele et al. 2014).
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }
}

async fn work(url: String, dir: std::path::PathBuf, told: Arc<Mutex<Told>>, seed: u64, worker: u64) {
    let http = client();
    let token = admin_token(&dir);
    let mut random = Random(seed);
    loop {
        // Each worker has names of its own, so that it knows what became of them; bytes they share.
        let n = random.next(NAMES / WORKERS) * WORKERS + worker;
        let name = format!("tiny:{n}");
        match random.next(3) {
            0 => {
                let file = dir.join(format!("import-{n}.gguf"));
                if !file.exists() {
                    std::fs::write(&file, kith_models::testing::tiny_gguf(n / WORKERS)).unwrap();
                }
                told.lock().unwrap().unsure.insert(name.clone());
                let request = http.post(format!("{url}/api/v1/models/import")).header("x-kith-admin-token", &token);
                let Ok(response) = request.json(&json!({"path": file, "name": name})).send().await else { return };
                let Ok(text) = response.text().await else { return };
                let mut told = told.lock().unwrap();
                if text.lines().last().is_some_and(|line| line.contains("\"success\"")) {
                    told.present.insert(name.clone());
                    told.unsure.remove(&name);
                }
            }
            1 => {
                told.lock().unwrap().unsure.insert(name.clone());
                let Ok(response) = http.delete(format!("{url}/api/delete")).json(&json!({"model": name})).send().await else {
                    return;
                };
                let status = response.status().as_u16();
                let mut told = told.lock().unwrap();
                assert!(matches!(status, 200 | 404), "{status}");
                told.present.remove(&name);
                told.unsure.remove(&name);
            }
            _ => {
                // The tiny files hold no weights an engine could load: the answer is an error, and never a crash.
                let body = json!({"model": name, "prompt": "x", "stream": false});
                if http.post(format!("{url}/api/generate")).json(&body).send().await.is_err() {
                    return;
                }
            }
        }
    }
}

pub(crate) async fn listed(url: &str) -> Vec<Value> {
    let body: Value = client().get(format!("{url}/api/tags")).send().await.unwrap().json().await.unwrap();
    body["models"].as_array().unwrap().clone()
}

pub(crate) fn blob_files(dir: &Path) -> usize {
    fn count(dir: &Path) -> usize {
        let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
        entries.filter_map(Result::ok).map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
    }
    count(&dir.join("blobs/b3")) + count(&dir.join("blobs/tmp"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_power_cuts_lose_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = Random(seed);
    let told = Arc::new(Mutex::new(Told::default()));
    for cut in 0..CUTS {
        let node = Served::start(dir.path()).await;
        let seen: BTreeSet<String> =
            listed(&node.url).await.iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect();
        {
            let mut told = told.lock().unwrap();
            let unsure = std::mem::take(&mut told.unsure);
            for name in (0..NAMES).map(|n| format!("tiny:{n}")).filter(|name| !unsure.contains(name)) {
                assert_eq!(seen.contains(&name), told.present.contains(&name), "{name} after cut {cut}, seed {seed}");
            }
            told.present = seen;
        }
        let workers: Vec<_> = (0..WORKERS)
            .map(|n| tokio::spawn(work(node.url.clone(), dir.path().to_owned(), Arc::clone(&told), random.next(u64::MAX), n)))
            .collect();
        tokio::time::sleep(Duration::from_millis(random.next(120))).await;
        node.kill();
        for worker in workers {
            worker.await.expect("the client saw only what it may see");
        }
    }
    // After its own clean-up the folder holds one file for each distinct model, and nothing else.
    let node = Served::start(dir.path()).await;
    let models = listed(&node.url).await;
    let distinct: HashSet<&str> = models.iter().map(|model| model["digest"].as_str().unwrap()).collect();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while blob_files(dir.path()) != distinct.len() {
        assert!(
            std::time::Instant::now() < deadline,
            "{} files for {} models, seed {seed}",
            blob_files(dir.path()),
            distinct.len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for model in &models {
        let shown = client().post(format!("{}/api/show", node.url)).json(&json!({"model": model["name"]})).send().await.unwrap();
        assert!(shown.status().is_success());
    }
    assert_eq!(node.terminate(), Some(0));
}
