//! Writes jobs that are due and ask for nothing special, several with each statement: beginning and ending one costs as
//! much as a row.
//!
//! Invariant: what is written here is what [`super::insert`] would have written; what this cannot write is left to it, as
//! if it had not been tried.

use super::job_text::options_text;
use super::jobs::IdParam;
use super::run_rows::rows;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{EventKind, NewJob, Status};
use crate::store::{JobSeq, RouteId};
use std::fmt::Write;
use std::sync::OnceLock;

/// Jobs of one statement.
const ROWS_PER_STATEMENT: usize = 16;
/// Parameters of each, besides the number of the first one, which they share.
const PARAMS_PER_ROW: usize = 8;

const INSERT_READY: &str = include_str!("sql/ready_put_many.sql");
const DELETE_INSERTED_JOBS: &str = include_str!("sql/delete_inserted_jobs.sql");

/// The statement that writes so many jobs.
fn statement() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut text = String::from(
            "INSERT INTO jobs (seq, id, route, priority, due, retries, recurring, run, created, updated, options, input) VALUES ",
        );
        for row in 0..ROWS_PER_STATEMENT {
            let [id, route, priority, due, retries, created, options, input] =
                std::array::from_fn(|column| 2 + row * PARAMS_PER_ROW + column);
            let comma = if row == 0 { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "{comma}(?1 + {row}, ?{id}, ?{route}, ?{priority}, ?{due}, ?{retries}, 0, 1, ?{created}, ?{created}, ?{options}, ?{input})"
            );
        }
        text.push_str(" ON CONFLICT (id) DO NOTHING");
        text
    })
}

/// Writes the first of these jobs, as many as go this way; returns how many those were. All of them are new.
pub(super) fn apply(tx: &mut Tx<'_>, jobs: &[NewJob], now: Millis) -> Result<usize> {
    let all_plain = |jobs: &[NewJob]| jobs.iter().all(|job| is_plain(job, now));
    if !jobs.get(..ROWS_PER_STATEMENT).is_some_and(all_plain) || tx.wants(EventKind::Scheduled)? {
        return Ok(0);
    }
    let (mut first, mut last) = (None, JobSeq::MIN);
    let mut written = 0;
    for chunk in jobs
        .chunks_exact(ROWS_PER_STATEMENT)
        .take_while(|chunk| all_plain(chunk))
    {
        let Some(number) = write_jobs(tx, chunk)? else { break };
        first.get_or_insert(number);
        last = number.plus(rows(ROWS_PER_STATEMENT) - 1);
        written += ROWS_PER_STATEMENT;
    }
    if let Some(first) = first {
        tx.connection.prepare_cached(INSERT_READY)?.execute((first, last))?;
        tx.wake();
    }
    Ok(written)
}

/// Due, and with no rows but its own and the one that makes it ready.
fn is_plain(job: &NewJob, now: Millis) -> bool {
    let options = &job.options;
    job.recurrence.is_none()
        && job.due.unwrap_or(job.created) <= now
        && options.unique.is_none()
        && options.concurrency.is_none()
        && options.tags.is_empty()
}

/// The number of the first one; they follow each other. `None`: an id is taken, and nothing was written.
fn write_jobs(tx: &mut Tx<'_>, jobs: &[NewJob]) -> Result<Option<JobSeq>> {
    let mut routes: [RouteId; ROWS_PER_STATEMENT] = [RouteId::MIN; ROWS_PER_STATEMENT];
    for (route, job) in routes.iter_mut().zip(jobs) {
        *route = tx.intern(&job.route)?;
    }
    let first = tx.reserve_job_numbers(rows(ROWS_PER_STATEMENT))?;
    let statement = tx.insert_jobs(statement())?;
    statement.raw_bind_parameter(1, first)?;
    for (row, (job, route)) in jobs.iter().zip(routes).enumerate() {
        let at = 2 + row * PARAMS_PER_ROW;
        statement.raw_bind_parameter(at, IdParam(&job.id))?;
        statement.raw_bind_parameter(at + 1, route)?;
        statement.raw_bind_parameter(at + 2, job.priority)?;
        statement.raw_bind_parameter(at + 3, job.due.unwrap_or(job.created))?;
        statement.raw_bind_parameter(at + 4, job.retries)?;
        statement.raw_bind_parameter(at + 5, job.created)?;
        statement.raw_bind_parameter(at + 6, options_text(&job.options)?)?;
        statement.raw_bind_parameter(at + 7, &*job.input)?;
    }
    if statement.raw_execute()? < ROWS_PER_STATEMENT {
        tx.connection
            .prepare_cached(DELETE_INSERTED_JOBS)?
            .execute((first, first.plus(rows(ROWS_PER_STATEMENT) - 1)))?;
        return Ok(None);
    }
    for route in routes {
        tx.count_transition(route, None, Some(Status::Queued));
    }
    Ok(Some(first))
}
