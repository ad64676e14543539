//! `Ductape.move({ from, to })`: reads its arguments, and tells how far it has come.

use super::fields::Fields;
use super::opener::StoreOpener;
use super::options::{self, StoreLocation};
use crate::error::{Error, Result};
use crate::store::transfer::{Phase, TransferPlan, TransferReport, TransferStage};
use serde::Serialize;

/// What is wanted of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveAction {
    /// It is done, or gone on with.
    Move,
    /// Only what it would do is told.
    Plan,
    /// It is given up.
    GiveUp,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveOutcome {
    /// All is in the new store.
    Moved(TransferReport),
    /// Nothing was changed.
    Planned(TransferPlan),
    /// The old store takes work again.
    GivenUp,
}

#[derive(Debug, Default, Serialize)]
struct Answer {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<bool>,
}

/// `move({ to, dryRun, giveUp })`, from the store that the instance's options name; nothing is open.
///
/// # Errors
/// `VALIDATION_ERROR`; what the stores say.
pub(super) async fn transfer(opener: &dyn StoreOpener, text: &str) -> Result<String> {
    let mut fields = Fields::read(text, "options")?;
    fields.refuse_unknown(&["to", "dryRun", "giveUp"]);
    let plan = fields.boolean("dryRun").unwrap_or(false);
    let give_up = fields.boolean("giveUp").unwrap_or(false);
    if plan && give_up {
        fields.problem("giveUp", "cannot be tried without being done; leave `dryRun` out");
    }
    let to = read_target(&mut fields);
    let (Some(to), true) = (to, fields.problems.is_empty()) else {
        return Err(Error::invalid(fields.problems));
    };
    let action = match (plan, give_up) {
        (true, _) => MoveAction::Plan,
        (_, true) => MoveAction::GiveUp,
        _ => MoveAction::Move,
    };
    let answer = match opener.transfer(to, action).await? {
        MoveOutcome::Moved(report) => Answer {
            status: "moved",
            rows: Some(report.rows),
            jobs: Some(report.jobs),
            resumed: Some(report.resumed),
            ..Answer::default()
        },
        MoveOutcome::Planned(plan) => Answer {
            status: match plan.stage {
                TransferStage::New => "new",
                TransferStage::Begun => "begun",
                TransferStage::Done => "moved",
            },
            rows: Some(plan.rows),
            jobs: Some(plan.jobs),
            processes: Some(plan.processes),
            ..Answer::default()
        },
        MoveOutcome::GivenUp => Answer {
            status: "given_up",
            ..Answer::default()
        },
    };
    super::jobs::to_json(&answer)
}

fn read_target(fields: &mut Fields<'_>) -> Option<StoreLocation> {
    if fields.raw("to").is_none() {
        fields.problem("to", "must be a store, as in 'postgres://user:password@host/database'");
        return None;
    }
    options::read_store(fields, "to", &[])
}

#[derive(Debug, Serialize)]
struct Progress {
    phase: &'static str,
    done: u64,
    total: u64,
}

/// `moveProgress()`: what a move that is under way in this instance does, and how many rows of how many it has come to.
pub(super) fn progress(opener: &dyn StoreOpener) -> Result<String> {
    let (phase, done, total) = opener.transfer_progress();
    let phase = match phase {
        Phase::Preparing => "preparing",
        Phase::Copying => "copying",
        Phase::Verifying => "verifying",
    };
    super::jobs::to_json(&Progress { phase, done, total })
}
