//! `run`: from a checkout to a streamed answer of the real model, with nothing but the product's own command line.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::paths::Paths;
use crate::{check, icons, model, pages, process, setup};

/// What a small model answers well and shortly.
const PROMPT: &str = "Why is the sky blue? Answer in two sentences.";

/// The longest answer shown, in tokens.
const MOST_TOKENS: &str = "128";

/// How long the app may take until its node answers.
const STARTING: Duration = Duration::from_secs(60);

/// How long a stopping node may take for its own work before it is ended.
const STOPPING: Duration = Duration::from_secs(15);

/// What the person asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// No window.
    pub headless: bool,
    /// Stop the node after the answer.
    pub once: bool,
    /// Passed on to the node; without it, the user's usual folder.
    pub data_dir: Option<String>,
    /// Passed on to the node.
    pub port: Option<String>,
    /// Asked in place of the usual question.
    pub prompt: Option<String>,
}

impl Wishes {
    /// Reads the arguments after `run`.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut wishes = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let mut value = || inline.clone().or_else(|| rest.next().cloned()).with_context(|| format!("{name} needs a value"));
            match name {
                "--headless" => wishes.headless = true,
                "--once" => wishes.once = true,
                "--data-dir" => wishes.data_dir = Some(value()?),
                "--port" => wishes.port = Some(value()?),
                "--prompt" => wishes.prompt = Some(value()?),
                other => bail!("run knows no argument {other:?}"),
            }
        }
        Ok(wishes)
    }
}

/// Sets up, builds, starts the node or finds the running one, and shows one answer.
pub fn run(paths: &Paths, wishes: &Wishes) -> Result<()> {
    let file = setup::for_running(paths)?;
    pages::build(paths, pages::Effort::Small)?;
    icons::build(paths)?;
    process::run(&mut check::build(paths))?;

    let windowed = !wishes.headless && has_display(|name| env::var_os(name));
    let (node, url) = match running_url(paths, wishes) {
        Some(url) => (None, url),
        None if windowed => Node::start_app(paths, wishes).map(|(node, url)| (Some(node), url))?,
        None => Node::start(paths, wishes).map(|(node, url)| (Some(node), url))?,
    };
    if !in_library(paths, wishes)? {
        process::run(kith(paths, wishes).arg("import").arg(&file).args(["--name", model::NAME]))?;
    }
    println!("Kith answers at {url}");
    if !wishes.headless {
        println!("point your client there; OpenAI's dialect lives below {url}/v1");
        // Without a screen (a server, a container) the window waits for a browser: everything else works.
        if !windowed && !process::succeeds(kith(paths, wishes).arg("open")) {
            println!("no window could be opened; `kith open --print` prints its address");
        }
    }
    let prompt = wishes.prompt.as_deref().unwrap_or(PROMPT);
    println!("\n> {prompt}\n");
    std::io::stdout().flush()?;
    let mut ask = kith(paths, wishes);
    ask.args(["run", model::NAME, "--temperature", "0", "--num-predict", MOST_TOKENS, "--", prompt]).stdin(Stdio::null());
    let status = ask.status().with_context(|| format!("could not start `{}`", process::shown(&ask)))?;
    if !status.success() {
        bail!("the model did not answer ({status})");
    }
    println!();
    match node {
        Some(node) if wishes.once => node.stop(paths, wishes),
        Some(node) => {
            println!("the node runs until Ctrl-C");
            node.wait()
        }
        None if windowed && !wishes.once => {
            println!("the node was running before and goes on; the app runs until Ctrl-C");
            process::run(&mut app(paths, wishes))
        }
        None => {
            println!("the node was running before and goes on");
            Ok(())
        }
    }
}

/// The product's command line for the wished data folder.
fn kith(paths: &Paths, wishes: &Wishes) -> Command {
    let mut command = Command::new(paths.built("kith"));
    // The node of this folder is meant, not one that the shell happens to point at.
    command.env_remove("KITH_URL").current_dir(&paths.root);
    if let Some(folder) = &wishes.data_dir {
        command.args(["--data-dir", folder]);
    }
    command
}

/// The app for the wished data folder.
fn app(paths: &Paths, wishes: &Wishes) -> Command {
    let mut command = Command::new(paths.built("kith-desktop"));
    command.current_dir(&paths.root);
    if let Some(folder) = &wishes.data_dir {
        command.args(["--data-dir", folder]);
    }
    if let Some(port) = &wishes.port {
        command.env("KITH_PORT", port);
    }
    command
}

/// Whether a window can be shown.
fn has_display(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    cfg!(any(windows, target_os = "macos"))
        || ["WAYLAND_DISPLAY", "DISPLAY"].iter().any(|name| variable(name).is_some_and(|value| !value.is_empty()))
}

/// Where the node of the data folder listens, if one runs.
fn running_url(paths: &Paths, wishes: &Wishes) -> Option<String> {
    let status = process::text_of(kith(paths, wishes).arg("status")).ok()?;
    url_in_status(&status)
}

fn url_in_status(status: &str) -> Option<String> {
    let mut rows = status.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.find_map(|row| match row[..] {
        [name, value] if name.trim_end_matches(':').eq_ignore_ascii_case("url") => Some(value.to_owned()),
        _ => None,
    })
}

fn in_library(paths: &Paths, wishes: &Wishes) -> Result<bool> {
    let listed = process::text_of(kith(paths, wishes).args(["list", "--json"]))?;
    holds_default_model(&listed)
}

fn holds_default_model(listed: &str) -> Result<bool> {
    let listed: serde_json::Value = serde_json::from_str(listed).context("`kith list --json` did not print JSON")?;
    let models = listed["models"].as_array().context("`kith list --json` names no models")?;
    Ok(models.iter().any(|entry| entry["name"] == model::NAME))
}

/// A node started here; ended with it.
pub struct Node {
    process: Child,
}

impl Node {
    fn start(paths: &Paths, wishes: &Wishes) -> Result<(Self, String)> {
        let mut command = kith(paths, wishes);
        command.arg("serve");
        if let Some(port) = &wishes.port {
            command.args(["--port", port]);
        }
        eprintln!("$ {}", process::shown(&command));
        Self::spawn(&mut command)
    }

    /// Starts the app, which brings a node.
    fn start_app(paths: &Paths, wishes: &Wishes) -> Result<(Self, String)> {
        let mut command = app(paths, wishes);
        eprintln!("$ {}", process::shown(&command));
        let process = command.stdin(Stdio::null()).spawn().context("could not start the app")?;
        let mut node = Self { process };
        let found = process::poll(STARTING, Duration::from_millis(200), || {
            let ended = node.process.try_wait().ok().flatten().map(|status| Err(anyhow!("the app ended ({status})")));
            ended.or_else(|| running_url(paths, wishes).map(Ok))
        });
        let url = found.context("the app's node did not answer in time")??;
        Ok((node, url))
    }

    /// Starts `kith serve` as given and reads its one line: the node and its URL.
    pub fn spawn(serve: &mut Command) -> Result<(Self, String)> {
        let line = process::shown(serve);
        let process = serve.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut node = Self { process: process.with_context(|| format!("could not start `{line}`"))? };
        let stdout = node.process.stdout.take().context("the node has no standard output")?;
        let mut stdout = BufReader::new(stdout);
        let mut first = String::new();
        stdout.read_line(&mut first).context("could not read what the node says")?;
        let Some(url) = first.trim().strip_prefix("listening on ") else {
            let status = node.process.wait().context("the node is lost")?;
            bail!("the node did not start ({status})");
        };
        let url = url.split_whitespace().next().unwrap_or(url).trim_end_matches('/').to_owned();
        keep_reading(stdout);
        Ok((node, url))
    }

    /// The node's process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    fn wait(mut self) -> Result<()> {
        let status = self.process.wait().context("the node is lost")?;
        if !status.success() {
            bail!("the node ended ({status})");
        }
        Ok(())
    }

    fn stop(mut self, paths: &Paths, wishes: &Wishes) -> Result<()> {
        process::run(kith(paths, wishes).args(["stop", "--node"]))?;
        let ended = process::poll(STOPPING, Duration::from_millis(20), || self.process.try_wait().ok().flatten());
        match ended {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the node ended with {status}"),
            None => bail!("the node did not end within {} s of being told to", STOPPING.as_secs()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Already gone is what is wanted; there is nobody to tell of anything else.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A pipe that nobody reads would stop the node once it is full.
fn keep_reading(mut stdout: BufReader<ChildStdout>) {
    thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Wishes> {
        Wishes::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn wishes_are_read_with_or_without_an_equals_sign() {
        let wishes = parse("--headless --once --data-dir=/d --port 0").unwrap();
        assert!(wishes.headless && wishes.once);
        assert_eq!((wishes.data_dir.as_deref(), wishes.port.as_deref()), (Some("/d"), Some("0")));
        assert_eq!(parse("").unwrap(), Wishes::default());
    }

    #[test]
    fn an_unknown_or_unfinished_argument_is_refused_by_name() {
        assert_eq!(parse("--fly").unwrap_err().to_string(), "run knows no argument \"--fly\"");
        assert_eq!(parse("--port").unwrap_err().to_string(), "--port needs a value");
    }

    #[test]
    fn a_running_node_is_known_by_the_url_in_its_status() {
        assert_eq!(
            url_in_status("Node\n  url      http://127.0.0.1:4343\n  running  true\n").as_deref(),
            Some("http://127.0.0.1:4343")
        );
        assert_eq!(url_in_status("Node\n  running  true\n"), None);
    }

    #[test]
    fn the_default_model_is_looked_for_by_its_whole_name() {
        assert!(holds_default_model(r#"{"models":[{"name":"smollm2:135m"}]}"#).unwrap());
        assert!(!holds_default_model(r#"{"models":[{"name":"smollm2:135m-q8"}]}"#).unwrap());
        assert!(!holds_default_model(r#"{"models":[]}"#).unwrap());
        assert!(holds_default_model("no").is_err());
    }
}
