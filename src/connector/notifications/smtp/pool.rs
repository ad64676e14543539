//! Connections to one mail server, shared by attempts.
//!
//! Invariants: there are no more than slots; only a connection that is between two e-mails is given back, so that what is
//! dropped in the middle of one is closed.

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
/// How long an idle connection is taken to be alive without asking.
const PROBE_AFTER_IDLE: Duration = Duration::from_millis(500);
/// E-mails by one connection: servers limit them, and most allow a hundred.
const MAX_EMAILS_PER_CONNECTION: u32 = 100;
/// How long a server is waited for to end a connection.
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
    _slot: OwnedSemaphorePermit,
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

    /// A connection that takes e-mail: an idle one that is alive, else a new one.
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
                    _slot: slot,
                });
            }
        }
        Ok(PooledConnection {
            connection: self.server.connect().await?,
            uses: 0,
            _slot: slot,
        })
    }

    /// Gives a connection back that is between two e-mails.
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

    /// Ends the connections.
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
    /// An e-mail goes by it.
    pub(super) fn count_use(&mut self) {
        self.uses += 1;
    }

    /// Whether it has carried as many e-mails as one connection should.
    pub(super) fn is_used_up(&self) -> bool {
        self.uses >= MAX_EMAILS_PER_CONNECTION
    }
}
