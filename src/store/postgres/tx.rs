//! One transaction of a verb that changes jobs: what it has read is locked, what it writes is gathered and sent at once.
//!
//! Knows no verb. Invariants: rows are locked in one order, jobs, then series, then runs, each by rising number, so that
//! two verbs wait for each other in no circle; a row that had to be there and was not undoes everything.

use super::failure::{Attempt, Failure};
use super::param::Param;
use super::queue::Puts;
use super::session::Session;
use crate::model::Status;
use crate::store::RouteId;
use futures_util::future::try_join_all;
use std::collections::BTreeMap;

/// What a counter counts besides jobs by [`Status`] number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Tally {
    /// Runs that completed in their first attempt.
    FirstTry = 10,
    /// Runs that completed after a retry.
    AfterRetry = 11,
    /// Runs that failed.
    FailedRuns = 12,
    /// Retries spent by runs that ended.
    Retries = 13,
}

const COUNT: &str = "INSERT INTO ductape.counters (route, kind, n) SELECT * FROM unnest($1, $2, $3)";

/// A statement that waits for the end of its verb.
struct Later {
    sql: &'static str,
    params: Vec<Box<dyn Param>>,
    /// It must find its row.
    must: bool,
}

/// Parameters of a statement that waits.
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$(Box::new($value) as Box<dyn crate::store::postgres::param::Param>),*] };
}
pub(super) use params;

/// A running write transaction.
pub(super) struct Tx<'a> {
    pub(super) session: &'a Session,
    pub(super) puts: Puts,
    takes: Vec<Later>,
    later: Vec<Later>,
    deltas: BTreeMap<(RouteId, i32), i64>,
    wake: bool,
}

impl<'a> Tx<'a> {
    /// Begins one.
    pub(super) async fn begin(session: &'a Session) -> Attempt<Self> {
        session.begin().await?;
        Ok(Self::resume(session))
    }

    /// Goes on with one that the session has begun.
    pub(super) fn resume(session: &'a Session) -> Self {
        Self {
            session,
            puts: Puts::default(),
            takes: Vec::new(),
            later: Vec::new(),
            deltas: BTreeMap::new(),
            wake: false,
        }
    }

    /// Takes a row away that must be there: it is gone if another process moved it since it was read.
    pub(super) fn take(&mut self, sql: &'static str, params: Vec<Box<dyn Param>>) {
        self.takes.push(Later {
            sql,
            params,
            must: true,
        });
    }

    /// Executes a statement at the end, after rows were taken and before others are put.
    pub(super) fn later(&mut self, sql: &'static str, params: Vec<Box<dyn Param>>) {
        self.later.push(Later {
            sql,
            params,
            must: false,
        });
    }

    /// Counts a job that moves from one state to another; `None` is "not there".
    pub(super) fn shift(&mut self, route: RouteId, from: Option<Status>, to: Option<Status>) {
        if from == to {
            return;
        }
        if let Some(status) = from {
            self.add(route, status as i32, -1);
        }
        if let Some(status) = to {
            self.add(route, status as i32, 1);
        }
    }

    /// Counts runs.
    pub(super) fn tally(&mut self, route: RouteId, what: Tally, n: i64) {
        self.add(route, what as i32, n);
    }

    fn add(&mut self, route: RouteId, kind: i32, n: i64) {
        *self.deltas.entry((route, kind)).or_insert(0) += n;
    }

    /// Something became claimable or due earlier.
    pub(super) fn wake(&mut self) {
        self.wake = true;
    }

    /// Writes what was gathered and commits. Returns whether there may be something new to claim.
    pub(super) async fn commit(mut self) -> Attempt<bool> {
        self.flush().await?;
        match self.session.run("COMMIT").await {
            Ok(()) => {}
            Err(Failure::Database(failure)) if failure.code().is_none() => return Err(Failure::Unknown(failure)),
            Err(failure) => return Err(failure),
        }
        self.session.mend();
        Ok(self.wake)
    }

    /// Writes what was gathered so far.
    pub(super) async fn flush(&mut self) -> Attempt<()> {
        let takes = std::mem::take(&mut self.takes);
        self.send(&takes).await?;
        let later = std::mem::take(&mut self.later);
        self.send(&later).await?;
        let puts = std::mem::take(&mut self.puts).statements();
        let session = self.session;
        try_join_all(puts.iter().map(|(sql, params)| async move {
            let params: Vec<&dyn Param> = params.iter().map(|param| &**param).collect();
            session.execute(sql, &params).await
        }))
        .await?;
        self.count().await
    }

    /// Undoes everything.
    pub(super) async fn roll_back(self) -> Attempt<()> {
        self.session.run("ROLLBACK").await?;
        self.session.mend();
        Ok(())
    }

    /// In one go: the server gets the next statement while it works on the one before.
    async fn send(&self, statements: &[Later]) -> Attempt<()> {
        let counts = try_join_all(statements.iter().map(|later| async move {
            let params: Vec<&dyn Param> = later.params.iter().map(|param| &**param).collect();
            self.session.execute(later.sql, &params).await
        }))
        .await?;
        let moved = statements
            .iter()
            .zip(counts)
            .any(|(later, count)| later.must && count != 1);
        if moved { Err(Failure::Moved) } else { Ok(()) }
    }

    async fn count(&mut self) -> Attempt<()> {
        let deltas = std::mem::take(&mut self.deltas);
        let deltas: Vec<_> = deltas.iter().filter(|(_, n)| **n != 0).collect();
        if deltas.is_empty() {
            return Ok(());
        }
        let routes: Vec<i64> = deltas.iter().map(|((route, _), _)| *route).collect();
        let kinds: Vec<i32> = deltas.iter().map(|((_, kind), _)| *kind).collect();
        let numbers: Vec<i64> = deltas.iter().map(|(_, n)| **n).collect();
        self.session.execute(COUNT, &[&routes, &kinds, &numbers]).await?;
        Ok(())
    }
}
