//! How publishing over a connection goes wrong: what an attempt is told, and what becomes of the connection.

use crate::connector::Failure;

/// Something went wrong between an attempt and its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConnectorError {
    /// The connection turned out to be gone before anything of the message was sent: another may be tried.
    Unsent(Failure),
    /// Nobody knows whether the message arrived, and the connection is of no more use.
    Broken(Failure),
    /// The server's own word on this message; the connection is as good as before.
    Refused(Failure),
}

impl ConnectorError {
    /// What the attempt is told.
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Unsent(failure) | Self::Broken(failure) | Self::Refused(failure) => failure,
        }
    }
}

/// The connection is gone, and nothing was sent.
pub(super) fn unsent(why: impl std::fmt::Display) -> ConnectorError {
    ConnectorError::Unsent(Failure::connection(format!("the connection is gone: {why}")))
}

/// The connection went while the acknowledgement was awaited.
pub(super) fn broken(why: impl std::fmt::Display) -> ConnectorError {
    ConnectorError::Broken(Failure::connection(format!(
        "the connection broke before the message was acknowledged, which may have arrived: {why}"
    )))
}
