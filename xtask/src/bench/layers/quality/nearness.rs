//! How near logits come to those of the weights themselves, ours and llama.cpp's, and where the likeliest answers of the two part.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Ground, Row, THREADS, figure, number};
use crate::bench::yardstick;
use crate::process;

/// Ordinary English.
const TEXT: &str = include_str!("../../../../bench/text.txt");
/// One question a line.
pub(super) const QUESTIONS: &str = include_str!("../../../../bench/questions.txt");
/// What llama.cpp is asked.
const PROGRAM: &str = include_str!("../../../../bench/llama-quality.mjs");
/// Tokens of an answer, at most.
const LONGEST: u32 = 48;

/// What was found.
pub struct Nearness {
    tokens: f64,
    same_tokens: bool,
    own: Value,
    llama: Value,
    answers: Value,
}

/// Lets both work on the same tokens.
pub fn measure(ground: &Ground<'_>) -> Result<Nearness> {
    let folder = ground.paths.cache.join("bench-quality");
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let (text, questions) = (folder.join("text.txt"), folder.join("questions.txt"));
    for (place, content) in [(&text, TEXT), (&questions, QUESTIONS)] {
        fs::write(place, content).with_context(|| format!("could not write {}", place.display()))?;
    }
    let model = &ground.models.shipped;
    eprintln!("llama.cpp reads a text and answers questions");
    let numbers = [THREADS, LONGEST].map(|number| number.to_string());
    let [threads, longest] = numbers.each_ref();
    ground.yardstick.ask("llama-quality.mjs", PROGRAM, |node| {
        node.arg(model).args([&text, &questions, &folder]).args([threads, longest]);
    })?;
    eprintln!("the weights themselves, and ours");
    let mut quality = Command::new(ground.paths.built("examples/quality"));
    let said = process::text_of(quality.arg(model).args([&text, &folder]).args([threads, longest]))?;
    // The logits alone are hundreds of megabytes.
    fs::remove_dir_all(&folder).with_context(|| format!("could not clear {}", folder.display()))?;
    Nearness::read(&said)
}

impl Nearness {
    fn read(said: &str) -> Result<Self> {
        let text = figure(said, "text", None)?;
        Ok(Self {
            tokens: number(&text, "tokens")?,
            same_tokens: text["same_tokens"] == true,
            own: figure(said, "divergence", Some("Kith"))?,
            llama: figure(said, "divergence", Some("llama.cpp"))?,
            answers: figure(said, "answers", None)?,
        })
    }

    /// Of the table.
    pub fn rows(&self) -> Vec<Row> {
        let told = |value: &Value, name: &str| value[name].as_f64().map_or("?".to_owned(), |figure| format!("{figure:.6}"));
        let parted = self.differences().len() as u64;
        let count = self.answers["count"].as_u64().unwrap_or(0);
        vec![
            Row::new("the same tokens as llama.cpp's", if self.same_tokens { "yes" } else { "no" }, "yes"),
            Row::new(
                format!("mean divergence from the weights' own logits over {} tokens, nats per token", self.tokens),
                told(&self.own, "mean"),
                format!("at most llama.cpp's {}", told(&self.llama, "mean")),
            ),
            Row::new("the same, median", told(&self.own, "median"), format!("(llama.cpp {})", told(&self.llama, "median"))),
            Row::new("the same, 99th percentile", told(&self.own, "p99"), format!("(llama.cpp {})", told(&self.llama, "p99"))),
            Row::new(
                "the likeliest token is that of the weights",
                percent(&self.own["same_likeliest"]),
                format!("(llama.cpp {})", percent(&self.llama["same_likeliest"])),
            ),
            Row::new(
                format!("likeliest answers of {LONGEST} tokens equal to llama.cpp's"),
                format!("{} of {count}", count.saturating_sub(parted)),
                "most",
            ),
        ]
    }

    /// Where answers part.
    pub fn told(&self) -> String {
        let mut text = format!(
            "Divergence is that of Kullback and Leibler, from an evaluation of the dequantised weights in f64; llama.cpp is node-llama-cpp {}.\n",
            yardstick::VERSION
        );
        if self.differences().is_empty() {
            return text;
        }
        text += "Where the likeliest answers part, the two likeliest tokens by the weights themselves are this far apart:\n\n";
        text += "| question | after tokens | Kith | llama.cpp | by the weights | gap of the two likeliest logits |\n";
        text += "|--:|--:|---|---|---|--:|\n";
        for row in self.differences() {
            let word = |name: &str| row[name].as_str().map_or("end".to_owned(), |word| format!("`{}`", shown(word)));
            text += &format!(
                "| {} | {} | {} | {} | {} | {:.4} |\n",
                row["question"].as_u64().unwrap_or(0) + 1,
                row["after"],
                word("ours"),
                word("theirs"),
                word("likeliest"),
                row["gap"].as_f64().unwrap_or(f64::NAN)
            );
        }
        text
    }

    fn differences(&self) -> &[Value] {
        self.answers["differences"].as_array().map_or(&[], Vec::as_slice)
    }
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or("?".to_owned(), |part| format!("{:.2} %", part * 100.0))
}

/// A token inside a table.
fn shown(token: &str) -> String {
    token.replace('\n', "\\n").replace('|', "\\|").replace('`', "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_said_becomes_rows_and_a_table_of_differences() {
        let said = [
            r#"{"figure":"text","tokens":900,"same_tokens":true}"#,
            r#"{"figure":"divergence","of":"Kith","mean":0.001,"median":0.0005,"p99":0.01,"most":0.1,"same_likeliest":0.99}"#,
            r#"{"figure":"divergence","of":"llama.cpp","mean":0.002,"median":0.001,"p99":0.02,"most":0.2,"same_likeliest":0.98}"#,
            r#"{"figure":"answers","count":32,"equal":31,"differences":[{"question":3,"after":7,"ours":"\n","theirs":" a","likeliest":"\n","gap":0.01}]}"#,
        ];
        let nearness = Nearness::read(&said.join("\n")).unwrap();
        let rows: String = nearness.rows().iter().map(Row::told).collect();
        assert!(rows.contains("| 0.001000 | at most llama.cpp's 0.002000 |"), "{rows}");
        assert!(rows.contains("| 31 of 32 | most |"), "{rows}");
        assert!(nearness.told().contains("| 4 | 7 | `\\n` | ` a` | `\\n` | 0.0100 |"), "{}", nearness.told());
    }
}
