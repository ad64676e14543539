//! Opens what comes out of a store. What cannot be opened is shown as a marker in its place.

use super::keyring::{Keyring, Opened};
use crate::model::{JobId, JobOptions, RunError, WebhookSecret};
use crate::store::payload::{Field, Unreadable};
use crate::store::{ClaimedRun, History, JobRecord, LogLine, StoredEvent, Webhook};

/// How a sealed token looks in the JSON text of options; in a text of a user's the quote would be escaped.
fn holds_sealed_token(options: &str) -> bool {
    options.contains("\"token\":\"$sealed:")
}

impl Keyring {
    /// Opens a text in its place, or leaves there what stands for it.
    fn open_in(&self, field: &Field<'_>, text: &mut Box<str>) -> Option<Unreadable> {
        let unreadable = match self.open(field, text) {
            Opened::Clear => return None,
            Opened::Text(opened) => {
                *text = opened;
                return None;
            }
            Opened::Unreadable(unreadable) => unreadable,
        };
        *text = if field.is_json() {
            unreadable.marker_json()
        } else {
            unreadable.marker_text()
        };
        Some(unreadable)
    }

    fn open_some(&self, field: &Field<'_>, text: &mut Option<Box<str>>) {
        if let Some(text) = text {
            self.open_in(field, text);
        }
    }

    /// Opens the token in the JSON text of a job's options.
    fn open_options(&self, id: &JobId, text: &mut Option<Box<str>>) -> Option<Unreadable> {
        let options = text.as_deref().filter(|options| holds_sealed_token(options))?;
        let mut options: JobOptions = serde_json::from_str(options).ok()?;
        let session = options.session.as_mut()?;
        let unreadable = self.open_in(&Field::Token(id), &mut session.token);
        *text = serde_json::to_string(&options).ok().map(Into::into);
        unreadable
    }

    pub(super) fn open_run(&self, run: &mut ClaimedRun) {
        let input = self.open_in(&Field::Input(&run.id), &mut run.input);
        let token = self.open_options(&run.id, &mut run.options);
        run.unreadable = input.or(token).map(Box::new);
    }

    pub(super) fn open_error(&self, error: &mut RunError) {
        self.open_in(&Field::Message, &mut error.message);
        self.open_some(&Field::Stack, &mut error.stack);
        self.open_some(&Field::Causes, &mut error.origin);
    }

    pub(super) fn open_reason(&self, reason: &mut Option<Box<str>>) {
        self.open_some(&Field::Message, reason);
    }

    pub(super) fn open_record(&self, record: &mut JobRecord) {
        self.open_in(&Field::Input(&record.id), &mut record.input);
        self.open_options(&record.id, &mut record.options);
        self.open_some(&Field::Result(record.job), &mut record.result);
        self.open_some(&Field::Progress(record.job), &mut record.progress);
        self.open_reason(&mut record.cancel_reason);
        let last_error = record.last_run.as_mut().and_then(|last| last.error.as_mut());
        for error in record.error.as_mut().into_iter().chain(last_error) {
            self.open_error(error);
        }
    }

    pub(super) fn open_history(&self, history: &mut History) {
        for entry in &mut history.entries {
            self.open_some(&Field::Result(history.job), &mut entry.result);
            if let Some(error) = &mut entry.error {
                self.open_error(error);
            }
        }
    }

    pub(super) fn open_line(&self, line: &mut LogLine) {
        self.open_in(&Field::LogLine(line.job), &mut line.message);
    }

    pub(super) fn open_webhook(&self, webhook: &mut Webhook) {
        let mut secret: Box<str> = webhook.secret.expose().into();
        webhook.unreadable = self.open_in(&Field::WebhookSecret(&webhook.url), &mut secret);
        webhook.secret = WebhookSecret::stored(secret);
        self.open_some(&Field::WebhookError(&webhook.id), &mut webhook.last_error);
    }

    pub(super) fn open_event(&self, event: &mut StoredEvent) {
        if let Some(error) = &mut event.error {
            self.open_error(error);
        }
    }
}

/// Bytes that a run brings.
pub(super) fn size_of_run(run: &ClaimedRun) -> usize {
    run.input.len()
}
