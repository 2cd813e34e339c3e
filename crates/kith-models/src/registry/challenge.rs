//! What a registry asks for in `WWW-Authenticate`.

/// The longest header read, in bytes.
const MAX: usize = 4096;

/// How a registry wants to be shown who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// A token from another place.
    Bearer {
        /// The place.
        realm: String,
        /// For which service.
        service: Option<String>,
        /// For what.
        scope: Option<String>,
    },
    /// User and password.
    Basic,
}

impl Challenge {
    /// Reads a header; `None` for schemes that are not known.
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > MAX {
            return None;
        }
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameters = parameters(rest);
        let find = |name: &str| parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
        Some(Self::Bearer { realm: find("realm")?, service: find("service"), scope: find("scope") })
    }
}

/// `key="value"` pairs. Values in quotes may hold commas.
fn parameters(mut rest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches([' ', ',']).to_owned();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.push((key, value.trim().to_owned()));
        rest = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearers_challenge_is_read_with_commas_in_its_quotes() {
        let text = r#"Bearer realm="https://auth.example/token",service="hub.example", scope="repository:a/b:pull,push""#;
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            Challenge::read(text),
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".to_owned(),
                service: some("hub.example"),
                scope: some("repository:a/b:pull,push")
            })
        );
        assert_eq!(
            Challenge::read("bearer realm=x"),
            Some(Challenge::Bearer { realm: "x".to_owned(), service: None, scope: None })
        );
    }

    #[test]
    fn other_challenges_are_told_apart() {
        assert_eq!(Challenge::read("Basic realm=\"x\""), Some(Challenge::Basic));
        for text in ["", "Bearer", "Bearer service=\"x\"", "Negotiate", &"x".repeat(5000)] {
            assert_eq!(Challenge::read(text), None, "{text}");
        }
    }
}
