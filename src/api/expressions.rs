//! What a dispatch says about expressions: whether its input has any, whether they can be read, and in which zone.

use super::dispatch::Defaults;
use super::fields::Fields;
use crate::cron::Zone;
use crate::error::ErrorCode;
use crate::model::JobOptions;

/// Reads the expressions of `input`, notes what is wrong with them, and sets the options that follow. Returns the code
/// for that, and how many problems there were.
pub(super) fn check(
    fields: &mut Fields<'_>,
    input: &str,
    options: &mut JobOptions,
    defaults: &Defaults,
) -> Option<(ErrorCode, usize)> {
    options.plain = fields.boolean("expressions") == Some(false);
    if options.plain || !input.contains('$') {
        return None;
    }
    match defaults.expressions.check_input(input, options.session.is_some()) {
        Ok(uses) if uses.expressions > 0 => {
            options.tz = zone(fields);
            None
        }
        Ok(_) => None,
        Err((code, problems)) => {
            let count = problems.len();
            fields.problems.extend(problems);
            Some((code, count))
        }
    }
}

/// The zone of the job's schedule. One that is wrong is reported by who reads the schedule.
fn zone(fields: &Fields<'_>) -> Option<Box<str>> {
    let mut schedule = Fields::read(fields.raw("schedule")?, "").ok()?;
    let zone = Zone::get(&schedule.string("tz")?).ok()?;
    Some(zone.name().into())
}
