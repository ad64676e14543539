//! Jobs, runs, schedules, retries and targets: plain data and pure rules.
//!
//! No I/O and no clock: callers pass the time in.

pub mod event;
pub mod figures;
mod figures_text;
pub mod id;
pub mod job;
pub mod outcome;
pub mod retry;
pub mod schedule;
pub mod status;
pub mod target;
pub mod trace;
pub mod webhook;

pub use event::EventKind;
pub use figures::{Figures, Histogram};
pub use id::JobId;
pub use job::{Concurrency, JobOptions, NewJob, OnConflict, Unique};
pub use outcome::{MAX_MESSAGE_BYTES, RunError, RunOutcome};
pub use retry::{RetryAfter, RetryDecision, RetryPolicy};
pub use schedule::{ExceptedDates, IfRunning, Misfire, Recurrence, Rule};
pub use status::{Action, Kind, RunStatus, Status};
pub use target::{Namespace, Route};
pub use trace::TraceContext;
pub use webhook::{EventMask, WebhookSecret};
