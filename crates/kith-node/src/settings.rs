//! Every setting by name: its value in a configuration, what else may decide it, and whether a change holds at once.

use crate::config::{Config, OLLAMA_PORT, Provenance};
use kith_api::configuration::{Origin, Setting};
use kith_inference::KeepAlive;
use kith_keys::KeyProvider;
use serde_json::{Value, json};

/// What a set secret shows.
pub(crate) const HIDDEN: &str = "[set]";

/// One setting.
pub(crate) struct Known {
    /// `table.key`.
    pub key: &'static str,
    /// Variables that win over the file, the strongest first.
    pub variables: &'static [&'static str],
    /// Whether a change holds at once.
    pub live: bool,
    /// Whether its value is hidden.
    pub secret: bool,
    /// Whether the file may have it; otherwise it stands in the environment alone.
    pub in_file: bool,
    raw: fn(&Config) -> Value,
}

const fn known(key: &'static str, variables: &'static [&'static str], live: bool, raw: fn(&Config) -> Value) -> Known {
    Known { key, variables, live, secret: false, in_file: true, raw }
}

const fn secret(key: &'static str, variables: &'static [&'static str], in_file: bool, raw: fn(&Config) -> Value) -> Known {
    Known { key, variables, live: false, secret: true, in_file, raw }
}

fn clock(minutes: u16) -> Value {
    json!(format!("{:02}:{:02}", minutes / 60, minutes % 60))
}

/// All of them, table by table.
pub(crate) const SETTINGS: &[Known] = &[
    known("api.host", &["KITH_HOST"], false, |c| json!(c.listen.first().map(|at| at.ip().to_string()))),
    known("api.port", &["KITH_PORT"], false, |c| json!(c.listen.first().map(std::net::SocketAddr::port))),
    known("api.hosts", &[], true, |c| json!(c.hosts)),
    known("api.origins", &[], true, |c| json!(c.origins)),
    known("api.ollama_port", &["OLLAMA_HOST"], false, |c| {
        json!(c.listen.iter().chain(&c.listen_if_free).any(|at| at.port() == OLLAMA_PORT))
    }),
    known("auth.require_key", &["KITH_REQUIRE_KEY"], true, |c| json!(c.require_key)),
    secret("auth.admin_token", &["KITH_ADMIN_TOKEN", "OLLAMA_ADMIN_TOKEN"], false, |c| json!(c.admin_token)),
    secret("auth.mesh_token", &["KITH_MESH_TOKEN", "MESH_AUTH_TOKEN"], false, |c| json!(c.mesh_token)),
    known("limits.standard_per_hour", &["KITH_LIMITS"], true, |c| json!(c.limits.standard_per_hour)),
    known("limits.inference_per_minute", &["KITH_LIMITS"], true, |c| json!(c.limits.inference_per_minute)),
    known("limits.admin_per_minute", &["KITH_LIMITS"], true, |c| json!(c.limits.admin_per_minute)),
    known("inference.memory_mib", &[], true, |c| json!(c.inference.memory >> 20)),
    known("inference.parallel", &[], true, |c| json!(c.inference.parallel)),
    known("inference.context", &[], true, |c| json!(c.inference.context)),
    known("inference.keep_alive_seconds", &[], true, |c| match c.inference.keep_alive {
        KeepAlive::For(time) => json!(time.as_secs()),
        KeepAlive::Forever => json!(-1),
    }),
    known("inference.engine", &[], true, |c| json!(c.inference.engine.unwrap_or(crate::engines::AUTO))),
    known("inference.draft_model", &[], true, |c| json!(c.inference.draft.as_deref().unwrap_or_default())),
    known("keys.provider", &["KITH_KEY_PROVIDER"], false, |c| {
        json!(if c.key_provider == KeyProvider::File { "file" } else { "auto" })
    }),
    known("providers.env", &[], false, |c| json!(c.provider_keys_from_env)),
    known("providers.list_models", &[], false, |c| json!(c.list_cloud_models)),
    known("sources.hf_endpoint", &["HF_ENDPOINT"], false, |c| json!(c.sources.hub)),
    secret("sources.hf_token", &["HF_TOKEN"], true, |c| json!(c.sources.hub_token)),
    known("sources.registry", &["KITH_REGISTRY"], false, |c| json!(c.sources.registry)),
    known("sources.registry_user", &["KITH_REGISTRY_USER"], false, |c| {
        json!(c.sources.registry_credentials.as_ref().map(|(user, _)| user))
    }),
    secret("sources.registry_password", &["KITH_REGISTRY_PASSWORD"], true, |c| {
        json!(c.sources.registry_credentials.as_ref().map(|(_, password)| password))
    }),
    known("browse.roots", &[], false, |c| json!(c.browse_roots)),
    known("schedule.enabled", &[], true, |c| json!(c.schedule.enabled)),
    known("schedule.days", &[], true, |c| json!(c.schedule.day_words())),
    known("schedule.from", &[], true, |c| clock(c.schedule.from)),
    known("schedule.to", &[], true, |c| clock(c.schedule.to)),
    known("schedule.time_zone", &[], true, |c| json!(c.schedule.time_zone)),
    known("schedule.parallel", &[], true, |c| json!(c.schedule.parallel)),
    known("schedule.pause_sharing", &[], true, |c| json!(c.schedule.pause_sharing)),
    known("update.feed", &["KITH_UPDATE_FEED"], true, |c| json!(c.update.feed)),
    known("update.key", &[], true, |c| json!(c.update.key.map(hex::encode))),
    known("lan.bind", &[], false, |c| json!(c.lan_bind)),
    known("lan.port", &[], false, |c| json!(c.lan_port)),
    known("mesh.bind", &[], false, |c| json!(c.mesh.bind)),
    known("mesh.port", &[], false, |c| json!(c.mesh.port)),
    known("mesh.external", &[], false, |c| json!(c.mesh.external)),
    known("mesh.discovery", &[], false, |c| json!(c.mesh.discovery)),
    known("mesh.upnp", &[], false, |c| json!(c.mesh.upnp)),
    known("mesh.relay", &[], false, |c| json!(c.mesh.relay)),
    known("mesh.region", &[], false, |c| json!(c.mesh.region)),
    known("mesh.upload_kib_s", &[], true, |c| json!(c.mesh.upload_kib_s)),
    known("mesh.download_kib_s", &[], true, |c| json!(c.mesh.download_kib_s)),
];

impl Known {
    /// Its value in this configuration, as it is shown.
    pub fn value(&self, config: &Config) -> Value {
        match (self.raw)(config) {
            Value::Null => Value::Null,
            _ if self.secret => json!(HIDDEN),
            value => value,
        }
    }

    /// Whether two configurations differ in it.
    pub fn differs(&self, one: &Config, other: &Config) -> bool {
        (self.raw)(one) != (self.raw)(other)
    }

    /// Where that comes from. `in_file` tells whether the file has it.
    pub fn origin(&self, from: &Provenance, in_file: bool) -> (Origin, Option<&'static str>) {
        let option = match self.key {
            "api.host" if from.overrides.host.is_some() => Some("--host"),
            "api.port" if from.overrides.port.is_some() => Some("--port"),
            _ => None,
        };
        // This one variable can only ask for keys; any other word leaves the decision to the file.
        let decides = |name: &str| name != "KITH_REQUIRE_KEY" || from.is(name, &["1", "true"]);
        let variable = self.variables.iter().copied().find(|name| from.has(name) && decides(name));
        match (option, variable) {
            (Some(option), _) => (Origin::CommandLine, Some(option)),
            (None, Some(variable)) => (Origin::Env, Some(variable)),
            (None, None) if in_file => (Origin::File, self.variables.first().copied()),
            (None, None) => (Origin::Default, self.variables.first().copied()),
        }
    }

    /// The setting as it is in force.
    pub fn show(&self, config: &Config, in_file: bool) -> Setting {
        let (origin, variable) = self.origin(&config.provenance, in_file);
        Setting { key: self.key, value: self.value(config), origin, variable, live: self.live, secret: self.secret }
    }
}

/// The setting of this key.
pub(crate) fn find(key: &str) -> Option<&'static Known> {
    SETTINGS.iter().find(|known| known.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::File;
    use kith_api::configuration::flatten;
    use std::collections::BTreeSet;

    /// Whoever adds a setting to the file adds it to the list: what is not listed can be neither shown nor changed.
    #[test]
    fn every_setting_of_the_file_is_listed() {
        let Value::Object(file) = serde_json::to_value(File::default()).unwrap() else { unreachable!() };
        let in_file: BTreeSet<String> = flatten(file).keys().cloned().collect();
        let listed: BTreeSet<String> = SETTINGS.iter().filter(|known| known.in_file).map(|known| known.key.to_owned()).collect();
        assert_eq!(in_file, listed);
    }
}
