//! The one connection of a broker, shared by all attempts: made on first use, and anew after it was lost.
//!
//! Knows no protocol. Invariants: one attempt connects at a time, and those that waited for it share what came of it, so
//! that a server that hangs costs each of them one wait and not one after the other; a connection that has left a request
//! unanswered for too long, with no other response since, is not used any more.

use crate::connector::Failure;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Timeouts of a broker's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For connecting, with authentication.
    pub(super) connect: Duration,
    /// For the acknowledgement of a message.
    pub(super) answer: Duration,
    /// For any response at all, after which a connection is given up.
    pub(super) silence: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(20),
            silence: Duration::from_secs(10),
        }
    }
}

/// Times of requests and responses.
#[derive(Debug)]
struct Activity {
    /// The first request since the last response.
    asked: Option<Instant>,
    answered: Instant,
}

/// An open connection, or one that has failed.
pub(super) struct LiveConnection<C> {
    /// The client's own.
    pub(super) connection: C,
    activity: Mutex<Activity>,
}

impl<C> LiveConnection<C> {
    fn new(connection: C) -> Self {
        let activity = Activity {
            asked: None,
            answered: Instant::now(),
        };
        Self {
            connection,
            activity: Mutex::new(activity),
        }
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request was sent.
    pub(super) fn record_request(&self) {
        self.activity().asked.get_or_insert_with(Instant::now);
    }

    /// A response to any request arrived.
    pub(super) fn record_answer(&self) {
        *self.activity() = Activity {
            asked: None,
            answered: Instant::now(),
        };
    }

    /// Whether any response arrived since.
    pub(super) fn has_answered_since(&self, then: Instant) -> bool {
        self.activity().answered > then
    }

    /// How long requests have been without a response.
    pub(super) fn idle(&self) -> Duration {
        self.activity().answered.elapsed()
    }

    fn is_silent(&self, silence: Duration) -> bool {
        self.activity().asked.is_some_and(|asked| asked.elapsed() > silence)
    }
}

struct State<C> {
    live: Option<Arc<LiveConnection<C>>>,
    /// The last attempt to connect that failed: when it ended, and how.
    failed: Option<(Instant, Failure)>,
}

/// Holds the connection.
pub(super) struct SharedConnection<C> {
    state: tokio::sync::Mutex<State<C>>,
}

impl<C> SharedConnection<C> {
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
    ) -> Result<Arc<LiveConnection<C>>, Failure>
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
                let live = Arc::new(LiveConnection::new(connection));
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
    pub(super) async fn discard(&self, lost: &Arc<LiveConnection<C>>) {
        let mut state = self.state.lock().await;
        if state.live.as_ref().is_some_and(|live| Arc::ptr_eq(live, lost)) {
            state.live = None;
        }
    }

    /// The connection, which is not used any more.
    pub(super) async fn take(&self) -> Option<Arc<LiveConnection<C>>> {
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

    /// As if this time had passed for the connection.
    fn pass<C>(live: &LiveConnection<C>, time: Duration) {
        let mut activity = live.activity();
        activity.asked = activity.asked.map(|asked| asked.checked_sub(time).unwrap());
        activity.answered = activity.answered.checked_sub(time).unwrap();
    }

    #[tokio::test]
    async fn concurrent_attempts_share_one_connection() {
        let shared_connection = SharedConnection::new();
        let made = AtomicUsize::new(0);
        let connect = || async {
            // The other attempts come meanwhile.
            tokio::task::yield_now().await;
            Ok(made.fetch_add(1, Ordering::Relaxed))
        };
        let all = futures_util::future::join_all((0..20).map(|_| shared_connection.get(always, LONG, connect))).await;
        assert!(all.into_iter().all(|live| live.unwrap().connection == 0));
        let lost = shared_connection.get(always, LONG, connect).await.unwrap();
        shared_connection.discard(&lost).await;
        let next = shared_connection.get(always, LONG, connect).await.unwrap();
        assert_eq!(next.connection, 1);
        // An attempt that reports the first connection late does not discard the second.
        shared_connection.discard(&lost).await;
        assert_eq!(
            shared_connection.get(always, LONG, connect).await.unwrap().connection,
            1
        );
        assert_eq!(
            shared_connection
                .get(|_, _| false, LONG, connect)
                .await
                .unwrap()
                .connection,
            2
        );
    }

    #[tokio::test]
    async fn attempts_waiting_for_a_connection_share_its_failure() {
        let shared_connection = SharedConnection::<usize>::new();
        let tried = AtomicUsize::new(0);
        let connect = || async {
            tried.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Err(Failure::connection("refused"))
        };
        let all = futures_util::future::join_all((0..20).map(|_| shared_connection.get(always, LONG, connect))).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!(tried.load(Ordering::Relaxed), 1);
        // A later attempt connects anew.
        assert!(shared_connection.get(always, LONG, connect).await.is_err());
        assert_eq!(tried.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn silent_connection_is_replaced() {
        let shared_connection = SharedConnection::new();
        let silence = Duration::from_millis(20);
        let live = shared_connection
            .get(always, silence, || async { Ok(1) })
            .await
            .unwrap();
        live.record_request();
        pass(&live, Duration::from_millis(30));
        live.record_request();
        assert!(live.is_silent(silence));
        live.record_answer();
        live.record_request();
        assert_eq!(
            shared_connection
                .get(always, silence, || async { Ok(2) })
                .await
                .unwrap()
                .connection,
            1
        );
        pass(&live, Duration::from_millis(30));
        assert_eq!(
            shared_connection
                .get(always, silence, || async { Ok(2) })
                .await
                .unwrap()
                .connection,
            2
        );
    }

    #[tokio::test]
    async fn dropping_a_connecting_attempt_lets_the_next_one_connect() {
        let shared_connection = SharedConnection::new();
        let stuck = shared_connection.get(always, LONG, std::future::pending::<Result<usize, Failure>>);
        assert!(tokio::time::timeout(Duration::from_millis(10), stuck).await.is_err());
        assert_eq!(
            shared_connection
                .get(always, LONG, || async { Ok(1) })
                .await
                .unwrap()
                .connection,
            1
        );
    }
}
