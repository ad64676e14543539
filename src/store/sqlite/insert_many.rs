//! Fast path for plain jobs that are due: several per statement, since the overhead of a statement is that of a row.
//!
//! Invariant: writes exactly what [`super::insert`] would write; jobs that it cannot write are left to that module,
//! without side effects.

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

/// Jobs per statement.
const ROWS_PER_STATEMENT: usize = 16;
/// Parameters per job, besides the number of the first one, which all share.
const PARAMS_PER_ROW: usize = 8;

const INSERT_READY: &str = include_str!("sql/ready_put_many.sql");
const DELETE_INSERTED_JOBS: &str = include_str!("sql/delete_inserted_jobs.sql");

/// The statement that writes [`ROWS_PER_STATEMENT`] jobs.
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

/// Writes as many of the first jobs as are plain; returns how many. All of these are new.
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

/// Whether a job is due and needs only its own row and one in `ready`.
fn is_plain(job: &NewJob, now: Millis) -> bool {
    let options = &job.options;
    job.recurrence.is_none()
        && job.due.unwrap_or(job.created) <= now
        && options.unique.is_none()
        && options.concurrency.is_none()
        && options.tags.is_empty()
}

/// Writes jobs with consecutive numbers; returns the first. `None`: an id is taken, and nothing was written.
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
