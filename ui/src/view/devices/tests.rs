//! What the devices page says of phones and codes.
use super::*;
use kith_types::Timestamp;

fn device(online: bool, seen: Option<i64>) -> DeviceInfo {
    DeviceInfo {
        id: "d".into(),
        name: "Pixel 9".into(),
        kind: DeviceKind::Phone,
        paired_at_ms: Timestamp::from_ms(0),
        last_seen_at_ms: seen.map(Timestamp::from_ms),
        address: "192.168.1.31".into(),
        online,
    }
}

#[test]
fn a_machine_is_told_by_what_its_owner_knows() {
    let mut node = ThisNode {
        id: "n".into(),
        name: "ada".into(),
        platform: "Linux (Debian GNU/Linux 12)".into(),
        arch: "x86_64".into(),
        cores: 2,
        memory_bytes: 24 << 30,
        version: "0.1.0".into(),
        uptime_ms: 7_500_000,
    };
    assert_eq!(machine(&node), "Debian GNU/Linux 12, 2 cores, 24 GB");
    assert_eq!(running(&node), "up 2 h 5 min");
    node.platform = "unknown".into();
    assert_eq!(machine(&node), "2 cores, 24 GB");
}

#[test]
fn devices_are_there_or_were_seen_or_never_came() {
    assert_eq!(seen(&device(true, Some(0)), 0), "online");
    assert_eq!(seen(&device(false, Some(0)), 130_000), "seen 2 min ago");
    assert_eq!(seen(&device(false, None), 0), "not seen yet");
    assert_eq!(came(&device(false, None), 60_000, 0), "paired today 00:00, 192.168.1.31");
    assert_eq!(headline(&[device(true, None), device(false, None)], true), "2 devices paired with this node, 1 online.");
}

#[test]
fn sharing_is_on_paused_broken_or_off() {
    let mut listener = DeviceListener::default();
    assert_eq!(Sharing::of(&listener), Sharing::Off);
    listener.fault = Some("the port is taken".into());
    assert_eq!((Sharing::of(&listener), means(&listener).as_str()), (Sharing::Broken, "The port is taken."));
    listener.on = true;
    assert_eq!(Sharing::of(&listener), Sharing::On);
    listener.paused = true;
    assert_eq!(Sharing::of(&listener), Sharing::Paused);
}

#[test]
fn a_code_counts_down_to_nothing() {
    assert_eq!(left(300_000, 0).as_deref(), Some("5:00"));
    assert_eq!(left(300_000, 28_500).as_deref(), Some("4:32"));
    assert_eq!(left(300_000, 299_999).as_deref(), Some("0:01"));
    assert_eq!(left(300_000, 300_000), None);
}

#[test]
fn a_browser_says_what_it_runs_on() {
    let pixel = "Mozilla/5.0 (Linux; Android 14; Pixel 9 Build/AP1A) AppleWebKit/537.36 Mobile Safari/537.36";
    let hidden = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/120.0.0.0 Mobile Safari/537.36";
    let firefox = "Mozilla/5.0 (Android 14; Mobile; rv:121.0) Gecko/121.0 Firefox/121.0";
    assert_eq!(guess(pixel, true), ("Pixel 9".to_owned(), DeviceKind::Phone));
    assert_eq!(guess(hidden, true), ("Android phone".to_owned(), DeviceKind::Phone));
    assert_eq!(guess(firefox, true), ("Android phone".to_owned(), DeviceKind::Phone));
    assert_eq!(guess("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)", true).0, "iPhone");
    assert_eq!(guess("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15)", false), ("Mac".to_owned(), DeviceKind::Computer));
    assert_eq!(guess("curl", false), ("My device".to_owned(), DeviceKind::Other));
}

#[test]
fn each_refusal_is_one_clear_page() {
    assert_eq!(refusal(410, "TICKET_USED").map(|page| page.title), Some("This code was used already"));
    assert_eq!(refusal(410, "TICKET_EXPIRED").map(|page| page.title), Some("This code has expired"));
    assert_eq!(refusal(401, "UNAUTHORIZED").map(|page| page.title), Some("This is not the code that is shown"));
    assert_eq!(refusal(429, "RATE_LIMITED"), None);
}
