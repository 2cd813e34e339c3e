//! Reads documents: a PDF in a process of its own, since what a stranger's PDF takes of memory and time shows only then.
//!
//! The process is this same program with one argument. It reads a document from its input, tells one line of JSON on its output,
//! and ends; it is ended where it takes too much, and where nobody waits for it any more.

use async_trait::async_trait;
use kith_api::documents::{Documents, Turn, Unread};
use kith_documents::{DocumentError, MAX_BYTES, MAX_MEMORY, MAX_TEXT, MAX_TIME, Text};
use std::{
    io::{self, Read, Write},
    path::PathBuf,
    process::{ExitCode, Stdio},
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::Duration,
};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, ChildStdout, Command},
};

/// The argument that makes this program a reader.
const ARGUMENT: &str = "--read-document";
/// The longest line that is taken from a reader, in bytes: JSON makes six of one byte at most.
const MAX_LINE: u64 = 6 * MAX_TEXT as u64 + 4096;
/// The longest reason that is passed on from a reader, in bytes.
const MAX_REASON: usize = 200;
/// The pause between two looks at a reader's memory: what it may take beyond its bound is what it can fill in that time.
const LOOK: Duration = Duration::from_millis(50);
/// How long a reader lives whose node was killed and ends nobody any more. Longer than a living node waits.
const ALONE: Duration = Duration::from_secs(30);
/// The stack of the thread that reads, in bytes: parts of a PDF lie in one another.
const STACK: usize = 8 << 20;
/// All that a reader is given of the environment: what the system needs to load the program. The node's own holds keys.
const KEPT: &[&str] = if cfg!(windows) { &["SystemRoot", "PATH"] } else { &["LD_LIBRARY_PATH"] };
/// Windows is to open no console for a reader.
/// <https://learn.microsoft.com/windows/win32/procthread/process-creation-flags>
#[cfg(windows)]
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

/// Where this program lies, once it is known to read documents when asked.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Reads a document if a node started this program to that end, and gives the code to end with; `None` if it was started for
/// anything else. To be called first of all in `main`: a node in a program that does so has its PDFs read by further processes of
/// the program, and a node in any other program, such as a test, reads them itself, without bounds.
pub fn read_document_if_asked() -> Option<ExitCode> {
    let _ = PROGRAM.set(this_program());
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT || arguments.next().is_some() {
        return None;
    }
    Some(if read_and_tell().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn this_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        // The program that runs, also where an update has put another into its place.
        PathBuf::from("/proc/self/exe")
    } else {
        // Without a place nothing can be started there, and every request is told so.
        std::env::current_exe().unwrap_or_default()
    }
}

/// The life of a reader.
fn read_and_tell() -> io::Result<()> {
    // Where memory runs short, Linux is to end this process before any other.
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let (tell, told) = mpsc::sync_channel(1);
    thread::Builder::new().stack_size(STACK).spawn(move || {
        let mut document = Vec::new();
        // One byte more than is read of a document shows that it is too large.
        let read = io::stdin().lock().take(MAX_BYTES as u64 + 1).read_to_end(&mut document);
        let _ = tell.send(read.map(|_| kith_documents::text(&document)));
    })?;
    let found = told.recv_timeout(ALONE).map_err(io::Error::other)??;
    let mut output = io::stdout().lock();
    output.write_all(&line(&found)?)?;
    output.flush()
}

/// What a reader tells.
fn line(found: &Result<Text, DocumentError>) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(found)?;
    line.push(b'\n');
    Ok(line)
}

/// What a reader has told. Readers are not trusted: who made the document may have made them say anything.
fn heard(said: &[u8]) -> Result<Text, DocumentError> {
    let line = said.strip_suffix(b"\n").ok_or_else(fell)?;
    match serde_json::from_slice::<Result<Text, DocumentError>>(line) {
        Ok(Ok(text)) if text.text.len() <= MAX_TEXT => Ok(text),
        Ok(Err(DocumentError::Broken(mut reason))) => {
            reason.truncate(reason.floor_char_boundary(MAX_REASON));
            Err(DocumentError::Broken(reason))
        }
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Err(fell()),
    }
}

/// A reader fell over its document.
fn fell() -> DocumentError {
    DocumentError::Broken("it is damaged".to_owned())
}

/// The reader of documents for a node in this program.
pub(crate) fn documents() -> Arc<dyn Documents> {
    match PROGRAM.get() {
        Some(program) => Arc::new(Apart { program: program.clone(), arguments: &[ARGUMENT], memory: MAX_MEMORY, time: MAX_TIME }),
        None => Arc::new(Within),
    }
}

/// Reads in the node's own process.
struct Within;

#[async_trait]
impl Documents for Within {
    async fn text(&self, document: Vec<u8>, turn: Turn) -> Result<Text, Unread> {
        within(document, turn).await
    }
}

async fn within(document: Vec<u8>, turn: Turn) -> Result<Text, Unread> {
    let read = tokio::task::spawn_blocking(move || {
        // The thread goes on when nobody waits for it any more, and its turn lasts as long.
        let _turn = turn;
        kith_documents::text(&document)
    });
    Ok(read.await.unwrap_or_else(|_| Err(fell()))?)
}

/// Reads PDFs in processes of this program, and text, which takes no more than its size, in the node's own.
struct Apart {
    program: PathBuf,
    arguments: &'static [&'static str],
    /// The most memory a process may hold, in bytes.
    memory: u64,
    /// How long a process may take.
    time: Duration,
}

#[async_trait]
impl Documents for Apart {
    async fn text(&self, document: Vec<u8>, turn: Turn) -> Result<Text, Unread> {
        if !kith_documents::is_pdf(&document) {
            return within(document, turn).await;
        }
        let found = self.ask(&document).await;
        drop(turn);
        found
    }
}

impl Apart {
    /// Has a process read the document; it is gone when this ends, and killed when this is dropped.
    async fn ask(&self, document: &[u8]) -> Result<Text, Unread> {
        let mut child = self.command().spawn()?;
        let (Some(input), Some(output), Some(id)) = (child.stdin.take(), child.stdout.take(), child.id()) else {
            return Err(io::Error::other("it has no input or output").into());
        };
        let said = tokio::select! {
            said = converse(document, input, output) => Ok(said),
            () = self.outgrown(id) => Err(DocumentError::Heavy),
            () = tokio::time::sleep(self.time) => Err(DocumentError::Slow),
        };
        // A process that has told all has nothing left to do either. One that cannot be killed now is killed when it is dropped.
        let _ = child.kill().await;
        Ok(heard(&said?)?)
    }

    fn command(&self) -> Command {
        let kept = KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut command = Command::new(&self.program);
        command
            .args(self.arguments)
            .env_clear()
            .envs(kept)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        #[cfg(windows)]
        command.creation_flags(CREATE_NO_WINDOW);
        command
    }

    /// Completes once the process holds more memory than it may.
    async fn outgrown(&self, id: u32) {
        let id = Pid::from_u32(id);
        let mut system = System::new();
        let what = ProcessRefreshKind::nothing().without_tasks().with_memory();
        loop {
            tokio::time::sleep(LOOK).await;
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, what);
            if system.process(id).is_some_and(|process| process.memory() > self.memory) {
                return;
            }
        }
    }
}

/// Gives a reader its document, and takes what it says: at most [`MAX_LINE`] bytes.
async fn converse(document: &[u8], mut input: ChildStdin, output: ChildStdout) -> Vec<u8> {
    // A reader that ends early breaks off here; what it has said until then is judged below.
    if input.write_all(document).await.is_ok() {
        let _ = input.shutdown().await;
    }
    drop(input);
    let mut said = Vec::new();
    let _ = output.take(MAX_LINE).read_to_end(&mut said).await;
    said
}

#[cfg(test)]
mod tests;
