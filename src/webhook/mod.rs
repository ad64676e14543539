//! Delivers events to webhooks: the handler of the delivery jobs that the engine's outbox relay makes.
//!
//! Knows HTTP, signatures and the webhooks of the store; nothing of outboxes and schedules. Invariants: the body is the
//! job's input, byte for byte; errors and log lines contain no secret, and of a URL only the host.

mod signature;
#[cfg(test)]
mod tests;

use crate::clock::{Clock, SystemClock};
use crate::engine::circuit::{Change, Circuit, Sign};
use crate::engine::outbox_relay::delivery_retry_policy;
use crate::engine::routing::{Lane, Pattern};
use crate::engine::run::unreadable::MISSING_KEY_DELAY_MS;
use crate::engine::spans::{CallSpan, Tracer};
use crate::engine::{Attempt, HandlerFailure, HandlerSpec, Level, Logger, NativeHandler, NativeWork, Reply};
use crate::error::{Error, Result};
use crate::http::{Client, ClientOptions, Failure};
use crate::model::{EventKind, Namespace, RetryAfter, Route};
use crate::resources::OutboundRules;
use crate::store::{DeliveryReport, Store, Unreadable, Webhook};
use async_trait::async_trait;
use reqwest::{Method, Url};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// Maximum number of concurrent deliveries to one webhook in one process, in addition to the worker's jobs. A receiver that hangs
/// takes no place of others'.
const MAX_CONCURRENT_DELIVERIES: usize = 10;
/// Deadline for the response of a receiver.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit of an attempt, ms, should [`RESPONSE_TIMEOUT`] not take effect.
const ATTEMPT_TIMEOUT_MS: i64 = 60_000;
/// The HTTP status that disables a webhook.
const STATUS_GONE: u16 = 410;
/// Most receivers whose failures are remembered: more than a store has webhooks, since some are deleted meanwhile.
const MAX_CIRCUITS: usize = 200;
/// Pause after the store failed, ms.
const STORE_RETRY_DELAY_MS: i64 = 1_000;

/// The handler of delivery jobs.
pub struct DeliveryHandler {
    /// Weak, since a store in memory lives as long as anybody holds it.
    store: Weak<dyn Store>,
    clock: Arc<dyn Clock>,
    logger: Arc<dyn Logger>,
    outbound: OutboundRules,
    /// Created by the first delivery.
    client: OnceCell<Client>,
    /// Of receivers that could not be connected to the last time, by their webhooks.
    circuits: Mutex<HashMap<Box<str>, Circuit>>,
}

impl DeliveryHandler {
    /// Opens no connection.
    #[must_use]
    pub fn new(
        store: Weak<dyn Store>,
        clock: Arc<dyn Clock>,
        logger: Arc<dyn Logger>,
        outbound: OutboundRules,
    ) -> Self {
        Self {
            store,
            clock,
            logger,
            outbound,
            client: OnceCell::new(),
            circuits: Mutex::default(),
        }
    }

    /// The registration for all deliveries, with spans if there is somebody who makes them.
    #[must_use]
    pub fn target(self, tracer: Option<Arc<dyn Tracer>>) -> HandlerSpec {
        HandlerSpec {
            pattern: Pattern {
                namespace: Namespace::Webhooks,
                product: None,
                env: None,
                target: vec![None],
            },
            handler: NativeHandler::new(self, tracer),
            concurrency: Some(MAX_CONCURRENT_DELIVERIES),
            per_target: true,
            timeout: Some(ATTEMPT_TIMEOUT_MS),
            lane: Lane::Internal,
            built_in: true,
        }
    }

    /// The webhook of a delivery, unless it was deleted or disabled, or wants no such events any more.
    async fn webhook(&self, attempt: &Attempt) -> Result<Option<Webhook>> {
        let webhook_id = attempt.route.target.first();
        let webhooks = self.store()?.webhooks().await?;
        let found = webhooks.into_iter().find(|webhook| Some(&webhook.id) == webhook_id);
        Ok(found.filter(|webhook| webhook.disabled_at.is_none() && wants(webhook, attempt)))
    }

    /// Whether nobody has set the webhook since it was read.
    async fn is_unchanged(&self, webhook: &Webhook) -> bool {
        let Ok(store) = self.store() else { return true };
        let now = store.webhooks().await.unwrap_or_default();
        let mut found = now.iter().filter(|other| other.id == webhook.id);
        found.all(|other| other.updated_at == webhook.updated_at)
    }

    fn store(&self) -> Result<Arc<dyn Store>> {
        self.store.upgrade().ok_or_else(Error::closed)
    }

    async fn client(&self) -> Result<&Client> {
        self.client
            .get_or_try_init(|| Client::open(ClientOptions::new(self.outbound.clone())))
            .await
    }

    async fn send(&self, webhook: &Webhook, attempt: &Attempt) -> std::result::Result<(), Failure> {
        let client = self.client().await.map_err(|error| local_failure(&error))?;
        let url = Url::parse(&webhook.url).map_err(|_| unreadable_url())?;
        // Real time even if jobs run on a manual clock, since the receiver compares it with its own clock.
        let now = if self.clock.is_manual() {
            SystemClock.now()
        } else {
            self.clock.now()
        };
        let id = message_id(attempt);
        let body = attempt.run.input.to_string();
        let seconds = now.div_euclid(1_000);
        let signature = signature::sign(&webhook.secret.key(), &id, seconds, body.as_bytes());
        let mut request = client.request(Method::POST, url);
        for (name, value) in attempt.trace.headers() {
            request = request.header(&**name, &**value);
        }
        let request = request
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(body);
        let sent = client.send(request, RESPONSE_TIMEOUT, now).await;
        if let Some(status) = sent.as_ref().err().and_then(|failure| failure.status) {
            attempt.trace.note_http_status(status);
        }
        sent
    }

    fn circuits(&self) -> MutexGuard<'_, HashMap<Box<str>, Circuit>> {
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a delivery says of its receiver.
    fn learn(&self, webhook: &Webhook, sign: Option<Sign>, began: Instant) {
        let Some(sign) = sign else { return };
        let mut circuits = self.circuits();
        let (change, failures) = match (sign, circuits.remove(&webhook.id)) {
            (Sign::Answer, None) => return,
            (_, known) => {
                let mut circuit = known.unwrap_or_default();
                let change = circuit.take(sign, began, Instant::now());
                let failures = circuit.failures();
                if failures > 0 {
                    if circuits.len() >= MAX_CIRCUITS {
                        circuits.clear();
                    }
                    circuits.insert(webhook.id.clone(), circuit);
                }
                (change, failures)
            }
        };
        drop(circuits);
        let (id, host) = (&webhook.id, host(&webhook.url));
        match change {
            Some(Change::Opened) => self.logger.log(
                Level::Warn,
                &format!(
                    "webhook {id} ({host}): {failures} deliveries in a row found no connection; until one does, they are made one at a time and up to 30 s apart"
                ),
            ),
            Some(Change::Closed) => self.logger.log(Level::Info, &format!("webhook {id} ({host}): answers again")),
            None => {}
        }
    }

    async fn report(&self, webhook: &Webhook, report: DeliveryReport) {
        let recorded = match self.store() {
            Ok(store) => store.note_delivery(&webhook.id, report, self.clock.now()).await,
            Err(closed) => Err(closed),
        };
        if let Err(error) = recorded {
            // Only the record of the delivery is lost, which is no reason to repeat the delivery.
            let message = format!("cannot note how a delivery to webhook {} went: {error}", webhook.id);
            self.logger.log(Level::Debug, &message);
        }
    }

    async fn report_failure(&self, webhook: &Webhook, attempt: &Attempt, failure: Failure) -> HandlerFailure {
        let gone = failure.status == Some(STATUS_GONE) && self.is_unchanged(webhook).await;
        let code = error_code(&failure, gone);
        let given_up = attempt.is_last() || !delivery_retry_policy().retries_error(code);
        if given_up {
            let (id, host) = (&webhook.id, host(&webhook.url));
            let reason = if gone {
                "the receiver is gone: the webhook is disabled until it is set again".to_owned()
            } else {
                format!("event {} was not delivered: {}", message_id(attempt), failure.message)
            };
            self.logger
                .log(Level::Warn, &format!("webhook {id} ({host}): {reason}"));
        }
        let report = DeliveryReport::Failed {
            error: failure.message.as_str().into(),
            given_up,
            gone: gone.then_some(webhook.updated_at),
        };
        self.report(webhook, report).await;
        HandlerFailure {
            code: code.into(),
            message: failure.message.into(),
            stack: None,
            origin: None,
            retry_after: failure.retry_after.map(RetryAfter::AtLeast),
        }
    }
}

#[async_trait]
impl NativeWork for DeliveryHandler {
    fn hold(&self, route: &Route) -> Option<Duration> {
        self.circuits().get(route.target.first()?)?.wait(Instant::now())
    }

    fn call_span(&self, _: &Route) -> Option<CallSpan> {
        Some(CallSpan {
            attributes: vec![("http.request.method", "POST".into())],
        })
    }

    async fn run(&self, attempt: &Attempt) -> std::result::Result<Reply, HandlerFailure> {
        let webhook = match self.webhook(attempt).await {
            Ok(Some(webhook)) => webhook,
            // Deleted or disabled meanwhile: there is no receiver any more.
            Ok(None) => return Ok(Reply::Done(None)),
            // A failure of the store is not the receiver's: no attempt is spent.
            Err(_) => return Ok(Reply::Snooze(STORE_RETRY_DELAY_MS)),
        };
        match &webhook.unreadable {
            None => {}
            // Another process may have the key: no attempt is spent.
            Some(Unreadable::MissingKey(_)) => return Ok(Reply::Snooze(MISSING_KEY_DELAY_MS)),
            Some(damaged @ Unreadable::Damaged(_)) => {
                return Err(self.report_failure(&webhook, attempt, unreadable_secret(damaged)).await);
            }
        }
        let began = Instant::now();
        let sent = self.send(&webhook, attempt).await;
        let sign = match &sent {
            Ok(()) => Some(Sign::Answer),
            // Whatever the receiver says, it is there.
            Err(failure) if failure.status.is_some() => Some(Sign::Answer),
            Err(failure) => Sign::of_failure(failure.code),
        };
        self.learn(&webhook, sign, began);
        match sent {
            Ok(()) => {
                self.report(&webhook, DeliveryReport::Delivered).await;
                Ok(Reply::Done(None))
            }
            Err(failure) => Err(self.report_failure(&webhook, attempt, failure).await),
        }
    }
}

/// Whether the webhook is still to be told of such events.
fn wants(webhook: &Webhook, attempt: &Attempt) -> bool {
    #[derive(Deserialize)]
    struct Named<'a> {
        event: Cow<'a, str>,
    }
    let named = serde_json::from_str::<Named<'_>>(&attempt.run.input);
    let kind = named.ok().and_then(|named| EventKind::named(&named.event));
    kind.is_none_or(|kind| webhook.events.has(kind))
}

/// The message id, the same for each attempt of a delivery.
fn message_id(attempt: &Attempt) -> String {
    let id = attempt.run.id.to_string();
    format!("msg_{}", id.strip_prefix("job_").unwrap_or(&id))
}

fn host(url: &str) -> String {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| "no host".to_owned())
}

fn unreadable_url() -> Failure {
    Failure {
        code: "VALIDATION_ERROR",
        status: None,
        message: "the webhook has no URL that can be read".to_owned(),
        retry_after: None,
    }
}

fn unreadable_secret(damaged: &Unreadable) -> Failure {
    Failure {
        code: "STORE_CORRUPT",
        status: None,
        message: format!("the webhook's secret cannot be read: {damaged}"),
        retry_after: None,
    }
}

fn local_failure(error: &Error) -> Failure {
    Failure {
        code: "CONNECTION_ERROR",
        status: None,
        message: error.message.clone(),
        retry_after: None,
    }
}

/// The error code of a failed delivery, which decides about retries. Any response can be a passing problem of the
/// receiver's deployment, even one that would be final elsewhere. So everything is retried except 410 and failures on this
/// side, before anything was sent.
fn error_code(failure: &Failure, gone: bool) -> &'static str {
    match failure.code {
        _ if gone => "NOT_FOUND",
        code if failure.status.is_none() => code,
        "VALIDATION_ERROR" | "NOT_FOUND" | "UNAUTHORIZED" | "FORBIDDEN" => "HTTP_ERROR",
        code => code,
    }
}
