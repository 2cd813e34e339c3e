//! Where a name leads: to a repository of the hub, or to a registry.

use crate::{SourceError, hub::quant_of};
use kith_types::ModelName;

/// Hosts that stand for the hub.
const HUB_HOSTS: [&str; 2] = ["hf.co", "huggingface.co"];
/// The registry's host that names leave out.
const DEFAULT_REGISTRY: &str = "registry.ollama.ai";
/// The namespace that names leave out.
const DEFAULT_NAMESPACE: &str = "library";
/// The tag that means the source's own choice.
const LATEST: &str = "latest";

/// A model at its source, and the name it has in the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its name in the library.
    pub name: ModelName,
    /// Where it is.
    pub place: Place,
}

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of a repository on the hub.
    Hub {
        /// `user/repository`.
        repo: String,
        /// Which of its files.
        choice: Choice,
    },
    /// A tag of a registry.
    Registry {
        /// The registry's scheme and host; `None` for the configured one.
        host: Option<(String, String)>,
        /// `namespace/model`.
        path: String,
        /// The tag.
        tag: String,
    },
}

/// Which file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The one that suits most.
    Recommended,
    /// The one of this quantisation, `Q4_K_M`, or of this file name.
    Called(String),
}

impl Reference {
    /// Reads a name as Ollama's clients write it: `model`, `namespace/model:tag`, `host/namespace/model:tag`, and
    /// `hf.co/user/repository:QUANT`; also with `https://` or `http://` before it.
    ///
    /// # Errors
    /// [`SourceError::Name`].
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let (scheme, bare) = match text.split_once("://") {
            Some((scheme @ ("https" | "http"), bare)) => (Some(scheme), bare),
            Some((scheme, _)) => return Err(SourceError::Name(format!("models do not come over `{scheme}`"))),
            None => (None, text),
        };
        let name: ModelName = bare.parse()?;
        let family = name.family().to_owned();
        let (host, path) = match *family.split('/').collect::<Vec<_>>() {
            [model] => (None, format!("{DEFAULT_NAMESPACE}/{model}")),
            [host, _] if is_hub(host) => {
                return Err(SourceError::Name(format!("`{text}` names no repository: use {host}/user/repository")));
            }
            [namespace, model] => (None, format!("{namespace}/{model}")),
            [host, namespace, model] => (Some(host), format!("{namespace}/{model}")),
            _ => return Err(SourceError::Name(format!("`{text}` is not a model's name"))),
        };
        let tag = name.tag().to_owned();
        match host {
            Some(host) if is_hub(host) => {
                let choice = if tag.eq_ignore_ascii_case(LATEST) { Choice::Recommended } else { Choice::Called(tag) };
                Ok(Self { name, place: Place::Hub { repo: path, choice } })
            }
            Some(host) if host.eq_ignore_ascii_case(DEFAULT_REGISTRY) => {
                let short = path.strip_prefix(&format!("{DEFAULT_NAMESPACE}/")).unwrap_or(&path);
                let name = format!("{short}:{tag}").parse()?;
                let host = Some((scheme.unwrap_or("https").to_owned(), host.to_owned()));
                Ok(Self { name, place: Place::Registry { host, path, tag } })
            }
            Some(host) => {
                let plain = crate::web::is_loopback_host(host.rsplit_once(':').map_or(host, |(host, _)| host));
                let scheme = scheme.unwrap_or(if plain { "http" } else { "https" });
                let host = Some((scheme.to_owned(), host.to_owned()));
                Ok(Self { name, place: Place::Registry { host, path, tag } })
            }
            None if path.starts_with(&format!("{DEFAULT_NAMESPACE}/")) && family.contains('/') => {
                let name = format!("{}:{tag}", path.trim_start_matches(&format!("{DEFAULT_NAMESPACE}/"))).parse()?;
                Ok(Self { name, place: Place::Registry { host: None, path, tag } })
            }
            None => Ok(Self { name, place: Place::Registry { host: None, path, tag } }),
        }
    }

    /// One file of a repository on the hub. Its name in the library ends in `label`, or in the file's name where that is no tag.
    ///
    /// # Errors
    /// [`SourceError::Name`] if the parts make no name.
    pub fn file(repo: &str, file: &str, label: Option<&str>) -> Result<Self, SourceError> {
        let stem = file.rsplit('/').next().unwrap_or(file);
        let tag = label.unwrap_or_else(|| stem.strip_suffix(".gguf").unwrap_or(stem));
        let mut reference = Self::parse(&format!("hf.co/{repo}:{tag}"))?;
        if let Place::Hub { choice, .. } = &mut reference.place {
            *choice = Choice::Called(file.to_owned());
        }
        Ok(reference)
    }
}

impl Place {
    /// Whether both lead to the same model. Names are compared without regard to case, and a file is also meant by its label.
    pub(crate) fn means(&self, other: &Self) -> bool {
        let is = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        match (self, other) {
            (Self::Hub { repo, choice }, Self::Hub { repo: other_repo, choice: other_choice }) => {
                is(repo, other_repo) && choice.means(other_choice)
            }
            (Self::Registry { host, path, tag }, Self::Registry { host: other_host, path: other_path, tag: other_tag }) => {
                let hosts = match (host, other_host) {
                    (None, None) => true,
                    (Some((scheme, host)), Some((other_scheme, other_host))) => scheme == other_scheme && is(host, other_host),
                    _ => false,
                };
                hosts && is(path, other_path) && is(tag, other_tag)
            }
            _ => false,
        }
    }
}

impl Choice {
    fn means(&self, other: &Self) -> bool {
        let (Self::Called(one), Self::Called(two)) = (self, other) else { return self == other };
        let labelled = |file: &str, label: &str| quant_of(file).is_some_and(|found| found.eq_ignore_ascii_case(label));
        let called = |file: &str, name: &str| {
            let stem = file.rsplit('/').next().and_then(|file| file.strip_suffix(".gguf"));
            stem.is_some_and(|stem| stem.eq_ignore_ascii_case(name))
        };
        let is = |one, two| labelled(one, two) || called(one, two);
        one.eq_ignore_ascii_case(two) || is(one, two) || is(two, one)
    }
}

fn is_hub(host: &str) -> bool {
    HUB_HOSTS.iter().any(|hub| host.eq_ignore_ascii_case(hub))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Reference {
        Reference::parse(text).unwrap()
    }

    fn registry(host: Option<(&str, &str)>, path: &str, tag: &str) -> Place {
        let host = host.map(|(scheme, host)| (scheme.to_owned(), host.to_owned()));
        Place::Registry { host, path: path.to_owned(), tag: tag.to_owned() }
    }

    #[test]
    fn a_bare_name_is_in_the_registrys_own_namespace() {
        assert_eq!(parse("smollm2:135m").place, registry(None, "library/smollm2", "135m"));
        assert_eq!(parse("acme/coder").place, registry(None, "acme/coder", "latest"));
        assert_eq!(parse("library/smollm2").name.to_string(), "smollm2:latest");
        assert_eq!(parse("registry.ollama.ai/library/smollm2:135m").name.to_string(), "smollm2:135m");
    }

    #[test]
    fn a_host_is_asked_over_tls_unless_it_is_this_machine_or_the_name_says_so() {
        assert_eq!(parse("hub.example/acme/coder:q4").place, registry(Some(("https", "hub.example")), "acme/coder", "q4"));
        assert_eq!(parse("http://hub.example/a/b").place, registry(Some(("http", "hub.example")), "a/b", "latest"));
        assert_eq!(parse("localhost:5000/a/b").place, registry(Some(("http", "localhost:5000")), "a/b", "latest"));
        assert_eq!(parse("127.0.0.1:5000/a/b").name.to_string(), "127.0.0.1:5000/a/b:latest");
    }

    #[test]
    fn the_hubs_names_say_repository_and_quantisation() {
        for host in ["hf.co", "huggingface.co", "HF.co"] {
            let reference = parse(&format!("{host}/acme/Tiny-GGUF:Q4_K_M"));
            assert_eq!(reference.name.to_string(), format!("{host}/acme/Tiny-GGUF:Q4_K_M"));
            let choice = Choice::Called("Q4_K_M".to_owned());
            assert_eq!(reference.place, Place::Hub { repo: "acme/Tiny-GGUF".to_owned(), choice });
        }
        let choice = Choice::Recommended;
        assert_eq!(parse("https://hf.co/acme/tiny").place, Place::Hub { repo: "acme/tiny".to_owned(), choice });
        let file = Reference::file("acme/tiny", "sub/Tiny.Q8_0.gguf", Some("Q8_0")).unwrap();
        assert_eq!(file.name.to_string(), "hf.co/acme/tiny:Q8_0");
        assert_eq!(Reference::file("acme/tiny", "odd.gguf", None).unwrap().name.to_string(), "hf.co/acme/tiny:odd");
    }

    #[test]
    fn one_model_may_be_meant_in_several_ways() {
        let file = |name: &str, label| Reference::file("acme/tiny", name, label).unwrap().place;
        let hub = |text: &str| parse(&format!("hf.co/{text}")).place;
        assert!(hub("acme/tiny:q8_0").means(&hub("ACME/Tiny:Q8_0")) && hub("acme/tiny").means(&hub("acme/tiny:latest")));
        assert!(hub("acme/tiny:Q8_0").means(&file("m.Q8_0.gguf", Some("Q8_0"))));
        assert!(hub("acme/tiny:odd").means(&file("sub/odd.gguf", None)) && !hub("acme/tiny:od").means(&file("odd.gguf", None)));
        assert!(!hub("acme/tiny:Q8_0").means(&file("other.gguf", Some("Q8_0"))) && !hub("a/b").means(&hub("a/b:Q8_0")));
        assert!(parse("acme/Tiny").place.means(&parse("ACME/tiny:LATEST").place));
        assert!(!parse("acme/tiny").place.means(&parse("hub.example/acme/tiny").place));
        assert!(!parse("acme/tiny").place.means(&hub("acme/tiny")));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "hf.co/acme", "ftp://a/b/c", "../x", "a/b/c/d", "http://", "hf.co/../x"] {
            assert!(matches!(Reference::parse(text), Err(SourceError::Name(_))), "{text}");
        }
    }
}
