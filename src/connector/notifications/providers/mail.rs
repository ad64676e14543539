//! What e-mails of all providers have: what they say and who sends them.

use crate::connector::Failure;
use crate::connector::notifications::address::{self, Mailbox};
use crate::connector::notifications::smtp::Texts;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{MailApi, Text};

/// What an e-mail says.
pub(in crate::connector::notifications) struct MailContent {
    pub texts: Texts,
    /// The part of a `Message-ID` after the `@`.
    pub domain: String,
}

/// Who sends, for all e-mails of a provider.
pub(super) struct Sender {
    pub from: Mailbox,
    pub reply_to: Option<Mailbox>,
}

impl Sender {
    /// Resolves the secrets.
    pub(super) async fn open(api: &MailApi, expressions: &ExpressionResolver) -> Result<Self, Failure> {
        let named = |name: &'static str| move |why| Failure::invalid(format!("emails.{name}: {why}"));
        let text = expressions.reveal(api.from.as_written()).await?;
        let mut from = address::mailbox(&text).map_err(named("from"))?;
        if let Some(name) = &api.from_name {
            let name = expressions.reveal(name.as_written()).await?;
            let with_name = format!("{name} <{}>", from.address());
            from = address::mailbox(&with_name).map_err(named("sender_name"))?;
        }
        let reply_to = match &api.reply_to {
            Some(text) => {
                let text = expressions.reveal(text.as_written()).await?;
                Some(address::mailbox(&text).map_err(named("replyTo"))?)
            }
            None => None,
        };
        Ok(Self { from, reply_to })
    }
}

/// A credential, which no message shows from now on.
pub(super) async fn secret(text: &Text, expressions: &ExpressionResolver) -> Result<String, Failure> {
    let secret = expressions.reveal(text.as_written()).await?;
    expressions.add_masked_value(&secret);
    Ok(secret)
}
