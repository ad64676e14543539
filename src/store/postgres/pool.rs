//! A few sessions, made when they are needed, and what happens to a verb whose session fails.
//!
//! Knows no verb. Invariant: a session is used by one verb at a time; a verb waits for a server that is away no longer
//! than its patience, and for an answer no longer than its deadline.

use super::failure::{Attempt, Failure, Remedy};
use super::session::{Connector, Session};
use crate::error::{Error, Result};
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Times a verb begins anew because other transactions were in its way.
const TRIES: usize = 20;
/// Pause before the second try to connect; doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How a verb is treated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// How long to wait for one answer.
    pub(super) deadline: Duration,
    /// How long to keep trying while there is no server.
    pub(super) patience: Duration,
    /// Whether it may be sent again when its outcome is unknown.
    pub(super) resend: bool,
}

impl Manner {
    /// What a user waits for; sending it twice does no harm.
    pub(super) const PATIENT: Self = Self {
        deadline: Duration::from_secs(5),
        patience: Duration::from_secs(10),
        resend: true,
    };
    /// What a user waits for, and what would be refused or done twice when sent twice.
    pub(super) const ONCE: Self = Self {
        resend: false,
        ..Self::PATIENT
    };
    /// What the engine tries again by itself.
    pub(super) const ENGINE: Self = Self {
        deadline: Duration::from_secs(8),
        patience: Duration::from_secs(2),
        resend: true,
    };
    /// What reads much.
    pub(super) const LONG: Self = Self {
        deadline: Duration::from_secs(45),
        patience: Duration::from_secs(10),
        resend: true,
    };
    /// A sign of life, well within a lease.
    pub(super) const SIGN: Self = Self {
        deadline: Duration::from_secs(2),
        patience: Duration::from_secs(2),
        resend: true,
    };
}

/// Some sessions.
pub(super) struct Pool {
    connector: Arc<Connector>,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Arc<Session>>>>,
}

/// A session that belongs to one verb; goes back when it is dropped, if it is sound.
pub(super) struct Lease {
    session: Arc<Session>,
    idle: Arc<Mutex<Vec<Arc<Session>>>>,
    permit: OwnedSemaphorePermit,
}

impl Deref for Lease {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.session.is_sound() && !self.permit.semaphore().is_closed() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(Arc::clone(&self.session));
        }
    }
}

impl Pool {
    pub(super) fn new(connector: Arc<Connector>, sessions: usize) -> Self {
        Self {
            connector,
            permits: Arc::new(Semaphore::new(sessions)),
            idle: Arc::default(),
        }
    }

    /// Ends all sessions; verbs under way end with theirs.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The tries of one verb.
    pub(super) fn attempts(&self, manner: Manner) -> Attempts<'_> {
        Attempts {
            pool: self,
            manner,
            give_up: Instant::now() + manner.patience,
            pause: FIRST_PAUSE,
            tries: 0,
            resent: false,
        }
    }

    /// A session, within `limit` if it has to be made.
    async fn lease(&self, limit: Duration) -> Attempt<Lease> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| Error::closed())?;
        let idle = loop {
            let found = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match found {
                Some(session) if !session.is_sound() => {}
                found => break found,
            }
        };
        let session = match idle {
            Some(session) => session,
            None => Arc::new(self.connect(limit).await?),
        };
        Ok(Lease {
            session,
            idle: Arc::clone(&self.idle),
            permit,
        })
    }

    async fn connect(&self, limit: Duration) -> Attempt<Session> {
        let limit = self.connector.address.connect_timeout.min(limit);
        match tokio::time::timeout(limit, self.connector.connect(|_| {})).await {
            Ok(connected) => connected,
            Err(_) => Err(Failure::Late(limit)),
        }
    }
}

/// The tries of one verb.
pub(super) struct Attempts<'a> {
    pool: &'a Pool,
    manner: Manner,
    give_up: Instant,
    pause: Duration,
    tries: usize,
    resent: bool,
}

impl Attempts<'_> {
    /// A session for the next try.
    pub(super) async fn session(&mut self) -> Result<Lease> {
        loop {
            match self.pool.lease(self.manner.deadline).await {
                Ok(lease) => return Ok(lease),
                Err(failure) => self.consider(failure).await?,
            }
        }
    }

    /// Whether this is sent again after an outcome that is unknown.
    pub(super) fn resent(&self) -> bool {
        self.resent
    }

    /// Waits for an answer as long as the deadline says.
    pub(super) async fn bounded<T>(&self, session: &Session, verb: impl Future<Output = Attempt<T>>) -> Attempt<T> {
        match tokio::time::timeout(self.manner.deadline, verb).await {
            Ok(outcome) => outcome,
            Err(_) => {
                session.taint();
                Err(Failure::Late(self.manner.deadline))
            }
        }
    }

    /// The answer; `None`: try again.
    pub(super) async fn settle<T>(&mut self, lease: Lease, outcome: Attempt<T>) -> Result<Option<T>> {
        let failure = match outcome {
            Ok(answer) => return Ok(Some(answer)),
            Err(failure) => failure,
        };
        if failure.remedy() == Remedy::Reconnect {
            lease.taint();
        }
        // Given back first: while this verb waits, others may try.
        drop(lease);
        if failure.remedy() == Remedy::Reconnect {
            if failure.is_unknown() && !self.manner.resend {
                return Err(failure.into_error());
            }
            // A statement that was a transaction by itself may have been committed.
            self.resent = true;
        }
        self.consider(failure).await?;
        Ok(None)
    }

    async fn consider(&mut self, failure: Failure) -> Result<()> {
        self.tries += 1;
        match failure.remedy() {
            Remedy::Again if self.tries < TRIES => {
                // Two that are in each other's way should not meet again at the same moment.
                if self.tries > 2 {
                    tokio::time::sleep(Duration::from_millis(self.tries as u64)).await;
                }
                Ok(())
            }
            Remedy::Reconnect if Instant::now() + self.pause < self.give_up => {
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                Ok(())
            }
            _ => Err(failure.into_error()),
        }
    }
}

/// Runs a verb on a session of a pool until it has an answer, or there is no hope.
macro_rules! attempt {
    ($pool:expr, $manner:expr, |$session:ident, $resent:ident| $verb:expr) => {{
        let mut attempts = $pool.attempts($manner);
        loop {
            let lease = attempts.session().await?;
            let $resent = attempts.resent();
            let outcome = {
                let $session: &crate::store::postgres::session::Session = &lease;
                attempts.bounded($session, $verb).await
            };
            if let Some(answer) = attempts.settle(lease, outcome).await? {
                break answer;
            }
        }
    }};
    ($pool:expr, $manner:expr, |$session:ident| $verb:expr) => {
        crate::store::postgres::pool::attempt!($pool, $manner, |$session, _resent| $verb)
    };
}
pub(super) use attempt;
