//! From the JSON of a dispatch to a job that can be stored, or to every problem it has.

use super::dispatch_fields::{AttemptOptions, aliases, one_object, refuse_unknown_fields};
use super::expressions::Texts;
use super::fields::{self, Fields, MAX_SAFE_INTEGER};
use super::next_run::next_run;
use super::other_queues::{self, Place};
use super::qualified::{may_be_qualified, own_event, qualified_event};
use super::{expressions, keys, request, schedule, storage};
use crate::clock::Millis;
use crate::engine::inputs::{ExpressionResolver, SessionVerifier};
use crate::error::{Error, ErrorCode, Problem, Result};
use crate::model::id::MAX_ID_BYTES;
use crate::model::job::Session;
use crate::model::{JobId, JobOptions, Namespace, NewJob, OnConflict, Recurrence, RetryPolicy, Route, Status};
use crate::store::{Inserted, JobSummary};
use crate::text::visible::is_invisible_control;
use serde::Serialize;
use std::sync::Arc;

/// Most tags a job may have.
pub const MAX_TAGS: usize = 50;
/// Largest decoded `buffer` of a storage input, in bytes.
pub const MAX_BUFFER_BYTES: usize = 32 << 20;

/// What the constructor says for dispatches that leave it out.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Product tag.
    pub product: Option<Box<str>>,
    /// Environment slug.
    pub env: Option<Box<str>>,
    /// Zone of crons and of dates without an offset.
    pub timezone: Box<str>,
    /// Largest input, in bytes of JSON.
    pub max_input_bytes: usize,
    /// Checks the expressions of inputs.
    pub expressions: Arc<ExpressionResolver>,
    /// What expressions begin with; `None`: they need no mark.
    pub mark: Option<Box<str>>,
    /// Says which sessions are checked at dispatch.
    pub sessions: Arc<SessionVerifier>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            product: None,
            env: None,
            timezone: "UTC".into(),
            max_input_bytes: 1 << 20,
            expressions: Arc::default(),
            mark: None,
            sessions: Arc::default(),
        }
    }
}

/// What a dispatch resolves with: the documented members and no others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DispatchResult {
    /// The job's id.
    pub job_id: String,
    /// `scheduled`, or `queued` when it is due; after a change the state that the job has.
    pub status: &'static str,
    /// When its (first) run is due, ms.
    pub scheduled_at: Millis,
    /// Whether it recurs.
    pub recurring: bool,
    /// Its next occurrence, ms: present exactly when it recurs and one is to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<Millis>,
}

/// A dispatch that passed every check.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The job to store.
    pub job: NewJob,
    /// A warning for the log about it, if any.
    pub warning: Option<String>,
}

impl Dispatch {
    /// What the caller gets, by what the store says of the insert.
    pub fn result(
        id: &JobId,
        due: Option<Millis>,
        created: Millis,
        recurring: bool,
        inserted: Inserted,
        recurrence: Option<&Recurrence>,
    ) -> Result<DispatchResult> {
        let summary = match inserted {
            Inserted::Created | Inserted::CreatedDuplicateSeries(_) => JobSummary {
                status: if due.is_some_and(|due| due <= created) {
                    Status::Queued
                } else {
                    Status::Scheduled
                },
                scheduled_at: due.unwrap_or(created),
                recurring,
                next_run_at: due.filter(|_| recurring),
            },
            Inserted::Existing(summary) | Inserted::Replaced(summary) => summary,
            Inserted::Duplicate(other, summary) => return Ok(Self::from_summary(&other, &summary)),
            Inserted::Conflict(reason) => return Err(conflict(id, &reason)),
            Inserted::Refused(code, reason) => return Err(Error::new(code, reason)),
        };
        Ok(Self::from_summary(id, &passing_over_excepted(summary, recurrence)))
    }

    /// What the caller of a change of the job's times gets: as of a dispatch, with the state that the job has.
    #[must_use]
    pub fn changed(id: &JobId, summary: JobSummary, recurrence: Option<&Recurrence>) -> DispatchResult {
        let status = summary.status.as_str();
        DispatchResult {
            status,
            ..Self::from_summary(id, &passing_over_excepted(summary, recurrence))
        }
    }

    fn from_summary(id: &JobId, summary: &JobSummary) -> DispatchResult {
        // The documented result has two states: what is or was due is `queued`, all else `scheduled`. A series always waits
        // for its next occurrence.
        let waits = matches!(summary.status, Status::Scheduled | Status::Paused)
            || (summary.recurring && summary.status.is_ended());
        DispatchResult {
            job_id: id.to_string(),
            status: if waits { "scheduled" } else { "queued" },
            scheduled_at: summary.scheduled_at,
            recurring: summary.recurring,
            next_run_at: summary.next_run_at,
        }
    }
}

/// The same with times that are not on excepted dates.
fn passing_over_excepted(summary: JobSummary, recurrence: Option<&Recurrence>) -> JobSummary {
    let passing_over = |at: Millis| next_run(at, recurrence);
    JobSummary {
        scheduled_at: match summary.next_run_at {
            Some(next) if next == summary.scheduled_at => passing_over(next).unwrap_or(next),
            _ => summary.scheduled_at,
        },
        next_run_at: summary.next_run_at.and_then(passing_over),
        ..summary
    }
}

fn conflict(id: &JobId, reason: &str) -> Error {
    let message = format!("job_id: {id}: {reason}");
    let mut error = Error::new(ErrorCode::Conflict, message);
    error.details.push(Problem::new("job_id", reason));
    error
}

/// Reads dispatches, those of one text after the other.
///
/// Most name the same target as the one before, so that it is neither read nor stored again.
pub struct DispatchReader<'a> {
    defaults: &'a Defaults,
    now: Millis,
    /// The last route, and what it was read from.
    last: Option<(RouteFields<'a>, Arc<Route>)>,
}

/// Unread texts of the fields that make a route: product and environment, then those of the namespace, and the operation of
/// a storage job.
#[derive(PartialEq)]
struct RouteFields<'a>(Namespace, [Option<&'a str>; 5]);

impl<'a> DispatchReader<'a> {
    /// At the time `now`.
    #[must_use]
    pub fn new(defaults: &'a Defaults, now: Millis) -> Self {
        Self {
            defaults,
            now,
            last: None,
        }
    }

    /// Reads one dispatch of `namespace` from `text`, the JSON of its only argument.
    ///
    /// # Errors
    /// `VALIDATION_ERROR`, `INVALID_SCHEDULE`, `INVALID_CRON` or `INVALID_TIMEZONE`, with every problem in its details.
    pub fn read(&mut self, namespace: Namespace, text: &'a str) -> Result<Dispatch> {
        let (defaults, now) = (self.defaults, self.now);
        let mut fields = Fields::read(text, "").map_err(one_object)?;
        expressions::refuse_elsewhere(&mut fields, text, defaults)?;
        fields.take_aliases(aliases(namespace));
        refuse_unknown_fields(&mut fields, namespace);
        let route = self.route(&mut fields, namespace);
        let input = read_input(&mut fields, namespace, defaults);
        let attempts = AttemptOptions::read(&mut fields);
        let priority = fields
            .integer("priority", i64::from(i32::MIN), i64::from(i32::MAX))
            .unwrap_or(0);
        let mut options = read_options(&mut fields, attempts.timeout);
        options.plain = input.as_ref().is_some_and(|texts| texts.plain);
        let input = input.map(|texts| expressions::with_names(&fields, namespace, defaults, texts.input));
        let has_expressions = input
            .as_deref()
            .is_some_and(|input| expressions::check(&mut fields, input, &options, defaults));
        let identity = Identity::read(&mut fields);
        let seed = || identity.id.to_string();
        let plan = schedule::read_schedule(&mut fields, &defaults.timezone, seed, now);
        let (Some(route), Some(input), Some(plan), true) = (route, input, plan, fields.problems.is_empty()) else {
            return Err(Error::invalid(fields.problems));
        };
        if has_expressions {
            options.tz = plan.named_zone.map(|zone| zone.name().into());
        }
        let default_conflict = if plan.recurrence.is_some() {
            OnConflict::Replace
        } else {
            OnConflict::Return
        };
        Ok(Dispatch {
            job: NewJob {
                id: identity.id,
                on_conflict: identity.on_conflict.unwrap_or(default_conflict),
                route,
                priority: i32::try_from(priority).unwrap_or(0),
                due: plan.due,
                created: now,
                retries: u32::try_from(attempts.retries).unwrap_or(0),
                options,
                input: input.into_owned().into(),
                input_digest: None,
                recurrence: plan.recurrence,
            },
            warning: plan.warning,
        })
    }

    /// The fields' route, if nothing is wrong with it.
    fn route(&mut self, fields: &mut Fields<'a>, namespace: Namespace) -> Option<Arc<Route>> {
        let operation = (namespace == Namespace::Storage)
            .then(|| fields.raw("operation"))
            .flatten();
        let mut texts = [fields.raw("product"), fields.raw("env"), operation, None, None];
        for (text, name) in texts.iter_mut().skip(3).zip(namespace.target_fields()) {
            *text = fields.raw(name);
        }
        let named = RouteFields(namespace, texts);
        if let Some((_, route)) = self.last.as_ref().filter(|(last, _)| *last == named) {
            return Some(Arc::clone(route));
        }
        let route = Arc::new(read_route(fields, namespace, self.defaults)?);
        self.last = Some((named, Arc::clone(&route)));
        Some(route)
    }
}

fn read_route(fields: &mut Fields<'_>, namespace: Namespace, defaults: &Defaults) -> Option<Route> {
    let mut with_default = |name: &str, default: &Option<Box<str>>| -> Option<Box<str>> {
        if fields.raw(name).is_some() {
            return fields.tag(name).map(|value| value.as_ref().into());
        }
        if default.is_none() {
            fields.problem(
                name,
                format!("is missing; give it here or as `{name}` of the constructor"),
            );
        }
        default.clone()
    };
    let product = with_default("product", &defaults.product);
    let env = with_default("env", &defaults.env);
    let names = namespace.target_fields();
    let mut target: Vec<Box<str>> = match qualified_target(fields, namespace) {
        Some(target) => target.into(),
        None => {
            let named = names.iter().filter_map(|name| match *name {
                "event" if namespace == Namespace::Storage && fields.raw("operation").is_some() => {
                    storage::event_of_operation(fields)
                }
                name => required_tag(fields, name),
            });
            named.collect()
        }
    };
    (target.len() == names.len()).then_some(())?;
    if let [resource, event] = target.as_mut_slice() {
        *event = own_event(namespace, resource, std::mem::take(event));
    }
    Some(Route {
        namespace,
        product: product?,
        env: env?,
        target,
    })
}

/// Resource and event of a dispatch whose event names both, as in `bus:orders`.
fn qualified_target(fields: &mut Fields<'_>, namespace: Namespace) -> Option<[Box<str>; 2]> {
    let resource = namespace.target_fields().first().copied().unwrap_or_default();
    if !may_be_qualified(namespace) || fields.raw(resource).is_some() {
        return None;
    }
    // What is wrong with it is said by whoever reads it next.
    let event: String = serde_json::from_str(fields.raw("event")?).ok()?;
    let target = qualified_event(namespace, &event)?;
    required_tag(fields, "event").map(|_| target)
}

fn required_tag(fields: &mut Fields<'_>, name: &str) -> Option<Box<str>> {
    if fields.raw(name).is_none() {
        fields.problem(name, "is missing; it must be a string");
        return None;
    }
    fields.tag(name).map(|value| value.as_ref().into())
}

fn read_input<'a>(fields: &mut Fields<'a>, namespace: Namespace, defaults: &Defaults) -> Option<Texts<'a>> {
    let Some(text) = fields.raw("input") else {
        fields.problem("input", "is missing; it must be an object, if only {}");
        return None;
    };
    let texts = expressions::texts(fields, defaults, text);
    let text = &*texts.input;
    // The bytes of a file have a limit of their own.
    let buffer = if namespace == Namespace::Storage {
        request::buffer_length(text)
    } else {
        0
    };
    let decoded = buffer / 4 * 3;
    // The last three bytes may be padding.
    if decoded > MAX_BUFFER_BYTES + 2 {
        fields.problem(
            "input.buffer",
            format!(
                "must have at most {MAX_BUFFER_BYTES} bytes, got about {decoded}; store the file and dispatch its path"
            ),
        );
        return None;
    }
    let size = texts.size.saturating_sub(buffer);
    if size > defaults.max_input_bytes {
        fields.problem(
            "input",
            format!(
                "is {size} bytes of JSON, the limit is {}; raise `maxInputBytes` or dispatch a reference",
                defaults.max_input_bytes
            ),
        );
        return None;
    }
    let inner = match Fields::read(request::unwrap_literal(text), "input") {
        Ok(inner) => inner,
        Err(problem) => {
            fields.problems.push(problem);
            return None;
        }
    };
    let checked = request::check(namespace, inner);
    let sound = checked.problems.is_empty();
    fields.absorb(checked);
    sound.then_some(texts)
}

fn read_options(fields: &mut Fields<'_>, timeout: Option<i64>) -> JobOptions {
    JobOptions {
        retry: read_retry(fields),
        timeout,
        session: read_session(fields),
        cache: fields.tag("cache").map(|tag| tag.as_ref().into()),
        plain: false,
        tz: None,
        tags: fields.tags("tags", MAX_TAGS).unwrap_or_default(),
        unique: keys::read_unique(fields),
        concurrency: keys::read_concurrency(fields),
        trace: None,
    }
}

fn read_retry(fields: &mut Fields<'_>) -> Option<RetryPolicy> {
    let mut inner = fields.object("retryConfig")?;
    const KNOWN: [&str; 7] = [
        "initialDelay",
        "maxDelay",
        "backoffMultiplier",
        "jitter",
        "jitterPercent",
        "retryableErrors",
        "nonRetryableErrors",
    ];
    other_queues::refuse_unknown(&mut inner, &KNOWN, Place::Retry);
    let longest = MAX_SAFE_INTEGER as f64;
    let default = RetryPolicy::default();
    let jitter = inner.boolean("jitter").unwrap_or(false);
    let policy = RetryPolicy {
        initial_delay: inner
            .number("initialDelay", 0.0, longest)
            .unwrap_or(default.initial_delay),
        max_delay: inner.number("maxDelay", 0.0, longest).unwrap_or(default.max_delay),
        backoff_multiplier: inner
            .number("backoffMultiplier", 1.0, 1e6)
            .unwrap_or(default.backoff_multiplier),
        jitter: inner
            .number("jitterPercent", 0.0, 1.0)
            .unwrap_or(if jitter { 0.5 } else { 0.0 }),
        retryable_errors: inner.tags("retryableErrors", 100),
        non_retryable_errors: inner.tags("nonRetryableErrors", 100),
    };
    fields.absorb(inner);
    Some(policy)
}

/// `{ tag, token }`, or `'tag:token'`, or a token that itself is `tag:token`.
fn read_session(fields: &mut Fields<'_>) -> Option<Session> {
    let text = fields.raw("session")?;
    if text.starts_with('"') {
        let value = fields.string("session")?;
        let Some((tag, token)) = value
            .split_once(':')
            .filter(|(tag, token)| !tag.is_empty() && !token.is_empty())
        else {
            fields.problem("session", "must be { tag, token } or 'tag:token'");
            return None;
        };
        return Some(Session {
            tag: tag.into(),
            token: token.into(),
        });
    }
    let mut inner = fields.object("session")?;
    inner.refuse_unknown(&["tag", "token"]);
    for name in ["tag", "token"] {
        if inner.raw(name).is_none() {
            inner.problem(name, "is missing; it must be a string");
        }
    }
    let tag = inner.tag("tag");
    let token = inner.string("token").map(|token| {
        let own = tag
            .as_deref()
            .and_then(|tag| token.strip_prefix(tag))
            .and_then(|rest| rest.strip_prefix(':'));
        own.unwrap_or(&token).to_owned()
    });
    if token.as_deref() == Some("") {
        inner.problem("token", "must not be empty");
    }
    fields.absorb(inner);
    Some(Session {
        tag: tag?.as_ref().into(),
        token: token?.into(),
    })
}

/// A job's id, and what happens when there is a job of that id.
struct Identity {
    /// The caller's, else a fresh one.
    id: JobId,
    on_conflict: Option<OnConflict>,
}

impl Identity {
    fn read(fields: &mut Fields<'_>) -> Self {
        let is_chosen = fields.raw("job_id").is_some();
        let id = fields.string("job_id").and_then(|text| {
            // Jobs that have such an id already can still be asked for and changed by it.
            let id = JobId::parse(&text).filter(|_| !text.contains(is_invisible_control));
            if id.is_none() {
                let shown = fields::truncated(&text);
                fields.problem(
                    "job_id",
                    format!("must have 1 to {MAX_ID_BYTES} bytes in UTF-8, of printable characters, got '{shown}'"),
                );
            }
            id
        });
        let on_conflict = fields.one_of(
            "onConflict",
            &[
                ("return", OnConflict::Return),
                ("replace", OnConflict::Replace),
                ("error", OnConflict::Error),
            ],
        );
        if on_conflict.is_some() && !is_chosen {
            fields.problem("onConflict", "needs a `job_id` that can be in conflict");
        }
        Self {
            id: id.unwrap_or_else(JobId::generate),
            on_conflict,
        }
    }
}
