//! What quiet hours promise, sentence by sentence.

use super::*;
use proptest::prelude::*;

const HOUR: i64 = 3_600_000;

fn plan(days: [bool; 7], from: u16, to: u16, zone_name: &str) -> Schedule {
    let zone = zone(zone_name).unwrap();
    Schedule { enabled: true, days, from, to, time_zone: zone_name.to_owned(), parallel: 2, pause_sharing: true, zone }
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_ms(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn table(toml: &str) -> Result<Schedule, ConfigError> {
    Schedule::from_table(&toml::from_str(toml).unwrap())
}

#[test]
fn hours_over_midnight_belong_to_the_day_they_begin_on() {
    // Only Fridays: Friday night into Saturday morning.
    let plan = plan([false, false, false, false, true, false, false], 22 * 60, 8 * 60, "UTC");
    let quiet = |text| plan.allowance(at(text)).quiet;
    assert!(!quiet("2026-11-20T21:59:59.999Z"));
    assert!(quiet("2026-11-20T22:00:00Z"));
    assert!(quiet("2026-11-21T07:59:59.999Z"));
    assert!(!quiet("2026-11-21T08:00:00Z"));
    assert!(!quiet("2026-11-21T23:00:00Z"));
    assert_eq!(plan.allowance(at("2026-11-21T01:00:00Z")).until, Some(at("2026-11-21T08:00:00Z")));
    assert_eq!(plan.allowance(at("2026-11-21T09:00:00Z")).until, Some(at("2026-11-27T22:00:00Z")));
}

#[test]
fn the_same_beginning_and_end_is_a_whole_day_and_every_day_is_for_ever() {
    let monday = plan([true, false, false, false, false, false, false], 0, 0, "UTC");
    assert_eq!(monday.allowance(at("2026-11-23T12:00:00Z")).until, Some(at("2026-11-24T00:00:00Z")));
    let always = plan([true; 7], 600, 600, "Europe/Berlin");
    let allowance = always.allowance(at("2026-11-23T12:00:00Z"));
    assert_eq!((allowance.quiet, allowance.until), (true, None));
}

#[test]
fn hours_follow_the_wall_clock_when_clocks_are_moved() {
    let plan = plan([true; 7], 22 * 60, 8 * 60, "Europe/Berlin");
    // In the night of 29 March 2026 an hour is skipped, in that of 25 October one comes twice.
    for (begin, end, hours) in
        [("2026-03-28T21:00:00Z", "2026-03-29T06:00:00Z", 9), ("2026-10-24T20:00:00Z", "2026-10-25T07:00:00Z", 11)]
    {
        let (begin, end) = (at(begin), at(end));
        assert_eq!(end.ms() - begin.ms(), hours * HOUR);
        assert!(!plan.allowance(begin.plus_ms(-1)).quiet && plan.allowance(begin).quiet);
        assert!(plan.allowance(end.plus_ms(-1)).quiet && !plan.allowance(end).quiet);
        assert_eq!(plan.allowance(begin).until, Some(end));
    }
}

#[test]
fn a_plan_that_is_off_allows_everything() {
    let allowance = Schedule::default().allowance(at("2026-11-20T23:00:00Z"));
    assert_eq!(allowance, Allowance { quiet: false, parallel: None, pause_sharing: false, until: None });
}

#[test]
fn what_makes_no_plan_is_told_by_its_setting() {
    for (toml, setting) in [
        ("from = \"24:00\"", "schedule.from"),
        ("to = \"8\"", "schedule.to"),
        ("days = [\"monday\"]", "schedule.days"),
        ("days = []", "schedule.days"),
        ("time_zone = \"Mars/Olympus\"", "schedule.time_zone"),
        ("time_zone = \"+26:00\"", "schedule.time_zone"),
        ("parallel = 0", "schedule.parallel"),
    ] {
        let error = table(toml).unwrap_err().to_string();
        assert!(error.starts_with(setting), "{toml}: {error}");
    }
    let taken = table("enabled = true\ntime_zone = \"-03:30\"\ndays = [\"sat\", \"sun\"]\nfrom = \"09:05\"").unwrap();
    assert_eq!((taken.from, taken.day_words()), (545, vec!["sat", "sun"]));
}

proptest! {
    /// Beside a fixed zone, quiet hours are plain arithmetic in the minutes of a week.
    #[test]
    fn with_a_fixed_offset_it_is_arithmetic_modulo_a_week(
        days in any::<[bool; 7]>(), from in 0u16..1440, to in 0u16..1440, offset in -14 * 60..=14 * 60i32, ms in 0i64..4_000_000_000_000,
    ) {
        prop_assume!(days.contains(&true));
        let name = format!("{}{:02}:{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 60, offset.abs() % 60);
        let plan = plan(days, from, to, &name);
        let allowance = plan.allowance(Timestamp::from_ms(ms));
        // 1970 began on a Thursday.
        let minute = (ms.div_euclid(60_000) + i64::from(offset) + 3 * 1440).rem_euclid(7 * 1440);
        let length = i64::from(if to > from { to - from } else { 1440 + to - from });
        let quiet = (0..7).any(|day| days[usize::try_from(day).unwrap()]
            && (minute - (day * 1440 + i64::from(from))).rem_euclid(7 * 1440) < length);
        prop_assert_eq!(allowance.quiet, quiet);
    }

    /// The end told is the first instant at which the answer is another one.
    #[test]
    fn the_end_told_is_the_first_change(
        days in any::<[bool; 7]>(), from in 0u16..1440, to in 0u16..1440, ms in 1_700_000_000_000i64..1_900_000_000_000,
        zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]),
        fractions in prop::collection::vec(0.0f64..1.0, 4),
    ) {
        prop_assume!(days.contains(&true));
        let plan = plan(days, from, to, zone);
        let now = Timestamp::from_ms(ms);
        let here = plan.allowance(now);
        let Some(until) = here.until else {
            prop_assert!(here.quiet && days == [true; 7]);
            return Ok(());
        };
        prop_assert!(until > now);
        prop_assert!(plan.allowance(until).quiet != here.quiet);
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
        for fraction in fractions {
            let between = now.plus_ms(((until.ms() - 1 - ms) as f64 * fraction) as i64);
            prop_assert_eq!(plan.allowance(between).quiet, here.quiet);
        }
    }

    /// Away from moved clocks, what counts is what the clock on the wall shows.
    #[test]
    fn it_is_quiet_when_the_wall_clock_says_so(
        from in 0u16..1440, to in 0u16..1440, ms in 1_700_000_000_000i64..1_900_000_000_000,
        name in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    ) {
        let plan = plan([true; 7], from, to, name);
        let offset = |ms: i64| zone(name).unwrap().to_offset(jiff::Timestamp::from_millisecond(ms).unwrap());
        prop_assume!((-25..=25).all(|hours| offset(ms + hours * HOUR) == offset(ms)));
        let wall = jiff::Timestamp::from_millisecond(ms).unwrap().to_zoned(zone(name).unwrap());
        let minute = u16::try_from(wall.hour()).unwrap() * 60 + u16::try_from(wall.minute()).unwrap();
        let quiet = if to > from { (from..to).contains(&minute) } else { minute >= from || minute < to };
        prop_assert_eq!(plan.allowance(Timestamp::from_ms(ms)).quiet, quiet);
    }
}
