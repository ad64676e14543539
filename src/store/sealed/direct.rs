//! Direct inserts, where there are no keys: texts that look sealed are quoted on the way in and as they were on the way out.

use super::SealedStore;
use crate::error::{Error, Result};
use crate::store::{Claimed, DirectInsert, DirectStore, Done};
use std::sync::Arc;

impl DirectStore for SealedStore {
    fn insert_directly(&self, mut direct: DirectInsert) {
        let Some(inner) = self.inner.direct() else {
            return (direct.inserted)(Err(Error::closed()));
        };
        let jobs = &mut direct.insert.jobs;
        if let Err(error) = jobs.iter_mut().try_for_each(|job| self.keys.seal_job(job)) {
            return (direct.inserted)(Err(error));
        }
        direct.claim = direct.claim.map(|(params, claimed)| {
            let keys = Arc::clone(&self.keys);
            let opened: Done<Claimed> = Box::new(move |found: Result<Claimed>| {
                claimed(found.map(|mut found| {
                    found.runs.iter_mut().for_each(|run| keys.open_run(run));
                    found
                }));
            });
            (params, opened)
        });
        inner.insert_directly(direct);
    }
}
