//! What follows from an answer that points elsewhere.

use super::Failure;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName};
use reqwest::{Method, Request, Response, Url};

/// What follows from an answer.
pub(super) enum RedirectStep {
    /// It is the answer.
    Final,
    /// It points to where this asks.
    Follow(Box<Request>),
}

/// Headers that another origin gets too. All others may hold credentials, whatever they are called.
const SAFE_CROSS_ORIGIN_HEADERS: [&str; 7] = [
    "accept",
    "accept-language",
    "content-encoding",
    "content-language",
    "content-type",
    "idempotency-key",
    "user-agent",
];

/// What follows from an answer to a request, of which `again` is a copy where one can be made.
///
/// # Errors
/// When it leads to another scheme, or its request cannot be sent twice.
pub(super) fn step(response: &Response, again: Option<Request>) -> Result<RedirectStep, Failure> {
    let status = response.status().as_u16();
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(RedirectStep::Final);
    }
    let refused = |message: &str| {
        let mut failure = Failure::new("FORBIDDEN", format!("the answer was HTTP {status}, {message}"));
        failure.status = Some(status);
        failure
    };
    let from = response.url();
    let target = response.headers().get("location").and_then(|value| value.to_str().ok());
    let Some(target) = target.and_then(|target| from.join(target).ok()) else {
        // Without a place to go to, the status stands for itself.
        return Ok(RedirectStep::Final);
    };
    if target.scheme() != from.scheme() {
        return Err(refused(
            "a redirect to another scheme, which is not followed: give the URL that it leads to",
        ));
    }
    let Some(mut next) = again else {
        return Err(refused("a redirect of a request that cannot be sent twice"));
    };
    if let Some(method) = method_after_redirect(status, next.method()) {
        *next.method_mut() = method;
        *next.body_mut() = None;
        next.headers_mut().remove(CONTENT_TYPE);
        next.headers_mut().remove(CONTENT_LENGTH);
    }
    if !same_origin(from, &target) {
        retain_safe_headers(next.headers_mut());
    }
    *next.url_mut() = without_credentials(target);
    Ok(RedirectStep::Follow(Box::new(next)))
}

/// The method of the next request, if it is another one, which then has no body.
fn method_after_redirect(status: u16, method: &Method) -> Option<Method> {
    let read_next = match status {
        303 => *method != Method::HEAD && *method != Method::GET,
        301 | 302 => *method == Method::POST,
        _ => false,
    };
    read_next.then_some(Method::GET)
}

fn same_origin(one: &Url, other: &Url) -> bool {
    one.host_str() == other.host_str() && one.port_or_known_default() == other.port_or_known_default()
}

fn retain_safe_headers(headers: &mut HeaderMap) {
    let others: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !SAFE_CROSS_ORIGIN_HEADERS.contains(&name.as_str()))
        .cloned()
        .collect();
    for name in others {
        headers.remove(name);
    }
}

/// A server that redirects chooses no credentials.
fn without_credentials(mut url: Url) -> Url {
    // Neither can fail where there is a host, as there is in http and https.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}
