//! Quiet hours: when this node works less, and how much less. A pure function from the plan and the time to an allowance.

use crate::config::{ConfigError, value};
use jiff::{
    civil::{Date, Time, Weekday},
    tz::{Offset, TimeZone},
};
use kith_types::Timestamp;
use serde::{Deserialize, Serialize};

/// Days of the week, by the words they have in the file.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// How many days ahead the next quiet hours are looked for; a weekly plan shows itself within eight.
const HORIZON_DAYS: i64 = 9;
/// Answers at once in quiet hours, unless the plan says otherwise.
const QUIET_PARALLEL: u32 = 1;

/// The plan as it stands in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScheduleTable {
    enabled: Option<bool>,
    days: Option<Vec<String>>,
    from: Option<String>,
    to: Option<String>,
    time_zone: Option<String>,
    parallel: Option<u32>,
    pause_sharing: Option<bool>,
}

/// A weekly plan of quiet hours.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Whether it is followed.
    pub enabled: bool,
    /// The days on which quiet hours begin, from Monday on.
    pub days: [bool; 7],
    /// When they begin, in minutes since midnight.
    pub from: u16,
    /// When they end, in minutes since midnight; on the next day unless it is later than the beginning.
    pub to: u16,
    /// The zone's name: `local`, `UTC`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    pub time_zone: String,
    /// Answers each model writes at once in quiet hours, 1 to 256.
    pub parallel: u32,
    /// Whether prompts of other machines are refused in quiet hours.
    pub pause_sharing: bool,
    zone: TimeZone,
}

/// What the node may do at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Whether these are quiet hours.
    pub quiet: bool,
    /// The most answers each model writes at once; `None` is as many as its bounds allow.
    pub parallel: Option<u32>,
    /// Whether prompts of other machines are refused.
    pub pause_sharing: bool,
    /// When this changes; `None` is never.
    pub until: Option<Timestamp>,
}

impl Default for Schedule {
    /// From ten in the evening to eight in the morning, but not followed until it is switched on.
    fn default() -> Self {
        Self {
            enabled: false,
            days: [true; 7],
            from: 22 * 60,
            to: 8 * 60,
            time_zone: "local".to_owned(),
            parallel: QUIET_PARALLEL,
            pause_sharing: false,
            zone: TimeZone::system(),
        }
    }
}

fn minutes(setting: &str, text: &str) -> Result<u16, ConfigError> {
    let parsed = || {
        let (hours, minutes) = text.split_once(':')?;
        let digits = |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<u16>().ok());
        let (hours, minutes) = (digits(hours)??, digits(minutes)??);
        (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
    };
    parsed().ok_or_else(|| value(setting, format!("`{text}` is not a time from 00:00 to 23:59")))
}

fn zone(text: &str) -> Result<TimeZone, ConfigError> {
    let wrong = || {
        let reason = format!("`{text}` is not `local`, `UTC`, an offset such as `+02:00` or a zone such as `Europe/Berlin`");
        value("schedule.time_zone", reason)
    };
    match text {
        "local" => Ok(TimeZone::system()),
        "UTC" => Ok(TimeZone::UTC),
        text if text.starts_with(['+', '-']) => {
            let minutes = i32::from(minutes("schedule.time_zone", &text[1..]).map_err(|_| wrong())?);
            let seconds = if text.starts_with('-') { -minutes * 60 } else { minutes * 60 };
            Offset::from_seconds(seconds).map(TimeZone::fixed).map_err(|_| wrong())
        }
        name => TimeZone::get(name).map_err(|_| wrong()),
    }
}

impl Schedule {
    pub(crate) fn from_table(table: &ScheduleTable) -> Result<Self, ConfigError> {
        let default = Self::default();
        let mut days = default.days;
        if let Some(words) = &table.days {
            days = [false; 7];
            for word in words {
                let at = DAYS.iter().position(|day| day == word);
                let at = at.ok_or_else(|| value("schedule.days", format!("`{word}` is not one of {}", DAYS.join(", "))))?;
                days[at] = true;
            }
            if !days.contains(&true) {
                return Err(value("schedule.days", "at least one day is needed"));
            }
        }
        let parallel = table.parallel.unwrap_or(default.parallel);
        if !(1..=256).contains(&parallel) {
            return Err(value("schedule.parallel", format!("{parallel} is not between 1 and 256")));
        }
        let time_zone = table.time_zone.clone().unwrap_or(default.time_zone);
        Ok(Self {
            enabled: table.enabled.unwrap_or(default.enabled),
            days,
            from: table.from.as_deref().map_or(Ok(default.from), |text| minutes("schedule.from", text))?,
            to: table.to.as_deref().map_or(Ok(default.to), |text| minutes("schedule.to", text))?,
            zone: zone(&time_zone)?,
            time_zone,
            parallel,
            pause_sharing: table.pause_sharing.unwrap_or(default.pause_sharing),
        })
    }

    /// The days by their words.
    pub fn day_words(&self) -> Vec<&'static str> {
        DAYS.iter().zip(self.days).filter_map(|(word, quiet)| quiet.then_some(*word)).collect()
    }

    /// The quiet hours that begin on this day, as instants: from the first on, up to the second. Times that the clocks skip or repeat
    /// are read as most calendars do: skipped ones as if the clocks had not been moved yet, repeated ones as the first.
    fn hours_of(&self, day: Date) -> Option<(i64, i64)> {
        if !self.days[usize::try_from(day.weekday().since(Weekday::Monday)).unwrap_or(0)] {
            return None;
        }
        let instant = |day: Date, minutes: u16| {
            let time = Time::new(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok()?;
            Some(day.to_datetime(time).to_zoned(self.zone.clone()).ok()?.timestamp().as_millisecond())
        };
        let last = if self.to > self.from { day } else { day.tomorrow().ok()? };
        let hours = (instant(day, self.from)?, instant(last, self.to)?);
        // Hours that the clocks skip whole are none.
        (hours.0 < hours.1).then_some(hours)
    }

    /// The quiet hours that hold `at`, going on without a break, up to the horizon; `None` outside.
    fn end_of_quiet(days: &[(i64, i64)], at: i64) -> Option<i64> {
        let mut end = at;
        // The days are in order, so that one look through them follows hours that touch.
        for (from, to) in days {
            if *from <= end && end < *to {
                end = *to;
            }
        }
        (end > at).then_some(end)
    }

    /// What the node may do at `now`, and until when.
    pub fn allowance(&self, now: Timestamp) -> Allowance {
        let free = Allowance { quiet: false, parallel: None, pause_sharing: false, until: None };
        let Ok(instant) = jiff::Timestamp::from_millisecond(now.ms()) else { return free };
        if !self.enabled {
            return free;
        }
        let today = instant.to_zoned(self.zone.clone()).date();
        let days: Vec<(i64, i64)> = (-2..HORIZON_DAYS)
            .filter_map(|offset| self.hours_of(today.checked_add(jiff::Span::new().days(offset)).ok()?))
            .collect();
        match Self::end_of_quiet(&days, now.ms()) {
            Some(end) => {
                // Quiet up to the horizon is quiet for ever.
                let last = days.last().map_or(end, |(_, to)| *to);
                let until = (end < last || self.days.contains(&false)).then_some(Timestamp::from_ms(end));
                Allowance { quiet: true, parallel: Some(self.parallel), pause_sharing: self.pause_sharing, until }
            }
            None => {
                let next = days.iter().map(|(from, _)| *from).find(|from| *from > now.ms());
                Allowance { until: next.map(Timestamp::from_ms), ..free }
            }
        }
    }
}

#[cfg(test)]
mod tests;
