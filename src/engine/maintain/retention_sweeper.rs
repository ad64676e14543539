//! Deletes what retention no longer keeps, in small batches, so that nobody waits for it, as often as there is need.
//!
//! Knows no rule of retention. Invariant: what is deleted at a time, and the pauses between, are bounded.

use crate::engine::context::Context;
use crate::engine::handler::Level;
use crate::engine::service::{Service, StopSignal};
use crate::error::{Error, ErrorCode, Result};
use crate::store::Retention;
use async_trait::async_trait;
use std::time::{Duration, Instant};

/// Jobs of one batch, which the store cuts into short transactions. A batch that is full is followed by the next.
const BATCH_JOBS: usize = 2_000;
/// Cached values of one batch: one short transaction.
const BATCH_ENTRIES: usize = 200;
/// Shortest and longest time between two sweeps.
const INTERVAL_RANGE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Between two batches others get the store for the time of the batch divided by this.
const BATCH_TIME_DIVISOR: u32 = 8;
/// Upper bound of the pause between batches.
const MAX_BATCH_PAUSE: Duration = Duration::from_millis(20);

/// Values that each cache keeps at most.
pub const MAX_ENTRIES_PER_CACHE: usize = 10_000;

/// Deletes ended jobs, cached values and what is remembered of sessions.
pub struct RetentionSweeper {
    /// Store, clock and logger.
    pub context: Context,
    /// What is kept.
    pub retention: Retention,
}

#[async_trait]
impl Service for RetentionSweeper {
    fn name(&self) -> &'static str {
        "retention sweeper"
    }

    async fn run(self: Box<Self>, mut stop: StopSignal) {
        let mut pacing = SweepPacing::new(Instant::now());
        let mut entries_swept: Option<Instant> = None;
        let mut warned = (false, false);
        while !stop.is_stopping() {
            self.context.failpoints.pass("retention sweeper");
            // They are counted for it, which costs more the more there are: not as often as jobs.
            if entries_swept.is_none_or(|last| last.elapsed() >= INTERVAL_RANGE.1) {
                let swept = self.sweep_entries(&stop).await;
                self.tell("cannot delete old cache entries", swept.as_ref().err(), &mut warned.0);
                entries_swept = Some(Instant::now());
            }
            let began = Instant::now();
            let now = self.context.now();
            let swept = self.context.store.sweep(self.retention, now, BATCH_JOBS).await;
            self.tell("cannot delete old jobs", swept.as_ref().err(), &mut warned.1);
            let pause = swept.map_or(INTERVAL_RANGE.1, |deleted| {
                pacing.pause_after(began, Instant::now(), deleted)
            });
            tokio::select! {
                () = stop.stopped() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

impl RetentionSweeper {
    /// Warns of a failure once, until it has passed: a store that is never swept grows without bound. What cannot be reached
    /// now is told of by others.
    fn tell(&self, what: &str, error: Option<&Error>, warned: &mut bool) {
        let Some(error) = error else {
            *warned = false;
            return;
        };
        let may_pass = matches!(error.code, ErrorCode::ConnectionError | ErrorCode::Closed);
        let first = !may_pass && !std::mem::replace(warned, true);
        let level = if first { Level::Warn } else { Level::Debug };
        self.context.log(level, &format!("{what}: {error}"));
    }

    async fn sweep_entries(&self, stop: &StopSignal) -> Result<()> {
        while !stop.is_stopping() {
            let now = self.context.now();
            let swept = self
                .context
                .store
                .sweep_entries(now, MAX_ENTRIES_PER_CACHE, BATCH_ENTRIES)
                .await?;
            if swept < BATCH_ENTRIES {
                break;
            }
            tokio::time::sleep(MAX_BATCH_PAUSE).await;
        }
        Ok(())
    }
}

/// How long to rest after a batch. Sweeps come closer together while much is to be deleted, so that the store does not
/// grow by half a minute's jobs in between, and apart again when there is nothing.
struct SweepPacing {
    /// Pause after the last sweep that was not followed at once by another.
    interval: Duration,
    /// When that pause began.
    interval_start: Instant,
    /// Jobs that were deleted after it.
    deleted: usize,
}

impl SweepPacing {
    fn new(now: Instant) -> Self {
        Self {
            interval: INTERVAL_RANGE.0,
            interval_start: now,
            deleted: 0,
        }
    }

    /// The rest after a batch that began and ended then and deleted so many jobs.
    fn pause_after(&mut self, began: Instant, ended: Instant, deleted: usize) -> Duration {
        self.deleted += deleted;
        if deleted >= BATCH_JOBS {
            return ((ended - began) / BATCH_TIME_DIVISOR).min(MAX_BATCH_PAUSE);
        }
        let wanted = match u32::try_from(self.deleted) {
            // As long as one batch takes to gather.
            Ok(deleted) if deleted > 0 => (ended - self.interval_start).saturating_mul(BATCH_JOBS as u32) / deleted,
            _ => INTERVAL_RANGE.1,
        };
        // Not at once: a burst may be followed by another.
        self.interval = wanted.min(self.interval * 2).clamp(INTERVAL_RANGE.0, INTERVAL_RANGE.1);
        self.interval_start = ended;
        self.deleted = 0;
        self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn empty_sweeps_back_off() {
        let mut now = Instant::now();
        let mut pacing = SweepPacing::new(now);
        let pauses: Vec<_> = std::iter::repeat_with(|| {
            let pause = pacing.pause_after(now, now, 0);
            now += pause;
            pause.as_secs()
        })
        .take(6)
        .collect();
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn a_full_batch_is_followed_by_a_pause_proportional_to_its_time() {
        let now = Instant::now();
        let mut pacing = SweepPacing::new(now);
        let short = pacing.pause_after(now, now + Duration::from_millis(80), BATCH_JOBS);
        assert_eq!(short, Duration::from_millis(10));
        assert_eq!(pacing.pause_after(now, now + SECOND, BATCH_JOBS + 1), MAX_BATCH_PAUSE);
    }

    #[test]
    fn sweeps_come_sooner_the_more_they_delete() {
        let start = Instant::now();
        let mut pacing = SweepPacing::new(start);
        pacing.interval = INTERVAL_RANGE.1;
        let after = |pacing: &mut SweepPacing, deleted| {
            let ended = pacing.interval_start + pacing.interval;
            pacing.pause_after(ended, ended, deleted)
        };
        // 30 s for 100 jobs: nothing to hurry for. 30 s for three quarters of a million in batches: every second.
        assert_eq!(after(&mut pacing, 100), INTERVAL_RANGE.1);
        for _ in 0..375 {
            assert!(after(&mut pacing, BATCH_JOBS) <= MAX_BATCH_PAUSE);
        }
        assert_eq!(after(&mut pacing, 1), INTERVAL_RANGE.0);
        // A thousand jobs a second: a batch has gathered after two.
        assert_eq!(after(&mut pacing, 1_000), 2 * SECOND);
        assert_eq!(after(&mut pacing, 500), 4 * SECOND);
    }
}
