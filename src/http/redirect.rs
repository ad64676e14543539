//! Redirects: which are followed, and with what request.

use super::Failure;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION};
use reqwest::{Method, Request, Response, Url};
use std::borrow::Cow;

/// How to proceed after a response.
pub(super) enum RedirectStep {
    /// The response is final.
    Final,
    /// A redirect, to be followed with this request.
    Follow(Box<Request>),
}

/// Headers that are also sent to another origin. All others may hold credentials, whatever their names.
const SAFE_CROSS_ORIGIN_HEADERS: [&str; 7] = [
    "accept",
    "accept-language",
    "content-encoding",
    "content-language",
    "content-type",
    "idempotency-key",
    "user-agent",
];

/// Decides how to proceed after a response. `again` is a copy of the request, where it can be copied.
///
/// # Errors
/// When a redirect changes the scheme, or the request cannot be sent twice.
pub(super) fn step(response: &Response, again: Option<Request>) -> Result<RedirectStep, Failure> {
    let status = response.status().as_u16();
    if !is_redirect(status) {
        return Ok(RedirectStep::Final);
    }
    let refused = |message: &str| {
        let mut failure = Failure::new("FORBIDDEN", format!("the answer was HTTP {status}, {message}"));
        failure.status = Some(status);
        failure
    };
    let from = response.url();
    let Some(target) = location(response).and_then(|target| from.join(&target).ok()) else {
        // One that leads nowhere is reported by its status.
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

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads: text in UTF-8, or bytes that are escaped.
fn location(response: &Response) -> Option<Cow<'_, str>> {
    let value = response.headers().get(LOCATION)?.as_bytes();
    if let Ok(text) = std::str::from_utf8(value) {
        return Some(text.into());
    }
    let mut escaped = String::with_capacity(value.len() + 16);
    for byte in value {
        if byte.is_ascii() {
            escaped.push(char::from(*byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    Some(escaped.into())
}

/// What a message says of a response that is no content: why it was not followed, or what it is.
pub(super) fn why_not_followed(response: &Response) -> &'static str {
    let leads = location(response).map(|target| response.url().join(&target).is_ok());
    match (response.status().as_u16(), leads) {
        (304, _) => {
            ": nothing has changed, which a server says to a request with a condition; without the headers 'if-none-match' and 'if-modified-since' it sends the content"
        }
        (status @ 300..=399, None) if is_redirect(status) => {
            ", a redirect without the header 'location': it leads nowhere"
        }
        (status @ 300..=399, Some(false)) if is_redirect(status) => {
            ", a redirect whose header 'location' is no URL: it leads nowhere"
        }
        (status @ 300..=399, _) if is_redirect(status) => "; redirects are not followed, give the URL that it leads to",
        (300..=399, _) => ", which is no redirect to follow: give the URL of the content",
        _ => "",
    }
}

/// The method of the next request if it changes; that request then has no body.
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

/// Removes credentials from the URL: a redirecting server must not choose them.
fn without_credentials(mut url: Url) -> Url {
    // Neither fails for a URL with a host, which http and https URLs always have.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}
