//! Takes what is due from a store, runs it, and writes what came of it.
//!
//! Services with one contract each ([`claimer`], [`executor`], [`completer`], [`lease`], [`retention_sweeper`], [`announcer`], [`outbox_relay`]), tied
//! together by [`Engine`]. Knows the traits [`Store`](crate::store::Store), [`Handler`] and
//! [`Clock`](crate::clock::Clock), never a concrete store, connector or Node.

pub mod announcer;
mod announcing;
pub mod caching;
mod canonical_json;
pub mod changes;
pub mod claimer;
pub mod completer;
pub mod executor;
pub mod handler;
pub mod in_flight;
pub mod job_watchers;
pub mod lease;
pub mod manual;
pub mod masking;
pub mod native;
pub mod outbox_relay;
mod prefetch;
pub mod preparation;
pub mod progress_writer;
mod public_event;
pub mod recurrence;
pub mod retention_sweeper;
pub mod routing;
pub mod secrets;
pub mod steps;
pub mod timezones;
mod worker;

pub use announcer::{Announcer, EventDeferral, EventKind, JobEvent, Listener};
pub use handler::{AbortReason, Attempt, FeaturePart, Handler, HandlerFailure, Invocation, Level, Logger, Reply};
pub use native::{HandlerSpec, NativeHandler, NativeWork};
pub use public_event::event_json;
pub use worker::{DrainReport, Engine, EngineConfig, WorkerConfig};
