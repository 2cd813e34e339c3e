//! The tray: how the node stands, and the few things wanted without a window. Linux shows nothing but its menu, so it always has one.

use crate::{shell, shell::Shell};
use tauri::{
    AppHandle, Manager, Wry,
    image::Image,
    include_image,
    menu::{Menu, MenuItem, PredefinedMenuItem},
    tray::{MouseButton, MouseButtonState, TrayIconBuilder, TrayIconEvent},
};
use tauri_plugin_clipboard_manager::ClipboardExt;

const TRAY: &str = "kith";

/// How the node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not there.
    Offline,
    /// It waits for work.
    Ready,
    /// It answers so many prompts.
    Busy(u64),
}

impl Standing {
    /// By how many prompts are being answered.
    pub const fn of(running: u64) -> Self {
        match running {
            0 => Self::Ready,
            running => Self::Busy(running),
        }
    }

    fn words(self) -> String {
        match self {
            Self::Offline => "Kith is offline".to_owned(),
            Self::Ready => "Kith is ready".to_owned(),
            Self::Busy(1) => "Kith is answering".to_owned(),
            Self::Busy(many) => format!("Kith is answering {many} prompts"),
        }
    }

    fn icon(self) -> Image<'static> {
        match self {
            Self::Offline if TEMPLATE => include_image!("icons/tray-offline-template.png"),
            Self::Ready if TEMPLATE => include_image!("icons/tray-ready-template.png"),
            Self::Busy(_) if TEMPLATE => include_image!("icons/tray-busy-template.png"),
            Self::Offline => include_image!("icons/tray-offline.png"),
            Self::Ready => include_image!("icons/tray-ready.png"),
            Self::Busy(_) => include_image!("icons/tray-busy.png"),
        }
    }
}

/// macOS colours the icon itself.
const TEMPLATE: bool = cfg!(target_os = "macos");

/// The parts that change.
struct Items {
    standing: MenuItem<Wry>,
    sharing: MenuItem<Wry>,
    address: MenuItem<Wry>,
    quit: MenuItem<Wry>,
}

/// Puts the tray there.
///
/// # Errors
/// The system has none.
pub fn build(app: &AppHandle) -> tauri::Result<()> {
    let item = |id: &str, text: &str, enabled: bool| MenuItem::with_id(app, id, text, enabled, None::<&str>);
    let items = Items {
        standing: item("standing", "Kith is starting", false)?,
        sharing: item("sharing", "Pause sharing", false)?,
        address: item("address", "Copy API address", false)?,
        quit: item("quit", "Quit Kith", true)?,
    };
    let (open, first, second) =
        (item("open", "Open Kith", true)?, PredefinedMenuItem::separator(app)?, PredefinedMenuItem::separator(app)?);
    let menu = Menu::with_items(app, &[&items.standing, &first, &open, &items.sharing, &items.address, &second, &items.quit])?;
    app.manage(items);
    TrayIconBuilder::with_id(TRAY)
        .icon(Standing::Offline.icon())
        .icon_as_template(TEMPLATE)
        .tooltip("Kith")
        .menu(&menu)
        .show_menu_on_left_click(cfg!(any(target_os = "macos", target_os = "linux")))
        .on_menu_event(|app, event| chosen(app, event.id().as_ref()))
        .on_tray_icon_event(|tray, event| {
            if let TrayIconEvent::Click { button: MouseButton::Left, button_state: MouseButtonState::Up, .. } = event {
                shell::show(tray.app_handle(), None);
            }
        })
        .build(app)?;
    Ok(())
}

fn chosen(app: &AppHandle, id: &str) {
    match id {
        "open" => shell::show(app, None),
        "quit" => shell::quit(app),
        "address" => {
            if let Some(link) = app.state::<Shell>().host.link()
                && let Err(error) = app.clipboard().write_text(link.url())
            {
                tracing::warn!(%error, "the address cannot be copied");
            }
        }
        "sharing" => {
            let app = app.clone();
            tauri::async_runtime::spawn(async move { turn_sharing(&app).await });
        }
        _ => {}
    }
}

async fn turn_sharing(app: &AppHandle) {
    let Some(link) = app.state::<Shell>().host.link() else { return };
    let turned = match link.is_paused().await {
        Ok(paused) => link.pause(!paused).await,
        Err(error) => Err(error),
    };
    match turned {
        Ok(paused) => show_sharing(app, Some(paused)),
        Err(error) => crate::follow::notify(app, "Sharing stays as it is", &error.to_string()),
    }
}

/// Shows how the node stands. Whatever the tray does not take is shown the next time.
pub fn show(app: &AppHandle, standing: Standing) {
    let words = standing.words();
    if let Some(items) = app.try_state::<Items>() {
        let _ = items.standing.set_text(&words);
        let _ = items.address.set_enabled(standing != Standing::Offline);
        // A node that somebody else started goes on.
        let own = app.state::<Shell>().host.is_own();
        let _ = items.quit.set_text(if own { "Quit Kith" } else { "Close Kith" });
    }
    if let Some(tray) = app.tray_by_id(TRAY) {
        let _ = tray.set_icon_with_as_template(Some(standing.icon()), TEMPLATE);
        let _ = tray.set_tooltip(Some(&words));
    }
}

/// Shows whether sharing is paused; `None` while nobody knows.
pub fn show_sharing(app: &AppHandle, paused: Option<bool>) {
    if let Some(items) = app.try_state::<Items>() {
        let _ = items.sharing.set_enabled(paused.is_some());
        let _ = items.sharing.set_text(if paused == Some(true) { "Resume sharing" } else { "Pause sharing" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tray_says_how_the_node_stands() {
        assert_eq!(Standing::of(0).words(), "Kith is ready");
        assert_eq!(Standing::of(1).words(), "Kith is answering");
        assert_eq!(Standing::of(3).words(), "Kith is answering 3 prompts");
        assert_eq!(Standing::Offline.words(), "Kith is offline");
    }
}
