//! Sends one e-mail to one recipient, command by command: which command fails tells the cause.

use super::failures::{self, ReplyKind};
use crate::connector::Failure;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailParameter};
use std::time::Duration;

/// The outcome of one e-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SmtpOutcome {
    /// The server accepted it.
    Sent,
    /// The server refused it permanently, with this reply.
    Refused(String),
    /// A later attempt may succeed.
    Deferred(Failure),
    /// The server is unusable at present, for any e-mail.
    ServerUnusable(Failure),
}

/// Reply codes for missing or insufficient credentials.
const CREDENTIAL_CODES: [u16; 4] = [530, 534, 535, 538];
/// Reply code of a server that is about to close the connection.
const CLOSING_CODE: u16 = 421;

/// What came of trying to send an e-mail.
pub(super) struct Delivery {
    pub outcome: SmtpOutcome,
    /// Whether the connection can be used again.
    pub usable: bool,
    /// The server closed the connection, or said that it does (421), before it got anything of the e-mail.
    pub was_closed: bool,
}

impl Delivery {
    fn new(outcome: SmtpOutcome, usable: bool) -> Self {
        Self {
            outcome,
            usable,
            was_closed: false,
        }
    }
}

/// Sends an e-mail.
pub(super) async fn deliver(
    connection: &mut AsyncSmtpConnection,
    host: &str,
    (from, to): (&Address, &Address),
    message: &[u8],
    time_limit: Duration,
) -> Delivery {
    let late = || {
        SmtpOutcome::Deferred(Failure::timeout(format!(
            "the mail server {host} did not take an e-mail within {} ms",
            time_limit.as_millis()
        )))
    };
    let exchange = async {
        let mut delivery = transaction(connection, host, from, to, message).await;
        if delivery.usable && delivery.outcome != SmtpOutcome::Sent {
            // Discards the transaction that was begun.
            delivery.usable = connection.command(Rset).await.is_ok();
        }
        delivery
    };
    tokio::time::timeout(time_limit, exchange)
        .await
        .unwrap_or_else(|_| Delivery::new(late(), false))
}

async fn transaction(
    connection: &mut AsyncSmtpConnection,
    host: &str,
    from: &Address,
    to: &Address,
    message: &[u8],
) -> Delivery {
    let mut parameters = Vec::new();
    if !(from.to_string().is_ascii() && to.to_string().is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let why = "the server takes no addresses in other than ASCII (SMTPUTF8)";
            return Delivery::new(SmtpOutcome::Refused(why.to_owned()), true);
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if let Err(error) = connection.command(Mail::new(Some(from.clone()), parameters)).await {
        return match failures::reply_kind(&error) {
            ReplyKind::Permanent(code) if CREDENTIAL_CODES.contains(&code) => {
                let failure = failures::credentials_refused(&error, host);
                Delivery::new(SmtpOutcome::ServerUnusable(failure), false)
            }
            ReplyKind::Permanent(_) => {
                let why = format!(
                    "the mail server {host} refuses the sender `from`: {}",
                    failures::reply_text(&error)
                );
                Delivery::new(SmtpOutcome::ServerUnusable(Failure::invalid(why)), true)
            }
            ReplyKind::Transient(_) | ReplyKind::Unreadable => before_content(&error, host),
        };
    }
    if let Err(error) = connection.command(Rcpt::new(to.clone(), Vec::new())).await {
        return before_content(&error, host);
    }
    if let Err(error) = connection.command(Data).await {
        return before_content(&error, host);
    }
    match connection.message(message).await {
        Ok(_) => Delivery::new(SmtpOutcome::Sent, true),
        Err(error) => after_error(&error, host),
    }
}

/// What it means that a command failed which comes before the content.
fn before_content(error: &Error, host: &str) -> Delivery {
    let closing = failures::reply_kind(error) == ReplyKind::Transient(CLOSING_CODE);
    Delivery {
        was_closed: closing || failures::is_closed(error),
        ..after_error(error, host)
    }
}

/// What it means for the recipient that a command failed, and for the connection.
fn after_error(error: &Error, host: &str) -> Delivery {
    match failures::reply_kind(error) {
        ReplyKind::Transient(code) => {
            let failure = Failure::unavailable(failures::reply_text(error));
            Delivery::new(SmtpOutcome::Deferred(failure), code != CLOSING_CODE)
        }
        ReplyKind::Permanent(_) => Delivery::new(SmtpOutcome::Refused(failures::reply_text(error)), true),
        ReplyKind::Unreadable => Delivery::new(SmtpOutcome::Deferred(failures::connection_broken(error, host)), false),
    }
}
