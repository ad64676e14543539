//! Gives a job another time or schedule.
//!
//! Invariant: history, counts and a run that is going stay. A new due time is written where [`super::state`] finds it:
//! in the history of a run that has some, else in the job.

use super::failure::Attempt;
use super::insert::spec_text;
use super::queue;
use super::replace;
use super::series;
use super::state::{Place, Subject};
use super::tx::{Tx, params};
use crate::clock::Millis;
use crate::model::{Recurrence, Status};
use crate::store::{Changed, Standing, Timing};

const DUE: &str = "UPDATE ductape.jobs SET due = $2, updated = $3 WHERE seq = $1";
const TOUCH: &str = "UPDATE ductape.jobs SET updated = $2 WHERE seq = $1";
const NEXT_DUE: &str = "UPDATE ductape.runs SET next_due = $4 WHERE job = $1 AND run = $2 AND attempt = $3";

/// Applies a new timing of the job's own kind.
pub(super) fn apply(tx: &mut Tx<'_>, subject: Subject, timing: &Timing, now: Millis) -> Attempt<Changed> {
    let job = subject.job.seq;
    let standing = match (subject.job.recurring, &timing.recurrence) {
        (false, None) => one_off(tx, subject, timing.due.unwrap_or(now), now),
        (true, Some(recurrence)) => whole_series(tx, subject, recurrence, timing.due, now)?,
        _ => return Ok(Changed::OtherKind(subject.kind())),
    };
    tx.wake();
    Ok(Changed::Done {
        job,
        running: Vec::new(),
        standing: Some(standing),
    })
}

fn one_off(tx: &mut Tx<'_>, subject: Subject, due: Millis, now: Millis) -> Standing {
    let waiting = subject
        .runs
        .first()
        .and_then(|run| Some((run, subject.waiting(run)?.1)));
    let Some((run, waiting)) = waiting else {
        return subject.standing();
    };
    let (job, before) = (subject.job.seq, subject.status());
    subject.remove(tx, run);
    match run.last {
        Some(last) => {
            tx.later(NEXT_DUE, params![job, run.run, queue::int4(last.attempt), due]);
            tx.later(TOUCH, params![job, now]);
        }
        None => tx.later(DUE, params![job, due, now]),
    }
    let rank = subject.rank(due);
    let after = if matches!(run.place, Place::Paused(..)) {
        tx.puts.paused.push((due, waiting));
        Status::Paused
    } else if run.last.is_none() {
        queue::put_first(tx, rank, job, run.run, now)
    } else {
        queue::put_waiting(tx, rank, waiting, now).status()
    };
    tx.shift(subject.job.route, Some(before), Some(after));
    Standing {
        status: after,
        scheduled_at: due,
        recurring: false,
        next_run_at: None,
    }
}

fn whole_series(
    tx: &mut Tx<'_>,
    mut subject: Subject,
    recurrence: &Recurrence,
    due: Option<Millis>,
    now: Millis,
) -> Attempt<Standing> {
    let (job, before) = (subject.job.seq, subject.status());
    if let Some(series) = &mut subject.series {
        let due = due.filter(|_| replace::has_runs_left(recurrence, series));
        tx.later(DUE, params![job, due, now]);
        series.spec = spec_text(recurrence)?.into();
        series.next_at = due;
        series.held = false;
        series.reopen();
        series.end_if_over(tx, job, now);
        let route = subject.job.route;
        series::count(tx, (route, before), (route, series.status()));
        series.clone().save(tx, job);
        subject.job.due = due;
    }
    Ok(subject.standing())
}
