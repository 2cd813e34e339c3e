//! `kith pull` and `kith push`: has the node fetch a model, or send one.

use crate::{
    cli::Transfer,
    context::Context,
    error::{CliError, Result},
    out, render,
};
use serde_json::{Value, json};
use std::{collections::HashMap, pin::pin};

/// The two directions: path, what is being done, what was done.
struct Way {
    path: &'static str,
    doing: &'static str,
    done: &'static str,
}

const PULL: Way = Way { path: "/api/pull", doing: "pulling", done: "pulled" };
const PUSH: Way = Way { path: "/api/push", doing: "pushing", done: "pushed" };

/// `kith pull NAME`: shows how far it is. Ctrl-C cancels; what has come is kept for the next time.
pub async fn pull(context: &Context, options: &Transfer) -> Result<()> {
    transfer(context, options, &PULL).await
}

/// `kith push NAME`: shows how far it is. Ctrl-C cancels.
pub async fn push(context: &Context, options: &Transfer) -> Result<()> {
    transfer(context, options, &PUSH).await
}

async fn transfer(context: &Context, options: &Transfer, way: &Way) -> Result<()> {
    let client = context.ensured().await?;
    let progress = out::spinner(way.doing);
    let body = json!({"model": options.model, "insecure": options.insecure, "stream": true});
    // Listened for from here on: the first look at the signal is what catches it.
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let mut lines = tokio::select! {
        biased;
        _ = &mut interrupt => return Err(CliError::Interrupted),
        lines = client.lines(way.path, &body) => lines?,
    };
    let mut moved = Moved::default();
    loop {
        let line = tokio::select! {
            biased;
            _ = &mut interrupt => return Err(CliError::Interrupted),
            line = lines.next() => line?,
        };
        let Some(line) = line else {
            return Err(CliError::Unreachable(format!("the node at {} ended the {} too early", client.url(), way.doing)));
        };
        if line["status"] == "success" {
            drop(progress);
            return done(context, options, way, moved.total());
        }
        moved.note(&line);
        let status = line["status"].as_str().unwrap_or_default();
        progress.advance(&render::printable(status, false), moved.completed(), Some(moved.total()));
    }
}

fn done(context: &Context, options: &Transfer, way: &Way, size: u64) -> Result<()> {
    if context.json {
        return out::json(&json!({"status": "success", "model": options.model, "size": size}));
    }
    out::text(&format!("{} {} ({})\n", way.done, render::printable(&options.model, false), render::size(size)))
}

/// Bytes of each file: there, and in all.
#[derive(Default)]
struct Moved(HashMap<String, (u64, u64)>);

impl Moved {
    fn note(&mut self, line: &Value) {
        if let (Some(digest), Some(total)) = (line["digest"].as_str(), line["total"].as_u64()) {
            self.0.insert(digest.to_owned(), (line["completed"].as_u64().unwrap_or_default(), total));
        }
    }

    fn completed(&self) -> u64 {
        self.0.values().fold(0, |sum, (completed, _)| sum.saturating_add(*completed))
    }

    fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, (_, total)| sum.saturating_add(*total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_once_for_each_file() {
        let mut moved = Moved::default();
        for (digest, completed) in [("a", 1), ("b", 5), ("a", 10)] {
            moved.note(&json!({"status": "pulling", "digest": digest, "total": 10, "completed": completed}));
        }
        moved.note(&json!({"status": "writing manifest"}));
        assert_eq!((moved.completed(), moved.total()), (15, 20));
    }
}
