//! The window: everything a person sees and touches, drawn in the browser, speaking to the node by its REST API alone.
//!
//! Pages keep no second truth: they read a resource and follow the node's events ([`live`]). What a page works out before it shows it
//! lies in [`view`], which knows no browser and is tested natively.

mod app;
mod claim;
mod dialog;
mod dom;
mod http;
mod icons;
mod live;
mod pages;
mod palette;
mod parts;
mod session;
mod shell;
mod shortcuts;
mod sign_in;
mod talk;
mod toast;
mod welcome;

// What pages work out lies in the library beside this program, which builds and is tested anywhere.
use kith_ui_view::view;

fn main() {
    console_error_panic_hook::set_once();
    pages::settings::apply_kept_theme();
    leptos::mount::mount_to_body(app::App);
}
