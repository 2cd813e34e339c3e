//! Power cuts while models are fetched and sent: what was reported is whole, what was not is invisible, and what had come goes on.

use crate::{
    crash::{Random, blob_files, listed},
    sources::{
        imitation::{Imitation, Reply, Seen, manifest, sha256, tree},
        model,
    },
};
use kith_models::testing::tiny_gguf;
use kith_tests::{Served, client};
use reqwest::Client;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Power cuts in one run; with those of the two other tests they are three hundred.
const CUTS: usize = 100;
/// The longest life of a node, in milliseconds.
const LIFE: u64 = 150;
/// Clients that fetch, each with models of its own, so that it knows what became of them.
const WORKERS: u64 = 2;
/// How models come: so many bytes, then a pause. The largest ones take longer than any life.
const PACE: (usize, Duration) = (256 << 10, Duration::from_millis(5));
/// Sizes of each client's models, in MiB.
const SIZES: [u64; 3] = [1, 4, 12];
/// Bytes of one download that a cut may take: those gathered for the next write.
const GATHERED: u64 = 1 << 20;

/// A model at its source.
struct Source {
    /// Its name here.
    name: String,
    /// `acme/...`, at the hub or the registry.
    repository: String,
    bytes: Vec<u8>,
    /// Of its bytes, in digits.
    digest: String,
}

/// What the clients were told, and what the sources saw.
#[derive(Default)]
struct Told {
    /// Models certainly there.
    present: BTreeSet<String>,
    /// Names whose last change was not acknowledged.
    unsure: BTreeSet<String>,
    /// Bytes of a model, by its digest, that were told to have come and are not used yet.
    come: BTreeMap<String, u64>,
    /// Bytes that had to be sent for all that was fetched to its end.
    needed: u64,
    /// Repositories that a push certainly filled.
    pushed: BTreeSet<String>,
    /// What a source saw and should not have.
    faults: Vec<String>,
    pulls: usize,
    resumed: usize,
}

impl Told {
    /// All bytes of a model are there. They may become a blob, which nobody names if the power goes then: the next download may
    /// begin from nothing.
    fn came(&mut self, source: &Source) {
        if self.come.insert(source.digest.clone(), 0).is_some_and(|come| come > 0) {
            self.needed += source.bytes.len() as u64;
        }
    }
}

/// The registry's side of pushes.
#[derive(Default)]
struct Stock {
    blobs: HashMap<(String, String), Vec<u8>>,
    manifests: BTreeMap<String, Value>,
    /// Uploads under way: their repositories and what has come.
    uploads: Vec<(String, Vec<u8>)>,
}

struct World {
    sources: Vec<Source>,
    told: Mutex<Told>,
    stock: Mutex<Stock>,
}

impl World {
    fn new() -> Self {
        let source = |worker: u64, at: u64| {
            let repository = format!("acme/w{worker}-{at}");
            // One of three comes from the hub.
            let name = if at == 1 { format!("hf.co/{repository}:Q8_0") } else { format!("{repository}:v1") };
            let bytes = model(100 + worker * 10 + at, SIZES[at as usize]);
            Source { digest: sha256(&bytes), name, repository, bytes }
        };
        let sources = (0..WORKERS).flat_map(|worker| (0..SIZES.len() as u64).map(move |at| source(worker, at)));
        Self { sources: sources.collect(), told: Mutex::default(), stock: Mutex::default() }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    fn of(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    fn sources_of(&self, bytes: &[&[u8]]) -> Vec<&Source> {
        self.sources.iter().filter(|source| bytes.contains(&&source.bytes[..])).collect()
    }

    fn answer(&self, seen: &Seen) -> Reply {
        let path = seen.path();
        let source = self.sources.iter().find(|source| path.contains(&source.repository));
        match source {
            Some(source) if path.contains("/tree/") => tree(&[("m.Q8_0.gguf", &source.bytes)]),
            Some(source) if path.contains("/manifests/") => Reply::json(&manifest(&[("model", &source.bytes)])),
            Some(source) => {
                self.asked(source, seen.from().unwrap_or(0) as u64);
                Reply::file(seen, &source.bytes).pace(PACE.0, PACE.1)
            }
            None => self.stock.lock().unwrap().answer(seen, &mut self.told().faults).pace(usize::MAX, Duration::from_millis(3)),
        }
    }

    /// A node asks for a model's bytes from `from` on.
    fn asked(&self, source: &Source, from: u64) {
        let mut told = self.told();
        let come = told.come.get(&source.digest).copied().unwrap_or(0);
        told.resumed += usize::from(from > 0);
        if from + GATHERED < come {
            told.faults.push(format!("{} is asked for from {from} on, though {come} bytes had come", source.name));
        }
    }
}

impl Stock {
    fn answer(&mut self, seen: &Seen, faults: &mut Vec<String>) -> Reply {
        let parts: Vec<&str> = seen.path().trim_start_matches("/v2/").split('/').collect();
        let [user, repository, kind, rest @ ..] = &parts[..] else { return Reply::status(404) };
        let repository = format!("{user}/{repository}");
        match (seen.method.as_str(), *kind, rest) {
            ("HEAD", "blobs", [digest]) => {
                Reply::status(if self.blobs.contains_key(&(repository, (*digest).to_owned())) { 200 } else { 404 })
            }
            ("POST", "blobs", ["uploads", ..]) => {
                self.uploads.push((repository.clone(), Vec::new()));
                let at = self.uploads.len() - 1;
                Reply::status(202).with("location", &format!("/v2/{repository}/blobs/uploads/{at}"))
            }
            ("PATCH", "blobs", ["uploads", at]) => {
                let (_, bytes) = &mut self.uploads[at.parse::<usize>().unwrap()];
                let from = seen.header("content-range").unwrap().split('-').next().unwrap().parse::<usize>().unwrap();
                if from != bytes.len() {
                    faults.push(format!("a chunk from {from} on, after {} bytes", bytes.len()));
                }
                bytes.extend(&seen.body);
                Reply::status(202)
            }
            ("PUT", "blobs", ["uploads", at]) => {
                let (repository, bytes) = std::mem::take(&mut self.uploads[at.parse::<usize>().unwrap()]);
                let digest = seen.target.split("digest=").nth(1).unwrap().replace("%3A", ":");
                if digest != format!("sha256:{}", sha256(&bytes)) {
                    faults.push(format!("{repository} was sent bytes that are not {digest}"));
                    return Reply::status(400);
                }
                self.blobs.insert((repository, digest), bytes);
                Reply::status(201)
            }
            ("PUT", "manifests", _) => {
                self.manifests.insert(repository, serde_json::from_slice(&seen.body).unwrap());
                Reply::status(201)
            }
            _ => Reply::status(404),
        }
    }

    /// Whether the repository has a manifest; one without all its blobs is a fault.
    fn whole(&self, repository: &str) -> bool {
        let Some(manifest) = self.manifests.get(repository) else { return false };
        let layers = manifest["layers"].as_array().unwrap();
        for layer in layers.iter().chain([&manifest["config"]]) {
            // Their digests were seen to be theirs when they were taken.
            let bytes = self.blobs.get(&(repository.to_owned(), layer["digest"].as_str().unwrap().to_owned()));
            assert_eq!(bytes.map(Vec::len), layer["size"].as_u64().map(|size| size as usize), "{repository}: {layer}");
        }
        assert!(!layers.is_empty());
        true
    }
}

/// Fetches a model; `None` once the node is gone.
async fn pull(http: &Client, url: &str, world: &World, source: &Source) -> Option<()> {
    let new = {
        let mut told = world.told();
        told.unsure.insert(source.name.clone());
        !told.present.contains(&source.name)
    };
    let (digest, size) = (format!("sha256:{}", source.digest), source.bytes.len() as u64);
    let mut answer = http.post(format!("{url}/api/pull")).json(&json!({"model": source.name})).send().await.ok()?;
    assert_eq!(answer.status(), 200);
    let (mut text, mut last, mut whole) = (String::new(), Value::Null, false);
    while let Some(chunk) = answer.chunk().await.ok()? {
        text += std::str::from_utf8(&chunk).unwrap();
        while let Some((line, rest)) = text.split_once('\n') {
            last = serde_json::from_str(line).unwrap();
            text = rest.to_owned();
            if last["digest"] == digest && new && !whole {
                let completed = last["completed"].as_u64().unwrap();
                whole = completed == size;
                let mut told = world.told();
                told.come.insert(source.digest.clone(), completed);
                if whole {
                    told.came(source);
                }
            }
        }
    }
    assert_eq!(last["status"], "success", "{last}");
    let mut told = world.told();
    told.unsure.remove(&source.name);
    told.present.insert(source.name.clone());
    told.pulls += 1;
    Some(())
}

async fn fetch_and_remove(http: &Client, url: &str, world: &World, worker: u64, mut random: Random) -> Option<()> {
    loop {
        let source = &world.sources[(worker * SIZES.len() as u64 + random.next(SIZES.len() as u64)) as usize];
        if random.next(3) > 0 {
            pull(http, url, world, source).await?;
            continue;
        }
        let there = world.told().present.contains(&source.name);
        world.told().unsure.insert(source.name.clone());
        let answer = http.delete(format!("{url}/api/delete")).json(&json!({"model": source.name})).send().await.ok()?;
        assert_eq!(answer.status(), if there { 200 } else { 404 });
        let mut told = world.told();
        told.present.remove(&source.name);
        told.unsure.remove(&source.name);
    }
}

/// The repository of the push of this number.
fn target(number: usize) -> String {
    format!("acme/p{number}")
}

/// Sends one model after the other to places of their own, first to the one where the last life broke off.
async fn send(http: &Client, url: &str, world: &World) -> Option<()> {
    loop {
        let repository = target(world.told().pushed.len());
        let name = format!("{repository}:v1");
        let copy = json!({"source": "origin", "destination": name});
        let answer = http.post(format!("{url}/api/copy")).json(&copy).send().await.ok()?;
        assert_eq!(answer.status(), 200);
        let push = json!({"model": name, "stream": false});
        let answer = http.post(format!("{url}/api/push")).json(&push).send().await.ok()?;
        let (status, text) = (answer.status(), answer.text().await.ok()?);
        assert!(status == 200 && text.contains("success"), "{status} {text}");
        world.told().pushed.insert(repository);
        let answer = http.delete(format!("{url}/api/delete")).json(&json!({"model": name})).send().await.ok()?;
        assert_eq!(answer.status(), 200);
    }
}

/// Every blob that has a name is whole, at any moment: its bytes are a model's. Gives those models.
fn whole_blobs<'a>(dir: &Path, known: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(dir.join("blobs/b3")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let model = known.iter().find(|known| **known == bytes);
            found.push(*model.unwrap_or_else(|| panic!("{} has {} bytes that are no model's", path.display(), bytes.len())));
        }
    }
    found
}

/// Holds what is there against what was told.
async fn check(url: &str, world: &World, context: &str) {
    let mut seen = BTreeSet::new();
    for model in listed(url).await {
        let name = model["name"].as_str().unwrap().to_owned();
        let shown = client().post(format!("{url}/api/show")).json(&json!({"model": name})).send().await.unwrap();
        assert!(shown.status().is_success(), "{name} is listed and cannot be shown, {context}");
        if let Some(source) = world.of(&name) {
            assert_eq!(model["digest"], source.digest, "{name}, {context}");
            assert_eq!(model["size"], source.bytes.len(), "{name}, {context}");
            seen.insert(name);
        } else if name.starts_with("acme/p") {
            // What the last life was about to send.
            let gone = client().delete(format!("{url}/api/delete")).json(&json!({"model": name})).send().await.unwrap();
            assert_eq!(gone.status(), 200);
        }
    }
    let mut told = world.told();
    let unsure = std::mem::take(&mut told.unsure);
    for source in world.sources.iter().filter(|source| !unsure.contains(&source.name)) {
        let name = &source.name;
        assert_eq!(seen.contains(name), told.present.contains(name), "{name}, {context}");
    }
    told.present = seen;
    assert_eq!(told.faults, Vec::<String>::new(), "{context}");
    for repository in &told.pushed {
        assert!(world.stock.lock().unwrap().whole(repository), "{repository} was reported and is not there, {context}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_power_cuts_lose_nothing_that_was_fetched_or_sent_and_downloads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = Random(seed);
    let world = Arc::new(World::new());
    let answering = Arc::clone(&world);
    let server = Imitation::start(move |seen, _| answering.answer(seen)).await;
    std::fs::write(dir.path().join("config.toml"), format!("[sources]\nhf_endpoint = \"{0}\"\nregistry = \"{0}\"\n", server.url))
        .unwrap();
    let origin = tiny_gguf(1);
    let known: Vec<&[u8]> = world.sources.iter().map(|source| &source.bytes[..]).chain([&origin[..]]).collect();
    let node = Served::start(dir.path()).await;
    let digest = format!("sha256:{}", sha256(&origin));
    let sent = client().post(format!("{}/api/blobs/{digest}", node.url)).body(origin.clone()).send().await.unwrap();
    assert_eq!(sent.status(), 201);
    let create = json!({"model": "origin", "files": {"model.gguf": digest}, "stream": false});
    assert_eq!(client().post(format!("{}/api/create", node.url)).json(&create).send().await.unwrap().status(), 200);
    node.kill();

    let mut interrupted = 0;
    for cut in 0..CUTS {
        let node = Served::start(dir.path()).await;
        check(&node.url, &world, &format!("cut {cut}, seed {seed}")).await;
        let working = |worker: u64, random: Random| {
            let (url, world) = (node.url.clone(), Arc::clone(&world));
            tokio::spawn(async move {
                let http = client();
                match worker < WORKERS {
                    true => fetch_and_remove(&http, &url, &world, worker, random).await,
                    false => send(&http, &url, &world).await,
                }
            })
        };
        let workers: Vec<_> = (0..=WORKERS).map(|worker| working(worker, Random(random.next(u64::MAX)))).collect();
        tokio::time::sleep(Duration::from_millis(random.next(LIFE))).await;
        node.kill();
        for worker in workers {
            worker.await.expect("the client saw only what it may see");
        }
        for source in world.sources_of(&whole_blobs(dir.path(), &known)) {
            world.told().came(source);
        }
        let next = target(world.told().pushed.len());
        interrupted += usize::from(!world.stock.lock().unwrap().whole(&next));
    }
    // In peace, what is missing comes from where it stood.
    let node = Served::start(dir.path()).await;
    check(&node.url, &world, &format!("the end, seed {seed}")).await;
    for source in &world.sources {
        pull(&client(), &node.url, &world, source).await.expect("a node that is there");
    }
    check(&node.url, &world, &format!("after the end, seed {seed}")).await;
    assert_eq!(whole_blobs(dir.path(), &known).len(), known.len());
    let told = format!("seed {seed}");
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while blob_files(dir.path()) != known.len() {
        let files = blob_files(dir.path());
        assert!(std::time::Instant::now() < deadline, "{files} files for {} models, {told}", known.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(std::fs::read_dir(dir.path().join("blobs/partial")).unwrap().count(), 0, "{told}");
    assert_eq!(node.terminate(), Some(0));

    let (sent, Told { needed, pulls, resumed, pushed, .. }) = (server.sent(), &*world.told());
    println!(
        "{pulls} pulls, {resumed} gone on with; {} pushes, {interrupted} broken off; {sent} bytes for {needed}",
        pushed.len()
    );
    // Cuts that hit nobody would prove nothing.
    assert!(*pulls >= world.sources.len() && *resumed >= 10 && !pushed.is_empty() && interrupted > 0, "{told}");
    // A cut takes half of what was being gathered, one with another; what was on its way is little beside it.
    let lost = CUTS as u64 * WORKERS * GATHERED;
    assert!(sent <= needed + lost, "{sent} bytes were sent where {needed} were needed, {told}");
}
