//! One e-mail to one recipient, command by command: which one fails tells what is wrong.

use super::failures::{self, Said};
use crate::connector::Failure;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailParameter};
use std::time::Duration;

/// What came of one e-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server has it.
    Sent,
    /// The server refuses it for good: with these words.
    Refused(String),
    /// It may go later.
    PutOff(Failure),
    /// Nothing goes by this server as it is.
    Down(Failure),
}

/// Codes of a server that wants credentials, or better ones.
const CREDENTIALS: [u16; 4] = [530, 534, 535, 538];
/// The code of a server that is about to close the connection.
const CLOSING: u16 = 421;

/// Sends an e-mail. The connection can be used again when the second part of the answer says so.
pub(super) async fn deliver(
    connection: &mut AsyncSmtpConnection,
    host: &str,
    (from, to): (&Address, &Address),
    message: &[u8],
    patience: Duration,
) -> (Verdict, bool) {
    let late = || {
        Verdict::PutOff(Failure::timeout(format!(
            "the mail server {host} did not take an e-mail within {} ms",
            patience.as_millis()
        )))
    };
    let exchange = async {
        let verdict = transaction(connection, host, from, to, message).await;
        let whole = match &verdict {
            (Verdict::Sent, usable) => *usable,
            // What the server has begun to hear is forgotten.
            (_, true) => connection.command(Rset).await.is_ok(),
            (_, false) => false,
        };
        (verdict.0, whole)
    };
    tokio::time::timeout(patience, exchange)
        .await
        .unwrap_or_else(|_| (late(), false))
}

async fn transaction(
    connection: &mut AsyncSmtpConnection,
    host: &str,
    from: &Address,
    to: &Address,
    message: &[u8],
) -> (Verdict, bool) {
    let mut parameters = Vec::new();
    if !(from.to_string().is_ascii() && to.to_string().is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let why = "the server takes no addresses in other than ASCII (SMTPUTF8)";
            return (Verdict::Refused(why.to_owned()), true);
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if let Err(error) = connection.command(Mail::new(Some(from.clone()), parameters)).await {
        return match failures::said(&error) {
            Said::Never(code) if CREDENTIALS.contains(&code) => {
                let failure = failures::credentials(&error, host);
                (Verdict::Down(failure), false)
            }
            Said::Never(_) => {
                let why = format!(
                    "the mail server {host} refuses the sender `from`: {}",
                    failures::answer(&error)
                );
                (Verdict::Down(Failure::invalid(why)), true)
            }
            Said::Later(_) | Said::Nothing => judged(&error, host),
        };
    }
    if let Err(error) = connection.command(Rcpt::new(to.clone(), Vec::new())).await {
        return judged(&error, host);
    }
    if let Err(error) = connection.command(Data).await {
        return judged(&error, host);
    }
    match connection.message(message).await {
        Ok(_) => (Verdict::Sent, true),
        Err(error) => judged(&error, host),
    }
}

/// What a failed command means for the recipient, and whether the connection can be used again.
fn judged(error: &Error, host: &str) -> (Verdict, bool) {
    match failures::said(error) {
        Said::Later(code) => {
            let failure = Failure::unavailable(failures::answer(error));
            (Verdict::PutOff(failure), code != CLOSING)
        }
        Said::Never(_) => (Verdict::Refused(failures::answer(error)), true),
        Said::Nothing => (Verdict::PutOff(failures::broken(error, host)), false),
    }
}
