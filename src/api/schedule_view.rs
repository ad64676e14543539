//! The schedule of a job as it would be dispatched.
//!
//! Invariant: dispatched again, it gives the same occurrences.

use crate::clock::Millis;
use crate::cron::day_text;
use crate::model::schedule::{DEFAULT_GRACE_MS, Dst, Gap, Overlap};
use crate::model::{IfRunning, Misfire, Recurrence, Rule};
use serde::Serialize;

/// `IJob.schedule`. What is as it would be without saying so is left out.
#[derive(Debug, Default, Serialize)]
pub struct ScheduleView {
    #[serde(skip_serializing_if = "Option::is_none")]
    start_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tz: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i64>,
    #[serde(rename = "endDate", skip_serializing_if = "Option::is_none")]
    end_date: Option<Millis>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    except: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst: Option<DstView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    misfire: Option<Misfire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace: Option<i64>,
    #[serde(rename = "ifRunning", skip_serializing_if = "Option::is_none")]
    if_running: Option<IfRunning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spread: Option<i64>,
}

#[derive(Debug, Serialize)]
struct DstView {
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<Gap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<Overlap>,
}

impl ScheduleView {
    /// Of a job that runs once, at `due`.
    #[must_use]
    pub fn one_off(due: Millis) -> Self {
        Self {
            start_at: Some(due),
            ..Self::default()
        }
    }

    /// Of a recurring job.
    #[must_use]
    pub fn recurring(recurrence: &Recurrence) -> Self {
        let (mut cron, mut every, mut interval, mut tz) = (None, None, None, None);
        match &recurrence.rule {
            Rule::Cron { text, tz: zone } => (cron, tz) = (Some(text.clone()), Some(zone)),
            Rule::Every { interval: ms, .. } => every = Some(*ms),
            Rule::Interval { duration, tz: zone, .. } => (interval, tz) = (Some(duration.clone()), Some(zone)),
        }
        let except = recurrence.except.as_ref();
        // Without a start, an interval began with its dispatch; one that was over by then has no beginning at all.
        let anchor = recurrence.rule.anchor();
        let began = anchor.filter(|anchor| recurrence.end_at.is_none_or(|end| *anchor <= end));
        Self {
            start_at: recurrence.start_at.or(began),
            cron,
            every,
            interval,
            tz: tz.or(recurrence.tz.as_ref()).or(except.map(|dates| &dates.tz)).cloned(),
            limit: recurrence.limit,
            end_date: recurrence.end_at,
            except: except.map_or_else(Vec::new, |dates| dates.days.iter().copied().map(day_text).collect()),
            dst: dst_view(recurrence.dst),
            misfire: unless_default(recurrence.misfire),
            grace: recurrence.grace.filter(|grace| *grace != DEFAULT_GRACE_MS),
            if_running: unless_default(recurrence.if_running),
            spread: unless_default(recurrence.spread),
        }
    }
}

fn dst_view(Dst { gap, overlap }: Dst) -> Option<DstView> {
    unless_default(Dst { gap, overlap }).map(|_| DstView {
        gap: unless_default(gap),
        overlap: unless_default(overlap),
    })
}

fn unless_default<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

#[cfg(test)]
mod tests;
