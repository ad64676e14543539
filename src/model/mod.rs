//! Jobs, runs, schedules, retries and targets: plain data and pure rules.
//!
//! Imports nothing but std, serde, the error type and what reads ids and keys; no I/O, no clock: whoever needs the time passes it in.

pub mod event;
pub mod id;
pub mod job;
pub mod outcome;
pub mod retry;
pub mod schedule;
pub mod status;
pub mod target;
pub mod webhook;

pub use event::EventKind;
pub use id::JobId;
pub use job::{Concurrency, JobOptions, NewJob, OnConflict, Unique};
pub use outcome::{RunError, RunOutcome};
pub use retry::{RetryDecision, RetryPolicy};
pub use schedule::{IfRunning, Misfire, Recurrence, Rule};
pub use status::{Action, Kind, RunStatus, Status};
pub use target::{Namespace, Route};
pub use webhook::{EventMask, WebhookSecret};
