//! The audit log: `jobs.audit`, and how the package's JavaScript adds to it.

use super::fields::Fields;
use super::jobs::to_json;
use crate::clock::Millis;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::store::AuditEntry;
use serde::Serialize;
use serde_json::value::RawValue;

/// Longest name of who asked for something, and of what was asked for, in characters.
const MAX_NAME_CHARS: usize = 200;
/// Longest JSON of what it was asked of, bytes.
const MAX_DETAIL_BYTES: usize = 16 * 1024;
/// Most entries of a page, and how many it has when nothing else is asked for.
const MAX_LIMIT: i64 = 1_000;
const DEFAULT_LIMIT: i64 = 100;

#[derive(Debug, Serialize)]
struct EntryView<'a> {
    at: Millis,
    who: &'a str,
    action: &'a str,
    detail: Option<&'a RawValue>,
}

#[derive(Debug, Serialize)]
struct PageView<'a> {
    entries: Vec<EntryView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// `audit(options)`.
///
/// # Errors
/// `VALIDATION_ERROR` for an unknown option, or a cursor of something else.
pub async fn audit(engine: &Engine, options: &str) -> Result<String> {
    let mut fields = Fields::read(options, "options")?;
    fields.refuse_unknown(&["limit", "cursor"]);
    let limit = fields.integer("limit", 1, MAX_LIMIT).unwrap_or(DEFAULT_LIMIT);
    let before = read_cursor(&mut fields);
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    let limit = usize::try_from(limit).unwrap_or(0);
    // One more than are shown says whether there is another page.
    let entries = engine.store.audit(before, limit + 1).await?;
    let shown = entries.get(..limit).unwrap_or(&entries);
    let last = shown.last().filter(|_| entries.len() > limit);
    to_json(&PageView {
        entries: shown.iter().map(view).collect(),
        next: last.map(|entry| format!("{}.{}", entry.at, entry.id)),
    })
}

fn view(entry: &AuditEntry) -> EntryView<'_> {
    EntryView {
        at: entry.at,
        who: &entry.who,
        action: &entry.action,
        detail: serde_json::from_str(&entry.detail).ok(),
    }
}

fn read_cursor(fields: &mut Fields<'_>) -> Option<(Millis, Box<str>)> {
    let cursor = fields.string("cursor")?;
    let parts = cursor.split_once('.');
    let read = parts.and_then(|(at, id)| Some((at.parse().ok()?, Box::from(id))));
    if read.is_none() {
        fields.problem("cursor", "is not the `next` of an earlier audit log");
    }
    read
}

/// Adds `{ who, action, detail }`, with the instance's time.
///
/// # Errors
/// `VALIDATION_ERROR` for what is too long.
pub async fn add(engine: &Engine, entry: &str) -> Result<String> {
    let mut fields = Fields::read(entry, "entry")?;
    fields.refuse_unknown(&["who", "action", "detail"]);
    let who = read_name(&mut fields, "who");
    let action = read_name(&mut fields, "action");
    let detail = fields.raw("detail").unwrap_or("null");
    if detail.len() > MAX_DETAIL_BYTES {
        fields.problem("detail", format!("has more than {MAX_DETAIL_BYTES} bytes"));
    }
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    let entry = AuditEntry {
        at: engine.clock.now(),
        // Rising, so that entries of one ms are in the order in which they came.
        id: uuid::Uuid::now_v7().simple().to_string().into(),
        who,
        action,
        detail: detail.into(),
    };
    engine.store.add_audit(entry).await?;
    Ok(String::new())
}

fn read_name(fields: &mut Fields<'_>, name: &str) -> Box<str> {
    let text = fields.string(name).unwrap_or_default();
    // PostgreSQL's texts take no U+0000.
    if text.is_empty() || text.contains('\0') || text.chars().count() > MAX_NAME_CHARS {
        fields.problem(
            name,
            format!("must be a text of 1 to {MAX_NAME_CHARS} characters, without U+0000"),
        );
    }
    text.into()
}
