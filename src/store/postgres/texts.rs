//! Walks through columns with payloads, and replaces texts in them.
//!
//! Knows no key. Invariants: a text is replaced only while it is what was read; each by a statement of its own, which
//! locks one row and waits for no other while it does.

use super::PostgresStore;
use super::failure::DbResult;
use super::param::{rows, storable};
use super::pool::{WriteOptions, with_session};
use super::session::Session;
use super::state::read_id;
use crate::error::Result;
use crate::model::Recurrence;
use crate::store::text::{
    MAX_TEXT_PAGE_BYTES, StoredText, TextColumn, TextKey, TextPage, TextQuery, TextReplacement, TextStore,
};
use async_trait::async_trait;
use futures_util::future::try_join_all;
use tokio_postgres::Row;

/// Statements that are under way at once on one connection.
const REPLACED_TOGETHER: usize = 50;

const SELECT_FINGERPRINTED: &str = "SELECT spec FROM ductape.series WHERE job = $1 AND fingerprint IS NOT NULL";
const UPDATE_FINGERPRINT: &str =
    "UPDATE ductape.series SET fingerprint = $2 WHERE job = $1 AND fingerprint IS NOT NULL";

/// Some rows of a column: of the text what is neither passed over (`$7`) nor behind the bytes of a page (`$8`), and
/// whether the row is within them.
macro_rules! select {
    ($table:literal, $order:literal, $key:literal > $after:literal, $owner:literal, $text:literal) => {
        select!(@ $table, $order, $key, $after, $owner, $text, "starts_with(", ", $7)")
    };
    ($table:literal, $order:literal, $key:literal > $after:literal, $owner:literal, $text:literal within) => {
        select!(@ $table, $order, $key, $after, $owner, $text, "0 < position($7 IN ", ")")
    };
    (@ $table:literal, $order:literal, $key:literal, $after:literal, $owner:literal, $text:literal, $test:literal, $end:literal) => {
        concat!(
            "SELECT ", $owner, ", CASE WHEN NOT ", $test, $text, $end,
            " AND sum(octet_length(", $text, ")) OVER (ORDER BY ", $order, ") - octet_length(", $text, ") < $8 THEN ", $text,
            " END, coalesce(sum(octet_length(", $text, ")) OVER (ORDER BY ", $order, ") - coalesce(octet_length(", $text,
            "), 0) < $8, true) FROM ductape.", $table, " WHERE ", $key, " > ", $after, " ORDER BY ", $order, " LIMIT $6"
        )
    };
}

/// The statements of a column. The first gives numbers and names of the key, id and name of the job, webhook, text and
/// whether that was read; the second takes the key, then the text `$6` that is to become `$7`.
fn sql(column: TextColumn) -> (&'static str, &'static str) {
    match column {
        TextColumn::Inputs => (
            select!(
                "jobs",
                "seq",
                "seq" > "$1",
                "seq, 0::bigint, 0::bigint, '', '', id, name, ''",
                "input"
            ),
            "UPDATE ductape.jobs SET input = $7 WHERE seq = $1 AND input = $6",
        ),
        TextColumn::Options => (
            select!("jobs", "seq", "seq" > "$1", "seq, 0::bigint, 0::bigint, '', '', id, name, ''", "options" within),
            "UPDATE ductape.jobs SET options = $7 WHERE seq = $1 AND options = $6",
        ),
        TextColumn::Results => (
            select!(
                "runs",
                "job, run, attempt",
                "(job, run, attempt)" > "($1, $2, $3)",
                "job, run, attempt::bigint, '', '', NULL::uuid, NULL, ''",
                "result"
            ),
            "UPDATE ductape.runs SET result = $7 WHERE job = $1 AND run = $2 AND attempt = $3 AND result = $6",
        ),
        TextColumn::Errors => (
            select!("runs", "job, run, attempt", "(job, run, attempt)" > "($1, $2, $3)",
                "job, run, attempt::bigint, '', '', NULL::uuid, NULL, ''", "error" within),
            "UPDATE ductape.runs SET error = $7 WHERE job = $1 AND run = $2 AND attempt = $3 AND error = $6",
        ),
        TextColumn::Steps => (
            select!(
                "steps",
                "job, run, tag",
                "(job, run, tag)" > "($1, $2, $4)",
                "job, run, 0::bigint, tag, '', NULL::uuid, NULL, ''",
                "result"
            ),
            "UPDATE ductape.steps SET result = $7 WHERE job = $1 AND run = $2 AND tag = $4 AND result = $6",
        ),
        TextColumn::Progress => (
            select!(
                "progress",
                "job",
                "job" > "$1",
                "job, 0::bigint, 0::bigint, '', '', NULL::uuid, NULL, ''",
                "value"
            ),
            "UPDATE ductape.progress SET value = $7 WHERE job = $1 AND value = $6",
        ),
        TextColumn::LogLines => (
            select!(
                "logs",
                "job, number",
                "(job, number)" > "($1, $2)",
                "job, number, 0::bigint, '', '', NULL::uuid, NULL, ''",
                "message"
            ),
            "UPDATE ductape.logs SET message = $7 WHERE job = $1 AND number = $2 AND message = $6",
        ),
        TextColumn::Entries => (
            select!(
                "entries",
                "kind, space, key",
                "(kind, space, key)" > "($1, $4, $5)",
                "kind::bigint, 0::bigint, 0::bigint, space, key, NULL::uuid, NULL, ''",
                "value"
            ),
            "UPDATE ductape.entries SET value = $7 WHERE kind = $1 AND space = $4 AND key = $5 AND value = $6",
        ),
        TextColumn::WebhookSecrets => (
            select!(
                "webhooks",
                "number",
                "number" > "$1",
                "number, 0::bigint, 0::bigint, '', '', NULL::uuid, NULL, url",
                "secret"
            ),
            "UPDATE ductape.webhooks SET secret = $7 WHERE number = $1 AND secret = $6",
        ),
        TextColumn::WebhookErrors => (
            select!(
                "webhooks",
                "number",
                "number" > "$1",
                "number, 0::bigint, 0::bigint, '', '', NULL::uuid, NULL, id",
                "last_error"
            ),
            "UPDATE ductape.webhooks SET last_error = $7 WHERE number = $1 AND last_error = $6",
        ),
        TextColumn::CancelReasons => (
            select!(
                "series",
                "job",
                "job" > "$1",
                "job, 0::bigint, 0::bigint, '', '', NULL::uuid, NULL, ''",
                "reason"
            ),
            "UPDATE ductape.series SET reason = $7 WHERE job = $1 AND reason = $6",
        ),
        TextColumn::EventErrors => (
            select!("outbox", "seq", "seq" > "$1", "seq, 0::bigint, 0::bigint, '', '', NULL::uuid, NULL, ''",
                "error" within),
            "UPDATE ductape.outbox SET error = $7 WHERE seq = $1 AND error = $6",
        ),
    }
}

#[async_trait]
impl TextStore for PostgresStore {
    async fn texts_after(&self, query: TextQuery) -> Result<TextPage> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(
            inner.general,
            WriteOptions::LONG_RUNNING,
            |session| page(session, &query)
        ))
    }

    async fn replace_texts(&self, column: TextColumn, replacements: Vec<TextReplacement>) -> Result<usize> {
        let inner = self.inner_if_open()?;
        let mut replaced = 0;
        for some in replacements.chunks(REPLACED_TOGETHER) {
            replaced += with_session!(inner.general, WriteOptions::LONG_RUNNING, |session| replace(
                session, column, some
            ));
        }
        Ok(replaced)
    }
}

async fn page(session: &Session, query: &TextQuery) -> DbResult<TextPage> {
    let TextKey {
        numbers: [a, b, c],
        names: [d, e],
    } = &query.after;
    let (limit, bytes) = (rows(query.limit), rows(MAX_TEXT_PAGE_BYTES));
    let found = session
        .query(
            sql(query.column).0,
            &[a, b, c, &storable(d), &storable(e), &limit, &query.except, &bytes],
        )
        .await?;
    let mut page = TextPage::default();
    for row in &found {
        if !row.try_get::<_, bool>(9)? {
            return Ok(page);
        }
        page.next = Some(key(row)?);
        if let Some(text) = row.try_get(8)? {
            page.texts.push(stored(row, text)?);
        }
    }
    page.next = page.next.filter(|_| found.len() >= query.limit);
    Ok(page)
}

fn key(row: &Row) -> DbResult<TextKey> {
    Ok(TextKey {
        numbers: [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?],
        names: [row.try_get(3)?, row.try_get(4)?],
    })
}

fn stored(row: &Row, text: Box<str>) -> DbResult<StoredText> {
    let (uuid, name): (Option<uuid::Uuid>, Option<&str>) = (row.try_get(5)?, row.try_get(6)?);
    Ok(StoredText {
        key: key(row)?,
        id: if uuid.is_some() || name.is_some() {
            Some(read_id(row, 5, 6)?)
        } else {
            None
        },
        webhook: row.try_get(7)?,
        text,
    })
}

async fn replace(session: &Session, column: TextColumn, replacements: &[TextReplacement]) -> DbResult<usize> {
    let changed = try_join_all(
        replacements
            .iter()
            .map(|replacement| replace_one(session, column, replacement)),
    )
    .await?;
    Ok(changed.into_iter().filter(|changed| *changed).count())
}

async fn replace_one(session: &Session, column: TextColumn, replacement: &TextReplacement) -> DbResult<bool> {
    let TextReplacement {
        key,
        before,
        after,
        digest,
    } = replacement;
    let ([a, b, c], [d, e]) = (&key.numbers, &key.names);
    let changed = session.execute(sql(column).1, &[a, b, c, d, e, before, after]).await?;
    if let Some(digest) = digest.as_deref().filter(|_| changed > 0) {
        replace_fingerprint(session, key, digest).await?;
    }
    Ok(changed > 0)
}

async fn replace_fingerprint(session: &Session, key: &TextKey, digest: &str) -> DbResult<()> {
    let Some(row) = session.query_opt(SELECT_FINGERPRINTED, &[&key.job()]).await? else {
        return Ok(());
    };
    // A schedule that cannot be read is no other's.
    if let Ok(recurrence) = serde_json::from_str::<Recurrence>(row.try_get(0)?) {
        let fingerprint = recurrence.fingerprint(digest);
        session.execute(UPDATE_FINGERPRINT, &[&key.job(), &fingerprint]).await?;
    }
    Ok(())
}
