//! The command line: every command, option and default. Parsing only; nothing here acts.

mod network;

pub use network::{Invite, Join, Networks, Speedtest};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::{net::IpAddr, path::PathBuf};

/// Turns your computers into one private machine.
#[derive(Debug, Parser)]
#[command(
    name = "kith",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no node answers, 130 interrupted.\n\
                  KITH_TOKEN holds the bearer token for a node reached with --url; KITH_LOG what a node logs (as info or debug)."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print JSON, and errors as {"error","code"} on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// The node to talk to, as http://127.0.0.1:4343; without it, the node of the data directory [env: KITH_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// Where the node keeps its files [env: KITH_DATA_DIR] [default: the platform's folder for application data]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a node in the foreground until SIGTERM or Ctrl-C
    Serve(Serve),
    /// Answer a prompt, or converse if none is given
    Run(Run),
    /// List the models of the library
    #[command(visible_alias = "ls")]
    List,
    /// List the models in memory
    Ps,
    /// Tell what is known of a model
    Show(Show),
    /// Remove models from the library
    #[command(visible_alias = "delete")]
    Rm(Rm),
    /// Take a GGUF file, or a folder with one or with safetensors, into the library
    Import(Import),
    /// Make a model from a Modelfile
    Create(Create),
    /// Give a model a second name
    #[command(visible_alias = "copy")]
    Cp(Copy),
    /// Unload a model from memory, or stop the node
    Stop(Stop),
    /// Make, list and revoke access tokens
    #[command(subcommand)]
    Token(Token),
    /// Open the window in the browser
    Open(Open),
    /// Tell how the node is doing
    Status,
    /// Tell the version of this program and of the running node
    Version,
    /// Fetch a model, as smollm2:135m or hf.co/user/repository:Q4_K_M
    Pull(Transfer),
    /// Send a model to the registry its name says
    Push(Transfer),
    /// Invite a device into the private network, or pair a phone
    Invite(Invite),
    /// Join a private network by an invite
    Join(Join),
    /// Found, connect and look after private networks
    #[command(subcommand)]
    Networks(Networks),
    /// List the nodes of the network, and how each is reached
    Peers,
    /// Measure the way to a peer
    Speedtest(Speedtest),
    /// Print a shell's completion script
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Options of `serve`. What is not given comes from the environment (`KITH_HOST`, `KITH_PORT`, `OLLAMA_HOST`), then from the
/// configuration file, then from the defaults.
#[derive(Debug, Args)]
pub struct Serve {
    /// Port to listen on; 0 picks a free one [env: KITH_PORT] [default: 4343]
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Address to listen on [env: KITH_HOST] [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS", value_parser = host)]
    pub host: Option<IpAddr>,
    /// Say more on stderr (twice: even more)
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Started by another command: take another free port where the wanted one is taken, and leave the log to its file
    #[arg(long, hide = true, conflicts_with = "verbose")]
    pub background: bool,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The model, as smollm2:135m
    pub model: String,
    /// The prompt; what is piped in is appended to it
    pub prompt: Vec<String>,
    /// Standing instructions for the model
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// `json`, or a file with the JSON Schema that the answer must meet
    #[arg(long, value_name = "json|FILE")]
    pub format: Option<String>,
    /// How freely the model chooses: 0 always takes the likeliest token
    #[arg(long, value_name = "T")]
    pub temperature: Option<f64>,
    /// Makes the answer repeatable
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The most tokens of an answer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub num_predict: Option<u32>,
    /// How long the model stays in memory afterwards: 10m, 1h, 0, or -1 for ever
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub keepalive: Option<String>,
    /// Print timings after each answer
    #[arg(long)]
    pub verbose: bool,
}

/// Options of `show`: without one of the parts, a summary.
#[derive(Debug, Args)]
pub struct Show {
    /// The model
    pub model: String,
    /// Print only the licence
    #[arg(long, group = "part")]
    pub license: bool,
    /// Print only the Modelfile
    #[arg(long, group = "part")]
    pub modelfile: bool,
    /// Print only the parameters
    #[arg(long, group = "part")]
    pub parameters: bool,
    /// Print only the system text
    #[arg(long, group = "part")]
    pub system: bool,
    /// Print only the chat template
    #[arg(long, group = "part")]
    pub template: bool,
}

impl Show {
    /// The field of the answer that alone is wanted.
    pub const fn part(&self) -> Option<&'static str> {
        match self {
            Self { license: true, .. } => Some("license"),
            Self { modelfile: true, .. } => Some("modelfile"),
            Self { parameters: true, .. } => Some("parameters"),
            Self { system: true, .. } => Some("system"),
            Self { template: true, .. } => Some("template"),
            _ => None,
        }
    }
}

/// Options of `rm`.
#[derive(Debug, Args)]
pub struct Rm {
    /// The models
    #[arg(required = true, value_name = "MODEL")]
    pub models: Vec<String>,
}

/// Options of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The GGUF file, any part of one, a folder that holds one, or a folder of safetensors (config.json, tokenizer.json, …)
    pub file: PathBuf,
    /// The model's name in the library, as mine:latest
    #[arg(long)]
    pub name: String,
    /// Standing instructions for the model
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// A file with the chat template, in place of the model's own
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
}

/// Options of `create`.
#[derive(Debug, Args)]
pub struct Create {
    /// The model's name in the library, as mine:latest
    pub model: String,
    /// The Modelfile; `-` reads it from stdin
    #[arg(short, long, value_name = "FILE", default_value = "Modelfile")]
    pub file: PathBuf,
    /// How to store the weights, as q8_0, q5_K_M or q4_K_M
    #[arg(short, long, value_name = "TYPE")]
    pub quantize: Option<String>,
}

/// Options of `cp`.
#[derive(Debug, Args)]
pub struct Copy {
    /// The model
    pub source: String,
    /// The name it shall have as well
    pub destination: String,
}

/// Options of `pull` and `push`.
#[derive(Debug, Args)]
pub struct Transfer {
    /// The model: name:tag, host/namespace/name:tag, or hf.co/user/repository:QUANT
    pub model: String,
    /// Allow plain HTTP to another machine
    #[arg(long)]
    pub insecure: bool,
}

/// Options of `stop`.
#[derive(Debug, Args)]
pub struct Stop {
    /// The model to unload
    #[arg(required_unless_present = "node")]
    pub model: Option<String>,
    /// Stop the node itself
    #[arg(long, conflicts_with = "model")]
    pub node: bool,
}

/// `kith open`.
#[derive(Debug, Args)]
pub struct Open {
    /// Print the address, which is good once and for a minute, and open nothing
    #[arg(long)]
    pub print: bool,
}

/// The commands of `token`.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token and print it, once
    Mint {
        /// What its bearer may do
        #[arg(long, value_parser = |text: &str| text.parse::<kith_types::Scope>(), value_name = "user|admin")]
        scope: kith_types::Scope,
        /// What it is for, to tell it from others in the list
        #[arg(long, default_value = "command line", value_name = "TEXT")]
        name: String,
    },
    /// List the tokens, without their secrets
    #[command(visible_alias = "ls")]
    List,
    /// Make a token worthless
    Revoke {
        /// The token's id, from the list
        id: String,
    },
}

fn host(text: &str) -> Result<IpAddr, String> {
    match text {
        "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
        text => text.parse().map_err(|_| "an IP address or `localhost` is needed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_declarations_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_scripted_command_line_is_taken() {
        for line in [
            "kith serve --data-dir d --port 0",
            "kith serve --host localhost -v",
            "kith token mint --scope admin --data-dir d",
            "kith token mint --scope user --json",
            "kith token list",
            "kith token revoke abc",
            "kith run smollm2:135m hello there --json --url http://127.0.0.1:1",
            "kith run m --temperature 0 --seed 7 --num-predict 5 --format json --system s --keepalive -1 --verbose p",
            "kith --json list",
            "kith ls --data-dir d",
            "kith ps --json",
            "kith show m --license",
            "kith rm a b",
            "kith delete a",
            "kith import f.gguf --name n --system s --template t",
            "kith stop m",
            "kith stop --node",
            "kith status",
            "kith version",
            "kith completions bash",
            "kith pull smollm2:135m --json",
            "kith pull hf.co/a/b:Q4_K_M --insecure",
            "kith push acme/coder:q4",
            "kith invite --phone --json --data-dir d",
            "kith invite",
            "kith invite --uses 3 --expires 7d --label Bob --admin --network home --file f --json",
            "kith join kith://join/x --name laptop --url http://127.0.0.1:1",
            "kith networks list --json",
            "kith networks create home --offline",
            "kith networks connect",
            "kith networks disconnect",
            "kith networks forget home",
            "kith networks members home",
            "kith networks invites --revoke 00ff",
            "kith networks promote bob",
            "kith networks remove bob --network home --yes",
            "kith networks rotate",
            "kith networks key",
            "kith peers --json",
            "kith speedtest bob --history",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn wrong_command_lines_are_refused() {
        for line in [
            "kith",
            "kith fly",
            "kith stop",
            "kith stop m --node",
            "kith show m --license --system",
            "kith rm",
            "kith import f.gguf",
            "kith serve --port 65536",
            "kith serve --host nowhere.example",
            "kith token mint",
            "kith token mint --scope root",
            "kith run",
            "kith pull",
            "kith invite --phone --uses 2",
            "kith invite --uses 0",
            "kith invite --expires soon",
            "kith join",
            "kith networks",
            "kith networks create",
            "kith speedtest",
            "kith run m --num-predict 0 p",
            "kith run m --temperature hot p",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_wrong_command_line_becomes_one_line() {
        for (line, wanted) in [
            ("kith lits", "unrecognized subcommand 'lits'; tip: "),
            ("kith rm", "the following required arguments were not provided: <MODEL>..."),
            ("kith token mint --scope root", "unknown scope `root`: use `user` or `admin`"),
        ] {
            let error = crate::error::CliError::from_clap(&parse(line).unwrap_err().to_string());
            assert!(error.message().contains(wanted), "{}", error.message());
            assert_eq!(error.exit_code(), 2);
        }
    }
}
