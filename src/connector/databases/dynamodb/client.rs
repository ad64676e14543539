//! Requests to DynamoDB: signed, bounded in time and number, repeated where that is safe, and paced when there are too many.
//!
//! Knows no operation of a job. Invariant: a request of which nobody knows whether it was done is sent again only if doing
//! it twice is the same as once.

use super::address::Address;
use super::credentials::Credentials;
use super::failure::{Refusal, Trouble};
use super::value::Item;
use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::http::{Client, ClientOptions, ExchangeLimits};
use crate::resources::OutboundRules;
use reqsign_core::OsEnv;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};
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
    address: Address,
    credentials: Credentials,
    authorities: Option<String>,
    outbound: OutboundRules,
    connections: usize,
    /// Made by the first request.
    http: OnceCell<Client>,
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
        let credentials = Credentials::new(&address, OsEnv);
        Self {
            address,
            credentials,
            authorities,
            outbound,
            connections,
            http: OnceCell::new(),
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
                Trouble::Refused(refusal) if refusal.is_expired() && !renewed && self.credentials.forget() => {
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
        let open = || {
            let mut options = ClientOptions::new(self.outbound.clone());
            options.authorities = self.authorities.clone();
            options.idle_per_host = self.connections;
            Client::open(options)
        };
        let client = self.http.get_or_try_init(open).await.map_err(Failure::from)?;
        let head = http_types::Request::post(self.address.endpoint.as_str())
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            // Without it the body would not be part of the signature.
            .header("x-amz-content-sha256", hex(digest(&SHA256, body.as_bytes()).as_ref()))
            .body(());
        let head = head.map_err(|_| Failure::invalid("DynamoDB: the request cannot be made"))?;
        let (mut head, ()) = head.into_parts();
        self.credentials.sign(&mut head).await?;
        // The client's own is the same.
        head.headers.remove("host");
        let request = client
            .request(head.method, self.address.endpoint.clone())
            .headers(head.headers)
            .body(body.to_owned());
        let limits = ExchangeLimits {
            deadline: deadline.left()?,
            response_bytes: MAX_ANSWER_BYTES,
            redirects: 0,
            now: SystemClock.now(),
        };
        let answer = client.exchange_any(request, &limits).await.map_err(|failure| {
            let mut failure = Failure::from(failure);
            failure.message = format!("DynamoDB: {}", failure.message);
            failure
        })?;
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

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
