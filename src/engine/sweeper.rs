//! Deletes what retention no longer keeps, in small batches, so that nobody waits for it, as often as there is need.
//!
//! Knows no rule of retention. Invariant: what is deleted at a time, and the pauses between, are bounded.

use super::handler::Level;
use super::worker::Engine;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Jobs of one batch, which the store cuts into short transactions. A batch that is full is followed by the next.
const BATCH: usize = 2_000;
/// Cached values of one batch: one short transaction.
const ENTRIES: usize = 200;
/// Shortest and longest time between two sweeps.
const BETWEEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Time for others between two batches: one such part of the batch's time.
const PART: u32 = 8;
/// The most of it.
const BREATH: Duration = Duration::from_millis(20);

/// Values that each cache keeps at most.
pub const MOST_CACHED: usize = 10_000;

/// Deletes cached values and memories of sessions that have ended, in small batches.
async fn sweep_entries(engine: &Engine) -> crate::error::Result<()> {
    loop {
        let now = engine.clock.now();
        if engine.store.sweep_entries(now, MOST_CACHED, ENTRIES).await? < ENTRIES {
            return Ok(());
        }
        tokio::time::sleep(BREATH).await;
        if engine.is_stopping() {
            return Ok(());
        }
    }
}

/// Sweeps until told to stop.
pub async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut pace = Pace::new(Instant::now());
    let mut entries_swept: Option<Instant> = None;
    while !*stop.borrow_and_update() {
        // They are counted for it, which costs more the more there are: not as often as jobs.
        if entries_swept.is_none_or(|last| last.elapsed() >= BETWEEN.1) {
            if let Err(error) = sweep_entries(&engine).await {
                engine
                    .journal
                    .log(Level::Debug, &format!("cannot delete old cache entries: {error}"));
            }
            entries_swept = Some(Instant::now());
        }
        let began = Instant::now();
        let swept = engine
            .store
            .sweep(engine.config.retention, engine.clock.now(), BATCH)
            .await;
        let rest = match swept {
            Ok(deleted) => pace.rest(began, Instant::now(), deleted),
            Err(error) => {
                engine
                    .journal
                    .log(Level::Debug, &format!("cannot delete old jobs: {error}"));
                BETWEEN.1
            }
        };
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// How long to rest after a batch. Sweeps come closer together while much is to be deleted, so that the store does not
/// grow by half a minute's jobs in between, and apart again when there is nothing.
struct Pace {
    /// Pause after the last sweep that was not followed at once by another.
    between: Duration,
    /// When that pause began.
    since: Instant,
    /// Jobs that were deleted after it.
    deleted: usize,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            between: BETWEEN.0,
            since: now,
            deleted: 0,
        }
    }

    /// The rest after a batch that began and ended then and deleted so many jobs.
    fn rest(&mut self, began: Instant, ended: Instant, deleted: usize) -> Duration {
        self.deleted += deleted;
        if deleted >= BATCH {
            return ((ended - began) / PART).min(BREATH);
        }
        let wanted = match u32::try_from(self.deleted) {
            // As long as one batch takes to gather.
            Ok(deleted) if deleted > 0 => (ended - self.since).saturating_mul(BATCH as u32) / deleted,
            _ => BETWEEN.1,
        };
        // Not at once: a burst may be followed by another.
        self.between = wanted.min(self.between * 2).clamp(BETWEEN.0, BETWEEN.1);
        self.since = ended;
        self.deleted = 0;
        self.between
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn sweeps_that_find_nothing_come_further_and_further_apart() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        let rests: Vec<_> = std::iter::repeat_with(|| {
            let rest = pace.rest(now, now, 0);
            now += rest;
            rest.as_secs()
        })
        .take(6)
        .collect();
        assert_eq!(rests, [2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn a_full_batch_is_followed_by_the_next_after_a_part_of_its_time() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let short = pace.rest(now, now + Duration::from_millis(80), BATCH);
        assert_eq!(short, Duration::from_millis(10));
        assert_eq!(pace.rest(now, now + SECOND, BATCH + 1), BREATH);
    }

    #[test]
    fn the_more_is_deleted_the_closer_are_the_sweeps() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.between = BETWEEN.1;
        let after = |pace: &mut Pace, deleted| {
            let ended = pace.since + pace.between;
            pace.rest(ended, ended, deleted)
        };
        // 30 s for 100 jobs: nothing to hurry for. 30 s for three quarters of a million in batches: every second.
        assert_eq!(after(&mut pace, 100), BETWEEN.1);
        for _ in 0..375 {
            assert!(after(&mut pace, BATCH) <= BREATH);
        }
        assert_eq!(after(&mut pace, 1), BETWEEN.0);
        // A thousand jobs a second: a batch has gathered after two.
        assert_eq!(after(&mut pace, 1_000), 2 * SECOND);
        assert_eq!(after(&mut pace, 500), 4 * SECOND);
    }
}
