//! What went wrong in an operation of an object store: noted where its requests are sent, and told as a failure of the job.
//!
//! Invariant: no failure contains the name of an object, a credential, or a text that the server chose.

use crate::connector::Failure;
use crate::error::ErrorCode;
use crate::http;
use futures_util::StreamExt;
use object_store::client::HttpResponseBody;
use std::cell::RefCell;

/// How the message begins where a folder has an object whose name is no path.
pub(super) const UNREADABLE_NAME: &str = "the folder has an object whose name has an empty part or one of dots";
/// How the message begins where nobody knows more.
pub(super) const BROKEN: &str = "the answer of the server broke off, or cannot be read";

/// What the last request of an operation came to, if that was trouble.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// There was no answer.
    Failed(http::Failure),
    /// There are no credentials, or other reasons for not asking.
    Unasked(Failure),
    /// The server refused.
    Refused {
        /// Status of the answer.
        status: u16,
        /// The server's code for it.
        code: Box<str>,
        /// The pause that it asks for, ms.
        retry_after: Option<i64>,
    },
}

impl Trouble {
    /// A refusal with a code in a header or in its body.
    pub(super) fn refused(status: u16, header: Option<&str>, body: &[u8], retry_after: Option<i64>) -> Self {
        /// Of Azure, and of servers that answer as it does: the code alone may mean a missing right, too.
        const UNAUTHENTICATED: &[u8] = b"Server failed to authenticate the request";
        let mut code = header.map(str::to_owned).or_else(|| code_in(body)).unwrap_or_default();
        if body.windows(UNAUTHENTICATED.len()).any(|part| part == UNAUTHENTICATED) {
            "AuthenticationFailed".clone_into(&mut code);
        }
        Self::Refused {
            status,
            code: code.into(),
            retry_after,
        }
    }
}

#[derive(Default)]
struct Notes {
    trouble: Option<Trouble>,
    /// When the server says that the object was written, ms since the epoch.
    time: Option<i64>,
}

tokio::task_local! {
    static NOTES: RefCell<Notes>;
}

/// Notes what went wrong with a request of the operation that this task is in.
pub(super) fn note(trouble: Trouble) {
    let _ = NOTES.try_with(|notes| notes.borrow_mut().trouble = Some(trouble));
}

/// Notes when the answer of a request says that an object was written.
pub(super) fn note_time(time: i64) {
    let _ = NOTES.try_with(|notes| notes.borrow_mut().time = Some(time));
}

/// Does an operation; what it yields, and the time that the server's last answer told.
pub(super) async fn told<T>(
    operation: impl Future<Output = object_store::Result<T>>,
) -> Result<(T, Option<i64>), Failure> {
    NOTES
        .scope(RefCell::default(), async {
            let done = operation.await;
            let notes = NOTES.with(RefCell::take);
            match done {
                Ok(value) => Ok((value, notes.time)),
                Err(error) => Err(failure(&error, notes.trouble)),
            }
        })
        .await
}

/// The same, without the time.
pub(super) async fn tell<T>(operation: impl Future<Output = object_store::Result<T>>) -> Result<T, Failure> {
    told(operation).await.map(|(value, _)| value)
}

fn failure(error: &object_store::Error, trouble: Option<Trouble>) -> Failure {
    use object_store::Error;
    match trouble {
        Some(Trouble::Failed(failure)) => failure.into(),
        Some(Trouble::Unasked(failure)) => failure,
        Some(Trouble::Refused {
            status,
            code,
            retry_after,
        }) => refusal(status, &code, retry_after),
        None => match error {
            Error::NotFound { .. } => Failure::not_found("there is no such file"),
            Error::InvalidPath { .. } => Failure::invalid(format!("{UNREADABLE_NAME}, which is no path of a file")),
            Error::PermissionDenied { .. } => Failure::forbidden("the server denies access"),
            Error::Unauthenticated { .. } => Failure::unauthorized("there are no credentials that the server takes"),
            Error::NotSupported { .. } | Error::NotImplemented { .. } => {
                Failure::invalid("the provider cannot do that with these credentials")
            }
            _ => Failure::connection(BROKEN),
        },
    }
}

/// The failure that a refusal means.
fn refusal(status: u16, code: &str, retry_after: Option<i64>) -> Failure {
    let (error, what) = match code {
        "NoSuchBucket" | "ContainerNotFound" => (ErrorCode::NotFound, "there is no such bucket or container"),
        "ContainerBeingDeleted" | "ContainerDisabled" => {
            (ErrorCode::NotFound, "the container is being deleted or is disabled")
        }
        "NoSuchKey" | "BlobNotFound" | "ResourceNotFound" => (ErrorCode::NotFound, "there is no such file"),
        "InvalidAccessKeyId"
        // Of versitygw, with the status 404.
        | "XAdminUserNotFound"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "InvalidToken"
        | "InvalidClientTokenId"
        | "TokenRefreshRequired"
        | "InvalidSecurity"
        | "AuthenticationFailed"
        | "InvalidAuthenticationInfo"
        | "NoAuthenticationInformation"
        | "invalid_grant"
        | "invalid_client"
        | "unauthorized_client" => (ErrorCode::Unauthorized, "the server does not take the credentials"),
        "RequestTimeTooSkewed" => (
            ErrorCode::Unauthorized,
            "the clock of this machine differs too much from that of the server",
        ),
        "SlowDown"
        | "SlowDownRead"
        | "SlowDownWrite"
        | "ServerBusy"
        | "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequests"
        | "rateLimitExceeded" => (ErrorCode::RateLimited, "the server asks for fewer requests"),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => (
            ErrorCode::ValidationError,
            "the bucket is in another region than `region` says, or at another endpoint",
        ),
        "EntityTooLarge" | "RequestBodyTooLarge" => {
            (ErrorCode::ValidationError, "the file is larger than the provider takes")
        }
        "KeyTooLongError" | "InvalidObjectName" | "InvalidResourceName" | "OutOfRangeInput" => {
            (ErrorCode::ValidationError, "the provider does not take the name")
        }
        "InvalidBucketName" => (
            ErrorCode::ValidationError,
            "the provider does not take the name of the bucket",
        ),
        // Another attempt may have ended the upload.
        "NoSuchUpload" | "InvalidPart" | "InvalidBlockList" | "InvalidBlobOrBlock" => {
            (ErrorCode::ServiceUnavailable, "the parts of the upload are gone")
        }
        "RequestTimeout" | "OperationTimedOut" => (ErrorCode::Timeout, "the server gave up waiting"),
        _ => {
            let failure = http::from_status(status, retry_after);
            let mut failure = failure.map_or_else(|| Failure::unavailable("the server refused"), Failure::from);
            if status == 409 || status == 412 {
                failure = Failure::unavailable(format!(
                    "somebody else is changing the file: the answer was HTTP {status}"
                ));
            }
            failure.retry_after = retry_after;
            return failure;
        }
    };
    let mut failure = Failure::new(error, what);
    failure.retry_after = retry_after;
    failure
}

/// The server's code in an answer: of S3, Google and Azure in XML, of sources of tokens in JSON.
fn code_in(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (from, to) = if let Some((_, rest)) = text.split_once("<Code>") {
        (rest, "</Code>")
    } else {
        let (_, rest) = text.split_once("\"error\"")?;
        (rest.trim_start_matches([' ', ':', '"', '\n']), "\"")
    };
    let (code, _) = from.split_once(to)?;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (code.len() <= 64 && code.bytes().all(is_word)).then(|| code.to_owned())
}

/// The beginning of a body; what cannot be read is left out.
pub(super) async fn read(body: HttpResponseBody, most: usize) -> Vec<u8> {
    let mut stream = body.bytes_stream();
    let mut read = Vec::new();
    while let Some(Ok(chunk)) = stream.next().await {
        let left = most.saturating_sub(read.len());
        read.extend_from_slice(chunk.get(..left).unwrap_or(&chunk));
        if read.len() >= most {
            break;
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_xml_and_json() {
        for (body, code) in [
            (
                "<Error><Code>NoSuchBucket</Code><Message>x</Message></Error>",
                Some("NoSuchBucket"),
            ),
            (
                "{\"error\": \"invalid_grant\", \"error_description\": \"x\"}",
                Some("invalid_grant"),
            ),
            ("<Error><Code>a b</Code></Error>", None),
            ("<Code>cut", None),
            ("", None),
            ("{\"error\":{\"code\":403}}", None),
        ] {
            assert_eq!(code_in(body.as_bytes()).as_deref(), code, "{body}");
        }
    }

    #[test]
    fn refusals_are_told_by_what_a_retry_can_do() {
        let code = |status, code: &str| refusal(status, code, Some(5)).code.to_string();
        for (status, server, expected) in [
            (404, "NoSuchBucket", "NOT_FOUND"),
            (404, "", "NOT_FOUND"),
            (403, "SignatureDoesNotMatch", "UNAUTHORIZED"),
            (404, "XAdminUserNotFound", "UNAUTHORIZED"),
            (404, "InvalidAccessKeyId", "UNAUTHORIZED"),
            (403, "AuthenticationFailed", "UNAUTHORIZED"),
            (403, "AccessDenied", "FORBIDDEN"),
            (403, "", "FORBIDDEN"),
            (401, "", "UNAUTHORIZED"),
            (400, "invalid_grant", "UNAUTHORIZED"),
            (400, "InvalidArgument", "VALIDATION_ERROR"),
            (301, "PermanentRedirect", "VALIDATION_ERROR"),
            (429, "", "RATE_LIMITED"),
            (503, "SlowDown", "RATE_LIMITED"),
            (503, "ServerBusy", "RATE_LIMITED"),
            (503, "", "SERVICE_UNAVAILABLE"),
            (500, "InternalError", "SERVICE_UNAVAILABLE"),
            (409, "OperationAborted", "SERVICE_UNAVAILABLE"),
            (404, "NoSuchUpload", "SERVICE_UNAVAILABLE"),
        ] {
            assert_eq!(code(status, server), expected, "{status} {server}");
        }
        assert_eq!(refusal(503, "SlowDown", Some(5)).retry_after, Some(5));
        assert_eq!(refusal(503, "", Some(5)).retry_after, Some(5));
    }
}
