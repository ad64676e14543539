//! `jobs.reschedule`: what is named of a schedule changes, all else stays.

use super::changes::refusal_of;
use super::dispatch::Dispatch;
use super::fields::Fields;
use super::jobs::{read_id, record, to_json};
use super::schedule::{self, SCHEDULE_ALIASES, object_of_cron};
use super::schedule_view::ScheduleView;
use super::schedule_warnings::limit_used_up;
use crate::engine::{Engine, Level, series_changes};
use crate::error::{Error, Result};
use crate::model::{Action, Recurrence, Status};
use crate::store::{Change, ChangeOutcome, ComputeMove, JobRecord, Timing};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Of these each takes the place of the others.
const RULES: [&str; 5] = ["cron", "every", "interval", "start_at", "delay"];

/// `reschedule(id, changes)`.
///
/// # Errors
/// `NOT_FOUND`; `CONFLICT` when the job's state forbids it; as a dispatch with the schedule that comes of it; `INVALID_SCHEDULE`
/// when that is one for a job of the other kind.
pub async fn reschedule(engine: &Engine, id: &str, changes: &str, timezone: &str) -> Result<String> {
    let id = read_id(id)?;
    let now = engine.clock.now();
    let known = record(engine, &id).await?;
    let schedule = changed(&known, changes)?;
    let plan = schedule::read_plan_of(&schedule, timezone, &id.to_string(), now)?;
    let (due, recurrence) = (plan.due, plan.recurrence.clone());
    let series = plan
        .recurrence
        .map(|new| ComputeMove::new(move |series| Some(series_changes::replaced(series, &new, due, now))));
    match engine.change(&id, Change::Reschedule(Timing { due, series })).await? {
        ChangeOutcome::Done {
            summary: Some(summary), ..
        } => {
            let limit = recurrence.as_ref().and_then(|recurrence| recurrence.limit);
            let used_up = limit.filter(|_| summary.status == Status::Completed).map(limit_used_up);
            if let Some(warning) = plan.warning.or(used_up) {
                engine.logger.log(Level::Warn, &format!("job {id}: {warning}"));
            }
            to_json(&Dispatch::changed(&id, summary, recurrence.as_ref()))
        }
        refused => Err(refusal_of(engine, &id, Action::Reschedule, &refused).await),
    }
}

/// The JSON of the schedule of a job after these changes, of which `null` takes a field away.
fn changed(known: &JobRecord, changes: &str) -> Result<String> {
    let of_cron = object_of_cron(changes);
    let changes = of_cron.as_deref().unwrap_or(changes);
    // An argument that is no object is a problem of its own.
    let mut fields = Fields::read(changes, "schedule")?;
    fields.take_aliases(&SCHEDULE_ALIASES);
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    let mut named = read(changes);
    for (alias, name) in SCHEDULE_ALIASES {
        if let Some(value) = named.remove(alias) {
            named.entry(name.to_owned()).or_insert(value);
        }
    }
    let mut schedule = read(&present(known));
    let names = |name: &str| named.get(name).is_some_and(|value| value.get() != "null");
    if RULES.into_iter().any(names) {
        RULES.iter().for_each(|rule| _ = schedule.remove(*rule));
    }
    schedule.extend(named);
    to_json(&schedule)
}

/// The JSON of the schedule that a job has; of one that cannot be read nothing stays.
fn present(known: &JobRecord) -> String {
    let view = match known.recurrence.as_deref() {
        Some(text) => match serde_json::from_str::<Recurrence>(text) {
            Ok(recurrence) => ScheduleView::recurring(&recurrence),
            Err(_) => ScheduleView::default(),
        },
        None => ScheduleView::one_off(known.scheduled_at),
    };
    serde_json::to_string(&view).unwrap_or_else(|_| "{}".to_owned())
}

fn read(text: &str) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_str(text).unwrap_or_default()
}
