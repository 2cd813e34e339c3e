//! The app's life: one instance, a node behind it, a window and a tray in front, and one orderly end.

use crate::{commands, deep_link, follow, host::Host, options::Options, tray, updates::AppUpdates, window};
use std::{
    collections::VecDeque,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tauri::{App, AppHandle, Manager, RunEvent};
use tauri_plugin_deep_link::DeepLinkExt;
use tauri_plugin_dialog::{DialogExt, MessageDialogButtons, MessageDialogKind};
use tauri_plugin_window_state::StateFlags;

/// Crashes further back than this are forgotten.
const MINUTE: Duration = Duration::from_secs(60);

/// What everything in the app shares.
pub struct Shell {
    /// The node.
    pub host: Host,
    /// Counts the window's comings and goings, so that what was to happen after one is off after the next.
    pub visits: Counter,
    /// When the view's process ended of late.
    pub crashes: Crashes,
    /// How long a hidden window is kept.
    pub drop_after: Duration,
}

/// A number that only grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The next number.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The last number given.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The crashes of the last minute.
#[derive(Default)]
pub struct Crashes(Mutex<VecDeque<Instant>>);

impl Crashes {
    /// Takes note of one; how many there were within the minute.
    pub fn note(&self, now: Instant) -> usize {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.retain(|time| now.duration_since(*time) < MINUTE);
        times.push_back(now);
        times.len()
    }
}

/// Runs the app to its end.
///
/// # Errors
/// The system gives no window, in one line.
pub fn run(options: Options) -> Result<ExitCode, tauri::Error> {
    let hidden = options.hidden;
    let first = options.link.as_deref().map(deep_link::page);
    let shell = Shell {
        host: Host::new(options.data_dir),
        visits: Counter::default(),
        crashes: Crashes::default(),
        drop_after: options.drop_after,
    };
    let remembered = StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED;
    let builder = tauri::Builder::default()
        // First of all: a second start ends here, and raises the window of the first.
        .plugin(tauri_plugin_single_instance::init(|app, arguments, _| {
            let link = arguments.iter().find(|argument| argument.starts_with("kith://"));
            show(app, link.map(|link| deep_link::page(link)));
        }))
        .plugin(tauri_plugin_deep_link::init())
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_notification::init())
        .plugin(tauri_plugin_clipboard_manager::init())
        .plugin(tauri_plugin_autostart::Builder::new().arg("--hidden").app_name("Kith").build())
        .plugin(tauri_plugin_window_state::Builder::new().with_state_flags(remembered).build())
        .plugin(tauri_plugin_updater::Builder::new().build())
        .manage(shell)
        .invoke_handler(tauri::generate_handler![
            commands::shell_state,
            commands::set_start_at_login,
            commands::choose_path,
            commands::enter_again
        ])
        .setup(move |app| {
            set_up(app, (!hidden).then_some(first));
            Ok(())
        });
    #[cfg(target_os = "macos")]
    let builder = builder.on_web_content_process_terminate(|view| window::revive(view.app_handle()));
    let app = builder.build(tauri::generate_context!())?;
    let code = app.run_return(|app, event| match event {
        // The last window's end is not the app's: it stays in the tray.
        RunEvent::ExitRequested { code: None, api, .. } => api.prevent_exit(),
        #[cfg(target_os = "macos")]
        RunEvent::Reopen { .. } => show(app, None),
        RunEvent::Exit => tauri::async_runtime::block_on(app.state::<Shell>().host.stop()),
        _ => {}
    });
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn set_up(app: &App, open: Option<Option<String>>) {
    let handle = app.handle().clone();
    if let Err(error) = tray::build(&handle) {
        tracing::warn!(%error, "no tray");
    }
    let linked = handle.clone();
    app.deep_link().on_open_url(move |event| {
        if let Some(url) = event.urls().first() {
            show(&linked, Some(deep_link::page(url.as_str())));
        }
    });
    end_by_signal(&handle);
    tauri::async_runtime::spawn(async move {
        if begin(&handle).await {
            if let Some(page) = open {
                window::open(&handle, page.as_deref()).await;
            }
            follow::bundled_model(&handle).await;
            follow::follow(handle).await;
        }
    });
}

/// Starts the node, however often the user wants to try; `false` if they give up.
async fn begin(app: &AppHandle) -> bool {
    loop {
        let Err(error) = start_node(app).await else { return true };
        tracing::error!(error, "the node does not start");
        let (told, answer) = tokio::sync::oneshot::channel();
        app.dialog()
            .message(&error)
            .title("Kith cannot start")
            .kind(MessageDialogKind::Error)
            .buttons(MessageDialogButtons::OkCancelCustom("Try again".to_owned(), "Quit".to_owned()))
            .show(move |again| {
                let _ = told.send(again);
            });
        if !answer.await.unwrap_or(false) {
            app.exit(1);
            return false;
        }
    }
}

/// Starts the node or finds the running one.
///
/// # Errors
/// One line for a person.
pub async fn start_node(app: &AppHandle) -> Result<(), String> {
    let (updates, ending) = (Arc::new(AppUpdates::new(app.clone())), app.clone());
    let shell = app.state::<Shell>();
    // Whoever stops the node over the API means the app too.
    let started = shell.host.start(updates, move || ending.exit(0)).await;
    started.map(drop).map_err(|error| error.to_string())
}

/// Brings the window forward, on a page if one is named.
pub fn show(app: &AppHandle, page: Option<String>) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move { window::open(&app, page.as_deref()).await });
}

/// Ends the app; its own node first lets running answers finish for a moment.
pub fn quit(app: &AppHandle) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        app.state::<Shell>().host.stop().await;
        app.exit(0);
    });
}

#[cfg(unix)]
fn end_by_signal(app: &AppHandle) {
    use tokio::signal::unix::{SignalKind, signal};
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let listen = || Some((signal(SignalKind::terminate()).ok()?, signal(SignalKind::interrupt()).ok()?));
        let Some((mut terminate, mut interrupt)) = listen() else { return };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        quit(&app);
    });
}

/// Windows ends programs with a window by closing it, which the window hears.
#[cfg(not(unix))]
fn end_by_signal(_: &AppHandle) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_are_forgotten_after_a_minute() {
        let (crashes, start) = (Crashes::default(), Instant::now());
        assert_eq!(crashes.note(start), 1);
        assert_eq!(crashes.note(start + Duration::from_secs(30)), 2);
        assert_eq!(crashes.note(start + Duration::from_secs(61)), 2);
    }
}
