//! When the next run of a job is due, which what its series waits for need not be: that may be on an excepted date.

use crate::clock::Millis;
use crate::engine::timetable::Timetable;
use crate::model::Recurrence;
use crate::store::JobRecord;

/// When the next run of a recurring job is due; `None`: there is none to come.
#[must_use]
pub fn next_run_at(record: &JobRecord, recurrence: Option<&Recurrence>) -> Option<Millis> {
    next_run(record.next_run_at?, recurrence)
}

/// The first run at or after a point of the schedule.
#[must_use]
pub fn next_run(point: Millis, recurrence: Option<&Recurrence>) -> Option<Millis> {
    let excepting = recurrence.filter(|recurrence| recurrence.except.is_some());
    match excepting.and_then(|recurrence| Timetable::compile(recurrence).ok()) {
        Some(timetable) => timetable.run_at_or_after(point),
        None => Some(point),
    }
}
