//! The Node-API boundary: the only module that says `napi`.
//!
//! One class, `Ductape`, over [`Instance`](crate::api::Instance). JSON crosses as text, in the format of
//! [`protocol`]; everything from Rust to JavaScript goes through one [`message_queue`] that wakes JavaScript at most once
//! per batch; nothing blocks the JavaScript thread but the bounded shutdown when its environment ends.

mod class;
mod handlers;
mod instance_runtime;
mod masked_logger;
mod message_queue;
mod protocol;
mod secrets;
mod tracer;
mod waker;

pub use class::Ductape;

/// The wire format, for its fuzz target.
#[cfg(fuzzing)]
pub mod wire {
    pub use super::protocol::*;
}
