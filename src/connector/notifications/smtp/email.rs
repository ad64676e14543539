//! An e-mail, built once per recipient, so that none sees the others and each has its own outcome.

use super::address::mailbox;
use super::headers;
use crate::connector::Failure;
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use ring::digest;
use std::collections::HashSet;
use std::fmt::Write;

/// Most recipients of one job: a run may have a thousand steps, and each recipient takes one, or two after a manual retry.
const MAX_RECIPIENTS: usize = 490;
/// Longest subject, in characters.
const MAX_SUBJECT_CHARS: usize = 1_000;

/// The content of an e-mail.
#[derive(Clone, Debug)]
pub(in crate::connector::notifications) struct Texts {
    /// Its subject, a single line.
    pub subject: String,
    /// Its body in HTML.
    pub html: String,
    /// Its body in plain text.
    pub plain: Option<String>,
}

/// One recipient.
#[derive(Clone, Debug)]
pub(in crate::connector::notifications) struct Recipient {
    /// The address as the job gave it.
    pub written: String,
    /// Its index in the list.
    pub place: usize,
    /// A hash that identifies the recipient in steps without revealing the address.
    pub id: String,
    /// `Message-ID` of the e-mail to this recipient.
    pub message_id: String,
    pub(super) mailbox: Mailbox,
}

/// An e-mail that is ready to be sent.
pub(in crate::connector::notifications) struct Email {
    texts: Texts,
    body: Body,
    recipients: Vec<Recipient>,
}

enum Body {
    Single(SinglePart),
    Multipart(MultiPart),
}

impl Email {
    /// An e-mail to these recipients. `key` is the same for all attempts of the run.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` with the index of an invalid address.
    pub(super) fn new(texts: Texts, written: Vec<String>, key: &str, from: &Mailbox) -> Result<Self, Failure> {
        const PATH: &str = "input.email.recipients";
        if written.is_empty() {
            return Err(Failure::invalid(format!("{PATH}: must not be empty")));
        }
        if written.len() > MAX_RECIPIENTS {
            return Err(Failure::invalid(format!(
                "{PATH}: must have at most {MAX_RECIPIENTS} entries, got {}; dispatch several jobs",
                written.len()
            )));
        }
        if texts.subject.chars().count() > MAX_SUBJECT_CHARS {
            return Err(Failure::invalid(format!(
                "input.email.subject: the subject becomes longer than {MAX_SUBJECT_CHARS} characters"
            )));
        }
        let mut recipients = Vec::with_capacity(written.len());
        let mut known = HashSet::new();
        for (place, written) in written.into_iter().enumerate() {
            let mailbox = mailbox(&written).map_err(|why| Failure::invalid(format!("{PATH}[{place}]: {why}")))?;
            // A repeated address gets one e-mail.
            if known.insert(mailbox.email.clone()) {
                let address: &str = mailbox.email.as_ref();
                recipients.push(Recipient {
                    written,
                    place,
                    message_id: format!("<{}@{}>", recipient_id(key, address), from.email.domain()),
                    id: recipient_id("", address),
                    mailbox,
                });
            }
        }
        let html = SinglePart::html(normalize_line_endings(&texts.html));
        let body = match &texts.plain {
            None => Body::Single(html),
            Some(plain) => Body::Multipart(
                MultiPart::alternative()
                    .singlepart(SinglePart::plain(normalize_line_endings(plain)))
                    .singlepart(html),
            ),
        };
        Ok(Self {
            texts,
            body,
            recipients,
        })
    }

    /// The recipients, without duplicates.
    pub(in crate::connector::notifications) fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// Builds the e-mail to one recipient.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for content that cannot be encoded as an e-mail.
    pub(super) fn message_for(
        &self,
        recipient: &Recipient,
        from: &Mailbox,
        reply_to: Option<&Mailbox>,
    ) -> Result<Vec<u8>, Failure> {
        let mut message = Message::builder()
            .from(from.clone())
            .to(recipient.mailbox.clone())
            .subject(self.texts.subject.clone())
            .message_id(Some(recipient.message_id.clone()));
        if let Some(reply_to) = reply_to {
            message = message.reply_to(reply_to.clone());
        }
        // In place of those before, where a reader would misread them.
        let misread = [
            headers::subject(&self.texts.subject),
            headers::address("From", from),
            headers::address("To", &recipient.mailbox),
            reply_to.and_then(|reply_to| headers::address("Reply-To", reply_to)),
        ];
        for header in misread.into_iter().flatten() {
            message = message.raw_header(header);
        }
        let message = match &self.body {
            Body::Single(part) => message.singlepart(part.clone()),
            Body::Multipart(parts) => message.multipart(parts.clone()),
        };
        message
            .map(|message| message.formatted())
            .map_err(|error| Failure::invalid(format!("the e-mail cannot be written: {error}")))
    }
}

/// Converts all line endings to CRLF: programs disagree on whether a bare CR or LF ends a line, which allows SMTP
/// smuggling.
fn normalize_line_endings(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

/// Identifies a recipient of a run.
fn recipient_id(key: &str, address: &str) -> String {
    let digest = digest::digest(&digest::SHA256, format!("{key}\n{address}").as_bytes());
    digest
        .as_ref()
        .iter()
        .take(16)
        .fold(String::with_capacity(32), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(subject: &str, html: &str, recipients: &[&str]) -> Result<Email, Failure> {
        let texts = Texts {
            subject: subject.into(),
            html: html.into(),
            plain: None,
        };
        let recipients = recipients.iter().map(|text| (*text).to_owned()).collect();
        Email::new(texts, recipients, "job_1/1", &mailbox("Shop <shop@b.example>").unwrap())
    }

    #[test]
    fn duplicate_recipient_gets_one_email_with_a_stable_message_id() {
        let sent = email(
            "s",
            "h",
            &["a@b.example", "A <a@b.example>", "a@B.example", "c@b.example"],
        )
        .unwrap();
        let ids: Vec<_> = sent
            .recipients
            .iter()
            .map(|one| (one.place, one.message_id.clone()))
            .collect();
        assert_eq!(ids.len(), 2);
        assert_eq!((ids[0].0, ids[1].0), (0, 3));
        let again = email("other", "h", &["c@b.example", "a@b.example"]).unwrap();
        assert_eq!(again.recipients[1].message_id, ids[0].1);
        assert_ne!(ids[0].1, ids[1].1);
        assert!(ids[0].1.ends_with("@b.example>") && !ids[0].1.contains("a@"));
    }

    #[test]
    fn recipient_list_is_bounded_and_errors_name_the_index() {
        let many: Vec<String> = (0..491).map(|n| format!("a{n}@b.example")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let message = |answer: Result<Email, Failure>| answer.err().unwrap().message;
        assert!(message(email("s", "h", &many)).contains("at most 490"));
        assert!(email("s", "h", &many[1..]).is_ok());
        assert!(message(email("s", "h", &[])).contains("must not be empty"));
        assert!(message(email(&"s".repeat(1_001), "h", &["a@b.example"])).contains("longer than"));
        let wrong = message(email("s", "h", &["a@b.example", "secret person"]));
        assert!(wrong.starts_with("input.email.recipients[1]: ") && !wrong.contains("secret"));
    }

    #[test]
    fn encoded_words_of_a_value_stay_text() {
        let from = mailbox("=?utf-8?q?Boss?= <shop@b.example>").unwrap();
        let email = email("=?utf-8?q?Free_money?= today", "h", &["=?utf-8?q?Ann?= <a@b.example>"]).unwrap();
        let text = email.message_for(&email.recipients[0], &from, Some(&from)).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.is_ascii() && !text.contains("?q?"), "{text}");
        for header in [
            "Subject: =?utf-8?b?",
            "From: =?utf-8?b?",
            "To: =?utf-8?b?",
            "Reply-To: =?utf-8?b?",
        ] {
            assert_eq!(
                text.matches(&format!("\r\n{header}")).count() + usize::from(text.starts_with(header)),
                1,
                "{text}"
            );
        }
        for address in ["<shop@b.example>", "<a@b.example>"] {
            assert!(text.contains(address), "{text}");
        }
    }

    #[test]
    fn line_separators_cannot_split_a_message() {
        let from = mailbox("shop@b.example").unwrap();
        for html in [
            "a\n.\nb",
            "a\r.\rb",
            "a\r\n.\r\nb",
            "a\n.\rb\r\n.\r\nRCPT TO:<x@y.z>\r\n",
        ] {
            let email = email("s", html, &["a@b.example"]).unwrap();
            let text = email.message_for(&email.recipients[0], &from, None).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert_eq!(text.replace("\r\n", "").matches(['\r', '\n']).count(), 0, "{text:?}");
            assert!(text.is_ascii());
        }
    }
}
