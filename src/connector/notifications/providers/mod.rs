//! Providers with an API of their own, which take e-mail, text messages and push notifications by HTTP.
//!
//! Each provider says how a request for some recipients is built and how its answer is read, and does no I/O; what is here
//! sends. Invariants: the final outcome of a recipient is recorded before the next request of that worker; no message
//! contains a credential, an address of a recipient or content that was sent.

mod answer;
mod email;
mod push;
mod recipients;
mod request;
mod sender;
mod sms;

mod brevo;
mod expo;
mod firebase;
mod mail;
mod mailgun;
mod nexmo;
mod plivo;
mod postmark;
mod sendgrid;
#[cfg(feature = "ses")]
mod ses;
mod twilio;

#[cfg(test)]
mod tests;

pub(super) use email::ApiMailer;
pub(super) use mail::MailContent;
pub(super) use push::{ApiPusher, PushContent};
pub(super) use recipients::Batch;
use recipients::Recipient;
pub(super) use sender::Delivery;
pub(super) use sms::ApiTexter;

use crate::connector::Failure;
use crate::http::Client;
use answer::{Answer, Outcome, Refusal};
use async_trait::async_trait;
use request::ApiRequest;

/// A provider that takes messages of type `C`.
#[async_trait]
trait Provider<C>: Send + Sync {
    /// Its name in definitions.
    fn name(&self) -> &'static str;

    /// Most recipients of one request.
    fn batch(&self) -> usize {
        1
    }

    /// The request that sends to these recipients.
    fn request(&self, content: &C, recipients: &[&Recipient]) -> Result<ApiRequest, Failure>;

    /// What the answer says of each of `count` recipients, in their order. Asked only for what
    /// [`Answer::general`](answer::Answer::general) does not answer.
    fn read(&self, answer: &Answer, count: usize) -> Vec<Outcome>;

    /// A request that changes nothing, and shows whether the credentials are right.
    fn probe(&self) -> Result<ApiRequest, Failure>;

    /// Whether an answer to [`probe`](Self::probe) that is no success still shows that the credentials are right.
    fn is_known_by(&self, _answer: &Answer) -> bool {
        false
    }

    /// The request for receipts of what was taken; `None`: the provider has none.
    fn receipts(&self, _ids: &[&str]) -> Option<ApiRequest> {
        None
    }

    /// What the receipts say of one id; `None`: nothing yet.
    fn read_receipt(&self, _answer: &Answer, _id: &str) -> Option<Result<(), Refusal>> {
        None
    }

    /// Adds to a request what must be made for each, such as a signature.
    async fn authorize(&self, _client: &Client, _request: &mut ApiRequest) -> Result<(), Failure> {
        Ok(())
    }

    /// Its credentials were refused; whether others may be had.
    fn forget_credentials(&self) -> bool {
        false
    }
}
