//! One transaction of the writer, as the verbs see it: SQL, and effects collected until the commit.
//!
//! Knows no verb. Invariant: collected effects take place only if the transaction commits; counters are written once per
//! transaction, however many rows moved.

use super::routes::RouteCache;
use super::subscriptions::Subscriptions;
use crate::error::Result;
use crate::model::{EventKind, Status};
use crate::store::rules::counters::{self, RunCounter};
use crate::store::{InstanceId, JobSeq, RouteId, Token};
use rusqlite::{CachedStatement, Connection, Params};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

const INSERT_JOB: &str = include_str!("sql/insert_job.sql");
const INSERT_READY: &str = include_str!("sql/insert_ready.sql");
const SELECT_LAST_JOB_NUMBER: &str = include_str!("sql/select_last_job_number.sql");
const UPDATE_LAST_JOB_NUMBER: &str = include_str!("sql/update_last_job_number.sql");
const UPSERT_COUNTER: &str = include_str!("sql/upsert_counter.sql");

/// Changes of counters, by route and kind.
type Deltas = HashMap<(RouteId, i64), i64>;

/// A running write transaction.
pub(super) struct Tx<'a> {
    /// The writing connection. Verbs copy this reference, so that a statement does not borrow the transaction.
    pub(super) connection: &'a Connection,
    /// Folder of the lock files; `None` in memory.
    pub(super) locks: Option<&'a Path>,
    routes: &'a mut RouteCache,
    subscriptions: &'a mut Subscriptions,
    /// Whether `subscriptions` was refreshed in this transaction.
    subscriptions_fresh: bool,
    /// Whether any run has steps; `None`: not checked yet.
    pub(super) has_steps: Option<bool>,
    last_token: &'a mut Token,
    work_time: &'a mut Duration,
    deltas: Deltas,
    /// The counter changed last, which is nearly always the next one as well.
    last: ((RouteId, i64), i64),
    cached: CachedStatements<'a>,
    /// The last assigned job number; `None`: not read yet.
    last_number: Option<JobSeq>,
    /// Jobs of which nobody need be told if this transaction claims them as well.
    unclaimed: HashSet<JobSeq>,
    /// There is something to relay.
    has_events: bool,
    effects: Effects,
}

/// Statements that nearly every verb executes, kept out of the cache, where a lookup costs a tenth of an insert.
#[derive(Default)]
struct CachedStatements<'a> {
    insert_job: Option<CachedStatement<'a>>,
    insert_jobs: Option<CachedStatement<'a>>,
    insert_ready: Option<CachedStatement<'a>>,
}

/// Effects of a committed transaction.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Something may have become claimable, or due earlier, or there is something to relay.
    pub(super) wake: bool,
    /// Deleted registrations.
    pub(super) instance_ended: Vec<InstanceId>,
}

impl<'a> Tx<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        locks: Option<&'a Path>,
        routes: &'a mut RouteCache,
        subscriptions: &'a mut Subscriptions,
        last_token: &'a mut Token,
        work_time: &'a mut Duration,
    ) -> Self {
        Self {
            connection,
            locks,
            routes,
            subscriptions,
            subscriptions_fresh: false,
            has_steps: None,
            last_token,
            work_time,
            deltas: Deltas::new(),
            last: ((RouteId::MIN, 0), 0),
            cached: CachedStatements::default(),
            last_number: None,
            unclaimed: HashSet::new(),
            has_events: false,
            effects: Effects::default(),
        }
    }

    /// The number of a route, assigned if it is new.
    pub(super) fn intern(&mut self, route: &crate::model::Route) -> Result<RouteId> {
        self.routes.intern(self.connection, route)
    }

    /// Whether a webhook subscribes to this event. The first call in a transaction costs a pragma.
    pub(super) fn wants(&mut self, kind: EventKind) -> Result<bool> {
        if !self.subscriptions_fresh {
            self.subscriptions.refresh(self.connection)?;
            self.subscriptions_fresh = true;
        }
        Ok(self.subscriptions.wants(kind))
    }

    /// The registrations that this transaction has deleted.
    pub(super) fn ended_instances(&self) -> &[InstanceId] {
        &self.effects.instance_ended
    }

    /// Notes that this transaction changed webhooks.
    pub(super) fn invalidate_subscriptions(&mut self) {
        self.subscriptions.clear();
        self.subscriptions_fresh = false;
    }

    /// A token that no claim of this process has had.
    pub(super) fn next_token(&mut self) -> Token {
        *self.last_token = self.last_token.plus(1);
        *self.last_token
    }

    /// Adds time that verbs took in this transaction.
    pub(super) fn add_work_time(&mut self, time: Duration) {
        *self.work_time += time;
    }

    /// How long others have worked since the last call.
    pub(super) fn take_work_of_others(&mut self) -> Duration {
        std::mem::take(self.work_time)
    }

    /// Counts a job's change of state; `None`: the job does not exist.
    pub(super) fn count_transition(&mut self, route: RouteId, from: Option<Status>, to: Option<Status>) {
        for (status, n) in counters::transition(from, to).into_iter().flatten() {
            self.add(route, status as i64, n);
        }
    }

    /// Counts runs.
    pub(super) fn count_runs(&mut self, route: RouteId, what: RunCounter, n: i64) {
        self.add(route, what as i64, n);
    }

    fn add(&mut self, route: RouteId, kind: i64, n: i64) {
        if self.last.0 != (route, kind) {
            self.flush_last_delta();
            self.last = ((route, kind), 0);
        }
        self.last.1 += n;
    }

    fn flush_last_delta(&mut self) {
        let (key, n) = std::mem::take(&mut self.last);
        if n != 0 {
            *self.deltas.entry(key).or_insert(0) += n;
        }
    }

    /// Reserves `count` new job numbers; returns the first.
    pub(super) fn reserve_job_numbers(&mut self, count: i64) -> Result<JobSeq> {
        let last = self.last_job_number()?;
        self.last_number = Some(last.plus(count));
        Ok(last.plus(1))
    }

    fn last_job_number(&self) -> Result<JobSeq> {
        if let Some(last) = self.last_number {
            return Ok(last);
        }
        let mut select = self.connection.prepare_cached(SELECT_LAST_JOB_NUMBER)?;
        Ok(select.query_row([], |row| row.get(0))?)
    }

    /// Runs `insert`, of whose jobs nobody is told that this transaction claims, too.
    pub(super) fn inserting<R>(&mut self, insert: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let others = std::mem::take(&mut self.effects.wake);
        let before = self.last_job_number()?.get();
        let inserted = insert(self)?;
        if std::mem::replace(&mut self.effects.wake, others) {
            let last = self.last_job_number()?.get();
            self.unclaimed.extend((before + 1..=last).map(JobSeq::new));
        }
        Ok(inserted)
    }

    /// A run of this job was claimed.
    pub(super) fn claimed(&mut self, job: JobSeq) {
        if !self.unclaimed.is_empty() {
            self.unclaimed.remove(&job);
        }
    }

    /// The statement `sql`, which inserts several jobs, with unbound parameters.
    pub(super) fn insert_jobs(&mut self, sql: &'static str) -> Result<&mut CachedStatement<'a>> {
        let connection = self.connection;
        Ok(match &mut self.cached.insert_jobs {
            Some(statement) => statement,
            none => none.insert(connection.prepare_cached(sql)?),
        })
    }

    /// Executes the statement that inserts a job; returns the number of inserted rows.
    pub(super) fn insert_job(&mut self, row: impl Params) -> Result<usize> {
        let connection = self.connection;
        let statement = match &mut self.cached.insert_job {
            Some(statement) => statement,
            none => none.insert(connection.prepare_cached(INSERT_JOB)?),
        };
        Ok(statement.execute(row)?)
    }

    /// Executes the statement that makes a run ready.
    pub(super) fn insert_ready(&mut self, row: impl Params) -> Result<()> {
        let connection = self.connection;
        let statement = match &mut self.cached.insert_ready {
            Some(statement) => statement,
            none => none.insert(connection.prepare_cached(INSERT_READY)?),
        };
        statement.execute(row)?;
        Ok(())
    }

    /// Change in the number of jobs in a state in this transaction, not yet written to the table.
    pub(super) fn pending_count(&self, status: Status) -> i64 {
        let last = (&self.last.0, &self.last.1);
        let of_state = self
            .deltas
            .iter()
            .chain([last])
            .filter(|((_, kind), _)| *kind == status as i64);
        of_state.map(|(_, n)| n).sum()
    }

    /// Notes that an event was appended to the outbox.
    pub(super) fn has_event(&mut self) {
        self.has_events = true;
    }

    /// Notes that something became claimable or due earlier.
    pub(super) fn wake(&mut self) {
        self.effects.wake = true;
    }

    /// Notes a deleted registration, whose lock file is removed after the commit.
    pub(super) fn instance_ended(&mut self, instance: InstanceId) {
        self.effects.instance_ended.push(instance);
    }

    /// Runs `part` in a savepoint; `Ok(false)` rolls it back without the rest of the transaction.
    pub(super) fn in_savepoint<R>(&mut self, part: impl FnOnce(&mut Self) -> Result<(bool, R)>) -> Result<R> {
        let connection = self.connection;
        self.flush_last_delta();
        let before = self.deltas.clone();
        connection.prepare_cached("SAVEPOINT part")?.execute([])?;
        let (keep, result) = part(self)?;
        if !keep {
            connection.prepare_cached("ROLLBACK TO part")?.execute([])?;
            self.last = Default::default();
            self.deltas = before;
            self.routes.clear();
        }
        connection.prepare_cached("RELEASE part")?.execute([])?;
        Ok(result)
    }

    /// Writes the collected counters; the last step before the commit.
    pub(super) fn finish(mut self) -> Result<Effects> {
        self.flush_last_delta();
        if let Some(last) = self.last_number {
            self.connection
                .prepare_cached(UPDATE_LAST_JOB_NUMBER)?
                .execute([last])?;
        }
        let mut add = self.connection.prepare_cached(UPSERT_COUNTER)?;
        for ((route, kind), n) in self.deltas.into_iter().filter(|(_, n)| *n != 0) {
            add.execute((route, kind, n))?;
        }
        self.effects.wake |= !self.unclaimed.is_empty() || self.has_events;
        Ok(self.effects)
    }
}
