//! The HTTP client of everything that calls out: TLS by rustls, no redirects, bounded in time and in what is read.
//!
//! Knows no job and no handler. Invariants: a failure names no more of a URL than its host, since paths and queries may
//! hold credentials; no request outlives its deadline.

mod date;
mod failure;

pub use failure::{Failure, of_status};

use crate::error::{Error, ErrorCode, Result};
use reqwest::{Client, RequestBuilder, Response};
use std::time::Duration;

/// Longest time until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// Idle connections kept for each host.
const IDLE_PER_HOST: usize = 4;
/// Most bytes of an answer that are read so that its connection can be used again.
const DRAINED: usize = 16 * 1024;

/// A client; make one and share it, for it holds the connections. Blocks while it reads the system's certificates.
///
/// # Errors
/// `CONNECTION_ERROR` when the system's certificates cannot be read.
pub fn client() -> Result<Client> {
    // Whoever came first has installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .user_agent(concat!("ductape/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::new(ErrorCode::ConnectionError, "cannot set up HTTP").with_source(error))
}

/// Sends a request and drops the body of its answer, all within `deadline`.
///
/// # Errors
/// When there is no answer in time, or one that is no success.
pub async fn send(request: RequestBuilder, deadline: Duration, now: i64) -> std::result::Result<(), Failure> {
    let exchange = async {
        let response = request.send().await.map_err(|error| Failure::of_request(&error))?;
        let failure = of_status(response.status().as_u16(), retry_after(&response, now));
        drain(response).await;
        failure.map_or(Ok(()), Err)
    };
    tokio::time::timeout(deadline, exchange)
        .await
        .unwrap_or_else(|_| Err(Failure::too_late(deadline)))
}

fn retry_after(response: &Response, now: i64) -> Option<i64> {
    let value = response.headers().get("retry-after")?.to_str().ok()?;
    date::retry_after(value, now)
}

/// Reads a short body to its end; a longer one costs its connection.
async fn drain(mut response: Response) {
    let mut read = 0;
    while read < DRAINED {
        match response.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            _ => return,
        }
    }
}
