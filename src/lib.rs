//! A durable job scheduler, as a library and as a Node.js addon.
//!
//! The map, from the inside out:
//! - `text`: JSON objects, percent-encoding, near names.
//! - [`error`], [`clock`], [`model`]: plain data, pure rules, the one error.
//! - [`cron`]: cron expressions and time zones; pure.
//! - [`expr`]: expressions in inputs; pure.
//! - [`store`]: what the engine needs of a store, and the stores.
//! - [`engine`]: takes what is due from a store, runs it, writes what came of it.
//! - [`api`]: what a user can ask for; checks every input before anything is written.
//! - `tls`: whose certificates are trusted.
//! - `http`, `webhook`: the HTTP client, and deliveries of events by it.
//! - `connector`: work that `resources` describe, done without a handler.
//! - `feature`: features that are declared as data.
//! - [`assembly`]: puts a store and an engine together.
//! - `node`: the only module that knows Node.

pub mod api;
pub mod assembly;
pub mod clock;
mod connector;
pub mod cron;
pub mod engine;
pub mod error;
pub mod expr;
mod feature;
mod http;
pub mod model;
#[cfg(feature = "node")]
pub mod node;
pub mod resources;
pub mod sessions;
pub mod store;
#[cfg(test)]
mod testing;
mod text;
mod text_file;
mod tls;
mod webhook;

/// What the fuzz target `filter` sees of the connectors to databases.
#[cfg(fuzzing)]
pub use connector::fuzzing;
#[cfg(all(fuzzing, feature = "graphs"))]
pub use connector::graph_fuzzing;
#[cfg(all(fuzzing, feature = "kafka"))]
pub use connector::kafka_fuzzing;
