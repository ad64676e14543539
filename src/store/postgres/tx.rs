//! One transaction of a verb that changes jobs: rows it reads are locked, and its writes are collected and sent at once.
//!
//! Knows no verb. Invariants: rows are locked in one order, jobs, then series, then runs, each by ascending number, so that
//! verbs cannot deadlock; if a row that must exist is missing, the transaction is rolled back.

use super::failure::{DbResult, Failure};
use super::outbox::{self, Event};
use super::param::{Param, params};
use super::run_rows::{KeyId, PendingInserts};
use super::series_rows::PendingSeries;
use super::session::Session;
use crate::model::Status;
use crate::store::rules::counters::{self, RunCounter};
use crate::store::{JobSeq, RouteId, Token};
use futures_util::future::try_join;
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::task::Poll;

const INSERT_COUNTERS: &str = include_str!("sql/insert_counters.sql");

const DELETE_RUNNING: &str = include_str!("sql/delete_running.sql");

/// A statement that is deferred to the end of its verb.
type Statement = (&'static str, Vec<Box<dyn Param>>);

/// A running write transaction.
pub(super) struct Tx<'a> {
    pub(super) session: &'a Session,
    pub(super) inserts: PendingInserts,
    /// Series to write at the end.
    pub(super) series: PendingSeries,
    deletes: Vec<Statement>,
    /// Claims that end.
    ended_claims: Vec<(JobSeq, i64, Token)>,
    write_later: Vec<Statement>,
    deltas: BTreeMap<(RouteId, i32), i64>,
    wake: bool,
    freed_keys: BTreeSet<KeyId>,
    events: Vec<Event>,
}

/// Effects of a committed transaction.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Something may have become claimable or ready to relay.
    pub(super) wake: bool,
    /// Concurrency keys that may have a free slot.
    pub(super) freed_keys: Vec<KeyId>,
}

impl Effects {
    /// Adds the effects of another transaction.
    pub(super) fn merge(&mut self, other: Self) {
        self.wake |= other.wake;
        self.freed_keys.extend(other.freed_keys);
    }
}

impl<'a> Tx<'a> {
    /// Begins a transaction.
    pub(super) async fn begin(session: &'a Session) -> DbResult<Self> {
        session.begin().await?;
        Ok(Self::resume(session))
    }

    /// Continues a transaction that the session has begun.
    pub(super) fn resume(session: &'a Session) -> Self {
        Self {
            session,
            inserts: PendingInserts::default(),
            series: PendingSeries::default(),
            deletes: Vec::new(),
            ended_claims: Vec::new(),
            write_later: Vec::new(),
            deltas: BTreeMap::new(),
            wake: false,
            freed_keys: BTreeSet::new(),
            events: Vec::new(),
        }
    }

    /// Deletes a row that must exist; it is gone if another process moved it since it was read.
    pub(super) fn delete(&mut self, sql: &'static str, params: Vec<Box<dyn Param>>) {
        self.deletes.push((sql, params));
    }

    /// The same for the row of a claim, by its token.
    pub(super) fn delete_running(&mut self, job: JobSeq, run: i64, token: Token) {
        self.ended_claims.push((job, run, token));
    }

    /// Executes a statement at the end, after the deletions and before the insertions.
    pub(super) fn write_later(&mut self, sql: &'static str, params: Vec<Box<dyn Param>>) {
        self.write_later.push((sql, params));
    }

    /// Counts a job's change of state; `None`: the job does not exist.
    pub(super) fn count_transition(&mut self, route: RouteId, from: Option<Status>, to: Option<Status>) {
        for (status, n) in counters::transition(from, to).into_iter().flatten() {
            self.add(route, status as i32, n);
        }
    }

    /// Counts runs.
    pub(super) fn count_runs(&mut self, route: RouteId, what: RunCounter, n: i64) {
        self.add(route, what as i32, n);
    }

    fn add(&mut self, route: RouteId, kind: i32, n: i64) {
        *self.deltas.entry((route, kind)).or_insert(0) += n;
    }

    /// Notes that something became claimable or due earlier.
    pub(super) fn wake(&mut self) {
        self.wake = true;
    }

    /// Notes that a run with this concurrency key is no longer running, or no longer claimable.
    pub(super) fn slot_freed(&mut self, key: Option<KeyId>) {
        self.freed_keys.extend(key);
    }

    /// Adds an event, which is appended to the outbox if a webhook subscribes to it, once the change is complete.
    pub(super) fn add_event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Writes what was collected and commits.
    pub(super) async fn commit(mut self) -> DbResult<Effects> {
        self.append_events().await?;
        let writes = self.write().await?;
        let session = self.session;
        // Pipelined: if a statement fails, the transaction is aborted and the commit has no effect.
        let outcome = try_join(send(session, &writes), session.run("COMMIT")).await;
        match outcome {
            Ok(_) => {}
            Err(Failure::Database(failure)) if failure.code().is_none() => return Err(Failure::Unknown(failure)),
            Err(failure) => return Err(failure),
        }
        session.mark_usable();
        Ok(Effects {
            wake: self.wake,
            freed_keys: self.freed_keys.into_iter().collect(),
        })
    }

    async fn append_events(&mut self) -> DbResult<()> {
        let events = std::mem::take(&mut self.events);
        if events.is_empty() {
            return Ok(());
        }
        let wanted_events = outbox::wanted_events(self.session).await?;
        let events: Vec<Event> = events
            .into_iter()
            .filter(|event| wanted_events.has(event.kind))
            .collect();
        if !events.is_empty() {
            self.flush().await?;
            self.wake |= outbox::append(self.session, &events).await?;
        }
        Ok(())
    }

    /// Writes what was collected so far.
    pub(super) async fn flush(&mut self) -> DbResult<()> {
        let writes = self.write().await?;
        send(self.session, &writes).await?;
        Ok(())
    }

    /// Executes the deletions; returns the statements to execute after them.
    async fn write(&mut self) -> DbResult<Vec<Statement>> {
        let mut deletes = std::mem::take(&mut self.deletes);
        let mut expected = vec![1; deletes.len()];
        let claims = std::mem::take(&mut self.ended_claims);
        if !claims.is_empty() {
            expected.push(claims.len() as u64);
            deletes.push((DELETE_RUNNING, claim_columns(&claims)));
        }
        prepare(self.session, &deletes).await?;
        if send(self.session, &deletes).await? != expected {
            return Err(Failure::ConcurrentChange);
        }
        let mut writes = std::mem::take(&mut self.write_later);
        writes.extend(std::mem::take(&mut self.series).statement());
        writes.extend(std::mem::take(&mut self.inserts).statements());
        writes.extend(self.counter_statement());
        prepare(self.session, &writes).await?;
        Ok(writes)
    }

    /// Rolls back.
    pub(super) async fn roll_back(self) -> DbResult<()> {
        self.session.run("ROLLBACK").await?;
        self.session.mark_usable();
        Ok(())
    }

    fn counter_statement(&mut self) -> Option<Statement> {
        let deltas = std::mem::take(&mut self.deltas);
        let deltas: Vec<_> = deltas.iter().filter(|(_, n)| **n != 0).collect();
        if deltas.is_empty() {
            return None;
        }
        let routes: Vec<RouteId> = deltas.iter().map(|((route, _), _)| *route).collect();
        let kinds: Vec<i32> = deltas.iter().map(|((_, kind), _)| *kind).collect();
        let numbers: Vec<i64> = deltas.iter().map(|(_, n)| **n).collect();
        Some((INSERT_COUNTERS, params![routes, kinds, numbers]))
    }
}

fn claim_columns(claims: &[(JobSeq, i64, Token)]) -> Vec<Box<dyn Param>> {
    params![
        claims.iter().map(|claim| claim.0).collect::<Vec<_>>(),
        claims.iter().map(|claim| claim.1).collect::<Vec<_>>(),
        claims.iter().map(|claim| claim.2).collect::<Vec<_>>(),
    ]
}

fn borrowed(params: &[Box<dyn Param>]) -> Vec<&dyn Param> {
    params.iter().map(|param| &**param).collect()
}

/// Prepares statements, so that they can be pipelined.
async fn prepare(session: &Session, statements: &[Statement]) -> DbResult<()> {
    for (sql, params) in statements {
        session.prepare_ahead(sql, &borrowed(params)).await?;
    }
    Ok(())
}

/// Pipelines statements. Returns the number of rows that each affected.
///
/// All are sent on the first poll, so that statements polled after it are executed after them.
async fn send(session: &Session, statements: &[Statement]) -> DbResult<Vec<u64>> {
    let mut sent: Vec<_> = statements
        .iter()
        .map(|(sql, params)| Box::pin(async move { session.execute(sql, &borrowed(params)).await }))
        .collect();
    let mut row_counts: Vec<Option<u64>> = vec![None; sent.len()];
    let mut begun = false;
    poll_fn(|context| {
        for (statement, count) in sent
            .iter_mut()
            .zip(&mut row_counts)
            .filter(|(_, count)| count.is_none())
        {
            match statement.as_mut().poll(context)? {
                Poll::Ready(found) => *count = Some(found),
                // Answers arrive in order: after a pending one there are none yet.
                Poll::Pending if begun => return Poll::Pending,
                Poll::Pending => {}
            }
        }
        begun = true;
        if row_counts.iter().all(Option::is_some) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
    .map(|()| row_counts.into_iter().flatten().collect())
}
