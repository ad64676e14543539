//! From the `schedule` of a dispatch to a first due time, or a recurrence.

use super::calendar::{read_except, read_interval};
use super::fields::{Fields, MAX_SAFE_INTEGER, describe, number};
use super::other_queues::{self, Place};
use super::schedule_warnings::{never_runs, warn_of_1970};
use crate::clock::Millis;
use crate::cron::{CalendarDuration, CronExpr, MAX_INSTANT_MS, Zone};
use crate::engine::timetable::Timetable;
use crate::error::{Error, ErrorCode, Problem, Result};
use crate::model::schedule::{Dst, FNV1A_OFFSET_BASIS, Gap, Overlap, fnv1a};
use crate::model::{ExceptedDates, IfRunning, Misfire, Recurrence, Rule};

/// Most instants of a preview.
const MAX_PREVIEW_RUNS: i64 = 10_000;

/// Other names of fields in the public documentation.
pub(super) const SCHEDULE_ALIASES: [(&str, &str); 2] = [("timezone", "tz"), ("at", "start_at")];

const SCHEDULE_FIELDS: [&str; 14] = [
    "start_at",
    "delay",
    "cron",
    "every",
    "interval",
    "except",
    "limit",
    "endDate",
    "tz",
    "dst",
    "misfire",
    "grace",
    "ifRunning",
    "spread",
];

/// When a job runs, with what was parsed on the way, so that nobody parses it again.
#[derive(Debug, Default)]
pub struct Plan {
    /// Its first run, ms; of a recurring job the first point of its schedule, which may be excepted. `None`: a recurring job that
    /// is over before it begins.
    pub due: Option<Millis>,
    /// Its recurrence.
    pub recurrence: Option<Recurrence>,
    /// The occurrences of the recurrence.
    timetable: Option<Timetable>,
    /// The zone that the schedule itself names.
    pub named_zone: Option<Zone>,
    /// A warning for the log.
    pub warning: Option<String>,
}

/// Reads the field `schedule`; problems are noted in `fields`. `seed` fixes the place of the job within its `spread`.
pub fn read_schedule(
    fields: &mut Fields<'_>,
    timezone: &str,
    seed: impl FnOnce() -> String,
    now: Millis,
) -> Option<Plan> {
    if fields.raw("schedule").is_none() {
        return Some(Plan {
            due: Some(now),
            ..Plan::default()
        });
    }
    let (plan, problems) = match fields.raw("schedule").and_then(object_of_cron) {
        Some(text) => {
            let mut inner = Fields::read(&text, "schedule").ok()?;
            (read_plan(&mut inner, timezone, Some(&seed()), now), inner.problems)
        }
        None => {
            let mut inner = fields.object("schedule")?;
            (read_plan(&mut inner, timezone, Some(&seed()), now), inner.problems)
        }
    };
    fields.problems.extend(problems);
    plan
}

/// A schedule that is given as the text of its cron, as an object.
pub(super) fn object_of_cron(text: &str) -> Option<String> {
    text.starts_with('"').then(|| format!("{{\"cron\":{text}}}"))
}

/// Reads a schedule. Without a `seed` its `spread` has no effect.
fn read_plan(fields: &mut Fields<'_>, timezone: &str, seed: Option<&str>, now: Millis) -> Option<Plan> {
    let parts = ScheduleParts::read(fields, timezone);
    unify_codes(&mut fields.problems);
    let mut plan = parts.filter(|_| fields.problems.is_empty())?.plan(seed, now)?;
    let in_1970 = ["start_at", "endDate"].map(|name| warn_of_1970(fields, name, now));
    let warnings: Vec<String> = in_1970.into_iter().flatten().chain(plan.warning).collect();
    plan.warning = (!warnings.is_empty()).then(|| warnings.join("; "));
    Some(plan)
}

/// To whoever wrote it a schedule is one thing: its problems all have the most specific code among them.
fn unify_codes(problems: &mut [Problem]) {
    const MOST_SPECIFIC_FIRST: [ErrorCode; 3] = [
        ErrorCode::InvalidCron,
        ErrorCode::InvalidTimezone,
        ErrorCode::InvalidSchedule,
    ];
    let found = |code: &ErrorCode| problems.iter().any(|problem| problem.code == *code);
    if let Some(code) = MOST_SPECIFIC_FIRST.into_iter().find(found) {
        problems.iter_mut().for_each(|problem| problem.code = code);
    }
}

/// The fields of a schedule, read and parsed.
struct ScheduleParts {
    zone: Zone,
    /// The zone is the schedule's own.
    names_zone: bool,
    start_at: Option<Millis>,
    /// Instead of `start_at`: ms from the dispatch.
    delay: Option<i64>,
    end_at: Option<Millis>,
    limit: Option<i64>,
    every: Option<i64>,
    cron: Option<(String, CronExpr)>,
    interval: Option<(Box<str>, CalendarDuration)>,
    except: Option<Box<[i32]>>,
    dst: Dst,
    misfire: Misfire,
    grace: Option<i64>,
    if_running: IfRunning,
    spread: i64,
}

impl ScheduleParts {
    /// `None`: there is a problem with it.
    fn read(fields: &mut Fields<'_>, timezone: &str) -> Option<Self> {
        fields.take_aliases(&SCHEDULE_ALIASES);
        other_queues::refuse_unknown(fields, &SCHEDULE_FIELDS, Place::Schedule);
        let zone = read_zone(fields, timezone);
        let start_at = read_instant(fields, "start_at", zone.as_ref());
        let end_at = read_instant(fields, "endDate", zone.as_ref());
        let before = fields.problems.len();
        let limit = fields.integer("limit", 1, MAX_SAFE_INTEGER);
        let delay = fields.integer("delay", 0, MAX_INSTANT_MS);
        let every = fields.integer("every", 1, MAX_SAFE_INTEGER);
        for problem in &mut fields.problems[before..] {
            problem.code = ErrorCode::InvalidSchedule;
        }
        let cron = read_cron(fields);
        let interval = read_interval(fields);
        let except = read_except(fields);
        let dst = read_dst(fields).unwrap_or_default();
        let misfire = fields
            .one_of(
                "misfire",
                &[("once", Misfire::Once), ("skip", Misfire::Skip), ("all", Misfire::All)],
            )
            .unwrap_or_default();
        let grace = fields.integer("grace", 1, MAX_SAFE_INTEGER);
        let if_running = fields
            .one_of("ifRunning", &[("skip", IfRunning::Skip), ("allow", IfRunning::Allow)])
            .unwrap_or_default();
        let spread = fields.integer("spread", 0, MAX_SAFE_INTEGER).unwrap_or(0);
        check_combination(fields, start_at, end_at);
        Some(Self {
            zone: zone?,
            names_zone: fields.raw("tz").is_some(),
            start_at,
            delay,
            end_at,
            limit,
            every,
            cron,
            interval,
            except,
            dst,
            misfire,
            grace,
            if_running,
            spread,
        })
    }

    fn plan(mut self, seed: Option<&str>, now: Millis) -> Option<Plan> {
        let named_zone = self.names_zone.then_some(self.zone);
        let delayed = self.delay.map(|delay| now.saturating_add(delay).min(MAX_INSTANT_MS));
        self.start_at = self.start_at.or(delayed);
        let anchor = self.start_at.unwrap_or(now);
        let (recurrence, timetable) = match (&self.cron, self.every, &self.interval) {
            (Some((text, expression)), ..) => {
                let recurrence = self.recurrence(
                    Rule::Cron {
                        text: text.as_str().into(),
                        tz: self.zone.name().into(),
                    },
                    seed,
                );
                let timetable = Timetable::of_cron(*expression, self.zone, &recurrence);
                (recurrence, timetable)
            }
            (None, Some(interval), _) => {
                let recurrence = self.recurrence(Rule::Every { interval, anchor }, seed);
                let timetable = Timetable::of_interval(interval, anchor, &recurrence);
                (recurrence, timetable)
            }
            (None, None, Some((text, duration))) => {
                let recurrence = self.recurrence(
                    Rule::Interval {
                        duration: text.clone(),
                        tz: self.zone.name().into(),
                        anchor,
                    },
                    seed,
                );
                let timetable = Timetable::of_calendar_steps(*duration, anchor, self.zone, &recurrence);
                (recurrence, timetable)
            }
            (None, None, None) => {
                return Some(Plan {
                    due: Some(anchor.max(now)),
                    named_zone,
                    ..Plan::default()
                });
            }
        };
        let timetable = match &self.except {
            Some(days) => timetable.excepting(&self.zone, days),
            None => timetable,
        };
        let due = timetable.first(now);
        let warning = timetable.first_run(now).is_none().then(|| never_runs(&recurrence, now));
        Some(Plan {
            due,
            recurrence: Some(recurrence),
            timetable: Some(timetable),
            named_zone,
            warning,
        })
    }

    fn recurrence(&self, rule: Rule, seed: Option<&str>) -> Recurrence {
        // Excepted dates have the zone with them.
        let unused_zone = matches!(rule, Rule::Every { .. }) && self.names_zone && self.except.is_none();
        Recurrence {
            rule,
            tz: unused_zone.then(|| self.zone.name().into()),
            start_at: self.start_at,
            limit: self.limit,
            end_at: self.end_at,
            except: self.except.as_ref().map(|days| ExceptedDates {
                tz: self.zone.name().into(),
                days: days.clone(),
            }),
            dst: self.dst,
            misfire: self.misfire,
            grace: self.grace,
            if_running: self.if_running,
            offset: seed.map_or(0, |seed| spread_offset(seed, self.spread)),
            spread: self.spread,
        }
    }
}

fn read_zone(fields: &mut Fields<'_>, timezone: &str) -> Option<Zone> {
    let name = match fields.raw("tz") {
        Some(_) => fields.string("tz")?,
        None => timezone.into(),
    };
    match Zone::get(&name) {
        Ok(zone) => Some(zone),
        Err(unknown) => {
            fields.problem_of(ErrorCode::InvalidTimezone, "tz", unknown.to_string());
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
        .filter(|value| value.abs() <= MAX_INSTANT_MS as f64)
        .map(|value| value.floor() as Millis);
    if instant.is_none() {
        fields.problem(
            name,
            format!("must be ms since 1970 or an ISO 8601 date, got {}", describe(text)),
        );
    }
    instant
}

fn read_cron(fields: &mut Fields<'_>) -> Option<(String, CronExpr)> {
    let text = fields.string("cron")?;
    match CronExpr::parse(&text) {
        Ok(expression) => {
            if expression.never_matches() {
                let message = format!("`{text}` matches no date that exists");
                fields.problem_of(ErrorCode::InvalidSchedule, "cron", message);
            }
            Some((text.into_owned(), expression))
        }
        Err(error) => {
            fields.problem_of(ErrorCode::InvalidCron, "cron", error.to_string());
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

/// Reports fields that exclude each other.
fn check_combination(fields: &mut Fields<'_>, start_at: Option<Millis>, end_at: Option<Millis>) {
    let given = |name| fields.raw(name).is_some();
    let given_delay = given("delay");
    let rules = ["cron", "every", "interval"].map(|name| (name, given(name)));
    let needing_recurrence = [
        "limit",
        "endDate",
        "except",
        "dst",
        "misfire",
        "grace",
        "ifRunning",
        "spread",
    ];
    let needing_recurrence = needing_recurrence.map(|name| (name, given(name)));
    let mut refuse = |name, message: &str| fields.problem_of(ErrorCode::InvalidSchedule, name, message);
    if start_at.is_some() && given_delay {
        refuse("delay", "cannot be combined with `start_at`; give one of them");
    }
    let mut rules = rules.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
    match rules.next() {
        Some(first) => rules.for_each(|name| {
            refuse(name, &format!("cannot be combined with `{first}`; give one of them"));
        }),
        None => {
            for (name, _) in needing_recurrence.into_iter().filter(|(_, given)| *given) {
                refuse(name, "needs `cron`, `every` or `interval`; a one-off job has one run");
            }
        }
    }
    if let (Some(start), Some(end)) = (start_at, end_at)
        && end < start
    {
        refuse("endDate", "is before `start_at`: no run could ever happen");
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
    let of_cron = object_of_cron(text);
    let mut fields = Fields::read(of_cron.as_deref().unwrap_or(text), "schedule")?;
    read_plan(&mut fields, timezone, Some(seed), now).ok_or_else(|| Error::invalid(fields.problems))
}

/// What `jobs.preview` finds.
#[derive(Debug)]
pub struct Preview {
    /// The instants, ms.
    pub times: Vec<Millis>,
    /// A warning for the log about `from`.
    pub warning: Option<String>,
}

/// `jobs.preview`: when the schedule in `text` would run, from `from` in `options` or from `now`.
///
/// # Errors
/// As a dispatch with that schedule.
pub fn read_preview(text: &str, options: Option<&str>, timezone: &str, now: Millis) -> Result<Preview> {
    let mut asked = Fields::read(options.unwrap_or("{}"), "options")?;
    asked.refuse_unknown(&["from", "count"]);
    let zone = Zone::get(timezone).unwrap_or_else(|_| Zone::utc());
    let from = read_instant(&mut asked, "from", Some(&zone)).unwrap_or(now);
    let warning = warn_of_1970(&asked, "from", now);
    let count = asked.integer("count", 0, MAX_PREVIEW_RUNS).unwrap_or(5);

    let of_cron = object_of_cron(text);
    let mut schedule = Fields::read(of_cron.as_deref().unwrap_or(text), "schedule")?;
    // The place within a `spread` depends on the job, and there is none.
    let plan = read_plan(&mut schedule, timezone, None, from);
    schedule.absorb(asked);
    let Some(plan) = plan.filter(|_| schedule.problems.is_empty()) else {
        return Err(Error::invalid(schedule.problems));
    };
    let limit = plan.recurrence.and_then(|recurrence| recurrence.limit);
    let runs = usize::try_from(limit.unwrap_or(i64::MAX).min(count)).unwrap_or(0);
    let run_at_or_after = |at| match &plan.timetable {
        Some(timetable) => timetable.run_at_or_after(at),
        None => Some(at),
    };
    let next = |at: &Millis| plan.timetable.as_ref()?.run_at_or_after(at.checked_add(1)?);
    Ok(Preview {
        times: std::iter::successors(plan.due.and_then(run_at_or_after), next)
            .take(runs)
            .collect(),
        warning,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Defaults, DispatchReader};
    use crate::model::Namespace;

    #[test]
    fn a_refused_schedule_has_its_most_specific_code() {
        for (schedule, code) in [
            (r#"{"cron":"x"}"#, ErrorCode::InvalidCron),
            (r#"{"cron":"x","unknown":1}"#, ErrorCode::InvalidCron),
            (r#"{"cron":"x","tz":"No/Where"}"#, ErrorCode::InvalidCron),
            (r#"{"cron":"* * * * *","tz":"No/Where"}"#, ErrorCode::InvalidTimezone),
            (r#"{"cron":"0 0 30 2 *"}"#, ErrorCode::InvalidSchedule),
            (r#"{"cron":"* * * * *","limit":0}"#, ErrorCode::InvalidSchedule),
            (r#"{"limit":3,"unknown":1}"#, ErrorCode::InvalidSchedule),
            (r#"{"start_at":true}"#, ErrorCode::ValidationError),
        ] {
            let error = read_plan_of(schedule, "UTC", "seed", 0).unwrap_err();
            assert_eq!(error.code, code, "{schedule}");
            assert!(error.details.iter().all(|problem| problem.code == code), "{schedule}");
        }
    }

    #[test]
    fn a_dispatch_has_the_code_of_its_schedule_when_nothing_else_is_wrong() {
        let defaults = Defaults::default();
        for (rest, code) in [
            (r#""input":{}"#, ErrorCode::InvalidCron),
            (r#""input":1"#, ErrorCode::ValidationError),
            (r#""input":{"a":"$Session{user"}"#, ErrorCode::ValidationError),
        ] {
            let text = format!(r#"{{"product":"p","env":"e","tag":"t","schedule":{{"cron":"x"}},{rest}}}"#);
            let refused = DispatchReader::new(&defaults, 0).read(Namespace::Features, &text);
            assert_eq!(refused.unwrap_err().code, code, "{rest}");
        }
    }

    #[test]
    fn a_preview_ignores_the_spread() {
        let schedule = r#"{"every":1000,"spread":999}"#;
        let preview = read_preview(schedule, Some(r#"{"from":5000,"count":3}"#), "UTC", 0).unwrap();
        assert_eq!(preview.times, [5_000, 6_000, 7_000]);
    }
}
