//! Inserts that nobody waits for, with a claim sent right behind on the same connection: the server executes both one after the
//! other, and the claim need not wait until this process knows of the insert.
//!
//! Invariant: the claim is sent behind one statement that is a transaction of its own, never into another one.

use super::failure::DbResult;
use super::insert::Outcome;
use super::session::Session;
use super::writer::Writer;
use super::{Inner, PostgresStore, claim};
use crate::error::{Error, Result};
use crate::model::{JobId, NewJob};
use crate::store::{ClaimParams, Claimed, DirectInsert, DirectStore, Done, InsertParams, Inserted, Token};
use std::sync::{Mutex, PoisonError};
use tokio::sync::oneshot;

/// A claim that follows an insert. It is dropped where it cannot be made with it: then the news of the insert leads to one.
pub(super) struct DirectClaim {
    params: ClaimParams,
    /// The last token before those of its runs.
    token: Token,
    claimed: Done<Claimed>,
}

/// What became of the claim, if it was made.
type ClaimOutcome = Option<DbResult<claim::Answer>>;

impl DirectStore for PostgresStore {
    fn insert_directly(&self, direct: DirectInsert) {
        if let Err(error) = self.inner_if_open() {
            return (direct.inserted)(Err(error));
        }
        let DirectInsert {
            insert,
            inserted,
            claim,
        } = direct;
        let claim = claim.filter(|_| insert.jobs.iter().all(is_one_statement));
        let claim = claim.map(|(params, claimed)| DirectClaim {
            token: self.reserve_tokens(params.slots),
            params,
            claimed,
        });
        self.writer.insert_directly(insert, inserted, claim);
    }
}

/// Whether nothing but the one statement that inserts it can be needed.
fn is_one_statement(job: &NewJob) -> bool {
    let options = &job.options;
    matches!(job.id, JobId::Generated(_)) && options.unique.is_none() && options.concurrency.is_none()
}

impl DirectClaim {
    /// Sends `insert` and the claim. A claim that would be sent again is not made: it may have been, and its answer lost.
    pub(super) async fn behind(
        claim: Option<&(Self, &EarlyReply)>,
        insert: impl Future<Output = DbResult<Outcome>>,
        (inner, session, resent): (&Inner, &Session, bool),
    ) -> DbResult<(Outcome, ClaimOutcome)> {
        let Some((claim, early)) = claim.filter(|_| !resent) else {
            return Ok((insert.await?, None));
        };
        let positions = (&inner.scan_positions, &inner.claim_limit);
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

    /// Tells of it. Returns whether all jobs of the insert were claimed, so that they are no news.
    pub(super) async fn finish(self, inner: &Inner, insert: &InsertParams, outcome: ClaimOutcome) -> bool {
        let answer = match outcome {
            Some(Ok(answer)) => answer,
            // The news of the insert leads to a claim, and that says what is the matter.
            Some(Err(_)) | None => return false,
        };
        let claim::Answer { claimed, handed_back } = answer;
        inner.hand_back(&self.params, handed_back).await;
        if !claimed.runs.is_empty() || claimed.more {
            inner.counters_written();
        }
        let is_claimed = |job: &NewJob| claimed.runs.iter().any(|run| run.id == job.id);
        let all_claimed = insert.jobs.iter().all(is_claimed);
        (self.claimed)(Ok(claimed));
        all_claimed
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

impl Writer {
    /// Queues an insert without waiting for room, of which its caller makes sure.
    pub(super) fn insert_directly(
        &self,
        params: InsertParams,
        inserted: Done<Vec<Inserted>>,
        claim: Option<DirectClaim>,
    ) {
        self.try_send(params, Reply::Direct(inserted), claim)
            .unwrap_or_else(|reply| reply.send(Err(Error::closed())));
    }
}
