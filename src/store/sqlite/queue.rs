//! Operations on single rows of the narrow queue tables.
//!
//! Knows no verb and counts nothing. Invariant: a run is put where [`super::locate`] looks for it.

use super::keys;
use super::ready::insert_claimable;
use super::run_rows::{Ended, Rank, Waiting};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Status;
use crate::store::JobSeq;
use crate::store::rules::phase::Phase;
use crate::store::rules::placement::{self, Place};
use rusqlite::Connection;

const INSERT_SCHEDULED: &str = include_str!("sql/insert_scheduled.sql");
const DELETE_SCHEDULED: &str = include_str!("sql/delete_scheduled.sql");
const INSERT_SCHEDULED_BY_DAY: &str = include_str!("sql/insert_scheduled_by_day.sql");
const DELETE_SCHEDULED_BY_DAY: &str = include_str!("sql/delete_scheduled_by_day.sql");
const INSERT_PAUSED: &str = include_str!("sql/insert_paused.sql");
const DELETE_PAUSED: &str = include_str!("sql/delete_paused.sql");
const DELETE_RUNNING: &str = include_str!("sql/delete_running.sql");
const INSERT_ENDED: &str = include_str!("sql/insert_ended.sql");
const DELETE_ENDED: &str = include_str!("sql/delete_ended.sql");
const INSERT_ATTEMPT: &str = include_str!("sql/insert_attempt.sql");

/// Makes a due run claimable, or blocked if its concurrency key is full.
pub(super) fn insert_ready(tx: &mut Tx<'_>, rank: Rank, run: Waiting) -> Result<()> {
    match rank.key {
        Some(key) if !keys::has_free_slot(tx.connection, key)? => keys::block(tx.connection, rank, run),
        _ => insert_claimable(tx, rank, run),
    }
}

pub(super) fn insert_scheduled(connection: &Connection, due: Millis, run: Waiting) -> Result<()> {
    connection
        .prepare_cached(INSERT_SCHEDULED)?
        .execute((due, run.job, run.run, run.attempt, run.crashes))?;
    Ok(())
}

pub(super) fn delete_scheduled(connection: &Connection, due: Millis, job: JobSeq, run: i64) -> Result<()> {
    connection.prepare_cached(DELETE_SCHEDULED)?.execute((due, job, run))?;
    Ok(())
}

pub(super) fn delete_scheduled_by_day(connection: &Connection, due: Millis, job: JobSeq) -> Result<()> {
    connection
        .prepare_cached(DELETE_SCHEDULED_BY_DAY)?
        .execute((placement::day_of(due), job))?;
    Ok(())
}

pub(super) fn insert_paused(connection: &Connection, due: Millis, run: Waiting) -> Result<()> {
    connection
        .prepare_cached(INSERT_PAUSED)?
        .execute((due, run.job, run.run, run.attempt, run.crashes))?;
    Ok(())
}

pub(super) fn delete_paused(connection: &Connection, job: JobSeq, run: i64) -> Result<()> {
    connection.prepare_cached(DELETE_PAUSED)?.execute((job, run))?;
    Ok(())
}

pub(super) fn delete_running(connection: &Connection, job: JobSeq, run: i64) -> Result<()> {
    connection.prepare_cached(DELETE_RUNNING)?.execute((job, run))?;
    Ok(())
}

pub(super) fn insert_ended(connection: &Connection, status: Status, ended: Millis, job: JobSeq) -> Result<()> {
    connection
        .prepare_cached(INSERT_ENDED)?
        .execute((status as i64, ended, job))?;
    Ok(())
}

pub(super) fn delete_ended(connection: &Connection, status: Status, ended: Millis, job: JobSeq) -> Result<()> {
    connection
        .prepare_cached(DELETE_ENDED)?
        .execute((status as i64, ended, job))?;
    Ok(())
}

/// Puts a run that is due at `rank.due` into the table for `place`.
pub(super) fn put(tx: &mut Tx<'_>, place: Place, rank: Rank, run: Waiting) -> Result<()> {
    match place {
        Place::Ready => insert_ready(tx, rank, run),
        Place::Scheduled => insert_scheduled(tx.connection, rank.due, run),
        Place::ScheduledByDay(day) => {
            tx.connection
                .prepare_cached(INSERT_SCHEDULED_BY_DAY)?
                .execute((day, run.job))?;
            Ok(())
        }
        Place::Paused => insert_paused(tx.connection, rank.due, run),
    }
}

/// Queues the first attempt of a one-off by its due time; returns the resulting state.
pub(super) fn enqueue_first(tx: &mut Tx<'_>, rank: Rank, job: JobSeq, run: i64, now: Millis) -> Result<Status> {
    let place = placement::of_first(rank.due, now);
    put(tx, place, rank, Waiting::first(job, run))?;
    Ok(place.status())
}

/// Queues a run by its due time.
pub(super) fn enqueue(tx: &mut Tx<'_>, rank: Rank, run: Waiting, now: Millis) -> Result<Phase> {
    let place = placement::of(rank.due, now);
    put(tx, place, rank, run)?;
    Ok(place.phase())
}

/// Writes an attempt to history. A snoozed attempt that has now ended is the same attempt: its row is replaced.
pub(super) fn insert_attempt(connection: &Connection, row: Ended<'_>) -> Result<()> {
    let Ended {
        job,
        run,
        attempt,
        status,
        started,
        ended,
        next_due,
        error,
        result,
    } = row;
    let row = (
        job,
        run,
        attempt,
        status as i64,
        started,
        ended,
        next_due,
        error,
        result,
    );
    connection.prepare_cached(INSERT_ATTEMPT)?.execute(row)?;
    Ok(())
}
