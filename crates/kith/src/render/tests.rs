//! What `render` promises, sentence by sentence.

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
}

#[test]
fn columns_are_aligned_and_lines_have_no_trailing_blanks() {
    let rows = [["smollm2:135m".to_owned(), "98 MB".to_owned()], ["a".to_owned(), String::new()]];
    assert_eq!(table(["NAME", "SIZE"], &rows), "NAME            SIZE\nsmollm2:135m    98 MB\na\n");
    assert_eq!(table(["NAME"], &[]), "NAME\n");
}

#[test]
fn sizes_are_decimal_with_at_most_three_digits() {
    for (bytes, wanted) in [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (9_949, "9.9 KB"),
        (9_950, "10 KB"),
        (98_000_000, "98 MB"),
        (999_499_999, "999 MB"),
        (999_500_000, "1.0 GB"),
        (1_234_567_890, "1.2 GB"),
        (u64::MAX, "18446744 TB"),
    ] {
        assert_eq!(size(bytes), wanted, "{bytes}");
    }
}

#[test]
fn times_are_told_from_where_the_reader_stands() {
    let now = at("2026-01-31T08:00:00Z");
    for (then, wanted) in [
        ("2026-01-31T08:00:00Z", "just now"),
        ("2026-01-31T07:59:59Z", "1 second ago"),
        ("2026-01-31T07:58:30Z", "90 seconds ago"),
        ("2026-01-31T07:55:00Z", "5 minutes ago"),
        ("2026-01-31T08:04:59Z", "4 minutes from now"),
        ("2026-01-29T08:00:00Z", "2 days ago"),
        ("2025-11-30T08:00:00+00:00", "2 months ago"),
        ("2020-01-31T08:00:00Z", "6 years ago"),
        ("2318-01-01T00:00:00Z", "Forever"),
        ("soon", "soon"),
    ] {
        assert_eq!(relative_text(then, now), wanted, "{then}");
    }
}

#[test]
fn timings_tell_tokens_a_second_only_where_time_was_measured() {
    assert_eq!(rate(128, Duration::from_secs(2)), "64.0 tokens/s");
    assert_eq!(rate(128, Duration::ZERO), "-");
    assert_eq!(duration(Duration::from_millis(431)), "431 ms");
    assert_eq!(duration(Duration::from_millis(2310)), "2.31 s");
}

#[test]
fn counts_have_separators_and_ids_twelve_digits() {
    assert_eq!(count(0), "0");
    assert_eq!(count(999), "999");
    assert_eq!(count(134_515_008), "134,515,008");
    assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
    assert_eq!(short_id(""), "");
}

#[test]
fn what_could_drive_the_terminal_is_left_out() {
    assert_eq!(printable("a\x1b[2Jb\nc\td\u{9b}e", true), "a[2Jb\nc\tde");
    assert_eq!(printable("a\nb", false), "ab");
}

#[test]
fn sections_are_aligned_and_excerpts_bounded() {
    let rows = [("a".to_owned(), "1".to_owned()), ("long".to_owned(), "2".to_owned())];
    assert_eq!(section("Model", &rows), "  Model\n    a       1\n    long    2\n\n");
    assert_eq!(section("Model", &[]), "");
    assert_eq!(excerpt("License", "1\n2\n3\n", 2), "  License\n    1\n    2\n    ...\n\n");
    assert_eq!(excerpt("License", " \n", 2), "");
}
