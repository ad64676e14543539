//! How long a run waits too long because the clock was ahead when its wait began.

use super::crash;
use super::phase::LastAttempt;
use crate::clock::Millis;
use crate::model::RunStatus;

/// When the wait until `due` began, as far as that is known: after the attempt before it.
pub(in crate::store) fn began(due: Millis, crashes: u32, last: LastAttempt) -> Option<Millis> {
    last.next_due.filter(|next_due| *next_due == due)?;
    Some(match last.status {
        // A crash ends an attempt earlier than it is found.
        RunStatus::Crashed => crash::found(due, crashes),
        _ => last.ended,
    })
}

/// By how much a run that waits until `due` is due earlier: its wait began after `now`. `made_when_due`: it is a run of a series for
/// an occurrence, not one that was put off on request.
pub(in crate::store) fn excess(
    due: Millis,
    crashes: u32,
    last: Option<LastAttempt>,
    made_when_due: bool,
    now: Millis,
) -> Millis {
    let began = last.and_then(|last| began(due, crashes, last));
    let began = began.or_else(|| made_when_due.then_some(due));
    began.map_or(0, |began| began.saturating_sub(now).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_700_000_000_000;

    fn last(status: RunStatus, ended: Millis, next_due: Millis) -> LastAttempt {
        LastAttempt {
            attempt: 1,
            status,
            started: Some(ended),
            ended,
            next_due: Some(next_due),
        }
    }

    #[test]
    fn a_wait_is_too_long_by_as_much_as_it_began_after_now() {
        let retry = |ended| {
            excess(
                NOW + 500,
                0,
                Some(last(RunStatus::Retried, ended, NOW + 500)),
                false,
                NOW,
            )
        };
        assert_eq!((retry(NOW - 1), retry(NOW), retry(NOW + 400)), (0, 0, 400));
        // What follows a second crash waits a second from when that was found, not from the end of the attempt.
        let crashed = |due| excess(due, 2, Some(last(RunStatus::Crashed, NOW - 9, due)), true, NOW);
        assert_eq!((crashed(NOW + 1_000), crashed(NOW + 1_700)), (0, 700));
    }

    #[test]
    fn a_first_attempt_of_a_series_waits_for_nothing_and_one_of_a_one_off_for_its_time() {
        assert_eq!(excess(NOW + 5, 0, None, true, NOW), 5);
        assert_eq!(excess(NOW - 5, 0, None, true, NOW), 0);
        assert_eq!(excess(NOW + 5, 0, None, false, NOW), 0);
        // Rescheduled since its attempt before.
        let moved = last(RunStatus::Retried, NOW + 400, NOW + 500);
        assert_eq!(excess(NOW + 900, 0, Some(moved), false, NOW), 0);
    }
}
