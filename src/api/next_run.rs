//! When the next run of a job is due.

use crate::clock::Millis;
use crate::engine::timetable::Timetable;
use crate::model::Recurrence;
use crate::store::JobRecord;

/// When the next run of a recurring job is due, `None`: there is none to come. What its series waits for may be on an excepted
/// date; the next run is then the first one behind it.
#[must_use]
pub fn next_run_at(record: &JobRecord, recurrence: Option<&Recurrence>) -> Option<Millis> {
    let next_at = record.next_run_at?;
    let excepting = recurrence.filter(|recurrence| recurrence.except.is_some());
    match excepting.and_then(|recurrence| Timetable::compile(recurrence).ok()) {
        Some(timetable) => timetable.run_at_or_after(next_at),
        None => Some(next_at),
    }
}
