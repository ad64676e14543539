//! Takes what is due from a store, runs it, and writes what came of it.
//!
//! Services with one contract each ([`claimer`], [`executor`], [`completer`], [`lease`], [`retention_sweeper`], [`announcer`], [`outbox_relay`]), tied
//! together by [`Engine`]. Knows the traits [`Store`](crate::store::Store), [`Handler`] and
//! [`Clock`](crate::clock::Clock), never a concrete store, connector or Node.

pub mod announcer;
mod announcing;
pub mod changes;
pub mod claimer;
pub mod completer;
pub mod executor;
pub mod handler;
pub mod in_flight;
pub mod inputs;
pub mod job_watchers;
pub mod lease;
pub mod manual;
pub mod native;
pub mod outbox_relay;
mod prefetch;
pub mod progress_writer;
pub mod recurrence;
pub mod retention_sweeper;
pub mod routing;
pub mod steps;
pub mod timezones;
mod worker;

pub use announcer::{Announcer, EventDeferral, EventKind, JobEvent, Listener};
pub use handler::{AbortReason, Attempt, FeaturePart, Handler, HandlerFailure, Invocation, Level, Logger, Reply};
pub use native::{HandlerSpec, NativeHandler, NativeWork};
pub use worker::{DrainReport, Engine, EngineConfig, WorkerConfig};
