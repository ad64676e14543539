//! Concurrency keys: how many runs with a key are running, and which are blocked until a slot is free.
//!
//! Knows no verb. A due run becomes claimable while its key has a free slot; otherwise it goes to the table `held`, where it
//! is *blocked*; a claim that finds a full key moves the run there too. When a slot becomes free, the best blocked run *of
//! each route* becomes claimable, since the next claimer may serve one route and not another; those that find the key full
//! again go back.
//!
//! Invariants: for each key and route, while runs are held, claimable + running + owed ≥ max, so that no slot stays free
//! for lack of a claimable run, where those that run alone are not counted as claimable; `running` and `jobs` of a key count the rows that refer to it, and a key without any is
//! deleted.

use super::ready;
use super::run_rows::{KeyId, Rank, Waiting};
use super::tx::Tx;
use crate::error::Result;
use crate::model::{Concurrency, NewJob, Route};
use crate::store::{JobSeq, RouteId, SUSPECT_AFTER};
use rusqlite::{Connection, OptionalExtension, Row};

/// Held runs of a route that become claimable at once when the limit is raised; the others follow as these are claimed.
const MAX_UNBLOCKED_BY_RAISE: i64 = 200;
/// How many of the others follow each claim and each end of a run.
const MAX_UNBLOCKED_PER_CLAIM: i64 = 8;

const SELECT_KEY: &str = include_str!("sql/select_key.sql");
const INSERT_KEY: &str = include_str!("sql/insert_key.sql");
const UPDATE_KEY_ATTACH_JOB: &str = include_str!("sql/update_key_attach_job.sql");
const UPDATE_KEY_DETACH_JOB: &str = include_str!("sql/update_key_detach_job.sql");
const DELETE_KEY: &str = include_str!("sql/delete_key.sql");
const SELECT_KEY_USAGE: &str = include_str!("sql/select_key_usage.sql");
const UPDATE_KEY_TAKE_SLOT: &str = include_str!("sql/update_key_take_slot.sql");
const UPDATE_KEY_RETURN_SLOT: &str = include_str!("sql/update_key_return_slot.sql");
const UPDATE_KEY_OWED: &str = include_str!("sql/update_key_owed.sql");
const SELECT_BEST_BLOCKED_OF_ROUTE: &str = include_str!("sql/select_best_blocked_of_route.sql");
const SELECT_BEST_BLOCKED_OF_NEXT_ROUTE: &str = include_str!("sql/select_best_blocked_of_next_route.sql");
const INSERT_BLOCKED: &str = include_str!("sql/insert_blocked.sql");
const DELETE_BLOCKED: &str = include_str!("sql/delete_blocked.sql");
const SELECT_BLOCKED: &str = include_str!("sql/select_blocked.sql");

/// The key of a job about to be written, whose limit applies from now on. `None`: it has no key.
pub(super) fn attach(tx: &mut Tx<'_>, job: &NewJob) -> Result<Option<KeyId>> {
    match &job.options.concurrency {
        Some(concurrency) => attach_key(tx, &job.route, concurrency).map(Some),
        None => Ok(None),
    }
}

fn attach_key(tx: &mut Tx<'_>, route: &Route, wanted: &Concurrency) -> Result<KeyId> {
    let connection = tx.connection;
    let name = (&*route.product, &*route.env, &*wanted.key);
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let known: Option<(KeyId, i64, i64, i64)> = connection
        .prepare_cached(SELECT_KEY)?
        .query_row(name, read)
        .optional()?;
    let limit = wanted.limit;
    let Some((key, max, running, owed)) = known else {
        let row = (&*route.product, &*route.env, &*wanted.key, limit);
        return Ok(connection.prepare_cached(INSERT_KEY)?.insert(row)?);
    };
    let raised = (limit - max.max(running)).max(0);
    let owed = (owed + raised).clamp(0, (limit - running).max(0));
    connection
        .prepare_cached(UPDATE_KEY_ATTACH_JOB)?
        .execute((key, limit, owed))?;
    unblock_owed(tx, key, owed, MAX_UNBLOCKED_BY_RAISE)?;
    Ok(key)
}

/// Removes a job from its key.
pub(super) fn detach(connection: &Connection, key: KeyId) -> Result<()> {
    let (jobs, running): (i64, i64) = connection
        .prepare_cached(UPDATE_KEY_DETACH_JOB)?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))?;
    delete_if_unused(connection, key, jobs, running)
}

fn delete_if_unused(connection: &Connection, key: KeyId, jobs: i64, running: i64) -> Result<()> {
    if jobs == 0 && running == 0 {
        connection.prepare_cached(DELETE_KEY)?.execute([key])?;
    }
    Ok(())
}

/// How many runs with the key are running, and its limit.
pub(super) fn usage(connection: &Connection, key: KeyId) -> Result<(i64, i64)> {
    Ok(connection
        .prepare_cached(SELECT_KEY_USAGE)?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Whether another run with the key may start.
pub(super) fn has_free_slot(connection: &Connection, key: KeyId) -> Result<bool> {
    let (running, max) = usage(connection, key)?;
    Ok(running < max)
}

/// Takes a slot for a run. `false`: the key is full.
pub(super) fn take_slot(tx: &mut Tx<'_>, key: KeyId) -> Result<bool> {
    let owed: Option<i64> = tx
        .connection
        .prepare_cached(UPDATE_KEY_TAKE_SLOT)?
        .query_row([key], |row| row.get(0))
        .optional()?;
    if let Some(owed) = owed {
        unblock_owed(tx, key, owed, MAX_UNBLOCKED_PER_CLAIM)?;
    }
    Ok(owed.is_some())
}

/// Returns the slot of a run, and unblocks the best held runs.
pub(super) fn return_slot(tx: &mut Tx<'_>, key: KeyId) -> Result<()> {
    let connection = tx.connection;
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let (running, max, owed, jobs): (i64, i64, i64, i64) = connection
        .prepare_cached(UPDATE_KEY_RETURN_SLOT)?
        .query_row([key], read)?;
    if running < max {
        unblock(tx, key, 1)?;
        unblock_owed(tx, key, owed, MAX_UNBLOCKED_PER_CLAIM)?;
    }
    delete_if_unused(connection, key, jobs, running)
}

/// Handles the removal of a claimable run that was not claimed.
pub(super) fn ready_run_removed(tx: &mut Tx<'_>, key: KeyId, route: RouteId) -> Result<()> {
    if has_free_slot(tx.connection, key)? {
        unblock_of_route(tx, key, route, 1)?;
    }
    Ok(())
}

/// Puts a due run into `held`.
pub(super) fn block(connection: &Connection, rank: Rank, run: Waiting) -> Result<()> {
    let Rank {
        route,
        priority,
        due,
        key,
    } = rank;
    let row = (key, route, priority, due, run.job, run.run, run.attempt, run.crashes);
    connection.prepare_cached(INSERT_BLOCKED)?.execute(row)?;
    Ok(())
}

/// Removes a run from `held`.
pub(super) fn delete_blocked(connection: &Connection, rank: Rank, job: JobSeq, run: i64) -> Result<()> {
    let row = (rank.key, rank.route, rank.priority, rank.due, job, run);
    connection.prepare_cached(DELETE_BLOCKED)?.execute(row)?;
    Ok(())
}

/// Attempt and crashes of a held run; `None`: it is not held.
pub(super) fn find_blocked(connection: &Connection, rank: Rank, job: JobSeq, run: i64) -> Result<Option<(u32, u32)>> {
    let row = (rank.key, rank.route, rank.priority, rank.due, job, run);
    Ok(connection
        .prepare_cached(SELECT_BLOCKED)?
        .query_row(row, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// Makes held runs claimable for slots that a raised limit has added, at most `most` of each route.
fn unblock_owed(tx: &mut Tx<'_>, key: KeyId, owed: i64, most: i64) -> Result<()> {
    if owed == 0 {
        return Ok(());
    }
    let now = owed.min(most);
    let left = if unblock(tx, key, now)? { owed - now } else { 0 };
    tx.connection.prepare_cached(UPDATE_KEY_OWED)?.execute((key, left))?;
    Ok(())
}

/// Makes the best `most` held runs of each route claimable. `false`: none is held.
fn unblock(tx: &mut Tx<'_>, key: KeyId, most: i64) -> Result<bool> {
    let connection = tx.connection;
    let mut best_of_next = connection.prepare_cached(SELECT_BEST_BLOCKED_OF_NEXT_ROUTE)?;
    let mut behind = RouteId::MIN;
    let mut found = false;
    while let Some((rank, run)) = best_of_next.query_row((key, behind), read_blocked).optional()? {
        unblock_run(tx, rank, run)?;
        unblock_of_route(tx, key, rank.route, most - 1 + i64::from(runs_alone(run)))?;
        (behind, found) = (rank.route, true);
    }
    Ok(found)
}

/// Makes the best `most` held runs of a route claimable, and those that run alone and come before them: nobody need wait for
/// these, since most claims leave them out.
fn unblock_of_route(tx: &mut Tx<'_>, key: KeyId, route: RouteId, most: i64) -> Result<()> {
    let mut left = most;
    while left > 0 {
        let best: Vec<(Rank, Waiting)> = tx
            .connection
            .prepare_cached(SELECT_BEST_BLOCKED_OF_ROUTE)?
            .query_map((key, route, left), read_blocked)?
            .collect::<rusqlite::Result<_>>()?;
        left = 0;
        for (rank, run) in best {
            left += i64::from(runs_alone(run));
            unblock_run(tx, rank, run)?;
        }
    }
    Ok(())
}

fn runs_alone(run: Waiting) -> bool {
    run.crashes >= SUSPECT_AFTER
}

fn unblock_run(tx: &mut Tx<'_>, rank: Rank, run: Waiting) -> Result<()> {
    delete_blocked(tx.connection, rank, run.job, run.run)?;
    ready::insert_claimable(tx, rank, run)?;
    tx.wake();
    Ok(())
}

fn read_blocked(row: &Row<'_>) -> rusqlite::Result<(Rank, Waiting)> {
    let rank = Rank {
        key: row.get(0)?,
        route: row.get(1)?,
        priority: row.get(2)?,
        due: row.get(3)?,
    };
    let run = Waiting {
        job: row.get(4)?,
        run: row.get(5)?,
        attempt: row.get(6)?,
        crashes: row.get(7)?,
    };
    Ok((rank, run))
}
