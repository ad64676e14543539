//! The journal with the values of secrets masked.

use super::outbox::Outbox;
use crate::engine::masking::Masker;
use crate::engine::{Journal, Level};
use std::sync::Arc;

/// Masks what it passes on.
pub struct MaskedJournal {
    /// Where messages go.
    pub outbox: Arc<Outbox>,
    /// What is masked in them.
    pub masker: Arc<Masker>,
}

impl Journal for MaskedJournal {
    fn log(&self, level: Level, message: &str) {
        self.outbox.log(level, &self.masker.mask(message));
    }
}
