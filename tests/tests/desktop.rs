//! The app itself, its real window driven by WebKitWebDriver on a display of its own, with the real model.
#![allow(
    clippy::disallowed_methods,
    reason = "each of these tests has a process and a runtime of its own, and waits for other programs"
)]

use crate::browser::{Browser, Running, connect, family, free_port, program, x11::Display};
use kith_node::NodeRecord;
use kith_tests::{admin_token, client, kith, kith_command, real_model};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const TITLE: &str = "Kith";
/// A debug build of the engine on a slow machine.
const ANSWER: Duration = Duration::from_secs(120);

fn app() -> PathBuf {
    let app = kith().with_file_name("kith-desktop");
    assert!(app.exists(), "{} is not built; tests are run with: cargo xtask test", app.display());
    app
}

fn wait_until(what: &str, patience: Duration, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < patience, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_alive(pid: u32) -> bool {
    // What has ended but is not reaped yet counts as ended.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

/// A folder of a node that has the real model under two names.
fn prepared(model: &Path) -> TempDir {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("config.toml"), "[api]\nport = 0\n").unwrap();
    for arguments in [vec!["import", model.to_str().unwrap(), "--name", "smollm2:135m"], vec!["cp", "smollm2:135m", "other:135m"]]
    {
        let done = kith_command(data.path()).args(&arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    let stopped = kith_command(data.path()).args(["stop", "--node"]).status().unwrap();
    assert!(stopped.success());
    data
}

/// The app under the driver's hand.
async fn start(display: &Display, data: &Path, arguments: &[&str]) -> Option<Browser> {
    let driver = program("WebKitWebDriver")?;
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = display.command(&driver, home.path());
    command.arg(format!("--port={port}")).env("TAURI_AUTOMATION", "true").env("TAURI_WEBVIEW_AUTOMATION", "true");
    let driver = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let mut given = vec!["--data-dir".to_owned(), data.to_str().unwrap().to_owned()];
    given.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let wishes = json!({"webkitgtk:browserOptions": {"binary": app(), "args": given}});
    let page = connect(port, &wishes).await;
    Some(Browser::over(page, driver, home))
}

#[tokio::test]
async fn a_person_opens_the_app_is_greeted_chats_stops_switches_closes_and_comes_back() {
    let (Some(model), Some(display)) = (real_model(), Display::start()) else { return };
    let data = prepared(&model);
    let Some(window) = start(&display, data.path(), &[]).await else { return };

    // First run: a name for the machine, the model that is there, and no more questions.
    window.until("the welcome is shown", "return document.querySelector('dialog.welcome[open]') !== null").await;
    wait_until("the window is to be seen", Duration::from_secs(10), || display.shows(TITLE));
    window.picture("desktop-welcome").await;
    window.click("Continue").await;
    let ready = "return /smollm2:135m|other:135m/.test(document.querySelector('dialog.welcome').innerText)";
    window.until("a model is ready", ready).await;
    window.click("Skip").await;
    window.until("the welcome is over", "return document.querySelector('dialog.welcome[open]') === null").await;

    // A long answer of the real model, whose words are seen as they come, and which is stopped.
    window.write("textarea[aria-label=Message]", "Write a very long story about the sea, with many chapters.").await;
    window.click("Send").await;
    let length = "return document.querySelector('article.kin')?.innerText.length ?? 0";
    window.until_within(ANSWER, "it writes", &format!("{length} > 60")).await;
    let early = window.page.execute(length, vec![]).await.unwrap().as_u64().unwrap();
    let busy = "document.querySelector('article.kin[aria-busy=true]')";
    let grown = format!("if (!{busy}) return false; {length} > {early}");
    window.until_within(ANSWER, "more of it comes while it writes", &grown).await;
    window.picture("desktop-chat").await;
    window.click("Stop").await;
    window.until("it stopped", &format!("return {busy} === null")).await;
    window.until("what was written stays", &format!("{length} > {early}")).await;

    // Another model.
    window.find(".picker button.chip").await.click().await.unwrap();
    window.until("both models are offered", "return [...document.querySelectorAll('[role=menuitemradio]')].length >= 2").await;
    let choose = "const other = [...document.querySelectorAll('[role=menuitemradio]')].find(one => one.innerText.includes('other:135m')); other.click(); return true";
    window.page.execute(choose, vec![]).await.unwrap();
    window
        .until("the other one is chosen", "return document.querySelector('.picker button.chip').innerText.includes('other:135m')")
        .await;

    // Dark, by the settings.
    let url = NodeRecord::read(data.path()).unwrap().url;
    window.page.goto(&format!("{url}/app/settings")).await.unwrap();
    window.click("Dark").await;
    let dark =
        "const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number); return r + g + b < 200";
    window.until("the page is dark", dark).await;
    window.picture("desktop-settings-dark").await;

    // The pages may ask the shell for little, and are told what is refused.
    let invoke = |command: &str, arguments: Value| {
        format!(
            "const done = arguments[arguments.length - 1]; window.__TAURI_INTERNALS__.invoke('{command}', {arguments})\
             .then(found => done({{found}}), error => done({{error: String(error)}}))"
        )
    };
    let state = window.page.execute_async(&invoke("shell_state", json!({})), vec![]).await.unwrap();
    assert_eq!(state["found"]["own_node"], true, "{state}");
    for command in [
        "plugin:window|close",
        "plugin:dialog|open",
        "plugin:clipboard-manager|read_text",
        "plugin:updater|check",
        "plugin:event|emit",
    ] {
        let refused = window.page.execute_async(&invoke(command, json!({})), vec![]).await.unwrap();
        assert!(refused["error"].as_str().is_some_and(|error| error.contains("not allowed")), "{command}: {refused}");
    }

    // Closed, it stays in the tray, and its node answers.
    let pid = NodeRecord::read(data.path()).unwrap().pid;
    display.close(TITLE);
    wait_until("the window is gone", Duration::from_secs(10), || !display.shows(TITLE));
    assert!(is_alive(pid));
    assert!(client().get(format!("{url}/health")).send().await.unwrap().status().is_success());

    // A second start raises it, and ends.
    let bus = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let bus = bus
        .split(|byte| *byte == 0)
        .find_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("DBUS_SESSION_BUS_ADDRESS="))
        .unwrap()
        .to_owned();
    let home = tempfile::tempdir().unwrap();
    // As a system's launcher starts it: with the address alone.
    let mut second = Command::new(app());
    display.at_home(&mut second, home.path());
    let second =
        second.env("DBUS_SESSION_BUS_ADDRESS", bus).env("KITH_DATA_DIR", data.path()).arg("kith://models").output().unwrap();
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    wait_until("the window is back", Duration::from_secs(20), || display.shows(TITLE));
    window.until("the address led to its page", "return location.pathname === '/app/models'").await;
    assert_eq!(NodeRecord::read(data.path()).unwrap().pid, pid, "there is one app");

    // Its end is orderly.
    let stopped = kith_command(data.path()).args(["stop", "--node"]).output().unwrap();
    assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
    wait_until("the app ends", Duration::from_secs(10), || !is_alive(pid));
    assert!(NodeRecord::read(data.path()).is_none());
    window.close().await;
}

/// The app on its own, without a driver.
fn alone(display: &Display, data: &Path, home: &Path, arguments: &[&str]) -> Running {
    let mut command = display.command(&app(), home);
    command.arg("--data-dir").arg(data).args(arguments);
    Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

fn running(data: &Path) -> NodeRecord {
    wait_until("the node tells where it is", Duration::from_secs(30), || {
        NodeRecord::read(data).is_some_and(|record| is_alive(record.pid))
    });
    NodeRecord::read(data).unwrap()
}

/// The processes in which the app's views live.
fn views_of(pid: u32) -> Vec<u32> {
    let name = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    family(pid).into_iter().filter(|pid| name(pid).starts_with("WebKitWebProces")).collect()
}

#[tokio::test]
async fn a_window_that_is_hidden_for_long_is_dropped_and_one_whose_process_dies_comes_back() {
    let Some(display) = Display::start() else { return };
    if program("WebKitWebDriver").is_none() {
        return;
    }
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(data.path().join("config.toml"), "[api]\nport = 0\n").unwrap();
    let app = alone(&display, data.path(), home.path(), &["--drop-after", "1"]);
    let node = running(data.path());
    wait_until("the window is to be seen", Duration::from_secs(30), || display.shows(TITLE));

    // The view's process is killed: the window comes back with another.
    let view = || views_of(node.pid).first().copied();
    let first = view().expect("a view");
    assert!(Command::new("kill").args(["-9", &first.to_string()]).status().unwrap().success());
    wait_until("another view is there", Duration::from_secs(30), || view().is_some_and(|other| other != first));
    wait_until("the window is to be seen again", Duration::from_secs(30), || display.shows(TITLE));

    // Hidden, it is dropped, and its memory with it.
    display.close(TITLE);
    wait_until("the view is gone", Duration::from_secs(30), || views_of(node.pid).is_empty());
    assert!(is_alive(node.pid));
    assert!(client().get(format!("{}/health", node.url)).send().await.unwrap().status().is_success());

    // Told to end, it ends in order.
    assert!(Command::new("kill").arg(node.pid.to_string()).status().unwrap().success());
    wait_until("the app ends", Duration::from_secs(10), || !is_alive(node.pid));
    assert!(NodeRecord::read(data.path()).is_none());
    drop(app);
}

#[tokio::test]
async fn the_app_joins_a_node_that_runs_and_takes_over_when_that_one_dies() {
    let Some(display) = Display::start() else { return };
    if program("WebKitWebDriver").is_none() {
        return;
    }
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = kith_tests::Served::start(data.path()).await;
    let token = admin_token(data.path());
    let app = alone(&display, data.path(), home.path(), &[]);
    wait_until("the window is to be seen", Duration::from_secs(30), || display.shows(TITLE));
    assert_eq!(running(data.path()).pid, first.pid(), "there is one node");
    assert_eq!(admin_token(data.path()), token);
    std::fs::write(data.path().join("config.toml"), "[api]\nport = 0\n").unwrap();
    first.kill();
    let dead = NodeRecord::read(data.path()).unwrap().pid;
    wait_until("the app's own node answers", Duration::from_secs(60), || {
        NodeRecord::read(data.path()).is_some_and(|record| record.pid != dead)
    });
    let node = running(data.path());
    assert!(client().get(format!("{}/health", node.url)).send().await.unwrap().status().is_success());
    assert!(Command::new("kill").arg(node.pid.to_string()).status().unwrap().success());
    wait_until("the app ends", Duration::from_secs(10), || !is_alive(node.pid));
    drop(app);
}

#[test]
fn without_a_display_the_app_says_so_in_one_line() {
    let output = Command::new(app()).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("kith serve"), "{said}");
}
