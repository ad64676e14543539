//! The one connection of a broker, shared by all attempts: made on first use, and anew after it was lost.
//!
//! Knows no protocol. Invariants: one attempt connects at a time, and those that waited for it share what came of it, so
//! that a server that hangs costs each of them one wait and not one after the other; a connection that has left a question
//! unanswered for long, with no other answer since, is not used any more.

use crate::connector::Failure;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long is waited for a broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until a connection stands, with authentication.
    pub(super) connect: Duration,
    /// Until a message is acknowledged.
    pub(super) answer: Duration,
    /// Until a connection that answers nothing at all is given up.
    pub(super) silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(20),
            silence: Duration::from_secs(10),
        }
    }
}

/// When a connection was asked and when it answered.
#[derive(Debug)]
struct Pulse {
    /// The first question since the last answer.
    asked: Option<Instant>,
    answered: Instant,
}

/// A connection that stands, or stood.
pub(super) struct Live<C> {
    /// The client's own.
    pub(super) connection: C,
    pulse: Mutex<Pulse>,
}

impl<C> Live<C> {
    fn new(connection: C) -> Self {
        let pulse = Pulse {
            asked: None,
            answered: Instant::now(),
        };
        Self {
            connection,
            pulse: Mutex::new(pulse),
        }
    }

    fn pulse(&self) -> MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A question goes out.
    pub(super) fn ask(&self) {
        self.pulse().asked.get_or_insert_with(Instant::now);
    }

    /// An answer came, to whichever question.
    pub(super) fn answered(&self) {
        *self.pulse() = Pulse {
            asked: None,
            answered: Instant::now(),
        };
    }

    /// Whether any answer came since.
    pub(super) fn has_answered_since(&self, then: Instant) -> bool {
        self.pulse().answered > then
    }

    /// How long it has answered nothing.
    pub(super) fn idle(&self) -> Duration {
        self.pulse().answered.elapsed()
    }

    fn is_silent(&self, silence: Duration) -> bool {
        self.pulse().asked.is_some_and(|asked| asked.elapsed() > silence)
    }
}

struct State<C> {
    live: Option<Arc<Live<C>>>,
    /// The last attempt to connect that failed: when it ended, and how.
    failed: Option<(Instant, Failure)>,
}

/// The place of the connection.
pub(super) struct Link<C> {
    state: tokio::sync::Mutex<State<C>>,
}

impl<C> Link<C> {
    pub(super) fn new() -> Self {
        Self {
            state: tokio::sync::Mutex::new(State {
                live: None,
                failed: None,
            }),
        }
    }

    /// The connection there is, if it is to be kept, which may depend on whether it has fallen silent; else a new one.
    ///
    /// # Errors
    /// What `connect` says, or said to an attempt that this one waited for.
    pub(super) async fn get<F>(
        &self,
        keep: impl Fn(&C, bool) -> bool,
        silence: Duration,
        connect: impl FnOnce() -> F,
    ) -> Result<Arc<Live<C>>, Failure>
    where
        F: Future<Output = Result<C, Failure>>,
    {
        let came = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(live) = &state.live {
            if keep(&live.connection, live.is_silent(silence)) {
                return Ok(Arc::clone(live));
            }
            state.live = None;
        }
        if let Some((ended, failure)) = &state.failed
            && *ended > came
        {
            return Err(failure.clone());
        }
        match connect().await {
            Ok(connection) => {
                let live = Arc::new(Live::new(connection));
                state.failed = None;
                state.live = Some(Arc::clone(&live));
                Ok(live)
            }
            Err(failure) => {
                state.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// This connection is not used any more.
    pub(super) async fn forget(&self, lost: &Arc<Live<C>>) {
        let mut state = self.state.lock().await;
        if state.live.as_ref().is_some_and(|live| Arc::ptr_eq(live, lost)) {
            state.live = None;
        }
    }

    /// The connection, which is not used any more.
    pub(super) async fn take(&self) -> Option<Arc<Live<C>>> {
        self.state.lock().await.live.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const LONG: Duration = Duration::from_secs(60);

    fn always(_: &usize, silent: bool) -> bool {
        !silent
    }

    #[tokio::test]
    async fn attempts_that_come_at_once_share_one_connection() {
        let link = Link::new();
        let made = AtomicUsize::new(0);
        let connect = || async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(made.fetch_add(1, Ordering::Relaxed))
        };
        let all = futures_util::future::join_all((0..20).map(|_| link.get(always, LONG, connect))).await;
        assert!(all.into_iter().all(|live| live.unwrap().connection == 0));
        let lost = link.get(always, LONG, connect).await.unwrap();
        link.forget(&lost).await;
        let next = link.get(always, LONG, connect).await.unwrap();
        assert_eq!(next.connection, 1);
        // Who lost the first one late takes nothing from the others.
        link.forget(&lost).await;
        assert_eq!(link.get(always, LONG, connect).await.unwrap().connection, 1);
        assert_eq!(link.get(|_, _| false, LONG, connect).await.unwrap().connection, 2);
    }

    #[tokio::test]
    async fn those_that_wait_for_a_connection_share_its_failure() {
        let link = Link::<usize>::new();
        let tried = AtomicUsize::new(0);
        let connect = || async {
            tried.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            Err(Failure::connection("refused"))
        };
        let all = futures_util::future::join_all((0..20).map(|_| link.get(always, LONG, connect))).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!(tried.load(Ordering::Relaxed), 1);
        // Who comes later tries again.
        assert!(link.get(always, LONG, connect).await.is_err());
        assert_eq!(tried.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_connection_that_leaves_questions_unanswered_is_given_up() {
        let link = Link::new();
        let silence = Duration::from_millis(20);
        let live = link.get(always, silence, || async { Ok(1) }).await.unwrap();
        live.ask();
        tokio::time::sleep(Duration::from_millis(30)).await;
        live.ask();
        assert!(live.is_silent(silence));
        live.answered();
        live.ask();
        assert_eq!(
            link.get(always, silence, || async { Ok(2) }).await.unwrap().connection,
            1
        );
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(
            link.get(always, silence, || async { Ok(2) }).await.unwrap().connection,
            2
        );
    }

    #[tokio::test]
    async fn an_attempt_that_is_dropped_while_it_connects_leaves_the_way_free() {
        let link = Link::new();
        let stuck = link.get(always, LONG, std::future::pending::<Result<usize, Failure>>);
        assert!(tokio::time::timeout(Duration::from_millis(10), stuck).await.is_err());
        assert_eq!(link.get(always, LONG, || async { Ok(1) }).await.unwrap().connection, 1);
    }
}
