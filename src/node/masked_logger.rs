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
}

impl Logger for MaskedLogger {
    fn log(&self, level: Level, message: &str) {
        self.queue.log(level, &self.masker.mask(message));
    }
}
