//! Promises about registries: manifests, layers, tokens, and the way back.

use crate::{
    imitation::{Imitation, Reply, Seen, manifest, sha256},
    shelf::{Shelf, model, quick, registry},
};
use kith_models::{
    Overrides, Reference, SourceError,
    downloads::{Bounds, Phase},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Blobs and manifests of a registry that can be written.
#[derive(Default)]
struct Stock {
    blobs: HashMap<String, Vec<u8>>,
    manifests: HashMap<String, Vec<u8>>,
    upload: Vec<u8>,
}

impl Stock {
    fn with(tag: &str, layers: &[(&str, &[u8])]) -> Arc<Mutex<Self>> {
        let blobs = layers.iter().map(|(_, bytes)| (format!("sha256:{}", sha256(bytes)), bytes.to_vec())).collect();
        let manifests = HashMap::from([(tag.to_owned(), manifest(layers).to_string().into_bytes())]);
        Arc::new(Mutex::new(Self { blobs, manifests, upload: Vec::new() }))
    }

    fn answer(&mut self, seen: &Seen, before: usize) -> Reply {
        let name = seen.path().rsplit('/').next().unwrap_or_default().to_owned();
        let part = |part: &str| seen.path().contains(part);
        match seen.method.as_str() {
            "GET" | "HEAD" if part("/manifests/") => self.manifests.get(&name).map_or(Reply::status(404), |m| Reply::whole(m)),
            "GET" if part("/uploads/") => Reply::status(204).with("range", &format!("0-{}", self.upload.len().max(1) - 1)),
            "GET" | "HEAD" if part("/blobs/") => self.blobs.get(&name).map_or(Reply::status(404), |b| Reply::file(seen, b)),
            "POST" if seen.path().ends_with("/blobs/uploads/") => {
                self.upload.clear();
                Reply::status(202).with("location", "/v2/acme/tiny/blobs/uploads/1?state=a")
            }
            // The second chunk is refused once, after half of it.
            "PATCH" if before == 1 && seen.body.len() > 10 => {
                self.upload.extend(&seen.body[..seen.body.len() / 2]);
                Reply::status(500)
            }
            "PATCH" => {
                let first: usize = seen.header("content-range").unwrap().split('-').next().unwrap().parse().unwrap();
                assert_eq!(first, self.upload.len(), "chunks follow one another");
                self.upload.extend(&seen.body);
                Reply::status(202).with("location", "/v2/acme/tiny/blobs/uploads/1?state=b")
            }
            "PUT" if part("/uploads/") => {
                let digest = seen.target.split("digest=").nth(1).unwrap().replace("%3A", ":");
                assert_eq!(digest, format!("sha256:{}", sha256(&self.upload)));
                self.blobs.insert(digest, std::mem::take(&mut self.upload));
                Reply::status(201)
            }
            "PUT" => {
                self.manifests.insert(name, seen.body.clone());
                Reply::status(201)
            }
            _ => Reply::status(405),
        }
    }
}

async fn over(stock: &Arc<Mutex<Stock>>) -> Imitation {
    let stock = Arc::clone(stock);
    Imitation::start(move |seen, before| stock.lock().unwrap().answer(seen, before)).await
}

#[tokio::test]
async fn a_model_is_pulled_with_its_texts() {
    let bytes = model(1, 1);
    let stock = Stock::with(
        "135m",
        &[
            ("model", &bytes),
            ("system", b"Be brief."),
            ("template", b"{% for m in messages %}{{ m.content }}{% endfor %}"),
            ("params", br#"{"stop":["<|end|>"],"temperature":0.5}"#),
            ("license", b"Apache-2.0"),
            ("projector", b"not taken"),
        ],
    );
    let server = over(&stock).await;
    let shelf = Shelf::new(registry(&server.url)).await;
    shelf.fetch("smollm2:135m").await;
    let model = shelf.library.resolve("smollm2:135m").await.unwrap();
    assert_eq!(model.system.as_deref(), Some("Be brief."));
    assert!(model.template.unwrap().starts_with("{% for"));
    assert_eq!((&model.parameters["temperature"], &model.parameters["stop"]), (&json!(0.5), &json!(["<|end|>"])));
    assert_eq!(model.license.as_deref(), Some("Apache-2.0"));
    assert_eq!(model.source, format!("{}/library/smollm2:135m", server.host()));
    assert!(server.seen_at("/manifests/")[0].target.starts_with("/v2/library/smollm2/manifests/135m"));
    let item = shelf.downloads.find("smollm2:135m").unwrap();
    assert_eq!((item.phase, item.completed(), item.files.len()), (Phase::Done, item.total(), 5));
}

#[tokio::test]
async fn a_host_in_the_name_is_the_registry_that_is_asked() {
    let bytes = model(2, 1);
    let server = over(&Stock::with("q4", &[("model", &bytes)])).await;
    let shelf = Shelf::new(registry("http://127.0.0.1:9")).await;
    let name = format!("{}/acme/tiny:q4", server.host());
    shelf.fetch(&name).await;
    assert_eq!(shelf.library.resolve(&name).await.unwrap().name.to_string(), name);
}

#[tokio::test]
async fn a_registry_that_wants_a_token_gets_one_and_nobody_else_sees_it() {
    let bytes = model(3, 1);
    let stock = Stock::with("latest", &[("model", &bytes), ("system", b"hi")]);
    let elsewhere = Imitation::start(move |seen, _| Reply::file(seen, &bytes)).await;
    let target = format!("{}/bytes", elsewhere.url);
    let server = Imitation::start(move |seen, before| {
        if seen.path() == "/token" {
            return Reply::json(&json!({"token": "t0ken"}));
        }
        if seen.header("authorization") != Some("Bearer t0ken") {
            let challenge = r#"Bearer realm="/token",service="hub",scope="repository:acme/tiny:pull""#;
            return Reply::status(401).with("www-authenticate", challenge);
        }
        let reply = stock.lock().unwrap().answer(seen, before);
        let large = reply.body.len() > 1 << 16;
        if large { Reply::status(307).with("location", &target) } else { reply }
    })
    .await;
    let shelf = Shelf::new(registry(&server.url)).await;
    shelf.fetch("acme/tiny").await;
    let tokens = server.seen_at("/token");
    assert_eq!(tokens.len(), 1, "a token is used again");
    assert!(tokens[0].target.contains("service=hub") && tokens[0].target.contains("scope=repository%3Aacme%2Ftiny%3Apull"));
    assert!(tokens[0].header("authorization").is_none(), "there are no credentials to show");
    assert_eq!(elsewhere.seen().len(), 1);
    assert!(elsewhere.seen()[0].header("authorization").is_none());
}

#[tokio::test]
async fn credentials_are_shown_to_the_configured_registry_alone() {
    let server = Imitation::start(|seen, _| match seen.header("authorization") {
        Some("Basic bWU6c2VjcmV0") => Reply::status(404),
        _ => Reply::status(401).with("www-authenticate", "Basic realm=\"x\""),
    })
    .await;
    let credentials = Some(("me".to_owned(), "secret".to_owned()));
    let ours = kith_models::Sources { registry_credentials: credentials.clone(), ..registry(&server.url) };
    let item = Shelf::new(ours).await.pull("acme/tiny").await;
    assert!(matches!(item.error.as_deref(), Some(SourceError::NotFound(_))), "{:?}", item.error);
    let other = kith_models::Sources { registry_credentials: credentials, ..registry("http://127.0.0.1:9") };
    let before = server.seen().len();
    let item = Shelf::new(other).await.pull(&format!("{}/acme/tiny", server.host())).await;
    assert!(matches!(item.error.as_deref(), Some(SourceError::Refused { .. })), "{:?}", item.error);
    assert!(server.seen()[before..].iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_before_its_bytes_are_fetched() {
    let bytes = model(4, 1);
    let huge = json!({"schemaVersion": 2, "config": {"mediaType": "x", "digest": format!("sha256:{}", "0".repeat(64)), "size": 2},
        "layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": format!("sha256:{}", "1".repeat(64)),
            "size": 1u64 << 60}]});
    type Wanted = fn(&SourceError) -> bool;
    let cases: [(Value, Wanted); 4] = [
        (manifest(&[("model", &bytes), ("adapter", b"x")]), |e| matches!(e, SourceError::Unsupported(_))),
        (manifest(&[("system", b"x")]), |e| matches!(e, SourceError::Unexpected { .. })),
        (huge, |e| matches!(e, SourceError::Full { .. })),
        (json!({"nonsense": 1}), |e| matches!(e, SourceError::Unexpected { .. })),
    ];
    for (manifest, wanted) in cases {
        let body = manifest.to_string().into_bytes();
        let server = Imitation::start(move |_, _| Reply::whole(&body)).await;
        let shelf = Shelf::new(registry(&server.url)).await;
        let error = shelf.pull("acme/tiny").await.error.unwrap();
        assert!(wanted(&error), "{error}");
        assert!(server.seen_at("/blobs/").is_empty());
    }
}

#[tokio::test]
async fn a_text_with_another_digest_is_refused() {
    let bytes = model(5, 1);
    let stock = Stock::with("latest", &[("model", &bytes), ("system", b"Be brief.")]);
    let digest = format!("sha256:{}", sha256(b"Be brief."));
    stock.lock().unwrap().blobs.insert(digest, b"Be evil..".to_vec());
    let server = over(&stock).await;
    let shelf = Shelf::new(registry(&server.url)).await;
    let error = shelf.pull("acme/tiny").await.error.unwrap();
    assert!(matches!(*error, SourceError::WrongDigest { .. }), "{error}");
    assert!(shelf.library.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn plain_http_to_another_machine_is_refused_unless_it_is_meant() {
    let shelf = Shelf::new(registry("https://registry.invalid")).await;
    let item = shelf.pull("http://registry.invalid/acme/tiny").await;
    assert!(matches!(item.error.as_deref(), Some(SourceError::Insecure(_))), "{:?}", item.error);
}

#[tokio::test]
async fn a_model_is_pushed_in_chunks_and_comes_back_the_same() {
    let stock = Arc::new(Mutex::new(Stock::default()));
    let server = over(&stock).await;
    let shelf = Shelf::new(registry(&server.url)).await;
    let file = shelf.folder.path().join("m.gguf");
    std::fs::write(&file, model(6, 20)).unwrap();
    let overrides = Overrides {
        system: Some("Be brief.".into()),
        parameters: Some(serde_json::Map::from_iter([("temperature".to_owned(), json!(0.5))])),
        ..Overrides::default()
    };
    let local = shelf.library.import(&file, "acme/tiny:v1".parse().unwrap(), overrides, |_| ()).await.unwrap();
    let push = |name: &str| shelf.downloads.push(Reference::parse(name).unwrap(), false).unwrap().ended();
    let item = push("acme/tiny:v1").await;
    assert!(item.error.is_none(), "{:?}", item.error);
    assert_eq!((item.phase, item.completed()), (Phase::Done, item.total()));
    assert_eq!(item.retries, 1, "one chunk was sent again, from where the registry stood");

    let sent = server.seen().iter().filter(|seen| seen.method == "PATCH").count();
    assert_eq!(push("acme/tiny:v1").await.phase, Phase::Done);
    let again = server.seen().iter().filter(|seen| seen.method == "PATCH").count();
    assert_eq!(sent, again, "what is there is not sent again");

    let other = Shelf::new(registry(&server.url)).await;
    other.fetch("acme/tiny:v1").await;
    let back = other.library.resolve("acme/tiny:v1").await.unwrap();
    assert_eq!((back.blob, &back.system, &back.parameters), (local.blob, &local.system, &local.parameters));
    let missing = push("acme/none").await;
    assert!(matches!(missing.error.as_deref(), Some(SourceError::Model(_))));
}

#[tokio::test]
async fn no_more_pushes_wait_than_may() {
    let server = Imitation::start(|_, _| Reply::status(404).pace(1, Duration::from_secs(60))).await;
    let shelf = Shelf::with(registry(&server.url), Bounds { waiting: 2, at_once: 1, ..quick() }).await;
    let file = shelf.folder.path().join("m.gguf");
    std::fs::write(&file, model(7, 1)).unwrap();
    shelf.library.import(&file, "acme/tiny:v1".parse().unwrap(), Overrides::default(), |_| ()).await.unwrap();
    let push = || shelf.downloads.push(Reference::parse("acme/tiny:v1").unwrap(), false);
    let mut places = vec![push().unwrap(), push().unwrap(), push().unwrap()];
    assert!(matches!(push(), Err(SourceError::QueueFull(2))));
    drop(places.pop());
    while push().is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A registry with an honest model and a repository that lists its digest with this length.
async fn with_a_liar(bytes: Vec<u8>, length: usize) -> Imitation {
    let honest = manifest(&[("model", &bytes)]);
    let mut lying = honest.clone();
    lying["layers"][0]["size"] = json!(length);
    Imitation::start(move |seen, before| match seen.path() {
        path if path.contains("acme/tiny/manifests") => Reply::json(&honest),
        path if path.contains("/manifests/") => Reply::json(&lying),
        path if path.contains("acme/tiny") && before == 0 => Reply::file(seen, &bytes).pause(3 << 20, Duration::from_secs(60)),
        path if path.contains("acme/tiny") => Reply::file(seen, &bytes),
        _ => Reply::whole(&vec![7; length]),
    })
    .await
}

#[tokio::test]
async fn whoever_names_the_digest_of_anothers_model_does_not_come_near_what_has_come_of_it() {
    let bytes = model(8, 4);
    for length in [1 << 20, bytes.len()] {
        let server = with_a_liar(bytes.clone(), length).await;
        let other = with_a_liar(bytes.clone(), length).await;
        let shelf = Shelf::new(registry(&server.url)).await;
        let mut following = shelf.begin("acme/tiny").unwrap();
        while following.next().await.completed() < 3 << 20 {}
        drop(following);
        // On this registry bytes are what their digest says, as long as it lies about nothing but lengths.
        let mut liars = vec![format!("{}/evil/tiny", other.host())];
        liars.extend((length < bytes.len()).then(|| "evil/tiny".to_owned()));
        for liar in liars {
            assert_eq!(shelf.pull(&liar).await.phase, Phase::Failed);
        }
        shelf.fetch("acme/tiny").await;
        let froms: Vec<_> = server.seen_at("acme/tiny/blobs").iter().map(Seen::from).collect();
        assert!(froms.len() == 2 && froms[1].is_some_and(|from| from >= 2 << 20), "{froms:?}");
    }
}
