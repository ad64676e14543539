//! Lets dispatches with a session in: checks beside the intake, since they may wait for a secret or the store.
//!
//! Invariants: units of one session resource leave in the order they came; a check that hangs holds back its own resource
//! only, and ends when the instance closes.

use super::super::dispatch::Dispatch;
use super::reading::{GuardedUnit, SessionResourceId, Unit};
use crate::engine::Engine;
use crate::error::{Error, ErrorCode, Problem, Result};
use crate::model::job::Session;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, mpsc, watch};

/// Session resources whose checks are under way at once; others wait for one of them to end.
const MAX_ADMISSIONS: usize = 64;

/// Checks sessions.
#[async_trait]
pub(super) trait SessionChecker: Send + Sync {
    /// Whether the token is right, valid now and not revoked: one signature, and at most one read of the store.
    async fn check(&self, product: &str, session: &Session) -> Result<()>;
}

#[async_trait]
impl SessionChecker for Engine {
    async fn check(&self, product: &str, session: &Session) -> Result<()> {
        let now = self.clock.now();
        let sessions = &self.config.sessions;
        sessions
            .verify(&*self.store, product, session, Some(now))
            .await
            .map(drop)
    }
}

/// What became of a unit.
pub(super) struct Admitted {
    /// What may be inserted, if anything.
    pub(super) unit: Option<Unit>,
    pub(super) refused: Vec<(u64, Error)>,
    /// Bytes that no longer count as queued.
    pub(super) bytes: usize,
}

impl Admitted {
    fn refuse(tickets: Vec<u64>, error: &Error) -> Self {
        Self {
            unit: None,
            refused: tickets.into_iter().map(|ticket| (ticket, error.clone())).collect(),
            bytes: 0,
        }
    }
}

/// The queues before the checks: one for each session resource that has something to check.
pub(super) struct Admissions {
    /// A queue has a task as long as it is in here.
    queues: Mutex<HashMap<SessionResourceId, Vec<GuardedUnit>>>,
    permits: Semaphore,
    admitted: mpsc::Sender<Admitted>,
    closing: watch::Receiver<bool>,
}

impl Admissions {
    /// What was let in comes out of the receiver. Once `closing` is true all that waits is refused with `CLOSED`.
    pub(super) fn new(closing: watch::Receiver<bool>) -> (Arc<Self>, mpsc::Receiver<Admitted>) {
        let (admitted, receiver) = mpsc::channel(MAX_ADMISSIONS);
        let admissions = Self {
            queues: Mutex::default(),
            permits: Semaphore::new(MAX_ADMISSIONS),
            admitted,
            closing,
        };
        (Arc::new(admissions), receiver)
    }

    /// Puts a unit at the end of its queue.
    pub(super) fn enqueue<C: SessionChecker + 'static>(self: &Arc<Self>, checker: &Arc<C>, unit: GuardedUnit) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get_mut(&unit.resource) {
            queue.push(unit);
            return;
        }
        let resource = unit.resource.clone();
        queues.insert(resource.clone(), vec![unit]);
        tokio::spawn(Arc::clone(self).work_off(Arc::clone(checker), resource));
    }

    /// Works off one queue until it is empty. What has gathered is checked together, so that a source of secrets that
    /// does not answer is waited for once.
    async fn work_off<C: SessionChecker + 'static>(self: Arc<Self>, checker: Arc<C>, resource: SessionResourceId) {
        while let Some(units) = self.next_units(&resource) {
            let mut memo = SessionMemo::default();
            for GuardedUnit { unit, bytes, .. } in units {
                let mut admitted = self.admit(&checker, unit, &mut memo).await;
                admitted.bytes = bytes;
                if self.admitted.send(admitted).await.is_err() {
                    return;
                }
            }
        }
    }

    /// All that waits in a queue; `None`: nothing, and the queue is gone.
    fn next_units(&self, resource: &SessionResourceId) -> Option<Vec<GuardedUnit>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let units = std::mem::take(queues.get_mut(resource)?);
        if units.is_empty() {
            queues.remove(resource);
            return None;
        }
        Some(units)
    }

    /// Checks a unit, on a task of its own: should that panic, its callers are told.
    async fn admit<C: SessionChecker + 'static>(
        &self,
        checker: &Arc<C>,
        unit: Unit,
        memo: &mut SessionMemo,
    ) -> Admitted {
        let tickets = unit.tickets();
        let mut closing = self.closing.clone();
        let Ok(_permit) = self.permits.acquire().await else {
            return Admitted::refuse(tickets, &Error::closed());
        };
        let (checker, mut own_memo) = (Arc::clone(checker), std::mem::take(memo));
        let mut check = tokio::spawn(async move {
            let admitted = admit_unit(&*checker, unit, &mut own_memo).await;
            (admitted, own_memo)
        });
        tokio::select! {
            biased;
            checked = &mut check => match checked {
                Ok((admitted, checked_memo)) => {
                    *memo = checked_memo;
                    admitted
                }
                Err(_) => Admitted::refuse(tickets, &check_panicked()),
            },
            _ = closing.wait_for(|closing| *closing) => {
                check.abort();
                Admitted::refuse(tickets, &Error::closed())
            }
        }
    }
}

fn check_panicked() -> Error {
    Error::new(
        ErrorCode::StoreError,
        "the session could not be checked; report this as a bug",
    )
}

async fn admit_unit(checker: &dyn SessionChecker, unit: Unit, memo: &mut SessionMemo) -> Admitted {
    match unit {
        Unit::Singles(dispatches) => admit_singles(checker, dispatches, memo).await,
        Unit::List(ticket, dispatches) => {
            for (index, dispatch) in dispatches.iter().enumerate() {
                if let Err(error) = memo.check(checker, dispatch).await {
                    return Admitted::refuse(vec![ticket], &indexed(index, error));
                }
            }
            Admitted {
                unit: Some(Unit::List(ticket, dispatches)),
                refused: Vec::new(),
                bytes: 0,
            }
        }
    }
}

async fn admit_singles(
    checker: &dyn SessionChecker,
    dispatches: Vec<(u64, Dispatch)>,
    memo: &mut SessionMemo,
) -> Admitted {
    let mut passed = Vec::with_capacity(dispatches.len());
    let mut refused = Vec::new();
    for (ticket, dispatch) in dispatches {
        match memo.check(checker, &dispatch).await {
            Ok(()) => passed.push((ticket, dispatch)),
            Err(error) => refused.push((ticket, error)),
        }
    }
    Admitted {
        unit: Some(Unit::Singles(passed)),
        refused,
        bytes: 0,
    }
}

/// What was found of the sessions of dispatches that were all made before the first check, so that each token is checked
/// once for all of them.
#[derive(Default)]
struct SessionMemo {
    /// By resource and token.
    checked: HashMap<SessionResourceId, CheckedTokens>,
}

#[derive(Default)]
struct CheckedTokens {
    by_token: HashMap<Box<str>, Result<()>>,
    /// Why no token of the resource can be checked.
    unavailable: Option<Error>,
}

impl SessionMemo {
    async fn check(&mut self, checker: &dyn SessionChecker, dispatch: &Dispatch) -> Result<()> {
        let Some(session) = &dispatch.job.options.session else {
            return Ok(());
        };
        let product = &dispatch.job.route.product;
        let resource = SessionResourceId {
            product: product.clone(),
            tag: session.tag.clone(),
        };
        let tokens = self.checked.entry(resource).or_default();
        if let Some(error) = &tokens.unavailable {
            return Err(error.clone());
        }
        if let Some(known) = tokens.by_token.get(&session.token) {
            return known.clone();
        }
        let checked = checker.check(product, session).await;
        // A signature takes up to 100 µs, and a list may have thousands of tokens.
        tokio::task::yield_now().await;
        match &checked {
            // Not a fault of the token: the source of secrets, the key or the store.
            Err(error) if error.code != ErrorCode::Unauthorized => tokens.unavailable = Some(error.clone()),
            _ => drop(tokens.by_token.insert(session.token.clone(), checked.clone())),
        }
        checked
    }
}

fn indexed(index: usize, error: Error) -> Error {
    if error.details.is_empty() {
        return Error::new(error.code, format!("[{index}]: {}", error.message));
    }
    let details = error.details.into_iter();
    let details = details.map(|problem| Problem {
        path: format!("[{index}].{}", problem.path),
        ..problem
    });
    Error::invalid(details.collect())
}

#[cfg(test)]
mod tests;
