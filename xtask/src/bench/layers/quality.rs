//! How good the answers are beside llama.cpp's, how soon the model is there, what it holds in memory, and what conversations gain from each
//! other. Every figure stands beside the one that is wanted.

mod company;
mod footprint;
mod nearness;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Ground;

const THREADS: u32 = 2;

/// Measures everything and tells it.
pub fn section(ground: &Ground<'_>) -> Result<String> {
    let nearness = nearness::measure(ground)?;
    let footprint = footprint::measure(ground)?;
    let company = company::measure(ground)?;
    let mut text = "### Quality, start, memory, company\n\n| what | measured | wanted |\n|---|--:|--:|\n".to_owned();
    for row in nearness.rows().into_iter().chain(footprint.rows()).chain(company.rows()) {
        text += &row.told();
    }
    text += "\n";
    text += &nearness.told();
    Ok(text)
}

/// A row of the table.
struct Row {
    what: String,
    measured: String,
    wanted: String,
}

impl Row {
    fn new(what: impl Into<String>, measured: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self { what: what.into(), measured: measured.into(), wanted: wanted.into() }
    }

    fn told(&self) -> String {
        format!("| {} | {} | {} |\n", self.what, self.measured, self.wanted)
    }
}

/// The line of JSON about this figure, among those that a program printed.
fn figure(said: &str, name: &str, of: Option<&str>) -> Result<Value> {
    let values = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut wanted = values.filter(|value| value["figure"] == name && of.is_none_or(|of| value["of"] == of));
    wanted.next().with_context(|| format!("no figure {name:?} in {said:?}"))
}

fn number(value: &Value, name: &str) -> Result<f64> {
    value[name].as_f64().with_context(|| format!("{name} is missing in {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_found_by_its_name_and_by_whose_it_is() {
        let said = "{\"figure\":\"a\",\"of\":\"x\",\"n\":1}\nnoise\n{\"figure\":\"a\",\"of\":\"y\",\"n\":2}";
        let found = figure(said, "a", Some("y")).unwrap();
        assert!((number(&found, "n").unwrap() - 2.0).abs() < 1e-9);
        assert!(figure(said, "b", None).is_err());
        assert!(number(&found, "m").is_err());
    }
}
