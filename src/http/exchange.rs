//! One request and its response, bounded in time and size.

use super::encoding::{Body, Coding};
use super::redirect::{self, RedirectStep};
use super::{Client, DRAIN_TIMEOUT, Failure, MAX_DRAIN_BYTES, from_status, retry_after};
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Method, Request, RequestBuilder, Response};
use std::time::Duration;

/// Limits of one exchange.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeLimits {
    /// Longest time until the whole response has been read, redirects included.
    pub deadline: Duration,
    /// Most bytes of a body, both as sent and decompressed.
    pub response_bytes: usize,
    /// Most redirects to follow.
    pub redirects: usize,
    /// The current time, ms since the epoch, against which dates in `Retry-After` are read.
    pub now: i64,
}

/// A response.
#[derive(Debug)]
pub struct HttpResponse {
    /// 200 to 299, unless any was asked for.
    pub status: u16,
    /// Its headers, without those that describe a compression which was undone.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Client {
    /// Sends a request and reads its response within `limits`.
    ///
    /// # Errors
    /// When the request is invalid or its host not allowed, when no complete response arrives in time, or when the status
    /// is no success; the body is then not read.
    pub async fn exchange(&self, request: RequestBuilder, limits: &ExchangeLimits) -> Result<HttpResponse, Failure> {
        let request = request.build().map_err(|error| Failure::from_client_error(&error))?;
        with_deadline(limits.deadline, self.send_following_redirects(request, limits)).await
    }

    /// Sends a request and reads its response whatever its status, for protocols that say in the body what went wrong.
    /// Follows no redirect.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange), but for the status.
    pub async fn exchange_any(
        &self,
        request: RequestBuilder,
        limits: &ExchangeLimits,
    ) -> Result<HttpResponse, Failure> {
        let request = request.build().map_err(|error| Failure::from_client_error(&error))?;
        with_deadline(limits.deadline, async {
            let response = self.send_once(request).await?;
            read_whole(response, limits.response_bytes).await
        })
        .await
    }

    /// Sends a request within `deadline` and discards the body of the response. Follows no redirect.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange).
    pub async fn send(&self, request: RequestBuilder, deadline: Duration, now: i64) -> Result<(), Failure> {
        let request = request.build().map_err(|error| Failure::from_client_error(&error))?;
        let exchange = async {
            let response = self.send_once(request).await?;
            let failure = failure_of(&response, now);
            drain(response).await;
            failure.map_or(Ok(()), Err)
        };
        with_deadline(deadline, exchange).await
    }

    async fn send_once(&self, mut request: Request) -> Result<Response, Failure> {
        self.guard.check_url(request.url())?;
        if let Err(message) = self.proxies.of(request.url()) {
            return Err(Failure::new("VALIDATION_ERROR", message));
        }
        // Servers wait for a body, or refuse the request, where nothing says that there is none.
        let is_empty = |body: &reqwest::Body| body.as_bytes().is_some_and(<[u8]>::is_empty);
        if request.body().is_none_or(is_empty) && [Method::POST, Method::PUT, Method::PATCH].contains(request.method())
        {
            request
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        self.inner
            .execute(request)
            .await
            .map_err(|error| Failure::from_client_error(&error))
    }

    /// Sends a request and returns its response once its head is there, for bodies that are read as they come. The deadline
    /// is that of the head.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange).
    pub async fn open_stream(&self, request: RequestBuilder, limits: &ExchangeLimits) -> Result<Response, Failure> {
        let request = request.build().map_err(|error| Failure::from_client_error(&error))?;
        with_deadline(limits.deadline, async {
            let (response, followed) = self.final_response(request, limits.redirects).await?;
            match from_status(response.status().as_u16(), retry_after(&response, limits.now)) {
                None => Ok(response),
                Some(failure) => Err(with_redirect_note(failure, followed)),
            }
        })
        .await
    }

    async fn send_following_redirects(
        &self,
        request: Request,
        limits: &ExchangeLimits,
    ) -> Result<HttpResponse, Failure> {
        let (response, followed) = self.final_response(request, limits.redirects).await?;
        read_response(response, limits)
            .await
            .map_err(|failure| with_redirect_note(failure, followed))
    }

    /// The response that is no redirect, and how many there were before it.
    async fn final_response(&self, mut request: Request, most: usize) -> Result<(Response, usize), Failure> {
        let mut followed = 0;
        loop {
            let again = request.try_clone();
            let response = self
                .send_once(request)
                .await
                .map_err(|failure| with_redirect_note(failure, followed))?;
            let next = match redirect::step(&response, again)? {
                RedirectStep::Final => return Ok((response, followed)),
                RedirectStep::Follow(next) => next,
            };
            if followed >= most {
                let mut failure = Failure::new("HTTP_ERROR", format!("more than {followed} redirects"));
                failure.status = Some(response.status().as_u16());
                return Err(failure);
            }
            followed += 1;
            drain(response).await;
            request = *next;
        }
    }
}

/// Notes in the message that the failure came after redirects, so the host may not be the one requested.
fn with_redirect_note(mut failure: Failure, followed: usize) -> Failure {
    if followed > 0 {
        failure.message.insert_str(0, "after a redirect, ");
    }
    failure
}

async fn with_deadline<T>(
    deadline: Duration,
    exchange: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(deadline, exchange)
        .await
        .unwrap_or_else(|_| Err(Failure::timed_out(deadline)))
}

/// The failure that a response is; `None`: success.
fn failure_of(response: &Response, now: i64) -> Option<Failure> {
    let status = response.status().as_u16();
    let mut failure = from_status(status, retry_after(response, now))?;
    failure.message.push_str(redirect::why_not_followed(response));
    Some(failure)
}

async fn read_response(response: Response, limits: &ExchangeLimits) -> Result<HttpResponse, Failure> {
    if let Some(failure) = failure_of(&response, limits.now) {
        drain(response).await;
        return Err(failure);
    }
    read_whole(response, limits.response_bytes).await
}

async fn read_whole(response: Response, most: usize) -> Result<HttpResponse, Failure> {
    let status = response.status().as_u16();
    // The announced length; the decompressed body may still be longer and is counted while reading.
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(Failure::too_large(most));
    }
    let mut headers = response.headers().clone();
    let coding = Coding::of(&headers)?;
    if coding != Coding::Identity {
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
    }
    let body = read_body(response, coding, most).await?;
    Ok(HttpResponse { status, headers, body })
}

/// Reads a whole body; if it is too long, the connection is closed.
async fn read_body(mut response: Response, coding: Coding, most: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Body::new(coding, most);
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Failure::from_client_error(&error))?
    {
        body.push(&chunk)?;
    }
    body.finish()
}

/// Reads a short body to its end, so that the connection can be reused; a longer one closes it.
async fn drain(mut response: Response) {
    let reading = async {
        let mut read = 0;
        while read < MAX_DRAIN_BYTES {
            match response.chunk().await {
                Ok(Some(chunk)) => read += chunk.len(),
                _ => return,
            }
        }
    };
    // The status is already known, and reporting it must not wait for a body that never arrives.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, reading).await;
}
