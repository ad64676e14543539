//! E-mail by SMTP.
//!
//! Each recipient gets an e-mail and an outcome of its own. Knows nothing of templates and of the other channels.
//! Invariants: the final outcome of a recipient is stored before the next e-mail is sent by that connection; an e-mail that
//! is sent twice has the same `Message-ID` both times.

mod address;
mod connect;
mod delivery;
mod email;
mod failures;
mod headers;
mod line_stream;
mod pool;
#[cfg(test)]
mod tests;

pub(super) use email::{Email, Recipient, Texts};

use super::history::{DeliveryHistory, DeliveryOutcome};
use crate::connector::Failure;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{Smtp, SmtpSecurity};
use connect::{MailServer, Timeouts};
use delivery::{Delivery, SmtpOutcome};
use futures_util::future::join_all;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use pool::{Pool, PooledConnection};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Most connections of one attempt.
const MAX_CONNECTIONS_PER_SEND: usize = 4;

/// Sends e-mail by one SMTP server.
pub(super) struct Mailer {
    pool: Pool,
    from: Mailbox,
    reply_to: Option<Mailbox>,
}

impl Mailer {
    /// Resolves the secrets. Does not connect yet.
    pub(super) async fn open(smtp: &Smtp, expressions: &ExpressionResolver) -> Result<Self, Failure> {
        Self::with_timeouts(smtp, expressions, Timeouts::default()).await
    }

    async fn with_timeouts(smtp: &Smtp, expressions: &ExpressionResolver, timeouts: Timeouts) -> Result<Self, Failure> {
        crate::tls::install_crypto_provider();
        let host = expressions.reveal(smtp.host.as_written()).await?;
        let sender = |name: &'static str| move |why| Failure::invalid(format!("emails.{name}: {why}"));
        let from = expressions.reveal(smtp.from.as_written()).await?;
        let from = address::mailbox(&from).map_err(sender("from"))?;
        let reply_to = match &smtp.reply_to {
            Some(text) => {
                let text = expressions.reveal(text.as_written()).await?;
                Some(address::mailbox(&text).map_err(sender("replyTo"))?)
            }
            None => None,
        };
        let credentials = match &smtp.credentials {
            Some((username, password)) => {
                let password = expressions.reveal(password.as_written()).await?;
                expressions.add_masked_value(&password);
                Some(Credentials::new(
                    expressions.reveal(username.as_written()).await?,
                    password,
                ))
            }
            None => None,
        };
        let ca = match &smtp.ca {
            Some(pem) => Some(expressions.reveal(pem.as_written()).await?),
            None => None,
        };
        let tls = match smtp.security {
            SmtpSecurity::None => None,
            SmtpSecurity::Tls | SmtpSecurity::StartTls => Some(tls(&host, ca.as_deref())?),
        };
        let server = MailServer {
            host,
            port: smtp.port,
            security: smtp.security,
            tls,
            credentials,
            timeouts,
        };
        Ok(Self {
            pool: Pool::new(server),
            from,
            reply_to,
        })
    }

    /// Builds an e-mail, and checks its recipients.
    pub(super) fn email(&self, texts: Texts, recipients: Vec<String>, key: &str) -> Result<Email, Failure> {
        Email::new(texts, recipients, key, &self.from)
    }

    /// Sends the e-mail to each recipient without a recorded outcome. Returns all outcomes in the order of recipients.
    pub(super) async fn send(&self, email: &Email, history: &DeliveryHistory<'_>) -> Vec<DeliveryOutcome> {
        let known: Vec<Option<DeliveryOutcome>> = email
            .recipients()
            .iter()
            .map(|recipient| history.outcome(&step(recipient)))
            .collect();
        let pending: Vec<usize> = (0..known.len()).filter(|index| known[*index].is_none()).collect();
        let bulk = BulkSend {
            mailer: self,
            email,
            history,
            next: AtomicUsize::new(0),
            server_unusable: AtomicBool::new(false),
            outcomes: Mutex::new(known),
            pending,
        };
        join_all((0..MAX_CONNECTIONS_PER_SEND.min(bulk.pending.len())).map(|_| bulk.work())).await;
        let outcomes = bulk.outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or(DeliveryOutcome::NotAttempted))
            .collect()
    }

    /// Connects and authenticates.
    pub(super) async fn check(&self) -> Result<(), Failure> {
        let pooled = self.pool.acquire().await?;
        self.pool.release(pooled).await;
        Ok(())
    }

    /// Closes its connections.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Name of the step that records a recipient's outcome.
fn step(recipient: &Recipient) -> String {
    format!("email:{}", recipient.id)
}

/// One e-mail on its way to many recipients: several connections each take the next one.
struct BulkSend<'a> {
    mailer: &'a Mailer,
    email: &'a Email,
    history: &'a DeliveryHistory<'a>,
    /// Indexes of recipients without an outcome.
    pending: Vec<usize>,
    /// Position in `pending` of the next recipient.
    next: AtomicUsize,
    /// Set when no further e-mail should be tried.
    server_unusable: AtomicBool,
    outcomes: Mutex<Vec<Option<DeliveryOutcome>>>,
}

impl BulkSend<'_> {
    async fn work(&self) {
        let mut pooled = None;
        while let Some(index) = self.next_pending() {
            let Some(recipient) = self.email.recipients().get(index) else {
                break;
            };
            let outcome = self.send_to(recipient, &mut pooled).await;
            let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = outcomes.get_mut(index) {
                *place = Some(outcome);
            }
        }
        if let Some(pooled) = pooled {
            self.mailer.pool.release(pooled).await;
        }
    }

    fn next_pending(&self) -> Option<usize> {
        if self.server_unusable.load(Ordering::Relaxed) {
            return None;
        }
        self.pending.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }

    fn stop(&self, failure: Failure) -> DeliveryOutcome {
        self.server_unusable.store(true, Ordering::Relaxed);
        DeliveryOutcome::Failed(failure)
    }

    /// Sends to one recipient, and records the outcome if it is final.
    async fn send_to(&self, recipient: &Recipient, pooled: &mut Option<PooledConnection>) -> DeliveryOutcome {
        let outcome = match self.deliver(recipient, pooled).await {
            SmtpOutcome::Sent => DeliveryOutcome::Sent,
            SmtpOutcome::Refused(why) => DeliveryOutcome::Refused(why),
            SmtpOutcome::Deferred(failure) => return DeliveryOutcome::Failed(failure),
            SmtpOutcome::ServerUnusable(failure) => return self.stop(failure),
        };
        match self.history.record(&step(recipient), &outcome).await {
            Ok(()) => outcome,
            // Not recorded: a later attempt tries again and is refused again.
            Err(_) if matches!(outcome, DeliveryOutcome::Refused(_)) => outcome,
            // Outcomes cannot be recorded: each further e-mail would be sent again by the next attempt.
            Err(failure) => self.stop(failure),
        }
    }

    async fn deliver(&self, recipient: &Recipient, pooled: &mut Option<PooledConnection>) -> SmtpOutcome {
        let mailer = self.mailer;
        let message = match self
            .email
            .message_for(recipient, &mailer.from, mailer.reply_to.as_ref())
        {
            Ok(message) => message,
            Err(failure) => return SmtpOutcome::Refused(failure.message),
        };
        if pooled.as_ref().is_some_and(PooledConnection::is_used_up)
            && let Some(worn) = pooled.take()
        {
            mailer.pool.release(worn).await;
        }
        let used = match pooled.take() {
            Some(used) => used,
            None => match mailer.pool.acquire().await {
                Ok(fresh) => fresh,
                Err(failure) => return SmtpOutcome::ServerUnusable(failure),
            },
        };
        let had_been_used = used.has_been_used();
        let (delivery, used) = self.deliver_by(used, recipient, &message).await;
        if !(delivery.was_closed && had_been_used) {
            *pooled = delivery.usable.then_some(used);
            return delivery.outcome;
        }
        // The server had enough of the connection, or of its idleness, and has nothing of this e-mail.
        let fresh = match mailer.pool.renew(used).await {
            Ok(fresh) => fresh,
            Err(failure) => return SmtpOutcome::ServerUnusable(failure),
        };
        let (delivery, used) = self.deliver_by(fresh, recipient, &message).await;
        *pooled = delivery.usable.then_some(used);
        delivery.outcome
    }

    async fn deliver_by(
        &self,
        mut used: PooledConnection,
        recipient: &Recipient,
        message: &[u8],
    ) -> (Delivery, PooledConnection) {
        used.count_use();
        let (mailer, server) = (self.mailer, &self.mailer.pool.server);
        let envelope = (&mailer.from.email, &recipient.mailbox.email);
        let connection = &mut used.connection;
        let delivery = delivery::deliver(connection, &server.host, envelope, message, server.timeouts.send).await;
        (delivery, used)
    }
}

fn tls(host: &str, ca: Option<&str>) -> Result<TlsParameters, Failure> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(pem) = ca {
        let wrong = || Failure::invalid("emails.ca: must be certificates in PEM (BEGIN CERTIFICATE)");
        parameters = parameters.certificate_store(CertificateStore::None);
        let mut found = false;
        for pem in pem.split_inclusive("-----END CERTIFICATE-----") {
            if pem.contains("-----BEGIN CERTIFICATE-----") {
                found = true;
                let certificate = Certificate::from_pem(pem.as_bytes()).map_err(|_| wrong())?;
                parameters = parameters.add_root_certificate(certificate);
            }
        }
        if !found {
            return Err(wrong());
        }
    }
    parameters
        .build()
        .map_err(|error| Failure::invalid(format!("emails: TLS cannot be set up for this host: {error}")))
}
