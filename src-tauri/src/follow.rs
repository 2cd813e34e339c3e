//! What happens at the node, as the tray and the system's notifications tell it; and what to do when the node is gone.

use crate::{
    host::Host,
    link::Link,
    shell::{self, Shell},
    tray::{self, Standing},
    window,
};
use kith_wire::system::Envelope;
use std::{path::Path, time::Duration};
use tauri::{AppHandle, Manager};
use tauri_plugin_notification::NotificationExt;

/// The pause before a node that is away is looked for again.
const AGAIN: Duration = Duration::from_secs(2);
/// How long another's node may be away before the app starts one.
const AWAY: u32 = 3;
/// How often figures are read although nothing was told.
const FIGURES: Duration = Duration::from_secs(30);
/// The file in the node's folder that says that its library had the models that came with the app.
const TAKEN: &str = "bundled-models-taken";
/// The longest line of the event stream that is kept.
const LONGEST: usize = 1 << 20;

/// Follows the node for as long as the app lives.
pub async fn follow(app: AppHandle) {
    let mut away = 0;
    loop {
        let link = app.state::<Shell>().host.link();
        if let Some(link) = link
            && let Ok(stream) = link.events().await
        {
            away = 0;
            listen(&app, &link, stream).await;
        }
        tray::show(&app, Standing::Offline);
        tray::show_sharing(&app, None);
        away += 1;
        tokio::time::sleep(AGAIN).await;
        if away >= AWAY && !app.state::<Shell>().host.is_own() {
            away = 0;
            take_over(&app).await;
        }
    }
}

/// Another's node is gone: the app's own takes its place, or yet another's that came meanwhile.
async fn take_over(app: &AppHandle) {
    let host: &Host = &app.state::<Shell>().host;
    let before = host.link().map(|link| link.url().to_owned());
    match shell::start_node(app).await {
        Ok(()) if host.link().map(|link| link.url().to_owned()) != before => window::go_to(app, "/app").await,
        Ok(()) => {}
        Err(error) => tracing::warn!(error, "the node that was there is gone, and none can be started"),
    }
}

async fn listen(app: &AppHandle, link: &Link, mut stream: reqwest::Response) {
    refresh(app, link).await;
    tray::show_sharing(app, link.is_paused().await.ok());
    let mut figures = tokio::time::interval(FIGURES);
    let mut waiting = Vec::new();
    loop {
        let chunk = tokio::select! {
            _ = figures.tick() => {
                refresh(app, link).await;
                continue;
            }
            chunk = stream.chunk() => chunk,
        };
        let Ok(Some(chunk)) = chunk else { return };
        waiting.extend_from_slice(&chunk);
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            if let Some(event) = line.strip_prefix(b"data:").and_then(|json| serde_json::from_slice::<Envelope>(json).ok()) {
                heard(app, link, &event).await;
            }
        }
        if waiting.len() > LONGEST {
            return;
        }
    }
}

async fn refresh(app: &AppHandle, link: &Link) {
    if let Ok(stats) = link.stats().await {
        tray::show(app, Standing::of(stats.inference.running));
    }
}

async fn heard(app: &AppHandle, link: &Link, event: &Envelope) {
    if event.kind.starts_with("inference.") {
        refresh(app, link).await;
    }
    if event.kind.starts_with("device.listener") {
        tray::show_sharing(app, link.is_paused().await.ok());
    }
    if let Some((title, body)) = news(event)
        && !is_watched(app)
    {
        notify(app, title, &body);
    }
}

/// What is worth a notification.
fn news(event: &Envelope) -> Option<(&'static str, String)> {
    let text = |name: &str| event.data.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    match event.kind.as_str() {
        "model.pulled" => Some(("Model ready", format!("{} was downloaded.", text("model")))),
        "model.pull_failed" => Some(("Download failed", format!("{}: {}", text("model"), text("error")))),
        "device.paired" => Some(("Device paired", format!("{} may use this computer's models now.", text("name")))),
        "update.available" => Some(("New version", format!("Kith {} can be installed.", text("version")))),
        "update.staged" => Some(("Update ready", format!("Kith {} begins with the next start.", text("version")))),
        _ => None,
    }
}

/// Whether the user is looking at the window, which tells the same.
fn is_watched(app: &AppHandle) -> bool {
    app.get_webview_window(window::MAIN).is_some_and(|window| window.is_focused().unwrap_or(false))
}

/// Tells it through the system. Where that has no notifications, it is told nowhere else.
pub fn notify(app: &AppHandle, title: &str, body: &str) {
    if let Err(error) = app.notification().builder().title(title).body(body).show() {
        tracing::debug!(%error, "no notification");
    }
}

/// Takes the models that came with the app into the library, `models/FAMILY/TAG.gguf`, unless they are there.
pub async fn bundled_model(app: &AppHandle) {
    let Some(link) = app.state::<Shell>().host.link() else { return };
    let Ok(folder) = app.path().resource_dir().map(|dir| dir.join("models")) else { return };
    let bundled = bundled(&folder);
    if bundled.is_empty() {
        return;
    }
    // Once for each folder: what the user removed stays away.
    let taken = app.state::<Shell>().host.data_dir().join(TAKEN);
    if taken.exists() {
        return;
    }
    match link.models().await {
        Ok(models) if models.is_empty() => {
            for (path, name) in bundled {
                if let Err(error) = link.import(&path, &name).await {
                    tracing::warn!(%error, name, "the model that came with the app is not taken");
                    return;
                }
            }
        }
        Ok(_) => {}
        Err(_) => return,
    }
    if let Err(error) = std::fs::write(&taken, "") {
        tracing::warn!(%error, "it cannot be noted that the model was taken");
    }
}

fn bundled(folder: &Path) -> Vec<(std::path::PathBuf, String)> {
    let list =
        |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    let name = |path: &Path| {
        let tag = path.file_stem()?.to_str()?;
        Some(format!("{}:{tag}", path.parent()?.file_name()?.to_str()?))
    };
    let files = list(folder).into_iter().flat_map(|family| list(&family));
    let models = files.filter(|path| path.extension().is_some_and(|end| end == "gguf"));
    models.filter_map(|path| name(&path).map(|name| (path, name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_types::Timestamp;
    use serde_json::json;

    fn event(kind: &str, data: serde_json::Value) -> Envelope {
        Envelope { kind: kind.to_owned(), id: 1, ts_ms: Timestamp::from_ms(0), data }
    }

    #[test]
    fn what_somebody_waits_for_is_told_and_the_rest_is_not() {
        assert_eq!(
            news(&event("model.pulled", json!({"model": "a:b"}))),
            Some(("Model ready", "a:b was downloaded.".to_owned()))
        );
        assert_eq!(news(&event("inference.finished", json!({}))), None);
    }

    #[test]
    fn a_bundled_model_is_named_by_where_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("smollm2")).unwrap();
        std::fs::write(dir.path().join("smollm2/135m.gguf"), "").unwrap();
        std::fs::write(dir.path().join("smollm2/LICENSE"), "").unwrap();
        let found = bundled(dir.path());
        assert_eq!(found.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["smollm2:135m"]);
        assert!(bundled(&dir.path().join("none")).is_empty());
    }
}
