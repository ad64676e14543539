//! What goes on beside the runs: the lease of this process, retention, deliveries to webhooks.

pub mod clock_keeper;
pub mod figures_writer;
pub mod lease;
pub mod outbox_relay;
pub mod registration;
pub mod resealer;
pub mod retention_sweeper;
pub mod unserved;
