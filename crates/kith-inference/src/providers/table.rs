//! The providers Kith knows: where each one is, which of the two wire forms it speaks, and what can be asked of it.

/// How a provider is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// OpenAI's chat completions.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
}

/// What a provider takes beyond messages, tools, `temperature`, `top_p`, `stop` and a limit of tokens, as its own reference says.
/// What is not listed for a provider is refused here, since many of them pass over what they do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    TopK,
    MinP,
    RepetitionPenalty,
    /// `frequency_penalty` and `presence_penalty`.
    Penalties,
    LogProbs,
    LogitBias,
    /// Any JSON object as the answer.
    JsonObject,
    /// An answer of a given JSON Schema.
    JsonSchema,
    /// At most one call in an answer.
    OneCall,
    /// A call that must be made.
    ForcedCall,
    Images,
}

/// How a conversation that ends with the assistant's words is continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefill {
    /// Not at all: the provider would begin a new message.
    No,
    /// The last message is simply continued.
    Plain,
    /// The last message carries this field, set to true.
    Flag(&'static str),
}

/// How reasoning is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thinking {
    /// Not at all.
    No,
    /// `reasoning_effort`, with `none` for off.
    Effort,
    /// `thinking: {"type": "enabled" | "disabled"}`.
    Switch,
    /// The same, with a budget of tokens.
    Budget,
}

/// One provider.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The part of a model's name before the first slash.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Its own address, without a slash at the end.
    pub base_url: &'static str,
    /// The variable its key is read from, if the owner allows it.
    pub env: &'static str,
    pub form: Form,
    /// The field that limits the tokens of an answer.
    pub limit: &'static str,
    /// The field of the seed, if there is one.
    pub seed: Option<&'static str>,
    /// Whether the counts of tokens must be asked for.
    pub ask_usage: bool,
    /// Whether ids of tool calls must be nine letters and digits.
    pub short_ids: bool,
    pub prefill: Prefill,
    pub thinking: Thinking,
    pub offers: &'static [Offer],
    /// Small models to ask for a sign of life; the first one that the provider lists is taken.
    pub probes: &'static [&'static str],
}

impl Row {
    pub fn offers(&self, offer: Offer) -> bool {
        self.offers.contains(&offer)
    }
}

/// What most of those that speak OpenAI's form have in common.
const USUAL: Row = Row {
    name: "",
    title: "",
    base_url: "",
    env: "",
    form: Form::OpenAi,
    limit: "max_tokens",
    seed: Some("seed"),
    ask_usage: true,
    short_ids: false,
    prefill: Prefill::No,
    thinking: Thinking::No,
    offers: &[],
    probes: &[],
};

use Offer::{ForcedCall, Images, JsonObject, JsonSchema, LogProbs, LogitBias, MinP, OneCall, Penalties, RepetitionPenalty, TopK};

/// Every provider, in the order they are shown in.
pub(crate) static PROVIDERS: [Row; 12] = [
    Row {
        name: "openai",
        title: "OpenAI",
        base_url: "https://api.openai.com/v1",
        env: "OPENAI_API_KEY",
        // Its newer models refuse `max_tokens`; the older ones take both.
        limit: "max_completion_tokens",
        thinking: Thinking::Effort,
        offers: &[Penalties, LogProbs, LogitBias, JsonObject, JsonSchema, OneCall, ForcedCall, Images],
        probes: &["gpt-4.1-nano", "gpt-4o-mini", "gpt-5-nano"],
        ..USUAL
    },
    Row {
        name: "anthropic",
        title: "Anthropic",
        base_url: "https://api.anthropic.com/v1",
        env: "ANTHROPIC_API_KEY",
        form: Form::Anthropic,
        seed: None,
        prefill: Prefill::Plain,
        thinking: Thinking::Budget,
        offers: &[TopK, JsonSchema, OneCall, ForcedCall, Images],
        probes: &["claude-haiku-4-5", "claude-haiku-4-5-20251001", "claude-3-5-haiku-20241022"],
        ..USUAL
    },
    Row {
        name: "deepseek",
        title: "DeepSeek",
        base_url: "https://api.deepseek.com/v1",
        env: "DEEPSEEK_API_KEY",
        seed: None,
        thinking: Thinking::Switch,
        offers: &[Penalties, LogProbs, JsonObject, ForcedCall],
        probes: &["deepseek-chat"],
        ..USUAL
    },
    Row {
        name: "mistral",
        title: "Mistral",
        base_url: "https://api.mistral.ai/v1",
        env: "MISTRAL_API_KEY",
        seed: Some("random_seed"),
        // Counts come unasked, and unknown fields are refused.
        ask_usage: false,
        short_ids: true,
        prefill: Prefill::Flag("prefix"),
        offers: &[Penalties, JsonObject, JsonSchema, OneCall, ForcedCall, Images],
        probes: &["ministral-3b-latest", "mistral-small-latest"],
        ..USUAL
    },
    Row {
        name: "groq",
        title: "Groq",
        base_url: "https://api.groq.com/openai/v1",
        env: "GROQ_API_KEY",
        limit: "max_completion_tokens",
        thinking: Thinking::Effort,
        offers: &[JsonObject, JsonSchema, OneCall, ForcedCall, Images],
        probes: &["llama-3.1-8b-instant", "openai/gpt-oss-20b"],
        ..USUAL
    },
    Row {
        name: "nvidia",
        title: "NVIDIA NIM",
        base_url: "https://integrate.api.nvidia.com/v1",
        env: "NVIDIA_API_KEY",
        offers: &[Penalties, LogProbs, JsonObject, JsonSchema, ForcedCall, Images],
        probes: &["meta/llama-3.1-8b-instruct", "meta/llama-3.2-1b-instruct"],
        ..USUAL
    },
    Row {
        name: "cerebras",
        title: "Cerebras",
        base_url: "https://api.cerebras.ai/v1",
        env: "CEREBRAS_API_KEY",
        limit: "max_completion_tokens",
        thinking: Thinking::Effort,
        offers: &[LogProbs, JsonObject, JsonSchema, OneCall, ForcedCall],
        probes: &["llama3.1-8b", "gpt-oss-120b"],
        ..USUAL
    },
    Row {
        name: "sambanova",
        title: "SambaNova",
        base_url: "https://api.sambanova.ai/v1",
        env: "SAMBANOVA_API_KEY",
        seed: None,
        offers: &[TopK, JsonObject, JsonSchema, OneCall, ForcedCall, Images],
        probes: &["Meta-Llama-3.1-8B-Instruct", "Meta-Llama-3.3-70B-Instruct"],
        ..USUAL
    },
    Row {
        name: "fireworks",
        title: "Fireworks",
        base_url: "https://api.fireworks.ai/inference/v1",
        env: "FIREWORKS_API_KEY",
        thinking: Thinking::Effort,
        offers: &[TopK, MinP, RepetitionPenalty, Penalties, LogProbs, LogitBias, JsonObject, JsonSchema, ForcedCall, Images],
        probes: &["accounts/fireworks/models/gpt-oss-20b", "accounts/fireworks/models/llama-v3p1-8b-instruct"],
        ..USUAL
    },
    Row {
        name: "together",
        title: "Together",
        base_url: "https://api.together.xyz/v1",
        env: "TOGETHER_API_KEY",
        offers: &[TopK, MinP, RepetitionPenalty, Penalties, LogitBias, JsonObject, JsonSchema, ForcedCall, Images],
        probes: &["meta-llama/Llama-3.2-3B-Instruct-Turbo", "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo"],
        ..USUAL
    },
    Row {
        name: "deepinfra",
        title: "DeepInfra",
        base_url: "https://api.deepinfra.com/v1/openai",
        env: "DEEPINFRA_API_KEY",
        thinking: Thinking::Effort,
        offers: &[TopK, MinP, RepetitionPenalty, Penalties, JsonObject, JsonSchema, ForcedCall, Images],
        probes: &["meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo", "meta-llama/Meta-Llama-3.1-8B-Instruct"],
        ..USUAL
    },
    Row {
        name: "moonshot",
        title: "Moonshot",
        base_url: "https://api.moonshot.ai/v1",
        env: "MOONSHOT_API_KEY",
        limit: "max_completion_tokens",
        seed: None,
        prefill: Prefill::Flag("partial"),
        thinking: Thinking::Switch,
        offers: &[Penalties, JsonObject, JsonSchema, Images],
        probes: &["moonshot-v1-8k", "kimi-k2-turbo-preview"],
        ..USUAL
    },
];

/// The provider of this name.
pub(crate) fn provider(name: &str) -> Option<&'static Row> {
    PROVIDERS.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

/// Splits `provider/model`. `None` for any other name: such a name never leaves the machine.
pub(crate) fn route(name: &str) -> Option<(&'static Row, &str)> {
    let (first, model) = name.split_once('/')?;
    Some((provider(first)?, model)).filter(|_| !model.is_empty() && model.len() <= MAX_MODEL)
}

/// The longest model's name that is sent to a provider, in bytes.
pub(crate) const MAX_MODEL: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn only_a_name_with_a_providers_own_word_before_the_slash_goes_out() {
        assert_eq!(route("openai/gpt-4o").map(|(row, model)| (row.name, model)), Some(("openai", "gpt-4o")));
        let deep = route("fireworks/accounts/fireworks/models/x").map(|(row, model)| (row.name, model));
        assert_eq!(deep, Some(("fireworks", "accounts/fireworks/models/x")));
        for plain in ["gpt-4o", "llama3:8b", "acme/coder", "openai", "openai/", "/openai/gpt-4o", "hub.example/openai/gpt-4o"] {
            assert_eq!(route(plain), None, "{plain}");
        }
        assert_eq!(route(&format!("openai/{}", "x".repeat(MAX_MODEL + 1))), None);
    }

    #[test]
    fn the_table_is_whole_and_every_address_is_encrypted() {
        let names: BTreeSet<_> = PROVIDERS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), PROVIDERS.len());
        for row in &PROVIDERS {
            assert!(row.base_url.starts_with("https://") && !row.base_url.ends_with('/'), "{}", row.name);
            assert!(row.env.ends_with("_API_KEY") && !row.probes.is_empty() && !row.title.is_empty(), "{}", row.name);
        }
    }
}
