//! A verb on its way to the writer: what to do, how important it is, and who waits for the answer.
//!
//! Invariant: a verb can be applied again after a rollback, and is answered once.

use super::tx::Tx;
use crate::error::{Error, ErrorCode, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::oneshot;

/// How the writer treats a verb.
#[derive(Clone, Copy, Debug)]
pub(super) struct Treatment {
    /// Its answer means that it is on the disk, not only in the operating system's memory.
    pub(super) synced: bool,
    /// Goes before all that waits.
    pub(super) urgent: bool,
    /// Has a transaction of its own, so that nobody's answer waits for more of it than the part that is under way.
    pub(super) aside: bool,
    /// About how many rows it moves.
    pub(super) rows: usize,
}

impl Treatment {
    /// Like most verbs: in turn, not synced.
    pub(super) fn plain(rows: usize) -> Self {
        Self {
            synced: false,
            urgent: false,
            aside: false,
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
    pub(super) fn aside() -> Self {
        Self {
            aside: true,
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
pub(super) trait Verb: Send {
    /// How to treat it.
    fn treatment(&self) -> Treatment;
    /// Does it, inside a transaction.
    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<()>;
    /// Answers: with what `apply` returned if it was committed, else with the failure.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// A verb made of a closure and a waiting caller.
pub(super) struct Call<R, F> {
    treatment: Treatment,
    run: F,
    result: Option<R>,
    caller: oneshot::Sender<Result<R>>,
}

impl<R, F> Call<R, F> {
    /// A verb that runs `run`.
    pub(super) fn new(treatment: Treatment, run: F) -> (Self, oneshot::Receiver<Result<R>>) {
        let (caller, answer) = oneshot::channel();
        (
            Self {
                treatment,
                run,
                result: None,
                caller,
            },
            answer,
        )
    }
}

impl<R, F> Verb for Call<R, F>
where
    R: Send,
    F: FnMut(&mut Tx<'_>) -> Result<R> + Send,
{
    fn treatment(&self) -> Treatment {
        self.treatment
    }

    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        // A panic must not take the writer down with everybody else's jobs.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.run)(tx)));
        self.result = Some(outcome.unwrap_or_else(|_| Err(broken()))?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let Self { result, caller, .. } = *self;
        let answer = committed.and_then(|()| result.ok_or_else(broken));
        // Whoever no longer waits does not want to know.
        let _ = caller.send(answer);
    }
}

fn broken() -> Error {
    Error::new(
        ErrorCode::StoreError,
        "the store failed by a defect of its own; please report it",
    )
}
