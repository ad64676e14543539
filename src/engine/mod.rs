//! Takes what is due from a store, runs it, and writes what came of it.
//!
//! [`Engine`] ties the parts together; what goes on in the background is a [`service`]. By subject: [`claim`] takes runs,
//! [`run`] executes them, [`maintain`] keeps the lease and the store tidy, [`events`] tells of what happened. Knows the traits
//! [`Store`](crate::store::Store), [`Handler`] and [`Clock`](crate::clock::Clock), never a concrete store, connector or Node.

pub mod changes;
pub mod circuit;
pub mod claim;
mod config;
mod context;
mod drain;
#[allow(clippy::module_inception, reason = "the type gives its file the name")]
mod engine;
pub mod events;
mod failpoint;
pub mod figure_totals;
pub mod figures;
mod gathered_warnings;
pub mod handler;
pub mod inputs;
pub mod maintain;
pub mod manual;
mod measures;
pub mod run;
pub mod service;
mod store_time;
mod upkeep;

pub use claim::incomputable::why_incomputable;
pub use claim::routing::HandlerSpec;
pub use claim::{recurrence, routing, series_changes, timetable};
pub use config::{EngineConfig, FigureRetention, WorkerConfig};
pub use drain::DrainReport;
pub use engine::Engine;
pub use events::announcer::{Announcer, EventDeferral, EventKind, JobEvent, Listener};
pub use events::public_event::event_json;
pub use events::scheduled_events::ScheduledEvents;
pub use events::shown_error::shown;
pub use failpoint::Failpoints;
pub use handler::{AbortReason, Attempt, FeaturePart, Handler, HandlerFailure, Invocation, Level, Logger, Reply};
pub use maintain::{outbox_relay, retention_sweeper};
pub use run::native::{NativeHandler, NativeWork};
pub use run::{native, spans, steps};
pub use store_time::{set_clock, skew_message};
