//! Inserts and deletes rows of the narrow queue tables.
//!
//! Knows no verb and counts nothing. Invariant: a run is put where [`super::state`] looks for it.

use super::param::params;
use super::run_rows::{Rank, Running, Waiting};
use super::state::{Run, RunState, StoredJob};
use super::tx::Tx;
use crate::clock::Millis;
use crate::model::Status;
use crate::store::JobSeq;
use crate::store::rules::phase::Phase;
use crate::store::rules::placement::{self, Place};

const DELETE_READY: &str = include_str!("sql/delete_ready.sql");
const DELETE_BLOCKED: &str = include_str!("sql/delete_blocked.sql");
const DELETE_SCHEDULED: &str = include_str!("sql/delete_scheduled.sql");
const DELETE_SCHEDULED_BY_DAY: &str = include_str!("sql/delete_scheduled_by_day.sql");
const DELETE_PAUSED: &str = include_str!("sql/delete_paused.sql");
const DELETE_ENDED: &str = include_str!("sql/delete_ended.sql");

pub(super) fn delete_ready(tx: &mut Tx<'_>, rank: Rank, job: JobSeq, run: i64) {
    tx.delete(DELETE_READY, params![rank.route, rank.priority, rank.due, job, run]);
    // Another run with the key may become claimable instead.
    tx.slot_freed(rank.key);
}

pub(super) fn delete_scheduled(tx: &mut Tx<'_>, due: Millis, job: JobSeq, run: i64) {
    tx.delete(DELETE_SCHEDULED, params![due, job, run]);
}

pub(super) fn delete_scheduled_by_day(tx: &mut Tx<'_>, due: Millis, job: JobSeq) {
    tx.delete(DELETE_SCHEDULED_BY_DAY, params![placement::day_of(due), job]);
}

pub(super) fn delete_paused(tx: &mut Tx<'_>, job: JobSeq, run: i64) {
    tx.delete(DELETE_PAUSED, params![job, run]);
}

pub(super) fn delete_running(tx: &mut Tx<'_>, job: JobSeq, run: i64, running: &Running) {
    tx.delete_running(job, run, running.token);
    tx.slot_freed(running.key);
}

/// Removes a run from `held`.
pub(super) fn delete_blocked(tx: &mut Tx<'_>, rank: Rank, job: JobSeq, run: i64) {
    let key = rank.key.unwrap_or_default();
    tx.delete(
        DELETE_BLOCKED,
        params![key, rank.route, rank.priority, rank.due, job, run],
    );
}

pub(super) fn delete_ended(tx: &mut Tx<'_>, status: Status, ended: Millis, job: JobSeq) {
    tx.delete(DELETE_ENDED, params![status as i32, ended, job]);
}

/// Puts a run that is due at `rank.due` into the table for `place`.
pub(super) fn put(tx: &mut Tx<'_>, place: Place, rank: Rank, run: Waiting) {
    match place {
        Place::Ready => tx.inserts.ready.push((rank, run)),
        Place::Scheduled => tx.inserts.scheduled.push((rank.due, run)),
        Place::ScheduledByDay(day) => tx.inserts.scheduled_by_day.push((day, run.job)),
        Place::Paused => tx.inserts.paused.push((rank.due, run)),
    }
}

/// Queues the first attempt of a one-off by its due time; returns the resulting state.
pub(super) fn enqueue_first(tx: &mut Tx<'_>, rank: Rank, job: JobSeq, run: i64, now: Millis) -> Status {
    let place = placement::of_first(rank.due, now);
    put(tx, place, rank, Waiting::first(job, run, false));
    place.status()
}

/// Queues a run by its due time.
pub(super) fn enqueue(tx: &mut Tx<'_>, rank: Rank, run: Waiting, now: Millis) -> Phase {
    let place = placement::of(rank.due, now);
    put(tx, place, rank, run);
    place.phase()
}

/// Removes a run from its table; an ended run stays in history.
pub(super) fn remove(tx: &mut Tx<'_>, stored_job: &StoredJob, run: &Run) {
    let job = stored_job.job.seq;
    match run.run_state {
        RunState::Running(running) => delete_running(tx, job, run.run, &running),
        RunState::Ready(due, _) => delete_ready(tx, stored_job.rank(due), job, run.run),
        RunState::Blocked(due, _) => delete_blocked(tx, stored_job.rank(due), job, run.run),
        RunState::Scheduled(due, _) => delete_scheduled(tx, due, job, run.run),
        RunState::ScheduledByDay(due) => delete_scheduled_by_day(tx, due, job),
        RunState::Paused(..) => delete_paused(tx, job, run.run),
        RunState::Ended(_) => {}
    }
}
