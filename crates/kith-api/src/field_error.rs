//! A field of a request that cannot be taken, in the words of the dialect its client speaks; and the checks that dialects share.

pub(crate) mod checks;

use kith_inference::InferenceError;

/// A field that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct FieldError {
    /// The field, as the client wrote it: `temperature`, `messages[2].content`, `options.num_predict`. Never empty.
    pub field: String,
    /// One sentence.
    pub message: String,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Puts an error of the native request into a dialect's words: the field, and its mention in the sentence.
pub(crate) fn in_words_of(dialect: fn(&str) -> String, error: InferenceError) -> InferenceError {
    match error {
        InferenceError::Invalid { field, message } => {
            let name = dialect(&field);
            let message = message.replace(&format!("`{field}`"), &format!("`{name}`"));
            InferenceError::Invalid { field: name, message }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_native_field_is_renamed_in_the_sentence_too() {
        let error = InferenceError::Invalid { field: "max_tokens".into(), message: "`max_tokens` is 0".into() };
        assert_eq!(
            in_words_of(|name| format!("options.{name}"), error),
            InferenceError::Invalid { field: "options.max_tokens".into(), message: "`options.max_tokens` is 0".into() }
        );
        assert_eq!(in_words_of(str::to_owned, InferenceError::Stopping), InferenceError::Stopping);
    }
}
