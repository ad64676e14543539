//! Promotes due runs, then claims: the best ready runs of the served routes move to `running`.
//!
//! Both are one function of the schema, so that a claim is one round trip. `scan_positions` decides where its scan starts.
//! Invariant: a claimed run is in `running` with a token that no other claim of this process has.

use super::failure::DbResult;
use super::param::{rows, to_i32};
use super::scan_positions::ScanPositions;
use super::series_snapshot;
use super::session::Session;
use super::state::{read_id, unsigned};
use crate::clock::Millis;
use crate::model::RunOutcome;
use crate::model::schedule::DEFAULT_GRACE_MS;
use crate::store::claim::MAX_CLAIM_BYTES;
use crate::store::rules::busy::PROMPT_MS;
use crate::store::{ClaimParams, Claimed, ClaimedRun, Completion, JobSeq, SeriesSnapshot, ServedRoute, Token};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_postgres::Row;

/// Most due series returned by one claim.
const MAX_DUE_SERIES: usize = 500;
/// Most runs of one claim, since the answer contains the payload of each.
const MAX_SLOTS: usize = 2_000;
/// A run that is due later than this after now, ms, by the clock of who claims, was moved to `ready` by a process whose clock
/// is ahead. Clocks that are kept by the network differ by less.
const MAX_CLOCK_DIFFERENCE: i64 = 60_000;
/// How fast the number of runs for each claim rises again, in parts of it.
const LIMIT_RISE: usize = 4;
/// Ready runs scanned beyond the slots, to make up for rows locked by other processes.
pub(super) const SPARE_ROWS: usize = 32;

const CALL_CLAIM: &str = include_str!("sql/call_claim.sql");
const SELECT_DUE_SERIES: &str = include_str!("sql/select_due_series.sql");
const SELECT_SERIES_AFTER: &str = include_str!("sql/select_series_after.sql");

/// How many runs a claim asks for: fewer than there are slots for while their inputs are large.
#[derive(Debug)]
pub(super) struct ClaimLimit(AtomicUsize);

impl Default for ClaimLimit {
    fn default() -> Self {
        Self(AtomicUsize::new(MAX_SLOTS))
    }
}

impl ClaimLimit {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// `fitted` runs came with their inputs, and `excess` without.
    fn adapt(&self, fitted: usize, excess: usize) {
        let limit = self.get();
        if excess > 0 {
            self.0.store(fitted.max(1), Ordering::Relaxed);
        } else if limit < MAX_SLOTS && fitted >= limit {
            self.0
                .store((limit + limit.div_ceil(LIMIT_RISE)).min(MAX_SLOTS), Ordering::Relaxed);
        }
    }
}

/// What a claim brought.
pub(super) struct Answer {
    pub(super) claimed: Claimed,
    /// Runs that were claimed besides, and are to be handed back: their inputs are too much for one answer, or their time has not
    /// come.
    pub(super) handed_back: Vec<Completion>,
}

/// One claim; its tokens follow `token`.
pub(super) async fn apply(
    session: &Session,
    (scan_positions, limit): (&ScanPositions, &ClaimLimit),
    asked: &ClaimParams,
    token: Token,
) -> DbResult<Answer> {
    let params = &without_groups(asked, limit.get());
    let scan = scan_positions.start_scan(params);
    let group_slots: Vec<i32> = params.group_slots.iter().map(|slots| to_i32(*slots)).collect();
    let slots = to_i32(if params.suspect {
        params.slots.min(1)
    } else {
        params.slots
    });
    let (spare, most_series, most_bytes) = (to_i32(SPARE_ROWS), rows(MAX_DUE_SERIES), rows(MAX_CLAIM_BYTES));
    let in_time_since = params.now.saturating_sub(PROMPT_MS);
    let claim: [&dyn super::param::Param; 18] = [
        &params.now,
        &scan.since,
        &params.instance,
        &token,
        &scan.routes,
        &scan.groups,
        &scan.priorities,
        &scan.dues,
        &scan.jobs,
        &scan.runs,
        &scan.befores,
        &group_slots,
        &slots,
        &spare,
        &params.suspect,
        &most_bytes,
        &in_time_since,
        &DEFAULT_GRACE_MS,
    ];
    let (passed_over, versions): (Vec<JobSeq>, Vec<i64>) = params.passed_over.iter().copied().unzip();
    let series_params: [&dyn super::param::Param; 4] = [&params.now, &most_series, &passed_over, &versions];
    let transactions = &session.connector().transactions;
    let began = transactions.begin();
    let (found, series) = futures_util::future::try_join(
        session.query(CALL_CLAIM, &claim),
        session.query(SELECT_DUE_SERIES, &series_params),
    )
    .await?;
    transactions.committed(began, 0);
    let (mut claimed, mut handed_back) = (Claimed::default(), Vec::new());
    let mut pages = 0;
    for row in &found {
        pages += read(row, &mut claimed, &mut handed_back, params.now)?;
    }
    claimed.runs.sort_unstable_by_key(|run| run.token);
    scan_positions.scan_finished(params, &scan, &claimed, pages);
    let excess = |completion: &&Completion| completion.outcome == RunOutcome::Released;
    limit.adapt(claimed.runs.len(), handed_back.iter().filter(excess).count());
    let was_limited = params.slots < asked.slots && claimed.runs.len() >= params.slots;
    claimed.more |= series.len() == MAX_DUE_SERIES || was_limited || !handed_back.is_empty();
    claimed.server_time = series.last().map(|row| row.try_get(11)).transpose()?;
    let mut due: Vec<_> = series.iter().map(series_snapshot::read).collect::<DbResult<_>>()?;
    series_snapshot::add_busy(session, &mut due, Some(params.instance), params.now).await?;
    claimed.series = due.into_iter().map(|(snapshot, _)| snapshot).collect();
    Ok(Answer { claimed, handed_back })
}

/// The same claim with a single group, if no group is limited below the total slots, as in most processes.
fn without_groups(params: &ClaimParams, limit: usize) -> ClaimParams {
    let slots = params.slots.min(limit);
    if params.group_slots.iter().any(|free| *free < slots) {
        return ClaimParams {
            slots,
            ..params.clone()
        };
    }
    let served = params.served.iter().map(|served| ServedRoute { group: 0, ..*served });
    ClaimParams {
        served: served.collect(),
        group_slots: vec![slots],
        slots,
        ..params.clone()
    }
}

/// Reads a run, or the last row, which summarises the claim; then returns the number of pages read.
fn read(row: &Row, claimed: &mut Claimed, handed_back: &mut Vec<Completion>, now: Millis) -> DbResult<i64> {
    let Some(job) = row.try_get(0)? else {
        claimed.more |= row.try_get::<_, bool>(17)?;
        claimed.newest_route = row.try_get(18)?;
        claimed.next_due = row.try_get(8)?;
        return Ok(row.try_get(10)?);
    };
    let (run, token) = (row.try_get(1)?, row.try_get(4)?);
    let recurring: bool = row.try_get(16)?;
    let hand_back = |outcome| Completion {
        job,
        run,
        token,
        recurring,
        started_at: now,
        ended_at: now,
        outcome,
    };
    let (due, created): (Millis, Millis) = (row.try_get(8)?, row.try_get(15)?);
    // What was dispatched to run at once does, however far ahead the clock was that said so; and a run of a series, which would be
    // in the way of those that are due until its time has come.
    if due > now.saturating_add(MAX_CLOCK_DIFFERENCE) && created < due && !recurring {
        handed_back.push(hand_back(RunOutcome::Snoozed { due }));
        return Ok(0);
    }
    let Some(input) = row.try_get(14)? else {
        handed_back.push(hand_back(RunOutcome::Released));
        return Ok(0);
    };
    claimed.runs.push(ClaimedRun {
        job,
        run,
        attempt: unsigned(row, 2)?,
        crashes: unsigned(row, 3)?,
        token,
        id: read_id(row, 5, 6)?,
        route: row.try_get(7)?,
        due,
        scheduled_at: row.try_get(9)?,
        missed: row.try_get(10)?,
        priority: row.try_get(11)?,
        retries: unsigned(row, 12)?,
        options: row.try_get(13)?,
        input,
        created,
        recurring,
        grace: row.try_get(19)?,
        unreadable: None,
    });
    Ok(0)
}

/// Up to `most` series with a next occurrence and a number above `after`, without when their runs were being done.
pub(super) async fn series_after(session: &Session, after: JobSeq, most: usize) -> DbResult<Vec<SeriesSnapshot>> {
    let found = session.query(SELECT_SERIES_AFTER, &[&after, &rows(most)]).await?;
    let read = |row: &Row| {
        let (mut snapshot, _) = series_snapshot::read(row)?;
        let settled = snapshot.settled.of_paused(row.try_get(11)?);
        snapshot.settled = settled.in_force_since(row.try_get(12)?);
        Ok(snapshot)
    };
    found.iter().map(read).collect()
}
