//! Whether Anthropic's command line program is on this machine and signed in. Reads, and changes nothing.

use serde_json::Value;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{io::AsyncReadExt, process::Command, time::timeout};

/// How long the program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes read of what it says.
const MAX_SAID: u64 = 4 << 10;
/// The most bytes read of its file.
const MAX_FILE: u64 = 64 << 10;
/// The longest word taken from either, in characters.
const MAX_WORD: usize = 128;

/// Where to look for the program and its file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaudeCli {
    /// Folders of programs, as in `PATH`.
    pub path: Option<OsString>,
    /// The user's folder.
    pub home: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscriptionStatus {
    /// Whether the program is there.
    pub installed: bool,
    /// Its version, in its own words; `None` if it did not tell.
    pub version: Option<String>,
    /// Whether somebody is signed in.
    pub authenticated: bool,
    /// The kind of subscription.
    pub subscription_type: Option<String>,
    /// The tier of its limits.
    pub rate_limit_tier: Option<String>,
}

impl ClaudeCli {
    /// Looks at the places the process's own environment names.
    pub fn of_this_process() -> Self {
        let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"));
        Self { path: std::env::var_os("PATH"), home: home.map(PathBuf::from) }
    }

    /// Looks. Takes at most five seconds.
    pub async fn status(&self) -> SubscriptionStatus {
        let program = self.program();
        let version = match &program {
            Some(program) => version(program).await,
            None => None,
        };
        let account = match &self.home {
            Some(home) => account(&home.join(".claude").join(".credentials.json")).await,
            None => None,
        };
        let word = |key: &str| account.as_ref().and_then(|account| account[key].as_str()).map(cut);
        SubscriptionStatus {
            installed: program.is_some(),
            version,
            authenticated: word("accessToken").is_some_and(|token| !token.is_empty()),
            subscription_type: word("subscriptionType"),
            rate_limit_tier: word("rateLimitTier"),
        }
    }

    fn program(&self) -> Option<PathBuf> {
        let names: &[&str] = if cfg!(windows) { &["claude.exe", "claude.cmd"] } else { &["claude"] };
        let folders = std::env::split_paths(self.path.as_ref()?).filter(|folder| folder.is_absolute());
        folders.flat_map(|folder| names.iter().map(move |name| folder.join(name))).find(|file| runs(file))
    }
}

/// Whether this file may be run.
fn runs(file: &Path) -> bool {
    let Ok(meta) = std::fs::metadata(file) else { return false };
    #[cfg(unix)]
    let allowed = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let allowed = true;
    meta.is_file() && allowed
}

async fn version(program: &Path) -> Option<String> {
    let mut child = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let mut said = Vec::new();
    let told = async {
        child.stdout.take()?.take(MAX_SAID).read_to_end(&mut said).await.ok()?;
        child.wait().await.ok().filter(std::process::ExitStatus::success)
    };
    timeout(PATIENCE, told).await.ok()??;
    let text = String::from_utf8_lossy(&said);
    text.lines().next().map(|line| cut(line.trim())).filter(|line| !line.is_empty())
}

async fn account(file: &Path) -> Option<Value> {
    let mut bytes = Vec::new();
    tokio::fs::File::open(file).await.ok()?.take(MAX_FILE).read_to_end(&mut bytes).await.ok()?;
    let mut whole: Value = serde_json::from_slice(&bytes).ok()?;
    whole.get_mut("claudeAiOauth").map(Value::take)
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_WORD).collect()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt, time::Instant};

    fn machine(script: Option<&str>, account: Option<&str>) -> (tempfile::TempDir, ClaudeCli) {
        let dir = tempfile::tempdir().unwrap();
        if let Some(script) = script {
            let file = dir.path().join("claude");
            fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        if let Some(account) = account {
            fs::create_dir(dir.path().join(".claude")).unwrap();
            fs::write(dir.path().join(".claude/.credentials.json"), account).unwrap();
        }
        let cli = ClaudeCli { path: Some(dir.path().into()), home: Some(dir.path().into()) };
        (dir, cli)
    }

    #[tokio::test]
    async fn a_program_that_is_signed_in_is_told_with_its_subscription_and_without_its_token() {
        let account = r#"{"claudeAiOauth": {"accessToken": "secret", "subscriptionType": "max", "rateLimitTier": "default_claude_max_5x"}}"#;
        let (_dir, cli) = machine(Some("echo '2.1.92 (Claude Code)'"), Some(account));
        let status = cli.status().await;
        assert_eq!(status.version.as_deref(), Some("2.1.92 (Claude Code)"));
        assert!(status.installed && status.authenticated && !format!("{status:?}").contains("secret"));
        assert_eq!(status.subscription_type.as_deref(), Some("max"));
        assert_eq!(status.rate_limit_tier.as_deref(), Some("default_claude_max_5x"));
    }

    #[tokio::test]
    async fn without_a_program_or_an_account_that_is_what_is_told() {
        let (_dir, cli) = machine(None, None);
        assert_eq!(cli.status().await, SubscriptionStatus::default());
        let (_dir, cli) = machine(Some("exit 1"), Some("nonsense"));
        assert_eq!(cli.status().await, SubscriptionStatus { installed: true, ..SubscriptionStatus::default() });
        assert_eq!(ClaudeCli::default().status().await, SubscriptionStatus::default());
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended() {
        let (_dir, cli) = machine(Some("exec sleep 60"), None);
        let began = Instant::now();
        let status = cli.status().await;
        assert!(status.installed && status.version.is_none() && began.elapsed() < PATIENCE * 3);
    }
}
