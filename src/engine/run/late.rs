//! Runs of series that nobody has begun while their occurrence was in time.
//!
//! A process that has no handler for a job, or no free slot, makes its runs all the same, and they wait. What the schedule says
//! about missed occurrences holds for them, too: such a run is taken back when somebody could begin it, and its series decides as if
//! nobody had been there.

use crate::clock::Millis;
use crate::engine::claim::timetable::Timetable;
use crate::engine::context::Context;
use crate::model::schedule::DEFAULT_GRACE_MS;
use crate::model::{IfRunning, Misfire, Recurrence};
use crate::store::{ClaimedRun, SeriesSnapshot};

/// A run that begins this soon, ms, is in time whatever its `grace`: nothing is read for it.
const PROMPT_MS: i64 = 1_000;

/// Whether the run, which is about to begin at `now`, has waited until its occurrence was missed. What cannot be found out is begun.
pub(super) async fn is_too_late(context: &Context, run: &ClaimedRun, now: Millis) -> bool {
    // The claim has asked of a run that was late by then: when many fall due at once, that is most of them.
    if !has_only_waited(run) || now.saturating_sub(run.scheduled_at) <= run.grace.unwrap_or(0).max(PROMPT_MS) {
        return false;
    }
    let before = run.job.plus(-1);
    let found = context.store.series_after(before, 1).await.unwrap_or_default();
    let mut series = found.iter().filter(|series| series.job == run.job);
    series.any(|series| is_missed(series, run.scheduled_at, now))
}

/// Until it was claimed, it was no more than made of an occurrence, in time.
pub(super) fn has_only_waited(run: &ClaimedRun) -> bool {
    run.recurring && run.attempt == 1 && run.missed == 0 && run.due == run.scheduled_at
}

fn is_missed(series: &SeriesSnapshot, scheduled_at: Millis, now: Millis) -> bool {
    let Ok(recurrence) = serde_json::from_str::<Recurrence>(&series.recurrence) else {
        return false;
    };
    let grace = recurrence.grace.unwrap_or(DEFAULT_GRACE_MS);
    if series.ended || recurrence.misfire == Misfire::All || now.saturating_sub(scheduled_at) <= grace {
        return false;
    }
    // Of runs at once, the schedule does not know any more which were made, once it is over.
    if series.next_at.is_none() && series.live > 1 && recurrence.if_running == IfRunning::Allow {
        return false;
    }
    // Else it is of an earlier schedule, or was made on request.
    Timetable::compile(&recurrence).is_ok_and(|timetable| timetable.has(scheduled_at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Rule;
    use crate::store::contract::test_support::{T0, every, some_series};

    const MINUTE: Millis = 60_000;

    fn missed(change: impl FnOnce(&mut Recurrence), live: i64, next_at: Option<Millis>, late: Millis) -> bool {
        let mut recurrence = every(10 * MINUTE);
        change(&mut recurrence);
        let series = SeriesSnapshot {
            recurrence: serde_json::to_string(&recurrence).unwrap().into(),
            live,
            ..some_series(next_at)
        };
        is_missed(&series, T0, T0 + late)
    }

    #[test]
    fn an_occurrence_whose_run_waits_is_missed_after_its_grace() {
        let next = Some(T0 + 10 * MINUTE);
        assert!(!missed(|_| {}, 1, next, MINUTE));
        assert!(missed(|_| {}, 1, next, MINUTE + 1));
        assert!(missed(|rule| rule.misfire = Misfire::Skip, 1, None, MINUTE + 1));
        assert!(!missed(|rule| rule.misfire = Misfire::All, 1, next, 9 * MINUTE));
        assert!(!missed(|rule| rule.grace = Some(5 * MINUTE), 1, next, 5 * MINUTE));
        assert!(missed(|rule| rule.if_running = IfRunning::Allow, 2, next, 5 * MINUTE));
        assert!(!missed(|rule| rule.if_running = IfRunning::Allow, 2, None, 5 * MINUTE));
    }

    #[test]
    fn what_is_no_time_of_the_schedule_is_not_taken_back() {
        let other = |rule: &mut Recurrence| {
            rule.rule = Rule::Every {
                interval: 10 * MINUTE,
                anchor: T0 + 1,
            };
        };
        assert!(!missed(other, 1, Some(T0 + 1), 5 * MINUTE));
    }
}
