//! Promises about the hub: searching, probing, fetching, and whom the token is shown to.

use crate::{
    imitation::{Imitation, Reply, Seen, tree},
    shelf::{Shelf, hub, model},
};
use kith_models::{SourceError, Sources, downloads::Phase};
use serde_json::json;

const TREE: &str = "/api/models/acme/tiny/tree/main";
const FILE: &str = "/acme/tiny/resolve/main/tiny.Q4_K_M.gguf";

#[tokio::test]
async fn a_model_is_fetched_by_repository_and_quantisation_and_remembers_where_from() {
    let bytes = model(1, 1);
    let server = Imitation::start(move |seen, _| match seen.path() {
        TREE => tree(&[("tiny.Q8_0.gguf", b"other"), ("tiny.Q4_K_M.gguf", &bytes), ("README.md", b"x")]),
        FILE => Reply::file(seen, &bytes),
        _ => Reply::status(404),
    })
    .await;
    let shelf = Shelf::new(hub(&server.url)).await;
    shelf.fetch("hf.co/acme/tiny:Q4_K_M").await;
    shelf.fetch("hf.co/acme/tiny").await;
    let model = shelf.library.resolve("hf.co/acme/tiny:Q4_K_M").await.unwrap();
    assert_eq!(model.source, "hf.co/acme/tiny/tiny.Q4_K_M.gguf");
    assert_eq!(server.seen_at("/resolve/").len(), 1, "bytes that are there are not fetched again");
    let place = shelf.downloads.hub().place_of(&model).await.unwrap();
    assert_eq!((place.repo.as_str(), place.filename.as_str()), ("acme/tiny", "tiny.Q4_K_M.gguf"));
    assert_eq!(shelf.partials(), 0);
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_never_where_it_redirects_to() {
    let bytes = model(2, 1);
    let (listed, digest) = (bytes.clone(), crate::imitation::sha256(&bytes));
    let elsewhere = Imitation::start(move |seen, _| Reply::file(seen, &bytes)).await;
    let target = format!("{}/bytes", elsewhere.url);
    let server = Imitation::start(move |seen, _| match (seen.header("authorization"), seen.path()) {
        (Some("Bearer hf_secret"), TREE) => tree(&[("tiny.Q4_K_M.gguf", &listed)]),
        (Some("Bearer hf_secret"), FILE) => {
            Reply::status(302).with("location", &target).with("x-linked-etag", &format!("\"{digest}\""))
        }
        _ => Reply::status(401),
    })
    .await;
    let sources = Sources { hub_token: Some("hf_secret".to_owned()), ..hub(&server.url) };
    let shelf = Shelf::new(sources).await;
    shelf.fetch("hf.co/acme/tiny").await;
    let seen = elsewhere.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen.iter().all(|seen| seen.header("authorization").is_none()), "{seen:?}");
    assert!(!format!("{seen:?}").contains("hf_secret"));
    assert!(!format!("{:?}", shelf.downloads).contains("hf_secret"));
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_listed_is_refused_before_its_bytes_are_taken() {
    let bytes = model(3, 1);
    let server = Imitation::start(move |seen, _| match seen.path() {
        TREE => tree(&[("tiny.Q4_K_M.gguf", &bytes)]),
        _ => Reply::file(seen, &bytes).with("x-linked-etag", &format!("\"{}\"", "ab".repeat(32))),
    })
    .await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let item = shelf.pull("hf.co/acme/tiny").await;
    assert!(matches!(item.error.as_deref(), Some(SourceError::Unexpected { .. })), "{:?}", item.error);
}

#[tokio::test]
async fn what_the_hub_does_not_have_or_show_is_told_and_not_asked_for_again() {
    for (status, wanted) in [(404, "does not exist"), (401, "HF_TOKEN"), (403, "may not be read")] {
        let server = Imitation::start(move |_, _| Reply::status(status)).await;
        let shelf = Shelf::new(hub(&server.url)).await;
        let item = shelf.pull("hf.co/acme/tiny").await;
        assert_eq!(item.phase, Phase::Failed);
        let error = item.error.unwrap().to_string();
        assert!(error.contains(wanted), "{error}");
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_search_tells_repositories_with_their_variants() {
    let server = Imitation::start(|seen, _| match seen.path() {
        "/api/models" => Reply::json(&json!([
            {"_id": "65f0", "id": "acme/tiny", "modelId": "acme/tiny", "downloads": 50, "likes": 7},
            {"id": "acme/gated", "downloads": 40, "likes": 1},
            {"modelId": "acme/empty"},
        ])),
        TREE => tree(&[("tiny.Q8_0.gguf", b"12345678"), ("tiny.Q4_K_M.gguf", b"1234")]),
        "/api/models/acme/empty/tree/main" => tree(&[("README.md", b"x")]),
        _ => Reply::status(401),
    })
    .await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let found = shelf.downloads.hub().search("tiny & small", 10).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].repo.as_str(), found[0].downloads, found[0].likes), ("acme/tiny", 50, 7));
    let best: Vec<_> = found[0].variants.iter().filter(|variant| variant.recommended).collect();
    assert_eq!((best.len(), best[0].quant, best[0].size), (1, Some("Q4_K_M"), 4));
    assert!(server.seen()[0].target.contains("search=tiny+%26+small") && server.seen()[0].target.contains("filter=gguf"));
}

#[tokio::test]
async fn a_listing_is_read_page_by_page_and_only_from_the_hub_itself() {
    let server = Imitation::start(|seen, _| match seen.target.contains("cursor") {
        false => tree(&[("a.Q8_0.gguf", b"1")]).with("link", "</api/models/acme/tiny/tree/main?cursor=2>; rel=\"next\""),
        true => tree(&[("b.Q4_0.gguf", b"2")]).with("link", "<http://127.0.0.1:1/x>; rel=\"next\""),
    })
    .await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let files = shelf.downloads.hub().files("acme/tiny").await.unwrap();
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a.Q8_0.gguf", "b.Q4_0.gguf"]);
}

#[tokio::test]
async fn a_probe_reads_the_header_and_leaves_the_weights() {
    let bytes = model(4, 8);
    let size = bytes.len() as u64;
    for ranges in [true, false] {
        let bytes = bytes.clone();
        let reply = move |seen: &Seen| if ranges { Reply::file(seen, &bytes) } else { Reply::whole(&bytes) };
        let listed = model(4, 8);
        let server = Imitation::start(move |seen, _| match seen.path() {
            TREE => tree(&[("tiny.Q4_K_M.gguf", &listed)]),
            _ => reply(seen),
        })
        .await;
        let shelf = Shelf::new(hub(&server.url)).await;
        let probe = shelf.downloads.hub().probe("acme/tiny", "tiny.Q4_K_M.gguf").await.unwrap();
        assert_eq!((probe.size, probe.details.architecture.as_str(), probe.shards.len()), (size, "llama", 1));
        assert_eq!((probe.details.block_count, probe.details.context_length), (Some(1), 128));
        assert_eq!(server.seen_at("/resolve/")[0].header("range"), Some("bytes=0-1048575"));
        assert!(shelf.library.list().await.unwrap().is_empty());
        assert!(matches!(shelf.downloads.hub().probe("acme/tiny", "no.gguf").await, Err(SourceError::NotFound(_))));
        assert!(matches!(shelf.downloads.hub().probe("../acme", "x.gguf").await, Err(SourceError::Name(_))));
    }
}

#[tokio::test]
async fn a_model_of_unknown_origin_is_found_by_its_bytes_and_not_by_its_name() {
    let bytes = model(5, 1);
    let server = Imitation::start(move |seen, _| match seen.path() {
        "/api/models" => Reply::json(&json!([{"id": "fake/tiny"}, {"id": "acme/tiny"}])),
        "/api/models/fake/tiny/tree/main" => tree(&[("tiny.gguf", b"other bytes")]),
        TREE => tree(&[("true.gguf", &bytes)]),
        _ => Reply::status(404),
    })
    .await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let file = shelf.folder.path().join("m.gguf");
    std::fs::write(&file, model(5, 1)).unwrap();
    let model = shelf.library.import(&file, "mine:1".parse().unwrap(), Default::default(), |_| ()).await.unwrap();
    for _ in 0..2 {
        let place = shelf.downloads.hub().place_of(&model).await.unwrap();
        assert_eq!((place.repo.as_str(), place.filename.as_str()), ("acme/tiny", "true.gguf"));
    }
    assert_eq!(server.seen().len(), 3, "what was found is remembered");
}

/// A hub that lists one file without its digest, and names the digest when it sends the file.
async fn telling_late(bytes: &[u8], sent: Vec<u8>) -> Imitation {
    let listing = json!([{"type": "file", "path": "tiny.Q4_K_M.gguf", "size": bytes.len(), "oid": "0"}]);
    let digest = format!("\"{}\"", crate::imitation::sha256(bytes));
    Imitation::start(move |seen, _| match seen.path() {
        TREE => Reply::json(&listing),
        _ => Reply::file(seen, &sent).with("x-linked-etag", &digest),
    })
    .await
}

#[tokio::test]
async fn a_digest_that_only_the_answer_tells_is_one_that_the_bytes_must_have() {
    let bytes = model(6, 1);
    let mut damaged = bytes.clone();
    damaged[1 << 19] ^= 1;
    let server = telling_late(&bytes, damaged.clone()).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let item = shelf.pull("hf.co/acme/tiny").await;
    assert!(matches!(item.error.as_deref(), Some(SourceError::WrongDigest { .. })), "{:?}", item.error);
    assert!(shelf.library.list().await.unwrap().is_empty());

    // As an earlier life may have left it, before it could be verified.
    let server = telling_late(&bytes, bytes.clone()).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let first = shelf.begin("hf.co/acme/tiny").unwrap();
    first.ended().await;
    let name = "hf.co/acme/tiny:latest".parse().unwrap();
    shelf.library.remove(&name).await.unwrap();
    let place = crate::imitation::sha256(format!("hf.co/acme/tiny/tiny.Q4_K_M.gguf {}", bytes.len()).as_bytes());
    let key = crate::imitation::sha256(format!("{} sha256:{place} {}", server.host(), bytes.len()).as_bytes());
    std::fs::write(shelf.folder.path().join("blobs/partial").join(key), damaged).unwrap();
    shelf.fetch("hf.co/acme/tiny").await;
    let froms: Vec<_> = server.seen_at("/resolve/").iter().map(Seen::from).collect();
    assert_eq!(froms, [None, Some(bytes.len() - 1), None], "its digest was asked for, and then its bytes");
}

#[tokio::test]
async fn a_folder_of_a_model_that_sees_comes_whole_and_is_one_file_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    kith_models::testing::sight::write(folder.path(), "idefics3", 4).unwrap();
    let files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
        })
        .collect();
    let server = Imitation::start(move |seen, before| {
        if seen.path() == "/api/models/acme/eye/tree/main" {
            let mut listed: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
            listed.push(("README.md", b"x"));
            listed.push(("onnx/model.safetensors", b"x"));
            return tree(&listed);
        }
        let Some((name, bytes)) = files.iter().find(|(name, _)| seen.path() == format!("/acme/eye/resolve/main/{name}")) else {
            return Reply::status(404);
        };
        let reply = Reply::file(seen, bytes);
        // The weights come in two pieces.
        if name == "model.safetensors" && before == 0 { reply.cut(100_000) } else { reply }
    })
    .await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let item = shelf.pull("hf.co/acme/eye").await;
    assert!(item.error.is_none(), "{:?}", item.error);
    assert!(item.files.len() >= 6 && item.completed() == item.total(), "{item:?}");
    let model = shelf.library.resolve("hf.co/acme/eye").await.unwrap();
    assert_eq!((model.format.as_str(), model.source.as_str()), ("safetensors", "hf.co/acme/eye"));
    assert!(model.details.capabilities.iter().any(|capability| capability == "vision"));
    assert!(server.seen_at("model.safetensors").iter().any(|seen| seen.from() == Some(100_000)), "it went on where it broke");
    assert!(server.seen_at("README").is_empty() && server.seen_at("onnx").is_empty());
    assert_eq!(shelf.partials(), 0);
    // The same as a folder on this machine, and the bytes of its files are gone.
    let local = shelf.library.import(folder.path(), "eye:local".parse().unwrap(), Default::default(), |_| {}).await.unwrap();
    assert_eq!(local.blob, model.blob);
    assert!(shelf.store.uploads().await.unwrap().is_empty());
    assert_eq!(shelf.library.clean().await.unwrap().files, 0, "nothing lies about");
}

#[tokio::test]
async fn a_folder_that_cannot_be_run_is_not_begun() {
    let server = Imitation::start(move |seen, _| match seen.path() {
        "/api/models/acme/eye/tree/main" => {
            tree(&[("config.json", b"{}"), ("model.safetensors", b"x"), ("tokenizer.json", b"{}")])
        }
        _ => Reply::status(404),
    })
    .await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let item = shelf.pull("hf.co/acme/eye").await;
    assert!(item.error.is_some_and(|error| error.to_string().contains("has no GGUF model")));
    assert_eq!(server.seen_at("/resolve/").len(), 0);
}
