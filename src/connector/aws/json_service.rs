//! A service that takes operations as JSON: signed requests, one at a time each.
//!
//! Repeats nothing, since what may be repeated depends on the operation. Invariant: the body is part of what is signed.

use super::credentials::{Account, Credentials};
use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::http::{Client, ClientOptions, ExchangeLimits};
use crate::resources::OutboundRules;
use crate::text::hex::hex;
use reqsign_core::OsEnv;
use ring::digest::{SHA256, digest};
use std::time::Duration;
use tokio::sync::OnceCell;
use url::Url;

/// Where a service is, and how it is reached.
pub(in crate::connector) struct Place {
    pub(in crate::connector) endpoint: Url,
    /// What operations are called there, before their names.
    pub(in crate::connector) target: &'static str,
    /// Certificates that are trusted instead of the system's, as PEM.
    pub(in crate::connector) authorities: Option<String>,
    pub(in crate::connector) outbound: OutboundRules,
    /// Connections that stay open.
    pub(in crate::connector) connections: usize,
    /// Largest answer.
    pub(in crate::connector) max_answer_bytes: usize,
}

/// An answer, of success or not.
pub(in crate::connector) struct Answer {
    pub(in crate::connector) status: u16,
    pub(in crate::connector) body: Vec<u8>,
}

/// A client of one service in one region.
pub(in crate::connector) struct JsonService {
    label: &'static str,
    place: Place,
    credentials: Credentials,
    /// Made by the first request.
    http: OnceCell<Client>,
}

impl JsonService {
    pub(in crate::connector) fn new(account: Account, place: Place) -> Self {
        Self {
            label: account.label,
            place,
            credentials: Credentials::new(account, OsEnv),
            http: OnceCell::new(),
        }
    }

    /// Forgets credentials that were refused; `false`: there are no others.
    pub(in crate::connector) fn forget_credentials(&self) -> bool {
        self.credentials.forget()
    }

    /// Asks once.
    pub(in crate::connector) async fn ask(
        &self,
        operation: &str,
        body: &str,
        within: Duration,
    ) -> Result<Answer, Failure> {
        let label = self.label;
        let place = &self.place;
        let open = || {
            let mut options = ClientOptions::new(place.outbound.clone());
            options.authorities = place.authorities.clone();
            options.idle_per_host = place.connections;
            Client::open(options)
        };
        let client = self.http.get_or_try_init(open).await.map_err(Failure::from)?;
        let head = http_types::Request::post(place.endpoint.as_str())
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("{}.{operation}", place.target))
            // Without it the body would not be part of the signature.
            .header("x-amz-content-sha256", hex(digest(&SHA256, body.as_bytes()).as_ref()))
            .body(());
        let head = head.map_err(|_| Failure::invalid(format!("{label}: the request cannot be made")))?;
        let (mut head, ()) = head.into_parts();
        self.credentials.sign(&mut head).await?;
        // The client's own is the same.
        head.headers.remove("host");
        let request = client
            .request(head.method, place.endpoint.clone())
            .headers(head.headers)
            .body(body.to_owned());
        let limits = ExchangeLimits {
            deadline: within,
            response_bytes: place.max_answer_bytes,
            redirects: 0,
            now: SystemClock.now(),
        };
        let answer = client.exchange_any(request, &limits).await.map_err(|failure| {
            let mut failure = Failure::from(failure);
            failure.message = format!("{label}: {}", failure.message);
            failure
        })?;
        Ok(Answer {
            status: answer.status,
            body: answer.body,
        })
    }
}
