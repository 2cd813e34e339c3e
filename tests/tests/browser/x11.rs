//! A display without a screen, and what stands on it.

use super::{Running, free_port, program};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use x11rb::{
    connection::Connection,
    protocol::xproto::{AtomEnum, ClientMessageEvent, ConnectionExt, EventMask, MapState, Window},
    rust_connection::RustConnection,
};

/// An X server of its own.
pub struct Display {
    /// Its name, `:1234`.
    pub name: String,
    connection: RustConnection,
    root: Window,
    _server: Running,
}

impl Display {
    /// Starts one; `None` where there is none to start.
    pub fn start() -> Option<Self> {
        let server = program("Xvfb")?;
        // Numbers of displays are ports' little brothers: one that is free as a port is free here.
        let name = format!(":{}", free_port());
        let server = Running::start(
            Command::new(server)
                .args([&name, "-screen", "0", "1280x900x24", "-nolisten", "tcp", "-noreset"])
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        let begun = Instant::now();
        loop {
            if let Ok((connection, screen)) = RustConnection::connect(Some(&name)) {
                let root = connection.setup().roots[screen].root;
                return Some(Self { name, connection, root, _server: server });
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "Xvfb did not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn atom(&self, name: &str) -> u32 {
        self.connection.intern_atom(false, name.as_bytes()).expect("sent").reply().expect("an atom").atom
    }

    fn all(&self, of: Window, found: &mut Vec<Window>) {
        let Some(tree) = self.connection.query_tree(of).ok().and_then(|cookie| cookie.reply().ok()) else { return };
        for child in tree.children {
            found.push(child);
            self.all(child, found);
        }
    }

    /// The window that a person takes for the app's: one with its title that can be told to close.
    fn window(&self, title: &str) -> Option<Window> {
        let (name, protocols) = (self.atom("_NET_WM_NAME"), self.atom("WM_PROTOCOLS"));
        let mut windows = Vec::new();
        self.all(self.root, &mut windows);
        windows.into_iter().find(|window| {
            let value = |property, kind| {
                self.connection.get_property(false, *window, property, kind, 0, 256).ok()?.reply().ok().map(|found| found.value)
            };
            value(name, AtomEnum::ANY).is_some_and(|found| found == title.as_bytes())
                && value(protocols, AtomEnum::ANY).is_some_and(|found| !found.is_empty())
        })
    }

    /// Whether the window with this title is to be seen.
    pub fn shows(&self, title: &str) -> bool {
        self.window(title).is_some_and(|window| {
            let asked = self.connection.get_window_attributes(window).ok().and_then(|cookie| cookie.reply().ok());
            asked.is_some_and(|found| found.map_state == MapState::VIEWABLE)
        })
    }

    /// Closes the window as its own button does.
    pub fn close(&self, title: &str) {
        let window = self.window(title).expect("a window");
        let delete = self.atom("WM_DELETE_WINDOW");
        let event = ClientMessageEvent::new(32, window, self.atom("WM_PROTOCOLS"), [delete, 0, 0, 0, 0]);
        self.connection.send_event(false, window, EventMask::NO_EVENT, event).expect("sent");
        self.connection.flush().expect("sent");
    }

    /// A program that shows itself here, with a session bus of its own.
    pub fn command(&self, program: &Path, home: &Path) -> Command {
        let mut command = Command::new("dbus-run-session");
        command.arg("--").arg(program);
        self.at_home(&mut command, home);
        command
    }

    /// The display and a home of its own for a command.
    pub fn at_home(&self, command: &mut Command, home: &Path) {
        command
            .env("DISPLAY", &self.name)
            .env("GDK_BACKEND", "x11")
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_RUNTIME_DIR", home)
            .env("TMPDIR", home)
            .env("WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS", "1")
            .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1")
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("KITH_DATA_DIR")
            .env("KITH_KEY_PROVIDER", "file")
            .env("KITH_LIMITS", "off");
    }
}
