//! The desktop app around this page, where there is one: the few things it does for the page, asked for by name.

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// How the app stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShellState {
    /// Whether it starts at login.
    pub start_at_login: bool,
}

/// What a dialog of the system is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A model's file.
    Model,
    /// A folder with a model's files.
    Folder,
}

fn invoker() -> Option<(JsValue, Function)> {
    let inside = Reflect::get(web_sys::window()?.as_ref(), &"__TAURI_INTERNALS__".into()).ok()?;
    let invoke = Reflect::get(&inside, &"invoke".into()).ok()?.dyn_into().ok()?;
    Some((inside, invoke))
}

/// Whether this page stands in the app's window.
pub fn is_here() -> bool {
    invoker().is_some()
}

async fn ask(command: &str, arguments: &[(&str, JsValue)]) -> Result<JsValue, String> {
    let (inside, invoke) = invoker().ok_or("this page stands in a browser")?;
    let given = Object::new();
    let told = |error: JsValue| error.as_string().unwrap_or_else(|| "the app did not do it".to_owned());
    for (name, value) in arguments {
        Reflect::set(&given, &(*name).into(), value).map_err(told)?;
    }
    let answer = invoke.call2(&inside, &command.into(), &given).map_err(told)?;
    JsFuture::from(Promise::resolve(&answer)).await.map_err(told)
}

/// How the app stands.
pub async fn state() -> Result<ShellState, String> {
    let state = ask("shell_state", &[]).await?;
    let is = |name: &str| Reflect::get(&state, &name.into()).ok().and_then(|value| value.as_bool()).unwrap_or(false);
    Ok(ShellState { start_at_login: is("start_at_login") })
}

/// Starts the app at login, or no longer. Gives what holds now.
pub async fn start_at_login(on: bool) -> Result<bool, String> {
    Ok(ask("set_start_at_login", &[("on", on.into())]).await?.as_bool().unwrap_or(on))
}

/// The path that the user chose in the system's own dialog; nothing if they thought better of it.
pub async fn choose(wanted: Wanted) -> Result<Option<String>, String> {
    let word = match wanted {
        Wanted::Model => "model",
        Wanted::Folder => "folder",
    };
    Ok(ask("choose_path", &[("wanted", word.into())]).await?.as_string())
}

/// Has the app let this page in again. It comes back on another page if that works.
pub async fn enter_again() -> Result<(), String> {
    ask("enter_again", &[]).await.map(drop)
}
