//! What answers and errors of a mail server mean, with the code that retries go by.
//!
//! Invariants: no text here holds an address of e-mail, a credential, or what was sent; of an answer, its codes and a
//! line of its text without addresses.

use crate::connector::Failure;
use lettre::transport::smtp::Error;
use std::error::Error as _;
use std::io;

/// Longest text of an answer that is shown, in characters.
const MAX_SHOWN_CHARS: usize = 160;

/// What the server did with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyKind {
    /// Refused for now (4yz), with its code.
    Transient(u16),
    /// Refused for good (5yz), with its code.
    Permanent(u16),
    /// No answer that can be read: the connection is of no use any more.
    Unreadable,
}

/// What the server did with a command that failed.
pub(super) fn reply_kind(error: &Error) -> ReplyKind {
    match error.status().map(u16::from) {
        Some(code @ 400..=499) => ReplyKind::Transient(code),
        Some(code) => ReplyKind::Permanent(code),
        None => ReplyKind::Unreadable,
    }
}

/// The code and text of an answer, for people: `550 5.1.1 no such user`.
pub(super) fn reply_text(error: &Error) -> String {
    let code = error.status().map_or(0, u16::from);
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    match sanitized(&text) {
        text if text.is_empty() => code.to_string(),
        text => format!("{code} {text}"),
    }
}

/// Text of another program's, fit to be shown: printable, short, without addresses.
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

/// A server that cannot be reached, or that broke off.
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
    if let Some(system) = find_cause::<io::Error>(error) {
        let closed = matches!(
            system.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        );
        if closed {
            return closed_by(host);
        }
        return Failure::connection(format!(
            "no connection to the mail server {host}: {}",
            sanitized(&system.to_string())
        ));
    }
    if error.is_response()
        && error
            .source()
            .is_some_and(|source| source.to_string() == "incomplete response")
    {
        return closed_by(host);
    }
    Failure::connection(format!(
        "what the mail server {host} answers is no SMTP; compare `security` and `port` with what it expects"
    ))
}

fn closed_by(host: &str) -> Failure {
    Failure::connection(format!("the mail server {host} closed the connection"))
}

/// A server that refuses the connection itself.
pub(super) fn connection_refused(error: &Error, host: &str) -> Failure {
    match reply_kind(error) {
        ReplyKind::Unreadable => connection_broken(error, host),
        ReplyKind::Transient(_) | ReplyKind::Permanent(_) => Failure::unavailable(format!(
            "the mail server {host} takes no connection: {}",
            reply_text(error)
        )),
    }
}

/// A server that refuses the credentials. Its text is left out: it may repeat what it was given.
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

/// The first cause of that type, also one that an error of the system carries.
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
