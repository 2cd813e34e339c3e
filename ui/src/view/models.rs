//! What the page of models says of a model, a download, a failure.

use super::{format, words};
use kith_wire::{
    ollama::{Details, ModelSummary},
    system::Download,
};
use serde_json::{Map, Value};

/// The longest value of a file's metadata that is shown whole.
const LONGEST_VALUE: usize = 240;
/// Hosts that stand for the hub.
const HUB_HOSTS: [&str; 2] = ["hf.co/", "huggingface.co/"];

/// Whether a model of the list is a provider's, and nothing of it lies here.
pub fn is_remote(model: &ModelSummary) -> bool {
    model.status.as_deref() == Some("remote")
}

/// A name in two: what it is called, and where it is from, if the name says.
pub fn split(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('/') {
        Some((place, title)) => (title, Some(place)),
        None => (name, None),
    }
}

/// Family, size and quantisation in one line.
pub fn kind(details: &Details) -> String {
    let parts = [&details.family, &details.parameter_size, &details.quantization_level];
    let known: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty() && *part != "unknown").collect();
    known.join(" · ")
}

/// Tokens a model was trained to attend to, as its file says.
pub fn context(metadata: &Map<String, Value>) -> Option<u64> {
    let architecture = metadata.get("general.architecture")?.as_str()?;
    metadata.get(&format!("{architecture}.context_length"))?.as_u64()
}

/// What a model can do, in words; that it writes text goes without saying.
pub fn abilities(capabilities: &[String]) -> Vec<&'static str> {
    let word = |capability: &String| match capability.as_str() {
        "vision" => Some("sees images"),
        "tools" => Some("uses tools"),
        "thinking" => Some("thinks first"),
        "embedding" => Some("embeds text"),
        "insert" => Some("fills in"),
        _ => None,
    };
    capabilities.iter().filter_map(word).collect()
}

/// A value of a file's metadata as a text; `None` for a list that was left out.
pub fn value(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), format::count),
        Value::Array(items) => items.iter().filter_map(self::value).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST_VALUE {
        return Some(text);
    }
    let cut: String = text.chars().take(LONGEST_VALUE).collect();
    Some(format!("{cut}…"))
}

/// What a download shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// What is being done.
    pub state: &'static str,
    /// How far it is in percent; none before that is known.
    pub percent: Option<f64>,
    /// Bytes, speed, time left.
    pub figures: String,
}

/// Whether a download runs or waits.
pub fn is_under_way(download: &Download) -> bool {
    download.finished_at.is_none() && !matches!(download.status.as_str(), "completed" | "failed" | "cancelled" | "ready")
}

/// Whether a download ended without its model.
pub fn is_broken_off(download: &Download) -> bool {
    matches!(download.status.as_str(), "failed" | "cancelled")
}

/// How far a download is.
pub fn progress(download: &Download) -> Progress {
    let state = match download.status.as_str() {
        "queued" => "Waiting",
        "preparing" => "Asking the source",
        "downloading" => "Downloading",
        "verifying" => "Checking every byte",
        "writing" => "Adding to the library",
        "failed" => "Failed",
        "cancelled" => "Cancelled",
        _ => "Done",
    };
    let (done, total) = (download.completed_bytes, download.total_bytes);
    let mut figures = Vec::new();
    if total > 0 {
        figures.push(format!("{} of {}", format::bytes(done), format::bytes(total)));
    } else if done > 0 {
        figures.push(format::bytes(done));
    }
    if download.status == "downloading" && download.speed_bps > 0 {
        figures.push(format!("{}/s", format::bytes(download.speed_bps)));
        if let Some(left) = download.eta_seconds {
            figures.push(format!("{} left", format::duration_ms(left.max(1).saturating_mul(1000))));
        }
    }
    Progress { state, percent: (total > 0).then(|| download.progress.clamp(0.0, 100.0)), figures: figures.join(" · ") }
}

/// What stands under a download that does not just run: a notice, how often it was tried, why it failed.
pub fn remark(download: &Download) -> Option<String> {
    if let Some(error) = &download.error {
        return Some(fault(error));
    }
    let notice = download.notice.as_deref().map(fault);
    let tried = (download.retries > 0)
        .then(|| format!("{} so far.", words::plural(download.retries.into(), "failed try", "failed tries")));
    let parts: Vec<String> = notice.into_iter().chain(tried).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// A source's failure as a sentence for people.
pub fn fault(message: &str) -> String {
    let again = message.rsplit_once("; trying again in ").map(|(_, wait)| format!(" Trying again in {wait}."));
    let host = message.split([':', ' ']).next().unwrap_or_default();
    if message.contains("cannot be reached") {
        return format!("{host} cannot be reached. Is this machine online?{}", again.unwrap_or_default());
    }
    if message.contains("needs a token") || message.contains("refuses:") {
        return format!("{} Some makers ask for a login or for consent at the source first.", told(message));
    }
    told(message)
}

/// A sentence, whose first word stays as it is where it is a host's name.
fn told(message: &str) -> String {
    let first = message.split([':', ' ']).next().unwrap_or_default();
    let text = words::sentence(message);
    match text.get(first.len()..) {
        Some(rest) if first.contains('.') => format!("{first}{rest}"),
        _ => text,
    }
}

/// The name to fetch that was typed, if it is one rather than words to search for.
pub fn reference(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let text = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    if text.is_empty() || text.contains(char::is_whitespace) {
        return None;
    }
    if let Some(rest) = HUB_HOSTS.iter().find_map(|host| text.strip_prefix(host)) {
        // The page of a file or branch stands for its repository.
        let repository = rest.split("/blob/").next().unwrap_or(rest);
        let repository = repository.split("/tree/").next().unwrap_or(repository);
        return (repository.matches('/').count() == 1).then(|| format!("hf.co/{repository}"));
    }
    let is_name = text.contains(':') && !text.ends_with(':') && !text.starts_with(':');
    is_name.then(|| text.to_owned())
}

/// A name for the model in a file: its name in small letters, with the quantisation as its tag.
pub fn name_of_file(path: &str) -> Option<String> {
    let file = path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next()?;
    let stem = file.strip_suffix(".gguf").unwrap_or(file).to_lowercase();
    let tidy = |text: &str| {
        let kept: String = text.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
        kept.trim_matches(['-', '.', '_']).to_owned()
    };
    let is_quant = |part: &str| {
        let level = part.strip_prefix("iq").or_else(|| part.strip_prefix('q')).unwrap_or_default();
        level.starts_with(|c: char| c.is_ascii_digit()) || ["f16", "bf16", "f32"].contains(&part)
    };
    let cut = stem.rfind(['.', '-']).filter(|at| stem.get(at + 1..).is_some_and(is_quant));
    let (family, tag) = match cut {
        Some(at) => (stem.get(..at).unwrap_or_default(), stem.get(at + 1..).unwrap_or("latest")),
        None => (stem.as_str(), "latest"),
    };
    let (family, tag) = (tidy(family), tidy(tag));
    (!family.is_empty() && !tag.is_empty()).then(|| format!("{family}:{tag}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_says_where_it_is_from() {
        assert_eq!(split("smollm2:135m"), ("smollm2:135m", None));
        assert_eq!(split("hf.co/ann/Tiny-GGUF:Q4_K_M"), ("Tiny-GGUF:Q4_K_M", Some("hf.co/ann")));
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let details = Details { family: "llama".into(), parameter_size: "unknown".into(), ..Details::default() };
        assert_eq!(kind(&details), "llama");
        let Value::Object(metadata) = json!({"general.architecture": "llama", "llama.context_length": 8192}) else { return };
        assert_eq!(context(&metadata), Some(8192));
        assert_eq!(context(&Map::new()), None);
        assert_eq!(value(&json!(null)), None);
        assert_eq!(value(&json!(["en", "fr"])).as_deref(), Some("en, fr"));
        assert_eq!(abilities(&["completion".into(), "vision".into()]), ["sees images"]);
    }

    #[test]
    fn a_download_tells_how_far_how_fast_and_how_long() {
        let mut download = Download {
            status: "downloading".into(),
            completed_bytes: 1_200_000_000,
            total_bytes: 4_400_000_000,
            progress: 27.3,
            speed_bps: 23_000_000,
            eta_seconds: Some(139),
            ..Download::default()
        };
        assert_eq!(progress(&download).figures, "1.2 GB of 4.4 GB · 23 MB/s · 2 min left");
        assert!(is_under_way(&download) && !is_broken_off(&download));
        download.status = "failed".into();
        assert!(!is_under_way(&download) && is_broken_off(&download));
        download.total_bytes = 0;
        assert_eq!(progress(&download).percent, None);
    }

    #[test]
    fn an_unreachable_source_is_said_plainly() {
        let message = "registry.ollama.ai: cannot be reached: failed to lookup address information; trying again in 4 s";
        assert_eq!(fault(message), "registry.ollama.ai cannot be reached. Is this machine online? Trying again in 4 s.");
        assert_eq!(fault("there is no model `x`"), "There is no model `x`.");
        assert!(fault("huggingface.co refuses: x needs a token").starts_with("huggingface.co refuses: x needs a token. "));
        let download = Download { retries: 2, ..Download::default() };
        assert_eq!(remark(&download).as_deref(), Some("2 failed tries so far."));
    }

    #[test]
    fn names_are_told_from_words() {
        assert_eq!(reference("qwen2.5:0.5b").as_deref(), Some("qwen2.5:0.5b"));
        assert_eq!(reference("https://huggingface.co/ann/Tiny-GGUF/blob/main/x.gguf").as_deref(), Some("hf.co/ann/Tiny-GGUF"));
        assert_eq!(reference("hf.co/ann/Tiny-GGUF:Q4_0").as_deref(), Some("hf.co/ann/Tiny-GGUF:Q4_0"));
        assert_eq!(reference("hf.co/ann"), None);
        assert_eq!(reference("small and quick"), None);
        assert_eq!(reference("qwen"), None);
    }

    #[test]
    fn a_files_name_becomes_a_models() {
        assert_eq!(name_of_file("/m/SmolLM2-135M-Instruct.Q4_1.gguf").as_deref(), Some("smollm2-135m-instruct:q4_1"));
        assert_eq!(name_of_file("C:\\m\\tiny-f16.gguf").as_deref(), Some("tiny:f16"));
        assert_eq!(name_of_file("/m/encoder/").as_deref(), Some("encoder:latest"));
        assert_eq!(name_of_file("/"), None);
    }
}
