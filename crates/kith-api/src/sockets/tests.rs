//! What a socket promises, on a pair of bounded channels in place of a network.

use super::*;
use futures::channel::mpsc;
use kith_events::{Events, RING};
use kith_types::SystemClock;

struct Client {
    say: mpsc::Sender<Result<Message, ()>>,
    hear: mpsc::Receiver<Message>,
    bus: Events,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

fn client(words: &'static Vocabulary) -> Client {
    paced(words, Pace::default())
}

/// A client whose side holds one message or two.
fn paced(words: &'static Vocabulary, pace: Pace) -> Client {
    let bus = Events::new(Arc::new(SystemClock));
    let (say, reader) = mpsc::channel(16);
    let (writer, hear) = mpsc::channel(0);
    let stop = CancellationToken::new();
    let feed = Feed {
        words,
        events: Box::pin(bus.listen(None)),
        reading: Box::new(|| Box::pin(async { Some(json!({"running": 0})) })),
        clock: Arc::new(SystemClock),
        pace,
    };
    let served = tokio::spawn(serve(reader, writer, feed, std::future::pending(), stop.clone()));
    Client { say, hear, bus, stop, served }
}

impl Client {
    async fn next(&mut self) -> Message {
        timeout(Duration::from_secs(60), self.hear.next()).await.expect("a message").expect("an open socket")
    }

    /// The next message of this type; others are passed over.
    async fn until(&mut self, kind: &str) -> Value {
        loop {
            if let Message::Text(message) = self.next().await {
                let message: Value = serde_json::from_str(&message).unwrap();
                if message["type"] == kind {
                    return message;
                }
            }
        }
    }

    async fn close_code(&mut self) -> u16 {
        loop {
            if let Message::Close(Some(frame)) = self.next().await {
                return frame.code;
            }
        }
    }

    async fn say(&mut self, message: Value) {
        self.say.send(Ok(Message::Text(message.to_string().into()))).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_is_welcomed_and_hears_events_and_readings() {
    let mut client = client(&CLUSTER);
    assert_eq!(client.until("welcome").await["data"]["channels"][0], "metrics");
    assert_eq!(client.until("metrics").await["data"]["running"], 0);
    client.bus.publish("model.loaded", json!({"model": "m:1"}));
    let event = client.until("model_loaded").await;
    assert_eq!((&event["data"]["model"], &event["id"]), (&json!("m:1"), &json!(1)));
    assert!(event["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn who_subscribes_hears_that_and_nothing_else() {
    let mut client = client(&CLUSTER);
    client.say(json!({"type": "subscribe", "channels": ["models"]})).await;
    assert_eq!(client.until("subscribed").await["data"]["channels"], json!(["models"]));
    client.bus.publish("inference.started", json!({}));
    client.bus.publish("model.unloaded", json!({}));
    assert_eq!(client.until("model_unloaded").await["id"], 2);
    client.say(json!({"type": "unsubscribe", "channels": ["models"]})).await;
    assert_eq!(client.until("subscribed").await["data"]["channels"], json!([]));
    for wrong in [json!({"type": "subscribe", "channels": ["secrets"]}), json!({"type": "sing"}), json!(7)] {
        client.say(wrong).await;
        client.until("error").await;
    }
    client.say(json!({"type": "ping"})).await;
    client.until("pong").await;
}

#[tokio::test]
async fn who_reads_too_slowly_is_told_and_closed() {
    let mut client = client(&CLUSTER);
    client.until("metrics").await;
    for _ in 0..RING * 2 {
        client.bus.publish("model.loaded", json!({}));
    }
    let lagged = client.until("lagged").await;
    assert!(lagged["data"]["missed"].as_u64().unwrap() >= 1);
    assert_eq!(client.close_code().await, close_code::AGAIN);
    client.served.await.unwrap();
}

#[tokio::test]
async fn who_does_not_read_at_all_is_dropped() {
    let client = paced(&CLUSTER, Pace { patience: Duration::from_millis(20), ..Pace::default() });
    let served = timeout(Duration::from_secs(20), client.served).await;
    assert!(served.is_ok(), "a socket that takes nothing is held for ever");
}

#[tokio::test]
async fn a_client_is_pinged_and_one_that_is_silent_is_gone() {
    let pace = Pace { ping: Duration::from_millis(20), silence: Duration::from_millis(70), ..Pace::default() };
    let mut client = paced(&ADMIN, pace);
    let mut pings = 0;
    loop {
        match client.next().await {
            Message::Ping(_) => pings += 1,
            Message::Close(Some(frame)) => {
                assert!(pings >= 2 && frame.code == close_code::AWAY, "{pings} {frame:?}");
                return;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn who_says_too_much_or_no_text_is_closed() {
    let mut talker = client(&ADMIN);
    let mut say = talker.say.clone();
    let talking = tokio::spawn(async move {
        for _ in 0..=MAX_MESSAGES {
            let _ = say.send(Ok(Message::Text("{\"type\":\"ping\"}".into()))).await;
        }
    });
    assert_eq!(talker.close_code().await, close_code::POLICY);
    talking.await.unwrap();
    let mut other = client(&ADMIN);
    other.say.send(Ok(Message::Binary(vec![1].into()))).await.unwrap();
    assert_eq!(other.close_code().await, close_code::UNSUPPORTED);
}

#[tokio::test]
async fn a_stopping_node_says_goodbye() {
    let mut client = client(&ADMIN);
    client.until("peer_list").await;
    client.stop.cancel();
    assert_eq!(client.close_code().await, close_code::AWAY);
}
