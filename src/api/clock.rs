//! `ductape.clock`, and the option that makes it a clock that is moved by hand.

use super::fields::{self, Fields};
use super::method::ClockMethod;
use super::schedule::read_instant;
use crate::clock::Millis;
use crate::cron::{MAX_INSTANT_MS, Zone};
use crate::error::{Error, Problem, Result};

/// The option `clock`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockOption {
    /// Time stands still until it is moved.
    pub manual: bool,
    /// The time that it stands at in the beginning, ms. `None`: that of the system.
    pub at: Option<Millis>,
}

/// Reads the option `clock`: `'system'`, `'manual'`, or `{ manual, at }`. A date without an offset is local time of `timezone`.
pub(super) fn read_option(fields: &mut Fields<'_>, timezone: &str) -> ClockOption {
    if !fields.raw("clock").is_some_and(|text| text.starts_with('{')) {
        let manual = fields.one_of("clock", &[("system", false), ("manual", true)]);
        return ClockOption {
            manual: manual.unwrap_or(false),
            at: None,
        };
    }
    let Some(mut inner) = fields.object("clock") else {
        return ClockOption::default();
    };
    inner.refuse_unknown(&["manual", "at"]);
    let manual = inner.boolean("manual").unwrap_or(false);
    let at = read_instant(&mut inner, "at", Some(&zone(timezone)));
    if at.is_some() && !manual {
        inner.problem("at", "needs `manual: true`; the clock of the system cannot be set");
    }
    fields.absorb(inner);
    ClockOption { manual, at }
}

/// The time that a call of `clock.advance(by)` or `clock.set(date)` leads to.
///
/// # Errors
/// `VALIDATION_ERROR`, also for a time that no date can hold.
pub(super) fn read_target(method: ClockMethod, argument: &str, timezone: &str, now: Millis) -> Result<Millis> {
    let zone = zone(timezone);
    match method {
        ClockMethod::Advance => read_advance(argument, &zone, now),
        ClockMethod::Set => read_date(argument, &zone),
    }
}

/// The zone was checked by the constructor.
fn zone(name: &str) -> Zone {
    Zone::get(name).unwrap_or_else(|_| Zone::utc())
}

/// ms, or an ISO 8601 duration.
fn read_advance(argument: &str, zone: &Zone, now: Millis) -> Result<Millis> {
    if let Ok(text) = serde_json::from_str::<String>(argument) {
        let read = zone.after_duration(now, &text);
        return read.ok_or_else(|| not_a_time("by", &text, "an ISO 8601 duration such as 'P1DT2H'"));
    }
    let by = fields::number(argument).filter(|by| *by >= 0.0);
    let by = by.ok_or_else(|| not_ms_or_text("by", argument))?;
    let target = now.saturating_add(by as Millis);
    if target > MAX_INSTANT_MS {
        return Err(beyond_dates("by", argument));
    }
    Ok(target)
}

/// ms since 1970, or an ISO 8601 date.
fn read_date(argument: &str, zone: &Zone) -> Result<Millis> {
    if let Ok(text) = serde_json::from_str::<String>(argument) {
        let read = zone.parse_date_time(&text);
        return read.map_err(|unreadable| Problem::new("date", unreadable.to_string()).into());
    }
    let date = fields::number(argument).ok_or_else(|| not_ms_or_text("date", argument))?;
    if date.abs() > MAX_INSTANT_MS as f64 {
        return Err(beyond_dates("date", argument));
    }
    Ok(date as Millis)
}

fn not_a_time(name: &str, text: &str, wanted: &str) -> Error {
    Problem::new(name, format!("'{}' is not {wanted}", fields::truncated(text))).into()
}

fn not_ms_or_text(name: &str, argument: &str) -> Error {
    let got = fields::describe(argument);
    Problem::new(name, format!("must be ms or an ISO 8601 text, got {got}")).into()
}

fn beyond_dates(name: &str, argument: &str) -> Error {
    let got = fields::describe(argument);
    let latest = Zone::utc().to_iso(MAX_INSTANT_MS);
    Problem::new(
        name,
        format!("leads beyond {latest}, where the dates of JavaScript end, by {got}"),
    )
    .into()
}
