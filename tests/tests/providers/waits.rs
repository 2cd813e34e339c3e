//! Time and bounds, with a clock and limits of the test's own.

use super::eventually;
use async_trait::async_trait;
use futures::StreamExt;
use kith_events::Events;
use kith_inference::{
    Bounds, Catalogue, Generate, Inference, InferenceError, InferenceParts, KeepAlive, KeptProvider, KeyStore, KeyStoreError,
    Message, ModelCard, Piece, Prompt, ProviderBounds, ProviderChange, ProviderFault, Providers, ProvidersParts, Role,
};
use kith_tests::cloud::{Cloud, End, Reply, said};
use kith_types::{Clock, SystemClock, Timestamp};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// A clock that the test turns.
#[derive(Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }
}

/// Keeps nothing.
struct Nothing;

#[async_trait]
impl KeyStore for Nothing {
    async fn load(&self) -> Result<Vec<KeptProvider>, KeyStoreError> {
        Ok(Vec::new())
    }

    async fn save(&self, _changed: Vec<KeptProvider>) -> Result<(), KeyStoreError> {
        Ok(())
    }
}

/// A library without models.
struct Empty;

#[async_trait]
impl Catalogue for Empty {
    async fn find(&self, name: &str) -> Result<Arc<ModelCard>, InferenceError> {
        Err(InferenceError::ModelNotFound { name: name.to_owned(), nearest: None })
    }
}

async fn providers(cloud: &Cloud, bounds: ProviderBounds, clock: Arc<dyn Clock>) -> Arc<Providers> {
    let parts = ProvidersParts { store: Arc::new(Nothing), environment: Vec::new(), list_models: false, bounds, clock };
    let providers = Providers::open(parts).await.unwrap();
    let base_url = Some(format!("{}/v1", cloud.url));
    let change = ProviderChange { name: "openai".into(), forget: false, key: Some("sk-1".into()), base_url };
    providers.change(vec![change]).await.unwrap();
    providers
}

async fn inference(cloud: &Cloud, bounds: ProviderBounds) -> Arc<Inference> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Inference::new(InferenceParts {
        engines: Vec::new(),
        catalogue: Arc::new(Empty),
        bounds: Bounds { memory: 1 << 30, parallel: 1, context: 64, keep_alive: KeepAlive::Forever, engine: None, draft: None },
        clock: Arc::clone(&clock),
        events: Events::new(Arc::clone(&clock)),
        random: Arc::new(|bytes: &mut [u8]| bytes.fill(7)),
        providers: Some(providers(cloud, bounds, clock).await),
    })
}

fn hi() -> Generate {
    Generate::new("openai/m", Prompt::Chat(vec![Message::text(Role::User, "Hi")]))
}

const SHORT: Duration = Duration::from_millis(200);

fn fault(error: InferenceError) -> ProviderFault {
    match error {
        InferenceError::Provider { fault, .. } => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_never_begins_is_given_up() {
    let cloud = Cloud::start(|_| Reply::Stream(said(&["x"]), Duration::from_secs(60), End::Whole)).await;
    // Its head comes at once, its first word never.
    let inference = inference(&cloud, ProviderBounds { first_byte: SHORT, ..ProviderBounds::default() }).await;
    let mut answer = inference.generate(hi()).await.unwrap();
    let error = answer.pieces.next().await.unwrap().unwrap_err();
    assert!(matches!(fault(error), ProviderFault::Timeout(_)));
    assert!(answer.pieces.next().await.is_none());
    drop(answer);
    eventually("the connection closes", || cloud.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_falls_silent_is_given_up_and_its_answer_is_no_success() {
    let cloud = Cloud::start(|_| Reply::Stream(said(&["half"])[..1].to_vec(), Duration::ZERO, End::Silence)).await;
    let inference = inference(&cloud, ProviderBounds { idle: SHORT, ..ProviderBounds::default() }).await;
    let pieces: Vec<_> = inference.generate(hi()).await.unwrap().pieces.collect().await;
    assert!(matches!(&pieces[0], Ok(Piece::Text { text, .. }) if text == "half"));
    assert_eq!(pieces.len(), 2);
    assert!(matches!(fault(pieces[1].clone().unwrap_err()), ProviderFault::Timeout(_)));
    assert_eq!((inference.stats().failed, inference.stats().running), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_answers_at_once_than_are_allowed_are_refused() {
    let cloud = Cloud::start(|_| Reply::Stream(said(&["half"])[..1].to_vec(), Duration::ZERO, End::Silence)).await;
    let inference = inference(&cloud, ProviderBounds { running: 1, ..ProviderBounds::default() }).await;
    let mut first = inference.generate(hi()).await.unwrap();
    first.pieces.next().await.unwrap().unwrap();
    let refused = inference.generate(hi()).await.err().unwrap();
    assert_eq!(fault(refused), ProviderFault::Busy(1));
    drop(first);
    inference.generate(hi()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_list_of_models_is_told_at_once_and_refreshed_by_one_question() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let cloud = Cloud::start(move |_| {
        let turn = count.fetch_add(1, Ordering::SeqCst);
        Reply::json(200, &json!({"data": [{"id": format!("m{turn}")}]}))
    })
    .await;
    let clock = Arc::new(Hand::default());
    let providers = providers(&cloud, ProviderBounds::default(), Arc::clone(&clock) as Arc<dyn Clock>).await;
    // Many at once are one question.
    let all = futures::future::join_all((0..8).map(|_| providers.models())).await;
    assert!(all.iter().all(|list| list.models[0].id == "m0"));
    clock.0.store(59_999, Ordering::SeqCst);
    assert_eq!(providers.models().await.models[0].id, "m0");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    clock.0.store(60_000, Ordering::SeqCst);
    let all = futures::future::join_all((0..8).map(|_| providers.models())).await;
    // The first is told what is there; the last may come when the fresh list is there already.
    assert_eq!(all[0].models[0].id, "m0");
    for _ in 0..1000 {
        if providers.models().await.models[0].id == "m1" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(providers.models().await.models[0].id, "m1");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_of_life_that_does_not_come_is_a_timeout() {
    let cloud = Cloud::start(|_| Reply::Stream(said(&["half"])[..1].to_vec(), Duration::ZERO, End::Silence)).await;
    let bounds = ProviderBounds { probe: SHORT, ..ProviderBounds::default() };
    let providers = providers(&cloud, bounds, Arc::new(SystemClock)).await;
    let signs = providers.health().await;
    assert_eq!(signs[0].fault.as_ref().unwrap().health_word(), "timeout");
    assert!(signs[0].latency >= SHORT);
}
