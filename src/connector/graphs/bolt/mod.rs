//! Bolt, the protocol of Neo4j and of graph databases like it: versions 4.0 to 5.4.
//!
//! Knows nothing of operations, pools and results. Invariants: a connection whose answers were not all read is not used
//! again, since they would be taken for those of the next question; what is read of one message is bounded.

mod connection;
mod packstream;

pub(super) use connection::{BoltError, Connection, Login, Summary, Transport, UserAndPassword, VERSIONS};
pub(super) use packstream::Value;
#[cfg(fuzzing)]
pub(super) use packstream::read as read_value;
