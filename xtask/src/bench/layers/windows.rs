//! How fast the model writes when its layers lie in several processes that hand hidden states on over loopback, beside the whole in one.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Ground;
use crate::process;

/// Of the prompt, the answer, threads of each window, and repetitions, which take turns with those of the whole.
const RUN: [u32; 4] = [64, 128, 2, 7];

/// Measures and tells.
pub fn section(ground: &Ground<'_>) -> Result<String> {
    let mut program = Command::new(ground.paths.built("examples/windows"));
    program.arg(&ground.models.shipped).args(RUN.map(|number| number.to_string()));
    told(&process::text_of(&mut program)?)
}

fn told(said: &str) -> Result<String> {
    let [prompt, answer, threads, repetitions] = RUN;
    let mut text = format!(
        "### Windows in processes of their own\n\nSmolLM2 135M, Q4_1, {prompt} + {answer} tokens, {threads} threads each, median of {repetitions}; wanted of \
         f32 frames: at least 0.90.\n\n| windows | frames | decode, tokens/s | / whole |\n|--:|---|--:|--:|\n"
    );
    let mut rows = 0;
    for line in said.lines() {
        let value: Value = serde_json::from_str(line).with_context(|| format!("not a line of figures: {line:?}"))?;
        let number = |name: &str| value[name].as_f64().with_context(|| format!("{name} is missing in {line:?}"));
        let frames = value["frames"].as_str().with_context(|| format!("frames is missing in {line:?}"))?;
        text +=
            &format!("| {} | {frames} | {:.1} | {:.2} |\n", number("windows")?, number("tokens_per_second")?, number("ratio")?);
        rows += 1;
    }
    if rows == 0 {
        bail!("no arrangement of windows was measured");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arrangement_is_a_row_and_a_line_without_figures_is_refused() {
        let text = told(r#"{"windows":2,"frames":"f32","tokens_per_second":98.76,"ratio":0.951}"#).unwrap();
        assert!(text.ends_with("| 2 | f32 | 98.8 | 0.95 |\n"), "{text}");
        assert!(told("").is_err() && told("{}").is_err() && told("x").is_err());
    }
}
