//! One attempt, from its claim to the completion that is handed over: find the handler, call it, race it with its timeout,
//! a cancellation and the shutdown, decide what follows.
//!
//! Invariant: an attempt that was started frees its slot and either hands over a completion or is forgotten, also when the
//! code around its handler panics.

use super::completer::Completions;
use super::in_flight::{AttemptSignals, InFlightAttempts};
use super::late;
use super::limits::AttemptLimits;
use super::outcome::{AttemptEnd, PanicRetry, discard_internal, outcome_after};
use super::preparer::{Preparer, Readiness};
use super::spans::AttemptTrace;
use super::unreadable::UnreadableRuns;
use crate::clock::Millis;
use crate::engine::claim::routing::{Lane, Registration, Routing};
use crate::engine::context::Context;
use crate::engine::events::announcer::Announcer;
use crate::engine::events::completion_events;
use crate::engine::handler::{AbortReason, Attempt, Invocation, Level};
use crate::engine::inputs::Masker;
use crate::engine::service::{Service, StopSignal};
use crate::model::{JobOptions, Route, RunError, RunOutcome};
use crate::store::{ClaimedRun, Completion, InstanceId, JobSeq, Token};
use async_trait::async_trait;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{self, Poll, Waker};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Longest input, bytes, that is made ready on the thread of whoever brings the news of a claim.
const MAX_BYTES_HERE: usize = 16 << 10;

/// Runs attempts, each in a task of its own.
pub struct Executor {
    /// Store, clock and logger.
    pub context: Context,
    /// Who does what.
    pub routing: Arc<Routing>,
    /// Slots, and what is being done.
    pub in_flight: Arc<InFlightAttempts>,
    /// Where ended attempts go.
    pub completions: Arc<Completions>,
    /// Who listens to events.
    pub announcer: Arc<Announcer>,
    /// Makes attempts ready.
    pub preparer: Preparer,
    /// What becomes of runs that cannot be read.
    pub unreadable: UnreadableRuns,
    /// Masks errors.
    pub masker: Arc<Masker>,
    /// Attempts at once in the worker's slots.
    pub concurrency: usize,
    /// The tasks.
    pub tasks: AttemptTasks,
}

/// The tasks of attempts.
#[derive(Default)]
pub struct AttemptTasks(Mutex<JoinSet<()>>);

impl AttemptTasks {
    fn spawn(&self, attempt: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A panic has been dealt with by then: see `UnfinishedAttempt`.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(attempt);
    }

    fn take(&self) -> JoinSet<()> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// [`Executor`] as a background task: outlives what it has started.
pub struct ExecutorService(pub Arc<Executor>);

#[async_trait]
impl Service for ExecutorService {
    fn name(&self) -> &'static str {
        "executor"
    }

    async fn run(self: Box<Self>, mut stop: StopSignal) {
        stop.stopped().await;
        let mut tasks = self.0.tasks.take();
        while tasks.join_next().await.is_some() {}
    }
}

impl Executor {
    /// Begins a claimed run; returns at once.
    pub fn start(self: &Arc<Self>, instance: InstanceId, run: ClaimedRun) {
        let (attempt, _) = self.attempt(instance, run);
        self.tasks.spawn(attempt);
    }

    /// The same on the caller's thread as far as its handler, if that only takes the call and nothing long comes before it; the rest
    /// goes on in the background. Needs a runtime.
    pub fn start_here(self: &Arc<Self>, instance: InstanceId, run: ClaimedRun) {
        let is_short = run.options.is_none() && !run.recurring && run.input.len() <= MAX_BYTES_HERE;
        let (attempt, takes_calls) = self.attempt(instance, run);
        let mut attempt = Box::pin(attempt);
        if is_short && takes_calls {
            // The task looks again before it waits. A panic has been dealt with by then, as in a task.
            let begin = || attempt.as_mut().poll(&mut task::Context::from_waker(Waker::noop()));
            if !matches!(catch_unwind(AssertUnwindSafe(begin)), Ok(Poll::Pending)) {
                return;
            }
        }
        self.tasks.spawn(attempt);
    }

    /// An attempt, and whether its handler only takes the call.
    fn attempt(
        self: &Arc<Self>,
        instance: InstanceId,
        run: ClaimedRun,
    ) -> (impl Future<Output = ()> + Send + use<>, bool) {
        let route = self.routing.route(run.route);
        let registration = route.as_deref().and_then(|route| self.routing.find(route));
        let takes_calls = registration
            .as_ref()
            .is_some_and(|found| found.handler.only_takes_calls());
        let signals = self
            .in_flight
            .begin(&run, instance, registration.clone(), self.concurrency);
        let target = route.zip(registration);
        let attempt = Arc::clone(self).run_to_completion(instance, run, target, signals);
        (attempt, takes_calls)
    }

    /// To be called behind the starts of one claim: the runtime's thread takes the task that was spawned last before all
    /// others, which would be the last run of the claim.
    pub fn started_in_order(&self) {
        drop(tokio::spawn(async {}));
    }

    async fn run_to_completion(
        self: Arc<Self>,
        instance: InstanceId,
        run: ClaimedRun,
        target: Option<(Arc<Route>, Arc<Registration>)>,
        signals: AttemptSignals,
    ) {
        let AttemptSignals { mut abort, slot } = signals;
        let unfinished = UnfinishedAttempt::new(&self, instance, &run);
        let given_up = match slot {
            Some(slot) => wait_for_slot(slot, &mut abort).await,
            None => None,
        };
        let started_at = self.context.now();
        let is_internal = target
            .as_ref()
            .is_some_and(|(_, registration)| registration.lane == Lane::Internal);
        let outcome = match (given_up, target) {
            (Some(AbortReason::Cancelled(_) | AbortReason::LeaseLost), _) => None,
            (None, Some((route, registration))) => {
                self.run_attempt(&route, &registration, (instance, run), started_at, abort)
                    .await
            }
            // Given back before it began, or its handler was taken away between claim and start.
            _ => Some(RunOutcome::Released),
        };
        let outcome = outcome.map(|outcome| {
            if is_internal {
                discard_internal(outcome)
            } else {
                outcome
            }
        });
        unfinished.finish(started_at, outcome).await;
    }

    /// Runs the handler. `None`: the run is no longer ours, there is nothing to write.
    async fn run_attempt(
        &self,
        route: &Arc<Route>,
        registration: &Registration,
        (instance, run): (InstanceId, ClaimedRun),
        started_at: Millis,
        abort: oneshot::Receiver<AbortReason>,
    ) -> Option<RunOutcome> {
        self.context.failpoints.pass("executor");
        if late::is_too_late(&self.context, &run, started_at).await {
            return Some(RunOutcome::TakenBack);
        }
        if let Some(unreadable) = &run.unreadable {
            return Some(self.unreadable.outcome(&self.context, &run, route, unreadable));
        }
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
            trace: AttemptTrace::default(),
        };
        let literals = registration.literals(route.namespace);
        let leader = match limits.race(self.preparer.prepare(&mut attempt, literals)).await {
            Ok(Readiness::Ready(leader)) => leader,
            Ok(Readiness::Cached(result)) => return Some(RunOutcome::Completed { result }),
            Ok(Readiness::Failed(failure)) => return self.outcome_after(&attempt, AttemptEnd::Answered(Err(failure))),
            Err(reason) => return self.outcome_after(&attempt, AttemptEnd::Aborted(reason)),
        };
        let attempt = Arc::new(attempt);
        let (sender, receiver) = oneshot::channel();
        completion_events::started(&self.announcer, &attempt);
        registration.handler.call(Invocation {
            attempt: Arc::clone(&attempt),
            reply: sender,
        });
        let end = match self.wait_for_answer(&mut limits, receiver, attempt.run.token).await {
            Ok(answer) => answer.map_or(AttemptEnd::Dropped, AttemptEnd::Answered),
            Err(reason) => {
                registration.handler.abort(attempt.key(), &reason);
                AttemptEnd::Aborted(reason)
            }
        };
        let outcome = self.outcome_after(&attempt, end);
        if let (Some(leader), Some(RunOutcome::Completed { result })) = (leader, &outcome) {
            leader.store_result(result.as_deref(), self.context.now()).await;
        }
        outcome
    }

    /// Waits for the handler, unless a bound comes first. Rollbacks that have begun by then go on: they have bounds of
    /// their own.
    async fn wait_for_answer<T>(
        &self,
        limits: &mut AttemptLimits,
        mut answer: oneshot::Receiver<T>,
        token: Token,
    ) -> Result<Result<T, oneshot::error::RecvError>, AbortReason> {
        match limits.race(&mut answer).await {
            Err(AbortReason::Timeout(_)) if self.in_flight.is_timeout_lifted(token) => {
                limits.lift_timeout();
                limits.race(answer).await
            }
            end => end,
        }
    }

    fn outcome_after(&self, attempt: &Attempt, end: AttemptEnd) -> Option<RunOutcome> {
        outcome_after(attempt, end, self.context.now(), &self.masker)
    }
}

/// Waits until a run that was claimed ahead has a slot; why not, if it is given up before.
async fn wait_for_slot(slot: oneshot::Receiver<()>, abort: &mut oneshot::Receiver<AbortReason>) -> Option<AbortReason> {
    tokio::select! {
        biased;
        Ok(reason) = abort => Some(reason),
        _ = slot => None,
    }
}

fn read_options(run: &ClaimedRun) -> Result<JobOptions, RunError> {
    let Some(text) = run.options.as_deref() else {
        return Ok(JobOptions::default());
    };
    serde_json::from_str(text)
        .map_err(|error| RunError::new("STORE_CORRUPT", &format!("unreadable options: {error}"), None))
}

/// An attempt whose task is going. Dropped by a panic, it ends the attempt as crashed.
struct UnfinishedAttempt {
    executor: Arc<Executor>,
    instance: InstanceId,
    job: JobSeq,
    run: i64,
    recurring: bool,
    token: Token,
    /// What follows if it panics.
    retry: PanicRetry,
    is_over: bool,
}

impl UnfinishedAttempt {
    fn new(executor: &Arc<Executor>, instance: InstanceId, run: &ClaimedRun) -> Self {
        Self {
            executor: Arc::clone(executor),
            instance,
            job: run.job,
            run: run.run,
            recurring: run.recurring,
            token: run.token,
            retry: PanicRetry::of(run),
            is_over: false,
        }
    }

    /// The attempt has come to its end, at which its slot is free. Writes the outcome; `None`: there is nothing to write.
    async fn finish(mut self, started_at: Millis, outcome: Option<RunOutcome>) {
        self.is_over = true;
        let in_flight = &self.executor.in_flight;
        in_flight.free_slot(self.token);
        let Some(outcome) = outcome else {
            in_flight.finish([self.token]);
            return;
        };
        let completion = self.completion(started_at, outcome);
        self.executor.completions.submit(self.instance, completion).await;
    }

    fn completion(&self, started_at: Millis, outcome: RunOutcome) -> Completion {
        Completion {
            job: self.job,
            run: self.run,
            token: self.token,
            recurring: self.recurring,
            started_at,
            ended_at: self.executor.context.now(),
            outcome,
        }
    }
}

impl Drop for UnfinishedAttempt {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (context, in_flight) = (&self.executor.context, &self.executor.in_flight);
        in_flight.free_slot(self.token);
        if !std::thread::panicking() {
            // The task was cancelled with the engine.
            in_flight.finish([self.token]);
            return;
        }
        context.log(
            Level::Error,
            &format!("an attempt of job number {} panicked; please report it", self.job),
        );
        let now = context.now();
        let completion = self.completion(now, self.retry.outcome(now));
        if !self.executor.completions.try_submit(self.instance, completion) {
            // Forgotten here, it is found by the next comparison with the store and handed back.
            in_flight.finish([self.token]);
        }
    }
}
