//! What answers and errors of a mail server mean, with the code that retries go by.
//!
//! Invariants: no text here holds an address of e-mail, a credential, or what was sent; of an answer, its codes and a
//! line of its text without addresses.

use crate::connector::Failure;
use lettre::transport::smtp::Error;
use std::error::Error as _;
use std::io;

/// Longest text of an answer that is shown, in characters.
const LONGEST: usize = 160;

/// What the server did with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Refused for now (4yz), with its code.
    Later(u16),
    /// Refused for good (5yz), with its code.
    Never(u16),
    /// No answer that can be read: the connection is of no use any more.
    Nothing,
}

/// What the server did with a command that failed.
pub(super) fn said(error: &Error) -> Said {
    match error.status().map(u16::from) {
        Some(code @ 400..=499) => Said::Later(code),
        Some(code) => Said::Never(code),
        None => Said::Nothing,
    }
}

/// The code and text of an answer, for people: `550 5.1.1 no such user`.
pub(super) fn answer(error: &Error) -> String {
    let code = error.status().map_or(0, u16::from);
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    match cleaned(&text) {
        text if text.is_empty() => code.to_string(),
        text => format!("{code} {text}"),
    }
}

/// Text of another program's, fit to be shown: printable, short, without addresses.
fn cleaned(text: &str) -> String {
    let printable: String = text
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    let words: Vec<&str> = printable
        .split_whitespace()
        .map(|word| if word.contains('@') { "…" } else { word })
        .collect();
    let joined = words.join(" ");
    if joined.chars().count() <= LONGEST {
        return joined;
    }
    joined.chars().take(LONGEST).chain(['…']).collect()
}

/// A server that cannot be reached, or that broke off.
pub(super) fn broken(error: &Error, host: &str) -> Failure {
    if error.is_timeout() {
        return Failure::timeout(format!("the mail server {host} does not answer in time"));
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        let remedy = match tls {
            rustls::Error::InvalidCertificate(_) => {
                "; a certificate that no public authority vouches for is trusted by giving its `ca`"
            }
            _ => "; compare `security` and `port` with what the server expects",
        };
        return Failure::connection(format!("no secure connection to the mail server {host}: {tls}{remedy}"));
    }
    if let Some(system) = find::<io::Error>(error) {
        let closed = matches!(
            system.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        );
        if closed {
            return closed_by(host);
        }
        return Failure::connection(format!(
            "no connection to the mail server {host}: {}",
            cleaned(&system.to_string())
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
pub(super) fn refused(error: &Error, host: &str) -> Failure {
    match said(error) {
        Said::Nothing => broken(error, host),
        Said::Later(_) | Said::Never(_) => {
            Failure::unavailable(format!("the mail server {host} takes no connection: {}", answer(error)))
        }
    }
}

/// A server that refuses the credentials. Its text is left out: it may repeat what it was given.
pub(super) fn credentials(error: &Error, host: &str) -> Failure {
    match said(error) {
        Said::Nothing => broken(error, host),
        Said::Later(code) => Failure::unavailable(format!(
            "the mail server {host} cannot check the credentials now ({code})"
        )),
        Said::Never(code) => Failure::unauthorized(format!(
            "the mail server {host} refuses the credentials ({code}); check `username` and `password`"
        )),
    }
}

/// The first cause of that type, also one that an error of the system carries.
fn find<E: std::error::Error + 'static>(error: &Error) -> Option<&E> {
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
    fn what_a_server_says_is_shown_without_addresses_and_in_one_short_line() {
        assert_eq!(
            cleaned("5.1.1 <ann@b.example>: no\r\nsuch user"),
            "5.1.1 … no such user"
        );
        assert_eq!(cleaned("a\u{0}\u{1b}[31mb"), "a [31mb");
        assert!(cleaned(&"long ".repeat(1_000)).chars().count() <= LONGEST + 1);
    }
}
