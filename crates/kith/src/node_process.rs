//! Finding the node of a data directory, and starting one in the background where none runs.

use crate::{
    client::{Client, Credential},
    error::{CliError, Result},
    out,
};
use kith_node::NodeRecord;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The longest wait until a started node answers.
const START: Duration = Duration::from_secs(15);
/// The longest wait for the sign of life of a node that may be dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// How often a starting node is looked for.
const LOOK: Duration = Duration::from_millis(25);
/// How long another node, which may have won a race to start, is waited for after ours ended.
const RIVAL: Duration = Duration::from_secs(3);
/// The largest admin token or start-up log read, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// The token with which `data_dir`'s running node lets its owner in.
pub fn admin_token(data_dir: &Path) -> Option<Credential> {
    let token = read_small(&data_dir.join("admin.token"))?;
    let token = token.trim();
    (!token.is_empty()).then(|| Credential::Admin(token.to_owned()))
}

/// The running node of `data_dir`. A node.json left behind by a dead node, or whose port now is another's, counts as none.
pub async fn find(data_dir: &Path) -> Result<Option<(Client, NodeRecord)>> {
    let Some(record) = NodeRecord::read(data_dir) else { return Ok(None) };
    // Without the token: it may be a stranger who answers.
    let Ok(stranger) = Client::new(&record.url, None) else { return Ok(None) };
    match stranger.get_within("/health", SIGN_OF_LIFE).await {
        Ok(health) if health["node_id"] == record.node_id.as_str() => {
            Ok(Some((Client::new(&record.url, admin_token(data_dir).as_ref())?, record)))
        }
        _ => Ok(None),
    }
}

/// The running node of `data_dir`, started if there is none.
pub async fn find_or_start(data_dir: &Path) -> Result<Client> {
    if let Some((client, _)) = find(data_dir).await? {
        return Ok(client);
    }
    let _spinner = out::spinner("starting the node");
    let logs = data_dir.join("logs");
    make_private(data_dir)?;
    make_private(&logs)?;
    let log = logs.join("start.log");
    let mut child = spawn(data_dir, &log)?;
    wait(data_dir, &log, &mut child).await
}

/// Starts `kith serve` apart from this process and its terminal: Ctrl-C here does not reach it.
fn spawn(data_dir: &Path, log: &Path) -> Result<Child> {
    let own = std::env::current_exe().map_err(|error| CliError::local("cannot find the kith program", error))?;
    let stderr = fs::File::create(log).map_err(|error| CliError::local(format_args!("cannot write {}", log.display()), error))?;
    let mut command = Command::new(&own);
    command
        .args(["serve", "--background", "--data-dir"])
        .arg(data_dir)
        // So that the node keeps no other folder busy.
        .current_dir(data_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    #[cfg(windows)]
    {
        /// <https://learn.microsoft.com/windows/win32/procthread/process-creation-flags>
        const DETACHED_PROCESS: u32 = 0x0000_0008;
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
        std::os::windows::process::CommandExt::creation_flags(&mut command, DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
    }
    command.spawn().map_err(|error| CliError::local(format_args!("cannot start {}", own.display()), error))
}

/// Waits until a node answers for `data_dir`: `child`, or another that was started at the same moment.
async fn wait(data_dir: &Path, log: &Path, child: &mut Child) -> Result<Client> {
    let mut deadline = Instant::now() + START;
    let mut ended = None;
    loop {
        if let Some((client, _)) = find(data_dir).await? {
            return Ok(client);
        }
        if ended.is_none()
            && let Ok(Some(status)) = child.try_wait()
        {
            ended = Some(status);
            // It may have lost a race against another that is about to answer; a failure of its own is told soon.
            deadline = deadline.min(Instant::now() + if lost_race(data_dir) { RIVAL } else { Duration::ZERO });
        }
        if Instant::now() >= deadline {
            return Err(CliError::Unreachable(match ended {
                Some(status) => {
                    let reason = last_words(&read_small(log).unwrap_or_default()).unwrap_or_else(|| status.to_string());
                    format!("the node could not be started: {reason}")
                }
                None => format!(
                    "the node did not answer within {} s; its log is in {}",
                    START.as_secs(),
                    data_dir.join("logs").display()
                ),
            }));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether another node may be starting in the same folder. One holds the folder's lock before it writes its node.json, so the
/// only sure sign is what our own child said.
fn lost_race(data_dir: &Path) -> bool {
    let log = read_small(&data_dir.join("logs").join("start.log")).unwrap_or_default();
    log.contains(ANOTHER_NODE)
}

/// How `serve` says that the data directory belongs to another running node.
pub const ANOTHER_NODE: &str = "another node";

/// What a process that failed said last: its `error: ` line, or else its last line.
fn last_words(log: &str) -> Option<String> {
    let mut lines = log.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let last = lines.clone().next()?;
    Some(lines.find_map(|line| line.strip_prefix("error: ")).unwrap_or(last).to_owned())
}

/// Makes the folder `path` if need be, open to its owner alone.
pub fn make_private(path: &Path) -> Result<()> {
    kith_node::make_private(path)
        .map_err(|error| CliError::local(format_args!("cannot make the folder {}", path.display()), error))
}

/// The text of a file, or its first 64 KiB; `None` if it cannot be read.
fn read_small(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The platform's folder for a program's files, under the names that `var` looks up.
pub fn default_data_dir(var: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    kith_node::default_data_dir(var).ok_or_else(|| {
        CliError::Usage("there is no home directory: say where the node keeps its files with --data-dir".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_file_of_a_dead_node_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        assert!(find(dir).await.unwrap().is_none());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = format!(r#"{{"url":"http://{port}","pid":1,"node_id":"12D3KooWx","more":0}}"#);
        fs::write(dir.join("node.json"), text).unwrap();
        assert_eq!(NodeRecord::read(dir).unwrap().pid, 1);
        assert!(find(dir).await.unwrap().is_none());
        fs::write(dir.join("node.json"), "{\"url\":").unwrap();
        assert!(find(dir).await.unwrap().is_none());
    }

    #[test]
    fn a_failed_start_is_told_in_the_nodes_own_words() {
        assert_eq!(last_words("WARN x\nerror: port 4343 is taken\n\n").as_deref(), Some("port 4343 is taken"));
        assert_eq!(last_words("error: a\nerror: b\nnote").as_deref(), Some("b"));
        assert_eq!(last_words("killed\n").as_deref(), Some("killed"));
        assert_eq!(last_words("\n"), None);
    }

    #[test]
    fn an_empty_admin_token_is_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        fs::write(dir.join("admin.token"), " \n").unwrap();
        assert!(admin_token(dir).is_none());
        fs::write(dir.join("admin.token"), "secret\n").unwrap();
        assert!(matches!(admin_token(dir), Some(Credential::Admin(token)) if token == "secret"));
    }
}
