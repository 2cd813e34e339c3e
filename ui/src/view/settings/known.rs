//! Every setting of the node by its human name: where it is shown, what it is for, what kind of value it takes.

use super::Part;

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// On or off.
    Switch,
    /// A whole number between two bounds.
    Number {
        /// What is counted.
        unit: &'static str,
        /// The least.
        least: i64,
        /// The most.
        most: i64,
    },
    /// Mebibytes, shown in gigabytes.
    Memory,
    /// One of some words.
    Word(&'static [(&'static str, &'static str)]),
    /// One of some numbers; another one that is in force is offered as well.
    Time(&'static [(i64, &'static str)]),
    /// A model that lies here, or none.
    Model,
    /// A line of text; nothing is the default.
    Text {
        /// Shown while it is empty.
        hint: &'static str,
    },
    /// Any number of words; none is the default.
    Words {
        /// Shown where the next one is typed.
        hint: &'static str,
    },
    /// A text that is never shown again.
    Secret,
    /// Set where Kith is started, and nowhere else.
    Outside,
}

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// `table.key`.
    pub key: &'static str,
    /// The page it is on.
    pub part: Part,
    /// The heading it stands under.
    pub group: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    /// What it takes.
    pub kind: Kind,
}

const fn known(key: &'static str, part: Part, group: &'static str, name: &'static str, help: &'static str, kind: Kind) -> Known {
    Known { key, part, group, name, help, kind }
}

const fn count(unit: &'static str, least: i64, most: i64) -> Kind {
    Kind::Number { unit, least, most }
}

const STAYS: &[(i64, &str)] = &[
    (0, "Not at all"),
    (60, "1 minute"),
    (300, "5 minutes"),
    (1800, "30 minutes"),
    (3600, "1 hour"),
    (14_400, "4 hours"),
    (-1, "Until Kith stops"),
];
const SEALS: &[(&str, &str)] = &[("auto", "System keyring, else a file"), ("file", "A file with the data")];
const ENGINES: &[(&str, &str)] =
    &[("auto", "The fastest that reads the model"), ("layers", "Kith's own"), ("mistral.rs", "mistral.rs")];

/// All of them, in the order they are shown in.
pub const KNOWN: &[Known] = &[
    known(
        "browse.roots",
        Part::General,
        "Folders",
        "Folders to choose from",
        "Where the window may look for files. Home and drives if there are none here.",
        Kind::Words { hint: "/home/ada/Models" },
    ),
    known(
        "inference.memory_mib",
        Part::Answers,
        "Memory and speed",
        "Memory for models",
        "The most that all models hold together. The one unused for longest leaves first.",
        Kind::Memory,
    ),
    known(
        "inference.keep_alive_seconds",
        Part::Answers,
        "Memory and speed",
        "Keep a model in memory",
        "How long after its last answer. A client may ask for another time.",
        Kind::Time(STAYS),
    ),
    known(
        "inference.parallel",
        Part::Answers,
        "Memory and speed",
        "Answers at once",
        "For each model. Prompts beyond that wait in line.",
        count("answers", 1, 256),
    ),
    known(
        "inference.context",
        Part::Answers,
        "Memory and speed",
        "Context",
        "How much of a conversation a model sees, unless a client asks otherwise.",
        count("tokens", 64, 10_000_000),
    ),
    known(
        "inference.engine",
        Part::Answers,
        "Memory and speed",
        "Engine",
        "What runs a model that several engines read. Another one holds it where that one cannot.",
        Kind::Word(ENGINES),
    ),
    known(
        "inference.draft_model",
        Part::Answers,
        "Memory and speed",
        "Draft model",
        "A small model that guesses ahead for larger ones of its kind. Same answers, sooner.",
        Kind::Model,
    ),
    known(
        "sources.hf_endpoint",
        Part::Sources,
        "Hugging Face",
        "Hub address",
        "A mirror of the hub, if you use one.",
        Kind::Text { hint: "https://huggingface.co" },
    ),
    known(
        "sources.hf_token",
        Part::Sources,
        "Hugging Face",
        "Hub access token",
        "For models that can only be had with an account.",
        Kind::Secret,
    ),
    known(
        "sources.registry",
        Part::Sources,
        "Registry",
        "Registry address",
        "Where models with short names come from.",
        Kind::Text { hint: "The public registry" },
    ),
    known(
        "sources.registry_user",
        Part::Sources,
        "Registry",
        "Registry user",
        "If the registry asks for one.",
        Kind::Text { hint: "None" },
    ),
    known(
        "sources.registry_password",
        Part::Sources,
        "Registry",
        "Registry password",
        "Used together with the user.",
        Kind::Secret,
    ),
    known(
        "providers.env",
        Part::Sources,
        "Cloud providers",
        "Use keys of the environment",
        "Take keys such as OPENAI_API_KEY from where Kith is started.",
        Kind::Switch,
    ),
    known(
        "providers.list_models",
        Part::Sources,
        "Cloud providers",
        "List cloud models",
        "Offer models of providers with a key beside your own. Prompts to them leave this device.",
        Kind::Switch,
    ),
    known(
        "auth.require_key",
        Part::Access,
        "Rules",
        "Ask for a key on this device too",
        "Otherwise programs on this device may ask without one.",
        Kind::Switch,
    ),
    known(
        "keys.provider",
        Part::Access,
        "Rules",
        "Where secrets are locked",
        "What holds the key to saved tokens and passwords.",
        Kind::Word(SEALS),
    ),
    known("auth.admin_token", Part::Access, "Rules", "Admin token", "A fixed token that may do everything.", Kind::Outside),
    known("auth.mesh_token", Part::Access, "Rules", "Network token", "A fixed token that other nodes present.", Kind::Outside),
    known(
        "api.host",
        Part::Network,
        "Address",
        "Listen on",
        "127.0.0.1 is this device alone, 0.0.0.0 every network it is in.",
        Kind::Text { hint: "127.0.0.1" },
    ),
    known("api.port", Part::Network, "Address", "Port", "Where the window and the API are found.", count("", 0, 65_535)),
    known(
        "api.ollama_port",
        Part::Network,
        "Address",
        "Answer on Ollama's port",
        "Tools made for Ollama then find Kith at port 11434, if nothing else holds it.",
        Kind::Switch,
    ),
    known(
        "api.hosts",
        Part::Network,
        "Who may ask",
        "Other names of this device",
        "Requests to names that are not listed are refused.",
        Kind::Words { hint: "studio.local" },
    ),
    known(
        "api.origins",
        Part::Network,
        "Who may ask",
        "Web pages that may ask",
        "Pages from elsewhere are refused.",
        Kind::Words { hint: "https://chat.example" },
    ),
    known(
        "limits.inference_per_minute",
        Part::Network,
        "Limits for each caller",
        "Prompts",
        "Beyond that a caller is told to wait.",
        count("a minute", 1, 1_000_000),
    ),
    known(
        "limits.standard_per_hour",
        Part::Network,
        "Limits for each caller",
        "Other requests",
        "Lists, details, histories.",
        count("an hour", 1, 1_000_000),
    ),
    known(
        "limits.admin_per_minute",
        Part::Network,
        "Limits for each caller",
        "Changes",
        "Requests that change this node.",
        count("a minute", 1, 1_000_000),
    ),
    known(
        "update.feed",
        Part::Updates,
        "Where updates come from",
        "Feed",
        "The address that new versions are announced at.",
        Kind::Text { hint: "None" },
    ),
    known(
        "update.key",
        Part::Updates,
        "Where updates come from",
        "Publisher's key",
        "Only versions signed with it are taken.",
        Kind::Text { hint: "None" },
    ),
];

/// Something on these pages that is no setting of the configuration.
pub struct Spot {
    /// The page it is on.
    pub part: Part,
    /// Its name.
    pub name: &'static str,
    /// What it does; other words for it.
    pub words: &'static str,
}

const fn spot(part: Part, name: &'static str, words: &'static str) -> Spot {
    Spot { part, name, words }
}

/// What can be found beside the settings.
pub const SPOTS: &[Spot] = &[
    spot(Part::General, "Device name", "What others see this device as"),
    spot(Part::General, "Theme", "Light, dark, or as the system has it"),
    spot(Part::General, "Metered connection", "Spare a connection that is paid by volume"),
    spot(Part::General, "Hidden folders", "Show hidden folders when choosing one"),
    spot(Part::General, "Measures kept", "Hours of history behind the plots"),
    spot(Part::Answers, "Quiet hours", "A schedule for nights with fewer answers at once and no sharing"),
    spot(Part::Access, "API keys", "Tokens for programs and other machines: make, revoke"),
    spot(Part::Access, "Window password", "Sign in from a browser; change the password"),
    spot(Part::Access, "Sign out", "End this window's session, log out"),
    spot(Part::Updates, "Check for updates", "New version, upgrade"),
    spot(Part::Diagnostics, "Reports", "A zip of what helps to find a fault, with the log"),
    spot(Part::Diagnostics, "Audit", "Who did what on this node, as a list to filter and export"),
    spot(Part::About, "About", "Version, commit, build date, node id, platform"),
];

/// The setting of this key.
pub fn of(key: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.key == key)
}

/// The groups of a part with their settings, in their order.
pub fn groups(part: Part) -> Vec<(&'static str, Vec<&'static Known>)> {
    let mut groups: Vec<(&'static str, Vec<&'static Known>)> = Vec::new();
    for known in KNOWN.iter().filter(|known| known.part == part) {
        match groups.last_mut() {
            Some((name, settings)) if *name == known.group => settings.push(known),
            _ => groups.push((known.group, vec![known])),
        }
    }
    groups
}

/// What has every one of these words in its name, its help or its key.
pub fn search(words: &str) -> (Vec<&'static Known>, Vec<&'static Spot>) {
    let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
    let has = |texts: &[&str]| {
        let text = texts.join(" ").to_lowercase();
        words.iter().all(|word| text.contains(word.as_str()))
    };
    let known = KNOWN.iter().filter(|one| has(&[one.name, one.help, one.key, one.group, one.part.name()])).collect();
    let spots = SPOTS.iter().filter(|one| has(&[one.name, one.words, one.part.name()])).collect();
    (known, spots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_setting_stands_once_and_each_group_in_one_place() {
        let keys: BTreeSet<_> = KNOWN.iter().map(|known| known.key).collect();
        assert_eq!(keys.len(), KNOWN.len());
        for part in Part::ALL {
            let groups = groups(part);
            let names: BTreeSet<_> = groups.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), groups.len());
        }
        assert_eq!(of("api.port").map(|known| known.name), Some("Port"));
    }

    #[test]
    fn words_find_settings_by_name_help_and_key() {
        let names = |words: &str| search(words).0.into_iter().map(|known| known.name).collect::<Vec<_>>();
        assert_eq!(names("ollama port"), ["Answer on Ollama's port"]);
        assert_eq!(names("KEEP_ALIVE"), ["Keep a model in memory"]);
        assert!(names("zebra").is_empty());
        assert_eq!(search("log out").1.first().map(|spot| spot.name), Some("Sign out"));
    }

    #[test]
    fn texts_are_short_and_end() {
        for known in KNOWN {
            assert!(known.help.len() < 96 && known.help.ends_with('.') && !known.help.contains('!'), "{}", known.key);
        }
    }
}
