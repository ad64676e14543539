//! What an attempt has finished and need not do again: the memory of a run, from its first attempt to its end.
//!
//! Invariant: a step that was recorded is seen by every later attempt of its run, whichever process makes it.

use crate::engine::engine::Engine;
use crate::engine::handler::Attempt;
use crate::error::{Error, ErrorCode, Result};
use crate::store::{ClaimRef, Step, Store, Token};
use std::sync::{Arc, Weak};

/// The finished steps of one run.
pub struct Steps {
    /// Not kept open by it: a store in memory ends with its last user.
    store: Weak<dyn Store>,
    holder: ClaimRef,
    /// Before all tags: what a part of a feature finishes is its own.
    prefix: String,
}

impl Steps {
    /// Those of an attempt's run.
    #[must_use]
    pub fn new(store: Weak<dyn Store>, attempt: &Attempt) -> Self {
        let holder = ClaimRef::of(attempt.instance, &attempt.run);
        let prefix = attempt
            .part
            .as_ref()
            .map_or_else(String::new, |part| format!("{}/", part.name));
        Self { store, holder, prefix }
    }

    /// Those of an attempt that JavaScript has.
    ///
    /// # Errors
    /// `LEASE_LOST` when it is over, or was given up.
    pub fn of_token(engine: &Engine, token: Token) -> Result<Self> {
        let store = Arc::downgrade(&engine.store);
        match engine.in_flight.holder(token) {
            Some(holder) => Ok(Self {
                store,
                holder,
                prefix: String::new(),
            }),
            None => Err(Error::new(
                ErrorCode::LeaseLost,
                "the attempt is over: a step that ends now is not written down",
            )),
        }
    }

    fn store(&self) -> Result<Arc<dyn Store>> {
        self.store.upgrade().ok_or_else(Error::closed)
    }

    /// What is finished, in the order it was.
    ///
    /// # Errors
    /// What the store says.
    pub async fn finished(&self) -> Result<Vec<Step>> {
        let all = self.store()?.steps(self.holder.job, self.holder.run).await?;
        if self.prefix.is_empty() {
            return Ok(all);
        }
        let own = all.into_iter().filter_map(|step| {
            let tag = step.tag.strip_prefix(&self.prefix)?.into();
            Some(Step { tag, ..step })
        });
        Ok(own.collect())
    }

    /// Writes down that a step is finished, with the JSON text of its result; committed when it returns. A step that is
    /// there already stays as it is.
    ///
    /// # Errors
    /// `LEASE_LOST` when the run is no longer this process's, `VALIDATION_ERROR` for a step that is too large or one too
    /// many; what the store says.
    pub async fn record(&self, tag: &str, result: Option<&str>) -> Result<()> {
        let step = Step {
            tag: format!("{}{tag}", self.prefix).into(),
            result: result.map(Into::into),
        };
        self.store()?.record_step(self.holder, step).await
    }

    /// Forgets those with these tags, since what they did was undone.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn forget(&self, tags: Vec<Box<str>>) -> Result<()> {
        self.store()?.forget_steps(self.holder, tags).await
    }
}
