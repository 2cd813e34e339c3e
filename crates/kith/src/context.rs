//! What a command stands on: where the data directory is, which node is meant, and how output is wanted.

use crate::{
    cli::Global,
    client::{Client, Credential, parse_url},
    error::{CliError, Result},
    node_process,
};
use kith_node::NodeRecord;
use std::{env, path::PathBuf};

/// The circumstances of one command.
pub struct Context {
    /// Whether output is JSON.
    pub json: bool,
    /// The data directory, absolute.
    pub data_dir: PathBuf,
    /// The node named by `--url` or `KITH_URL`.
    url: Option<String>,
}

/// An environment variable; an empty one counts as unset.
fn var(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// As [`var`], for text.
fn text_var(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

impl Context {
    /// Completes the options from the environment and the platform's defaults.
    pub fn new(global: Global) -> Result<Self> {
        let data_dir = match global.data_dir.or_else(|| var("KITH_DATA_DIR")) {
            Some(dir) if dir.as_os_str().is_empty() => return Err(CliError::Usage("--data-dir is empty".to_owned())),
            Some(dir) => dir,
            None => node_process::default_data_dir(var)?,
        };
        let data_dir = std::path::absolute(&data_dir)
            .map_err(|error| CliError::local(format_args!("cannot resolve {}", data_dir.display()), error))?;
        Ok(Self { json: global.json, data_dir, url: global.url.or_else(|| text_var("KITH_URL")) })
    }

    /// The node that is meant, which must run.
    pub async fn running(&self) -> Result<Client> {
        self.found().await?.ok_or_else(|| {
            CliError::Unreachable(format!("no node runs on {}; start one with: kith serve", self.data_dir.display()))
        })
    }

    /// The node that is meant; `None` if it is the one of the data directory and does not run.
    pub async fn found(&self) -> Result<Option<Client>> {
        match self.named()? {
            Some(client) => Ok(Some(client)),
            None => Ok(node_process::find(&self.data_dir).await?.map(|(client, _)| client)),
        }
    }

    /// The node that is meant, started if it is the one of the data directory and does not run.
    pub async fn ensured(&self) -> Result<Client> {
        match self.named()? {
            Some(client) => Ok(client),
            None => node_process::find_or_start(&self.data_dir).await,
        }
    }

    /// The node named by its URL. The admin token goes only to the node whose token it is.
    fn named(&self) -> Result<Option<Client>> {
        let Some(url) = &self.url else { return Ok(None) };
        let credential = text_var("KITH_TOKEN").map(Credential::Bearer).or_else(|| {
            let own = parse_url(&NodeRecord::read(&self.data_dir)?.url).ok()?;
            (parse_url(url).ok()? == own).then(|| node_process::admin_token(&self.data_dir)).flatten()
        });
        Client::new(url, credential.as_ref()).map(Some)
    }
}
