//! A pool of sessions, opened on demand, and the retries of verbs whose session fails.
//!
//! Knows no verb. Invariant: a session is used by one verb at a time; a verb waits for an unreachable server no longer than
//! its `retry_for`, counted from when it was asked for, and for an answer no longer than its `deadline`. There are never more
//! connections than sessions of the pool, unless the server does not even answer that a statement has been cancelled: one that
//! nobody waits for is cancelled before its session is given up.

use super::failure::{DbResult, Failure, FailureAction};
use super::session::{Connector, Session};
use crate::error::{Error, Result};
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Most attempts of a verb that conflicts with other transactions.
const MAX_TRIES: usize = 20;
/// Pause before the second attempt to connect; doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// While the server fails, a verb waits for an answer no longer than it would still try, and at least this long.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
/// How long the request to cancel a statement may take, and then the statement's end.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

/// Timeouts and retries of a verb.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteOptions {
    /// How long to wait for one answer.
    pub(super) deadline: Duration,
    /// How long to retry while the server is unreachable.
    pub(super) retry_for: Duration,
    /// Whether it may be resent when its outcome is unknown.
    pub(super) resend: bool,
    /// When it was asked for, if that was before now.
    pub(super) since: Option<Instant>,
}

impl WriteOptions {
    /// For idempotent verbs that a user waits for.
    pub(super) const DEFAULT: Self = Self {
        deadline: Duration::from_secs(5),
        retry_for: Duration::from_secs(10),
        resend: true,
        since: None,
    };
    /// For verbs that a user waits for and that are not idempotent.
    pub(super) const NO_RESEND: Self = Self {
        resend: false,
        ..Self::DEFAULT
    };
    /// For verbs that the engine itself retries.
    pub(super) const ENGINE: Self = Self {
        deadline: Duration::from_secs(8),
        retry_for: Duration::from_secs(2),
        resend: true,
        since: None,
    };
    /// For verbs that read a lot.
    pub(super) const LONG_RUNNING: Self = Self {
        deadline: Duration::from_secs(45),
        retry_for: Duration::from_secs(10),
        resend: true,
        since: None,
    };
    /// For lease renewals; well below the length of a lease.
    pub(super) const HEARTBEAT: Self = Self {
        deadline: Duration::from_secs(2),
        retry_for: Duration::from_secs(2),
        resend: true,
        since: None,
    };
}

/// A pool of sessions.
pub(super) struct Pool {
    connector: Arc<Connector>,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Arc<Session>>>>,
    /// Why the last verb failed, while none has succeeded since.
    failing: Mutex<Option<Error>>,
    /// Whether a session that was given up counts as one of the pool's until its statement has ended.
    counts_abandoned: bool,
}

/// A session in use by one verb; returns to the pool when dropped, if still usable.
pub(super) struct PooledSession {
    session: Arc<Session>,
    idle: Arc<Mutex<Vec<Arc<Session>>>>,
    permit: OwnedSemaphorePermit,
}

impl Deref for PooledSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Drop for PooledSession {
    fn drop(&mut self) {
        if self.session.is_usable() && !self.permit.semaphore().is_closed() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(Arc::clone(&self.session));
        }
    }
}

impl PooledSession {
    /// Gives the session up, with a statement under way: the server is told to cancel it, and until it has ended, it counts
    /// as one of the pool's, unless nothing may wait for that. A server that cannot be told has lost the connection, or will
    /// end it.
    fn abandon(self, counts: bool) {
        self.session.mark_broken();
        let session = Arc::clone(&self.session);
        let counted = counts.then_some(self);
        tokio::spawn(async move {
            let cancelled = tokio::time::timeout(CANCEL_LIMIT, session.cancel()).await;
            if matches!(cancelled, Ok(true)) {
                let _ = tokio::time::timeout(CANCEL_LIMIT, session.run("")).await;
            }
            drop(counted);
        });
    }
}

impl Pool {
    pub(super) fn new(connector: Arc<Connector>, sessions: usize) -> Self {
        Self {
            connector,
            permits: Arc::new(Semaphore::new(sessions)),
            idle: Arc::default(),
            failing: Mutex::default(),
            counts_abandoned: true,
        }
    }

    /// One session for what must not wait, also not for the end of what was given up: a lease would end meanwhile.
    pub(super) fn urgent(connector: Arc<Connector>) -> Self {
        Self {
            counts_abandoned: false,
            ..Self::new(connector, 1)
        }
    }

    /// Why the last verb failed, while none has succeeded since.
    fn failing(&self) -> Option<Error> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_failing(&self, error: Option<&Error>) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        *failing = error.cloned();
    }

    /// Why a verb that was asked for then is not tried any more: those that waited for a server that does not answer fail with
    /// the one that tried.
    pub(super) fn too_late(&self, options: WriteOptions) -> Option<Error> {
        let since = options.since?;
        self.failing().filter(|_| since.elapsed() >= options.retry_for)
    }

    /// Closes all sessions; verbs in progress end with theirs.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The attempts of one verb.
    pub(super) fn attempts(&self, options: WriteOptions) -> CallAttempts<'_> {
        CallAttempts {
            pool: self,
            options,
            give_up: options.since.unwrap_or_else(Instant::now) + options.retry_for,
            pause: FIRST_PAUSE,
            tries: 0,
            resent: false,
        }
    }

    /// A session, which may take that long to become free; a new one may take until `give_up` to be opened, and `limit` at most.
    async fn checked_out(&self, wait: Duration, limit: Duration, give_up: Instant) -> DbResult<PooledSession> {
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(wait, permit).await;
        let permit = permit.map_err(|_| Failure::Busy(wait))?.map_err(|_| Error::closed())?;
        let idle = loop {
            let found = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match found {
                Some(session) if !session.is_usable() => {}
                found => break found,
            }
        };
        let session = match idle {
            Some(session) => session,
            None => Arc::new(self.connect(limit.min(until(give_up))).await?),
        };
        Ok(PooledSession {
            session,
            idle: Arc::clone(&self.idle),
            permit,
        })
    }

    async fn connect(&self, limit: Duration) -> DbResult<Session> {
        let limit = self.connector.address.connect_timeout.min(limit);
        match tokio::time::timeout(limit + SHORTEST_WAIT, self.connector.connect(limit, |_| {})).await {
            Ok(connected) => connected,
            Err(_) => Err(Failure::NoAnswer(limit)),
        }
    }
}

/// What is left until then, and never less than is worth a try.
fn until(give_up: Instant) -> Duration {
    give_up.saturating_duration_since(Instant::now()).max(SHORTEST_WAIT)
}

/// The attempts of one verb.
pub(super) struct CallAttempts<'a> {
    pool: &'a Pool,
    options: WriteOptions,
    give_up: Instant,
    pause: Duration,
    tries: usize,
    resent: bool,
}

impl CallAttempts<'_> {
    /// A session for the next attempt.
    pub(super) async fn session(&mut self) -> Result<PooledSession> {
        loop {
            let WriteOptions {
                deadline, retry_for, ..
            } = self.options;
            let wait = match self.pool.failing() {
                Some(_) => self.remaining(),
                None => retry_for.max(deadline),
            };
            match self.pool.checked_out(wait, deadline, self.give_up).await {
                Ok(checked_out) => return Ok(checked_out),
                Err(failure) => self.wait_or_fail(failure).await?,
            }
        }
    }

    /// How long the verb will still be tried.
    fn remaining(&self) -> Duration {
        until(self.give_up)
    }

    /// Whether the verb is resent after an unknown outcome.
    pub(super) fn resent(&self) -> bool {
        self.resent
    }

    /// Waits for an answer until the deadline.
    pub(super) async fn with_deadline<T>(
        &self,
        session: &Session,
        verb: impl Future<Output = DbResult<T>>,
    ) -> DbResult<T> {
        let mut deadline = self.options.deadline;
        if self.pool.failing().is_some() {
            deadline = deadline.min(self.remaining());
        }
        match tokio::time::timeout(deadline, verb).await {
            Ok(outcome) => outcome,
            Err(_) => {
                session.mark_broken();
                Err(Failure::TimedOut(deadline))
            }
        }
    }

    /// The answer; `None`: retry.
    pub(super) async fn finish_call<T>(
        &mut self,
        checked_out: PooledSession,
        outcome: DbResult<T>,
    ) -> Result<Option<T>> {
        let failure = match outcome {
            Ok(answer) => {
                if self.pool.failing().is_some() {
                    self.pool.set_failing(None);
                }
                return Ok(Some(answer));
            }
            Err(failure) => failure,
        };
        if failure.remedy() == FailureAction::Reconnect {
            checked_out.mark_broken();
        }
        // Returned first, so that others can use it while this verb waits.
        match failure {
            Failure::TimedOut(_) => checked_out.abandon(self.pool.counts_abandoned),
            _ => drop(checked_out),
        }
        if failure.remedy() == FailureAction::Reconnect {
            if failure.is_unknown() && !self.options.resend {
                let error = failure.into_error();
                self.pool.set_failing(Some(&error));
                return Err(error);
            }
            // A statement outside a transaction may have been committed.
            self.resent = true;
        }
        self.wait_or_fail(failure).await?;
        Ok(None)
    }

    async fn wait_or_fail(&mut self, failure: Failure) -> Result<()> {
        self.tries += 1;
        let remedy = failure.remedy();
        let error = failure.into_error();
        if remedy == FailureAction::Reconnect {
            self.pool.set_failing(Some(&error));
        }
        match remedy {
            FailureAction::Again if self.tries < MAX_TRIES => {
                // A pause that grows with each attempt, so that two conflicting verbs do not collide again.
                if self.tries > 2 {
                    tokio::time::sleep(Duration::from_millis(self.tries as u64)).await;
                }
                Ok(())
            }
            FailureAction::Reconnect if Instant::now() + self.pause < self.give_up => {
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(MAX_PAUSE);
                Ok(())
            }
            _ => Err(error),
        }
    }
}

/// Runs a verb on sessions of a pool until it has an answer or fails permanently.
macro_rules! with_session {
    ($pool:expr, $options:expr, |$session:ident, $resent:ident| $verb:expr) => {{
        let mut attempts = $pool.attempts($options);
        loop {
            let checked_out = attempts.session().await?;
            let $resent = attempts.resent();
            let outcome = {
                let $session: &crate::store::postgres::session::Session = &checked_out;
                attempts.with_deadline($session, $verb).await
            };
            if let Some(answer) = attempts.finish_call(checked_out, outcome).await? {
                break answer;
            }
        }
    }};
    ($pool:expr, $options:expr, |$session:ident| $verb:expr) => {
        crate::store::postgres::pool::with_session!($pool, $options, |$session, _resent| $verb)
    };
}
pub(super) use with_session;
