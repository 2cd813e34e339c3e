//! The label of a quantisation in a file's name.

/// Labels that files carry, longer ones before those they begin with.
const LABELS: [&str; 48] = [
    "Q2_K_XL", "Q3_K_XL", "Q4_K_XL", "Q5_K_XL", "Q6_K_XL", "Q8_K_XL", "IQ2_XXS", "IQ3_XXS", "Q2_K_S", "Q2_K_L", "Q3_K_S",
    "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q4_K_L", "Q5_K_S", "Q5_K_M", "Q5_K_L", "Q6_K_L", "IQ1_S", "IQ1_M", "IQ2_XS",
    "IQ2_S", "IQ2_M", "IQ3_XS", "IQ3_S", "IQ3_M", "IQ4_XS", "IQ4_NL", "MXFP4", "NVFP4", "TQ1_0", "TQ2_0", "Q4_0", "Q4_1", "Q5_0",
    "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "BF16", "FP16", "F16", "F32",
];

/// Labels by how well they suit most machines, the best first.
const PREFERRED: [&str; 14] = [
    "Q4_K_M", "Q4_K_S", "Q4_K_L", "Q4_0", "Q4_1", "IQ4_XS", "IQ4_NL", "MXFP4", "Q5_K_M", "Q5_K_S", "Q8_0", "Q6_K", "BF16", "F16",
];

/// The label in a file's name, `Q4_K_M`.
pub fn quant_of(filename: &str) -> Option<&'static str> {
    let name = filename.rsplit('/').next().unwrap_or(filename).to_ascii_uppercase();
    LABELS.into_iter().find(|label| {
        name.match_indices(label).any(|(at, _)| {
            let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_');
            let before = name.get(..at).and_then(|before| before.chars().next_back());
            let after = name.get(at + label.len()..).and_then(|after| after.chars().next());
            // An underscore may stand before a label (`model_Q4_0`), but after one it continues it.
            (edge(before) || before == Some('_')) && edge(after)
        })
    })
}

/// How far down the list of what suits most machines a label stands.
pub fn rank(label: Option<&str>) -> usize {
    label.and_then(|label| PREFERRED.iter().position(|known| *known == label)).unwrap_or(PREFERRED.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_whole() {
        for (name, label) in [
            ("tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf", Some("Q4_K_M")),
            ("sub/model-q4_k_s.gguf", Some("Q4_K_S")),
            ("Model-UD-Q4_K_XL.gguf", Some("Q4_K_XL")),
            ("model_Q8_0.gguf", Some("Q8_0")),
            ("model-IQ2_XXS-00001-of-00002.gguf", Some("IQ2_XXS")),
            ("model-bf16.gguf", Some("BF16")),
            ("Q4_K_M/model.gguf", None),
            ("model.gguf", None),
            ("XQ4_0Y.gguf", None),
        ] {
            assert_eq!(quant_of(name), label, "{name}");
        }
    }

    #[test]
    fn four_bits_suit_most_machines() {
        assert!(rank(Some("Q4_K_M")) < rank(Some("Q8_0")));
        assert!(rank(Some("F16")) < rank(Some("IQ1_S")));
        assert_eq!(rank(None), rank(Some("IQ1_S")));
    }
}
