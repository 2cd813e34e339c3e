//! The command line and the headless node: parses, dispatches, and turns every error into one line and an exit code.

mod cli;
mod client;
mod commands;
mod context;
mod conversation;
mod error;
mod node_process;
mod out;
mod render;
mod repl;
mod serve;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use commands::{create, import, invite, join, models, network_invite, networks, node, open, peers, run, show, token, transfer};
use context::Context;
use error::{CliError, Result};
use std::{process::ExitCode, time::Duration};

fn main() -> ExitCode {
    if let Some(code) = kith_node::read_document_if_asked() {
        return code;
    }
    // Before parsing, so that a wrong command line is told in the wanted form as well.
    let as_json = std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    let result = match Cli::try_parse() {
        Ok(cli) => dispatch(cli),
        Err(error) if !error.use_stderr() => out::text(&error.to_string()),
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && !as_json => {
            out::note(error.to_string().trim_end());
            return ExitCode::from(2);
        }
        Err(error) => Err(CliError::from_clap(&error.to_string())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(line) = error.line(as_json) {
                out::note(&line);
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// Runs the command on a runtime of its size: a node needs every core, a client one thread.
fn dispatch(cli: Cli) -> Result<()> {
    if let Command::Completions { shell } = cli.command {
        return completions(shell);
    }
    let context = Context::new(cli.global)?;
    let mut builder = match cli.command {
        Command::Serve(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder.enable_all().build().map_err(|error| CliError::local("cannot set up the runtime", error))?;
    let result = runtime.block_on(act(&context, cli.command));
    // Work on a thread of its own (an engine's step, a name's look-up) does not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn act(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Serve(options) => serve::serve(context, &options).await,
        Command::Run(options) => run::run(context, &options).await,
        Command::List => models::list(context).await,
        Command::Ps => models::ps(context).await,
        Command::Show(options) => show::show(context, &options).await,
        Command::Rm(options) => models::rm(context, &options.models).await,
        Command::Import(options) => import::import(context, &options).await,
        Command::Create(options) => create::create(context, &options).await,
        Command::Cp(options) => create::copy(context, &options).await,
        Command::Stop(options) => match options.model {
            Some(model) => models::stop(context, &model).await,
            None => node::stop(context).await,
        },
        Command::Token(command) => token::token(context, &command).await,
        Command::Open(options) => open::open(context, &options).await,
        Command::Status => node::status(context).await,
        Command::Version => node::version(context).await,
        Command::Pull(options) => transfer::pull(context, &options).await,
        Command::Push(options) => transfer::push(context, &options).await,
        Command::Invite(options) if options.phone => invite::invite(context).await,
        Command::Invite(options) => network_invite::invite(context, &options).await,
        Command::Join(options) => join::join(context, &options).await,
        Command::Networks(command) => networks::networks(context, &command).await,
        Command::Peers => peers::peers(context).await,
        Command::Speedtest(options) => peers::speedtest(context, &options).await,
        Command::Completions { shell } => completions(shell),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kith", &mut script);
    out::text(&String::from_utf8_lossy(&script))
}
