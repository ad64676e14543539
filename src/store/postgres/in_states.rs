//! The newest jobs in common states, from the tables of these states.
//!
//! No index has them by their numbers, since every dispatch would pay for it: they are read as a whole. To sort a few of them only, a
//! sample tells from which number on there are enough. Writes nothing.

use super::failure::DbResult;
use super::param::rows;
use super::session::Session;
use crate::model::Status;
use crate::store::JobSeq;

/// So many jobs are sorted without a sample; few in tests, so that these take samples.
const FEW_JOBS: i64 = if cfg!(test) { 256 } else { 16_384 };
/// Rows of a sample, about.
const SAMPLE_ROWS: i64 = 4_096;
/// How many times as many jobs as are wanted shall be from that number on: rows of a page are sampled together, so that it is rough.
const MARGIN: i64 = 3;

const SELECT_IN_STATES: &str = include_str!("sql/select_in_states.sql");
const SAMPLE_IN_STATES: &str = include_str!("sql/sample_in_states.sql");

/// Numbers of the newest jobs below one that may be in one of these states, newest first, and those that are in two tables twice.
/// There are `all` of them, about.
pub(super) async fn newest(
    session: &Session,
    statuses: &[Status],
    below: JobSeq,
    count: usize,
    all: i64,
) -> DbResult<Vec<JobSeq>> {
    let statuses: Vec<i32> = statuses.iter().map(|status| *status as i32).collect();
    if let Some(from) = sample(session, &statuses, below, count, all).await? {
        let found = select(session, &statuses, (from, below), count).await?;
        if found.len() == count {
            return Ok(found);
        }
    }
    select(session, &statuses, (JobSeq::new(i64::MIN), below), count).await
}

/// The number from which on there are probably enough jobs; `None`: all are to be sorted.
async fn sample(
    session: &Session,
    statuses: &[i32],
    below: JobSeq,
    count: usize,
    all: i64,
) -> DbResult<Option<JobSeq>> {
    let wanted = rows(count).saturating_mul(MARGIN);
    if all <= FEW_JOBS || wanted >= all {
        return Ok(None);
    }
    let share = SAMPLE_ROWS as f64 / all as f64;
    let place = (wanted as f64 * share).ceil() as i64;
    // Of a percent.
    let thousandths = (share * 100_000.0).ceil() as i64;
    let statuses = statuses.to_vec();
    let row = session
        .query_opt(SAMPLE_IN_STATES, &[&statuses, &below, &place, &thousandths])
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

async fn select(
    session: &Session,
    statuses: &[i32],
    (from, below): (JobSeq, JobSeq),
    count: usize,
) -> DbResult<Vec<JobSeq>> {
    let statuses = statuses.to_vec();
    let found = session
        .query(SELECT_IN_STATES, &[&statuses, &below, &rows(count), &from])
        .await?;
    found.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
