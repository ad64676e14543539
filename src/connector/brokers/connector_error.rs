//! Errors of publishing, by what they mean for the attempt and for the connection.

use crate::connector::Failure;

/// An error of publishing on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConnectorError {
    /// The connection turned out to be gone before anything of the message was sent: another may be tried.
    Unsent(Failure),
    /// The connection failed, and whether the message arrived is unknown.
    Broken(Failure),
    /// The server rejected this message; the connection stays usable.
    Refused(Failure),
}

impl ConnectorError {
    /// The failure of the attempt.
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

/// The connection broke before the acknowledgement arrived.
pub(super) fn broken(why: impl std::fmt::Display) -> ConnectorError {
    ConnectorError::Broken(Failure::connection(format!(
        "the connection broke before the message was acknowledged, which may have arrived: {why}"
    )))
}
