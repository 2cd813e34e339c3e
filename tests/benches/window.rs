//! How soon the window is there and what it costs while nobody looks: `cargo xtask bench window`. Measured on Linux alone.

#[cfg(target_os = "linux")]
#[path = "window/linux.rs"]
mod linux;

fn main() {
    #[cfg(target_os = "linux")]
    linux::measure();
}
