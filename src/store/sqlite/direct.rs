//! Inserts that are handed to the writer's thread without waiting for it, with a claim in the same transaction.
//!
//! Invariant: jobs that are claimed in the transaction that has inserted them are no news to anybody who waits for jobs.

use super::tx::Tx;
use super::write_operation::{WriteCall, WriteOperation, WriteOptions};
use super::writer::Message;
use super::{SqliteStore, claim, insert};
use crate::error::Error;
use crate::store::{ClaimParams, DirectInsert, DirectStore};
use std::sync::mpsc::SendError;
use std::time::Instant;

impl SqliteStore {
    /// How the writer treats a claim. Claims are not synced, and advances have to be: they are left to the caller.
    pub(super) fn claim_call(&self, mut params: ClaimParams) -> (WriteOptions, ClaimParams) {
        params.planner = params.planner.filter(|_| self.readers.is_none());
        (WriteOptions::plain(params.slots), params)
    }
}

impl DirectStore for SqliteStore {
    /// Queues the insert and its claim, so that the writer finds both at once.
    fn insert_directly(&self, direct: DirectInsert) {
        let DirectInsert {
            insert: params,
            inserted,
            claim,
        } = direct;
        if self.shared.is_closed() {
            return inserted(Err(Error::closed()));
        }
        let deadline = Instant::now() + self.call_timeout;
        let options = WriteOptions::synced(params.jobs.len()).of_jobs().unbounded();
        let run = move |tx: &mut Tx<'_>| tx.inserting(|tx| insert::apply(tx, &params));
        let insert = Box::new(WriteCall::new(options, deadline, run, inserted));
        let claim = claim.map(|(params, claimed)| {
            let (options, params) = self.claim_call(params);
            let run = move |tx: &mut Tx<'_>| claim::apply(tx, &params);
            Box::new(WriteCall::new(options.unbounded(), deadline, run, claimed)) as Box<dyn WriteOperation>
        });
        if let Err(SendError(message)) = self.send(Message::WriteOperations(insert, claim)) {
            message.refuse(&self.writer_ended_error());
        }
    }
}
