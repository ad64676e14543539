//! What a process claims, and how it gives it back.

use super::{InstanceId, JobSeq, PlanAdvance, RouteId, RouteMark, SeriesSnapshot, Token, Unreadable};
use crate::clock::Millis;
use crate::model::{JobId, RunError, RunOutcome, Status};
use std::sync::Arc;

/// Most bytes of inputs that one claim brings; a run whose input is larger by itself comes alone.
pub(super) const MAX_CLAIM_BYTES: usize = 64 << 20;

/// A route this process can run, and the group whose free slots it shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedRoute {
    /// The route.
    pub route: RouteId,
    /// Index into [`ClaimParams::group_slots`].
    pub group: usize,
}

/// What a process asks for when it claims.
#[derive(Clone, Debug)]
pub struct ClaimParams {
    /// Wall time: what is due by now is claimed.
    pub now: Millis,
    /// Who claims.
    pub instance: InstanceId,
    /// What it can run.
    pub served: Arc<[ServedRoute]>,
    /// Free slots of each group (one group per handler with a concurrency of its own).
    pub group_slots: Vec<usize>,
    /// Free slots of the process. 0: only move what is due, claim nothing.
    pub slots: usize,
    /// Claim at most one run, of those that crashed so often that they run alone ([`super::SUSPECT_AFTER`]). Other claims
    /// leave these out.
    pub suspect: bool,
    /// Series in these versions are left out of [`Claimed::series`].
    pub passed_over: Arc<[(JobSeq, i64)]>,
    /// Computes how series that are due move on. A store that can do so within the claim applies that before it claims, so that
    /// the runs of these series are among the claimed ones at once.
    pub planner: Option<PlanAdvance>,
}

/// What a claim found.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    /// Runs that are now this process's, best first: by priority, then due time, then dispatch order.
    pub runs: Vec<ClaimedRun>,
    /// Series with an occurrence due of which the planner was not asked; the engine computes what follows and calls
    /// [`super::Store::advance`].
    pub series: Vec<SeriesSnapshot>,
    /// When to look again, if nothing wakes the claimer earlier: the earliest time at which something falls due.
    pub next_due: Option<Millis>,
    /// What the store's own clock showed meanwhile, if it has one and there are such series.
    pub server_time: Option<Millis>,
    /// A bounded batch was cut short: claim again at once.
    pub more: bool,
    /// The mark of the route that was added last: another one than known means that there are routes to load, before any
    /// of the `runs` begins.
    pub newest_route: RouteMark,
}

/// A run that was claimed, with all that is needed to run it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedRun {
    /// The job's number.
    pub job: JobSeq,
    /// The run's number, 1-based.
    pub run: i64,
    /// The attempt's number, 1-based.
    pub attempt: u32,
    /// How many attempts before this one ended by a crash: they spent no retry.
    pub crashes: u32,
    /// Proof of the claim.
    pub token: Token,
    /// The job's public id.
    pub id: JobId,
    /// Where it goes.
    pub route: RouteId,
    /// When this attempt was due.
    pub due: Millis,
    /// When the run was due, first attempt.
    pub scheduled_at: Millis,
    /// Occurrences before this one that this run stands in for.
    pub missed: i64,
    /// The job's priority.
    pub priority: i32,
    /// The job's retries.
    pub retries: u32,
    /// JSON text of [`crate::model::JobOptions`]; `None` = defaults.
    pub options: Option<Box<str>>,
    /// JSON text of the input.
    pub input: Box<str>,
    /// Time of the dispatch.
    pub created: Millis,
    /// Whether the job recurs.
    pub recurring: bool,
    /// How late after its time it may begin by the schedule of its job, ms, of a run that is late already; `None`: nobody asked.
    pub grace: Option<i64>,
    /// Why input or token cannot be read: both are encrypted, and this process cannot run it.
    pub unreadable: Option<Box<Unreadable>>,
}

/// Attempts that ended in this process.
#[derive(Clone, Debug)]
pub struct CompleteParams {
    /// Wall time.
    pub now: Millis,
    /// Whose they are.
    pub instance: InstanceId,
    /// The attempts.
    pub completions: Vec<Completion>,
}

/// One attempt that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The job.
    pub job: JobSeq,
    /// The run.
    pub run: i64,
    /// Proof of the claim.
    pub token: Token,
    /// Whether its job is known to recur; a store need not be told.
    pub recurring: bool,
    /// When the handler was called.
    pub started_at: Millis,
    /// When it was done.
    pub ended_at: Millis,
    /// How it ended.
    pub outcome: RunOutcome,
}

/// What became of a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completed {
    /// It counted; the job is now in this state.
    Accepted(Status),
    /// The run is no longer this process's (another took it, or it was cancelled): nothing was changed.
    LeaseLost,
}

/// Which registrations count as dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// Those of which something proves it: the lock of their process is free, or the machine has started since.
    Proven,
    /// Also those whose lease has ended: for a process that has itself kept its lease without trouble, since after an
    /// outage of the store the others may not have had the chance yet.
    ProvenOrSilent,
}

/// A look for dead processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoverParams {
    /// The registration of who looks, which is alive.
    pub by: Option<InstanceId>,
    /// Who counts as dead.
    pub takeover: Takeover,
    /// Wall time.
    pub now: Millis,
    /// Crashes after which a run has failed.
    pub max_crashes: u32,
}

impl RecoverParams {
    /// Looks for all that are silent, on nobody's behalf.
    #[must_use]
    pub const fn new(now: Millis, max_crashes: u32) -> Self {
        Self {
            by: None,
            takeover: Takeover::ProvenOrSilent,
            now,
            max_crashes,
        }
    }
}

/// A run that failed with its last allowed crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRun {
    /// Its job.
    pub job: JobId,
    /// Where it goes.
    pub route: RouteId,
    /// The run.
    pub run: i64,
    /// The attempt that crashed.
    pub attempt: u32,
    /// How it failed.
    pub error: RunError,
}

/// Runs taken back from processes that are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Processes found dead.
    pub instances: usize,
    /// Runs that will run again.
    pub requeued: usize,
    /// Runs that crashed too often and have failed.
    pub failed: usize,
    /// Routes of the attempts that crashed, and whether their runs have failed by that.
    pub crashed: Vec<(RouteId, bool)>,
    /// Those that have.
    pub failed_runs: Vec<FailedRun>,
    /// Routes of runs that are ready and wait to run alone, whoever ran them.
    pub suspects: Vec<RouteId>,
    /// Events wait in the outbox.
    pub has_events: bool,
    /// What the store's clock showed meanwhile, if it has one.
    pub server_time: Option<Millis>,
}
