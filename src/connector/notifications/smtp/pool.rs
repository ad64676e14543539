//! Connections to one mail server, shared by attempts.
//!
//! Invariants: there are no more than slots; only a connection that is between two e-mails is given back, so that what is
//! dropped in the middle of one is closed.

use super::connecting::Server;
use crate::connector::{Failure, Limits};
use futures_util::future::join_all;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// How long an idle connection is kept.
const KEPT: Duration = Duration::from_secs(30);
/// How long an idle connection is taken to be alive without asking.
const TRUSTED: Duration = Duration::from_millis(500);
/// E-mails by one connection: servers limit them, and most allow a hundred.
const MOST_USES: u32 = 100;
/// How long a server is waited for to end a connection.
const PARTING: Duration = Duration::from_secs(1);

/// The connections to one server.
pub(super) struct Pool {
    pub server: Server,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    uses: u32,
    since: Instant,
}

/// A connection that is in use.
pub(super) struct Held {
    pub connection: AsyncSmtpConnection,
    uses: u32,
    _slot: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(server: Server) -> Self {
        Self {
            server,
            slots: Arc::new(Semaphore::new(Limits::default().connections)),
            idle: Mutex::default(),
        }
    }

    fn take_idle(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| connection.since.elapsed() < KEPT);
        idle.pop()
    }

    /// A connection that takes e-mail: an idle one that is alive, else a new one.
    pub(super) async fn acquire(&self) -> Result<Held, Failure> {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| Failure::unavailable("the connections to the mail server are closed"))?;
        while let Some(mut idle) = self.take_idle() {
            let alive = idle.since.elapsed() < TRUSTED
                || timeout(self.server.patience.probing, idle.connection.test_connected()).await == Ok(true);
            if alive {
                return Ok(Held {
                    connection: idle.connection,
                    uses: idle.uses,
                    _slot: slot,
                });
            }
        }
        Ok(Held {
            connection: self.server.connect().await?,
            uses: 0,
            _slot: slot,
        })
    }

    /// Gives a connection back that is between two e-mails.
    pub(super) async fn release(&self, mut held: Held) {
        if held.is_worn() || self.slots.is_closed() {
            let _ = timeout(PARTING, held.connection.quit()).await;
            return;
        }
        let idle = Idle {
            connection: held.connection,
            uses: held.uses,
            since: Instant::now(),
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
    }

    /// Ends the connections.
    pub(super) async fn close(&self) {
        self.slots.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        join_all(idle.into_iter().map(|mut idle| async move {
            let _ = timeout(PARTING, idle.connection.quit()).await;
        }))
        .await;
    }
}

impl Held {
    /// An e-mail goes by it.
    pub(super) fn used(&mut self) {
        self.uses += 1;
    }

    /// Whether it has carried as many e-mails as one connection should.
    pub(super) fn is_worn(&self) -> bool {
        self.uses >= MOST_USES
    }
}
