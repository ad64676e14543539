//! What a schedule says in terms of the calendar: the duration of `interval`, and the dates of `except`.

use super::fields::{Fields, describe, truncated};
use crate::cron::{CalendarDuration, parse_day};
use crate::error::ErrorCode;

/// Most dates of `except`.
const MAX_EXCEPTED_DATES: usize = 1_000;

/// Reads `interval`: its text, and what it means.
pub fn read_interval(fields: &mut Fields<'_>) -> Option<(Box<str>, CalendarDuration)> {
    let invalid = |fields: &mut Fields<'_>, message| fields.problem_of(ErrorCode::InvalidSchedule, "interval", message);
    let given = fields.raw("interval")?;
    if !given.starts_with('"') {
        let message = format!(
            "must be an ISO 8601 duration such as 'P2W', got {}; an interval in ms is `every`",
            describe(given)
        );
        invalid(fields, message);
        return None;
    }
    let text = fields.string("interval")?;
    match CalendarDuration::parse(&text) {
        Ok(duration) => Some((text.as_ref().into(), duration)),
        Err(refused) => {
            invalid(fields, refused.to_string());
            None
        }
    }
}

/// Reads `except`: days since 1970-01-01, ascending, each once. `None`: there are none.
pub fn read_except(fields: &mut Fields<'_>) -> Option<Box<[i32]>> {
    let given = fields.raw("except")?;
    let mut refuse = |name: &str, message| fields.problem_of(ErrorCode::InvalidSchedule, name, message);
    let Ok(texts) = serde_json::from_str::<Vec<Box<str>>>(given) else {
        let message = format!(
            "must be a list of dates such as ['2026-12-25'], got {}",
            describe(given)
        );
        refuse("except", message);
        return None;
    };
    if texts.len() > MAX_EXCEPTED_DATES {
        let message = format!("must have at most {MAX_EXCEPTED_DATES} dates, got {}", texts.len());
        refuse("except", message);
        return None;
    }
    let mut days = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match parse_day(text) {
            Some(day) => days.push(day),
            None => {
                let message = format!("must be a date such as '2026-12-25', got '{}'", truncated(text));
                refuse(&format!("except[{index}]"), message);
            }
        }
    }
    days.sort_unstable();
    days.dedup();
    (!days.is_empty()).then(|| days.into())
}
