//! The browser's own things, each behind one plain function: storage, clipboard, downloads, focus, the address.

use crate::view::fragment;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, HtmlAnchorElement, Storage, Url};

fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

/// Keeps a text for the next visit. Where nothing can be kept (private windows), it lasts as long as the page.
pub fn keep(name: &str, text: &str) {
    if let Some(storage) = storage() {
        let _ = storage.set_item(name, text);
    }
}

/// A kept text.
pub fn kept(name: &str) -> Option<String> {
    storage()?.get_item(name).ok().flatten()
}

/// Lets go of a kept text.
pub fn forget(name: &str) {
    if let Some(storage) = storage() {
        let _ = storage.remove_item(name);
    }
}

/// The value of `name=…` behind the address's `#`, which is then taken off the address and out of the history. What else stands there
/// stays.
pub fn take_fragment(name: &str) -> Option<String> {
    let location = window().location();
    let hash = location.hash().ok()?;
    let (value, rest) = fragment::take(&hash, name)?;
    let (path, search) = (location.pathname().ok()?, location.search().ok()?);
    let history = window().history().ok()?;
    let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&format!("{path}{search}{rest}")));
    Some(value)
}

/// Puts a text on the clipboard. `false` where the browser refuses.
pub async fn copy(text: &str) -> bool {
    JsFuture::from(window().navigator().clipboard().write_text(text)).await.is_ok()
}

/// Saves bytes as a file of this name.
pub fn save(blob: &Blob, name: &str) {
    let Ok(url) = Url::create_object_url_with_blob(blob) else { return };
    if let Ok(anchor) = document().create_element("a")
        && let Ok(anchor) = anchor.dyn_into::<HtmlAnchorElement>()
    {
        anchor.set_href(&url);
        anchor.set_download(name);
        anchor.click();
    }
    let _ = Url::revoke_object_url(&url);
}

/// Saves a text as a file of this name.
pub fn save_text(text: &str, name: &str) {
    let parts = js_sys::Array::of1(&text.into());
    if let Ok(blob) = Blob::new_with_str_sequence(&parts) {
        save(&blob, name);
    }
}

/// How long the text is that is pasted or dropped, in UTF-16 units, without copying it.
pub fn text_length(data: &web_sys::DataTransfer) -> usize {
    let read = js_sys::Reflect::get(data, &"getData".into()).ok().and_then(|read| read.dyn_into::<js_sys::Function>().ok());
    let text = read.and_then(|read| read.call1(data, &"text/plain".into()).ok());
    text.and_then(|text| text.dyn_into::<js_sys::JsString>().ok()).map_or(0, |text| text.length() as usize)
}

/// Moves the focus by one among those that `selector` finds below `root`, round and round; to the first, or the last, from elsewhere.
pub fn walk(root: &web_sys::Element, selector: &str, by: isize) {
    let Ok(list) = root.query_selector_all(selector) else { return };
    let all: Vec<web_sys::HtmlElement> =
        (0..list.length()).filter_map(|at| list.get(at)?.dyn_into::<web_sys::HtmlElement>().ok()).collect();
    let active = document().active_element();
    let at = all.iter().position(|one| Some(one.unchecked_ref::<web_sys::Element>()) == active.as_ref());
    let count = all.len() as isize;
    if count > 0 {
        let next = at.map_or(if by > 0 { 0 } else { count - 1 }, |at| (at as isize + by).rem_euclid(count));
        if let Some(one) = all.get(next as usize) {
            let _ = one.focus();
        }
    }
}

/// Scrolls a row of tabs sideways so that the one that is current is seen.
pub fn reveal(selector: &str) {
    let Ok(Some(tab)) = document().query_selector(selector) else { return };
    let Some(row) = tab.parent_element() else { return };
    let (tab, seen) = (tab.get_bounding_client_rect(), row.get_bounding_client_rect());
    if tab.left() < seen.left() || tab.right() > seen.right() {
        let by = tab.left() + tab.width() / 2.0 - seen.left() - seen.width() / 2.0;
        row.set_scroll_left(row.scroll_left() + by as i32);
    }
}

/// Gives what `selector` finds the focus, and scrolls the page so that it is seen, unless its beginning is.
pub fn come_to(selector: &str) {
    let Ok(Some(found)) = document().query_selector(selector) else { return };
    let Ok(Some(main)) = document().query_selector("main") else { return };
    let (at, seen) = (found.get_bounding_client_rect().top(), main.get_bounding_client_rect());
    if at < seen.top() || at > seen.bottom() - seen.height() / 4.0 {
        found.scroll_into_view_with_bool(true);
    }
    if let Ok(found) = found.dyn_into::<web_sys::HtmlElement>() {
        let _ = found.focus();
    }
}

/// Whether what `selector` finds below `root` reaches below the page's own part of the window, and would not above.
pub fn is_cut_off(root: &web_sys::Element, selector: &str) -> bool {
    let Ok(Some(shown)) = root.query_selector(selector) else { return false };
    let Ok(Some(main)) = document().query_selector("main") else { return false };
    let (shown, main, root) =
        (shown.get_bounding_client_rect(), main.get_bounding_client_rect(), root.get_bounding_client_rect());
    shown.bottom() > main.bottom() && root.top() - shown.height() > main.top()
}

/// Whether what is typed goes into a field.
pub fn is_typing() -> bool {
    document().active_element().is_some_and(|one| ["INPUT", "TEXTAREA", "SELECT"].contains(&one.tag_name().as_str()))
}

/// Whether any element of these is on the page.
pub fn is_open(selector: &str) -> bool {
    document().query_selector(selector).is_ok_and(|found| found.is_some())
}

/// The address of this page's node, `http://127.0.0.1:4343`.
pub fn origin() -> String {
    window().location().origin().unwrap_or_default()
}

/// Whether keys are struck on Apple's keyboard.
pub fn is_apple() -> bool {
    window().navigator().platform().is_ok_and(|platform| platform.starts_with("Mac") || platform.starts_with("iP"))
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    js_sys::Date::now() as i64
}

/// Minutes by which the wall clock is ahead of UTC.
pub fn utc_offset_minutes() -> i64 {
    -(js_sys::Date::new_0().get_timezone_offset() as i64)
}

/// Whether the page is looked at.
pub fn is_visible() -> bool {
    document().visibility_state() == web_sys::VisibilityState::Visible
}

/// A new id: 128 random bits in hexadecimal.
pub fn fresh_id() -> String {
    let mut bytes = [0u8; 16];
    if let Ok(crypto) = window().crypto() {
        let _ = crypto.get_random_values_with_u8_array(&mut bytes);
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a file or blob as a `data:` URL.
pub async fn data_url(blob: &Blob) -> Option<String> {
    let reader = web_sys::FileReader::new().ok()?;
    let reading = reader.clone();
    let done = js_sys::Promise::new(&mut |resolve, reject| {
        reading.set_onload(Some(&resolve));
        reading.set_onerror(Some(&reject));
    });
    reader.read_as_data_url(blob).ok()?;
    JsFuture::from(done).await.ok()?;
    reader.result().ok()?.as_string()
}

/// The text of a file; `None` if it is no text.
pub async fn file_text(blob: &Blob) -> Option<String> {
    let text = JsFuture::from(blob.text()).await.ok()?.as_string()?;
    // Bytes that are no text come as replacement characters, and zeros are in no text.
    let odd = text.chars().filter(|c| matches!(c, '\u{fffd}' | '\0')).count();
    (odd * 100 <= text.chars().count()).then_some(text)
}
