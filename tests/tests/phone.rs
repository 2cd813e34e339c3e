//! A phone's browser, from the code it scans to a chat and to being revoked; and every page as it looks on a phone and on a desk.

use crate::browser::Browser;
use fantoccini::{Locator, key::Key};
use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use kith_wire::system::{DeviceList, PairingInvitation};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// What a hostile or careless model says.
const ANSWER: &str = "Here is **bold** code:\n\n```rust\nfn main() {}\n```\n\n<script>window.owned = 1</script><img src=x \
    onerror=\"window.owned = 2\">\n\n[go](javascript:window.owned=3) and [there](https://example.org/)\n\n| a | b |\n|---|---|\n| 1 | 2 |\n";

async fn node(test: u8) -> TestNode {
    let engine = ScriptedEngine::new(|prompt| Ok(if prompt.contains("long") { "word ".repeat(400) } else { ANSWER.to_owned() }));
    let node =
        TestNode::with(&format!("[lan]\nbind = [\"127.78.0.{test}\"]\n"), engine.with_pace(Duration::from_millis(2))).await;
    node.import("tiny:1b", 1).await;
    node
}

async fn invite(node: &TestNode) -> PairingInvitation {
    node.as_admin(Method::POST, "/api/v1/devices/pair").send().await.unwrap().json().await.unwrap()
}

/// The address that lets a window in once.
async fn ticketed(node: &TestNode, page: &str) -> String {
    let answer = node.as_admin(Method::POST, "/api/v1/auth/bootstrap-tickets").json(&json!({})).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    format!("{}{page}#ticket={}", node.url, body["ticket"].as_str().unwrap())
}

#[tokio::test]
async fn a_phone_pairs_by_the_code_chats_and_is_put_out_when_it_is_revoked() {
    let Some(browser) = Browser::chromium(390, 844).await else { return };
    let node = node(1).await;
    let invitation = invite(&node).await;
    let base = invitation.url.split("/pair#").next().unwrap().to_owned();

    // A code that nobody was shown.
    browser.page.goto(&format!("{base}/pair#wrong")).await.unwrap();
    browser.click("Pair").await;
    browser.until("a wrong code is refused", "return document.body.innerText.includes('This is not the code')").await;

    browser.page.goto("about:blank").await.unwrap();
    browser.page.goto(&invitation.url).await.unwrap();
    let name = browser.find("input").await;
    name.clear().await.unwrap();
    name.send_keys("Ada's phone").await.unwrap();
    browser.picture("pair-390-light").await;
    browser.click("Pair").await;
    browser.find("textarea[aria-label=Message]").await;
    let address = browser.page.current_url().await.unwrap();
    assert_eq!(address.fragment(), None, "the code has left the address");

    browser.write("textarea[aria-label=Message]", "hello").await;
    browser.click("Send").await;
    browser.until("the answer is there", "return document.querySelector('article.kin table') !== null").await;
    assert_eq!(
        browser.page.execute("return window.owned ?? null", vec![]).await.unwrap(),
        Value::Null,
        "a model's script runs nowhere"
    );
    let links = "return [...document.querySelectorAll('article.kin a')].map(a => a.protocol).filter(p => !p.startsWith('http'))";
    assert_eq!(browser.page.execute(links, vec![]).await.unwrap(), json!([]), "a model's links lead to the web or nowhere");
    browser.picture("phone-chat-390-light").await;

    let devices: DeviceList = node.as_admin(Method::GET, "/api/v1/devices").send().await.unwrap().json().await.unwrap();
    let phone = devices.devices.iter().find(|device| device.name == "Ada's phone").expect("listed under its name");
    let revoked = node.as_admin(Method::DELETE, &format!("/api/v1/devices/{}", phone.id)).send().await.unwrap();
    assert!(revoked.status().is_success());
    // Its listener goes with the last device, so that the phone sees either refusal or silence.
    let out = "const t = document.body.innerText; return !document.querySelector('textarea[aria-label=Message]') || t.includes('has not answered since')";
    browser.until("the phone is out", out).await;

    // The code was good once.
    let again = invite(&node).await;
    browser.page.execute("localStorage.clear()", vec![]).await.unwrap();
    browser.page.goto("about:blank").await.unwrap();
    browser.page.goto(&invitation.url.replace(&base, again.url.split("/pair#").next().unwrap())).await.unwrap();
    browser.click("Pair").await;
    browser
        .until(
            "a used code is refused",
            "return /This code was used already|This code has expired/.test(document.body.innerText)",
        )
        .await;
    browser.close().await;
    node.stop().await;
}

#[tokio::test]
async fn a_replayed_ticket_opens_nothing_and_a_huge_paste_leaves_the_page_alive() {
    let Some(browser) = Browser::chromium(1280, 800).await else { return };
    let node = node(2).await;
    greeted(&node).await;
    let address = ticketed(&node, "/app").await;
    browser.page.goto(&address).await.unwrap();
    browser.find("textarea[aria-label=Message]").await;

    let paste = "const area = document.querySelector('textarea[aria-label=Message]'); area.focus();\
        const data = new DataTransfer(); data.setData('text/plain', 'a'.repeat(50 << 20));\
        area.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})); return true";
    browser.page.execute(paste, vec![]).await.unwrap();
    browser.until("the page says what it does not take", "return /large|long|MB|MiB/i.test(document.body.innerText)").await;
    let kept = "return document.querySelector('textarea[aria-label=Message]').value.length";
    assert!(browser.page.execute(kept, vec![]).await.unwrap().as_u64().unwrap() < 2 << 20);

    browser.page.execute("localStorage.clear(); sessionStorage.clear()", vec![]).await.unwrap();
    browser.page.goto("about:blank").await.unwrap();
    browser.page.goto(&address).await.unwrap();
    browser.until("the ticket is refused", "return document.querySelector('input[type=password]') !== null").await;
    browser.close().await;
    node.stop().await;
}

/// A node whose owner has seen the welcome.
async fn greeted(node: &TestNode) {
    let named = node.as_admin(Method::PUT, "/api/v1/profile").json(&json!({"display_name": "Study"})).send().await.unwrap();
    assert!(named.status().is_success(), "{}", named.text().await.unwrap());
}

#[tokio::test]
async fn a_name_of_a_model_that_is_html_stays_words_and_keys_lead_through_the_window() {
    let Some(browser) = Browser::chromium(1280, 800).await else { return };
    let node = node(3).await;
    greeted(&node).await;
    browser.page.goto(&ticketed(&node, "/app/chat").await).await.unwrap();
    browser.write("textarea[aria-label=Message]", "a long one").await;
    browser.page.active_element().await.unwrap().send_keys(&Key::Enter.to_string()).await.unwrap();
    browser.click("Stop").await;
    browser.until("it stopped", "return document.body.innerText.includes('stopped')").await;
    let words = browser.page.execute("return document.querySelector('article.kin').innerText.length", vec![]).await.unwrap();
    assert!(words.as_u64().unwrap() < 5 * 400, "it was stopped before its end");

    let name = "<img src=x onerror=window.owned=1>";
    let asked =
        node.as_admin(Method::POST, "/api/v1/models/import").json(&json!({"path": "/x", "name": name})).send().await.unwrap();
    assert!(asked.status().is_client_error(), "no model is called that");
    // So such a name only ever comes from elsewhere: a conversation that names it.
    let body = json!({"title": name, "model": name});
    let made = node.as_admin(Method::POST, "/api/v1/conversations").json(&body).send().await.unwrap();
    assert!(made.status().is_success(), "{}", made.text().await.unwrap());
    let made: Value = made.json().await.unwrap();
    browser.page.goto(&format!("{}/app/chat/{}", node.url, made["id"].as_str().unwrap())).await.unwrap();
    browser.until("the name is shown", "return document.body.innerText.includes('<img src=x')").await;
    assert_eq!(browser.page.execute("return window.owned ?? null", vec![]).await.unwrap(), Value::Null);

    // The palette, by the keyboard alone.
    let keys = format!("{}k", Key::Control);
    browser.page.active_element().await.unwrap().send_keys(&keys).await.unwrap();
    browser.until("the palette is open", "return document.activeElement.closest('.palette[role=dialog]') !== null").await;
    browser.page.active_element().await.unwrap().send_keys(&format!("settings{}", Key::Enter)).await.unwrap();
    browser.until("the palette led to the settings", "return location.pathname.startsWith('/app/settings')").await;
    browser.close().await;
    node.stop().await;
}

/// Each page and what says that it is there.
const PAGES: [(&str, &str); 11] = [
    ("chat", "textarea[aria-label=Message]"),
    ("models", "main h1, main h2, main [role=tablist], main .tabs"),
    ("models?tab=get", "main input"),
    ("activity", "main"),
    ("devices", "main"),
    ("network", "main"),
    ("api", "main code"),
    ("settings", "main"),
    ("settings/answers", "main"),
    ("settings/access", "main"),
    ("settings/about", "main"),
];

async fn look(width: u32, height: u32, theme: &str, test: u8) {
    let Some(browser) = Browser::chromium(width, height).await else { return };
    let node = node(test).await;
    greeted(&node).await;
    browser.page.goto(&ticketed(&node, "/app/chat").await).await.unwrap();
    browser.find("textarea[aria-label=Message]").await;
    browser.page.execute(&format!("localStorage.setItem('kith.theme', '{theme}')"), vec![]).await.unwrap();
    browser.page.refresh().await.unwrap();
    browser.write("textarea[aria-label=Message]", "hello").await;
    browser.click("Send").await;
    browser.until("the answer is there", "return document.querySelector('article.kin table') !== null").await;
    let talk = browser.page.current_url().await.unwrap();
    let mut faults = Vec::new();
    for (page, sign) in PAGES {
        let address = if page == "chat" { talk.to_string() } else { format!("{}/app/{page}", node.url) };
        browser.page.goto(&address).await.unwrap();
        browser.find(sign).await;
        browser
            .until("nothing loads any more", "return document.querySelectorAll('[aria-busy=true], .skeleton').length === 0")
            .await;
        let name = page.replace(['/', '?', '='], "-");
        browser.picture(&format!("{name}-{width}-{theme}")).await;
        let wide = browser.page.execute("return document.documentElement.scrollWidth - innerWidth", vec![]).await.unwrap();
        if wide.as_i64().is_some_and(|wide| wide > 0) {
            faults.push(format!("{page}: the page is {wide} pixels wider than the screen"));
        }
        let unnamed = browser.page.find_all(Locator::Css("button:not([aria-label]):empty")).await.unwrap().len();
        if unnamed > 0 {
            faults.push(format!("{page}: {unnamed} buttons without a name"));
        }
        match browser.violations().await {
            Some(found) => faults.extend(found.into_iter().map(|fault| format!("{page}: {fault}"))),
            None => assert!(std::env::var_os("CI").is_none(), "axe-core is missing"),
        }
    }
    browser.close().await;
    node.stop().await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn every_page_is_for_everybody_on_a_desk_by_day() {
    look(1280, 800, "light", 4).await;
}

#[tokio::test]
async fn every_page_is_for_everybody_on_a_desk_by_night() {
    look(1280, 800, "dark", 5).await;
}

#[tokio::test]
async fn every_page_is_for_everybody_on_a_phone_by_day() {
    look(360, 740, "light", 6).await;
}

#[tokio::test]
async fn every_page_is_for_everybody_on_a_phone_by_night() {
    look(390, 844, "dark", 7).await;
}
