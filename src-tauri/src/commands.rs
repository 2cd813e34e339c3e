//! What the pages may ask of the shell. The pages come from the node over HTTP, so each of these is harmless in anybody's hands.

use crate::shell::Shell;
use serde::{Deserialize, Serialize};
use tauri::{AppHandle, Manager};
use tauri_plugin_autostart::ManagerExt;
use tauri_plugin_dialog::DialogExt;

/// What the pages show of the shell.
#[derive(Debug, Serialize)]
pub struct ShellState {
    version: &'static str,
    start_at_login: bool,
    /// Whether the node ends with the app.
    own_node: bool,
}

/// How the shell stands.
#[tauri::command]
pub async fn shell_state(app: AppHandle) -> ShellState {
    ShellState {
        version: env!("CARGO_PKG_VERSION"),
        start_at_login: app.autolaunch().is_enabled().unwrap_or(false),
        own_node: app.state::<Shell>().host.is_own(),
    }
}

/// Starts the app at login from now on, or no longer.
#[tauri::command]
pub async fn set_start_at_login(app: AppHandle, on: bool) -> Result<bool, String> {
    let login = app.autolaunch();
    let done = if on { login.enable() } else { login.disable() };
    done.map_err(|error| format!("the system did not take it: {error}"))?;
    login.is_enabled().map_err(|error| error.to_string())
}

/// What is looked for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// A model's file.
    Model,
    /// A folder with a model's files.
    Folder,
}

/// Lets the user choose a file or a folder in the system's own dialog; its path, or nothing if they think better of it.
#[tauri::command]
pub async fn choose_path(app: AppHandle, wanted: Wanted) -> Option<String> {
    let (told, chosen) = tokio::sync::oneshot::channel();
    let dialog = app.dialog().file();
    let tell = move |path: Option<tauri_plugin_dialog::FilePath>| {
        // Nobody listens any more where the window is gone.
        let _ = told.send(path);
    };
    match wanted {
        Wanted::Model => dialog.set_title("Add a model").add_filter("Models", &["gguf", "safetensors"]).pick_file(tell),
        Wanted::Folder => dialog.set_title("Add a model's folder").pick_folder(tell),
    }
    let path = chosen.await.ok()??.into_path().ok()?;
    path.to_str().map(str::to_owned)
}

/// Lets the window in again, once what let it in has run out.
#[tauri::command]
pub async fn enter_again(app: AppHandle) {
    crate::window::go_to(&app, "/app").await;
}
