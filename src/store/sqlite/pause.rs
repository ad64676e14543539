//! Pausing and resuming: waiting runs go to a table of their own, and a series makes no new ones.
//!
//! Invariant: while a job is paused none of its runs is where it could be claimed or fall due. A run that is going is
//! left alone; if it is to go on afterwards, it waits with the others.

use super::change::Subject;
use super::jobs::JobKey;
use super::locate::{self, Place, RunKey};
use super::queue;
use super::series::{self, Owner, Series};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Status;
use crate::store::phase::Phase;
use crate::store::{Changed, NextOccurrence};

const PAUSE: &str = "UPDATE series SET paused = 1, version = version + 1 WHERE job = ?1";
const RESUME: &str = "UPDATE series SET paused = 0, held = 0, next_at = ?2, version = version + 1 WHERE job = ?1";

/// Pauses a job that goes on.
pub(super) fn pause(tx: &mut Tx<'_>, job: &JobKey, subject: &Subject) -> Result<Changed> {
    match subject {
        Subject::OneOff(key, place) => {
            hold(tx, key, place)?;
            tx.shift(job.route, Some(place.status()), Some(Status::Paused));
        }
        Subject::Series(series) => {
            tx.connection.prepare_cached(PAUSE)?.execute([job.seq])?;
            tx.shift(job.route, Some(series.status()), Some(Status::Paused));
            for run in series::live_runs(tx.connection, job.seq)? {
                let key = RunKey::of_series(job, run);
                let place = locate::run(tx.connection, &key)?;
                if hold(tx, &key, &place)? {
                    series::run_moved(tx, Owner::of(job), place.phase(), Phase::Waiting)?;
                }
            }
        }
    }
    Ok(Changed::done(job.seq))
}

/// Moves a run out of the way, if it waits.
fn hold(tx: &mut Tx<'_>, key: &RunKey, place: &Place) -> Result<bool> {
    let Some((due, waiting)) = place.waiting(key) else {
        return Ok(false);
    };
    locate::remove(tx, key, place)?;
    queue::put_paused(tx.connection, due, waiting)?;
    Ok(true)
}

/// Lets a paused job go on; `next` says where a series does.
pub(super) fn resume(
    tx: &mut Tx<'_>,
    job: &JobKey,
    subject: &Subject,
    next: &NextOccurrence,
    now: Millis,
) -> Result<Changed> {
    match subject {
        Subject::OneOff(key, place) => {
            if let Some(phase) = release(tx, key, place, now)? {
                tx.shift(job.route, Some(Status::Paused), Some(phase.status()));
            }
        }
        Subject::Series(series) => resume_series(tx, job, series, next, now)?,
    }
    tx.wake();
    Ok(Changed::done(job.seq))
}

fn resume_series(tx: &mut Tx<'_>, job: &JobKey, series: &Series, next: &NextOccurrence, now: Millis) -> Result<()> {
    let owner = Owner::of(job);
    for run in series::live_runs(tx.connection, job.seq)? {
        let key = RunKey::of_series(job, run);
        let place = locate::run(tx.connection, &key)?;
        if let Some(phase) = release(tx, &key, &place, now)? {
            series::run_moved(tx, owner, Some(Phase::Waiting), phase)?;
        }
    }
    // What had no run to come when it was paused has none now.
    let next_at = match series.next_at {
        Some(_) => (next.0)(&series.spec, series.counted_runs())?,
        None => None,
    };
    tx.connection.prepare_cached(RESUME)?.execute((job.seq, next_at))?;
    let resumed = series::expect(tx.connection, job.seq)?;
    let after = resumed.status();
    tx.shift(job.route, Some(Status::Paused), Some(after));
    if next_at.is_none() && resumed.live.total() == 0 {
        series::end(tx, owner, after, Status::Completed, None, now)?;
    }
    Ok(())
}

/// Puts a paused run back where its due time belongs; `None`: it is none.
fn release(tx: &mut Tx<'_>, key: &RunKey, place: &Place, now: Millis) -> Result<Option<Phase>> {
    let Place::Paused(due, waiting) = place else {
        return Ok(None);
    };
    locate::remove(tx, key, place)?;
    queue::put_waiting(tx, key.rank(*due), *waiting, now).map(Some)
}
