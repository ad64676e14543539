//! Promotes due runs, moves due series on, then claims: the best ready runs of the served routes move to `running`.
//!
//! Invariants: all this shares a transaction; a claimed run is in `running` with a token that no other claim
//! has, and holds a slot of its concurrency key; a run whose key is full becomes blocked.

use super::advance;
use super::claim_cursor::{self, Candidate, ClaimDecision, Queue};
use super::failure::damaged;
use super::jobs::IdColumn;
use super::keys;
use super::outbox::{self, Event};
use super::ready;
use super::run_rows::{KeyId, Rank, rows};
use super::series::{self, JobRef};
use super::series_snapshot;
use super::tx::Tx;
use super::{promote, routes};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::EventKind;
use crate::model::schedule::DEFAULT_GRACE_MS;
use crate::store::claim::MAX_CLAIM_BYTES;
use crate::store::rules::busy::PROMPT_MS;
use crate::store::rules::phase::Phase;
use crate::store::{ClaimParams, Claimed, ClaimedRun, InstanceId, JobSeq, SeriesSnapshot, Settled, Token};
use rusqlite::{Connection, OptionalExtension, Row};
use std::collections::HashSet;

/// Most due series returned by one claim.
const MAX_DUE_SERIES: usize = 500;
/// Most runs that one claim moves to `held` because their key is full.
const MAX_BLOCKED_PER_CLAIM: usize = 250;

const SELECT_CLAIM_DETAILS: &str = include_str!("sql/select_claim_details.sql");
const SELECT_DUE_SERIES: &str = include_str!("sql/select_due_series.sql");
const SELECT_SERIES_AFTER: &str = include_str!("sql/select_series_after.sql");
const SELECT_NEXT_SERIES: &str = include_str!("sql/select_next_series.sql");
const SELECT_OCCURRENCE: &str = include_str!("sql/select_occurrence.sql");
const INSERT_RUNNING: &str = include_str!("sql/insert_running.sql");
const SELECT_INSTANCE_EXISTS: &str = include_str!("sql/select_instance_exists.sql");

/// One claim.
pub(super) fn apply(tx: &mut Tx<'_>, params: &ClaimParams) -> Result<Claimed> {
    let connection = tx.connection;
    let moved_all = !promote::apply(tx, params.now)?;
    let series = due_series(connection, params)?;
    let all_series = series.len() < MAX_DUE_SERIES;
    let plans = SeriesPlans::apply(tx, params, series)?;
    let mut selection = ClaimSelection::default();
    if params.slots > 0 && is_registered(connection, params)? {
        selection.claim(tx, params)?;
    }
    if plans.concern_others(&selection.runs) {
        tx.wake();
    }
    let more = !moved_all || !all_series || plans.more || selection.is_cut_short();
    Ok(Claimed {
        runs: selection.runs,
        series: plans.left,
        next_due: next_due(connection, params.now)?,
        more,
        newest_route: routes::newest(connection)?,
        server_time: None,
    })
}

/// A process whose registration was deleted must not claim, since nobody would recover its runs.
fn is_registered(connection: &Connection, params: &ClaimParams) -> Result<bool> {
    Ok(connection
        .prepare_cached(SELECT_INSTANCE_EXISTS)?
        .exists([params.instance])?)
}

/// What the claim did with the series that are due.
#[derive(Default)]
struct SeriesPlans {
    /// Those that it left to the caller.
    left: Vec<SeriesSnapshot>,
    /// The runs that it made of the others.
    made: HashSet<(JobSeq, i64)>,
    /// One that was moved on is due again.
    more: bool,
    /// One was moved on without a run.
    without_run: bool,
}

impl SeriesPlans {
    fn apply(tx: &mut Tx<'_>, params: &ClaimParams, due: Vec<SeriesSnapshot>) -> Result<Self> {
        let mut plans = Self::default();
        let Some(planner) = &params.planner else {
            plans.left = due;
            return Ok(plans);
        };
        for advance in due.iter().filter_map(|series| planner.of(series)) {
            if let Some(runs) = advance::apply_one(tx, &advance, params.now)? {
                plans.without_run |= runs.is_empty();
                plans.made.extend(runs.map(|run| (advance.job, run)));
                plans.more |= advance.next_at.is_some_and(|at| at <= params.now);
            }
        }
        Ok(plans)
    }

    /// Whether others are to look: for runs that are not among those claimed, or for jobs that have ended.
    fn concern_others(&self, claimed: &[ClaimedRun]) -> bool {
        let taken = claimed.iter().filter(|run| self.made.contains(&(run.job, run.run)));
        self.without_run || taken.count() < self.made.len()
    }
}

/// The runs claimed so far.
#[derive(Default)]
struct ClaimSelection {
    runs: Vec<ClaimedRun>,
    /// Keys that turned out to be full.
    full_keys: HashSet<KeyId>,
    /// Runs that became blocked.
    blocked: usize,
    /// Of the inputs of `runs`.
    bytes: usize,
}

impl ClaimSelection {
    fn claim(&mut self, tx: &mut Tx<'_>, params: &ClaimParams) -> Result<()> {
        let ClaimParams {
            served,
            group_slots,
            slots,
            suspect,
            ..
        } = params;
        let (queue, slots) = if *suspect {
            (Queue::Suspects, 1)
        } else {
            (Queue::Others, *slots)
        };
        claim_cursor::select_best((tx.connection, queue), served, group_slots, slots, |candidate| {
            self.decide(tx, candidate, params)
        })
    }

    fn is_cut_short(&self) -> bool {
        self.blocked == MAX_BLOCKED_PER_CLAIM || self.bytes >= MAX_CLAIM_BYTES
    }

    fn decide(&mut self, tx: &mut Tx<'_>, candidate: &Candidate, params: &ClaimParams) -> Result<ClaimDecision> {
        if self.bytes >= MAX_CLAIM_BYTES {
            return Ok(ClaimDecision::Stop);
        }
        if let Some(key) = candidate.rank.key
            && (self.full_keys.contains(&key) || !keys::take_slot(tx, key)?)
        {
            return self.block(tx, candidate, key);
        }
        let run = take(tx, candidate, params)?;
        self.bytes += run.input.len();
        self.runs.push(run);
        Ok(ClaimDecision::Taken)
    }

    fn block(&mut self, tx: &Tx<'_>, candidate: &Candidate, key: KeyId) -> Result<ClaimDecision> {
        if self.blocked == MAX_BLOCKED_PER_CLAIM {
            return Ok(ClaimDecision::Stop);
        }
        self.full_keys.insert(key);
        self.blocked += 1;
        let Candidate { rank, run } = *candidate;
        ready::delete_ready(tx.connection, rank, run.job, run.run)?;
        keys::block(tx.connection, rank, run)?;
        Ok(ClaimDecision::Blocked)
    }
}

fn take(tx: &mut Tx<'_>, candidate: &Candidate, params: &ClaimParams) -> Result<ClaimedRun> {
    let connection = tx.connection;
    let Candidate { rank, run } = *candidate;
    let token = tx.next_token();
    tx.claimed(run.job);
    let claimed = details(connection, candidate, token, params.now)?;
    ready::delete_ready(connection, rank, run.job, run.run)?;
    let identity = (run.job, run.run, params.instance, token, run.attempt, run.crashes);
    insert_running(connection, identity, candidate, params.now, claimed.recurring)?;
    let job_ref = JobRef {
        job: run.job,
        route: rank.route,
        recurring: claimed.recurring,
    };
    series::run_changed_phase(tx, job_ref, Some(Phase::Queued), Phase::Running)?;
    let event = Event {
        scheduled_at: Some(claimed.scheduled_at),
        ..Event::new(EventKind::Started, run.job, params.now)
    };
    outbox::append(tx, event)?;
    Ok(claimed)
}

fn insert_running(
    connection: &Connection,
    (job, run, owner, token, attempt, crashes): (JobSeq, i64, InstanceId, Token, u32, u32),
    candidate: &Candidate,
    now: Millis,
    recurring: bool,
) -> Result<()> {
    let Rank {
        route,
        priority,
        due,
        key,
    } = candidate.rank;
    let row = (
        job, run, owner, token, attempt, crashes, route, priority, due, now, recurring, key,
    );
    connection.prepare_cached(INSERT_RUNNING)?.execute(row)?;
    Ok(())
}

fn details(connection: &Connection, candidate: &Candidate, token: Token, now: Millis) -> Result<ClaimedRun> {
    let mut select = connection.prepare_cached(SELECT_CLAIM_DETAILS)?;
    let read = |row: &Row<'_>| read_details(row, candidate, token);
    let claimed = select.query_row([candidate.run.job], read).optional()?;
    let mut claimed = claimed.ok_or_else(|| damaged("a ready run without its job"))?;
    if claimed.recurring {
        let in_time_since = now.saturating_sub(PROMPT_MS);
        let key = (claimed.job, claimed.run, in_time_since, DEFAULT_GRACE_MS);
        let occurrence = connection
            .prepare_cached(SELECT_OCCURRENCE)?
            .query_row(key, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let occurrence = occurrence
            .optional()?
            .ok_or_else(|| damaged("a run without its occurrence"))?;
        (claimed.scheduled_at, claimed.missed, claimed.grace) = occurrence;
    }
    Ok(claimed)
}

fn read_details(row: &Row<'_>, candidate: &Candidate, token: Token) -> rusqlite::Result<ClaimedRun> {
    let Candidate { rank, run } = *candidate;
    let Rank {
        route, priority, due, ..
    } = rank;
    let IdColumn(id) = row.get(0)?;
    Ok(ClaimedRun {
        job: run.job,
        run: run.run,
        attempt: run.attempt,
        crashes: run.crashes,
        token,
        id,
        route,
        due,
        scheduled_at: row.get::<_, Option<Millis>>(1)?.unwrap_or(due),
        missed: 0,
        priority,
        retries: row.get(2)?,
        options: row.get(5)?,
        input: row.get(6)?,
        created: row.get(4)?,
        recurring: row.get(3)?,
        grace: None,
        unreadable: None,
    })
}

fn due_series(connection: &Connection, params: &ClaimParams) -> Result<Vec<SeriesSnapshot>> {
    let passed_over = (!params.passed_over.is_empty())
        .then(|| serde_json::to_string(&params.passed_over.to_vec()))
        .transpose()
        .map_err(|error| damaged(&error.to_string()))?;
    let mut select = connection.prepare_cached(SELECT_DUE_SERIES)?;
    let found = select.query_map((params.now, rows(MAX_DUE_SERIES), passed_over), read_series)?;
    let mut due = Vec::new();
    for series in found {
        let (mut snapshot, runs) = series?;
        series_snapshot::add_busy(connection, &mut snapshot, runs, Some(params.instance), params.now)?;
        due.push(snapshot);
    }
    Ok(due)
}

/// Up to `most` series with a next occurrence and a number above `after`, without when their runs were being done.
pub(super) fn series_after(connection: &Connection, after: JobSeq, most: usize) -> Result<Vec<SeriesSnapshot>> {
    let mut select = connection.prepare_cached(SELECT_SERIES_AFTER)?;
    let found = select.query_map((after, rows(most)), |row| {
        let (mut snapshot, _) = read_series(row)?;
        snapshot.settled = snapshot.settled.of_paused(row.get(10)?).in_force_since(row.get(11)?);
        Ok(snapshot)
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// A series that goes on, and the number of its last run.
fn read_series(row: &Row<'_>) -> rusqlite::Result<(SeriesSnapshot, i64)> {
    let job: JobSeq = row.get(0)?;
    let IdColumn(id) = row.get(1)?;
    let snapshot = SeriesSnapshot {
        job,
        id,
        version: row.get(2)?,
        recurrence: row.get(3)?,
        next_at: row.get(4)?,
        runs: row.get(5)?,
        live: row.get(6)?,
        claimed_by_others: false,
        busy: Vec::new(),
        settled: Settled::from_text(row.get::<_, Option<Box<str>>>(7)?.as_deref()),
        ended: false,
        accounted_to: row.get(9)?,
    };
    Ok((snapshot, row.get(8)?))
}

/// When something is due next. Series that are due now are not counted, since the claimer has them already.
fn next_due(connection: &Connection, now: Millis) -> Result<Option<Millis>> {
    let moved = promote::next_due(connection)?;
    let series = connection
        .prepare_cached(SELECT_NEXT_SERIES)?
        .query_row([now], |row| row.get(0))
        .optional()?;
    Ok([moved, series].into_iter().flatten().min())
}
