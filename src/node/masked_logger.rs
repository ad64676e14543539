//! The log with the values of secrets masked.

use super::message_queue::MessageQueue;
use crate::engine::inputs::Masker;
use crate::engine::{Level, Logger};
use std::sync::Arc;

/// Masks what it passes on.
pub struct MaskedLogger {
    /// Where messages go.
    pub queue: Arc<MessageQueue>,
    /// What is masked in them.
    pub masker: Arc<Masker>,
    /// Whether anybody sees messages of the level `debug`.
    pub wants_debug: bool,
}

impl Logger for MaskedLogger {
    fn log(&self, level: Level, message: &str) {
        if self.wants(level) {
            self.queue.log(level, &self.masker.mask(message));
        }
    }

    fn log_with(&self, level: Level, message: &str, fields: &str) {
        if self.wants(level) {
            self.queue
                .log_with(level, &self.masker.mask(message), &self.masker.mask(fields));
        }
    }

    fn wants(&self, level: Level) -> bool {
        self.wants_debug || level != Level::Debug
    }
}
