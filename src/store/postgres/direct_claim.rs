//! A claim that is sent right behind an insert on the same connection: the server executes both one after the other, and the claim
//! need not wait until this process knows of the insert.
//!
//! Invariant: the claim is sent behind one statement that is a transaction of its own, never into another one.

use super::claim::{self, ClaimLimit};
use super::failure::DbResult;
use super::insert::Outcome;
use super::scan_positions::ScanPositions;
use super::session::Session;
use crate::error::Result;
use crate::store::{ClaimParams, Claimed, Done, Inserted, Token};
use std::sync::{Mutex, PoisonError};
use tokio::sync::oneshot;

/// A claim that follows an insert. It is dropped where it cannot be made with it: then the news of the insert leads to one.
pub(super) struct DirectClaim {
    pub(super) params: ClaimParams,
    /// The last token before those of its runs.
    pub(super) token: Token,
    pub(super) claimed: Done<Claimed>,
}

/// What became of the claim, if it was made.
pub(super) type ClaimOutcome = Option<DbResult<claim::Answer>>;

impl DirectClaim {
    /// Sends `insert` and the claim. A claim that would be sent again is not made: it may have been, and its answer lost.
    pub(super) async fn behind(
        claim: Option<&(Self, &EarlyReply)>,
        insert: impl Future<Output = DbResult<Outcome>>,
        (session, resent): (&Session, bool),
        positions: (&ScanPositions, &ClaimLimit),
    ) -> DbResult<(Outcome, ClaimOutcome)> {
        let Some((claim, early)) = claim.filter(|_| !resent) else {
            return Ok((insert.await?, None));
        };
        let insert = async {
            let written = insert.await;
            if let Ok((answers, _)) = &written
                && let Some(reply) = early.take()
            {
                reply.send(Ok(answers.clone()));
            }
            written
        };
        // Both are polled in this order, and what is polled first is sent first.
        let claim = claim::apply(session, positions, &claim.params, claim.token);
        let (written, claimed) = futures_util::future::join(insert, claim).await;
        Ok((written?, Some(claimed)))
    }
}

/// Who waits for an insert.
pub(super) enum Reply {
    Caller(oneshot::Sender<Result<Vec<Inserted>>>),
    Direct(Done<Vec<Inserted>>),
    Nobody,
}

impl Reply {
    pub(super) fn send(self, answer: Result<Vec<Inserted>>) {
        match self {
            // The caller may have stopped waiting.
            Self::Caller(caller) => drop(caller.send(answer)),
            Self::Direct(done) => done(answer),
            Self::Nobody => {}
        }
    }

    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Nobody)
    }
}

/// Who waits for an insert, and is answered while the claim behind it is still being made.
#[derive(Default)]
pub(super) struct EarlyReply(Mutex<Option<Reply>>);

impl EarlyReply {
    pub(super) fn keep(&self, reply: Reply) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
    }

    /// `None`: answered, or there was nobody.
    pub(super) fn take(&self) -> Option<Reply> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
