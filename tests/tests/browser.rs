//! A browser, or the app's own window, driven by WebDriver. The drivers come from the system; where they are missing the tests
//! that need them say so, and in CI they must be there.
#![allow(
    clippy::disallowed_methods,
    reason = "each of these tests has a process and a runtime of its own, and waits for other programs"
)]

#[path = "browser/x11.rs"]
pub mod x11;

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, wd::Capabilities};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a page may take for what is waited for.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The program of this name, or `None` (said aloud) where the machine lacks it. In CI it must be there.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is missing");
        println!("skipped: {name} is not installed; fetch it with: cargo xtask setup");
    }
    found
}

/// A process that is ended, with all it started, when this is dropped.
pub struct Running(pub Child);

impl Running {
    /// Starts it in the test's own group, which the test runner ends as a whole if the test takes too long.
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().expect("it starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let all = family(self.0.id());
        signal("-TERM", &all[..1]);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) && !matches!(self.0.try_wait(), Ok(Some(_)) | Err(_)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        signal("-KILL", &all);
        let _ = self.0.wait();
    }
}

fn signal(which: &str, processes: &[u32]) {
    let _ = Command::new("kill").arg(which).args(processes.iter().map(u32::to_string)).stderr(Stdio::null()).status();
}

/// The process and all that it, or its children, started and that still has a parent among them.
pub fn family(root: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
    };
    let listed = std::fs::read_dir("/proc").expect("processes are listed").flatten();
    let pairs: Vec<(u32, u32)> = listed
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, parent(pid)?))
        })
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(of) = found.get(at).copied() {
        found.extend(pairs.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        at += 1;
    }
    found
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("an address").port()
}

/// A page under a driver's hand.
pub struct Browser {
    /// Speaks to the driver.
    pub page: Client,
    _driver: Running,
    _profile: TempDir,
}

impl Browser {
    /// Chromium with a view so large, as a phone or as a desktop; `None` where there is none.
    pub async fn chromium(width: u32, height: u32) -> Option<Self> {
        let (driver, chromium) = (program("chromedriver")?, program("chromium")?);
        let profile = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let driver = Running::start(
            Command::new(driver)
                .arg(format!("--port={port}"))
                .env("HOME", profile.path())
                .env("TMPDIR", profile.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        let mut arguments: Vec<String> = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--hide-scrollbars",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().join("profile").display()));
        arguments.push(format!("--window-size={width},{height}"));
        let mut options = json!({"binary": chromium, "args": arguments});
        if width < 700 {
            options["mobileEmulation"] =
                json!({"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1.0, "touch": true, "mobile": true}});
        }
        // The node's certificate is its own; a person compares its fingerprint.
        let wishes = json!({"goog:chromeOptions": options, "acceptInsecureCerts": true});
        let page = connect(port, &wishes).await;
        if width >= 700 {
            // Headless windows keep some of their height for a bar that is not there.
            let inner = page.execute("return [innerWidth, innerHeight]", vec![]).await.expect("a size");
            let missing = |at: usize, wanted: u32| {
                wanted.saturating_sub(u32::try_from(inner[at].as_u64().expect("a number")).expect("small"))
            };
            page.set_window_size(width + missing(0, width), height + missing(1, height)).await.expect("a size");
        }
        Some(Self { page, _driver: driver, _profile: profile })
    }

    /// A browser that was started in another way.
    pub const fn over(page: Client, driver: Running, profile: TempDir) -> Self {
        Self { page, _driver: driver, _profile: profile }
    }

    /// Waits for what a CSS selector finds.
    pub async fn find(&self, css: &str) -> Element {
        match self.page.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => panic!("no {css}: {error}\n{}", self.words().await),
        }
    }

    /// Waits for a button or link with these words, or this label, and clicks it.
    pub async fn click(&self, name: &str) {
        let path = format!(
            "//*[self::button or self::a or self::label or @role='menuitem' or @role='menuitemradio' or @role='tab']\
             [normalize-space()='{name}' or @aria-label='{name}']"
        );
        let begun = Instant::now();
        loop {
            // What is drawn anew between being found and being clicked is looked for again.
            for found in self.page.find_all(Locator::XPath(&path)).await.unwrap_or_default() {
                if found.is_displayed().await.unwrap_or(false) && found.click().await.is_ok() {
                    return;
                }
            }
            if begun.elapsed() > PATIENCE {
                panic!("nothing called {name:?} can be clicked\n{}", self.words().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a script gives something true, and gives it.
    pub async fn until(&self, what: &str, script: &str) -> Value {
        self.until_within(PATIENCE, what, script).await
    }

    /// As [`Browser::until`], for what takes its time.
    pub async fn until_within(&self, patience: Duration, what: &str, script: &str) -> Value {
        let begun = Instant::now();
        loop {
            let found = self.page.execute(script, vec![]).await;
            match found {
                Ok(Value::Null | Value::Bool(false)) | Err(_) => {}
                Ok(Value::String(text)) if text.is_empty() => {}
                Ok(found) => return found,
            }
            if begun.elapsed() > patience {
                panic!("waited in vain until {what}\n{}", self.words().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// All words of the page.
    pub async fn words(&self) -> String {
        let script = "return location.href + '\\n' + document.body.innerText";
        match self.page.execute(script, vec![]).await {
            Ok(Value::String(text)) => text,
            other => format!("{other:?}"),
        }
    }

    /// Writes into what has the focus or is found.
    pub async fn write(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.click().await.expect("a click");
        field.send_keys(text).await.expect("keys");
    }

    /// A picture of the page, into `target/screens`.
    pub async fn picture(&self, name: &str) {
        let folder = screens();
        std::fs::create_dir_all(&folder).expect("a folder");
        let png = self.page.screenshot().await.expect("a picture");
        std::fs::write(folder.join(format!("{name}.png")), png).expect("written");
    }

    /// Serious violations that axe-core finds on the page, one a line; `None` where axe-core is not installed.
    pub async fn violations(&self) -> Option<Vec<String>> {
        let folder = std::env::var_os("KITH_TEST_JAVASCRIPT").map(PathBuf::from)?;
        let axe = std::fs::read_to_string(folder.join("node_modules/axe-core/axe.min.js")).ok()?;
        self.page.execute(&axe, vec![]).await.expect("axe-core loads");
        let script = "const done = arguments[arguments.length - 1];\
            axe.run(document, {resultTypes: ['violations']}).then(found => done(found.violations\
            .filter(one => ['serious', 'critical'].includes(one.impact))\
            .map(one => `${one.id}: ${one.nodes.map(node => node.target.join(' ')).join(', ')}: ${one.nodes[0].failureSummary}`)),\
            error => done([String(error)]))";
        let found = self.page.execute_async(script, vec![]).await.expect("axe-core runs");
        Some(found.as_array().expect("a list").iter().map(|one| one.as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Ends the session in order.
    pub async fn close(self) {
        let _ = self.page.clone().close().await;
    }
}

/// Where pictures of pages land: `screens` in the build's folder.
pub fn screens() -> PathBuf {
    let program = kith_tests::kith();
    let debug = program.parent().and_then(Path::parent).expect("the build's folder");
    debug.join("screens")
}

/// A session of the driver that is about to listen on the port.
pub async fn connect(port: u16, wishes: &Value) -> Client {
    let wishes: Capabilities = wishes.as_object().expect("an object").clone();
    let begun = Instant::now();
    loop {
        let mut builder = ClientBuilder::new(HttpConnector::new());
        match builder.capabilities(wishes.clone()).connect(&format!("http://127.0.0.1:{port}")).await {
            Ok(page) => return page,
            Err(error) if begun.elapsed() > PATIENCE => panic!("no session: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
