//! Maps replies and errors of an SMTP server to failures, with the code that decides about retries.
//!
//! Invariants: no message contains an e-mail address, a credential or content that was sent; of a reply it shows the codes
//! and one line of text without addresses.

use crate::connector::Failure;
use lettre::transport::smtp::Error;
use std::error::Error as _;
use std::io;

/// Longest text of a reply that is shown, in characters.
const MAX_SHOWN_CHARS: usize = 160;

/// How the server replied to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyKind {
    /// Transient refusal (4yz), with its code.
    Transient(u16),
    /// Permanent refusal (5yz), with its code.
    Permanent(u16),
    /// No readable reply: the connection is unusable.
    Unreadable,
}

/// How the server replied to a command that failed.
pub(super) fn reply_kind(error: &Error) -> ReplyKind {
    match error.status().map(u16::from) {
        Some(code @ 400..=499) => ReplyKind::Transient(code),
        Some(code) => ReplyKind::Permanent(code),
        None => ReplyKind::Unreadable,
    }
}

/// Code and text of a reply for messages: `550 5.1.1 no such user`.
pub(super) fn reply_text(error: &Error) -> String {
    let code = error.status().map_or(0, u16::from);
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    match sanitized(&text) {
        text if text.is_empty() => code.to_string(),
        text => format!("{code} {text}"),
    }
}

/// Text of the server made fit for messages: printable, short, without addresses.
fn sanitized(text: &str) -> String {
    let printable: String = text
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    let words: Vec<&str> = printable
        .split_whitespace()
        .map(|word| if word.contains('@') { "…" } else { word })
        .collect();
    let joined = words.join(" ");
    if joined.chars().count() <= MAX_SHOWN_CHARS {
        return joined;
    }
    joined.chars().take(MAX_SHOWN_CHARS).chain(['…']).collect()
}

/// The server cannot be reached, or the connection broke.
pub(super) fn connection_broken(error: &Error, host: &str) -> Failure {
    if error.is_timeout() {
        return Failure::timeout(format!("the mail server {host} does not answer in time"));
    }
    if let Some(tls) = find_cause::<rustls::Error>(error) {
        let remedy = match tls {
            rustls::Error::InvalidCertificate(_) => {
                "; a certificate that no public authority vouches for is trusted by giving its `ca`"
            }
            _ => "; compare `security` and `port` with what the server expects",
        };
        return Failure::connection(format!("no secure connection to the mail server {host}: {tls}{remedy}"));
    }
    if is_closed(error) {
        return Failure::connection(format!("the mail server {host} closed the connection"));
    }
    if let Some(system) = find_cause::<io::Error>(error) {
        return Failure::connection(format!(
            "no connection to the mail server {host}: {}",
            sanitized(&system.to_string())
        ));
    }
    Failure::connection(format!(
        "what the mail server {host} answers is no SMTP; compare `security` and `port` with what it expects"
    ))
}

/// Whether the server has closed the connection.
pub(super) fn is_closed(error: &Error) -> bool {
    if let Some(system) = find_cause::<io::Error>(error) {
        return matches!(
            system.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::NotConnected
        );
    }
    let incomplete = |source: &(dyn std::error::Error + 'static)| source.to_string() == "incomplete response";
    error.is_response() && error.source().is_some_and(incomplete)
}

/// The server refuses the connection.
pub(super) fn connection_refused(error: &Error, host: &str) -> Failure {
    match reply_kind(error) {
        ReplyKind::Unreadable => connection_broken(error, host),
        ReplyKind::Transient(_) | ReplyKind::Permanent(_) => Failure::unavailable(format!(
            "the mail server {host} takes no connection: {}",
            reply_text(error)
        )),
    }
}

/// The server refuses the credentials. Its text is left out, since it may repeat them.
pub(super) fn credentials_refused(error: &Error, host: &str) -> Failure {
    match reply_kind(error) {
        ReplyKind::Unreadable => connection_broken(error, host),
        ReplyKind::Transient(code) => Failure::unavailable(format!(
            "the mail server {host} cannot check the credentials now ({code})"
        )),
        ReplyKind::Permanent(code) => Failure::unauthorized(format!(
            "the mail server {host} refuses the credentials ({code}); check `username` and `password`"
        )),
    }
}

/// The first error of type `E` in the chain of causes, including those inside an `io::Error`.
fn find_cause<E: std::error::Error + 'static>(error: &Error) -> Option<&E> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        let carried = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(carried) = carried {
            let carried: &(dyn std::error::Error + 'static) = carried;
            if let Some(found) = carried.downcast_ref::<E>() {
                return Some(found);
            }
        }
        cause = current.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smtp_reply_text_is_one_short_line_without_addresses() {
        assert_eq!(
            sanitized("5.1.1 <ann@b.example>: no\r\nsuch user"),
            "5.1.1 … no such user"
        );
        assert_eq!(sanitized("a\u{0}\u{1b}[31mb"), "a [31mb");
        assert!(sanitized(&"long ".repeat(1_000)).chars().count() <= MAX_SHOWN_CHARS + 1);
    }
}
