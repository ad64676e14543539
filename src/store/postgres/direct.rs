//! Inserts that nobody waits for, with a [claim](super::direct_claim) behind them.

use super::PostgresStore;
use super::direct_claim::{DirectClaim, Reply};
use crate::error::Error;
use crate::model::{JobId, NewJob};
use crate::store::{DirectInsert, DirectStore};

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
        // Callers have few under way, so that there is room.
        if let Err(reply) = self.writer.try_send(insert, Reply::Direct(inserted), claim) {
            reply.send(Err(Error::closed()));
        }
    }
}

/// Whether nothing but the one statement that inserts it can be needed.
fn is_one_statement(job: &NewJob) -> bool {
    let options = &job.options;
    matches!(job.id, JobId::Generated(_)) && options.unique.is_none() && options.concurrency.is_none()
}
