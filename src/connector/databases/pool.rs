//! Connections that are kept for the next job.
//!
//! Knows no database. Invariants: no more than so many are out at once; one that is not given back by name is closed, so
//! that a job that is dropped midway leaves none behind that is in the middle of something.

use crate::connector::Failure;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a connection is kept that nobody uses.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Connections of one database.
pub(super) struct Pool<C> {
    idle: Mutex<Vec<(C, Instant)>>,
    permits: Arc<Semaphore>,
}

/// A connection that is in use, or the right to make one.
pub(super) struct ConnectionPermit<C> {
    /// One that was used before, and when.
    pub(super) used: Option<(C, Instant)>,
    _permit: OwnedSemaphorePermit,
}

impl<C> Pool<C> {
    pub(super) fn new(max_connections: usize) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(max_connections.max(1))),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(C, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until fewer than the most are in use.
    pub(super) async fn acquire(&self) -> Result<ConnectionPermit<C>, Failure> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Failure::connection("the database is closed here"))?;
        let mut idle = self.idle();
        let now = Instant::now();
        idle.retain(|(_, since)| now.duration_since(*since) < IDLE_TIMEOUT);
        // The one that was used last: the others may then grow old.
        let used = idle.pop();
        Ok(ConnectionPermit { used, _permit: permit })
    }

    /// Keeps a connection that is in good order.
    pub(super) fn give_back(&self, connection: C, permit: ConnectionPermit<C>) {
        if !self.permits.is_closed() {
            self.idle().push((connection, Instant::now()));
        }
        drop(permit);
    }

    /// Lets nobody in any more, and hands out what is idle.
    pub(super) fn close(&self) -> Vec<C> {
        self.permits.close();
        self.idle().drain(..).map(|(connection, _)| connection).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connection_is_reused_only_after_it_was_given_back() {
        let pool = Arc::new(Pool::new(1));
        let permit = pool.acquire().await.unwrap();
        assert!(permit.used.is_none());
        let waiting = tokio::time::timeout(Duration::from_millis(20), pool.acquire()).await;
        assert!(waiting.is_err(), "a second one is out");
        pool.give_back(7, permit);
        let permit = pool.acquire().await.unwrap();
        assert_eq!(permit.used.as_ref().map(|(connection, _)| *connection), Some(7));
        drop(permit);
        assert!(pool.acquire().await.unwrap().used.is_none());
        assert!(pool.close().is_empty());
        assert!(pool.acquire().await.is_err());
    }
}
