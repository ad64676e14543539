//! One attempt, from its claim to the completion that is written.

pub mod completer;
pub mod executor;
mod failure_log;
pub mod in_flight;
mod late;
mod limits;
pub mod native;
pub mod outcome;
pub mod preparer;
pub mod progress_writer;
mod slots;
pub mod spans;
pub mod steps;
pub mod unreadable;
