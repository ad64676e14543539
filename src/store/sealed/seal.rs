//! Seals what goes into a store.

use super::keyring::Keyring;
use crate::error::Result;
use crate::model::{JobId, MAX_MESSAGE_BYTES, NewJob, RunError, RunOutcome, WebhookSecret};
use crate::store::payload::Field;
use crate::store::{Change, Completion, DeliveryReport, Note, NoteKind};

impl Keyring {
    /// Seals a text in its place.
    pub(super) fn seal_in(&self, field: &Field<'_>, text: &mut Box<str>) -> Result<()> {
        if let Some(sealed) = self.seal(field, text)? {
            *text = sealed;
        }
        Ok(())
    }

    fn seal_some(&self, field: &Field<'_>, text: &mut Option<Box<str>>) -> Result<()> {
        text.as_mut().map_or(Ok(()), |text| self.seal_in(field, text))
    }

    pub(super) fn seal_job(&self, job: &mut NewJob) -> Result<()> {
        // Only a series whose id was generated is compared with others.
        if job.recurrence.is_some() && matches!(job.id, JobId::Generated(_)) {
            job.input_digest = self.digest(&job.input).or(job.input_digest.take());
        }
        self.seal_in(&Field::Input(&job.id), &mut job.input)?;
        if let Some(session) = &mut job.options.session {
            self.seal_in(&Field::Token(&job.id), &mut session.token)?;
        }
        Ok(())
    }

    pub(super) fn seal_error(&self, error: &mut RunError) -> Result<()> {
        self.seal_in(&Field::Message, &mut error.message)?;
        self.seal_some(&Field::Stack, &mut error.stack)?;
        self.seal_some(&Field::Causes, &mut error.origin)
    }

    pub(super) fn seal_completion(&self, completion: &mut Completion) -> Result<()> {
        match &mut completion.outcome {
            RunOutcome::Completed { result } => self.seal_some(&Field::Result(completion.job), result),
            RunOutcome::Failed { error } | RunOutcome::Retry { error, .. } => self.seal_error(error),
            RunOutcome::Snoozed { .. }
            | RunOutcome::Discarded
            | RunOutcome::Released
            | RunOutcome::Interrupted { .. }
            | RunOutcome::TakenBack => Ok(()),
        }
    }

    pub(super) fn seal_change(&self, change: &mut Change) -> Result<()> {
        let (Change::Cancel { reason: Some(reason) } | Change::CancelRun { reason: Some(reason) }) = change else {
            return Ok(());
        };
        // The store cuts a reason where it becomes the message of an error; a sealed one cannot be cut.
        let end = reason.floor_char_boundary(MAX_MESSAGE_BYTES);
        let mut cut: Box<str> = reason.get(..end).unwrap_or_default().into();
        self.seal_in(&Field::Message, &mut cut)?;
        *reason = cut;
        Ok(())
    }

    pub(super) fn seal_note(&self, note: &mut Note) -> Result<()> {
        match &mut note.kind {
            NoteKind::Progress(value) => self.seal_in(&Field::Progress(note.job), value),
            NoteKind::Log(message) => self.seal_in(&Field::LogLine(note.job), message),
        }
    }

    pub(super) fn seal_secret(&self, url: &str, secret: &WebhookSecret) -> Result<Option<WebhookSecret>> {
        let sealed = self.seal(&Field::WebhookSecret(url), secret.expose())?;
        Ok(sealed.map(WebhookSecret::stored))
    }

    pub(super) fn seal_report(&self, id: &str, report: &mut DeliveryReport) -> Result<()> {
        match report {
            DeliveryReport::Delivered => Ok(()),
            DeliveryReport::Failed { error, .. } => self.seal_in(&Field::WebhookError(id), error),
        }
    }
}

/// Bytes of what a job brings.
pub(super) fn size_of_job(job: &NewJob) -> usize {
    job.input.len()
}

/// Bytes of what an attempt brings.
pub(super) fn size_of_completion(completion: &Completion) -> usize {
    match &completion.outcome {
        RunOutcome::Completed { result } => result.as_ref().map_or(0, |result| result.len()),
        _ => 0,
    }
}
