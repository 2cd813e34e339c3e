//! `kith serve`: a node in this process, its log, and its end. The one file that builds and stops nodes.

use crate::{
    cli::Serve,
    context::Context,
    error::{CliError, Result},
    node_process::make_private,
    out,
};
use kith_node::{Aloud, Config, Log, LogError, Node, Overrides, StartError};
use serde_json::json;
use std::{io, path::Path};

/// Runs a node until it is told to stop by a signal or over the API.
pub async fn serve(context: &Context, options: &Serve) -> Result<()> {
    make_private(&context.data_dir)?;
    // Held until the end: dropping it writes out what is waiting.
    let _log = log(&context.data_dir, options)?;
    take_update(context)?;
    let mut signals = Signals::listen().map_err(|error| CliError::local("cannot listen for signals", error))?;
    let node = tokio::select! {
        node = start(context, options) => node?,
        () = signals.next() => return Ok(()),
    };
    tracing::info!(url = node.url(), version = env!("CARGO_PKG_VERSION"), "listening");
    announce(context, &node);
    tokio::select! {
        () = signals.next() => {}
        () = node.stop_requested() => {}
    }
    tracing::info!("stopping");
    tokio::select! {
        () = node.stop() => {}
        // Told twice: what was acknowledged is on disk already.
        () = signals.next() => return Err(CliError::Interrupted),
    }
    tracing::info!("stopped");
    Ok(())
}

/// Goes on as the version that lies ready, if one does. Where it cannot be taken, this one starts.
fn take_update(context: &Context) -> Result<()> {
    let Ok(program) = std::env::current_exe() else { return Ok(()) };
    match kith_node::take_staged(&context.data_dir, &program, env!("CARGO_PKG_VERSION")) {
        Ok(None) => Ok(()),
        Ok(Some(version)) => {
            tracing::info!(version, "the new version takes over");
            let mut next = std::process::Command::new(&program);
            next.args(std::env::args_os().skip(1));
            Err(CliError::local("the new version does not start", become_next(next)))
        }
        Err(error) => {
            tracing::warn!(%error, "the new version cannot be put in this one's place");
            Ok(())
        }
    }
}

/// Ends this program in favour of another; comes back only with an error.
#[cfg(unix)]
fn become_next(mut next: std::process::Command) -> io::Error {
    std::os::unix::process::CommandExt::exec(&mut next)
}

/// Ends this program with another one's end; comes back only with an error.
#[cfg(not(unix))]
fn become_next(mut next: std::process::Command) -> io::Error {
    match next.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}

async fn start(context: &Context, options: &Serve) -> Result<Node> {
    let mut overrides = Overrides { host: options.host, port: options.port };
    let memory = kith_node::machine_memory();
    let load = |overrides: &Overrides| Config::load(&context.data_dir, overrides, &kith_node::environment, memory);
    let refused = |error: StartError| CliError::Local(error.to_string());
    let config = load(&overrides).map_err(|error| CliError::Local(error.to_string()))?;
    match Node::start(config).await {
        Err(StartError::Listen { address, error }) if options.background && error.kind() == io::ErrorKind::AddrInUse => {
            tracing::warn!(%address, "the port is taken; taking another");
            overrides.port = Some(0);
            let config = load(&overrides).map_err(|error| CliError::Local(error.to_string()))?;
            Node::start(config).await.map_err(refused)
        }
        started => started.map_err(refused),
    }
}

/// Tells on stdout where the node listens. A node goes on without somebody who reads it.
fn announce(context: &Context, node: &Node) {
    let told = if context.json {
        out::json(&json!({"url": node.url(), "pid": std::process::id(), "node_id": node.node_id()}))
    } else {
        out::text(&format!("listening on {}\n", node.url()))
    };
    if let Err(error) = told {
        tracing::debug!(error = error.message(), "nobody reads where the node listens");
    }
}

/// The log of this process.
fn log(data_dir: &Path, options: &Serve) -> Result<Log> {
    let aloud = match options.verbose {
        // Nobody reads it, and its file has no bound.
        _ if options.background => Aloud::Nothing,
        0 => Aloud::Warnings,
        1 => Aloud::Steps,
        _ => Aloud::Particulars,
    };
    kith_node::start_log(data_dir, aloud, out::watched()).map_err(|error| match error {
        LogError::Filter(_) => CliError::Usage(error.to_string()),
        error => CliError::Local(error.to_string()),
    })
}

/// The signals that tell a process to end.
struct Signals {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 3],
    #[cfg(windows)]
    ctrl_c: tokio::signal::windows::CtrlC,
    #[cfg(windows)]
    ctrl_close: tokio::signal::windows::CtrlClose,
}

impl Signals {
    #[cfg(unix)]
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { signals: [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?] })
    }

    #[cfg(windows)]
    fn listen() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_c, ctrl_close};
        Ok(Self { ctrl_c: ctrl_c()?, ctrl_close: ctrl_close()? })
    }

    /// Completes at the next signal.
    async fn next(&mut self) {
        #[cfg(unix)]
        {
            let [terminate, interrupt, hangup] = &mut self.signals;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
        }
        #[cfg(windows)]
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.ctrl_close.recv() => {}
        }
    }
}
