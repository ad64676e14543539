//! JavaScript functions as handlers: an attempt goes out through the message queue, its answer comes back by its key.

use super::message_queue::MessageQueue;
use super::protocol::{NoRetry, json, read_answer, read_answers, read_failure};
use crate::engine::run::outcome::random_fraction;
use crate::engine::{AbortReason, Attempt, Handler, HandlerFailure, Invocation, Reply};
use crate::error::{Error, ErrorCode, Result};
use crate::model::RetryDecision;
use crate::store::Token;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

type Answer = std::result::Result<Reply, HandlerFailure>;

/// Attempts that JavaScript has not answered.
#[derive(Default)]
pub struct PendingAttempts(Mutex<HashMap<Token, PendingAttempt>>);

/// Who waits for the answer, and the attempt.
type PendingAttempt = (oneshot::Sender<Answer>, Arc<Attempt>);

impl PendingAttempts {
    fn lock(&self) -> MutexGuard<'_, HashMap<Token, PendingAttempt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes answers from JavaScript: a JSON list of `[key, kind, value]`.
    pub fn finish(&self, text: &str) -> Result<()> {
        let answers = read_answers(text).map_err(|error| {
            Error::new(ErrorCode::ValidationError, "unreadable answers of handlers").with_source(error)
        })?;
        let mut pending = self.lock();
        for (key, kind, value) in answers {
            // An attempt that was aborted is no longer waited for.
            let Some((sender, _)) = pending.remove(&key) else {
                continue;
            };
            if let Some(answer) = read_answer(kind, value.get()) {
                let _ = sender.send(answer);
            }
        }
        Ok(())
    }

    /// How many ms after this failure (JSON) the attempt is tried again; with `retries` a piece of work within it that
    /// has a number of its own, `(spent, allowed)`.
    pub fn delay(&self, key: Token, failure: &str, retries: Option<(u32, u32)>) -> std::result::Result<i64, NoRetry> {
        let failure = read_failure(failure).ok_or(NoRetry::GiveUp)?;
        let attempt = self.lock().get(&key).map(|(_, attempt)| Arc::clone(attempt));
        let attempt = attempt.ok_or(NoRetry::AttemptOver)?;
        let random = random_fraction(key);
        let decision = match retries {
            Some((spent, allowed)) => attempt.decide_part_retry(&failure, spent, allowed, random),
            None => attempt.decide_retry(&failure, random),
        };
        match decision {
            RetryDecision::After(delay) => Ok(delay),
            RetryDecision::GiveUp => Err(NoRetry::GiveUp),
        }
    }

    /// Nobody will answer any more: the attempts are handed back.
    pub fn drop_all(&self) {
        self.lock().clear();
    }
}

/// One registered JavaScript function.
pub struct JsHandler {
    /// Its number on the JavaScript side.
    pub number: u32,
    /// Takes calls of the function.
    pub queue: Arc<MessageQueue>,
    /// Where its answers arrive.
    pub pending: Arc<PendingAttempts>,
    /// Whether it is told what trace an attempt is part of.
    pub telemetry: bool,
}

impl Handler for JsHandler {
    fn call(&self, invocation: Invocation) {
        let Invocation { attempt, reply } = invocation;
        let key = attempt.key();
        self.pending.lock().insert(key, (reply, Arc::clone(&attempt)));
        let trace = attempt.trace().filter(|_| self.telemetry);
        self.queue.run_handler(self.number, key, &job_json(&attempt), trace);
    }

    fn only_takes_calls(&self) -> bool {
        true
    }

    fn abort(&self, key: Token, reason: &AbortReason) {
        self.pending.lock().remove(&key);
        self.queue.abort(key, reason.code(), &reason.message());
    }
}

/// The job as its handler sees it.
fn job_json(attempt: &Attempt) -> String {
    #[derive(Serialize)]
    struct Job<'a> {
        id: String,
        namespace: &'a str,
        product: &'a str,
        env: &'a str,
        #[serde(flatten)]
        target: BTreeMap<&'static str, &'a str>,
        input: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<&'a RawValue>,
        run: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        part: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        claim: Option<Token>,
        attempt: u32,
        scheduled_at: i64,
        lateness: i64,
        missed: i64,
    }
    let run = &attempt.run;
    // A payload was JSON when it was stored; a damaged one shows as null.
    let input = serde_json::from_str::<&RawValue>(&run.input).unwrap_or(RawValue::NULL);
    json(&Job {
        id: run.id.to_string(),
        namespace: attempt.route.namespace.as_str(),
        product: &attempt.route.product,
        env: &attempt.route.env,
        target: attempt.route.fields().collect(),
        input,
        session: attempt
            .claims
            .as_deref()
            .and_then(|claims| serde_json::from_str(claims).ok()),
        run: run.run,
        part: attempt.part.as_ref().map(|part| &*part.name),
        claim: attempt.part.as_ref().map(|_| run.token),
        attempt: run.attempt,
        scheduled_at: run.scheduled_at,
        lateness: attempt.started_at.saturating_sub(run.due).max(0),
        missed: run.missed,
    })
}
