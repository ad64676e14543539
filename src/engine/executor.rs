//! One attempt, from its claim to the completion that is written: find the handler, call it, race it with its timeout,
//! a cancellation and the shutdown, decide what follows.

use super::announcing;
use super::caching::{self, Lead, Lookup};
use super::handler::{AbortReason, Attempt, HandlerFailure, Invocation, Level, Reply};
use super::preparation::Preparation;
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
    let (_, concurrency) = engine.load();
    let begun = engine.running.begin(&run, instance, registration.clone(), concurrency);
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        let mut abort = begun.abort;
        let given_up = match begun.slot {
            Some(slot) => wait_for_slot(slot, &mut abort).await,
            None => None,
        };
        let started_at = engine.clock.now();
        let (job, number, token) = (run.job, run.run, run.token);
        let outcome = match (given_up, route, registration) {
            (Some(AbortReason::Cancelled(_) | AbortReason::LeaseLost), ..) => None,
            (None, Some(route), Some(registration)) => {
                attempt(&engine, &route, &registration, (instance, run), started_at, abort).await
            }
            // Given back before it began, or its handler was taken away between claim and start.
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

/// Waits until a run that was claimed ahead has a slot; why not, if it is given up before.
async fn wait_for_slot(slot: oneshot::Receiver<()>, abort: &mut oneshot::Receiver<AbortReason>) -> Option<AbortReason> {
    tokio::select! {
        biased;
        Ok(reason) = abort => Some(reason),
        _ = slot => None,
    }
}

/// Runs the handler. `None`: the run is no longer ours, there is nothing to write.
async fn attempt(
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
    let mut bounds = Bounds::new(abort, options.timeout.or(registration.timeout));
    let mut attempt = Attempt {
        run,
        instance,
        part: None,
        route: Arc::clone(route),
        options,
        claims: None,
        started_at,
    };
    let lead = match bounds.race(prepare(engine, &mut attempt)).await {
        Ok(Readiness::Ready(lead)) => lead,
        Ok(Readiness::Known(result)) => return Some(RunOutcome::Completed { result }),
        Ok(Readiness::Failed(failure)) => return decide(engine, &attempt, Ending::Answered(Err(failure))),
        Err(reason) => return decide(engine, &attempt, Ending::Aborted(reason)),
    };
    let attempt = Arc::new(attempt);
    let (sender, receiver) = oneshot::channel();
    announcing::started(engine, &attempt);
    registration.handler.call(Invocation {
        attempt: Arc::clone(&attempt),
        reply: sender,
    });
    let ending = match bounds.race(receiver).await {
        Ok(answer) => answer.map_or(Ending::Dropped, Ending::Answered),
        Err(reason) => {
            registration.handler.abort(attempt.key(), &reason);
            Ending::Aborted(reason)
        }
    };
    let outcome = decide(engine, &attempt, ending);
    if let (Some(lead), Some(RunOutcome::Completed { result })) = (lead, &outcome) {
        lead.keep(result.as_deref(), engine.clock.now()).await;
    }
    outcome
}

/// Whether a run can go on.
enum Readiness {
    /// It can; when it leads a flight, its result is to be kept.
    Ready(Option<Lead>),
    /// It need not: a cache has its result.
    Known(Option<Box<str>>),
    /// It cannot.
    Failed(HandlerFailure),
}

/// Checks the session, resolves the input, looks into the cache.
async fn prepare(engine: &Arc<Engine>, attempt: &mut Attempt) -> Readiness {
    let Attempt {
        run, route, options, ..
    } = attempt;
    if Preparation::is_needless(run, route, options) {
        return Readiness::Ready(None);
    }
    let preparation = &engine.config.preparation;
    let prepared = preparation
        .prepare(&*engine.store, run, route, options, attempt.started_at)
        .await;
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            return Readiness::Failed(HandlerFailure {
                code: error.code_text().into(),
                message: error.message.into(),
                stack: None,
                retry_after: None,
            });
        }
    };
    let place = options
        .cache
        .as_deref()
        .map(|tag| caching::place_of(engine, run, route, tag, &prepared));
    if let Some(input) = prepared.input {
        run.input = input;
    }
    attempt.claims = prepared.claims;
    let Some(place) = place else {
        return Readiness::Ready(None);
    };
    match caching::look_up(engine, place).await {
        Lookup::Hit(result) => Readiness::Known((!result.is_empty()).then_some(result)),
        Lookup::Lead(lead) => Readiness::Ready(Some(lead)),
    }
}

/// What ends an attempt before its work is done.
struct Bounds {
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

impl Bounds {
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

fn decide(engine: &Engine, attempt: &Attempt, ending: Ending) -> Option<RunOutcome> {
    let now = engine.clock.now();
    match ending {
        Ending::Answered(Ok(Reply::Done(result))) => Some(RunOutcome::Completed { result }),
        Ending::Answered(Ok(Reply::Snooze(delay))) => Some(RunOutcome::Snoozed {
            due: now.saturating_add(delay.max(0)),
        }),
        Ending::Answered(Err(failure)) => Some(after_failure(engine, attempt, &failure, now)),
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
            Some(after_failure(engine, attempt, &failure, now))
        }
        Ending::Aborted(AbortReason::Closed) | Ending::Dropped => Some(RunOutcome::Released),
        Ending::Aborted(AbortReason::Cancelled(_) | AbortReason::LeaseLost) => None,
    }
}

fn after_failure(engine: &Engine, attempt: &Attempt, failure: &HandlerFailure, now: Millis) -> RunOutcome {
    let error = masked(engine, failure);
    match attempt.after(failure, random_fraction(attempt.run.token)) {
        RetryDecision::After(delay) => RunOutcome::Retry {
            error,
            due: now.saturating_add(delay),
        },
        RetryDecision::GiveUp => RunOutcome::Failed { error },
    }
}

/// The error as it is stored and shown: without the values of secrets.
fn masked(engine: &Engine, failure: &HandlerFailure) -> RunError {
    let masker = &engine.config.preparation.secrets.masker;
    let stack = failure.stack.as_deref().map(|stack| masker.mask(stack));
    RunError::new(
        &masker.mask(&failure.code),
        &masker.mask(&failure.message),
        stack.as_deref(),
    )
}

/// Of work of the package's own nothing stays when it is over: its handler has written down what came of it.
fn forgetting(outcome: RunOutcome) -> RunOutcome {
    match outcome {
        RunOutcome::Completed { .. } | RunOutcome::Failed { .. } => RunOutcome::Forgotten,
        other => other,
    }
}

/// A number from 0 to 1, different for each attempt: enough to spread retries, and nothing else depends on it.
pub(crate) fn random_fraction(token: i64) -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let hash = RandomState::new().hash_one(token);
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}
