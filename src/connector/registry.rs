//! All resources of an instance: opens them when they are needed, runs attempts by them, checks and closes them.
//!
//! Invariants: a resource is opened by one attempt at a time, and the others wait for it; one whose credentials are
//! refused is opened anew by the next attempt, since a secret may have changed.

use super::{Call, Connector, Definition, Failure, Limits, ResourceName};
use crate::clock::{Clock, SystemClock};
use crate::connector::limits::{CLOSE_TIMEOUT, MAX_CONCURRENT_CHECKS};
use crate::engine::circuit::{Change, Circuit, Sign};
use crate::engine::inputs::ExpressionResolver;
use crate::engine::routing::{Lane, Pattern};
use crate::engine::spans::{CallSpan, Tracer};
use crate::engine::steps::Steps;
use crate::engine::{Attempt, HandlerFailure, HandlerSpec, Level, Logger, NativeHandler, NativeWork, Reply};
use crate::error::{Error, ErrorCode, HandlerError};
use crate::model::Route;
use crate::store::Store;
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// What became of the attempts of a resource in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Attempts that ended.
    pub calls: u64,
    /// How many of them failed.
    pub failures: u64,
}

/// What a check of a resource found.
#[derive(Clone, Debug)]
pub struct CheckResult {
    /// Which one.
    pub name: ResourceName,
    /// Why it cannot be used.
    pub failure: Option<Failure>,
    /// How long it took, ms.
    pub duration_ms: i64,
    /// What became of its attempts.
    pub usage: Usage,
}

/// One resource, with its connector when it is open.
struct RegisteredResource {
    definition: Arc<dyn Definition>,
    expressions: Arc<ExpressionResolver>,
    limits: Limits,
    open: Mutex<Option<Arc<dyn Connector>>>,
    calls: AtomicU64,
    failures: AtomicU64,
    circuit: SyncMutex<Circuit>,
}

/// What the end of an attempt says of its server; `None`: nothing, since it may not have been asked.
fn sign(answer: &Result<Option<Box<str>>, Failure>) -> Option<Sign> {
    match answer {
        Ok(_) => Some(Sign::Answer),
        Err(failure) => Sign::of_failure(&failure.code),
    }
}

impl RegisteredResource {
    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the end of an attempt says of the server.
    fn learn(&self, answer: &Result<Option<Box<str>>, Failure>, began: Instant, logger: &Arc<dyn Logger>) {
        let Some(sign) = sign(answer) else { return };
        let mut circuit = self.circuit();
        let change = circuit.take(sign, began, Instant::now());
        let failures = circuit.failures();
        drop(circuit);
        let name = self.definition.name();
        match change {
            Some(Change::Opened) => logger.log(
                Level::Warn,
                &format!(
                    "{name}: {failures} attempts in a row found no connection; until one does, they are made one at a time and up to 30 s apart"
                ),
            ),
            Some(Change::Closed) => logger.log(Level::Info, &format!("{name}: answers again")),
            None => {}
        }
    }

    async fn connector(&self) -> Result<Arc<dyn Connector>, Failure> {
        let mut open = self.open.lock().await;
        if let Some(connector) = &*open {
            return Ok(Arc::clone(connector));
        }
        let connector = self.definition.open(&self.expressions).await.map_err(|mut failure| {
            failure.message = format!("{}: {}", self.definition.name(), failure.message);
            failure
        })?;
        *open = Some(Arc::clone(&connector));
        Ok(connector)
    }

    /// Refused credentials: a secret may have changed, so that the next attempt asks for it again.
    async fn reopen_if_unauthorized(&self, used: &Arc<dyn Connector>, failure: &Failure) {
        if &*failure.code != ErrorCode::Unauthorized.as_str() {
            return;
        }
        let mut open = self.open.lock().await;
        if open.as_ref().is_some_and(|connector| Arc::ptr_eq(connector, used)) {
            *open = None;
            drop(open);
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, used.close()).await;
        }
    }

    async fn run(&self, attempt: &Attempt, steps: &Steps) -> Result<Option<Box<str>>, Failure> {
        let connector = self.connector().await?;
        let call = Call {
            attempt,
            expressions: &self.expressions,
            steps,
            limits: &self.limits,
        };
        let answer = connector.run(&call).await;
        if let Err(failure) = &answer {
            self.reopen_if_unauthorized(&connector, failure).await;
        }
        answer
    }

    async fn check(&self, timeout: Duration) -> CheckResult {
        let from = SystemClock.now();
        let checked = async {
            let connector = self.connector().await?;
            let answer = connector.check().await;
            if let Err(failure) = &answer {
                self.reopen_if_unauthorized(&connector, failure).await;
            }
            answer
        };
        let late = || Failure::timeout(format!("no answer within {} ms", timeout.as_millis()));
        let answer = tokio::time::timeout(timeout, checked).await;
        let failure = answer.unwrap_or_else(|_| Err(late())).err();
        CheckResult {
            name: self.definition.name(),
            failure,
            duration_ms: SystemClock.now().saturating_sub(from).max(0),
            usage: Usage {
                calls: self.calls.load(Ordering::Relaxed),
                failures: self.failures.load(Ordering::Relaxed),
            },
        }
    }

    async fn close(&self) {
        let connector = self.open.lock().await.take();
        if let Some(connector) = connector {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, connector.close()).await;
        }
    }
}

fn not_built_in(type_name: &str) -> String {
    format!("the type '{type_name}' of the resource is not built in")
}

/// Attempts of one resource, as the engine calls them.
struct ConnectorWork {
    resource: Arc<RegisteredResource>,
    logger: Arc<dyn Logger>,
    /// Not kept open by it: a store in memory ends with its last user.
    store: Weak<dyn Store>,
}

#[async_trait]
impl NativeWork for ConnectorWork {
    fn hold(&self, _: &Route) -> Option<Duration> {
        self.resource.circuit().wait(Instant::now())
    }

    fn call_span(&self, route: &Route) -> Option<CallSpan> {
        Some(CallSpan {
            attributes: self.resource.definition.span_attributes(route),
        })
    }

    async fn run(&self, attempt: &Attempt) -> Result<Reply, HandlerFailure> {
        let steps = Steps::new(Weak::clone(&self.store), attempt);
        let began = Instant::now();
        let answer = self.resource.run(attempt, &steps).await;
        self.resource.learn(&answer, began, &self.logger);
        self.resource.calls.fetch_add(1, Ordering::Relaxed);
        match answer {
            Ok(result) => Ok(Reply::Done(result)),
            Err(failure) => {
                self.resource.failures.fetch_add(1, Ordering::Relaxed);
                Err(failure.into())
            }
        }
    }
}

/// All resources of an instance.
pub struct Registry {
    resources: Vec<Arc<RegisteredResource>>,
    limits: Limits,
}

impl Registry {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(definitions: Vec<Arc<dyn Definition>>, expressions: &Arc<ExpressionResolver>, limits: Limits) -> Self {
        let resource = |definition| {
            Arc::new(RegisteredResource {
                definition,
                expressions: Arc::clone(expressions),
                limits,
                open: Mutex::new(None),
                calls: AtomicU64::new(0),
                failures: AtomicU64::new(0),
                circuit: SyncMutex::default(),
            })
        };
        Self {
            resources: definitions.into_iter().map(resource).collect(),
            limits,
        }
    }

    /// Whether there is nothing to run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// What the resources serve, for the engine; jobs that wait in this store. With spans if there is somebody who makes them.
    #[must_use]
    pub fn targets(
        &self,
        store: &Arc<dyn Store>,
        logger: &Arc<dyn Logger>,
        tracer: Option<&Arc<dyn Tracer>>,
    ) -> Vec<HandlerSpec> {
        let mut all = Vec::new();
        for resource in &self.resources {
            let work = ConnectorWork {
                resource: Arc::clone(resource),
                logger: Arc::clone(logger),
                store: Arc::downgrade(store),
            };
            let handler = NativeHandler::new(work, tracer.cloned());
            all.extend(resource.definition.targets().into_iter().map(|target| HandlerSpec {
                pattern: target.pattern,
                handler: Arc::clone(&handler) as Arc<dyn crate::engine::Handler>,
                concurrency: None,
                per_target: false,
                timeout: Some(target.timeout.unwrap_or(self.limits.timeout)),
                lane: Lane::Jobs,
                built_in: true,
            }));
        }
        all
    }

    /// Routes that the resources do not serve, and why not.
    #[must_use]
    pub fn left_to_handlers(&self) -> Vec<(Pattern, Box<str>)> {
        let resources = self.resources.iter();
        let left = resources.flat_map(|resource| resource.definition.left_to_handlers());
        left.map(|left| (left.pattern, not_built_in(left.type_name).into()))
            .collect()
    }

    /// Connects to each resource that is wanted, several at once, in the order they are defined.
    pub async fn check(&self, wanted: impl Fn(&ResourceName) -> bool, timeout: Duration) -> Vec<CheckResult> {
        let all = self.resources.iter();
        let chosen: Vec<_> = all
            .filter(|resource| wanted(&resource.definition.name()))
            .cloned()
            .collect();
        stream::iter(
            chosen
                .into_iter()
                .map(|resource| async move { resource.check(timeout).await }),
        )
        .buffered(MAX_CONCURRENT_CHECKS)
        .collect()
        .await
    }

    /// Ends all connections.
    pub async fn close(&self) {
        stream::iter(self.resources.iter().cloned())
            .for_each_concurrent(MAX_CONCURRENT_CHECKS, |resource| async move { resource.close().await })
            .await;
    }
}

impl From<&Failure> for Error {
    fn from(failure: &Failure) -> Self {
        let code = ErrorCode::parse(&failure.code).unwrap_or(ErrorCode::HandlerError);
        let mut error = Self::new(code, failure.message.as_str());
        error.handler = (code == ErrorCode::HandlerError).then(|| {
            Box::new(HandlerError {
                code: failure.code.clone(),
                stack: None,
                origin: None,
            })
        });
        error
    }
}
