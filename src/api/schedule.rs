//! From the `schedule` of a dispatch to a first due time, or a recurrence.

use super::fields::{Fields, describe, number};
use crate::clock::Millis;
use crate::cron::{CronExpr, Zone};
use crate::engine::recurrence::Timetable;
use crate::error::{Error, ErrorCode, Problem, Result};
use crate::model::schedule::{Dst, FNV1A_OFFSET_BASIS, Gap, Overlap, fnv1a};
use crate::model::{IfRunning, Misfire, Recurrence, Rule};

/// Largest instant that JavaScript's `Date` can show, ms.
const MAX_INSTANT_MS: f64 = 8_640_000_000_000_000.0;
/// Largest interval, ms: what a float still holds exactly.
const MAX_INTERVAL_MS: i64 = 9_007_199_254_740_991;
/// Most instants of a preview.
const MAX_PREVIEW_RUNS: i64 = 10_000;

const SCHEDULE_FIELDS: [&str; 10] = [
    "start_at",
    "cron",
    "every",
    "limit",
    "endDate",
    "tz",
    "dst",
    "misfire",
    "ifRunning",
    "spread",
];

/// When a job runs.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Its first run. `None`: a recurring job that is over before it begins.
    pub due: Option<Millis>,
    /// Its recurrence.
    pub recurrence: Option<Recurrence>,
    /// What to tell the log.
    pub warning: Option<String>,
}

/// A plan, if there is one, and what kind of mistake stood in its way.
#[derive(Debug)]
pub struct ParsedSchedule {
    /// The plan.
    pub value: Option<Plan>,
    /// The most specific code for what is wrong.
    pub code: ErrorCode,
    /// How many of the problems noted are the schedule's.
    pub problems: usize,
}

/// Reads the field `schedule`; problems are noted in `fields`. `seed` fixes the place of the job within its `spread`.
pub fn read_schedule(
    fields: &mut Fields<'_>,
    timezone: &str,
    seed: impl FnOnce() -> String,
    now: Millis,
) -> ParsedSchedule {
    let Some(mut inner) = fields.object("schedule") else {
        let sound = fields.raw("schedule").is_none();
        let value = sound.then(|| Plan {
            due: Some(now),
            ..Plan::default()
        });
        return ParsedSchedule {
            value,
            code: ErrorCode::ValidationError,
            problems: 0,
        };
    };
    let mut code = ErrorCode::ValidationError;
    let value = read_plan(&mut inner, &mut code, timezone, &seed(), now);
    let problems = inner.problems.len();
    fields.absorb(inner);
    ParsedSchedule {
        value: value.filter(|_| problems == 0),
        code,
        problems,
    }
}

fn read_plan(fields: &mut Fields<'_>, code: &mut ErrorCode, timezone: &str, seed: &str, now: Millis) -> Option<Plan> {
    fields.refuse_unknown(&SCHEDULE_FIELDS);
    let zone = read_zone(fields, code, timezone);
    let start_at = read_instant(fields, "start_at", zone.as_ref());
    let end_at = read_instant(fields, "endDate", zone.as_ref());
    let limit = fields.integer("limit", 1, MAX_INTERVAL_MS);
    let every = fields.integer("every", 1, MAX_INTERVAL_MS);
    let cron = read_cron(fields, code);
    if fields.raw("limit").is_some() && limit.is_none() || fields.raw("every").is_some() && every.is_none() {
        *code = schedule_code(*code);
    }
    let dst = read_dst(fields);
    let misfire = fields.one_of(
        "misfire",
        &[("once", Misfire::Once), ("skip", Misfire::Skip), ("all", Misfire::All)],
    );
    let if_running = fields.one_of("ifRunning", &[("skip", IfRunning::Skip), ("allow", IfRunning::Allow)]);
    let spread = fields.integer("spread", 0, MAX_INTERVAL_MS);
    check_combination(fields, code, start_at, end_at);
    if !fields.problems.is_empty() {
        return None;
    }
    let zone = zone?;
    let rule = match (cron, every) {
        (Some(text), _) => Rule::Cron {
            text: text.into(),
            tz: zone.name().into(),
        },
        (None, Some(interval)) => Rule::Every {
            interval,
            anchor: start_at.unwrap_or(now),
        },
        (None, None) => {
            return Some(Plan {
                due: Some(start_at.unwrap_or(now).max(now)),
                ..Plan::default()
            });
        }
    };
    let recurrence = Recurrence {
        rule,
        start_at,
        limit,
        end_at,
        dst: dst.unwrap_or_default(),
        misfire: misfire.unwrap_or_default(),
        if_running: if_running.unwrap_or_default(),
        offset: spread_offset(seed, spread.unwrap_or(0)),
    };
    first_occurrence(fields, code, recurrence, now)
}

fn first_occurrence(
    fields: &mut Fields<'_>,
    code: &mut ErrorCode,
    recurrence: Recurrence,
    now: Millis,
) -> Option<Plan> {
    let timetable = match Timetable::compile(&recurrence) {
        Ok(timetable) => timetable,
        Err(error) => {
            *code = error.code;
            fields.problem("cron", error.message);
            return None;
        }
    };
    let due = timetable.first(now);
    let warning = match (due, recurrence.end_at) {
        (None, Some(end)) => Some(format!(
            "its endDate {} is past: the job is kept as completed and never runs",
            Zone::utc().to_iso(end)
        )),
        _ => None,
    };
    Some(Plan {
        due,
        recurrence: Some(recurrence),
        warning,
    })
}

fn read_zone(fields: &mut Fields<'_>, code: &mut ErrorCode, timezone: &str) -> Option<Zone> {
    let name = match fields.raw("tz") {
        Some(_) => fields.string("tz")?,
        None => timezone.into(),
    };
    match Zone::get(&name) {
        Ok(zone) => Some(zone),
        Err(unknown) => {
            *code = ErrorCode::InvalidTimezone;
            fields.problem("tz", unknown.to_string());
            None
        }
    }
}

/// Reads a time: ms since the epoch, or an ISO 8601 text, which without an offset is local time of `zone`.
pub fn read_instant(fields: &mut Fields<'_>, name: &str, zone: Option<&Zone>) -> Option<Millis> {
    let text = fields.raw(name)?;
    if text.starts_with('"') {
        let value = fields.string(name)?;
        return match zone?.parse_date_time(value.trim()) {
            Ok(instant) => Some(instant),
            Err(unreadable) => {
                fields.problem(name, unreadable.to_string());
                None
            }
        };
    }
    let instant = number(text)
        .filter(|value| value.abs() <= MAX_INSTANT_MS)
        .map(|value| value.floor() as Millis);
    if instant.is_none() {
        fields.problem(
            name,
            format!("must be ms since 1970 or an ISO 8601 date, got {}", describe(text)),
        );
    }
    instant
}

fn read_cron(fields: &mut Fields<'_>, code: &mut ErrorCode) -> Option<String> {
    let text = fields.string("cron")?;
    match CronExpr::parse(&text) {
        Ok(expression) => {
            if expression.never_matches() {
                *code = ErrorCode::InvalidSchedule;
                fields.problem("cron", format!("`{text}` matches no date that exists"));
            }
            Some(text.into_owned())
        }
        Err(error) => {
            *code = ErrorCode::InvalidCron;
            fields.problem("cron", error.to_string());
            None
        }
    }
}

fn read_dst(fields: &mut Fields<'_>) -> Option<Dst> {
    let mut inner = fields.object("dst")?;
    inner.refuse_unknown(&["gap", "overlap"]);
    let gap = inner
        .one_of("gap", &[("after", Gap::After), ("skip", Gap::Skip)])
        .unwrap_or_default();
    let overlap = inner
        .one_of(
            "overlap",
            &[
                ("first", Overlap::First),
                ("last", Overlap::Last),
                ("both", Overlap::Both),
            ],
        )
        .unwrap_or_default();
    fields.absorb(inner);
    Some(Dst { gap, overlap })
}

/// What makes no sense together.
fn check_combination(fields: &mut Fields<'_>, code: &mut ErrorCode, start_at: Option<Millis>, end_at: Option<Millis>) {
    let recurring = fields.raw("cron").is_some() || fields.raw("every").is_some();
    let before = fields.problems.len();
    if fields.raw("cron").is_some() && fields.raw("every").is_some() {
        fields.problem("every", "cannot be combined with `cron`; give one of them");
    }
    if !recurring {
        for name in ["limit", "endDate", "misfire", "ifRunning", "spread"] {
            if fields.raw(name).is_some() {
                fields.problem(name, "needs `cron` or `every`; a one-off job has one run");
            }
        }
    }
    if fields.raw("dst").is_some() && fields.raw("cron").is_none() {
        fields.problem("dst", "needs `cron`; an interval does not look at the local clock");
    }
    if let (Some(start), Some(end)) = (start_at, end_at)
        && end < start
    {
        fields.problem("endDate", "is before `start_at`: no run could ever happen");
    }
    if fields.problems.len() > before {
        *code = schedule_code(*code);
    }
}

/// `INVALID_SCHEDULE`, unless something more specific is wrong already.
fn schedule_code(code: ErrorCode) -> ErrorCode {
    if code == ErrorCode::ValidationError {
        ErrorCode::InvalidSchedule
    } else {
        code
    }
}

/// A fixed place within `spread` ms for each job, so that many jobs of one time do not start at once.
fn spread_offset(seed: &str, spread: i64) -> i64 {
    if spread <= 0 {
        return 0;
    }
    let hash = fnv1a(FNV1A_OFFSET_BASIS, seed);
    i64::try_from(hash % spread.unsigned_abs()).unwrap_or(0)
}

/// Reads a schedule that is an argument of its own. `seed` fixes the place of the job within its `spread`.
///
/// # Errors
/// As a dispatch with that schedule.
pub fn read_plan_of(text: &str, timezone: &str, seed: &str, now: Millis) -> Result<Plan> {
    let mut fields =
        Fields::read(text, "schedule").map_err(|problem| Error::invalid(ErrorCode::ValidationError, vec![problem]))?;
    let mut code = ErrorCode::ValidationError;
    let plan = read_plan(&mut fields, &mut code, timezone, seed, now);
    plan.filter(|_| fields.problems.is_empty())
        .ok_or_else(|| Error::invalid(code, fields.problems))
}

/// `jobs.preview`: when the schedule in `text` would run, from `from` in `options` or from `now`.
///
/// # Errors
/// As a dispatch with that schedule.
pub fn read_preview(text: &str, options: Option<&str>, timezone: &str, now: Millis) -> Result<Vec<Millis>> {
    let invalid = |problem| Error::invalid(ErrorCode::ValidationError, vec![problem]);
    let mut asked = Fields::read(options.unwrap_or("{}"), "options").map_err(invalid)?;
    asked.refuse_unknown(&["from", "count"]);
    let zone = Zone::get(timezone).unwrap_or_else(|_| Zone::utc());
    let from = read_instant(&mut asked, "from", Some(&zone)).unwrap_or(now);
    let count = asked.integer("count", 0, MAX_PREVIEW_RUNS).unwrap_or(5);

    let mut schedule = Fields::read(text, "schedule").map_err(invalid)?;
    let mut code = ErrorCode::ValidationError;
    let plan = read_plan(&mut schedule, &mut code, timezone, "", from);
    let only_schedule = asked.problems.is_empty();
    schedule.absorb(asked);
    let problems: Vec<Problem> = std::mem::take(&mut schedule.problems);
    let Some(plan) = plan.filter(|_| problems.is_empty()) else {
        return Err(Error::invalid(
            if only_schedule {
                code
            } else {
                ErrorCode::ValidationError
            },
            problems,
        ));
    };
    let Some(recurrence) = plan.recurrence else {
        return Ok(plan.due.into_iter().take(usize::try_from(count).unwrap_or(0)).collect());
    };
    // The place within a `spread` depends on the job, and there is none.
    let timetable = Timetable::compile(&Recurrence {
        offset: 0,
        ..recurrence.clone()
    })?;
    let runs = recurrence.limit.unwrap_or(i64::MAX).min(count);
    Ok(std::iter::successors(timetable.first(from), |at| timetable.after(*at))
        .take(usize::try_from(runs).unwrap_or(0))
        .collect())
}
