//! Brings forward what waits for a time that was set by a clock which has been put back since; leases as well.
//!
//! Invariant: bounded per transaction. A run stays in `scheduled`, also when it is due now: promotion moves it, and counts. What
//! others have locked is being moved by them.

use super::failure::DbResult;
use super::param::rows;
use super::session::Session;
use crate::clock::Millis;
use crate::store::JobSeq;
use crate::store::rules::crash;

/// Most waiting runs looked at in one transaction.
const MAX_ROWS: usize = 500;

/// No lease that was given by a right clock ends later than this from now on, ms.
const MAX_LEASE_MS: i64 = 60_000;

const RETIME_INSTANCES: &str = include_str!("sql/retime_instances.sql");
const RETIME_WAITING: &str = include_str!("sql/retime_waiting.sql");

/// A place in the order of `scheduled`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position(Millis, JobSeq, i64);

impl Position {
    /// Before all that is due after `time`.
    pub(super) fn due_after(time: Millis) -> Self {
        Self(time, JobSeq::MAX, i64::MAX)
    }
}

/// What one transaction came to.
#[derive(Default)]
pub(super) struct Step {
    pub(super) moved: usize,
    /// Where to go on.
    pub(super) next: Option<Position>,
}

/// Ends leases soon that were given by a clock which was ahead: who lives renews its own. Nobody was seen after now.
pub(super) async fn instances(session: &Session, now: Millis) -> DbResult<()> {
    let last = now.saturating_add(MAX_LEASE_MS);
    session.execute(RETIME_INSTANCES, &[&now, &last]).await?;
    Ok(())
}

/// Looks at the next waiting runs, and moves those that wait since a time after `now`, by `by` at least.
pub(super) async fn step(session: &Session, after: Position, now: Millis, by: Millis) -> DbResult<Step> {
    let most = rows(MAX_ROWS);
    let crash_delays = crash::delays();
    let params: [&dyn super::param::Param; 7] = [&after.0, &after.1, &after.2, &most, &now, &by, &crash_delays];
    let Some(last) = session.query_opt(RETIME_WAITING, &params).await? else {
        return Ok(Step::default());
    };
    let next = Position(last.try_get(0)?, last.try_get(1)?, last.try_get(2)?);
    let (seen, moved): (i64, i64) = (last.try_get(3)?, last.try_get(4)?);
    Ok(Step {
        moved: usize::try_from(moved).unwrap_or(0),
        next: (seen == most).then_some(next),
    })
}
