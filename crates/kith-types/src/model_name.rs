//! The names of models: `family:tag`, optionally under a host and a namespace.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The tag that a name without one means.
const DEFAULT_TAG: &str = "latest";
/// The longest name taken, in bytes.
const MAX_LEN: usize = 255;

/// A model's name, always with its tag: `smollm2:135m`, `acme/coder:latest`, `hub.example/acme/coder:q4`.
///
/// Up to three path parts of letters, digits, `.`, `_`, `-`, and a tag of the same. Compared without regard to case, kept as given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName {
    family: String,
    tag: String,
}

/// A text was not a model's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelNameError {
    /// The name is empty.
    #[error("the model's name is empty")]
    Empty,
    /// The name is longer than 255 bytes.
    #[error("the model's name has {0} bytes; at most 255 are taken")]
    TooLong(usize),
    /// A part of the name has a character that names do not have, is empty, or starts with a dot or dash.
    #[error("`{0}` is not a model's name: use family:tag, of letters, digits, `.`, `_`, `-` and `/`")]
    Malformed(String),
}

impl ModelName {
    /// Everything before the tag.
    pub fn family(&self) -> &str {
        &self.family
    }

    /// The tag, `latest` where none was given.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The form under which names are compared and stored: lower case, with the tag.
    pub fn key(&self) -> String {
        self.to_string().to_lowercase()
    }
}

fn part_ok(part: &str) -> bool {
    // Names become parts of paths and URLs elsewhere: two dots in a row never stand in one.
    part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && !part.contains("..")
        && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

impl FromStr for ModelName {
    type Err = ModelNameError;

    fn from_str(text: &str) -> Result<Self, ModelNameError> {
        if text.is_empty() {
            return Err(ModelNameError::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(ModelNameError::TooLong(text.len()));
        }
        let malformed = || ModelNameError::Malformed(text.to_owned());
        let (path, tag) = match text.rsplit_once(':') {
            // A colon before a slash belongs to a host's port, not to a tag.
            Some((path, tag)) if !tag.contains('/') => (path, tag),
            _ => (text, DEFAULT_TAG),
        };
        let parts: Vec<&str> = path.split('/').collect();
        let host_ok = |part: &str| match part.rsplit_once(':') {
            Some((host, port)) => part_ok(host) && port.parse::<u16>().is_ok(),
            None => part_ok(part),
        };
        let ok = match parts.as_slice() {
            [host, rest @ ..] if rest.len() == 2 => host_ok(host) && rest.iter().all(|p| part_ok(p)),
            parts => parts.len() <= 2 && parts.iter().all(|p| part_ok(p)),
        };
        if ok && part_ok(tag) { Ok(Self { family: path.to_owned(), tag: tag.to_owned() }) } else { Err(malformed()) }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.family, self.tag)
    }
}

impl PartialEq for ModelName {
    fn eq(&self, other: &Self) -> bool {
        self.family.eq_ignore_ascii_case(&other.family) && self.tag.eq_ignore_ascii_case(&other.tag)
    }
}

impl Eq for ModelName {}

impl TryFrom<String> for ModelName {
    type Error = ModelNameError;

    fn try_from(text: String) -> Result<Self, ModelNameError> {
        text.parse()
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_without_a_tag_means_latest() {
        let name: ModelName = "smollm2".parse().unwrap();
        assert_eq!((name.family(), name.tag()), ("smollm2", "latest"));
        assert_eq!("SmolLM2:135M".parse::<ModelName>().unwrap(), "smollm2:135m".parse().unwrap());
    }

    #[test]
    fn hosts_and_namespaces_are_parts_of_the_family() {
        for text in ["acme/coder:q4", "hub.example/acme/coder:q4", "hub.example:5000/acme/coder:q4"] {
            assert_eq!(text.parse::<ModelName>().unwrap().to_string(), text);
        }
        assert_eq!("hub.example:5000/acme/coder".parse::<ModelName>().unwrap().tag(), "latest");
    }

    #[test]
    fn paths_and_markup_are_not_names() {
        for text in
            ["", "../etc/passwd", "a/../b", "/abs", "a//b", "a:b:c", "a b", "<b>", "a/b/c/d", ".hidden", "a:", ":a", "a\0b", "é"]
        {
            assert!(text.parse::<ModelName>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_printed_and_taken_again(text in "[a-zA-Z0-9_./:-]{1,40}") {
            if let Ok(name) = text.parse::<ModelName>() {
                prop_assert_eq!(name.to_string().parse::<ModelName>(), Ok(name.clone()));
                prop_assert!(!name.to_string().contains(".."), "{}", name);
            }
        }
    }
}
