//! The workspace's own commands: set-up, run, test, benchmarks and house rules. Knows the product only by its command line.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command for a person at a terminal speaks by printing")]

mod bench;
mod bundle;
mod check;
mod feed;
mod http;
mod icons;
mod model;
mod pages;
mod paths;
mod process;
mod run;
mod setup;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

use paths::Paths;

const USAGE: &str = "\
cargo xtask COMMAND

  setup                     install what is missing on this machine, and the default model
  run [--headless] [--once] [--data-dir D] [--port N] [--prompt TEXT]
                            build, open the app (the node alone with --headless), show one
                            streamed answer; Ctrl-C stops it
  test                      everything CI needs: format, house rules, clippy, build, tests
  tidy                      the house rules alone
  pages [--quick]           build the window's pages alone; --quick for looking at a change
  bundle [--debug] [--into DIR]
                            make this system's installers; --debug packs what tests build
  feed DIR --base-url URL [--notes FILE]
                            tell of the installers in DIR, to be fetched below URL, in DIR/latest.json
  icons                     draw the icons of the app and the tray, every size
  bench NAME [--write]      measure; --write puts the figures into docs/benchmarks.md
                            inference    speed beside llama.cpp, streams, start, memory
                            layers       our own layers beside llama.cpp and what the machine can do
                            reads        cheap reads at 500 requests a second
                            schema       200 answers by JSON Schema, checked
                            conformance  made-up requests against the OpenAPI document
                            window       how soon the window is there, and what it costs hidden
                            mesh         a gigabyte between two nodes, beside other programs";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        println!("{USAGE}");
        return Ok(());
    };
    match command.as_str() {
        "setup" => {
            no_arguments(rest)?;
            setup::everything(&Paths::find()?).map(drop)
        }
        "run" => run::run(&Paths::find()?, &run::Wishes::parse(rest)?),
        "test" => {
            no_arguments(rest)?;
            check::run(&Paths::find()?)
        }
        "tidy" => {
            no_arguments(rest)?;
            tidy::run(&Paths::find()?.root)
        }
        "pages" => {
            let (effort, rest) = match rest {
                [quick, rest @ ..] if quick == "--quick" => (pages::Effort::Quick, rest),
                rest => (pages::Effort::Small, rest),
            };
            no_arguments(rest)?;
            pages::build(&Paths::find()?, effort)
        }
        "bundle" => bundle::run(&Paths::find()?, &bundle::Wishes::parse(rest)?),
        "feed" => feed::run(&Paths::find()?, &feed::Wishes::parse(rest)?),
        "icons" => {
            no_arguments(rest)?;
            icons::build(&Paths::find()?)
        }
        "bench" => bench::run(&Paths::find()?, rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no command {other:?}\n\n{USAGE}"),
    }
}

fn no_arguments(rest: &[String]) -> Result<()> {
    match rest.first() {
        Some(extra) => bail!("unexpected argument {extra:?}\n\n{USAGE}"),
        None => Ok(()),
    }
}
