//! Requests to brokers that are reached by HTTP alone.
//!
//! Knows no broker. Invariant: no failure contains more of an address than its host.

use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::http::{Client, ClientOptions, ExchangeLimits};
use crate::resources::OutboundRules;
use reqwest::Method;
use reqwest::header::HeaderMap;
use std::time::Duration;
use tokio::sync::OnceCell;
use url::Url;

/// Largest answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Connections that stay open.
const CONNECTIONS: usize = 16;

/// A request.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// An answer, of success or not.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// A client for one broker.
pub(super) struct Rest {
    label: &'static str,
    authorities: Option<String>,
    outbound: OutboundRules,
    within: Duration,
    /// Made by the first request.
    http: OnceCell<Client>,
}

impl Rest {
    /// Does not connect yet.
    pub(super) fn new(
        label: &'static str,
        authorities: Option<String>,
        outbound: OutboundRules,
        within: Duration,
    ) -> Self {
        Self {
            label,
            authorities,
            outbound,
            within,
            http: OnceCell::new(),
        }
    }

    /// What makes its requests.
    pub(super) async fn client(&self) -> Result<&Client, Failure> {
        let open = || {
            let mut options = ClientOptions::new(self.outbound.clone());
            options.authorities = self.authorities.clone();
            options.idle_per_host = CONNECTIONS;
            Client::open(options)
        };
        self.http.get_or_try_init(open).await.map_err(Failure::from)
    }

    /// Asks once.
    pub(super) async fn ask(&self, request: Request) -> Result<Answer, Failure> {
        let client = self.client().await?;
        let limits = ExchangeLimits {
            deadline: self.within,
            response_bytes: MAX_ANSWER_BYTES,
            redirects: 0,
            now: SystemClock.now(),
        };
        let sent = client
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body);
        let answer = client.exchange_any(sent, &limits).await.map_err(|failure| {
            let mut failure = Failure::from(failure);
            failure.message = format!("{}: {}", self.label, failure.message);
            failure
        })?;
        Ok(Answer {
            status: answer.status,
            body: answer.body,
        })
    }
}
