//! What may be an endpoint, and what is told of it.

use super::*;
use crate::{ProfileChange, SettingsChange, system::tests::House};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use zeroize::Zeroizing;

/// An endpoint on this machine that answers so, once, and gives what it was sent; without an answer it stays silent.
async fn endpoint(answer: Option<&'static str>) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/push/key", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(NO_OP.as_bytes()) {
            let mut part = [0; 1024];
            let length = socket.read(&mut part).await.unwrap();
            seen.extend_from_slice(&part[..length]);
        }
        match answer {
            Some(answer) => socket.write_all(answer.as_bytes()).await.unwrap(),
            None => std::future::pending().await,
        }
        String::from_utf8(seen).unwrap()
    });
    (url, task)
}

async fn set(house: &House, url: &str) {
    let change = ProfileChange { push_endpoint: Some(Some(url.to_owned())), ..ProfileChange::default() };
    house.system.profiles.change(change).await.unwrap();
}

#[tokio::test]
async fn a_push_is_really_sent_with_the_token() {
    let house = House::new().await;
    let (url, task) = endpoint(Some("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n")).await;
    set(&house, &url).await;
    let token = Some(Some(Zeroizing::new("tk_0123456789".to_owned())));
    house.system.settings.change(SettingsChange { push_token: token, ..Default::default() }).await.unwrap();
    let outcome = house.system.pusher.test().await.unwrap();
    assert_eq!((outcome.delivered, outcome.status, outcome.error), (true, Some(201), None));
    let seen = task.await.unwrap().to_lowercase();
    assert!(seen.starts_with("post /push/key "), "{seen}");
    assert!(seen.contains("authorization: bearer tk_0123456789\r\n"), "{seen}");
}

#[tokio::test]
async fn the_token_stays_with_the_endpoint_it_was_given_for() {
    let house = House::new().await;
    let to = |url: Option<&str>| ProfileChange { push_endpoint: Some(url.map(str::to_owned)), ..ProfileChange::default() };
    house.system.change_profile(to(Some("https://push.example/a"))).await.unwrap();
    let token = Some(Some(Zeroizing::new("tk_0123456789".to_owned())));
    house.system.settings.change(SettingsChange { push_token: token, ..Default::default() }).await.unwrap();
    house.system.change_profile(to(Some("https://push.example/b"))).await.unwrap();
    assert!(house.system.settings.push_token().await.unwrap().is_some(), "another path of the same place");
    house.system.change_profile(to(Some("https://other.example/b"))).await.unwrap();
    assert!(house.system.settings.push_token().await.unwrap().is_none());
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_refusal_is_told() {
    for (answer, status) in [
        ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", 302),
        ("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", 410),
    ] {
        let house = House::new().await;
        let (url, _task) = endpoint(Some(answer)).await;
        set(&house, &url).await;
        let outcome = house.system.pusher.test().await.unwrap();
        assert_eq!((outcome.delivered, outcome.status), (false, Some(status)));
        assert!(outcome.error.unwrap().contains(&status.to_string()));
    }
}

#[tokio::test]
async fn silence_and_closed_ports_are_told_without_the_endpoints_path() {
    let house = House::new().await;
    let (url, _task) = endpoint(None).await;
    set(&house, &url).await;
    let mut pusher = Pusher::new(Arc::clone(&house.system.profiles), Arc::clone(&house.system.settings));
    pusher.timeout = Duration::from_millis(200);
    let outcome = pusher.test().await.unwrap();
    assert_eq!((outcome.delivered, outcome.status), (false, None));
    assert!(outcome.latency_ms >= 200 && outcome.error.unwrap().contains("200 ms"));
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    set(&house, &format!("http://127.0.0.1:{port}/push/key")).await;
    let outcome = house.system.pusher.test().await.unwrap();
    assert_eq!((outcome.delivered, outcome.status), (false, None));
    assert!(!outcome.error.unwrap().contains("push/key"));
}

#[tokio::test]
async fn without_an_endpoint_there_is_nothing_to_test() {
    let house = House::new().await;
    assert!(matches!(house.system.pusher.test().await, Err(SystemError::NotSet(_))));
}

#[test]
fn an_endpoint_is_public_or_on_this_machine() {
    for url in ["https://push.example/x", "https://1.1.1.1/", "http://127.0.0.1:8080/x", "http://localhost/x", "https://[::1]/x"]
    {
        assert!(check(url).is_ok(), "{url}");
    }
    for url in [
        "",
        "push.example",
        "ftp://push.example/",
        "file:///etc/passwd",
        "http://push.example/x",
        "https://10.0.0.1/x",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://0x7f000001.example@10.0.0.1/",
        "https://2130706433.evil.example@127.0.0.1/",
        "https://ann:secret@push.example/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "http://0.0.0.0/",
        "http://167772161/",
    ] {
        assert!(check(url).is_err(), "{url}");
    }
    assert!(check(&format!("https://push.example/{}", "x".repeat(MAX_URL))).is_err());
}

#[tokio::test]
async fn a_name_that_leads_into_the_network_is_refused_when_it_is_used() {
    // `ip6-localhost` and the like are names of this machine that are not spelt `localhost`: as good as any rebinding name.
    for name in ["ip6-localhost", "ip6-loopback"] {
        let url = Url::parse(&format!("https://{name}:9/")).unwrap();
        let error = send(url, None).await.unwrap_err();
        assert!(error.contains(name), "{error}");
    }
}
