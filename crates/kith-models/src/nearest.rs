//! Which name was probably meant.

/// Names less similar than this are no help. Jaro-Winkler similarity, from 0 to 1.
const SIMILAR: f64 = 0.8;

/// The name among `names` (each `family:tag`) most similar to `asked`, compared whole and by family.
pub fn nearest(asked: &str, names: impl IntoIterator<Item = String>) -> Option<String> {
    let asked = asked.to_lowercase();
    let similarity = |name: &str| {
        let name = name.to_lowercase();
        let family = name.rsplit_once(':').map_or(name.as_str(), |(family, _)| family);
        strsim::jaro_winkler(&asked, &name).max(strsim::jaro_winkler(&asked, family))
    };
    names
        .into_iter()
        .map(|name| (similarity(&name), name))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        // Of equally similar names the first in the alphabet, so that the answer does not depend on the order.
        .max_by(|(a, name_a), (b, name_b)| a.total_cmp(b).then_with(|| name_b.cmp(name_a)))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(asked: &str) -> Option<String> {
        nearest(asked, ["smollm2:135m", "qwen2.5:0.5b", "acme/coder:q4"].map(str::to_owned))
    }

    #[test]
    fn a_slip_of_the_finger_finds_the_name() {
        assert_eq!(among("smolm2").as_deref(), Some("smollm2:135m"));
        assert_eq!(among("SmolLM2:136m").as_deref(), Some("smollm2:135m"));
        assert_eq!(among("qwen2.5").as_deref(), Some("qwen2.5:0.5b"));
        assert_eq!(among("acme/code").as_deref(), Some("acme/coder:q4"));
    }

    #[test]
    fn something_else_finds_nothing() {
        assert_eq!(among("mistral"), None);
        assert_eq!(nearest("a", []), None);
    }
}
