//! Moves what is due, then claims: the best ready runs of the served routes go to `running`.
//!
//! Both are one function of the schema, so that a claim is one round trip. Where it begins to look, `frontier` says.
//! Invariant: a claimed run is in `running` with a token that no other claim of this process has.

use super::failure::Attempt;
use super::frontier::Frontier;
use super::param::{rows, small};
use super::session::Session;
use super::state::{read_id, unsigned};
use crate::store::{ClaimParams, Claimed, ClaimedRun, DueSeries, JobSeq, ServedRoute, Token};
use tokio_postgres::Row;

/// Series listed in one claim.
const DUE_SERIES: usize = 200;
/// Most runs of one claim: each has its payload in the answer.
const MOST: usize = 2_000;
/// Ready runs looked at beyond the slots, for those that other processes have locked at this moment.
pub(super) const SPARE: usize = 32;

const CLAIM: &str = "SELECT * FROM ductape.claim_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
const SERIES: &str = include_str!("sql/series_due.sql");
const SERIES_AFTER: &str = include_str!("sql/series_after.sql");

/// One claim; its tokens follow `token`.
pub(super) async fn apply(
    session: &Session,
    frontier: &Frontier,
    params: &ClaimParams,
    token: Token,
) -> Attempt<Claimed> {
    let params = &without_groups(params);
    let look = frontier.look(params);
    let group_slots: Vec<i32> = params.group_slots.iter().map(|slots| small(*slots)).collect();
    let (slots, spare, limit) = (small(params.slots), small(SPARE), rows(DUE_SERIES));
    let claim: [&dyn super::param::Param; 14] = [
        &params.now,
        &look.since,
        &params.instance,
        &token,
        &look.routes,
        &look.groups,
        &look.priorities,
        &look.dues,
        &look.jobs,
        &look.runs,
        &look.befores,
        &group_slots,
        &slots,
        &spare,
    ];
    let series_params: [&dyn super::param::Param; 2] = [&params.now, &limit];
    let (found, series) =
        futures_util::future::try_join(session.query(CLAIM, &claim), session.query(SERIES, &series_params)).await?;
    let mut claimed = Claimed::default();
    let mut pages = 0;
    for row in &found {
        pages += read(row, &mut claimed)?;
    }
    claimed.runs.sort_unstable_by_key(|run| run.token);
    frontier.found(params, &look, &claimed, pages);
    claimed.more |= series.len() == DUE_SERIES;
    claimed.series = series.iter().map(read_series).collect::<Attempt<_>>()?;
    Ok(claimed)
}

/// The same claim with one group, if no group has fewer slots than there are in all: most processes limit no handler.
fn without_groups(params: &ClaimParams) -> ClaimParams {
    let slots = params.slots.min(MOST);
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

/// Reads one run, or what the last row says of them all: then, how many pages were looked at.
fn read(row: &Row, claimed: &mut Claimed) -> Attempt<i64> {
    let Some(job) = row.try_get(0)? else {
        claimed.more |= row.try_get::<_, bool>(17)?;
        claimed.highest_route = row.try_get(7)?;
        claimed.next_due = row.try_get(8)?;
        return Ok(row.try_get(10)?);
    };
    claimed.runs.push(ClaimedRun {
        job,
        run: row.try_get(1)?,
        attempt: unsigned(row, 2)?,
        crashes: unsigned(row, 3)?,
        token: row.try_get(4)?,
        id: read_id(row, 5, 6)?,
        route: row.try_get(7)?,
        due: row.try_get(8)?,
        scheduled_at: row.try_get(9)?,
        missed: row.try_get(10)?,
        priority: row.try_get(11)?,
        retries: unsigned(row, 12)?,
        options: row.try_get(13)?,
        input: row.try_get(14)?,
        created: row.try_get(15)?,
        recurring: row.try_get(16)?,
    });
    Ok(0)
}

/// Up to `most` series with an occurrence to come, of higher number than `after`.
pub(super) async fn series_after(session: &Session, after: JobSeq, most: usize) -> Attempt<Vec<DueSeries>> {
    let found = session.query(SERIES_AFTER, &[&after, &rows(most)]).await?;
    found.iter().map(read_series).collect()
}

fn read_series(row: &Row) -> Attempt<DueSeries> {
    Ok(DueSeries {
        job: row.try_get(0)?,
        id: read_id(row, 1, 2)?,
        version: row.try_get(3)?,
        recurrence: row.try_get(4)?,
        next_at: row.try_get(5)?,
        runs: row.try_get(6)?,
        live: row.try_get(7)?,
    })
}
