//! The node's configuration: defaults, then DIR/config.toml, then the environment, then the command line.

use crate::{
    mesh::{MeshConfig, MeshTable},
    schedule::{Schedule, ScheduleTable},
    update::{UpdateConfig, UpdateTable},
};
use kith_access::Limits;
use kith_inference::{Bounds, KeepAlive, Secret, provider_variables};
use kith_keys::KeyProvider;
use kith_models::Sources;
use serde::{Deserialize, Serialize};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

/// The port Kith listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 4343;
/// The port Ollama's clients look at.
pub(crate) const OLLAMA_PORT: u16 = 11434;
/// The part of the machine's memory that models may hold, in percent.
const MEMORY_PERCENT: u64 = 75;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is no TOML, or has an unknown or misplaced setting.
    #[error("{path}: {error}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// A setting has an impossible value.
    #[error("{setting}: {reason}")]
    Value {
        /// The setting, as a variable or `table.key`.
        setting: String,
        /// One sentence.
        reason: String,
    },
}

pub(crate) fn value(setting: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Value { setting: setting.to_owned(), reason: reason.into() }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    api: ApiTable,
    auth: AuthTable,
    limits: LimitsTable,
    inference: InferenceTable,
    keys: KeysTable,
    providers: ProvidersTable,
    sources: SourcesTable,
    browse: BrowseTable,
    schedule: ScheduleTable,
    update: UpdateTable,
    lan: LanTable,
    mesh: MeshTable,
}

/// What every node has in its folder, if anything: its name there.
pub(crate) const FILE: &str = "config.toml";

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ApiTable {
    host: Option<String>,
    port: Option<u16>,
    hosts: Vec<String>,
    origins: Vec<String>,
    ollama_port: Option<bool>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AuthTable {
    require_key: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsTable {
    standard_per_hour: Option<u32>,
    inference_per_minute: Option<u32>,
    admin_per_minute: Option<u32>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct InferenceTable {
    memory_mib: Option<u64>,
    parallel: Option<u32>,
    context: Option<u32>,
    keep_alive_seconds: Option<i64>,
    engine: Option<String>,
    draft_model: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct KeysTable {
    provider: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ProvidersTable {
    env: bool,
    list_models: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SourcesTable {
    hf_endpoint: Option<String>,
    hf_token: Option<String>,
    registry: Option<String>,
    registry_user: Option<String>,
    registry_password: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BrowseTable {
    roots: Option<Vec<PathBuf>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LanTable {
    bind: Option<Vec<IpAddr>>,
    port: Option<u16>,
}

/// What the command line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--host`
    pub host: Option<IpAddr>,
    /// `--port`; 0 lets the system choose.
    pub port: Option<u16>,
}

/// Everything a node needs to know before it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The node's folder.
    pub data_dir: PathBuf,
    /// Addresses that must be listened on; the first one is the node's URL.
    pub listen: Vec<SocketAddr>,
    /// Addresses that are listened on if they are free.
    pub listen_if_free: Vec<SocketAddr>,
    /// Host names that may stand in the Host header besides loopback.
    pub hosts: Vec<String>,
    /// Origins whose pages may call.
    pub origins: Vec<String>,
    /// Whether loopback callers need a key too.
    pub require_key: bool,
    /// The configured admin token.
    pub admin_token: Option<String>,
    /// The mesh token.
    pub mesh_token: Option<String>,
    /// Rate limits.
    pub limits: Limits,
    /// Limits of inference.
    pub inference: Bounds,
    /// Where the sealing key lies.
    pub key_provider: KeyProvider,
    /// Keys of cloud providers that the environment has, by the provider's name; none unless `providers.env` allows it.
    pub provider_keys: Vec<(String, Secret)>,
    /// Whether keys of cloud providers are read from the environment.
    pub provider_keys_from_env: bool,
    /// Whether lists of models have the cloud providers' models too.
    pub list_cloud_models: bool,
    /// Where models come from.
    pub sources: Sources,
    /// Folders whose content may be looked at, if the owner named them.
    pub browse_roots: Option<Vec<PathBuf>>,
    /// Quiet hours.
    pub schedule: Schedule,
    /// Where new versions are told.
    pub update: UpdateConfig,
    /// Addresses on which paired devices are listened for; without them, this machine's addresses in private networks.
    pub lan_bind: Option<Vec<IpAddr>>,
    /// The port for paired devices; without it, one is picked and remembered.
    pub lan_port: Option<u16>,
    /// How the node takes part in private networks.
    pub mesh: MeshConfig,
    /// What it was put together from, so that the file can be read again.
    pub provenance: Provenance,
}

/// What a configuration was put together from besides its file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The command line.
    pub overrides: Overrides,
    /// Every variable that was asked for, set or not.
    pub env: BTreeMap<String, Option<String>>,
    /// Bytes of memory of this machine.
    pub machine_memory: u64,
}

impl std::fmt::Debug for Provenance {
    /// Without the values of variables: some are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set = self.env.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
        f.debug_struct("Provenance")
            .field("overrides", &self.overrides)
            .field("env", &set.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Provenance {
    /// Whether a variable of this name was set to one of these words.
    pub fn is(&self, name: &str, words: &[&str]) -> bool {
        self.env.get(name).and_then(Option::as_deref).is_some_and(|text| words.contains(&text))
    }

    /// Whether a variable of this name was set.
    pub fn has(&self, name: &str) -> bool {
        self.env.get(name).is_some_and(Option::is_some)
    }
}

/// Reads variables; the process's own in the product, made up in tests.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's environment. Empty variables count as unset.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

impl Config {
    /// Puts the configuration together. `machine_memory` is in bytes.
    pub fn load(data_dir: &Path, overrides: &Overrides, env: Environment<'_>, machine_memory: u64) -> Result<Self, ConfigError> {
        Self::from_text(data_dir, &read(data_dir)?, overrides, env, machine_memory)
    }

    /// The same with a file of this text.
    pub(crate) fn from_text(
        data_dir: &Path,
        text: &str,
        overrides: &Overrides,
        env: Environment<'_>,
        machine_memory: u64,
    ) -> Result<Self, ConfigError> {
        let malformed = |error| ConfigError::Malformed { path: data_dir.join(FILE), error: Box::new(error) };
        let file: File = toml::from_str(text).map_err(malformed)?;
        let asked = RefCell::new(BTreeMap::new());
        let env = |name: &str| {
            let value = env(name);
            asked.borrow_mut().insert(name.to_owned(), value.clone());
            value
        };
        // What something stronger decides now is checked all the same: the next start may be without it.
        if let Some(text) = &file.api.host {
            parse_host("api.host", text)?;
        }
        if let Some(word) = &file.keys.provider {
            word.parse::<KeyProvider>().map_err(|_| value("keys.provider", format!("`{word}` is not `auto` or `file`")))?;
        }
        UpdateConfig::from_table(&file.update, None)?;
        if let Some(address) = file.lan.bind.as_deref().and_then(crate::lan::wrong_bind) {
            return Err(value("lan.bind", format!("`{address}` is no address of one machine; devices need one they can call")));
        }
        if file.lan.port == Some(0) {
            return Err(value("lan.port", "0 is not a port"));
        }
        let host = match (overrides.host, env("KITH_HOST"), &file.api.host) {
            (Some(host), ..) => host,
            (None, Some(text), _) => parse_host("KITH_HOST", &text)?,
            (None, None, Some(text)) => parse_host("api.host", text)?,
            (None, None, None) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let port = match (overrides.port, env("KITH_PORT")) {
            (Some(port), _) => port,
            (None, Some(text)) => text.parse().map_err(|_| value("KITH_PORT", format!("`{text}` is not a port")))?,
            (None, None) => file.api.port.unwrap_or(DEFAULT_PORT),
        };
        let mut listen = vec![SocketAddr::new(host, port)];
        let mut listen_if_free = Vec::new();
        if host == IpAddr::V4(Ipv4Addr::LOCALHOST) && port != 0 {
            listen_if_free.push(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port)));
        }
        match env("OLLAMA_HOST") {
            Some(text) => listen.push(parse_ollama_host(&text)?),
            // A node on a port of the system's choice is somebody's test or second node: the well-known port is not for it.
            None if file.api.ollama_port.unwrap_or(port != 0) => {
                listen_if_free.push(SocketAddr::from((Ipv4Addr::LOCALHOST, OLLAMA_PORT)));
                listen_if_free.push(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, OLLAMA_PORT)));
            }
            None => {}
        }
        listen.dedup();
        let defaults = Limits::default();
        let limits = match env("KITH_LIMITS").as_deref() {
            Some("off") => Limits { standard_per_hour: 0, inference_per_minute: 0, admin_per_minute: 0 },
            Some(other) => return Err(value("KITH_LIMITS", format!("`{other}` is not known; the only value is `off`"))),
            None => Limits {
                standard_per_hour: file.limits.standard_per_hour.unwrap_or(defaults.standard_per_hour),
                inference_per_minute: file.limits.inference_per_minute.unwrap_or(defaults.inference_per_minute),
                admin_per_minute: file.limits.admin_per_minute.unwrap_or(defaults.admin_per_minute),
            },
        };
        let key_from_env = env("KITH_REQUIRE_KEY").is_some_and(|text| text == "1" || text == "true");
        let provider = env("KITH_KEY_PROVIDER").or(file.keys.provider).unwrap_or_else(|| "auto".to_owned());
        Ok(Self {
            data_dir: data_dir.to_owned(),
            listen,
            listen_if_free,
            hosts: file.api.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            origins: file.api.origins.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect(),
            require_key: file.auth.require_key || key_from_env,
            admin_token: env("KITH_ADMIN_TOKEN").or_else(|| env("OLLAMA_ADMIN_TOKEN")),
            mesh_token: env("KITH_MESH_TOKEN").or_else(|| env("MESH_AUTH_TOKEN")),
            limits,
            inference: bounds(&file.inference, machine_memory)?,
            key_provider: provider
                .parse()
                .map_err(|_| value("keys.provider", format!("`{provider}` is not `auto` or `file`")))?,
            provider_keys: if file.providers.env { provider_keys(&env)? } else { Vec::new() },
            provider_keys_from_env: file.providers.env,
            list_cloud_models: file.providers.list_models,
            sources: sources(file.sources, &env)?,
            browse_roots: file.browse.roots.map(absolute).transpose()?,
            schedule: Schedule::from_table(&file.schedule)?,
            update: UpdateConfig::from_table(&file.update, env("KITH_UPDATE_FEED"))?,
            lan_bind: file.lan.bind,
            lan_port: file.lan.port,
            mesh: MeshConfig::from_table(file.mesh)?,
            provenance: Provenance { overrides: overrides.clone(), env: asked.take(), machine_memory },
        })
    }

    /// The same sources with another text of the file.
    pub(crate) fn again(&self, text: &str) -> Result<Self, ConfigError> {
        let from = &self.provenance;
        let env = |name: &str| from.env.get(name).cloned().flatten();
        Self::from_text(&self.data_dir, text, &from.overrides, &env, from.machine_memory)
    }
}

/// The text of the file; empty where there is none.
pub(crate) fn read(data_dir: &Path) -> Result<String, ConfigError> {
    let path = data_dir.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(ConfigError::Unreadable { path, error }),
    }
}

fn provider_keys(env: Environment<'_>) -> Result<Vec<(String, Secret)>, ConfigError> {
    let named = provider_variables().filter_map(|(name, variable)| Some((name, variable, env(variable)?)));
    named.map(|(name, variable, text)| Ok((name.to_owned(), Secret::parse(&text).map_err(|why| value(variable, why))?))).collect()
}

fn absolute(roots: Vec<PathBuf>) -> Result<Vec<PathBuf>, ConfigError> {
    match roots.iter().find(|root| !root.is_absolute()) {
        Some(root) => Err(value("browse.roots", format!("`{}` is not an absolute path", root.display()))),
        None => Ok(roots),
    }
}

fn bounds(table: &InferenceTable, machine_memory: u64) -> Result<Bounds, ConfigError> {
    let parallel = table.parallel.unwrap_or(16);
    if !(1..=256).contains(&parallel) {
        return Err(value("inference.parallel", format!("{parallel} is not between 1 and 256")));
    }
    let context = table.context.unwrap_or(8192);
    if context < 64 {
        return Err(value("inference.context", format!("{context} tokens are too few; at least 64")));
    }
    let keep_alive = match table.keep_alive_seconds {
        None => KeepAlive::For(Duration::from_secs(300)),
        Some(seconds) => {
            u64::try_from(seconds).map_or(KeepAlive::Forever, |seconds| KeepAlive::For(Duration::from_secs(seconds)))
        }
    };
    let memory = table.memory_mib.map_or(machine_memory / 100 * MEMORY_PERCENT, |mib| mib.saturating_mul(1 << 20));
    let engine = crate::engines::preferred(table.engine.as_deref()).map_err(|reason| value("inference.engine", reason))?;
    // Whether there is such a model shows when one is loaded: the library is not open yet, and models come and go.
    let draft = table.draft_model.as_deref().map(str::trim).filter(|name| !name.is_empty()).map(Into::into);
    Ok(Bounds { memory, parallel, context, keep_alive, engine, draft })
}

fn sources(table: SourcesTable, env: Environment<'_>) -> Result<Sources, ConfigError> {
    let user = env("KITH_REGISTRY_USER").or(table.registry_user);
    let in_file = Sources { hub: table.hf_endpoint.clone(), registry: table.registry.clone(), ..Sources::default() };
    let sources = Sources {
        hub: env("HF_ENDPOINT").or(table.hf_endpoint),
        hub_token: env("HF_TOKEN").or(table.hf_token),
        registry: env("KITH_REGISTRY").or(table.registry),
        registry_credentials: user.zip(env("KITH_REGISTRY_PASSWORD").or(table.registry_password)),
    };
    match in_file.wrong_address().or(sources.wrong_address()) {
        Some(text) => {
            Err(value("sources", format!("`{text}` is not the address of a hub or registry (and no place for a password)")))
        }
        None => Ok(sources),
    }
}

fn parse_host(setting: &str, text: &str) -> Result<IpAddr, ConfigError> {
    match text {
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        text => text.parse().map_err(|_| value(setting, format!("`{text}` is not an IP address or `localhost`"))),
    }
}

/// Ollama's own rules: scheme and port may be missing.
fn parse_ollama_host(text: &str) -> Result<SocketAddr, ConfigError> {
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
    if let Ok(address) = bare.parse::<SocketAddr>() {
        return Ok(address);
    }
    let (host, port) = match bare.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => {
            (host, port.parse().map_err(|_| value("OLLAMA_HOST", format!("`{port}` is not a port")))?)
        }
        _ => (bare.trim_matches(['[', ']']), OLLAMA_PORT),
    };
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    Ok(SocketAddr::new(parse_host("OLLAMA_HOST", host)?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, overrides: &Overrides, vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.toml"), toml).unwrap();
        let env = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned());
        Config::load(dir.path(), overrides, &env, 1000 << 20)
    }

    #[test]
    fn without_any_setting_it_listens_on_loopback_only() {
        let config = load("", &Overrides::default(), &[]).unwrap();
        assert_eq!(config.listen, ["127.0.0.1:4343".parse().unwrap()]);
        assert!(config.listen.iter().chain(&config.listen_if_free).all(|address| address.ip().is_loopback()));
        assert!(config.listen_if_free.contains(&"127.0.0.1:11434".parse().unwrap()));
        assert_eq!(config.inference.memory, 750 << 20);
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
        let toml = "[api]\nport = 1\n";
        assert_eq!(load(toml, &Overrides::default(), &[]).unwrap().listen[0].port(), 1);
        assert_eq!(load(toml, &Overrides::default(), &[("KITH_PORT", "2")]).unwrap().listen[0].port(), 2);
        let overrides = Overrides { port: Some(3), host: None };
        assert_eq!(load(toml, &overrides, &[("KITH_PORT", "2")]).unwrap().listen[0].port(), 3);
    }

    #[test]
    fn a_port_of_the_systems_choice_leaves_the_well_known_one_alone() {
        let config = load("", &Overrides { port: Some(0), host: None }, &[]).unwrap();
        assert_eq!(config.listen_if_free, []);
    }

    #[test]
    fn ollamas_variable_is_read_as_ollama_reads_it() {
        for (text, address) in [
            ("127.0.0.1", "127.0.0.1:11434"),
            ("http://127.0.0.1:5000/", "127.0.0.1:5000"),
            ("localhost:5000", "127.0.0.1:5000"),
            (":5000", "0.0.0.0:5000"),
            ("[::1]:5000", "[::1]:5000"),
        ] {
            assert_eq!(parse_ollama_host(text).unwrap(), address.parse().unwrap(), "{text}");
        }
        assert!(parse_ollama_host("example.org:70000").is_err());
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (toml, word) in [
            ("[api]\nprot = 1", "prot"),
            ("[inference]\nparallel = 0", "inference.parallel"),
            ("[inference]\nengine = \"steam\"", "inference.engine"),
            ("[keys]\nprovider = \"cloud\"", "keys.provider"),
            ("[api]\nhost = \"nowhere.example\"", "api.host"),
            ("[browse]\nroots = [\"music\"]", "browse.roots"),
            ("[lan]\nbind = [\"0.0.0.0\"]", "lan.bind"),
            ("[lan]\nport = 0", "lan.port"),
            ("nonsense", "config.toml"),
        ] {
            let error = load(toml, &Overrides::default(), &[]).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn keys_of_providers_are_read_from_the_environment_only_where_the_file_allows_it() {
        let vars = [("OPENAI_API_KEY", "sk-env"), ("GROQ_API_KEY", "gsk-env")];
        assert_eq!(load("", &Overrides::default(), &vars).unwrap().provider_keys, []);
        let config = load("[providers]\nenv = true", &Overrides::default(), &vars).unwrap();
        let keys: Vec<_> = config.provider_keys.iter().map(|(name, key)| (name.as_str(), key.expose())).collect();
        assert_eq!(keys, [("openai", "sk-env"), ("groq", "gsk-env")]);
        assert!(!format!("{config:?}").contains("sk-env"));
        let bad = load("[providers]\nenv = true", &Overrides::default(), &[("GROQ_API_KEY", "two words")]).unwrap_err();
        assert!(bad.to_string().contains("GROQ_API_KEY") && !bad.to_string().contains("two words"), "{bad}");
    }

    #[test]
    fn sources_are_read_from_the_environment_first_and_their_secrets_are_not_shown() {
        let toml = "[sources]\nhf_endpoint = \"https://hub.example\"\nhf_token = \"a\"\nregistry_user = \"me\"";
        let vars = [("HF_TOKEN", "hf_secret"), ("KITH_REGISTRY_PASSWORD", "pass_secret")];
        let config = load(toml, &Overrides::default(), &vars).unwrap();
        assert_eq!(config.sources.hub.as_deref(), Some("https://hub.example"));
        assert_eq!(config.sources.hub_token.as_deref(), Some("hf_secret"));
        assert_eq!(config.sources.registry_credentials, Some(("me".to_owned(), "pass_secret".to_owned())));
        assert!(!format!("{config:?}").contains("_secret"));
    }

    #[test]
    fn an_empty_admin_token_is_none() {
        let config = load("", &Overrides::default(), &[("OLLAMA_ADMIN_TOKEN", "secret")]).unwrap();
        assert_eq!(config.admin_token.as_deref(), Some("secret"));
    }
}
