//! Options of what ends the work of an instance, or says how it is to end.

use super::fields::{Fields, MAX_SAFE_INTEGER};
use crate::error::{Error, Result};
use std::time::Duration;

/// How an instance is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How long running handlers have.
    pub time_left: Duration,
    /// Whether calls are taken until they have ended.
    pub takes_calls: bool,
}

/// Options of `close`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CloseOptions {
    /// How long running handlers have; `None`: as before, or the default.
    pub(super) timeout: Option<Duration>,
    /// Whether calls are taken until they have ended.
    pub(super) takes_calls: bool,
}

/// Reads `{ timeout, dispatch }`.
///
/// # Errors
/// `VALIDATION_ERROR`
pub(super) fn read_close(options: &str) -> Result<CloseOptions> {
    let mut fields = Fields::read(options, "options")?;
    fields.refuse_unknown(&["timeout", "dispatch"]);
    let timeout = duration(&mut fields);
    let takes_calls = fields.boolean("dispatch").unwrap_or(true);
    sound(fields, CloseOptions { timeout, takes_calls })
}

/// Checks `{ signals, timeout }` of `start`: what a signal does is up to JavaScript.
///
/// # Errors
/// `VALIDATION_ERROR`
pub(super) fn check_start(options: &str) -> Result<()> {
    let mut fields = Fields::read(options, "options")?;
    fields.refuse_unknown(&["signals", "timeout"]);
    fields.boolean("signals");
    duration(&mut fields);
    sound(fields, ())
}

/// Reads `{ timeout }`.
///
/// # Errors
/// `VALIDATION_ERROR`
pub(super) fn read_timeout(options: &str) -> Result<Option<Duration>> {
    let mut fields = Fields::read(options, "options")?;
    fields.refuse_unknown(&["timeout"]);
    let timeout = duration(&mut fields);
    sound(fields, timeout)
}

fn duration(fields: &mut Fields<'_>) -> Option<Duration> {
    let timeout = fields.integer("timeout", 0, MAX_SAFE_INTEGER);
    timeout.map(|timeout| Duration::from_millis(timeout.unsigned_abs()))
}

fn sound<T>(fields: Fields<'_>, value: T) -> Result<T> {
    if fields.problems.is_empty() {
        Ok(value)
    } else {
        Err(Error::invalid(fields.problems))
    }
}
