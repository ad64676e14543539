//! Why an exchange failed, with the code that decides about retries.
//!
//! Pure, except for inspecting the client's error. Invariant: no message contains a URL, a header or a body.

use super::guard::NoAllowedAddress;
use std::error::Error;
use std::time::Duration;

/// An exchange that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The error code, as `retryConfig` names it.
    pub code: &'static str,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    /// What happened.
    pub message: String,
    /// The delay that the server asked for, ms.
    pub retry_after: Option<i64>,
}

impl Failure {
    /// A failure without a response.
    pub(super) fn new(code: &'static str, message: String) -> Self {
        Self {
            code,
            status: None,
            message,
            retry_after: None,
        }
    }

    /// No complete response was received.
    pub(crate) fn from_client_error(error: &reqwest::Error) -> Self {
        if let Some(refused) = find_cause::<NoAllowedAddress>(error) {
            return Self::new("FORBIDDEN", refused.to_string());
        }
        if error.is_timeout() {
            return Self::new("TIMEOUT", "no connection in time".to_owned());
        }
        if error.is_builder() {
            return Self::new(
                "VALIDATION_ERROR",
                format!("no request can be made: {}", root_cause(error)),
            );
        }
        let what = if error.is_connect() {
            "cannot connect"
        } else if error.is_decode() {
            "the answer cannot be decoded"
        } else {
            "the connection broke"
        };
        Self::new("CONNECTION_ERROR", format!("{what}: {}", root_cause(error)))
    }

    /// The exchange broke in a way that no error of the client tells.
    #[cfg(feature = "cloud-storage")]
    pub(crate) fn broken(what: &str) -> Self {
        Self::new("CONNECTION_ERROR", what.to_owned())
    }

    /// The response exceeds the limit. Not worth a retry, since another attempt would get the same.
    pub(super) fn too_large(most: usize) -> Self {
        Self::new("VALIDATION_ERROR", format!("the answer is larger than {most} bytes"))
    }

    /// No complete response before the deadline.
    pub(crate) fn timed_out(deadline: Duration) -> Self {
        Self::new("TIMEOUT", format!("no answer within {} ms", deadline.as_millis()))
    }
}

/// The first error of type `E` in the chain of causes.
fn find_cause<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut cause = error.source();
    while let Some(found) = cause {
        if let Some(wanted) = found.downcast_ref() {
            return Some(wanted);
        }
        cause = found.source();
    }
    None
}

/// The innermost cause; the outer ones repeat the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = match error.source() {
        Some(source) => source,
        None => return "no reason was given".to_owned(),
    };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// The failure that a status means; `None`: success.
#[must_use]
pub fn from_status(status: u16, retry_after: Option<i64>) -> Option<Failure> {
    let code = match status {
        200..=299 => return None,
        401 => "UNAUTHORIZED",
        403 => "FORBIDDEN",
        404 | 410 => "NOT_FOUND",
        408 => "TIMEOUT",
        429 => "RATE_LIMITED",
        400..=499 => "VALIDATION_ERROR",
        500.. => "SERVICE_UNAVAILABLE",
        _ => "HTTP_ERROR",
    };
    Some(Failure {
        code,
        status: Some(status),
        message: format!("the answer was HTTP {status}"),
        retry_after,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: u16) -> Option<&'static str> {
        from_status(status, None).map(|failure| failure.code)
    }

    #[test]
    fn http_status_maps_to_an_error_code() {
        assert_eq!((code(200), code(204)), (None, None));
        let expected = [
            (307, "HTTP_ERROR"),
            (400, "VALIDATION_ERROR"),
            (401, "UNAUTHORIZED"),
            (403, "FORBIDDEN"),
            (404, "NOT_FOUND"),
            (408, "TIMEOUT"),
            (422, "VALIDATION_ERROR"),
            (429, "RATE_LIMITED"),
            (500, "SERVICE_UNAVAILABLE"),
            (503, "SERVICE_UNAVAILABLE"),
        ];
        for (status, wanted) in expected {
            assert_eq!(code(status), Some(wanted), "{status}");
        }
    }

    #[test]
    fn retry_after_is_kept_in_the_failure() {
        let failure = from_status(429, Some(7_000)).unwrap();
        assert_eq!((failure.status, failure.retry_after), (Some(429), Some(7_000)));
    }
}
