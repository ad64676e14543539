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

/// Sends an e-mail. Also returns whether the connection can be reused.
pub(super) async fn deliver(
    connection: &mut AsyncSmtpConnection,
    host: &str,
    (from, to): (&Address, &Address),
    message: &[u8],
    time_limit: Duration,
) -> (SmtpOutcome, bool) {
    let late = || {
        SmtpOutcome::Deferred(Failure::timeout(format!(
            "the mail server {host} did not take an e-mail within {} ms",
            time_limit.as_millis()
        )))
    };
    let exchange = async {
        let smtp_outcome = transaction(connection, host, from, to, message).await;
        let whole = match &smtp_outcome {
            (SmtpOutcome::Sent, usable) => *usable,
            // Discards the transaction that was begun.
            (_, true) => connection.command(Rset).await.is_ok(),
            (_, false) => false,
        };
        (smtp_outcome.0, whole)
    };
    tokio::time::timeout(time_limit, exchange)
        .await
        .unwrap_or_else(|_| (late(), false))
}

async fn transaction(
    connection: &mut AsyncSmtpConnection,
    host: &str,
    from: &Address,
    to: &Address,
    message: &[u8],
) -> (SmtpOutcome, bool) {
    let mut parameters = Vec::new();
    if !(from.to_string().is_ascii() && to.to_string().is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let why = "the server takes no addresses in other than ASCII (SMTPUTF8)";
            return (SmtpOutcome::Refused(why.to_owned()), true);
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if let Err(error) = connection.command(Mail::new(Some(from.clone()), parameters)).await {
        return match failures::reply_kind(&error) {
            ReplyKind::Permanent(code) if CREDENTIAL_CODES.contains(&code) => {
                let failure = failures::credentials_refused(&error, host);
                (SmtpOutcome::ServerUnusable(failure), false)
            }
            ReplyKind::Permanent(_) => {
                let why = format!(
                    "the mail server {host} refuses the sender `from`: {}",
                    failures::reply_text(&error)
                );
                (SmtpOutcome::ServerUnusable(Failure::invalid(why)), true)
            }
            ReplyKind::Transient(_) | ReplyKind::Unreadable => outcome_of_error(&error, host),
        };
    }
    if let Err(error) = connection.command(Rcpt::new(to.clone(), Vec::new())).await {
        return outcome_of_error(&error, host);
    }
    if let Err(error) = connection.command(Data).await {
        return outcome_of_error(&error, host);
    }
    match connection.message(message).await {
        Ok(_) => (SmtpOutcome::Sent, true),
        Err(error) => outcome_of_error(&error, host),
    }
}

/// What a failed command means for the recipient, and whether the connection can be reused.
fn outcome_of_error(error: &Error, host: &str) -> (SmtpOutcome, bool) {
    match failures::reply_kind(error) {
        ReplyKind::Transient(code) => {
            let failure = Failure::unavailable(failures::reply_text(error));
            (SmtpOutcome::Deferred(failure), code != CLOSING_CODE)
        }
        ReplyKind::Permanent(_) => (SmtpOutcome::Refused(failures::reply_text(error)), true),
        ReplyKind::Unreadable => (SmtpOutcome::Deferred(failures::connection_broken(error, host)), false),
    }
}
