//! The window: one view of the node's pages. Closing it hides it; hidden for long, it is dropped, so that its memory is free.

use crate::shell::Shell;
use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};
use tauri::{
    AppHandle, Manager, Url, WebviewUrl, WebviewWindow, WebviewWindowBuilder, WindowEvent,
    webview::{DownloadEvent, NewWindowResponse, PageLoadEvent},
};
use tauri_plugin_dialog::{DialogExt, MessageDialogKind};

/// The one window's name, which its capability goes by.
pub const MAIN: &str = "main";
/// How long a window waits for its page before it shows itself without one.
const BLANK: Duration = Duration::from_secs(2);
/// Within this, the end of one download is told once.
const TOLD: Duration = Duration::from_secs(1);
/// How often the view may crash within a minute before the window stays away.
const CRASHES: usize = 3;

/// Shows the window, and makes it if need be; it goes to the page if one is named.
pub async fn open(app: &AppHandle, page: Option<&str>) {
    let shell = app.state::<Shell>();
    if !shell.door.knock(page) {
        return;
    }
    let _one = shell.opening.lock().await;
    shell.wanted.store(true, Ordering::SeqCst);
    shell.visits.next();
    let found = app.get_webview_window(MAIN);
    match (found, page) {
        (Some(window), None) => show(&window),
        (Some(window), Some(page)) => {
            go_to(app, page).await;
            show(&window);
        }
        (None, page) => create(app, page.unwrap_or("/app")).await,
    }
}

/// Leads the window to a page, signed in anew.
pub async fn go_to(app: &AppHandle, page: &str) {
    let Some(window) = app.get_webview_window(MAIN) else { return };
    match ticketed(app, page).await {
        Ok(url) => {
            // The same page with another fragment is no navigation: the ticket would lie there unread.
            let same = window.url().is_ok_and(|now| now.path() == url.path() && origin(&now) == origin(&url));
            let went = window.navigate(url);
            if same && went.is_ok() {
                let _ = window.reload();
            }
        }
        Err(error) => tracing::warn!(error, "the window cannot be led to a page"),
    }
}

fn show(window: &WebviewWindow) {
    // A window that the system does not bring forward is still there.
    let _ = window.show();
    let _ = window.unminimize();
    let _ = window.set_focus();
}

async fn ticketed(app: &AppHandle, page: &str) -> Result<Url, String> {
    let link = app.state::<Shell>().host.link().ok_or("the node does not run")?;
    let address = link.ticketed(page).await.map_err(|error| error.to_string())?;
    Url::parse(&address).map_err(|error| error.to_string())
}

async fn create(app: &AppHandle, page: &str) {
    let url = match ticketed(app, page).await {
        Ok(url) => url,
        Err(error) => {
            tell(app, "The window cannot be opened", &error);
            return;
        }
    };
    if let Err(error) = build(app, url) {
        tracing::error!(%error, "no window");
        tell(app, "The window cannot be opened", &error.to_string());
    }
}

fn build(app: &AppHandle, url: Url) -> tauri::Result<()> {
    let (home, node, downloads) = (origin(&url), app.clone(), app.clone());
    // It shows itself once its first page is there, unless it was shown or closed before.
    let visit = app.state::<Shell>().visits.now();
    let window = WebviewWindowBuilder::new(app, MAIN, WebviewUrl::External(url))
        .title("Kith")
        .inner_size(1180.0, 780.0)
        .min_inner_size(360.0, 480.0)
        .visible(false)
        .disable_drag_drop_handler()
        .on_navigation(move |url| {
            // The node may come back on another port.
            let ours = origin(url) == home || origin_of_node(&node) == Some(origin(url));
            if !ours {
                open_outside(url);
            }
            ours
        })
        .on_new_window(|url, _| {
            open_outside(&url);
            NewWindowResponse::Deny
        })
        .on_page_load(move |window, load| {
            if load.event() == PageLoadEvent::Finished {
                reveal(&window, visit);
            }
        })
        .on_download(move |_, event| download(&downloads, event))
        .build()?;
    survive(&window);
    let (handle, closing) = (app.clone(), window.clone());
    window.on_window_event(move |event| {
        if let WindowEvent::CloseRequested { api, .. } = event {
            api.prevent_close();
            let _ = closing.hide();
            rest(&handle);
        }
    });
    tauri::async_runtime::spawn(async move {
        tokio::time::sleep(BLANK).await;
        reveal(&window, visit);
    });
    Ok(())
}

/// Shows a window that was made for this visit and is still hidden.
fn reveal(window: &WebviewWindow, visit: u64) {
    if window.app_handle().state::<Shell>().visits.now() == visit && !window.is_visible().unwrap_or(true) {
        show(window);
    }
}

fn origin_of_node(app: &AppHandle) -> Option<String> {
    origin(&Url::parse(app.state::<Shell>().host.link()?.url()).ok()?).into()
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Drops the window once it has been hidden for long.
fn rest(app: &AppHandle) {
    let shell = app.state::<Shell>();
    shell.wanted.store(false, Ordering::SeqCst);
    let (visit, patience, app) = (shell.visits.next(), shell.drop_after, app.clone());
    tauri::async_runtime::spawn(async move {
        tokio::time::sleep(patience).await;
        if app.state::<Shell>().visits.now() == visit
            && let Some(window) = app.get_webview_window(MAIN)
        {
            tracing::debug!("the hidden window is dropped");
            let _ = window.destroy();
        }
    });
}

/// Web and mail addresses belong to the system's own programs; what else a page may name goes nowhere.
fn open_outside(url: &Url) {
    if matches!(url.scheme(), "http" | "https" | "mailto")
        && let Err(error) = open::that_detached(url.as_str())
    {
        tracing::warn!(%error, "no program opens an address");
    }
}

/// Where exports go: the user's downloads, under a name that is free.
fn download(app: &AppHandle, event: DownloadEvent<'_>) -> bool {
    match event {
        DownloadEvent::Requested { destination, .. } => {
            let paths = app.path();
            let Ok(folder) = paths.download_dir().or_else(|_| paths.home_dir().map(|home| home.join("Downloads"))) else {
                return false;
            };
            if std::fs::create_dir_all(&folder).is_err() {
                return false;
            }
            let name = destination.file_name().map_or_else(|| PathBuf::from("kith-export"), PathBuf::from);
            *destination = free(&folder, &name);
            true
        }
        DownloadEvent::Finished { path, success, .. } => {
            if told_before(app, path.as_ref()) {
                return true;
            }
            let (title, body) = match path {
                Some(path) if success => ("Saved", path.display().to_string()),
                None if success => ("Saved", "The file lies in your downloads.".to_owned()),
                _ => ("Not saved", "The file could not be written to your downloads.".to_owned()),
            };
            crate::follow::notify(app, title, &body);
            true
        }
        _ => true,
    }
}

/// Whether this file's end was heard already: on Linux every window that ever was hears of it.
fn told_before(app: &AppHandle, path: Option<&PathBuf>) -> bool {
    let now = Instant::now();
    let shell = app.state::<Shell>();
    let mut saved = shell.saved.lock().unwrap_or_else(PoisonError::into_inner);
    let before = saved.replace((path.cloned(), now));
    before.is_some_and(|(before, then)| before.as_ref() == path && now.duration_since(then) < TOLD)
}

/// `name`, or `name (2)` and so on: what lies there stays.
fn free(folder: &Path, name: &Path) -> PathBuf {
    let stem = name.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let end = name.extension().map(|end| format!(".{}", end.to_string_lossy())).unwrap_or_default();
    let first = folder.join(name);
    if !first.exists() {
        return first;
    }
    let mut others = (2..1000).map(|n| folder.join(format!("{stem} ({n}){end}")));
    others.find(|path| !path.exists()).unwrap_or(first)
}

/// A view whose process ends is made anew, unless that happens again and again.
#[cfg(target_os = "linux")]
fn survive(window: &WebviewWindow) {
    use webkit2gtk::WebViewExt;
    let app = window.app_handle().clone();
    let watched = window.with_webview(move |view| {
        view.inner().connect_web_process_terminated(move |_, reason| {
            tracing::warn!(?reason, "the window's process ended");
            revive(&app);
        });
    });
    if let Err(error) = watched {
        tracing::warn!(%error, "a crash of the view would not be seen");
    }
}

/// macOS tells of it through the app's own hook; Windows' view shows a page of its own with a button.
#[cfg(not(target_os = "linux"))]
fn survive(_: &WebviewWindow) {}

/// Makes the window anew after its view's process ended.
pub fn revive(app: &AppHandle) {
    let crashes = app.state::<Shell>().crashes.note(Instant::now());
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let Some(window) = app.get_webview_window(MAIN) else { return };
        let shell = app.state::<Shell>();
        let _one = shell.opening.lock().await;
        let _ = window.destroy();
        if crashes > CRASHES {
            tell(
                &app,
                "The window keeps failing",
                "Kith goes on in the tray; its pages also open in a browser, with `kith open`.",
            );
            return;
        }
        // The old one's name is free once the event loop has seen it off.
        for _ in 0..100 {
            if app.get_webview_window(MAIN).is_none() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if shell.wanted.load(Ordering::SeqCst) {
            create(&app, "/app").await;
        }
    });
}

/// Says what went wrong, where no page can.
pub fn tell(app: &AppHandle, title: &str, text: &str) {
    app.dialog().message(text).title(title).kind(MessageDialogKind::Error).show(|_| {});
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_overwrites_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let name = Path::new("talk.md");
        assert_eq!(free(dir.path(), name), dir.path().join("talk.md"));
        std::fs::write(dir.path().join("talk.md"), "").unwrap();
        assert_eq!(free(dir.path(), name), dir.path().join("talk (2).md"));
        std::fs::write(dir.path().join("talk (2).md"), "").unwrap();
        assert_eq!(free(dir.path(), name), dir.path().join("talk (3).md"));
    }
}
