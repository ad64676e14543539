//! A verb on its way to the writer: what to do, how important it is, and who waits for the answer.
//!
//! Invariant: a verb can be applied again after a rollback, and is answered once.

use super::tx::Tx;
use crate::error::{Error, ErrorCode, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::oneshot;

/// How the writer treats a verb.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteOptions {
    /// Its answer means that it is on the disk, not only in the operating system's memory.
    pub(super) synced: bool,
    /// Goes before all that waits.
    pub(super) urgent: bool,
    /// Has a transaction of its own, so that nobody's answer waits for more of it than the part that is under way.
    pub(super) alone: bool,
    /// About how many rows it moves.
    pub(super) rows: usize,
}

impl WriteOptions {
    /// Like most verbs: in turn, not synced.
    pub(super) fn plain(rows: usize) -> Self {
        Self {
            synced: false,
            urgent: false,
            alone: false,
            rows: rows.max(1),
        }
    }

    /// A command of a user.
    pub(super) fn synced(rows: usize) -> Self {
        Self {
            synced: true,
            ..Self::plain(rows)
        }
    }

    /// One slice of work on many jobs.
    pub(super) fn alone() -> Self {
        Self {
            alone: true,
            ..Self::plain(1)
        }
    }

    /// A sign of life.
    pub(super) fn urgent() -> Self {
        Self {
            urgent: true,
            ..Self::plain(1)
        }
    }
}

/// A verb with its parameters, whatever its type.
pub(super) trait WriteOperation: Send {
    /// How to treat it.
    fn options(&self) -> WriteOptions;
    /// Does it, inside a transaction.
    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<()>;
    /// Answers: with what `apply` returned if it was committed, else with the failure.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// A verb made of a closure and a waiting caller.
pub(super) struct WriteCall<R, F> {
    options: WriteOptions,
    run: F,
    result: Option<R>,
    reply_to: oneshot::Sender<Result<R>>,
}

impl<R, F> WriteCall<R, F> {
    /// A verb that runs `run`.
    pub(super) fn new(options: WriteOptions, run: F) -> (Self, oneshot::Receiver<Result<R>>) {
        let (reply_to, answer) = oneshot::channel();
        (
            Self {
                options,
                run,
                result: None,
                reply_to,
            },
            answer,
        )
    }
}

impl<R, F> WriteOperation for WriteCall<R, F>
where
    R: Send,
    F: FnMut(&mut Tx<'_>) -> Result<R> + Send,
{
    fn options(&self) -> WriteOptions {
        self.options
    }

    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        // A panic must not take the writer down with everybody else's jobs.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.run)(tx)));
        self.result = Some(outcome.unwrap_or_else(|_| Err(internal_error()))?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let Self { result, reply_to, .. } = *self;
        let answer = committed.and_then(|()| result.ok_or_else(internal_error));
        // Whoever no longer waits does not want to know.
        let _ = reply_to.send(answer);
    }
}

fn internal_error() -> Error {
    Error::new(
        ErrorCode::StoreError,
        "the store failed by a defect of its own; please report it",
    )
}
