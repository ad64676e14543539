//! One attempt, from its claim to the completion that is written: find the handler, call it, race it with its timeout,
//! a cancellation and the shutdown, decide what follows.

use super::announcing;
use super::handler::{AbortReason, Attempt, HandlerFailure, Invocation, Level, Reply};
use super::inputs::{self, CacheLookup, Leader};
use super::routing::{Lane, Registration};
use super::worker::Engine;
use crate::clock::Millis;
use crate::model::{JobOptions, RetryDecision, Route, RunError, RunOutcome};
use crate::store::{ClaimedRun, Completion, InstanceId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How an attempt ended, before anybody decided what follows from it.
enum AttemptEnd {
    Answered(Result<Reply, HandlerFailure>),
    Aborted(AbortReason),
    /// The handler's side went away without an answer.
    Dropped,
}

/// Begins a claimed run; returns at once.
pub fn start(engine: &Arc<Engine>, instance: InstanceId, run: ClaimedRun) {
    let route = engine.routing.route(run.route);
    let registration = route.as_deref().and_then(|route| engine.routing.find(route));
    let is_internal = registration.as_ref().is_some_and(|best| best.lane == Lane::Internal);
    let (_, concurrency) = engine.slot_usage();
    let signals = engine
        .in_flight
        .begin(&run, instance, registration.clone(), concurrency);
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        let mut abort = signals.abort;
        let given_up = match signals.slot {
            Some(slot) => wait_for_slot(slot, &mut abort).await,
            None => None,
        };
        let started_at = engine.clock.now();
        let (job, number, token) = (run.job, run.run, run.token);
        let outcome = match (given_up, route, registration) {
            (Some(AbortReason::Cancelled(_) | AbortReason::LeaseLost), ..) => None,
            (None, Some(route), Some(registration)) => {
                run_attempt(&engine, &route, &registration, (instance, run), started_at, abort).await
            }
            // Given back before it began, or its handler was taken away between claim and start.
            _ => Some(RunOutcome::Released),
        };
        engine.in_flight.free_slot(token);
        let outcome = outcome.map(|outcome| {
            if is_internal {
                forget_internal_outcome(outcome)
            } else {
                outcome
            }
        });
        let Some(outcome) = outcome else {
            engine.in_flight.finish([token]);
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

/// Waits until a run that was claimed ahead has a slot; why not, if it is given up before.
async fn wait_for_slot(slot: oneshot::Receiver<()>, abort: &mut oneshot::Receiver<AbortReason>) -> Option<AbortReason> {
    tokio::select! {
        biased;
        Ok(reason) = abort => Some(reason),
        _ = slot => None,
    }
}

/// Runs the handler. `None`: the run is no longer ours, there is nothing to write.
async fn run_attempt(
    engine: &Arc<Engine>,
    route: &Arc<Route>,
    registration: &Registration,
    (instance, run): (InstanceId, ClaimedRun),
    started_at: Millis,
    abort: oneshot::Receiver<AbortReason>,
) -> Option<RunOutcome> {
    let options = match read_options(&run) {
        Ok(options) => options,
        Err(error) => return Some(RunOutcome::Failed { error }),
    };
    let mut limits = AttemptLimits::new(abort, options.timeout.or(registration.timeout));
    let mut attempt = Attempt {
        run,
        instance,
        part: None,
        route: Arc::clone(route),
        options,
        claims: None,
        started_at,
    };
    let leader = match limits.race(prepare(engine, &mut attempt)).await {
        Ok(Readiness::Ready(leader)) => leader,
        Ok(Readiness::Cached(result)) => return Some(RunOutcome::Completed { result }),
        Ok(Readiness::Failed(failure)) => return outcome_after(engine, &attempt, AttemptEnd::Answered(Err(failure))),
        Err(reason) => return outcome_after(engine, &attempt, AttemptEnd::Aborted(reason)),
    };
    let attempt = Arc::new(attempt);
    let (sender, receiver) = oneshot::channel();
    announcing::started(engine, &attempt);
    registration.handler.call(Invocation {
        attempt: Arc::clone(&attempt),
        reply: sender,
    });
    let end = match limits.race(receiver).await {
        Ok(answer) => answer.map_or(AttemptEnd::Dropped, AttemptEnd::Answered),
        Err(reason) => {
            registration.handler.abort(attempt.key(), &reason);
            AttemptEnd::Aborted(reason)
        }
    };
    let outcome = outcome_after(engine, &attempt, end);
    if let (Some(leader), Some(RunOutcome::Completed { result })) = (leader, &outcome) {
        leader.store_result(result.as_deref(), engine.clock.now()).await;
    }
    outcome
}

/// Whether a run can go on.
enum Readiness {
    /// It can; when it leads a flight, its result is to be kept.
    Ready(Option<Leader>),
    /// It need not: a cache has its result.
    Cached(Option<Box<str>>),
    /// It cannot.
    Failed(HandlerFailure),
}

/// Checks the session, resolves the input, looks into the cache.
async fn prepare(engine: &Arc<Engine>, attempt: &mut Attempt) -> Readiness {
    if !inputs::needs_resolving(&attempt.run, &attempt.route, &attempt.options) {
        return Readiness::Ready(None);
    }
    let config = &engine.config;
    let resolved = inputs::resolve(&config.sessions, &config.expressions, &*engine.store, attempt).await;
    let resolved = match resolved {
        Ok(resolved) => resolved,
        Err(error) => {
            return Readiness::Failed(HandlerFailure {
                code: error.code_text().into(),
                message: error.message.into(),
                stack: None,
                retry_after: None,
            });
        }
    };
    let lookup = match &attempt.options.cache {
        Some(tag) => Some(engine.result_cache.find_or_lead(attempt, tag, &resolved).await),
        None => None,
    };
    if let Some(input) = resolved.input {
        attempt.run.input = input;
    }
    attempt.claims = resolved.claims;
    match lookup {
        None => Readiness::Ready(None),
        Some(CacheLookup::Hit(result)) => Readiness::Cached((!result.is_empty()).then_some(result)),
        Some(CacheLookup::Miss(leader)) => Readiness::Ready(Some(leader)),
    }
}

/// What ends an attempt before its work is done.
struct AttemptLimits {
    /// `None` once nobody can abort any more.
    abort: Option<oneshot::Receiver<AbortReason>>,
    deadline: Option<(Instant, i64)>,
}

/// Comes when the attempt is to stop.
async fn aborted(abort: &mut Option<oneshot::Receiver<AbortReason>>) -> AbortReason {
    if let Some(receiver) = abort {
        let reason = receiver.await;
        *abort = None;
        if let Ok(reason) = reason {
            return reason;
        }
    }
    std::future::pending().await
}

impl AttemptLimits {
    fn new(abort: oneshot::Receiver<AbortReason>, timeout: Option<i64>) -> Self {
        let at = |limit: i64| Instant::now().checked_add(Duration::from_millis(limit.unsigned_abs()));
        let deadline = timeout.and_then(|limit| Some((at(limit)?, limit)));
        Self {
            abort: Some(abort),
            deadline,
        }
    }

    /// Waits for the work, unless a bound comes first.
    async fn race<T>(&mut self, work: impl Future<Output = T>) -> Result<T, AbortReason> {
        let deadline = self.deadline;
        let overdue = async {
            match deadline {
                Some((at, limit)) => {
                    tokio::time::sleep_until(at).await;
                    AbortReason::Timeout(limit)
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            done = work => Ok(done),
            reason = aborted(&mut self.abort) => Err(reason),
            reason = overdue => Err(reason),
        }
    }
}

fn read_options(run: &ClaimedRun) -> Result<JobOptions, RunError> {
    let Some(text) = run.options.as_deref() else {
        return Ok(JobOptions::default());
    };
    serde_json::from_str(text)
        .map_err(|error| RunError::new("STORE_CORRUPT", &format!("unreadable options: {error}"), None))
}

fn outcome_after(engine: &Engine, attempt: &Attempt, end: AttemptEnd) -> Option<RunOutcome> {
    let now = engine.clock.now();
    match end {
        AttemptEnd::Answered(Ok(Reply::Done(result))) => Some(RunOutcome::Completed { result }),
        AttemptEnd::Answered(Ok(Reply::Snooze(delay))) => Some(RunOutcome::Snoozed {
            due: now.saturating_add(delay.max(0)),
        }),
        AttemptEnd::Answered(Err(failure)) => Some(after_failure(engine, attempt, &failure, now)),
        AttemptEnd::Aborted(reason @ AbortReason::Timeout(_)) => {
            let message = reason.message();
            engine.logger.log(
                Level::Warn,
                &format!("job {} ({}): {message}", attempt.run.id, attempt.route),
            );
            let failure = HandlerFailure {
                code: reason.code().into(),
                message: message.into(),
                stack: None,
                retry_after: None,
            };
            Some(after_failure(engine, attempt, &failure, now))
        }
        AttemptEnd::Aborted(AbortReason::Closed) | AttemptEnd::Dropped => Some(RunOutcome::Released),
        AttemptEnd::Aborted(AbortReason::Cancelled(_) | AbortReason::LeaseLost) => None,
    }
}

fn after_failure(engine: &Engine, attempt: &Attempt, failure: &HandlerFailure, now: Millis) -> RunOutcome {
    let error = masked_error(engine, failure);
    match attempt.decide_retry(failure, random_fraction(attempt.run.token)) {
        RetryDecision::After(delay) => RunOutcome::Retry {
            error,
            due: now.saturating_add(delay),
        },
        RetryDecision::GiveUp => RunOutcome::Failed { error },
    }
}

/// The error as it is stored and shown: without the values of secrets.
fn masked_error(engine: &Engine, failure: &HandlerFailure) -> RunError {
    let masker = &engine.config.secrets.masker;
    let stack = failure.stack.as_deref().map(|stack| masker.mask(stack));
    RunError::new(
        &masker.mask(&failure.code),
        &masker.mask(&failure.message),
        stack.as_deref(),
    )
}

/// Of work of the package's own nothing stays when it is over: its handler has written down what came of it.
fn forget_internal_outcome(outcome: RunOutcome) -> RunOutcome {
    match outcome {
        RunOutcome::Completed { .. } | RunOutcome::Failed { .. } => RunOutcome::Discarded,
        other => other,
    }
}

/// A number from 0 to 1, different for each attempt: enough to spread retries, and nothing else depends on it.
pub(crate) fn random_fraction(token: i64) -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let hash = RandomState::new().hash_one(token);
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}
