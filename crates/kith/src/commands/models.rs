//! `list`, `ps`, `rm`, and `stop MODEL`: the library and the memory in tables.

use crate::{
    context::Context,
    error::{CliError, Result},
    out, render,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// `kith list`: the models of the library.
pub async fn list(context: &Context) -> Result<()> {
    let tags = context.ensured().await?.get("/api/tags").await?;
    if context.json { out::json(&tags) } else { out::text(&list_table(&tags, Utc::now())) }
}

/// `kith ps`: the models in memory.
pub async fn ps(context: &Context) -> Result<()> {
    let loaded = context.running().await?.get("/api/ps").await?;
    if context.json { out::json(&loaded) } else { out::text(&ps_table(&loaded, Utc::now())) }
}

/// `kith rm MODEL…`: stops at the first that cannot be removed.
pub async fn rm(context: &Context, models: &[String]) -> Result<()> {
    let client = context.ensured().await?;
    for model in models {
        client.delete("/api/delete", &json!({"model": model})).await?;
        if !context.json {
            out::text(&format!("deleted {}\n", render::printable(model, false)))?;
        }
    }
    if context.json { out::json(&json!({"deleted": models})) } else { Ok(()) }
}

/// `kith stop MODEL`: unloads it. A model that is known but not loaded is stopped already.
pub async fn stop(context: &Context, model: &str) -> Result<()> {
    let client = context.running().await?;
    let answer = client.post("/api/generate", &json!({"model": model, "keep_alive": 0, "stream": false})).await?;
    if answer["done"] == false {
        return Err(CliError::Local(format!("the node did not unload {model}")));
    }
    if context.json { out::json(&json!({"stopped": model})) } else { Ok(()) }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn models(body: &Value) -> impl Iterator<Item = &Value> {
    body["models"].as_array().into_iter().flatten()
}

fn list_table(tags: &Value, now: DateTime<Utc>) -> String {
    let rows: Vec<_> = models(tags)
        .map(|model| {
            [
                text(&model["name"]),
                render::short_id(&text(&model["digest"])),
                render::size(model["size"].as_u64().unwrap_or_default()),
                render::relative_text(&text(&model["modified_at"]), now),
            ]
        })
        .collect();
    render::table(["NAME", "ID", "SIZE", "MODIFIED"], &rows)
}

fn ps_table(loaded: &Value, now: DateTime<Utc>) -> String {
    let rows: Vec<_> = models(loaded)
        .map(|model| {
            let size = model["size"].as_u64().unwrap_or_default();
            [
                text(&model["name"]),
                render::short_id(&text(&model["digest"])),
                render::size(size),
                processor(size, model["size_vram"].as_u64().unwrap_or_default()),
                model["context_length"].as_u64().map(|tokens| tokens.to_string()).unwrap_or_default(),
                text(&model["engine"]),
                until(&text(&model["expires_at"]), now),
            ]
        })
        .collect();
    render::table(["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "ENGINE", "UNTIL"], &rows)
}

/// Where a model lies, by the bytes of it in the GPU's memory: `100% CPU`, `25%/75% CPU/GPU`.
fn processor(size: u64, vram: u64) -> String {
    match vram {
        0 => "100% CPU".to_owned(),
        vram if vram >= size => "100% GPU".to_owned(),
        vram => {
            // Neither share is told as none of it.
            let gpu = (vram as f64 * 100.0 / size as f64).round().clamp(1.0, 99.0);
            format!("{:.0}%/{gpu:.0}% CPU/GPU", 100.0 - gpu)
        }
    }
}

/// When a model goes; one whose time has come is about to.
fn until(expires_at: &str, now: DateTime<Utc>) -> String {
    match DateTime::parse_from_rfc3339(expires_at) {
        Ok(at) if at <= now => "Stopping...".to_owned(),
        _ => render::relative_text(expires_at, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::parse_from_rfc3339("2026-01-31T08:00:00Z").unwrap().with_timezone(&Utc)
    }

    #[test]
    fn list_shows_name_id_size_and_age() {
        let tags = json!({"models": [{"name": "smollm2:135m", "digest": "0123456789abcdef", "size": 98_000_000,
            "modified_at": "2026-01-31T05:00:00Z"}]});
        assert_eq!(
            list_table(&tags, now()),
            "NAME            ID              SIZE     MODIFIED\nsmollm2:135m    0123456789ab    98 MB    3 hours ago\n"
        );
        assert_eq!(list_table(&json!({"models": []}), now()), "NAME    ID    SIZE    MODIFIED\n");
    }

    #[test]
    fn ps_shows_where_a_model_lies_and_how_long() {
        let loaded = json!({"models": [{"name": "a:b", "digest": "d", "size": 400, "size_vram": 300, "context_length": 2048,
            "engine": "layers", "expires_at": "2026-01-31T08:04:00Z"}]});
        let table = ps_table(&loaded, now());
        assert!(
            table.ends_with("a:b     d     400 B    25%/75% CPU/GPU    2048       layers    4 minutes from now\n"),
            "{table}"
        );
    }

    #[test]
    fn shares_of_memory_are_honest() {
        assert_eq!(processor(100, 0), "100% CPU");
        assert_eq!(processor(100, 100), "100% GPU");
        assert_eq!(processor(100_000, 1), "99%/1% CPU/GPU");
        assert_eq!(processor(100_000, 99_999), "1%/99% CPU/GPU");
    }

    #[test]
    fn an_end_in_the_past_is_now_and_one_far_ahead_never() {
        assert_eq!(until("2026-01-31T07:59:00Z", now()), "Stopping...");
        assert_eq!(until("2318-01-31T07:59:00Z", now()), "Forever");
        assert_eq!(until("", now()), "");
    }
}
