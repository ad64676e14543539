//! Which counters move: those of jobs by state, and those of runs by how they ended.

use crate::model::{RunStatus, Status};
use crate::store::{RouteId, Stats};

/// What a counter counts besides jobs, which are counted under the number of their [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(in crate::store) enum RunCounter {
    /// Runs that completed in their first attempt; a crash is not counted as one.
    FirstTry = 10,
    /// Runs that completed after a retry.
    AfterRetry = 11,
    /// Runs that failed.
    FailedRuns = 12,
    /// Retries spent by runs that ended.
    Retries = 13,
}

/// How a job that goes from one state to another moves the counters of its route; `None`: it is not there.
pub(in crate::store) fn transition(from: Option<Status>, to: Option<Status>) -> [Option<(Status, i64)>; 2] {
    if from == to {
        return [None; 2];
    }
    [from.map(|status| (status, -1)), to.map(|status| (status, 1))]
}

/// Retries that a run has spent when it ends in this attempt.
pub(in crate::store) fn retries_spent(attempt: u32, crashes: u32) -> i64 {
    i64::from(attempt) - 1 - i64::from(crashes)
}

/// The counter of a run that ended with this status in an attempt before which it had spent so many retries.
pub(in crate::store) fn of_ended_run(status: RunStatus, retries: i64) -> RunCounter {
    match status {
        RunStatus::Completed if retries == 0 => RunCounter::FirstTry,
        RunStatus::Completed => RunCounter::AfterRetry,
        _ => RunCounter::FailedRuns,
    }
}

/// The number that a stored counter of this kind adds to; `None`: a kind that nobody asks for.
pub(in crate::store) fn of_kind(stats: &mut Stats, kind: i64) -> Option<&mut i64> {
    if let Some(status) = Status::from_code(kind) {
        return stats.by_status.get_mut(status as usize);
    }
    match kind {
        k if k == RunCounter::FirstTry as i64 => Some(&mut stats.first_try),
        k if k == RunCounter::AfterRetry as i64 => Some(&mut stats.after_retry),
        k if k == RunCounter::FailedRuns as i64 => Some(&mut stats.failed_runs),
        k if k == RunCounter::Retries as i64 => Some(&mut stats.retries),
        _ => None,
    }
}

/// Numbers by route, of counters `(route, kind, number)` in the order of their routes.
pub(in crate::store) fn by_route(counts: &[(RouteId, i64, i64)]) -> Vec<(RouteId, Stats)> {
    let of_one = |counts: &[(RouteId, i64, i64)]| {
        let mut stats = Stats::default();
        for (_, kind, n) in counts {
            if let Some(counter) = of_kind(&mut stats, *kind) {
                *counter += n;
            }
        }
        Some((counts.first()?.0, stats))
    };
    counts.chunk_by(|a, b| a.0 == b.0).filter_map(of_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_spend_no_retry() {
        assert_eq!(retries_spent(1, 0), 0);
        assert_eq!(retries_spent(3, 2), 0);
        assert_eq!(retries_spent(4, 1), 2);
        assert_eq!(of_ended_run(RunStatus::Completed, 0), RunCounter::FirstTry);
        assert_eq!(of_ended_run(RunStatus::Completed, 2), RunCounter::AfterRetry);
        assert_eq!(of_ended_run(RunStatus::Failed, 0), RunCounter::FailedRuns);
    }

    #[test]
    fn a_job_that_stays_in_its_state_moves_no_counter() {
        assert_eq!(transition(Some(Status::Queued), Some(Status::Queued)), [None; 2]);
        let moved = [Some((Status::Queued, -1)), Some((Status::Running, 1))];
        assert_eq!(transition(Some(Status::Queued), Some(Status::Running)), moved);
        assert_eq!(
            transition(None, Some(Status::Queued)),
            [None, Some((Status::Queued, 1))]
        );
    }
}
