//! Inserts that are handed to the store without waiting for it: the shortest way of a job that is dispatched alone.

use super::{ClaimParams, Claimed, InsertParams, Inserted};
use crate::error::Result;

/// Takes what became of a call, on a thread of the store's: it must neither block nor wait for the store. It is dropped instead when
/// that thread has died.
pub type Done<T> = Box<dyn FnOnce(Result<T>) + Send + Sync>;

/// An insert, and a claim behind it: in the same transaction, or in the next one on the same connection. Each fails by itself.
pub struct DirectInsert {
    /// The jobs, none of which depends on another.
    pub insert: InsertParams,
    /// Told once they are as durable as after [`super::Store::insert`].
    pub inserted: Done<Vec<Inserted>>,
    /// What is claimed then, and who is told once that is committed: after `inserted`. A store may drop a claim that it cannot make
    /// there, and then tells of the jobs by [`super::Store::changes`].
    pub claim: Option<(ClaimParams, Done<Claimed>)>,
}

/// A store whose own thread answers inserts, so that nobody need wait for them.
pub trait DirectStore: Send + Sync {
    /// Takes an insert; may be called on any thread, and does not block. Callers bound how many are under way.
    fn insert_directly(&self, direct: DirectInsert);
}

impl std::fmt::Debug for DirectInsert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectInsert")
            .field("insert", &self.insert)
            .finish_non_exhaustive()
    }
}
