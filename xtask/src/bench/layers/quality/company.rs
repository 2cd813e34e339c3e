//! What conversations gain from each other: steps that many share, and beginnings that are read once.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::nearness::QUESTIONS;
use super::{Ground, Row, THREADS, figure};
use crate::process;

/// Tokens of each answer.
const ANSWER: u32 = 128;
const REPETITIONS: u32 = 5;

/// What was found.
pub struct Company {
    parallel: Value,
    prefix: Value,
}

/// Runs one process that measures both.
pub fn measure(ground: &Ground<'_>) -> Result<Company> {
    let questions = ground.paths.cache.join("bench-questions.txt");
    fs::write(&questions, QUESTIONS).with_context(|| format!("could not write {}", questions.display()))?;
    let mut program = Command::new(ground.paths.built("examples/parallel"));
    program.arg(&ground.models.shipped).arg(&questions);
    let said = process::text_of(program.args([THREADS, ANSWER, REPETITIONS].map(|number| number.to_string())))?;
    fs::remove_file(&questions).with_context(|| format!("could not remove {}", questions.display()))?;
    Ok(Company { parallel: figure(&said, "parallel", None)?, prefix: figure(&said, "prefix", None)? })
}

impl Company {
    /// Of the table.
    pub fn rows(&self) -> Vec<Row> {
        let told = |value: &Value, name: &str| value[name].as_f64().unwrap_or(f64::NAN);
        let (parallel, prefix) = (&self.parallel, &self.prefix);
        vec![
            Row::new(
                format!("tokens/s of {} conversations together, beside one alone", parallel["at_once"]),
                format!(
                    "{:.0} beside {:.0}: {:.1} times",
                    told(parallel, "all_tokens_per_second"),
                    told(parallel, "one_tokens_per_second"),
                    told(parallel, "gain")
                ),
                "at least 4 times",
            ),
            Row::new(
                format!("first token of the second prompt with the same first {} tokens", prefix["shared"]),
                format!(
                    "{:.1} ms beside {:.0} ms: {:.0} times sooner",
                    told(prefix, "second_ms"),
                    told(prefix, "first_ms"),
                    told(prefix, "gain")
                ),
                "at least 10 times sooner",
            ),
        ]
    }
}
