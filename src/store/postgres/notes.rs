//! Notes of handlers on running jobs: the latest progress, and log lines.
//!
//! Invariant: a job's log is bounded; the oldest lines are deleted first. Notes on a deleted job are dropped, and a job is
//! not deleted while they are written.

use super::failure::DbResult;
use super::param::{params, storable};
use super::run_rows::int4;
use super::session::Session;
use super::state;
use super::tx::Tx;
use crate::clock::Millis;
use crate::model::JobId;
use crate::store::{JobSeq, LogLine, Note, NoteKind};
use std::collections::{BTreeMap, BTreeSet};

const LOCK_NOTED_JOBS: &str = include_str!("sql/lock_noted_jobs.sql");
const UPSERT_PROGRESS: &str = include_str!("sql/upsert_progress.sql");
const INSERT_LOG_LINES: &str = include_str!("sql/insert_log_lines.sql");
const DELETE_OLD_LOG_LINES: &str = include_str!("sql/delete_old_log_lines.sql");
const SELECT_LOG_LINES: &str = include_str!("sql/select_log_lines.sql");

/// Writes notes, in order.
pub(super) async fn apply(session: &Session, notes: &[Note]) -> DbResult<()> {
    let mut tx = Tx::begin(session).await?;
    let mut jobs: Vec<JobSeq> = notes.iter().map(|note| note.job).collect();
    jobs.sort_unstable();
    jobs.dedup();
    let there = session.query(LOCK_NOTED_JOBS, &[&jobs]).await?;
    let there: DbResult<BTreeSet<(JobSeq, Millis)>> =
        there.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
    let there = there?;
    let kept = notes.iter().filter(|note| there.contains(&(note.job, note.created)));
    let mut progress: BTreeMap<JobSeq, String> = BTreeMap::new();
    let (mut of, mut runs, mut attempts, mut times, mut messages) = (vec![], vec![], vec![], vec![], vec![]);
    for note in kept {
        match &note.kind {
            NoteKind::Progress(value) => {
                progress.insert(note.job, value.to_string());
            }
            NoteKind::Log(message) => {
                of.push(note.job);
                runs.push(note.run);
                attempts.push(int4(note.attempt));
                times.push(note.at);
                messages.push(storable(message).into_owned());
            }
        }
    }
    if !progress.is_empty() {
        let (jobs, values): (Vec<JobSeq>, Vec<String>) = progress.into_iter().unzip();
        tx.write_later(UPSERT_PROGRESS, params![jobs, values]);
    }
    if !of.is_empty() {
        let logged = of.clone();
        tx.write_later(INSERT_LOG_LINES, params![of, runs, attempts, times, messages]);
        tx.write_later(DELETE_OLD_LOG_LINES, params![logged]);
    }
    tx.commit().await?;
    Ok(())
}

/// The log of a job, oldest line first; `None`: no such job.
pub(super) async fn log_lines(session: &Session, id: &JobId) -> DbResult<Option<Vec<LogLine>>> {
    let Some(job) = state::find(session, id).await? else {
        return Ok(None);
    };
    let rows = session.query(SELECT_LOG_LINES, &[&job]).await?;
    let log_lines: DbResult<Vec<LogLine>> = rows
        .iter()
        .map(|row| {
            Ok(LogLine {
                job,
                run: row.try_get(0)?,
                attempt: state::unsigned(row, 1)?,
                at: row.try_get(2)?,
                message: row.try_get(3)?,
            })
        })
        .collect();
    log_lines.map(Some)
}
