//! E-mail by a provider's API.

use super::mail::{MailContent, Sender, secret};
use super::recipients::{self, ReadAddress};
use super::request::base_url;
use super::sender::ApiSender;
#[cfg(feature = "ses")]
use super::ses;
use super::{Batch, Delivery, Provider, brevo, mailgun, postmark, sendgrid};
use crate::connector::Failure;
#[cfg(feature = "ses")]
use crate::connector::aws::{Account, Credentials, GivenKey};
use crate::connector::notifications::address;
use crate::connector::notifications::history::DeliveryHistory;
use crate::connector::notifications::smtp::Texts;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{MailApi, MailService, OutboundRules};
use reqwest::Url;

/// Longest subject, in characters.
const MAX_SUBJECT_CHARS: usize = 1_000;

/// Sends e-mail by one provider.
pub(in crate::connector::notifications) struct ApiMailer {
    sender: ApiSender<MailContent>,
    domain: String,
}

impl ApiMailer {
    /// Resolves the secrets. Does not connect yet.
    pub(in crate::connector::notifications) async fn open(
        api: &MailApi,
        outbound: OutboundRules,
        expressions: &ExpressionResolver,
    ) -> Result<Self, Failure> {
        let from = Sender::open(api, expressions).await?;
        let domain = from.from.domain.clone();
        let endpoint = match &api.endpoint {
            Some(text) => Some(expressions.reveal(text.as_written()).await?),
            None => None,
        };
        let base = |public: &str| base_url(endpoint.as_deref().unwrap_or(public), "emails.endpoint");
        let url: Url;
        let provider: Box<dyn Provider<MailContent>> = match &api.service {
            MailService::SendGrid { api_key } => {
                url = base("https://api.sendgrid.com")?;
                Box::new(sendgrid::SendGrid {
                    base: url.clone(),
                    api_key: secret(api_key, expressions).await?,
                    sender: from,
                })
            }
            MailService::Mailgun {
                api_key,
                domain,
                europe,
            } => {
                url = base(if *europe {
                    "https://api.eu.mailgun.net"
                } else {
                    "https://api.mailgun.net"
                })?;
                Box::new(mailgun::Mailgun {
                    base: url.clone(),
                    api_key: secret(api_key, expressions).await?,
                    domain: expressions.reveal(domain.as_written()).await?,
                    sender: from,
                })
            }
            MailService::Postmark { server_token } => {
                url = base("https://api.postmarkapp.com")?;
                Box::new(postmark::Postmark {
                    base: url.clone(),
                    server_token: secret(server_token, expressions).await?,
                    sender: from,
                })
            }
            MailService::Brevo { api_key } => {
                url = base("https://api.brevo.com")?;
                Box::new(brevo::Brevo {
                    base: url.clone(),
                    api_key: secret(api_key, expressions).await?,
                    sender: from,
                })
            }
            #[cfg(not(feature = "ses"))]
            MailService::Ses { .. } => {
                return Err(Failure::invalid(
                    "this build of the package has no Amazon SES (the cargo feature `ses`)",
                ));
            }
            #[cfg(feature = "ses")]
            MailService::Ses {
                region,
                access_key_id,
                secret_access_key,
                session_token,
            } => {
                let region = expressions.reveal(region.as_written()).await?;
                if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                    return Err(Failure::invalid(
                        "emails.region: must be a region of AWS, as in 'eu-west-1'",
                    ));
                }
                url = base(&format!("https://email.{region}.amazonaws.com"))?;
                Box::new(ses::Ses {
                    base: url.clone(),
                    credentials: Credentials::of(Account {
                        label: "Amazon SES",
                        service: "ses",
                        place: "`emails`",
                        region,
                        given: Some(GivenKey {
                            id: expressions.reveal(access_key_id.as_written()).await?,
                            secret: secret(secret_access_key, expressions).await?,
                            session_token: match session_token {
                                Some(token) => Some(secret(token, expressions).await?),
                                None => None,
                            },
                        }),
                        profile: None,
                    }),
                    sender: from,
                })
            }
        };
        let host = url.host_str().unwrap_or_default();
        Ok(Self {
            sender: ApiSender::open(provider, host, outbound).await?,
            domain,
        })
    }

    /// An e-mail to these recipients. `key` is the same for all attempts of the run.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` with the index of an invalid address.
    pub(in crate::connector::notifications) fn email(
        &self,
        texts: Texts,
        written: Vec<String>,
        key: &str,
    ) -> Result<Batch<MailContent>, Failure> {
        if texts.subject.chars().count() > MAX_SUBJECT_CHARS {
            return Err(Failure::invalid(format!(
                "input.email.subject: the subject becomes longer than {MAX_SUBJECT_CHARS} characters"
            )));
        }
        let read_one = |written: &str| {
            let mailbox = address::mailbox(written)?;
            Ok(ReadAddress {
                address: mailbox.address(),
                name: mailbox.name,
            })
        };
        let (channel, list) = ("email", "recipients");
        Ok(Batch {
            channel,
            list,
            recipients: recipients::read((channel, list), written, key, read_one)?,
            content: MailContent {
                texts,
                domain: self.domain.clone(),
            },
        })
    }

    /// Sends to each recipient without a recorded outcome. Returns all outcomes in the order of recipients.
    pub(in crate::connector::notifications) async fn send(
        &self,
        batch: &Batch<MailContent>,
        history: &DeliveryHistory<'_>,
    ) -> Vec<Delivery> {
        self.sender.send(batch, history).await
    }

    /// Asks whether the credentials are right.
    pub(in crate::connector::notifications) async fn check(&self) -> Result<(), Failure> {
        self.sender.check().await
    }
}
