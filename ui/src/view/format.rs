//! Figures as people read them: bytes, durations, counts, times of day. Numbers carry units.

/// Bytes in decimal units, as disks and downloads are sold: `98 MB`, `1.4 GB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let unit_name = UNITS.get(unit).copied().unwrap_or("TB");
    if unit == 0 || value >= 99.95 { format!("{value:.0} {unit_name}") } else { format!("{} {unit_name}", short(value)) }
}

/// Memory in binary gigabytes, as it is sold: `24 GB`, `0.5 GB`.
pub fn memory(count: u64) -> String {
    const GIB: f64 = 1_073_741_824.0;
    let value = count as f64 / GIB;
    if value < 1.0 { format!("{:.0} MB", count as f64 / 1_048_576.0) } else { format!("{} GB", short(value)) }
}

/// At most one decimal, and none that says nothing.
fn short(value: f64) -> String {
    if value >= 99.95 {
        return format!("{value:.0}");
    }
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A count with thin groups of three: `8 192`, or short where it is long: `1.28 M`.
pub fn count(n: u64) -> String {
    if n >= 1_000_000 {
        let millions = n as f64 / 1e6;
        return if millions >= 1000.0 { format!("{:.2} G", millions / 1000.0) } else { format!("{millions:.2} M") };
    }
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A length of time: `120 ms`, `1.2 s`, `3 min`, `2 h 5 min`, `4 days`.
pub fn duration_ms(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{} s", short(ms as f64 / 1000.0)),
        10_000..60_000 => format!("{} s", ms / 1000),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..86_400_000 => {
            let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
            if minutes == 0 { format!("{hours} h") } else { format!("{hours} h {minutes} min") }
        }
        _ => {
            let days = ms / 86_400_000;
            if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
        }
    }
}

/// How fast tokens came; `None` where there were too few to tell.
pub fn tokens_per_second(tokens: u64, decode_ms: u64) -> Option<f64> {
    // Between n tokens lie n - 1 gaps.
    (tokens > 1 && decode_ms > 0).then(|| (tokens - 1) as f64 * 1000.0 / decode_ms as f64)
}

/// A speed of writing: `164 tokens/s`, `8.2 tokens/s`.
pub fn speed(tokens_per_second: f64) -> String {
    if tokens_per_second < 10.0 { format!("{tokens_per_second:.1} tokens/s") } else { format!("{tokens_per_second:.0} tokens/s") }
}

/// How long ago, in one word: `now`, `5 min ago`, `3 h ago`, `2 days ago`.
pub fn ago(then_ms: i64, now_ms: i64) -> String {
    let passed = u64::try_from(now_ms - then_ms).unwrap_or(0);
    match passed {
        0..60_000 => "just now".to_owned(),
        60_000..3_600_000 => format!("{} min ago", passed / 60_000),
        3_600_000..86_400_000 => format!("{} h ago", passed / 3_600_000),
        _ => format!("{} ago", duration_ms(passed)),
    }
}

const DAY_MS: i64 = 86_400_000;
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time as a list shows it: today the clock, this week the weekday, before that the date. `offset` is minutes ahead of UTC.
pub fn when(then_ms: i64, now_ms: i64, offset: i64) -> String {
    let (then, now) = (then_ms + offset * 60_000, now_ms + offset * 60_000);
    let days = now.div_euclid(DAY_MS) - then.div_euclid(DAY_MS);
    match days {
        ..=0 => clock(then_ms, offset),
        1..7 => weekday(then).to_owned(),
        _ => date(then_ms, offset),
    }
}

/// The time of day, `09:05`.
pub fn clock(ms: i64, offset: i64) -> String {
    let minutes = (ms + offset * 60_000).rem_euclid(DAY_MS) / 60_000;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// The day, `21 Nov 2026`.
pub fn date(ms: i64, offset: i64) -> String {
    let (year, month, day) = civil((ms + offset * 60_000).div_euclid(DAY_MS));
    let month = usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month)).copied().unwrap_or("");
    format!("{day} {month} {year}")
}

fn weekday(local_ms: i64) -> &'static str {
    // 1 January 1970 was a Thursday.
    let at = (local_ms.div_euclid(DAY_MS) + 3).rem_euclid(7);
    usize::try_from(at).ok().and_then(|at| WEEKDAYS.get(at)).copied().unwrap_or("")
}

/// Year, month and day of a day counted from 1 January 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// The group of a list that a time belongs to.
pub fn period(then_ms: i64, now_ms: i64, offset: i64) -> &'static str {
    let day = |ms: i64| (ms + offset * 60_000).div_euclid(DAY_MS);
    match day(now_ms) - day(then_ms) {
        ..=0 => "Today",
        1 => "Yesterday",
        2..7 => "This week",
        7..30 => "This month",
        _ => "Earlier",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_at_most_one_decimal_and_a_unit() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(98_300_000), "98.3 MB");
        assert_eq!(bytes(4_000_000_000), "4 GB");
        assert_eq!(bytes(999_999_999), "1 GB");
        assert_eq!(memory(24 << 30), "24 GB");
        assert_eq!(memory(512 << 20), "512 MB");
    }

    #[test]
    fn counts_are_grouped_and_shortened() {
        assert_eq!(count(512), "512");
        assert_eq!(count(8192), "8\u{202f}192");
        assert_eq!(count(1_280_000), "1.28 M");
    }

    #[test]
    fn durations_choose_their_unit() {
        assert_eq!(duration_ms(120), "120 ms");
        assert_eq!(duration_ms(1_234), "1.2 s");
        assert_eq!(duration_ms(59_999), "59 s");
        assert_eq!(duration_ms(7_500_000), "2 h 5 min");
        assert_eq!(duration_ms(86_400_000), "1 day");
    }

    #[test]
    fn speeds_count_the_gaps_between_tokens() {
        assert_eq!(tokens_per_second(1, 50), None);
        assert_eq!(tokens_per_second(11, 100), Some(100.0));
        assert_eq!(speed(8.24), "8.2 tokens/s");
        assert_eq!(speed(163.8), "164 tokens/s");
    }

    #[test]
    fn times_are_told_as_near_as_need_be() {
        // 21 November 2026 is a Saturday.
        let noon = 1_795_262_400_000;
        assert_eq!(date(noon, 0), "21 Nov 2026");
        assert_eq!(when(noon - 3_600_000, noon, 60), "12:00");
        assert_eq!(when(noon - DAY_MS, noon, 0), "Fri");
        assert_eq!(when(noon - 30 * DAY_MS, noon, 0), "22 Oct 2026");
        assert_eq!(period(noon - DAY_MS, noon, 0), "Yesterday");
        assert_eq!(ago(noon - 90_000, noon), "1 min ago");
        assert_eq!(date(951_782_400_000, 0), "29 Feb 2000");
    }
}
