//! What follows from what happens to a run: each rule once, for all stores.
//!
//! Pure functions of plain data, `(state, what happened, now) → changes`. They know no SQL, no connection and no clock: a
//! store reads the state under its lock, asks the rule, and writes what it says. Invariant: no store decides any of this
//! by itself, except where PL/pgSQL does for speed; the cases of [`table`], and the invariants that the random walk checks,
//! hold both to the same answers.

pub(in crate::store) mod busy;
pub(in crate::store) mod cancellation;
pub(in crate::store) mod completion;
pub(in crate::store) mod counters;
pub(in crate::store) mod crash;
pub(in crate::store) mod phase;
pub(in crate::store) mod placement;
pub(in crate::store) mod replacement;
pub(in crate::store) mod retry;
pub(in crate::store) mod series;
#[cfg(test)]
pub(in crate::store) mod table;
pub(in crate::store) mod waits;
