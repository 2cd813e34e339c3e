//! The app's life: one instance, a node behind it, a window and a tray in front, and one orderly end.

use crate::{
    commands, deep_link, follow,
    host::{Ending, Host},
    options::Options,
    tray,
    updates::AppUpdates,
    window,
};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tauri::{App, AppHandle, Manager, RunEvent};
use tauri_plugin_dialog::{DialogExt, MessageDialogButtons, MessageDialogKind};
use tauri_plugin_window_state::StateFlags;

/// Crashes further back than this are forgotten.
const MINUTE: Duration = Duration::from_secs(60);

/// What everything in the app shares.
pub struct Shell {
    /// The node.
    pub host: Host,
    /// Who wants to see the window before there is a node behind it.
    pub door: Door,
    /// Held while the window is made or led somewhere: two who open it at once get one.
    pub opening: tokio::sync::Mutex<()>,
    /// Whether the user wants to see the window.
    pub wanted: AtomicBool,
    /// The file that was saved last, and when.
    pub saved: Mutex<Option<(Option<PathBuf>, Instant)>>,
    /// Counts the window's comings and goings, so that what was to happen after one is off after the next.
    pub visits: Counter,
    /// When the view's process ended of late.
    pub crashes: Crashes,
    /// How long a hidden window is kept.
    pub drop_after: Duration,
}

/// Shut until the node answers. Whoever knocks before is let in then; of several, the last.
#[derive(Default)]
pub struct Door(Mutex<Knocks>);

#[derive(Default)]
struct Knocks {
    open: bool,
    /// The page that is wanted, if somebody knocked; the window may be wanted without one.
    waiting: Option<Option<String>>,
}

impl Door {
    /// Whether one may go in; if not, the wish is kept.
    pub fn knock(&self, page: Option<&str>) -> bool {
        let mut knocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !knocks.open {
            let page = page.map(str::to_owned).or_else(|| knocks.waiting.take().flatten());
            knocks.waiting = Some(page);
        }
        knocks.open
    }

    /// Opens it for good, and gives what was wished until now.
    pub fn open(&self) -> Option<Option<String>> {
        let mut knocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        knocks.open = true;
        knocks.waiting.take()
    }
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
    let first = options.link.as_deref().map(deep_link::page);
    let alone = Alone::of(&options.data_dir);
    let shell = Shell {
        host: Host::new(options.data_dir),
        door: Door::default(),
        opening: tokio::sync::Mutex::default(),
        wanted: AtomicBool::new(false),
        saved: Mutex::default(),
        visits: Counter::default(),
        crashes: Crashes::default(),
        drop_after: options.drop_after,
    };
    let remembered = StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED;
    let mut builder = tauri::Builder::default();
    // First of all: a second start ends here, and raises the window of the first.
    if let Some(alone) = alone {
        builder = builder.plugin(alone.plugin());
    }
    if !options.hidden {
        shell.door.knock(first.as_deref());
    }
    let builder = builder
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
        .setup(|app| {
            set_up(app);
            Ok(())
        });
    #[cfg(target_os = "macos")]
    let builder = builder.on_web_content_process_terminate(|view| window::revive(view.app_handle()));
    let app = builder.build(context())?;
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

/// What was built into the program.
#[allow(clippy::disallowed_methods, reason = "Tauri's own macro ends the program if what it made cannot be read")]
fn context() -> tauri::Context {
    tauri::generate_context!()
}

fn set_up(app: &App) {
    let handle = app.handle().clone();
    // Where the system's library for it is missing, the crate behind it panics instead of saying so.
    let tray = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tray::build(&handle)));
    if !matches!(tray, Ok(Ok(()))) {
        tracing::warn!("there is no tray; starting the app again brings its window back");
    }
    hear_links(&handle);
    end_by_signal(&handle);
    tauri::async_runtime::spawn(async move {
        if begin(&handle).await {
            if let Some(page) = handle.state::<Shell>().door.open() {
                window::open(&handle, page.as_deref()).await;
            }
            follow::bundled_model(&handle).await;
            follow::follow(handle).await;
        }
    });
}

/// macOS tells of addresses by an event; elsewhere they are arguments of another start.
#[cfg(target_os = "macos")]
fn hear_links(app: &AppHandle) {
    use tauri_plugin_deep_link::DeepLinkExt;
    let linked = app.clone();
    app.deep_link().on_open_url(move |event| {
        if let Some(url) = event.urls().first() {
            show(&linked, Some(deep_link::page(url.as_str())));
        }
    });
}

#[cfg(not(target_os = "macos"))]
fn hear_links(_: &AppHandle) {}

/// The one app of a folder.
struct Alone {
    /// What it is known by among the user's programs.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "other systems go by the app's identifier"))]
    name: String,
}

impl Alone {
    /// By the folder. Where the system knows one name for all, only the usual folder's app is the one; with another folder, apps share
    /// the node that runs on it.
    fn of(data_dir: &Path) -> Option<Self> {
        use sha2::{Digest, Sha256};
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let usual = kith_node::default_data_dir(var).and_then(|usual| std::path::absolute(usual).ok());
        let folder = hex::encode(&Sha256::digest(data_dir.as_os_str().as_encoded_bytes())[..8]);
        (cfg!(target_os = "linux") || usual.as_deref() == Some(data_dir))
            .then(|| Self { name: format!("net.kith.desktop.f{folder}") })
    }

    fn plugin(self) -> tauri::plugin::TauriPlugin<tauri::Wry> {
        let raised = |app: &AppHandle, arguments: Vec<String>, _| {
            let link = arguments.iter().find(|argument| argument.starts_with("kith://"));
            show(app, link.map(|link| deep_link::page(link)));
        };
        let plugin = tauri_plugin_single_instance::Builder::new().callback(raised);
        #[cfg(target_os = "linux")]
        let plugin = plugin.dbus_id(self.name);
        plugin.build()
    }
}

/// Gives up being the one app: whoever is started from now on is a new one, which waits for this one's node to end.
fn make_way(app: &AppHandle) {
    let app = app.clone();
    // It waits for the bus, which no task may do.
    drop(std::thread::spawn(move || tauri_plugin_single_instance::destroy(&app)));
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
    let told = move |end| match end {
        Ending::Begun => make_way(&ending),
        Ending::Done => ending.exit(0),
    };
    let started = shell.host.start(updates, told).await;
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
        make_way(&app);
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
    fn who_knocks_before_the_node_answers_is_let_in_then() {
        let door = Door::default();
        assert!(!door.knock(None) && !door.knock(Some("/app/models")) && !door.knock(None));
        assert_eq!(door.open(), Some(Some("/app/models".to_owned())));
        assert!(door.knock(Some("/app")));
        assert_eq!(door.open(), None);
    }

    #[test]
    fn crashes_are_forgotten_after_a_minute() {
        let (crashes, start) = (Crashes::default(), Instant::now());
        assert_eq!(crashes.note(start), 1);
        assert_eq!(crashes.note(start + Duration::from_secs(30)), 2);
        assert_eq!(crashes.note(start + Duration::from_secs(61)), 2);
    }
}
