//! Takes what is due from a store, runs it, and writes what came of it.
//!
//! Services with one contract each ([`claimer`], [`executor`], [`completer`], [`lease`], [`sweeper`], [`announcer`], [`relay`]), tied
//! together by [`Engine`]. Knows the traits [`Store`](crate::store::Store), [`Handler`] and
//! [`Clock`](crate::clock::Clock), never a concrete store, connector or Node.

mod ahead;
pub mod annotator;
pub mod announcer;
mod announcing;
pub mod caching;
mod canonical;
pub mod changes;
pub mod claimer;
pub mod completer;
pub mod events;
pub mod executor;
pub mod handler;
pub mod lease;
pub mod manual;
pub mod masking;
pub mod native;
pub mod preparation;
pub mod recurrence;
pub mod relay;
pub mod routing;
pub mod running;
pub mod secrets;
pub mod steps;
pub mod sweeper;
pub mod timezones;
mod worker;

pub use announcer::{Announcer, EventKind, Hold, JobEvent, Listener};
pub use handler::{AbortReason, Attempt, Handler, HandlerFailure, Invocation, Journal, Level, Part, Reply};
pub use native::{Native, NativeTarget, Work};
pub use worker::{DrainReport, Engine, EngineConfig, WorkerConfig};
