//! Requests to DynamoDB: signed, bounded in time and number, repeated where that is safe, and paced when there are too many.
//!
//! Knows no operation of a job. Invariant: a request of which nobody knows whether it was done is sent again only if doing
//! it twice is the same as once.

use super::address::Address;
use super::failure::{Refusal, Trouble};
use super::value::Item;
use crate::connector::Failure;
use crate::connector::aws::{Account, JsonService, Place};
use crate::resources::OutboundRules;
use serde_json::Value;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

/// Largest answer: a page of 1 MB, as JSON.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// How often a request is sent that was not done for being one too many.
const MAX_THROTTLED: u32 = 6;
/// How often a request is sent of which nobody knows whether it was done.
const MAX_UNKNOWN: u32 = 3;
/// The first pause between two of them, which doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Whether a request may be sent again though it may have been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    Safe,
    Unsafe,
}

/// When an operation must be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    until: Instant,
    whole: Duration,
}

impl Deadline {
    pub(super) fn after(whole: Duration) -> Self {
        Self {
            until: Instant::now() + whole,
            whole,
        }
    }

    fn left(&self) -> Result<Duration, Failure> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.late()) } else { Ok(left) }
    }

    fn late(&self) -> Failure {
        Failure::timeout(format!("DynamoDB: no answer within {} ms", self.whole.as_millis()))
    }
}

/// A client of one region.
pub(super) struct Dynamo {
    service: JsonService,
    /// Requests at once.
    permits: Semaphore,
    /// Nothing is sent before, since too much was.
    paused_until: Mutex<Option<Instant>>,
}

impl Dynamo {
    pub(super) fn new(
        address: Address,
        authorities: Option<String>,
        outbound: OutboundRules,
        connections: usize,
    ) -> Self {
        let account = Account {
            label: "DynamoDB",
            service: "dynamodb",
            place: "connection_url",
            region: address.region,
            given: address.given,
            profile: address.profile,
        };
        let place = Place {
            endpoint: address.endpoint,
            target: "DynamoDB_20120810",
            authorities,
            outbound,
            connections,
            max_answer_bytes: MAX_ANSWER_BYTES,
        };
        Self {
            service: JsonService::new(account, place),
            permits: Semaphore::new(connections.max(1)),
            paused_until: Mutex::new(None),
        }
    }

    /// Asks for an operation of DynamoDB.
    pub(super) async fn call(
        &self,
        operation: &str,
        request: Item,
        repeat: Repeat,
        deadline: Deadline,
    ) -> Result<Value, Trouble> {
        let body = Value::Object(request).to_string();
        self.call_text(operation, body, repeat, deadline).await
    }

    /// The same with a request that is JSON text.
    pub(super) async fn call_text(
        &self,
        operation: &str,
        body: String,
        repeat: Repeat,
        deadline: Deadline,
    ) -> Result<Value, Trouble> {
        let (mut throttled, mut unknown, mut renewed) = (0, 0, false);
        loop {
            let trouble = match self.send(operation, &body, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            let pause = match &trouble {
                Trouble::Refused(refusal) if refusal.is_throttled() || refusal.is_in_the_way() => {
                    throttled += 1;
                    if throttled >= MAX_THROTTLED {
                        return Err(trouble);
                    }
                    let pause = pause_before(throttled);
                    if refusal.is_throttled() {
                        self.pause(pause);
                    }
                    pause
                }
                Trouble::Refused(refusal) if refusal.is_expired() && !renewed && self.service.forget_credentials() => {
                    renewed = true;
                    continue;
                }
                _ if repeat == Repeat::Safe && is_unknown(&trouble) => {
                    unknown += 1;
                    if unknown >= MAX_UNKNOWN {
                        return Err(trouble);
                    }
                    pause_before(unknown)
                }
                _ => return Err(trouble),
            };
            // What went wrong says more than that there was no time to try again.
            match deadline.left() {
                Ok(left) if left > pause => sleep(pause).await,
                _ => return Err(trouble),
            }
        }
    }

    async fn send(&self, operation: &str, body: &str, deadline: Deadline) -> Result<Value, Trouble> {
        let send = async {
            let _permit = self.permits.acquire().await;
            let pause = *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(pause) = pause {
                sleep_until(pause).await;
            }
            self.send_now(operation, body, deadline).await
        };
        let sent = tokio::time::timeout(deadline.left()?, send).await;
        sent.unwrap_or_else(|_| Err(deadline.late().into()))
    }

    async fn send_now(&self, operation: &str, body: &str, deadline: Deadline) -> Result<Value, Trouble> {
        let answer = self.service.ask(operation, body, deadline.left()?).await?;
        if answer.status != 200 {
            return Err(Trouble::Refused(Refusal::read(answer.status, &answer.body)));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| Failure::connection("DynamoDB: the server's answer cannot be read").into())
    }

    /// Nobody sends anything for a while.
    pub(super) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut paused = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *paused = (*paused).max(Some(until));
    }
}

/// Whether nobody knows if the request was done.
fn is_unknown(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Refused(refusal) => refusal.is_unknown(),
        Trouble::Failed(failure) => &*failure.code == "CONNECTION_ERROR",
    }
}

/// A pause that doubles with each try, and differs among those who wait.
pub(super) fn pause_before(tries: u32) -> Duration {
    let whole = FIRST_PAUSE
        .saturating_mul(1 << tries.saturating_sub(1).min(10))
        .min(LONGEST_PAUSE);
    // The end of an id is random.
    let [.., random] = uuid::Uuid::now_v7().into_bytes();
    whole / 2 + (whole / 2).mul_f64(f64::from(random) / 256.0)
}
