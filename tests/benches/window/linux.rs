//! The measuring itself: a browser, the app on a display of its own, and what `/proc` tells of it.
#![allow(
    clippy::disallowed_methods,
    reason = "each of these tests has a process and a runtime of its own, and waits for other programs"
)]
#![allow(clippy::print_stdout, reason = "figures are printed")]

#[allow(dead_code, reason = "tests use the rest")]
#[path = "../../tests/browser.rs"]
mod browser;

use browser::{Browser, Running, family, x11::Display};
use fantoccini::{error::ErrorStatus, wd::WebDriverCompatibleCommand};
use kith_node::NodeRecord;
use kith_tests::{Served, admin_token, client, kith};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

/// Loads and starts measured.
const TRIES: usize = 7;
/// How long idleness is watched.
const IDLE: Duration = Duration::from_secs(30);

/// A command of Chromium's own.
#[derive(Debug)]
struct Cdp(&'static str, Value);

impl WebDriverCompatibleCommand for Cdp {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({"cmd": self.0, "params": self.1}).to_string()))
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Milliseconds from the beginning of a load until one can type.
async fn interactive() -> Result<f64, ErrorStatus> {
    let data = tempfile::tempdir().expect("a folder");
    let node = Served::start(data.path()).await;
    let browser = Browser::chromium(1280, 800).await.expect("chromium and chromedriver");
    let watch = "new MutationObserver((_, observer) => {\
        if (document.querySelector('textarea[aria-label=Message]')) { observer.disconnect(); requestAnimationFrame(() => { window.kithReady = performance.now(); }); }\
        }).observe(document, {childList: true, subtree: true});";
    let watch = Cdp("Page.addScriptToEvaluateOnNewDocument", json!({"source": watch}));
    browser.page.issue_cmd(watch).await.expect("the script is taken");
    let ticket = client()
        .post(format!("{}/api/v1/auth/bootstrap-tickets", node.url))
        .header("x-kith-admin-token", admin_token(data.path()));
    let ticket: Value = ticket.json(&json!({})).send().await.expect("an answer").json().await.expect("a ticket");
    browser
        .page
        .goto(&format!("{}/app/chat#ticket={}", node.url, ticket["ticket"].as_str().expect("a ticket")))
        .await
        .expect("a page");
    browser.until("one can type", "return window.kithReady").await;
    let mut figures = Vec::new();
    for _ in 0..TRIES {
        browser.page.refresh().await.expect("a page");
        figures.push(browser.until("one can type", "return window.kithReady").await.as_f64().expect("a number"));
    }
    browser.close().await;
    Ok(median(figures))
}

fn field(pid: u32, file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|figure| figure.parse().ok()).unwrap_or(0)
}

/// Seconds of processor time used so far.
fn processor(pids: &[u32]) -> f64 {
    let ticks = |pid: &u32| -> Option<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
        Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
    };
    // Linux counts in hundredths of a second on every architecture here.
    pids.iter().filter_map(ticks).sum::<u64>() as f64 / 100.0
}

fn wait(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn start(display: &Display, data: &Path, home: &Path) -> Running {
    let mut command = display.command(&kith().with_file_name("kith-desktop"), home);
    command.arg("--data-dir").arg(data);
    Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

fn memory(pids: &[u32], figure: &str) -> f64 {
    pids.iter().map(|pid| field(*pid, "smaps_rollup", figure)).sum::<u64>() as f64 / 1024.0
}

/// Prints every figure.
#[tokio::main]
pub async fn measure() {
    // The test runner asks every program what tests it has.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let typing = interactive().await.expect("a figure");
    println!("time to interactive, warm node, Chromium: {typing:.0} ms");

    let display = Display::start().expect("Xvfb");
    let (data, home) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    std::fs::write(data.path().join("config.toml"), "[api]\nport = 0\n").expect("written");
    let mut shown = Vec::new();
    for turn in 0..TRIES {
        let begun = Instant::now();
        let app = start(&display, data.path(), home.path());
        wait("the window is shown", || display.shows("Kith"));
        shown.push(begun.elapsed().as_secs_f64() * 1000.0);
        let node = NodeRecord::read(data.path()).expect("a node");
        if turn + 1 < TRIES {
            assert!(std::process::Command::new("kill").arg(node.pid.to_string()).status().expect("kill").success());
            wait("it ends", || NodeRecord::read(data.path()).is_none() && !display.shows("Kith"));
            drop(app);
            continue;
        }
        println!("start of the app to its page shown, with the node's start: {:.0} ms", median(shown.clone()));
        std::thread::sleep(Duration::from_secs(5));
        let pids = family(node.pid);
        println!(
            "memory, window shown: {:.0} MB resident in the app, {:.0} MB proportional with its view",
            memory(&pids[..1], "Rss:"),
            memory(&pids, "Pss:")
        );
        display.close("Kith");
        std::thread::sleep(Duration::from_secs(10));
        let pids = family(node.pid);
        let before = processor(&pids);
        std::thread::sleep(IDLE);
        let used = (processor(&pids) - before) / IDLE.as_secs_f64() * 100.0;
        println!("window hidden: {used:.2} % of one processor over {} s", IDLE.as_secs());
        println!(
            "memory, window hidden: {:.0} MB resident in the app, {:.0} MB proportional with its view",
            memory(&pids[..1], "Rss:"),
            memory(&pids, "Pss:")
        );
        assert!(std::process::Command::new("kill").arg(node.pid.to_string()).status().expect("kill").success());
        wait("it ends", || NodeRecord::read(data.path()).is_none() && !display.shows("Kith"));
    }

    // Dropped after ten minutes; here at once.
    let mut command = display.command(&kith().with_file_name("kith-desktop"), home.path());
    command.arg("--data-dir").arg(data.path()).args(["--drop-after", "0"]);
    let app = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    wait("the window is shown", || display.shows("Kith"));
    std::thread::sleep(Duration::from_secs(5));
    display.close("Kith");
    std::thread::sleep(Duration::from_secs(10));
    let pids = family(NodeRecord::read(data.path()).expect("a node").pid);
    println!(
        "memory, window dropped: {:.0} MB resident in the app, {:.0} MB proportional in all",
        memory(&pids[..1], "Rss:"),
        memory(&pids, "Pss:")
    );
    drop(app);
}
