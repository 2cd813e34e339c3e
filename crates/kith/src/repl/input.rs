//! What a line typed at the prompt means. Pure.

use serde_json::Value;

/// A line's meaning.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A blank line.
    Nothing,
    /// A message for the model.
    Say(String),
    /// `/help`
    Help,
    /// `/clear`
    Clear,
    /// `/set …`
    Set(Setting),
    /// `/show`
    Show,
    /// `/load MODEL`
    Load(String),
    /// `/bye`
    Bye,
    /// No command, or not so: the sentence that says why.
    Wrong(String),
}

/// What `/set` changes.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// The standing instructions; empty removes them.
    System(String),
    /// An option of the API by name.
    Option(&'static str, Value),
    /// The shape of the answers.
    Format(Option<Value>),
    /// Whether timings are printed.
    Verbose(bool),
}

/// The options that are numbers with a fraction, and those that are whole.
const FRACTIONS: [&str; 3] = ["temperature", "top_p", "min_p"];
const WHOLE: [&str; 4] = ["seed", "num_predict", "num_ctx", "top_k"];

/// The commands, for completion.
pub const COMMANDS: [&str; 8] = ["/bye", "/clear", "/help", "/load ", "/set system ", "/set temperature ", "/set seed ", "/show"];

/// What marks a message of several lines at its begin and end.
const FENCE: &str = "\"\"\"";

/// Whether `line` begins a message of several lines and does not end it.
pub fn is_unfinished(line: &str) -> bool {
    line.trim_start().strip_prefix(FENCE).is_some_and(|rest| !rest.trim_end().ends_with(FENCE))
}

/// Reads a line (or several, between fences).
pub fn parse(line: &str) -> Input {
    let text = line.trim();
    if let Some(rest) = text.strip_prefix(FENCE) {
        let message = rest.strip_suffix(FENCE).unwrap_or(rest).trim();
        return if message.is_empty() { Input::Nothing } else { Input::Say(message.to_owned()) };
    }
    if text.is_empty() {
        return Input::Nothing;
    }
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    match word {
        "/help" | "/?" => Input::Help,
        "/clear" => Input::Clear,
        "/show" => Input::Show,
        "/bye" | "/exit" | "/quit" => Input::Bye,
        "/load" if rest.is_empty() => Input::Wrong("Say which model: /load MODEL".to_owned()),
        "/load" => Input::Load(rest.to_owned()),
        "/set" => match setting(rest) {
            Ok(setting) => Input::Set(setting),
            Err(sentence) => Input::Wrong(sentence),
        },
        // A path such as /etc/hosts begins a message, not a command.
        word if word.starts_with('/') && word.len() > 1 && word[1..].chars().all(|c| c.is_ascii_alphabetic()) => {
            Input::Wrong(format!("There is no command {word}; /help lists them."))
        }
        _ => Input::Say(text.to_owned()),
    }
}

fn setting(text: &str) -> Result<Setting, String> {
    let text = text.strip_prefix("parameter ").unwrap_or(text).trim();
    let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let value = value.trim();
    if let Some(name) = FRACTIONS.into_iter().find(|known| *known == name) {
        return match value.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Setting::Option(name, number.into())),
            _ => Err(format!("{name} needs a number: /set {name} 0.7")),
        };
    }
    if let Some(name) = WHOLE.into_iter().find(|known| *known == name) {
        return match value.parse::<u64>() {
            Ok(number) => Ok(Setting::Option(name, number.into())),
            Err(_) => Err(format!("{name} needs a whole number: /set {name} 42")),
        };
    }
    match (name, value) {
        ("system", value) => {
            let value = value.strip_prefix(FENCE).map_or(value, |rest| rest.strip_suffix(FENCE).unwrap_or(rest));
            Ok(Setting::System(value.trim_matches('"').trim().to_owned()))
        }
        ("format", "json") => Ok(Setting::Format(Some("json".into()))),
        ("format", "text") => Ok(Setting::Format(None)),
        ("format", _) => Err("The format is json or text: /set format json".to_owned()),
        ("verbose", "" | "on") => Ok(Setting::Verbose(true)),
        ("verbose", "off") | ("quiet", "") => Ok(Setting::Verbose(false)),
        _ => Err("Nothing of that name can be set; /help lists what can.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_unless_it_is_a_command() {
        assert_eq!(parse("  hello there "), Input::Say("hello there".into()));
        assert_eq!(parse(" \t"), Input::Nothing);
        assert_eq!(parse("/etc/hosts holds what?"), Input::Say("/etc/hosts holds what?".into()));
        assert_eq!(parse("/"), Input::Say("/".into()));
        assert_eq!(parse("/?"), Input::Help);
        assert_eq!(parse("/bye"), Input::Bye);
        assert_eq!(parse("/clear now"), Input::Clear);
        assert_eq!(parse("/load a:b"), Input::Load("a:b".into()));
        assert!(matches!(parse("/load"), Input::Wrong(_)));
        assert_eq!(parse("/fly high"), Input::Wrong("There is no command /fly; /help lists them.".into()));
    }

    #[test]
    fn a_message_of_several_lines_stands_between_fences() {
        assert!(is_unfinished("\"\"\"first"));
        assert!(is_unfinished("\"\"\""));
        assert!(is_unfinished("\"\"\"first\nsecond"));
        assert!(!is_unfinished("\"\"\"first\nsecond\"\"\" "));
        assert!(!is_unfinished("plain"));
        assert_eq!(parse("\"\"\"first\nsecond\"\"\""), Input::Say("first\nsecond".into()));
        assert_eq!(parse("\"\"\"/bye\"\"\""), Input::Say("/bye".into()));
        assert_eq!(parse("\"\"\"\n\"\"\""), Input::Nothing);
    }

    #[test]
    fn settings_are_checked_before_they_are_taken() {
        assert_eq!(parse("/set temperature 0.5"), Input::Set(Setting::Option("temperature", 0.5.into())));
        assert_eq!(parse("/set parameter seed 7"), Input::Set(Setting::Option("seed", 7.into())));
        assert_eq!(parse("/set system \"be brief\""), Input::Set(Setting::System("be brief".into())));
        assert_eq!(parse("/set system"), Input::Set(Setting::System(String::new())));
        assert_eq!(parse("/set format json"), Input::Set(Setting::Format(Some("json".into()))));
        assert_eq!(parse("/set format text"), Input::Set(Setting::Format(None)));
        assert_eq!(parse("/set verbose off"), Input::Set(Setting::Verbose(false)));
        for line in
            ["/set", "/set temperature", "/set temperature NaN", "/set seed -1", "/set seed 1.5", "/set format xml", "/set x y"]
        {
            assert!(matches!(parse(line), Input::Wrong(_)), "{line}");
        }
    }
}
