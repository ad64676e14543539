//! Features declared as data: runs their events in sequence, each by the handler that serves its target in this process.
//!
//! Knows neither connectors nor Node: an event is a call of a [`Handler`](crate::engine::Handler), JavaScript's or built in,
//! that the engine's routing finds. Invariants: a finished event is stored before the next begins, and no later attempt of
//! the run repeats it; when the attempt is aborted, so is its event in flight.

mod event;
mod input;
mod results;
mod run;

use crate::clock::Clock;
use crate::engine::inputs::{CacheLookup, ExpressionResolver, Masker, ResolvedInput, ResultCache, SingleFlight};
use crate::engine::routing::{Lane, Pattern, Registration, Routing};
use crate::engine::spans::Tracer;
use crate::engine::steps::Steps;
use crate::engine::{
    AbortReason, Attempt, Handler, HandlerFailure, HandlerSpec, Logger, NativeHandler, NativeWork, Reply,
};
use crate::error::Error;
use crate::expr::{FeatureScope, Literals};
use crate::model::{Namespace, RetryDecision, Route};
use crate::resources::{Feature, FeatureEvent, Resources};
use crate::store::{MAX_STEP_RESULT_BYTES, Note, NoteKind, Store, Token};
use async_trait::async_trait;
use results::Results;
use run::FeatureRun;
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// What running a feature needs.
#[derive(Clone)]
pub struct FeatureContext {
    /// Finds the handler of an event. Weak, since the routing holds the features.
    pub routing: Weak<Routing>,
    /// Resolves expressions.
    pub expressions: Arc<ExpressionResolver>,
    /// Masks secrets in what is logged.
    pub masker: Arc<Masker>,
    /// Weak, since a store in memory ends with its last user.
    pub store: Weak<dyn Store>,
    /// The instance's clock.
    pub clock: Arc<dyn Clock>,
    /// Where it says what goes wrong with caches.
    pub logger: Arc<dyn Logger>,
    /// Caches, and for how long they keep what.
    pub resources: Arc<Resources>,
    /// Events that others with the same input wait for.
    pub flights: SingleFlight,
    /// Makes spans, if anybody does.
    pub tracer: Option<Arc<dyn Tracer>>,
}

/// The features of `resources` as handlers for the engine.
#[must_use]
pub fn targets(resources: &Resources, context: &FeatureContext) -> Vec<HandlerSpec> {
    let features = resources.features.iter();
    let target = |(product, feature): (&str, &Arc<Feature>)| HandlerSpec {
        pattern: Pattern {
            namespace: Namespace::Features,
            product: Some(product.into()),
            env: None,
            target: vec![Some(feature.tag.clone())],
        },
        handler: NativeHandler::new(
            FeatureWork {
                feature: Arc::clone(feature),
                context: context.clone(),
                in_flight: InFlightEvents::default(),
            },
            context.tracer.clone(),
        ),
        concurrency: None,
        per_target: false,
        timeout: None,
        lane: Lane::Jobs,
        built_in: true,
    };
    features.map(target).collect()
}

/// Handlers with events in flight and the keys of their calls, by the key of the feature's attempt.
type InFlightEvents = Mutex<EventCalls>;
type EventCalls = HashMap<Token, Vec<(Arc<dyn Handler>, Token)>>;

fn lock(in_flight: &InFlightEvents) -> MutexGuard<'_, EventCalls> {
    in_flight.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one feature.
struct FeatureWork {
    feature: Arc<Feature>,
    context: FeatureContext,
    in_flight: InFlightEvents,
}

/// The route of an event, in the namespace, product and environment of its feature's route.
fn route_of(event: &FeatureEvent, feature: &Route) -> Option<Route> {
    Some(Route {
        namespace: Namespace::parse_public(event.namespace)?,
        product: feature.product.clone(),
        env: feature.env.clone(),
        target: event.target.clone(),
    })
}

#[async_trait]
impl NativeWork for FeatureWork {
    fn required_routes(&self, route: &Route) -> Vec<Route> {
        let events = self.feature.events();
        events.filter_map(|(_, event)| route_of(event, route)).collect()
    }

    fn on_abort(&self, key: Token, reason: &AbortReason) {
        let in_flight = lock(&self.in_flight).remove(&key);
        for (handler, key) in in_flight.into_iter().flatten() {
            handler.abort(key, reason);
        }
    }

    async fn run(&self, attempt: &Attempt) -> Result<Reply, HandlerFailure> {
        let input =
            input::validate_and_fill(self.feature.input.as_deref(), &attempt.run.input).map_err(handler_failure)?;
        let steps = Steps::new(Weak::clone(&self.context.store), attempt);
        let finished = steps.finished().await.map_err(handler_failure)?;
        let run = FeatureRun {
            work: self,
            attempt,
            input,
            steps,
            finished,
            results: Mutex::new(Results::of(&self.feature)),
            is_over: AtomicBool::new(false),
        };
        if let Some(snooze) = run.sequences().await? {
            return Ok(snooze);
        }
        let FeatureRun { input, results, .. } = run;
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(output) = &self.feature.output else {
            return Ok(Reply::Done(results.returned(&self.feature)));
        };
        let text = self
            .resolve(output, attempt, &input, &results.text(), Literals::Unwrapped)
            .await?;
        Ok(Reply::Done(Some(text.into())))
    }
}

impl FeatureWork {
    async fn resolve(
        &self,
        json: &str,
        attempt: &Attempt,
        input: &str,
        results: &str,
        literals: Literals,
    ) -> Result<String, HandlerFailure> {
        let within = FeatureScope { input, results };
        let now = self.context.clock.now();
        let expressions = &self.context.expressions;
        let resolved = expressions.resolve_in_feature(json, attempt, within, (now, literals));
        resolved.await.map_err(handler_failure)
    }

    /// Runs one event, with its retries.
    async fn run_event(
        &self,
        attempt: &Attempt,
        event: &FeatureEvent,
        name: &str,
        input: &str,
        results: &str,
    ) -> Result<Reply, HandlerFailure> {
        let mut spent = 0;
        loop {
            let Some((route, registration)) = self.served(attempt, event) else {
                // The handler was removed since the claim: release the job for an instance that serves all of its events.
                return Ok(Reply::Snooze(0));
            };
            let literals = registration.literals(route.namespace);
            let outcome = match self.resolve(&event.input, attempt, input, results, literals).await {
                Ok(resolved) => {
                    let inner = event::attempt(attempt, route, name, resolved);
                    self.call_or_find(attempt.key(), event, &registration, inner).await
                }
                Err(failure) => Err(failure),
            };
            let failure = match outcome {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            match attempt.decide_part_retry(&failure, spent, event.retries, 0.5) {
                RetryDecision::After(delay) => {
                    spent += 1;
                    self.log(
                        attempt,
                        format!("{name} failed and is tried again in {delay} ms: {}", describe(&failure)),
                    )
                    .await;
                    if !self.context.clock.is_manual() {
                        tokio::time::sleep(Duration::from_millis(delay.unsigned_abs())).await;
                    }
                }
                RetryDecision::GiveUp if event.allow_fail => {
                    self.log(
                        attempt,
                        format!("{name} failed, and the feature goes on: {}", describe(&failure)),
                    )
                    .await;
                    return Ok(Reply::Done(None));
                }
                RetryDecision::GiveUp => {
                    return Err(HandlerFailure {
                        message: format!("{name}: {}", failure.message).into(),
                        ..failure
                    });
                }
            }
        }
    }

    /// Calls the handler of an event, unless a cache has the result.
    async fn call_or_find(
        &self,
        outer: Token,
        event: &FeatureEvent,
        registration: &Registration,
        inner: Attempt,
    ) -> Result<Reply, HandlerFailure> {
        let (Some(tag), Some(store)) = (&event.cache, self.context.store.upgrade()) else {
            return event::call(&self.in_flight, outer, registration, inner).await;
        };
        let FeatureContext {
            clock,
            logger,
            resources,
            flights,
            ..
        } = self.context.clone();
        let cache = ResultCache::sharing(store, Arc::clone(&clock), logger, resources, flights);
        let of_session = ResolvedInput {
            claims: inner.claims.clone(),
            ..ResolvedInput::default()
        };
        let leader = match cache.find_or_lead(&inner, tag, &of_session).await {
            CacheLookup::Hit(result) => return Ok(Reply::Done((!result.is_empty()).then_some(result))),
            CacheLookup::Miss(leader) => leader,
        };
        let reply = event::call(&self.in_flight, outer, registration, inner).await?;
        if let Reply::Done(result) = &reply {
            leader.store_result(result.as_deref(), clock.now()).await;
        }
        Ok(reply)
    }

    /// Where an event goes, and who does it here.
    fn served(&self, attempt: &Attempt, event: &FeatureEvent) -> Option<(Route, Arc<Registration>)> {
        let (route, routing) = route_of(event, &attempt.route).zip(self.context.routing.upgrade())?;
        let registration = routing.find_for_part(&route)?;
        Some((route, registration))
    }

    /// The result if it can be stored as a step; `None` for one that is too large.
    async fn drop_if_too_large(&self, attempt: &Attempt, name: &str, result: Option<Box<str>>) -> Option<Box<str>> {
        let size = result.as_ref().map_or(0, |result| result.len());
        if size <= MAX_STEP_RESULT_BYTES {
            return result;
        }
        let message =
            format!("the result of {name} has {size} bytes, the limit is {MAX_STEP_RESULT_BYTES}; it is dropped");
        self.log(attempt, message).await;
        None
    }

    /// Adds a line to the job's log, best effort.
    async fn log(&self, attempt: &Attempt, message: String) {
        let Some(store) = self.context.store.upgrade() else {
            return;
        };
        let note = Note {
            job: attempt.run.job,
            created: attempt.run.created,
            run: attempt.run.run,
            attempt: attempt.run.attempt,
            at: self.context.clock.now(),
            kind: NoteKind::Log(self.context.masker.mask(&message).into()),
        };
        let _ = store.save_notes(vec![note]).await;
    }
}

fn describe(failure: &HandlerFailure) -> String {
    format!("{}: {}", failure.code, failure.message)
}

fn handler_failure(error: Error) -> HandlerFailure {
    HandlerFailure {
        code: error.code_text().into(),
        message: error.message.into(),
        stack: None,
        origin: None,
        retry_after: None,
    }
}
