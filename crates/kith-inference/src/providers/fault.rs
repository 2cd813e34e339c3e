//! Why a provider did not answer. A variant is what the caller can do about it.

use super::secret::Secret;
use std::time::Duration;

/// The longest sentence of a provider that is passed on, in characters.
const MAX_SENTENCE: usize = 500;

/// A provider's own words, cut to a bound and without control characters.
fn short(text: &str) -> String {
    let mut short: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SENTENCE).collect();
    if text.chars().nth(MAX_SENTENCE).is_some() {
        short.push('…');
    }
    short
}

/// Why a provider did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderFault {
    /// No key is set: set one.
    NotConfigured,
    /// The key was refused: set another one.
    KeyRefused,
    /// The provider counts too many requests, or too much use, of this key.
    RateLimited {
        /// When it says to try again.
        retry_after: Option<Duration>,
        /// What it says, at most 500 characters.
        message: String,
    },
    /// The provider has too much to do.
    Overloaded {
        /// When it says to try again.
        retry_after: Option<Duration>,
    },
    /// This node already asks as much of providers at once as it may.
    Busy(usize),
    /// The provider refuses the request: change it.
    Rejected(String),
    /// The provider has no such model.
    NoSuchModel(String),
    /// The provider withheld the answer, or the rest of it.
    Withheld(String),
    /// Nothing came in time.
    Timeout(&'static str),
    /// No connection could be made.
    Unreachable,
    /// The provider answered with this status.
    Failed(u16),
    /// The answer broke off or cannot be understood.
    Broken(String),
}

impl ProviderFault {
    /// One sentence on `provider`.
    pub fn told(&self, provider: &str) -> String {
        match self {
            Self::NotConfigured => format!(
                "no key is set for {provider}; set one with: PUT /api/admin/providers (its own key, not one of this node)"
            ),
            Self::KeyRefused => format!("the key of {provider} was refused; set another one with: PUT /api/admin/providers"),
            Self::RateLimited { message, .. } => format!("{provider} takes no more requests of this key for now: {message}"),
            Self::Overloaded { .. } => format!("{provider} has too much to do; try again later"),
            Self::Busy(running) => format!("{running} answers of providers are under way; try again in a moment"),
            Self::Rejected(message) => format!("{provider} refuses the request: {message}"),
            Self::NoSuchModel(model) => format!("{provider} has no model `{model}` for this key"),
            Self::Withheld(why) => format!("{provider} withheld the answer: {why}"),
            Self::Timeout(what) => format!("{provider} {what}"),
            Self::Unreachable => format!("no connection to {provider} could be made"),
            Self::Failed(status) => format!("{provider} failed with status {status}"),
            Self::Broken(why) => format!("the answer of {provider} {why}"),
        }
    }

    /// The same without the key, which a provider may repeat in what it says, and with its words cut to their bound.
    pub(super) fn without(mut self, key: &Secret) -> Self {
        match &mut self {
            Self::RateLimited { message: text, .. } | Self::Rejected(text) | Self::Withheld(text) | Self::Broken(text) => {
                *text = short(&text.replace(key.expose(), "…"));
            }
            _ => {}
        }
        self
    }

    /// The word the endpoint of providers' health has for it.
    pub fn health_word(&self) -> String {
        match self {
            Self::RateLimited { .. } => "rate_limited".to_owned(),
            Self::Overloaded { .. } | Self::Busy(_) => "overloaded".to_owned(),
            Self::Timeout(_) => "timeout".to_owned(),
            Self::Unreachable => "unreachable".to_owned(),
            Self::KeyRefused | Self::NotConfigured => "error_401".to_owned(),
            Self::Rejected(_) | Self::Withheld(_) => "error_400".to_owned(),
            Self::NoSuchModel(_) => "error_404".to_owned(),
            Self::Failed(status) => format!("error_{status}"),
            Self::Broken(_) => "error_502".to_owned(),
        }
    }

    /// The word the endpoint of single models has for it.
    pub fn model_word(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limited",
            Self::NoSuchModel(_) => "not_found",
            Self::Overloaded { .. } | Self::Busy(_) | Self::Unreachable | Self::NotConfigured | Self::Failed(_) => "unavailable",
            Self::Timeout(_) => "timeout",
            Self::KeyRefused | Self::Rejected(_) | Self::Withheld(_) | Self::Broken(_) => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_a_provider_repeats_is_taken_out_even_where_the_sentence_is_cut() {
        let key = Secret::parse("sk-very-secret-key").unwrap();
        let text = format!("{}sk-very-secret-key is wrong", "x".repeat(MAX_SENTENCE - 5));
        let ProviderFault::Rejected(told) = ProviderFault::Rejected(text).without(&key) else { panic!() };
        assert!(!told.contains("sk-ve") && told.chars().count() == MAX_SENTENCE + 1, "{told}");
        assert_eq!(short("a\nb\u{1b}[0m"), "a b [0m");
    }

    #[test]
    fn every_fault_has_a_word_for_both_endpoints() {
        let faults = [
            (ProviderFault::RateLimited { retry_after: None, message: String::new() }, "rate_limited", "rate_limited"),
            (ProviderFault::Overloaded { retry_after: None }, "overloaded", "unavailable"),
            (ProviderFault::Timeout("x"), "timeout", "timeout"),
            (ProviderFault::Unreachable, "unreachable", "unavailable"),
            (ProviderFault::NoSuchModel("x".into()), "error_404", "not_found"),
            (ProviderFault::KeyRefused, "error_401", "error"),
            (ProviderFault::Failed(500), "error_500", "unavailable"),
        ];
        for (fault, health, model) in faults {
            assert_eq!((fault.health_word().as_str(), fault.model_word()), (health, model));
        }
    }
}
