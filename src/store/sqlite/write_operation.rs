//! A verb in the writer's queue: what to do, how to treat it, and who waits for the answer.
//!
//! Invariant: a verb can be applied again after a rollback, and is answered once.

use super::tx::Tx;
use crate::error::{Error, ErrorCode, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// How the writer treats a verb.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteOptions {
    /// Synced to disk before it is answered.
    pub(super) synced: bool,
    /// Goes ahead of the queue.
    pub(super) urgent: bool,
    /// Has a transaction of its own, so that others wait at most for the slice in progress.
    pub(super) alone: bool,
    /// Approximate number of rows it moves.
    pub(super) rows: usize,
    /// How many dispatches or ends of attempts it is, for whoever counts those that were written together.
    pub(super) jobs: usize,
    /// How many of the permits it has that bound the queue.
    pub(super) permits: usize,
}

impl WriteOptions {
    /// In order, not synced, as most verbs.
    pub(super) fn plain(rows: usize) -> Self {
        Self {
            synced: false,
            urgent: false,
            alone: false,
            rows: rows.max(1),
            jobs: 0,
            permits: 1,
        }
    }

    /// Synced: a command of a user.
    pub(super) fn synced(rows: usize) -> Self {
        Self {
            synced: true,
            ..Self::plain(rows)
        }
    }

    /// The same for dispatches, or ends of attempts, as many as its rows.
    pub(super) fn of_jobs(self) -> Self {
        Self {
            jobs: self.rows,
            ..self
        }
    }

    /// The same without a permit, for a caller that has bounds of its own.
    pub(super) fn unbounded(self) -> Self {
        Self { permits: 0, ..self }
    }

    /// One slice of bulk work.
    pub(super) fn alone() -> Self {
        Self {
            alone: true,
            ..Self::plain(1)
        }
    }

    /// A lease renewal.
    pub(super) fn urgent() -> Self {
        Self {
            urgent: true,
            ..Self::plain(1)
        }
    }
}

/// A verb with its parameters, type-erased.
pub(super) trait WriteOperation: Send {
    /// How to treat it.
    fn options(&self) -> WriteOptions;
    /// Until when it waits for a lock that others hold.
    fn deadline(&self) -> Instant;
    /// Does it, inside a transaction.
    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<()>;
    /// The transaction is about to be rolled back: nothing of it counts. It may be applied again.
    fn undo(&mut self);
    /// Answers: with what `apply` returned if it was committed, else with the failure.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// A verb made of a closure, and of what takes the answer.
pub(super) struct WriteCall<R, F, A> {
    options: WriteOptions,
    deadline: Instant,
    run: F,
    result: Option<R>,
    done: A,
}

impl<R, F, A> WriteCall<R, F, A> {
    /// A verb that runs `run`, and waits for locks of others until the deadline. `done` is called on the writer's thread.
    pub(super) fn new(options: WriteOptions, deadline: Instant, run: F, done: A) -> Self {
        Self {
            options,
            deadline,
            run,
            result: None,
            done,
        }
    }
}

impl<R, F, A> WriteOperation for WriteCall<R, F, A>
where
    R: Send,
    F: FnMut(&mut Tx<'_>) -> Result<R> + Send,
    A: FnOnce(Result<R>) + Send,
{
    fn options(&self) -> WriteOptions {
        self.options
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn undo(&mut self) {
        self.result = None;
    }

    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        // A panic must not stop the writer for everyone else.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.run)(tx)));
        self.result = Some(outcome.unwrap_or_else(|_| Err(internal_error()))?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let Self { result, done, .. } = *self;
        let answer = committed.and_then(|()| result.ok_or_else(internal_error));
        // A panic must not stop the writer for everyone else: what the closure holds tells its caller.
        let _ = catch_unwind(AssertUnwindSafe(|| done(answer)));
    }
}

fn internal_error() -> Error {
    Error::new(
        ErrorCode::StoreError,
        "the store failed by a defect of its own; please report it",
    )
}
