//! The HTTP client for all outgoing requests: TLS by rustls, bounded in time and response size, and restricted to the hosts
//! that the constructor's `outbound` allows.
//!
//! Knows no job and no handler. Invariants: a failure names no more of a URL than its host, since paths and queries may
//! hold credentials; no request outlives its deadline; no redirect changes the scheme, takes credentials to another
//! origin, or evades the rules for hosts.

mod date;
mod encoding;
mod exchange;
mod failure;
mod guard;
mod proxy;
mod redirect;
#[cfg(test)]
mod tests;

pub use exchange::{ExchangeLimits, HttpResponse};
pub use failure::{Failure, from_status};

use crate::error::{Error, ErrorCode, Result};
use crate::resources::OutboundRules;
use crate::tls;
use guard::OutboundGuard;
use proxy::Proxies;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Certificate, Method, RequestBuilder, Response, Url};
use std::sync::Arc;
use std::time::Duration;

/// Longest time for establishing a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Most headers of a response; together they are bounded by hyper.
const MAX_RESPONSE_HEADERS: usize = 2_000;
/// Default number of idle connections per host.
const MAX_IDLE_PER_HOST: usize = 4;
/// Most bytes of an unwanted body that are read so that the connection can be reused.
const MAX_DRAIN_BYTES: usize = 16 * 1024;
/// Longest time spent reading them.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(250);

/// Options of a client.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Hosts and addresses that may be requested.
    pub outbound: OutboundRules,
    /// CA certificates in PEM that are trusted in addition to the system's.
    pub authorities: Option<String>,
    /// Most idle connections per host.
    pub idle_per_host: usize,
    /// Whether answers may be compressed for the way, which [`Client::exchange`] undoes.
    pub compressed: bool,
}

impl ClientOptions {
    /// Default options with these rules.
    #[must_use]
    pub fn new(outbound: OutboundRules) -> Self {
        Self {
            outbound,
            authorities: None,
            idle_per_host: MAX_IDLE_PER_HOST,
            compressed: true,
        }
    }
}

/// A client. It owns a connection pool that clones share, so make one and reuse it.
#[derive(Clone, Debug)]
pub struct Client {
    inner: reqwest::Client,
    guard: OutboundGuard,
    proxies: Arc<Proxies>,
}

impl Client {
    /// Makes a client on a blocking thread, since the system's certificates are read from disk.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` when `authorities` holds no certificates, `CONNECTION_ERROR` when the system's certificates
    /// cannot be read.
    pub async fn open(options: ClientOptions) -> Result<Self> {
        let made = tokio::task::spawn_blocking(move || Self::new(options)).await;
        made.unwrap_or_else(|_| Err(Error::closed()))
    }

    /// As [`open`](Self::open); blocks.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn new(options: ClientOptions) -> Result<Self> {
        Self::with_proxies(options, Proxies::read(|name| std::env::var(name).ok()))
    }

    fn with_proxies(options: ClientOptions, proxies: Proxies) -> Result<Self> {
        tls::install_crypto_provider();
        let guard = OutboundGuard::new(options.outbound);
        // A proxy resolves names itself and could reach addresses that the guard's resolver refuses.
        let proxies = Arc::new(if guard.resolver().is_some() {
            Proxies::default()
        } else {
            proxies
        });
        let of_request = Arc::clone(&proxies);
        let accepted = if options.compressed {
            encoding::ACCEPTED
        } else {
            "identity"
        };
        let accepted = (ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(HeaderMap::from_iter([accepted]))
            // One that cannot be used fails the request before it gets here.
            .proxy(reqwest::Proxy::custom(move |url| {
                of_request.of(url).ok().flatten().cloned()
            }))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(options.idle_per_host)
            .http1_max_headers(MAX_RESPONSE_HEADERS)
            .user_agent(concat!("ductape/", env!("CARGO_PKG_VERSION")));
        if let Some(resolver) = guard.resolver() {
            builder = builder.dns_resolver(resolver);
        }
        if let Some(pem) = &options.authorities {
            builder = builder.tls_certs_merge(certificates(pem)?);
        }
        let named = options.authorities.is_some();
        let inner = builder.build().map_err(|error| {
            // With the system's certificates alone, building a client is not known to fail.
            let (code, message) = if named {
                (
                    ErrorCode::ValidationError,
                    "cannot set up HTTP with the certificates of `ca`",
                )
            } else {
                (ErrorCode::ConnectionError, "cannot set up HTTP")
            };
            Error::new(code, message).with_source(error)
        })?;
        Ok(Self { inner, guard, proxies })
    }

    /// The client below this one, for libraries that make requests of their own to `url`. Redirects are theirs to follow.
    ///
    /// # Errors
    /// `FORBIDDEN` for a host that is not allowed.
    #[cfg(feature = "cloud-storage")]
    pub fn for_requests_to(&self, url: &Url) -> std::result::Result<&reqwest::Client, Failure> {
        self.guard.check_url(url)?;
        Ok(&self.inner)
    }

    /// Builds a request for [`exchange`](Self::exchange) or [`send`](Self::send).
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.inner.request(method, url)
    }
}

/// Reads the certificates of a PEM text; at least one.
fn certificates(pem: &str) -> Result<Vec<Certificate>> {
    let refused = || Error::new(ErrorCode::ValidationError, "`ca` holds no certificate in PEM");
    let found = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| refused())?;
    if found.is_empty() { Err(refused()) } else { Ok(found) }
}

fn retry_after(response: &Response, now: i64) -> Option<i64> {
    retry_after_in(response.headers(), now)
}

/// The delay that the headers of an answer ask for, ms.
#[must_use]
pub fn retry_after_in(headers: &HeaderMap, now: i64) -> Option<i64> {
    date::retry_after(headers.get("retry-after")?.to_str().ok()?, now)
}

/// When the content of an answer was last changed, else when the answer was made, ms since the epoch.
#[cfg(feature = "cloud-storage")]
#[must_use]
pub fn modified_in(headers: &HeaderMap) -> Option<i64> {
    let date = |name: &str| date::parse_http_date(headers.get(name)?.to_str().ok()?, 0);
    date("last-modified").or_else(|| date("date"))
}
