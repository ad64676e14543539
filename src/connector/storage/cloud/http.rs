//! How requests to object stores are sent: through the package's own client, again where that is safe, and with a note of what
//! went wrong.
//!
//! Knows no operation. Invariants: a request of which nobody knows whether it was done is sent again only if doing it twice is
//! the same as once; what is noted has no more of an address than the host.

use super::trouble::{self, Trouble};
use crate::clock::{Clock, SystemClock};
use crate::http::{Client, Failure, modified_in, retry_after_in};
use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::{Method, Url};
use std::fmt;
use std::time::Duration;

/// How long a request may take until its answer begins.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// The same of one by which a server puts an object together, which may be large.
const COMPLETION_TIMEOUT: Duration = Duration::from_secs(600);
/// How often a request is sent.
const MAX_TRIES: u32 = 4;
/// The first pause between two of them, which doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause that a server may ask for here; a longer one is the engine's to make.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Most bytes of an answer that says what went wrong.
const MAX_TROUBLE_BYTES: usize = 64 << 10;

/// Makes clients for `object_store`.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    /// Reaches what `outbound` allows.
    pub guarded: Client,
    /// Reaches sources of credentials, which this machine or the definition names, and no job.
    pub open: Client,
    /// Where objects are.
    pub host: Box<str>,
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let url: Url = request
            .uri()
            .to_string()
            .parse()
            .map_err(|_| refused(Failure::broken("the URL cannot be read")))?;
        let host = url.host_str().unwrap_or_default();
        let client = if host == &*self.host { &self.guarded } else { &self.open };
        let client = client.for_requests_to(&url).map_err(|failure| {
            trouble::note(Trouble::Failed(failure.clone()));
            refused(failure)
        })?;
        let client = HttpClient::new(client.clone());
        let mut tries = 0;
        loop {
            tries += 1;
            let (pause, end) = match self.send(&client, &request, &url).await {
                Ok(answer) if answer.status().is_success() || answer.status().is_redirection() => return Ok(answer),
                Ok(answer) => {
                    let (pause, answer) = self.refusal(answer).await;
                    (pause, Ok(answer))
                }
                Err(error) => {
                    let pause = is_repeatable(request.method()).then_some(Duration::ZERO);
                    (pause, Err(error))
                }
            };
            match pause {
                Some(least) if tries < MAX_TRIES && least <= LONGEST_PAUSE => {
                    tokio::time::sleep(least.max(pause_before(tries))).await;
                }
                _ => return end,
            }
        }
    }
}

impl Connector {
    async fn send(&self, client: &HttpClient, request: &HttpRequest, url: &Url) -> Result<HttpResponse, HttpError> {
        let longest = match *request.method() {
            Method::POST => COMPLETION_TIMEOUT,
            _ => REQUEST_TIMEOUT,
        };
        let sent = tokio::time::timeout(longest, client.execute(request.clone())).await;
        let error = match sent {
            Ok(Ok(answer)) => {
                if let Some(modified) = modified_in(answer.headers()) {
                    trouble::note_time(modified);
                }
                return Ok(answer);
            }
            Ok(Err(error)) => error,
            Err(_) => refused(Failure::timed_out(longest)),
        };
        let mut failure = failure_of(&error);
        failure.message = format!("{}: {}", url.host_str().unwrap_or_default(), failure.message);
        trouble::note(Trouble::Failed(failure));
        Err(error)
    }

    /// Notes what an answer says went wrong; the pause after which the request may be sent again, if it may.
    async fn refusal(&self, answer: HttpResponse) -> (Option<Duration>, HttpResponse) {
        let (head, body) = answer.into_parts();
        let retry_after = retry_after_in(&head.headers, SystemClock.now());
        let status = head.status.as_u16();
        let body = trouble::read(body, MAX_TROUBLE_BYTES).await;
        let code = head.headers.get("x-ms-error-code").and_then(|code| code.to_str().ok());
        trouble::note(Trouble::refused(status, code, &body, retry_after));
        let pause = matches!(status, 429 | 500 | 502 | 503 | 504).then(|| {
            let asked = u64::try_from(retry_after.unwrap_or_default()).unwrap_or_default();
            Duration::from_millis(asked)
        });
        (pause, HttpResponse::from_parts(head, body.into()))
    }
}

/// Whether sending a request twice is the same as once.
fn is_repeatable(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE)
}

/// A pause that doubles with each try, and differs among those who wait.
fn pause_before(tries: u32) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(6));
    // The end of an id is random.
    let [.., random] = uuid::Uuid::now_v7().into_bytes();
    whole / 2 + (whole / 2).mul_f64(f64::from(random) / 256.0)
}

fn refused(failure: Failure) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, Refused(failure))
}

fn failure_of(error: &HttpError) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(found) = cause {
        if let Some(Refused(failure)) = found.downcast_ref() {
            return failure.clone();
        }
        if let Some(error) = found.downcast_ref::<reqwest::Error>() {
            return Failure::from_client_error(error);
        }
        cause = found.source();
    }
    Failure::broken("the connection broke")
}

/// A failure of the package's own client.
#[derive(Debug)]
struct Refused(Failure);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Refused {}
