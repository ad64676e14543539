//! Connections to one SMTP server, shared by attempts.
//!
//! Invariants: connections never exceed the slots; only a connection that is between two e-mails is returned, one that is
//! dropped midway is closed.

use super::connect::MailServer;
use crate::connector::{Failure, Limits};
use futures_util::future::join_all;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an idle connection is reused without a probe.
const PROBE_AFTER_IDLE: Duration = Duration::from_millis(500);
/// Most e-mails per connection: servers limit them, most to no less than a hundred.
const MAX_EMAILS_PER_CONNECTION: u32 = 100;
/// Timeout of `QUIT`.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The connections to one server.
pub(super) struct Pool {
    pub server: MailServer,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<IdleConnection>>,
}

struct IdleConnection {
    connection: AsyncSmtpConnection,
    uses: u32,
    since: Instant,
}

/// A connection that is in use.
pub(super) struct PooledConnection {
    pub connection: AsyncSmtpConnection,
    uses: u32,
    slot: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(server: MailServer) -> Self {
        Self {
            server,
            slots: Arc::new(Semaphore::new(Limits::default().connections)),
            idle: Mutex::default(),
        }
    }

    fn take_idle(&self) -> Option<IdleConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| connection.since.elapsed() < IDLE_TIMEOUT);
        idle.pop()
    }

    /// A connection that is ready for e-mail: an idle one that is alive, or a new one.
    pub(super) async fn acquire(&self) -> Result<PooledConnection, Failure> {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| Failure::unavailable("the connections to the mail server are closed"))?;
        while let Some(mut idle) = self.take_idle() {
            let alive = idle.since.elapsed() < PROBE_AFTER_IDLE
                || timeout(self.server.timeouts.probe, idle.connection.test_connected()).await == Ok(true);
            if alive {
                return Ok(PooledConnection {
                    connection: idle.connection,
                    uses: idle.uses,
                    slot,
                });
            }
        }
        Ok(PooledConnection {
            connection: self.server.connect().await?,
            uses: 0,
            slot,
        })
    }

    /// A new connection in place of one that the server has closed.
    pub(super) async fn renew(&self, closed: PooledConnection) -> Result<PooledConnection, Failure> {
        let PooledConnection { connection, slot, .. } = closed;
        drop(connection);
        Ok(PooledConnection {
            connection: self.server.connect().await?,
            uses: 0,
            slot,
        })
    }

    /// Returns a connection that is between two e-mails.
    pub(super) async fn release(&self, mut pooled: PooledConnection) {
        if pooled.is_used_up() || self.slots.is_closed() {
            let _ = timeout(QUIT_TIMEOUT, pooled.connection.quit()).await;
            return;
        }
        let idle = IdleConnection {
            connection: pooled.connection,
            uses: pooled.uses,
            since: Instant::now(),
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
    }

    /// Closes all connections.
    pub(super) async fn close(&self) {
        self.slots.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        join_all(idle.into_iter().map(|mut idle| async move {
            let _ = timeout(QUIT_TIMEOUT, idle.connection.quit()).await;
        }))
        .await;
    }
}

impl PooledConnection {
    /// Counts an e-mail.
    pub(super) fn count_use(&mut self) {
        self.uses += 1;
    }

    /// Whether an e-mail was sent by it, or tried.
    pub(super) fn has_been_used(&self) -> bool {
        self.uses > 0
    }

    /// Whether it has reached [`MAX_EMAILS_PER_CONNECTION`].
    pub(super) fn is_used_up(&self) -> bool {
        self.uses >= MAX_EMAILS_PER_CONNECTION
    }
}
