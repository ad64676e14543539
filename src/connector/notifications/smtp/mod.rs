//! E-mail by SMTP.
//!
//! Each recipient gets an e-mail and an outcome of its own. Knows nothing of templates and of the other channels.
//! Invariants: what a recipient's server said for good, yes or no, is written to the store before the next e-mail goes by
//! that connection; an e-mail that may be sent twice has the same `Message-ID` both times.

mod address;
mod connecting;
mod delivery;
mod failures;
mod letter;
mod lines;
mod pool;
#[cfg(test)]
mod tests;

pub(super) use letter::{Letter, Recipient, Texts};

use super::memory::{Fate, Memory};
use crate::connector::Failure;
use crate::engine::preparation::Preparation;
use crate::resources::{MailSecurity, Smtp};
use connecting::{Patience, Server};
use delivery::Verdict;
use futures_util::future::join_all;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use pool::{Held, Pool};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Connections that one attempt uses at once.
const AT_ONCE: usize = 4;

/// A mail server that can be used.
pub(super) struct Mailer {
    pool: Pool,
    from: Mailbox,
    reply_to: Option<Mailbox>,
}

impl Mailer {
    /// Puts the secrets in. Connects to nothing yet.
    pub(super) async fn open(smtp: &Smtp, preparation: &Preparation) -> Result<Self, Failure> {
        Self::with(smtp, preparation, Patience::default()).await
    }

    async fn with(smtp: &Smtp, preparation: &Preparation, patience: Patience) -> Result<Self, Failure> {
        crate::tls::prepare();
        let host = preparation.reveal(smtp.host.as_written()).await?;
        let sender = |name: &'static str| move |why| Failure::invalid(format!("emails.{name}: {why}"));
        let from = preparation.reveal(smtp.from.as_written()).await?;
        let from = address::mailbox(&from).map_err(sender("from"))?;
        let reply_to = match &smtp.reply_to {
            Some(text) => {
                let text = preparation.reveal(text.as_written()).await?;
                Some(address::mailbox(&text).map_err(sender("replyTo"))?)
            }
            None => None,
        };
        let credentials = match &smtp.credentials {
            Some((username, password)) => {
                let password = preparation.reveal(password.as_written()).await?;
                preparation.secrets.masker.learn(&password);
                Some(Credentials::new(
                    preparation.reveal(username.as_written()).await?,
                    password,
                ))
            }
            None => None,
        };
        let ca = match &smtp.ca {
            Some(pem) => Some(preparation.reveal(pem.as_written()).await?),
            None => None,
        };
        let tls = match smtp.security {
            MailSecurity::None => None,
            MailSecurity::Tls | MailSecurity::StartTls => Some(tls(&host, ca.as_deref())?),
        };
        let server = Server {
            host,
            port: smtp.port,
            security: smtp.security,
            tls,
            credentials,
            patience,
        };
        Ok(Self {
            pool: Pool::new(server),
            from,
            reply_to,
        })
    }

    /// An e-mail to these recipients, which are checked.
    pub(super) fn letter(&self, texts: Texts, recipients: Vec<String>, key: &str) -> Result<Letter, Failure> {
        Letter::new(texts, recipients, key, &self.from)
    }

    /// Sends an e-mail to each recipient that has no outcome yet: the outcome of each, in their order.
    pub(super) async fn send(&self, letter: &Letter, memory: &Memory<'_>) -> Vec<Fate> {
        let known: Vec<Option<Fate>> = letter.recipients().iter().map(|one| memory.fate(&step(one))).collect();
        let open: Vec<usize> = (0..known.len()).filter(|index| known[*index].is_none()).collect();
        let round = Round {
            mailer: self,
            letter,
            memory,
            next: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            fates: Mutex::new(known),
            open,
        };
        join_all((0..AT_ONCE.min(round.open.len())).map(|_| round.work())).await;
        let fates = round.fates.into_inner().unwrap_or_else(PoisonError::into_inner);
        fates.into_iter().map(|fate| fate.unwrap_or(Fate::Untried)).collect()
    }

    /// Connects and authenticates.
    pub(super) async fn check(&self) -> Result<(), Failure> {
        let held = self.pool.acquire().await?;
        self.pool.release(held).await;
        Ok(())
    }

    /// Ends its connections.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// What the outcome of a recipient is remembered by.
fn step(recipient: &Recipient) -> String {
    format!("email:{}", recipient.id)
}

/// Sending one e-mail to many: several connections take the next recipient each.
struct Round<'a> {
    mailer: &'a Mailer,
    letter: &'a Letter,
    memory: &'a Memory<'a>,
    /// Recipients without an outcome, by their index.
    open: Vec<usize>,
    /// The next of these.
    next: AtomicUsize,
    /// Nothing goes any more.
    down: AtomicBool,
    fates: Mutex<Vec<Option<Fate>>>,
}

impl Round<'_> {
    async fn work(&self) {
        let mut held = None;
        while let Some(index) = self.take() {
            let Some(recipient) = self.letter.recipients().get(index) else {
                break;
            };
            let fate = self.one(recipient, &mut held).await;
            let mut fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = fates.get_mut(index) {
                *place = Some(fate);
            }
        }
        if let Some(held) = held {
            self.mailer.pool.release(held).await;
        }
    }

    fn take(&self) -> Option<usize> {
        if self.down.load(Ordering::Relaxed) {
            return None;
        }
        self.open.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }

    fn stop(&self, failure: Failure) -> Fate {
        self.down.store(true, Ordering::Relaxed);
        Fate::Failed(failure)
    }

    /// The outcome of one recipient, remembered if it is for good.
    async fn one(&self, recipient: &Recipient, held: &mut Option<Held>) -> Fate {
        let fate = match self.deliver(recipient, held).await {
            Verdict::Sent => Fate::Done,
            Verdict::Refused(why) => Fate::Refused(why),
            Verdict::PutOff(failure) => return Fate::Failed(failure),
            Verdict::Down(failure) => return self.stop(failure),
        };
        match self.memory.record(&step(recipient), &fate).await {
            Ok(()) => fate,
            // A later attempt will be refused again.
            Err(_) if matches!(fate, Fate::Refused(_)) => fate,
            // Without memory each further e-mail would be sent again.
            Err(failure) => self.stop(failure),
        }
    }

    async fn deliver(&self, recipient: &Recipient, held: &mut Option<Held>) -> Verdict {
        let mailer = self.mailer;
        let message = match self
            .letter
            .written_to(recipient, &mailer.from, mailer.reply_to.as_ref())
        {
            Ok(message) => message,
            Err(failure) => return Verdict::Refused(failure.message),
        };
        if held.as_ref().is_some_and(Held::is_worn)
            && let Some(worn) = held.take()
        {
            mailer.pool.release(worn).await;
        }
        let mut used = match held.take() {
            Some(used) => used,
            None => match mailer.pool.acquire().await {
                Ok(fresh) => fresh,
                Err(failure) => return Verdict::Down(failure),
            },
        };
        used.used();
        let server = &mailer.pool.server;
        let way = (&mailer.from.email, &recipient.mailbox.email);
        let (verdict, usable) = delivery::deliver(
            &mut used.connection,
            &server.host,
            way,
            &message,
            server.patience.sending,
        )
        .await;
        if usable {
            *held = Some(used);
        }
        verdict
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
