//! Stand-in for the SMTP module in a build without it.

use super::history::{DeliveryHistory, DeliveryOutcome};
use crate::connector::Failure;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::Smtp;

/// Never constructed.
pub(super) enum Mailer {}

/// Never constructed.
pub(super) enum Email {}

/// One recipient.
pub(super) struct Recipient {
    pub written: String,
    pub place: usize,
    pub message_id: String,
}

/// The content of an e-mail.
#[allow(dead_code, reason = "nobody reads them here")]
pub(super) struct Texts {
    pub subject: String,
    pub html: String,
    pub plain: Option<String>,
}

impl Email {
    pub(super) fn recipients(&self) -> &[Recipient] {
        match *self {}
    }
}

impl Mailer {
    pub(super) async fn open(_: &Smtp, _: &ExpressionResolver) -> Result<Self, Failure> {
        Err(Failure::invalid(
            "this build of the package has no e-mail (the cargo feature `smtp`)",
        ))
    }

    pub(super) fn email(&self, _: Texts, _: Vec<String>, _: &str) -> Result<Email, Failure> {
        match *self {}
    }

    pub(super) async fn send(&self, _: &Email, _: &DeliveryHistory<'_>) -> Vec<DeliveryOutcome> {
        match *self {}
    }

    pub(super) async fn check(&self) -> Result<(), Failure> {
        match *self {}
    }

    pub(super) async fn close(&self) {
        match *self {}
    }
}
