//! Columns with payloads, as whoever seals them anew walks through them: row by row, whatever table they are in.

use super::JobSeq;
use crate::error::Result;
use crate::model::JobId;
use async_trait::async_trait;
use std::time::Duration;

/// A column with payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextColumn {
    /// Inputs of jobs.
    Inputs,
    /// Options of jobs, which hold the tokens of sessions.
    Options,
    /// Results of attempts.
    Results,
    /// Errors of attempts.
    Errors,
    /// Results of steps.
    Steps,
    /// Progress of jobs.
    Progress,
    /// Log lines of jobs.
    LogLines,
    /// Values of entries.
    Entries,
    /// Secrets of webhooks.
    WebhookSecrets,
    /// Last errors of webhooks.
    WebhookErrors,
    /// Reasons for which series were cancelled.
    CancelReasons,
    /// Errors of events in the outbox.
    EventErrors,
}

impl TextColumn {
    /// All of them, in the order in which they are walked through.
    pub const ALL: [Self; 12] = [
        Self::Inputs,
        Self::Options,
        Self::Results,
        Self::Errors,
        Self::Steps,
        Self::Progress,
        Self::LogLines,
        Self::Entries,
        Self::WebhookSecrets,
        Self::WebhookErrors,
        Self::CancelReasons,
        Self::EventErrors,
    ];

    /// Whether the column holds JSON in which only some texts are payloads.
    pub(in crate::store) fn holds_texts_within(self) -> bool {
        matches!(self, Self::Options | Self::Errors | Self::EventErrors)
    }

    /// The one behind it.
    pub(in crate::store) fn next(self) -> Option<Self> {
        let mut rest = Self::ALL.into_iter().skip_while(|column| *column != self);
        rest.nth(1)
    }
}

/// What finds a row in the table of a column: its primary key, with zeros and empty texts for what that does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextKey {
    /// Its numbers.
    pub numbers: [i64; 3],
    /// Its names.
    pub names: [Box<str>; 2],
}

impl TextKey {
    /// Before every row.
    #[must_use]
    pub fn first() -> Self {
        Self {
            numbers: [i64::MIN; 3],
            names: Default::default(),
        }
    }

    /// The job of a row of a table whose key begins with the job's number.
    #[must_use]
    pub fn job(&self) -> JobSeq {
        JobSeq::new(self.numbers[0])
    }
}

/// A text, where it is and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredText {
    /// Its row.
    pub key: TextKey,
    /// The job's id, in the columns of jobs.
    pub id: Option<JobId>,
    /// URL or id of the webhook, in the columns of webhooks; else empty.
    pub webhook: Box<str>,
    /// The text.
    pub text: Box<str>,
}

/// Some rows of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextPage {
    /// Their texts, without those that were to be passed over.
    pub texts: Vec<StoredText>,
    /// The last row that was looked at. `None`: there are no more.
    pub next: Option<TextKey>,
}

/// Which rows to look at.
#[derive(Clone, Debug)]
pub struct TextQuery {
    /// The column.
    pub column: TextColumn,
    /// Rows behind this one, in the order of their keys.
    pub after: TextKey,
    /// Passes over texts that begin with this; errors and options that contain it. Not empty.
    pub except: Box<str>,
    /// Most rows to look at; fewer when their texts come to [`MAX_TEXT_PAGE_BYTES`].
    pub limit: usize,
}

/// Bytes of texts from which on a page takes no further row.
pub const MAX_TEXT_PAGE_BYTES: usize = 4 << 20;

/// A text to put in the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextReplacement {
    /// The row.
    pub key: TextKey,
    /// The text that is there; when another is by now, that stays.
    pub before: Box<str>,
    /// The new text.
    pub after: Box<str>,
    /// For an input, what stands for it in comparisons from now on, as [`crate::model::NewJob::input_digest`].
    pub digest: Option<Box<str>>,
}

/// Where a walk through all columns is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResealPosition {
    /// The column.
    pub column: TextColumn,
    /// The last row of it that is done.
    pub after: TextKey,
}

impl ResealPosition {
    /// Before everything.
    #[must_use]
    pub fn first() -> Self {
        Self {
            column: TextColumn::Inputs,
            after: TextKey::first(),
        }
    }
}

/// What one part of a walk came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Texts that are sealed with another key than before.
    pub sealed: usize,
    /// Texts that were changed by others meanwhile.
    pub changed: usize,
    /// Texts that cannot be opened: their key is missing, or they are damaged.
    pub unreadable: usize,
    /// Where to go on. `None`: at the end.
    pub next: Option<ResealPosition>,
}

/// While a process seals, it writes this down, at least so often, by the id of its key.
pub const SEALING_MARK_INTERVAL: Duration = Duration::from_secs(5);

/// Name of the metadata that has another value whenever a process wrote down that it seals with the key of this id.
#[must_use]
pub fn sealing_mark(key: &str) -> String {
    format!("seals:{key}")
}

/// What a store does for the encryption of payloads.
#[async_trait]
pub trait TextStore {
    /// Some texts of a column.
    async fn texts_after(&self, query: TextQuery) -> Result<TextPage>;

    /// Puts texts in the place of others, each by itself; returns how many were still as they had been. Changes nothing
    /// else of their rows, and no job's `updated`.
    async fn replace_texts(&self, column: TextColumn, replacements: Vec<TextReplacement>) -> Result<usize>;

    /// The ids of the keys that payloads are encrypted with, that of the sealing one first; empty: they are not.
    ///
    /// # Errors
    /// What the store says: it knows which key was used last for the first time.
    async fn encryption_keys(&self) -> Result<Vec<Box<str>>> {
        Ok(Vec::new())
    }

    /// Seals some texts with the key that seals now, from a position on, if they are not; `limit` rows at most.
    async fn reseal(&self, from: ResealPosition, limit: usize) -> Result<Resealed> {
        let _ = (from, limit);
        Ok(Resealed::default())
    }
}
