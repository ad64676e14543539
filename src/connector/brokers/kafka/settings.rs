//! Where a cluster is, and who asks.
//!
//! Invariant: nothing here is shown but host and port.

use super::super::shared_connection::Timeouts;
use crate::connector::Failure;
pub(super) use crate::resources::SaslMechanism as Mechanism;
use rustls::ClientConfig;
use std::fmt;
use std::sync::Arc;

/// A server of the cluster. The partitions that it leads share its name, which a server may make long.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Address {
    pub(super) fn unreachable(&self, why: impl fmt::Display) -> Failure {
        Failure::connection(format!("cannot connect to {self}: {why}"))
    }

    pub(super) fn unauthorized(&self) -> Failure {
        Failure::unauthorized(format!(
            "{self}: the credentials are refused; check `sasl` in the broker's `config`"
        ))
    }
}

/// Who asks, and how it is proven.
pub(super) struct Login {
    pub(super) mechanism: Mechanism,
    pub(super) username: String,
    pub(super) password: String,
}

/// All that connections have in common.
pub(super) struct Settings {
    /// Any of them tells of all.
    pub(super) servers: Vec<Address>,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) login: Option<Login>,
    pub(super) client_id: Arc<str>,
    pub(super) timeouts: Timeouts,
}
