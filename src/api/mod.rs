//! What a user can ask for, in and out as JSON: dispatch, looking at jobs, changing them.
//!
//! Every input is checked completely before anything is written, and one error lists all problems with their paths.
//! Knows the engine and the model, not Node and no concrete store.

mod audit;
mod backup;
mod batch;
mod caches;
mod calendar;
mod changes;
mod clock;
mod dispatch;
mod dispatch_fields;
pub mod encryption_keys;
pub mod ending;
pub mod ephemeral_disk;
mod explain;
mod expressions;
mod fields;
mod filter;
mod handler;
mod health;
pub mod instance;
pub mod intake;
pub mod jobs;
mod keys;
mod method;
mod metrics;
mod next_run;
mod open_metrics;
mod opener;
mod opening;
pub mod options;
mod other_queues;
mod outbound;
mod processes;
mod qualified;
mod reasons;
mod refusal;
mod request;
mod reschedule;
pub mod resources;
mod schedule;
mod schedule_view;
mod schedule_warnings;
mod sessions;
mod statement;
mod steps;
mod storage;
mod targets;
pub mod transfer;
pub mod view;
mod webhooks;

pub use crate::engine::event_json;
pub use batch::read_dispatch_many;
pub use dispatch::{Defaults, Dispatch, DispatchReader, DispatchResult};
pub use handler::{HandlerRequest, read_handler};
pub use instance::Instance;
pub use method::Method;
pub use opener::StoreOpener;
pub use schedule::read_preview;
