//! What a second dispatch under the id of a stored job may do to it, with `onConflict: 'replace'`.
//!
//! Invariant: history and counts stay.

use crate::model::{Action, JobId, Kind, Status};

/// Runs of a one-off that are kept when it is dispatched again and again.
pub(in crate::store) const MAX_KEPT_RUNS: i64 = 1_000;

/// Why a job cannot be replaced, as whoever dispatched it is told; `None`: it can. `status` of a series is not asked for.
pub(in crate::store) fn conflict(id: &JobId, known: Kind, status: Status, new: Kind) -> Option<String> {
    match (known, new) {
        (Kind::Recurring, Kind::Recurring) => None,
        (Kind::OneOff, Kind::OneOff) => {
            let allowed = status.allows(Action::ReplaceOneOff, Kind::OneOff);
            (!allowed).then(|| format!("the job with the id {id} is running"))
        }
        _ => {
            let (is, would_be) = (verb(known), verb(new));
            Some(format!(
                "the job with the id {id} {is} and cannot be replaced by one that {would_be}; cancel it and use another id"
            ))
        }
    }
}

fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::OneOff => "runs once",
        Kind::Recurring => "recurs",
    }
}

/// Why a job cannot be replaced by one whose unique key another job has.
pub(in crate::store) fn key_conflict(key: &str, owner: &JobId) -> String {
    format!("the unique key '{key}' is taken by the job {owner}")
}

/// The run that a one-off gets in place of its run `run`: one with history cannot begin at its first attempt again.
pub(in crate::store) fn next_run(run: i64, has_history: bool) -> i64 {
    if has_history { run + 1 } else { run }
}

/// History of a one-off up to this run is deleted when it gets the run `run`.
pub(in crate::store) fn last_dropped_run(run: i64) -> Option<i64> {
    (run > MAX_KEPT_RUNS).then_some(run - MAX_KEPT_RUNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_one_off_and_a_job_of_the_other_kind_are_not_replaced() {
        let id = JobId::parse("a").unwrap();
        let refused = |known, status, new| conflict(&id, known, status, new);
        assert_eq!(refused(Kind::OneOff, Status::Queued, Kind::OneOff), None);
        assert_eq!(
            refused(Kind::OneOff, Status::Running, Kind::OneOff).unwrap(),
            "the job with the id a is running"
        );
        assert_eq!(refused(Kind::Recurring, Status::Running, Kind::Recurring), None);
        assert!(
            refused(Kind::OneOff, Status::Queued, Kind::Recurring)
                .unwrap()
                .contains("runs once and cannot")
        );
        assert!(
            refused(Kind::Recurring, Status::Queued, Kind::OneOff)
                .unwrap()
                .contains("recurs and cannot")
        );
    }

    #[test]
    fn a_thousand_runs_of_a_replaced_one_off_are_kept() {
        assert_eq!(last_dropped_run(MAX_KEPT_RUNS), None);
        assert_eq!(last_dropped_run(MAX_KEPT_RUNS + 2), Some(2));
        assert_eq!((next_run(4, false), next_run(4, true)), (4, 5));
    }
}
