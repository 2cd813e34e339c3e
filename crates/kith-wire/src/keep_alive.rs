//! How long a model stays loaded, as Ollama writes it: seconds, or a duration such as `1h30m`.

use crate::union::by_kind;
use serde::Serialize;
use std::time::Duration;

/// How long a model stays loaded after its last use: a number of seconds, or a text such as `5m`, `1h30m`, `300ms`. Zero unloads it
/// after the answer; a negative value keeps it until it is unloaded or memory is needed.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum KeepAlive {
    /// Seconds.
    Seconds(f64),
    /// A duration with units (`ns`, `us`, `ms`, `s`, `m`, `h`), or a number of seconds.
    Text(String),
}

by_kind!(KeepAlive, "a number of seconds or a text such as \"5m\"",
    number => |n| Ok(KeepAlive::Seconds(n)),
    text => |t| Ok(KeepAlive::Text(t)),
);

/// A text was not a duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepAliveError(String);

impl std::fmt::Display for KeepAliveError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown: String = self.0.chars().take(40).collect();
        write!(f, "`{shown}` is not a duration: use seconds, or a text such as 5m, 1h30m or 300ms")
    }
}

impl std::error::Error for KeepAliveError {}

impl KeepAlive {
    /// The time meant; `None` is forever (a negative value). Times beyond a century count as forever.
    pub fn duration(&self) -> Result<Option<Duration>, KeepAliveError> {
        match self {
            Self::Seconds(seconds) => from_seconds(*seconds).ok_or_else(|| KeepAliveError(seconds.to_string())),
            Self::Text(text) => parse(text.trim()).ok_or_else(|| KeepAliveError(text.clone())),
        }
    }
}

/// Longer than this is forever, as far as a process is concerned.
const CENTURY: f64 = 100.0 * 365.25 * 86_400.0;

fn from_seconds(seconds: f64) -> Option<Option<Duration>> {
    if seconds.is_nan() {
        return None;
    }
    Some((0.0..CENTURY).contains(&seconds).then(|| Duration::from_secs_f64(seconds)))
}

fn parse(text: &str) -> Option<Option<Duration>> {
    let plain = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    if plain(rest) {
        seconds = rest.parse::<f64>().ok()?;
    } else {
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let (number, tail) = rest.split_at(digits);
            let number: f64 = number.parse().ok()?;
            let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit);
            seconds += number
                * match unit {
                    "ns" => 1e-9,
                    "us" | "µs" | "μs" => 1e-6,
                    "ms" => 1e-3,
                    "s" => 1.0,
                    "m" => 60.0,
                    "h" => 3600.0,
                    _ => return None,
                };
            rest = tail;
        }
    }
    // Minus zero is zero, as in Go's `ParseDuration`.
    from_seconds(if negative && seconds > 0.0 { -seconds } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn meant(value: serde_json::Value) -> Result<Option<Duration>, KeepAliveError> {
        serde_json::from_value::<KeepAlive>(value).unwrap().duration()
    }

    #[test]
    fn numbers_are_seconds_and_texts_are_durations() {
        let s = |n: f64| Ok(Some(Duration::from_secs_f64(n)));
        assert_eq!(meant(json!(0)), s(0.0));
        assert_eq!(meant(json!("0")), s(0.0));
        assert_eq!(meant(json!("-0")), s(0.0));
        assert_eq!(meant(json!(300)), s(300.0));
        assert_eq!(meant(json!(0.5)), s(0.5));
        assert_eq!(meant(json!("5m")), s(300.0));
        assert_eq!(meant(json!("1h30m")), s(5400.0));
        assert_eq!(meant(json!("300ms")), s(0.3));
        assert_eq!(meant(json!("1.5h")), s(5400.0));
        assert_eq!(meant(json!("90")), s(90.0));
    }

    #[test]
    fn a_negative_time_and_one_beyond_a_century_are_forever() {
        for value in [json!(-1), json!("-1"), json!("-1s"), json!("-5m"), json!(1e12), json!("999999h999999h")] {
            assert_eq!(meant(value), Ok(None));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "-", "five", "5x", "m", "5m3", "5 m", "1..5s", "é"] {
            assert!(meant(json!(text)).is_err(), "{text}");
        }
        assert!(serde_json::from_value::<KeepAlive>(json!([1])).is_err());
    }
}
