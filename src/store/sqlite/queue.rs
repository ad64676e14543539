//! The narrow tables a run waits in, one row operation each.
//!
//! Knows no verb and counts nothing. Invariant: a run is put where [`super::locate`] will look for it.

use super::keys::{self, KeyId};
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{RunStatus, Status};
use crate::store::phase::Phase;
use crate::store::{JobSeq, RouteId};
use rusqlite::Connection;

/// ms per bucket of `far`.
pub(super) const DAY: i64 = 86_400_000;

const DELETE_READY: &str = include_str!("sql/delete_ready.sql");
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

/// A number of rows as a parameter; SQLite counts in signed 64 bits.
pub(super) fn rows(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A run's attempt that waits, without where and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) job: JobSeq,
    pub(super) run: i64,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
}

impl Waiting {
    /// The first attempt of a run.
    pub(super) fn first(job: JobSeq, run: i64) -> Self {
        Self {
            job,
            run,
            attempt: 1,
            crashes: 0,
        }
    }
}

/// Order of a ready run among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank {
    pub(super) route: RouteId,
    pub(super) priority: i32,
    pub(super) due: Millis,
    /// Concurrency key of its job.
    pub(super) key: Option<KeyId>,
}

/// Puts a due run where it can be claimed; behind a full concurrency key, where it waits for its turn.
pub(super) fn insert_ready(tx: &mut Tx<'_>, rank: Rank, run: Waiting) -> Result<()> {
    match rank.key {
        Some(key) if !keys::has_free_slot(tx.connection, key)? => keys::block(tx.connection, rank, run),
        _ => insert_claimable(tx, rank, run),
    }
}

/// Puts a run where the next claim finds it, whether or not its key is full.
pub(super) fn insert_claimable(tx: &mut Tx<'_>, rank: Rank, run: Waiting) -> Result<()> {
    tx.insert_ready((
        rank.route,
        rank.priority,
        rank.due,
        run.job,
        run.run,
        run.attempt,
        run.crashes,
        rank.key,
    ))
}

pub(super) fn delete_ready(connection: &Connection, rank: Rank, job: JobSeq, run: i64) -> Result<()> {
    connection
        .prepare_cached(DELETE_READY)?
        .execute((rank.route, rank.priority, rank.due, job, run))?;
    Ok(())
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
        .execute((day_of(due), job))?;
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

/// Day bucket of a due time.
pub(super) fn day_of(due: Millis) -> i64 {
    due.div_euclid(DAY)
}

/// Last day that is no longer far at `now`.
pub(super) fn last_near_day(now: Millis) -> i64 {
    day_of(now) + 1
}

/// Puts the first attempt of a one-off where its due time belongs; returns the state it then is in.
pub(super) fn enqueue_first(tx: &mut Tx<'_>, rank: Rank, job: JobSeq, run: i64, now: Millis) -> Result<Status> {
    let waiting = Waiting::first(job, run);
    if rank.due <= now {
        insert_ready(tx, rank, waiting)?;
        return Ok(Status::Queued);
    }
    let connection = tx.connection;
    if day_of(rank.due) > last_near_day(now) {
        connection
            .prepare_cached(INSERT_SCHEDULED_BY_DAY)?
            .execute((day_of(rank.due), job))?;
    } else {
        insert_scheduled(connection, rank.due, waiting)?;
    }
    Ok(Status::Scheduled)
}

/// Puts a run that waited elsewhere where its due time belongs.
pub(super) fn enqueue(tx: &mut Tx<'_>, rank: Rank, run: Waiting, now: Millis) -> Result<Phase> {
    if rank.due <= now {
        insert_ready(tx, rank, run)?;
        return Ok(Phase::Queued);
    }
    insert_scheduled(tx.connection, rank.due, run)?;
    Ok(Phase::Waiting)
}

/// One row of history: how an attempt ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended<'a> {
    pub(super) job: JobSeq,
    pub(super) run: i64,
    pub(super) attempt: u32,
    pub(super) status: RunStatus,
    /// `None`: it never started.
    pub(super) started: Option<Millis>,
    pub(super) ended: Millis,
    /// When the run goes on, if it does.
    pub(super) next_due: Option<Millis>,
    /// JSON text.
    pub(super) error: Option<&'a str>,
    /// JSON text.
    pub(super) result: Option<&'a str>,
}

/// Writes history. An attempt that was snoozed and has now ended otherwise is one attempt: its row is replaced.
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
