//! The Node-API boundary: the only module that says `napi`.
//!
//! One class, `Ductape`, over [`Instance`](crate::api::Instance). JSON crosses as text; everything from Rust to
//! JavaScript goes through one [`outbox`](self::outbox) that wakes the JavaScript side at most once per batch; nothing
//! blocks the JavaScript thread but the bounded shutdown when its environment ends.

mod class;
mod handlers;
mod host;
mod masked;
mod outbox;
mod secrets;
mod wake;

pub use class::Ductape;
