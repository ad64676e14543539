//! Spans of attempts that are done in Rust: JavaScript makes them, with the program's own OpenTelemetry. A message begins them and
//! is answered with what they hand on; another one ends them.
//!
//! Invariants: an attempt waits for JavaScript for a bounded time, and without an answer it goes on without headers; what has
//! begun ends once; no message of a failure leaves with the value of a secret in it.

use super::message_queue::MessageQueue;
use super::protocol::{CarriedAnswer, json};
use crate::engine::Attempt;
use crate::engine::inputs::Masker;
use crate::engine::spans::{CallSpan, Carried, SpanEnd, Tracer};
use crate::store::Token;
use async_trait::async_trait;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long an attempt waits for its spans: an event loop that is busy longer must not hold back work that does not need it.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The spans of one attempt.
struct Open {
    /// When JavaScript said so; until then, when it was asked.
    began: Instant,
    /// Who waits for what they hand on.
    waiting: Option<oneshot::Sender<Carried>>,
}

/// Has JavaScript make spans.
pub struct JsTracer {
    queue: Arc<MessageQueue>,
    masker: Arc<Masker>,
    open: Mutex<HashMap<Token, Open>>,
}

impl JsTracer {
    /// Asks through this queue.
    pub fn new(queue: Arc<MessageQueue>, masker: Arc<Masker>) -> Arc<Self> {
        Arc::new(Self {
            queue,
            masker,
            open: Mutex::default(),
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Token, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the spans of an attempt hand on: JSON.
    pub fn answer(&self, key: Token, text: &str) {
        let waiting = self.open().get_mut(&key).and_then(|open| {
            open.began = Instant::now();
            open.waiting.take()
        });
        if let Some(waiting) = waiting {
            let _ = waiting.send(CarriedAnswer::read(text));
        }
    }
}

#[async_trait]
impl Tracer for JsTracer {
    async fn begin(&self, attempt: &Attempt, call: Option<CallSpan>) -> Carried {
        let key = attempt.key();
        let (sender, receiver) = oneshot::channel();
        let open = Open {
            began: Instant::now(),
            waiting: Some(sender),
        };
        self.open().insert(key, open);
        self.queue.begin_span(key, &span_json(attempt, call));
        let answered = tokio::time::timeout(BEGIN_TIMEOUT, receiver).await;
        answered.ok().and_then(Result::ok).unwrap_or_default()
    }

    fn end(&self, key: Token, end: SpanEnd<'_>, http_status: Option<u16>) {
        let Some(open) = self.open().remove(&key) else { return };
        let took = open.began.elapsed().as_secs_f64() * 1_000.0;
        let failure = match end {
            SpanEnd::Done => None,
            SpanEnd::Snoozed => Some(("", String::new())),
            SpanEnd::Failed(code, message) => Some((code, self.masker.mask(message).into_owned())),
        };
        self.queue.end_span(key, (took, http_status), failure);
    }
}

/// What JavaScript is told of an attempt: no input, and nothing of its session.
fn span_json(attempt: &Attempt, call: Option<CallSpan>) -> String {
    #[derive(Serialize)]
    struct Span<'a> {
        id: String,
        namespace: &'a str,
        product: &'a str,
        env: &'a str,
        #[serde(flatten)]
        target: BTreeMap<&'static str, &'a str>,
        run: i64,
        attempt: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        part: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        trace: Option<&'a str>,
        linked: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        call: Option<BTreeMap<&'static str, Box<str>>>,
    }
    let (trace, linked) = attempt
        .trace()
        .map_or((None, false), |(trace, linked)| (Some(trace), linked));
    json(&Span {
        id: attempt.run.id.to_string(),
        namespace: attempt.route.namespace.as_str(),
        product: &attempt.route.product,
        env: &attempt.route.env,
        target: attempt.route.fields().collect(),
        run: attempt.run.run,
        attempt: attempt.run.attempt,
        part: attempt.part.as_ref().map(|part| &*part.name),
        trace,
        linked,
        call: call.map(|call| call.attributes.into_iter().collect()),
    })
}
