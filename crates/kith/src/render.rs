//! Text for people: tables, sizes, spans of time. Pure.

use chrono::{DateTime, Utc};
use std::time::Duration;

/// Columns separated by at least this many blanks.
const GAP: usize = 4;

/// Rows under `headers`, aligned to the left; every line ends with a newline and has no trailing blanks.
pub fn table<const N: usize>(headers: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = headers.map(|header| header.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut line = |cells: &[String; N]| {
        let mut out = String::new();
        for (width, cell) in widths.iter().zip(cells) {
            let cell = printable(cell, false);
            out.push_str(&cell);
            out.push_str(&" ".repeat(width + GAP - cell.chars().count().min(*width)));
        }
        text.push_str(out.trim_end());
        text.push('\n');
    };
    line(&headers.map(str::to_owned));
    rows.iter().for_each(line);
    text
}

/// A size in decimal units with at most three digits that matter: `98 MB`, `1.2 GB`, `512 B`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    // What rounds to 1000 belongs to the next unit.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit > 0 && value < 9.95 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// When `then` is, as seen from `now`: `3 minutes ago`, `4 hours from now`, `just now`. More than a century ahead is `Forever`.
pub fn relative(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = then.signed_duration_since(now).num_seconds();
    if seconds > 100 * YEAR as i64 {
        return "Forever".to_owned();
    }
    let span = span(seconds.unsigned_abs());
    match seconds {
        0 => "just now".to_owned(),
        1.. => format!("{span} from now"),
        _ => format!("{span} ago"),
    }
}

/// As [`relative`] for a time in RFC 3339; what is no time is shown as it is.
pub fn relative_text(then: &str, now: DateTime<Utc>) -> String {
    match DateTime::parse_from_rfc3339(then) {
        Ok(then) => relative(then.with_timezone(&Utc), now),
        Err(_) => then.to_owned(),
    }
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
/// A twelfth of a year.
const MONTH: u64 = 2_629_800;
/// 365.25 days.
const YEAR: u64 = 31_557_600;

/// A span of time in its largest unit, of which there are at least two where possible: `90 seconds` is `90 seconds`, not `1 minute`.
pub fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        s if s < 2 * MINUTE => (s, "second"),
        s if s < 2 * HOUR => (s / MINUTE, "minute"),
        s if s < 2 * DAY => (s / HOUR, "hour"),
        s if s < 2 * WEEK => (s / DAY, "day"),
        s if s < 2 * MONTH => (s / WEEK, "week"),
        s if s < 2 * YEAR => (s / MONTH, "month"),
        s => (s / YEAR, "year"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A measured duration: `431 ms`, `2.31 s`.
pub fn duration(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}

/// Tokens a second, or a dash where no time was measured.
pub fn rate(tokens: u64, duration: Duration) -> String {
    if duration.is_zero() { "-".to_owned() } else { format!("{:.1} tokens/s", tokens as f64 / duration.as_secs_f64()) }
}

/// A count of parameters or tokens with separators: `135,000,000`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The first 12 hexadecimal digits of a digest, as the tables show it.
pub fn short_id(digest: &str) -> String {
    digest.rsplit(':').next().unwrap_or(digest).chars().take(12).collect()
}

/// `text` without control characters, which could drive the terminal; line breaks and tabs stay if `lines`.
pub fn printable(text: &str, lines: bool) -> String {
    text.chars().filter(|&c| !c.is_control() || (lines && matches!(c, '\n' | '\t'))).collect()
}

/// A titled block, its rows indented and aligned: the sections of `show` and `status`. Nothing if there are no rows.
pub fn section(title: &str, rows: &[(String, String)]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = rows.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    let mut text = format!("  {title}\n");
    for (key, value) in rows {
        let value = printable(value, false);
        let line = format!("    {key}{}{value}", " ".repeat(width + GAP - key.chars().count()));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
    text
}

/// A titled block of free text, at most `limit` lines of it.
pub fn excerpt(title: &str, body: &str, limit: usize) -> String {
    let body = printable(body.trim(), true);
    if body.is_empty() {
        return String::new();
    }
    let mut text = format!("  {title}\n");
    for line in body.lines().take(limit) {
        text.push_str(format!("    {line}").trim_end());
        text.push('\n');
    }
    if body.lines().nth(limit).is_some() {
        text.push_str("    ...\n");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
