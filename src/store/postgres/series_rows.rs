//! Series that a transaction has changed, and their batching into one statement.
//!
//! Knows no verb and no rule. Invariant: what is put last of a series is what is written.

use super::param::{Param, params};
use super::series::Series;
use crate::clock::Millis;
use crate::store::JobSeq;
use std::collections::BTreeMap;

const UPDATE_SERIES: &str = include_str!("sql/update_series.sql");

/// Series to write, by job.
#[derive(Default)]
pub(super) struct PendingSeries(BTreeMap<JobSeq, Series>);

impl PendingSeries {
    /// Has a series written as it is now.
    pub(super) fn put(&mut self, job: JobSeq, series: Series) {
        self.0.insert(job, series);
    }

    /// The statement that writes them all; `None`: there are none.
    pub(super) fn statement(self) -> Option<(&'static str, Vec<Box<dyn Param>>)> {
        let mut rows: Vec<(JobSeq, Series)> = self.0.into_iter().collect();
        if rows.is_empty() {
            return None;
        }
        let reasons = texts(&mut rows, |series| {
            let reason = series.reason.take();
            reason.filter(|_| series.state.ended_as.is_some())
        });
        let specs = texts(&mut rows, |series| std::mem::take(&mut series.spec));
        let row = Columns(&rows);
        Some((
            UPDATE_SERIES,
            params![
                rows.iter().map(|(job, _)| *job).collect::<Vec<_>>(),
                specs,
                row.of(|series| series.state.version),
                row.of(|series| series.state.end_code()),
                row.of(|series| series.state.ended_at),
                reasons,
                row.of(|series| series.state.next_at),
                row.of(|series| series.state.after_live_runs),
                row.of(|series| series.last_at),
                row.of(|series| series.state.runs),
                row.of(|series| series.state.ended),
                row.of(|series| series.state.succeeded),
                row.of(|series| series.state.failed),
                row.of(|series| series.state.live.queued),
                row.of(|series| series.state.live.running),
                row.of(|series| series.state.live.waiting),
                row.of(|series| series.state.paused),
                row.of(|series| series.state.failed_at),
                row.of(|series| series.state.reruns),
                row.of(|series| series.settled.to_text()),
                row.of(|series| series.state.last.map(|last| last.run)),
                row.of(|series| series.state.last.map(|last| last.status as i32)),
                row.of(|series| series.state.last.map(|last| last.ended_at)),
                row.of(|series| series.state.failing.map_or(0, |failing| failing.runs)),
                row.of(|series| -> Option<Millis> { series.state.failing.map(|failing| failing.since) }),
            ],
        ))
    }
}

struct Columns<'a>(&'a [(JobSeq, Series)]);

impl Columns<'_> {
    fn of<T>(&self, value: impl Fn(&Series) -> T) -> Vec<T> {
        self.0.iter().map(|(_, series)| value(series)).collect()
    }
}

fn texts<T>(rows: &mut [(JobSeq, Series)], take: impl Fn(&mut Series) -> T) -> Vec<T> {
    rows.iter_mut().map(|(_, series)| take(series)).collect()
}
