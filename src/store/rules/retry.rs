//! Which run is made when what failed or was cancelled is run again.

use super::series::SeriesState;
use crate::clock::Millis;

/// What a retry does to a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum SeriesRetry {
    /// A run of it has not ended yet.
    Forbidden,
    /// None of its runs failed last.
    NoRun,
    /// The occurrence `scheduled_at` gets the new run `run`; a series that had ended goes on until that run has.
    Run { run: i64, scheduled_at: Millis },
}

/// Runs the last run again that failed.
pub(in crate::store) fn retry_series(series: &mut SeriesState) -> SeriesRetry {
    if series.live.total() > 0 {
        return SeriesRetry::Forbidden;
    }
    let Some(scheduled_at) = series.failed_at.take() else {
        return SeriesRetry::NoRun;
    };
    series.reopen();
    series.runs += 1;
    series.reruns += 1;
    SeriesRetry::Run {
        run: series.runs,
        scheduled_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Status;
    use crate::store::rules::phase::{LiveRuns, Phase};

    #[test]
    fn the_last_failed_run_is_run_again_once_and_opens_an_ended_series() {
        let mut series = SeriesState {
            runs: 4,
            failed_at: Some(5),
            ..SeriesState::default()
        };
        series.end(Status::Completed, 7);
        let run = SeriesRetry::Run {
            run: 5,
            scheduled_at: 5,
        };
        assert_eq!(retry_series(&mut series), run);
        assert_eq!(
            (series.ended_as, series.ended_at, series.counted_runs()),
            (None, None, 4)
        );
        assert_eq!(retry_series(&mut series), SeriesRetry::NoRun);
    }

    #[test]
    fn a_series_with_a_live_run_is_not_retried() {
        let mut series = SeriesState {
            failed_at: Some(5),
            live: LiveRuns::one(Phase::Queued),
            ..SeriesState::default()
        };
        let before = series;
        assert_eq!(retry_series(&mut series), SeriesRetry::Forbidden);
        assert_eq!(series, before);
    }
}
