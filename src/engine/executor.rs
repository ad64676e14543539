//! One attempt, from its claim to the completion that is written: find the handler, call it, race it with its timeout,
//! a cancellation and the shutdown, decide what follows.

use super::announcing;
use super::handler::{AbortReason, Attempt, HandlerFailure, Invocation, Level, Reply};
use super::routing::{Lane, Registration};
use super::worker::Engine;
use crate::clock::Millis;
use crate::model::{JobOptions, RetryDecision, RetryPolicy, Route, RunError, RunOutcome};
use crate::store::{ClaimedRun, Completion, InstanceId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How an attempt ended, before anybody decided what follows from it.
enum Ending {
    Answered(Result<Reply, HandlerFailure>),
    Aborted(AbortReason),
    /// The handler's side went away without an answer.
    Dropped,
}

/// Begins a claimed run; returns at once.
pub fn start(engine: &Arc<Engine>, instance: InstanceId, run: ClaimedRun) {
    let route = engine.routing.route(run.route);
    let registration = route.as_deref().and_then(|route| engine.routing.find(route));
    let own = registration.as_ref().is_some_and(|best| best.lane == Lane::Own);
    let abort = engine.running.begin(&run, instance, registration.clone());
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        let started_at = engine.clock.now();
        let (job, number, token) = (run.job, run.run, run.token);
        let outcome = match (route, registration) {
            (Some(route), Some(registration)) => attempt(&engine, &route, &registration, run, started_at, abort).await,
            // The handler was taken away between claim and start.
            _ => Some(RunOutcome::Released),
        };
        engine.running.free_slot(token);
        let outcome = outcome.map(|outcome| if own { forgetting(outcome) } else { outcome });
        let Some(outcome) = outcome else {
            engine.running.settle([token]);
            return;
        };
        let ended_at = engine.clock.now();
        engine
            .completer
            .submit(
                instance,
                Completion {
                    job,
                    run: number,
                    token,
                    started_at,
                    ended_at,
                    outcome,
                },
            )
            .await;
    });
}

/// Runs the handler. `None`: the run is no longer ours, there is nothing to write.
async fn attempt(
    engine: &Engine,
    route: &Arc<Route>,
    registration: &Registration,
    run: ClaimedRun,
    started_at: Millis,
    abort: oneshot::Receiver<AbortReason>,
) -> Option<RunOutcome> {
    let options = match read_options(&run) {
        Ok(options) => options,
        Err(error) => return Some(RunOutcome::Failed { error }),
    };
    let timeout = options.timeout.or(registration.timeout);
    let (sender, receiver) = oneshot::channel();
    let attempt = Arc::new(Attempt {
        run,
        route: Arc::clone(route),
        options,
        started_at,
    });
    announcing::started(engine, &attempt);
    registration.handler.call(Invocation {
        attempt: Arc::clone(&attempt),
        reply: sender,
    });
    let ending = race(receiver, abort, timeout).await;
    if let Ending::Aborted(reason) = &ending {
        registration.handler.abort(attempt.key(), reason);
    }
    decide(engine, &attempt, ending)
}

fn read_options(run: &ClaimedRun) -> Result<JobOptions, RunError> {
    let Some(text) = run.options.as_deref() else {
        return Ok(JobOptions::default());
    };
    serde_json::from_str(text)
        .map_err(|error| RunError::new("STORE_CORRUPT", &format!("unreadable options: {error}"), None))
}

async fn race(
    answer: oneshot::Receiver<Result<Reply, HandlerFailure>>,
    abort: oneshot::Receiver<AbortReason>,
    timeout: Option<i64>,
) -> Ending {
    let overdue = async {
        match timeout {
            Some(limit) => {
                tokio::time::sleep(Duration::from_millis(limit.unsigned_abs())).await;
                AbortReason::Timeout(limit)
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        answer = answer => answer.map_or(Ending::Dropped, Ending::Answered),
        Ok(reason) = abort => Ending::Aborted(reason),
        reason = overdue => Ending::Aborted(reason),
    }
}

fn decide(engine: &Engine, attempt: &Attempt, ending: Ending) -> Option<RunOutcome> {
    let now = engine.clock.now();
    match ending {
        Ending::Answered(Ok(Reply::Done(result))) => Some(RunOutcome::Completed { result }),
        Ending::Answered(Ok(Reply::Snooze(delay))) => Some(RunOutcome::Snoozed {
            due: now.saturating_add(delay.max(0)),
        }),
        Ending::Answered(Err(failure)) => Some(after_failure(attempt, &failure, now)),
        Ending::Aborted(reason @ AbortReason::Timeout(_)) => {
            let message = reason.message();
            engine.journal.log(
                Level::Warn,
                &format!("job {} ({}): {message}", attempt.run.id, attempt.route),
            );
            let failure = HandlerFailure {
                code: reason.code().into(),
                message: message.into(),
                stack: None,
                retry_after: None,
            };
            Some(after_failure(attempt, &failure, now))
        }
        Ending::Aborted(AbortReason::Closed) | Ending::Dropped => Some(RunOutcome::Released),
        Ending::Aborted(AbortReason::Cancelled(_) | AbortReason::LeaseLost) => None,
    }
}

fn after_failure(attempt: &Attempt, failure: &HandlerFailure, now: Millis) -> RunOutcome {
    let error = RunError::new(&failure.code, &failure.message, failure.stack.as_deref());
    let default = RetryPolicy::default();
    let policy = attempt.options.retry.as_ref().unwrap_or(&default);
    let run = &attempt.run;
    let spent = attempt.spent_retries();
    match policy.decide(
        &failure.code,
        spent,
        run.retries,
        failure.retry_after,
        random_fraction(run.token),
    ) {
        RetryDecision::After(delay) => RunOutcome::Retry {
            error,
            due: now.saturating_add(delay),
        },
        RetryDecision::GiveUp => RunOutcome::Failed { error },
    }
}

/// Of work of the package's own nothing stays when it is over: its handler has written down what came of it.
fn forgetting(outcome: RunOutcome) -> RunOutcome {
    match outcome {
        RunOutcome::Completed { .. } | RunOutcome::Failed { .. } => RunOutcome::Forgotten,
        other => other,
    }
}

/// A number from 0 to 1, different for each attempt: enough to spread retries, and nothing else depends on it.
fn random_fraction(token: i64) -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let hash = RandomState::new().hash_one(token);
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}
