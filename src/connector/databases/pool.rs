//! A connection pool.
//!
//! Knows no database. Invariants: the number of connections in use is bounded; a connection that is not given back
//! explicitly is closed, so that a job dropped midway does not leave one in an unknown state.

use crate::connector::Failure;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Connections of one database.
pub(in crate::connector) struct Pool<C> {
    idle: Mutex<Vec<(C, Instant)>>,
    permits: Arc<Semaphore>,
}

/// A connection in use, or the permit to open one.
pub(in crate::connector) struct ConnectionPermit<C> {
    /// An idle connection and when it was last used.
    pub(in crate::connector) used: Option<(C, Instant)>,
    _permit: OwnedSemaphorePermit,
}

impl<C> Pool<C> {
    pub(in crate::connector) fn new(max_connections: usize) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(max_connections.max(1))),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(C, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a free permit.
    pub(in crate::connector) async fn acquire(&self) -> Result<ConnectionPermit<C>, Failure> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Failure::connection("the database is closed here"))?;
        let mut idle = self.idle();
        let now = Instant::now();
        idle.retain(|(_, since)| now.duration_since(*since) < IDLE_TIMEOUT);
        // Most recently used first, so that surplus connections expire.
        let used = idle.pop();
        Ok(ConnectionPermit { used, _permit: permit })
    }

    /// Returns a connection in good state to the pool.
    pub(in crate::connector) fn give_back(&self, connection: C, permit: ConnectionPermit<C>) {
        if !self.permits.is_closed() {
            self.idle().push((connection, Instant::now()));
        }
        drop(permit);
    }

    /// Closes the pool and returns its idle connections.
    pub(in crate::connector) fn close(&self) -> Vec<C> {
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
