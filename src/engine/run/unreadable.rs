//! Runs whose input is encrypted and cannot be read here: they are never run with something else in its place.

use crate::engine::context::Context;
use crate::engine::gathered_warnings::GatheredWarnings;
use crate::model::{Route, RunError, RunOutcome};
use crate::store::{ClaimedRun, Unreadable};
use std::sync::Arc;

/// After this time a run whose key is missing is offered again, to whichever process claims it, ms.
pub const MISSING_KEY_DELAY_MS: i64 = 15_000;

/// What becomes of them, with the warnings about it.
#[derive(Default)]
pub struct UnreadableRuns {
    warnings: Arc<GatheredWarnings>,
}

impl UnreadableRuns {
    /// What becomes of a run. While its key is missing it waits and spends no attempt, since another process may have the
    /// key; what is damaged stays so.
    pub(super) fn outcome(
        &self,
        context: &Context,
        run: &ClaimedRun,
        route: &Route,
        unreadable: &Unreadable,
    ) -> RunOutcome {
        match unreadable {
            Unreadable::MissingKey(_) => {
                let message = format!(
                    "job {} ({route}) waits for a process that can read its input: {unreadable}",
                    run.id
                );
                self.warnings.warn(&context.logger, &message, |count| {
                    format!("{count} more attempts wait for keys that are not in `encryptionKeys` of this process")
                });
                RunOutcome::Snoozed {
                    due: context.now().saturating_add(MISSING_KEY_DELAY_MS),
                }
            }
            Unreadable::Damaged(_) => {
                let message = format!("the input cannot be read: {unreadable}");
                RunOutcome::Failed {
                    error: RunError::new("STORE_CORRUPT", &message, None),
                }
            }
        }
    }
}
