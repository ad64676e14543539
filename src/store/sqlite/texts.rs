//! Walks through columns with payloads, and replaces texts in them.
//!
//! Knows no key. Invariant: a text is replaced only while it is what was read.

use super::SqliteStore;
use super::jobs::IdColumn;
use super::run_rows::rows;
use super::tx::Tx;
use super::write_operation::WriteOptions;
use crate::error::Result;
use crate::model::Recurrence;
use crate::store::text::{
    MAX_TEXT_PAGE_BYTES, StoredText, TextColumn, TextKey, TextPage, TextQuery, TextReplacement, TextStore,
};
use async_trait::async_trait;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

/// Texts replaced in one transaction.
const REPLACED_TOGETHER: usize = 50;

const SELECT_FINGERPRINTED: &str = "SELECT spec FROM series WHERE job = ?1 AND fingerprint IS NOT NULL";
const UPDATE_FINGERPRINT: &str = "UPDATE series SET fingerprint = ?2 WHERE job = ?1 AND fingerprint IS NOT NULL";

/// The statements of a column. `select`: key from `?1` to `?5`, limit `?6`; gives numbers and names of the key, id and
/// webhook, the text. `update`: key, then the text `?6` that is to become `?7`.
struct ColumnSql {
    select: &'static str,
    update: &'static str,
    /// What is to be passed over stands anywhere in the text.
    within: bool,
}

fn sql(column: TextColumn) -> ColumnSql {
    let (select, update) = match column {
        TextColumn::Inputs => (
            "SELECT seq, 0, 0, '', '', id, '', input FROM jobs WHERE seq > ?1 ORDER BY seq LIMIT ?6",
            "UPDATE jobs SET input = ?7 WHERE seq = ?1 AND input = ?6",
        ),
        TextColumn::Options => (
            "SELECT seq, 0, 0, '', '', id, '', options FROM jobs WHERE seq > ?1 ORDER BY seq LIMIT ?6",
            "UPDATE jobs SET options = ?7 WHERE seq = ?1 AND options = ?6",
        ),
        TextColumn::Results => (
            "SELECT job, run, attempt, '', '', NULL, '', result FROM runs WHERE (job, run, attempt) > (?1, ?2, ?3) ORDER BY job, run, attempt LIMIT ?6",
            "UPDATE runs SET result = ?7 WHERE job = ?1 AND run = ?2 AND attempt = ?3 AND result = ?6",
        ),
        TextColumn::Errors => (
            "SELECT job, run, attempt, '', '', NULL, '', error FROM runs WHERE (job, run, attempt) > (?1, ?2, ?3) ORDER BY job, run, attempt LIMIT ?6",
            "UPDATE runs SET error = ?7 WHERE job = ?1 AND run = ?2 AND attempt = ?3 AND error = ?6",
        ),
        TextColumn::Steps => (
            "SELECT job, run, 0, tag, '', NULL, '', result FROM steps WHERE (job, run, tag) > (?1, ?2, ?4) ORDER BY job, run, tag LIMIT ?6",
            "UPDATE steps SET result = ?7 WHERE job = ?1 AND run = ?2 AND tag = ?4 AND result = ?6",
        ),
        TextColumn::Progress => (
            "SELECT job, 0, 0, '', '', NULL, '', value FROM progress WHERE job > ?1 ORDER BY job LIMIT ?6",
            "UPDATE progress SET value = ?7 WHERE job = ?1 AND value = ?6",
        ),
        TextColumn::LogLines => (
            "SELECT job, number, 0, '', '', NULL, '', message FROM logs WHERE (job, number) > (?1, ?2) ORDER BY job, number LIMIT ?6",
            "UPDATE logs SET message = ?7 WHERE job = ?1 AND number = ?2 AND message = ?6",
        ),
        TextColumn::Entries => (
            "SELECT kind, 0, 0, space, key, NULL, '', value FROM entries WHERE (kind, space, key) > (?1, ?4, ?5) ORDER BY kind, space, key LIMIT ?6",
            "UPDATE entries SET value = ?7 WHERE kind = ?1 AND space = ?4 AND key = ?5 AND value = ?6",
        ),
        TextColumn::WebhookSecrets => (
            "SELECT number, 0, 0, '', '', NULL, url, secret FROM webhooks WHERE number > ?1 ORDER BY number LIMIT ?6",
            "UPDATE webhooks SET secret = ?7 WHERE number = ?1 AND secret = ?6",
        ),
        TextColumn::WebhookErrors => (
            "SELECT number, 0, 0, '', '', NULL, id, last_error FROM webhooks WHERE number > ?1 ORDER BY number LIMIT ?6",
            "UPDATE webhooks SET last_error = ?7 WHERE number = ?1 AND last_error = ?6",
        ),
        TextColumn::CancelReasons => (
            "SELECT job, 0, 0, '', '', NULL, '', reason FROM series WHERE job > ?1 ORDER BY job LIMIT ?6",
            "UPDATE series SET reason = ?7 WHERE job = ?1 AND reason = ?6",
        ),
        TextColumn::EventErrors => (
            "SELECT seq, 0, 0, '', '', NULL, '', error FROM outbox WHERE seq > ?1 ORDER BY seq LIMIT ?6",
            "UPDATE outbox SET error = ?7 WHERE seq = ?1 AND error = ?6",
        ),
    };
    ColumnSql {
        select,
        update,
        within: column.holds_texts_within(),
    }
}

#[async_trait]
impl TextStore for SqliteStore {
    async fn texts_after(&self, query: TextQuery) -> Result<TextPage> {
        self.read(move |connection| page(connection, &query)).await
    }

    async fn replace_texts(&self, column: TextColumn, replacements: Vec<TextReplacement>) -> Result<usize> {
        let (mut replaced, mut rest) = (0, replacements);
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(REPLACED_TOGETHER));
            replaced += self
                .write(WriteOptions::alone(), move |tx| replace(tx, column, &rest))
                .await?;
            rest = later;
        }
        Ok(replaced)
    }
}

fn page(connection: &Connection, query: &TextQuery) -> Result<TextPage> {
    let sql = sql(query.column);
    let TextKey {
        numbers: [a, b, c],
        names: [d, e],
    } = &query.after;
    let mut select = connection.prepare_cached(sql.select)?;
    // A statement has as many parameters as the highest number in it says.
    let mut found = select.query((a, b, c, d, e, rows(query.limit)))?;
    let (mut page, mut seen, mut bytes) = (TextPage::default(), 0, 0);
    let mut last = None;
    while let Some(row) = found.next()? {
        seen += 1;
        last = Some(key(row)?);
        let ValueRef::Text(text) = row.get_ref(7)? else {
            continue;
        };
        let passed_over = match sql.within {
            true => memmem(text, query.except.as_bytes()),
            false => text.starts_with(query.except.as_bytes()),
        };
        if !passed_over {
            bytes += text.len();
            page.texts.push(stored(row)?);
        }
        if bytes >= MAX_TEXT_PAGE_BYTES {
            page.next = last;
            return Ok(page);
        }
    }
    page.next = last.filter(|_| seen >= query.limit);
    Ok(page)
}

fn memmem(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len().max(1)).any(|window| window == part)
}

fn key(row: &Row<'_>) -> Result<TextKey> {
    Ok(TextKey {
        numbers: [row.get(0)?, row.get(1)?, row.get(2)?],
        names: [row.get(3)?, row.get(4)?],
    })
}

fn stored(row: &Row<'_>) -> Result<StoredText> {
    let id: Option<IdColumn> = row.get(5)?;
    Ok(StoredText {
        key: key(row)?,
        id: id.map(|IdColumn(id)| id),
        webhook: row.get(6)?,
        text: row.get(7)?,
    })
}

fn replace(tx: &mut Tx<'_>, column: TextColumn, replacements: &[TextReplacement]) -> Result<usize> {
    let mut update = tx.connection.prepare_cached(sql(column).update)?;
    let mut replaced = 0;
    for TextReplacement {
        key,
        before,
        after,
        digest,
    } in replacements
    {
        let ([a, b, c], [d, e]) = (&key.numbers, &key.names);
        let changed = update.execute((a, b, c, d, e, before, after))?;
        replaced += changed;
        if let Some(digest) = digest.as_deref().filter(|_| changed > 0) {
            replace_fingerprint(tx.connection, key, digest)?;
        }
    }
    Ok(replaced)
}

fn replace_fingerprint(connection: &Connection, key: &TextKey, digest: &str) -> Result<()> {
    let mut select = connection.prepare_cached(SELECT_FINGERPRINTED)?;
    let spec: Option<Box<str>> = select.query_row([key.job()], |row| row.get(0)).optional()?;
    // A schedule that cannot be read is no other's.
    if let Some(recurrence) = spec.and_then(|spec| serde_json::from_str::<Recurrence>(&spec).ok()) {
        let fingerprint = recurrence.fingerprint(digest);
        connection
            .prepare_cached(UPDATE_FINGERPRINT)?
            .execute((key.job(), fingerprint))?;
    }
    Ok(())
}
