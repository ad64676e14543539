//! Says in the log which runs failed: of each target the first at once, those that follow as a count a minute.
//!
//! Knows no store. Invariants: a run that completes costs nothing here; no failure is left out of the counts.

use crate::clock::Millis;
use crate::engine::context::Context;
use crate::engine::events::announcer::EventKind;
use crate::engine::events::shown_error::ShownError;
use crate::engine::handler::{Level, Logger};
use crate::model::{JobId, Route, RunError, RunOutcome};
use crate::store::RouteId;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// How long failures of a target are gathered.
const GATHER_TIME: Duration = Duration::from_secs(60);
/// Of a message no more bytes stand in a line; the fields beside it have the whole one.
const MAX_LINE_MESSAGE_BYTES: usize = 1_000;

/// An attempt that failed.
pub(super) struct FailedAttempt<'a> {
    pub(super) job: &'a JobId,
    pub(super) route: (RouteId, &'a Arc<Route>),
    pub(super) run: i64,
    pub(super) attempt: u32,
    pub(super) error: &'a RunError,
    /// When the next one is due; `None`: the run has failed.
    pub(super) next_due: Option<Millis>,
}

impl FailedAttempt<'_> {
    /// How it failed and when the next one is due, if the attempt failed.
    pub(super) fn error_of(outcome: &RunOutcome) -> Option<(&RunError, Option<Millis>)> {
        match outcome {
            RunOutcome::Failed { error } => Some((error, None)),
            RunOutcome::Retry { error, due } => Some((error, Some(*due))),
            _ => None,
        }
    }
}

/// The failures of this process, by target.
#[derive(Default)]
pub struct FailureLog {
    targets: Mutex<HashMap<RouteId, TargetFailures>>,
}

/// Runs of one target that failed.
struct TargetFailures {
    route: Arc<Route>,
    /// All of them.
    total: u64,
    /// When one was logged, or those before were.
    logged: Instant,
    /// How many have not been logged, and what is said of the last one.
    gathered: u64,
    last: LastFailure,
    /// Whether something waits until it is time to log what was gathered.
    is_waiting: bool,
}

#[derive(Default)]
struct LastFailure {
    job: String,
    run: i64,
    error: Option<RunError>,
}

/// What structured loggers get beside a line.
#[derive(Serialize)]
struct LogFields<'a> {
    event: &'static str,
    job_id: &'a str,
    namespace: &'static str,
    product: &'a str,
    env: &'a str,
    target: BTreeMap<&'static str, &'a str>,
    run: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// When the next attempt is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_at: Option<Millis>,
    /// Runs of the target that failed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_before: Option<u64>,
    /// Runs that the line is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    err: Option<ShownError<'a>>,
}

impl LogFields<'_> {
    fn to_json(&self) -> String {
        // Plain text and numbers always have a JSON form.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}

impl FailureLog {
    fn targets(&self) -> MutexGuard<'_, HashMap<RouteId, TargetFailures>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store has counted the failure. Needs a tokio runtime.
    pub(super) fn failed(self: &Arc<Self>, context: &Context, failed: &FailedAttempt<'_>) {
        let logger = &context.logger;
        if logger.wants(Level::Debug) {
            let line = match failed.next_due {
                Some(due) => {
                    let delay = due.saturating_sub(context.now()).max(0);
                    format!("{}; it is tried again in {delay} ms", attempt_line(failed))
                }
                None => attempt_line(failed),
            };
            logger.log_with(Level::Debug, &line, &attempt_fields(failed, None));
        }
        if failed.next_due.is_none() {
            self.run_failed(logger, failed);
        }
    }

    fn run_failed(self: &Arc<Self>, logger: &Arc<dyn Logger>, failed: &FailedAttempt<'_>) {
        let mut targets = self.targets();
        let (id, route) = failed.route;
        let mut is_first = false;
        let target = targets.entry(id).or_insert_with(|| {
            is_first = true;
            TargetFailures::new(Arc::clone(route))
        });
        let before = target.total;
        target.total += 1;
        if is_first || (target.gathered == 0 && target.logged.elapsed() >= GATHER_TIME) {
            target.logged = Instant::now();
            drop(targets);
            let line = match before {
                0 => attempt_line(failed),
                1 => format!("{}; one run of this target failed before", attempt_line(failed)),
                _ => format!("{}; {before} runs of this target failed before", attempt_line(failed)),
            };
            return logger.log_with(Level::Warn, &line, &attempt_fields(failed, Some(before)));
        }
        target.gathered += 1;
        target.last = LastFailure {
            job: failed.job.to_string(),
            run: failed.run,
            error: Some(failed.error.clone()),
        };
        if !std::mem::replace(&mut target.is_waiting, true) {
            let wait = GATHER_TIME.saturating_sub(target.logged.elapsed());
            let (log, logger) = (Arc::downgrade(self), Arc::clone(logger));
            tokio::spawn(log_later(log, logger, id, wait));
        }
    }

    /// Logs what is gathered, since nothing follows.
    pub(super) fn flush(&self, logger: &Arc<dyn Logger>) {
        let mut targets = self.targets();
        for target in targets.values_mut() {
            target.log_gathered(logger);
        }
    }
}

async fn log_later(log: Weak<FailureLog>, logger: Arc<dyn Logger>, id: RouteId, wait: Duration) {
    tokio::time::sleep(wait).await;
    let Some(log) = log.upgrade() else { return };
    if let Some(target) = log.targets().get_mut(&id) {
        target.is_waiting = false;
        target.log_gathered(&logger);
    }
}

impl TargetFailures {
    fn new(route: Arc<Route>) -> Self {
        Self {
            route,
            total: 0,
            logged: Instant::now(),
            gathered: 0,
            last: LastFailure::default(),
            is_waiting: false,
        }
    }

    fn log_gathered(&mut self, logger: &Arc<dyn Logger>) {
        let count = std::mem::take(&mut self.gathered);
        let LastFailure { job, run, error } = std::mem::take(&mut self.last);
        let Some(error) = error.filter(|_| count > 0) else {
            return;
        };
        self.logged = Instant::now();
        let route = &self.route;
        let runs = if count == 1 {
            "one more run".to_owned()
        } else {
            format!("{count} more runs")
        };
        let line = format!(
            "{runs} of {route} failed, the last of them run {run} of job {job}: {}; {} since this process started",
            in_words(&error),
            self.total
        );
        let fields = LogFields {
            event: EventKind::Failed.as_str(),
            job_id: &job,
            namespace: route.namespace.as_str(),
            product: &route.product,
            env: &route.env,
            target: route.fields().collect(),
            run,
            attempt: None,
            scheduled_at: None,
            failed_before: Some(self.total.saturating_sub(count)),
            count: Some(count),
            err: Some(ShownError::from(&error)),
        };
        logger.log_with(Level::Warn, &line, &fields.to_json());
    }
}

/// Code and message of an error, in one line that is not too long. Line breaks are the logger's business.
fn in_words(error: &RunError) -> String {
    let end = error
        .message
        .floor_char_boundary(MAX_LINE_MESSAGE_BYTES.min(error.message.len()));
    let rest = if end < error.message.len() { "…" } else { "" };
    let message = &error.message[..end];
    // Errors of Node.js say their code themselves.
    match message.strip_prefix(&*error.code) {
        Some(after) if after.starts_with(": ") => format!("{message}{rest}"),
        _ => format!("{}: {message}{rest}", error.code),
    }
}

fn attempt_line(failed: &FailedAttempt<'_>) -> String {
    let FailedAttempt { job, run, attempt, .. } = failed;
    let what = if failed.next_due.is_some() {
        format!("attempt {attempt} of run {run} failed")
    } else {
        format!("run {run} failed in attempt {attempt}")
    };
    let route = failed.route.1;
    format!("job {job} ({route}): {what}: {}", in_words(failed.error))
}

fn attempt_fields(failed: &FailedAttempt<'_>, failed_before: Option<u64>) -> String {
    let route = failed.route.1;
    let event = if failed.next_due.is_some() {
        EventKind::Retrying
    } else {
        EventKind::Failed
    };
    let fields = LogFields {
        event: event.as_str(),
        job_id: &failed.job.to_string(),
        namespace: route.namespace.as_str(),
        product: &route.product,
        env: &route.env,
        target: route.fields().collect(),
        run: failed.run,
        attempt: Some(failed.attempt),
        scheduled_at: failed.next_due,
        failed_before,
        count: None,
        err: Some(ShownError::from(failed.error)),
    };
    fields.to_json()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::Namespace;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Lines {
        fn take(&self) -> Vec<String> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    impl Logger for Lines {
        fn log(&self, level: Level, message: &str) {
            self.0.lock().unwrap().push(format!("{}: {message}", level.as_str()));
        }
    }

    fn fail(log: &Arc<FailureLog>, lines: &Arc<Lines>, target: i64, run: i64) {
        let route = Arc::new(Route {
            namespace: Namespace::Features,
            product: "shop".into(),
            env: "test".into(),
            target: vec![format!("t{target}").into()],
        });
        let failed = FailedAttempt {
            job: &JobId::Custom("j".into()),
            route: (RouteId::new(target), &route),
            run,
            attempt: 2,
            error: &RunError::new("OOPS", "no luck", None),
            next_due: None,
        };
        log.run_failed(&(Arc::clone(lines) as Arc<dyn Logger>), &failed);
    }

    #[test]
    fn a_code_that_the_message_begins_with_is_told_once() {
        for (message, told) in [
            ("ENOENT: no such file", "ENOENT: no such file"),
            ("ENOENT", "ENOENT: ENOENT"),
            ("no such file", "ENOENT: no such file"),
        ] {
            assert_eq!(in_words(&RunError::new("ENOENT", message, None)), told);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn first_failure_of_a_target_is_logged_at_once_and_the_rest_as_a_count_a_minute() {
        let (log, lines) = (Arc::<FailureLog>::default(), Arc::<Lines>::default());
        for run in 1..=50 {
            fail(&log, &lines, 1, run);
            fail(&log, &lines, 2, run);
        }
        let first =
            |target| format!("warn: job j (features t{target} (shop, test)): run 1 failed in attempt 2: OOPS: no luck");
        assert_eq!(lines.take(), [first(1), first(2)]);
        tokio::time::sleep(GATHER_TIME + Duration::from_secs(1)).await;
        let summary = |target, count: &str, run, total| {
            format!(
                "warn: {count} of features t{target} (shop, test) failed, the last of them run {run} of job j: OOPS: no luck; \
                 {total} since this process started"
            )
        };
        let mut told = lines.take();
        told.sort();
        assert_eq!(
            told,
            [summary(1, "49 more runs", 50, 50), summary(2, "49 more runs", 50, 50)]
        );
        // Within a minute of that, it is gathered again.
        fail(&log, &lines, 1, 51);
        assert_eq!(lines.take(), Vec::<String>::new());
        tokio::time::sleep(GATHER_TIME * 3).await;
        assert_eq!(lines.take(), [summary(1, "one more run", 51, 51)]);
        fail(&log, &lines, 1, 52);
        let first_again = "run 52 failed in attempt 2: OOPS: no luck; 51 runs of this target failed before";
        assert!(lines.take()[0].ends_with(first_again));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gathered_is_logged_at_the_end() {
        let (log, lines) = (Arc::<FailureLog>::default(), Arc::<Lines>::default());
        for run in 1..=3 {
            fail(&log, &lines, 1, run);
        }
        lines.take();
        let logger: Arc<dyn Logger> = Arc::clone(&lines) as Arc<dyn Logger>;
        log.flush(&logger);
        assert!(lines.take()[0].starts_with("warn: 2 more runs of features t1"));
        tokio::time::sleep(GATHER_TIME * 2).await;
        assert_eq!(lines.take(), Vec::<String>::new());
    }
}
