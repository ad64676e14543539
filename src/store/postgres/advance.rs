//! Turns due occurrences into runs and moves their series on, in one transaction.
//!
//! Invariant: an advance counts once, and only if its series is as it was when the advance was computed; until then the
//! series stays due, so that nothing is lost.

use super::failure::Attempt;
use super::queue::{NewOccurrence, Waiting};
use super::series::{self, Series};
use super::session::Session;
use super::state::{self, Subject};
use super::tx::{Tx, params};
use crate::clock::Millis;
use crate::store::phase::Phase;
use crate::store::{GridGap, SeriesAdvance};

const PUT_GAP: &str = include_str!("sql/gaps_put.sql");

/// Applies the advances; returns how many counted.
pub(super) async fn apply(session: &Session, now: Millis, advances: &[SeriesAdvance]) -> Attempt<usize> {
    let mut tx = Tx::begin(session).await?;
    let mut jobs: Vec<i64> = advances.iter().map(|advance| advance.job).collect();
    jobs.sort_unstable();
    jobs.dedup();
    let mut subjects = state::lock_series(session, &jobs).await?;
    let mut counted = 0;
    for advance in advances {
        let subject = subjects.iter_mut().find(|subject| subject.job.seq == advance.job);
        counted += usize::from(subject.is_some_and(|subject| apply_one(&mut tx, subject, advance, now)));
    }
    if counted == 0 {
        tx.roll_back().await?;
        return Ok(0);
    }
    for subject in subjects {
        if let Some(series) = subject.series {
            series.save(&mut tx, subject.job.seq);
        }
    }
    tx.commit().await?;
    Ok(counted)
}

fn apply_one(tx: &mut Tx<'_>, subject: &mut Subject, advance: &SeriesAdvance, now: Millis) -> bool {
    let current = |series: &&mut Series| series.version == advance.version && series.state == 0;
    let rank = |due| super::queue::Rank {
        route: subject.job.route,
        priority: subject.job.priority,
        due,
        key: subject.job.key,
    };
    let Some(series) = subject.series.as_mut().filter(current) else {
        return false;
    };
    let (job, route, before) = (subject.job.seq, subject.job.route, series.status());
    for gap in &advance.gaps {
        put_gap(tx, job, gap, series.runs);
    }
    for occurrence in &advance.occurrences {
        series.runs += 1;
        series.last_at = Some(occurrence.scheduled_at);
        series.run_moved(None, Phase::Queued);
        tx.puts.occurrences.push(NewOccurrence {
            job,
            run: series.runs,
            scheduled_at: occurrence.scheduled_at,
            due: occurrence.scheduled_at,
            missed: occurrence.missed,
        });
        let first = Waiting::first(job, series.runs, true);
        tx.puts.ready.push((rank(occurrence.scheduled_at), first));
    }
    series.next_at = advance.next_at;
    series.held = advance.after_live;
    series.version += 1;
    series.end_if_over(tx, job, now);
    series::count(tx, (route, before), (route, series.status()));
    true
}

/// A gap that continues the last one, with no run between them, makes that one longer.
fn put_gap(tx: &mut Tx<'_>, job: i64, gap: &GridGap, runs: i64) {
    tx.later(
        PUT_GAP,
        params![job, gap.kind as i32, runs, gap.first, gap.last, gap.count],
    );
}
