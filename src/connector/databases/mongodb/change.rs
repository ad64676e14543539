//! Operations that change documents.
//!
//! Invariant: what changes one document is repeated by the driver only as a retryable write, which the server does once.

use super::documents::{collection, millis, projection};
use super::extremes;
use super::failure::{failure, from_answer, is_duplicate, of_type, of_update};
use super::filter::of_documents;
use super::query::{push_row, text_of};
use super::update as operators;
use super::value::{Forms, of_field, stored};
use crate::connector::Failure;
use crate::connector::databases::operation::{Columns, Conflict, ConflictAction, Delete, Insert, Row, Update};
use crate::connector::databases::operators::Operators;
use crate::connector::databases::plan::Shape;
use crate::connector::databases::rows::{Outcome, RowWriter};
use crate::text::spelling::truncated;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc, serialize_to_bson};
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use std::time::{Duration, Instant};

/// The least time limit; the server takes 0 for none.
const LEAST_TIME: Duration = Duration::from_millis(1);

/// The result of a change that returns no documents.
fn changed(count: u64) -> String {
    format!("{{\"count\":{count}}}")
}

/// The result of a change that returns documents.
fn returned(count: u64, documents: &[Document]) -> Result<String, Failure> {
    let mut rows = RowWriter::new(Shape::Changes);
    for document in documents {
        if !push_row(&mut rows, document) {
            break;
        }
    }
    let outcome = Outcome {
        rows: Some(rows),
        changed: count,
        id: None,
    };
    outcome.result(Shape::Changes, None)
}

pub(super) async fn insert(database: &Database, insert: &Insert) -> Result<String, Failure> {
    let documents: Vec<Document> = insert.rows.iter().map(new_document).collect::<Result<_, _>>()?;
    let target = collection(database, &insert.table);
    if let [document] = documents.as_slice() {
        target.insert_one(document).await.map_err(|error| failure(&error))?;
    } else {
        target.insert_many(&documents).await.map_err(|error| failure(&error))?;
    }
    let count = documents.len() as u64;
    match (&insert.returning, documents.as_slice()) {
        (Some(columns), _) => {
            let shown: Vec<Document> = match projection(columns) {
                None => documents,
                Some(wanted) => documents.iter().map(|document| projected(document, &wanted)).collect(),
            };
            returned(count, &shown)
        }
        (None, [document]) => {
            let id = document.get("_id").map_or_else(|| "null".to_owned(), text_of);
            Ok(format!("{{\"count\":1,\"insertId\":{id}}}"))
        }
        (None, _) => Ok(changed(count)),
    }
}

/// A row as a document, with an id.
pub(super) fn new_document(row: &Row) -> Result<Document, Failure> {
    let mut document = Document::new();
    if !row.iter().any(|(name, _)| **name == *"_id") {
        document.insert("_id", ObjectId::new());
    }
    for (name, value) in row {
        if name.contains('.') {
            return Err(Failure::invalid(format!(
                "input.data: '{}' has a dot; give an object in its place",
                truncated(name)
            )));
        }
        document.insert(&**name, stored(value).map_err(of_field(name))?);
    }
    Ok(document)
}

/// The fields of a document that a projection names.
fn projected(document: &Document, wanted: &Document) -> Document {
    let mut shown = Document::new();
    for (name, value) in document {
        let inner: Document = wanted
            .iter()
            .filter_map(|(path, _)| {
                Some((
                    path.strip_prefix(&**name)?.strip_prefix('.')?.to_owned(),
                    Bson::Int32(1),
                ))
            })
            .collect();
        match value {
            value if matches!(wanted.get(name), Some(Bson::Int32(1))) => {
                shown.insert(name, value.clone());
            }
            Bson::Document(value) if !inner.is_empty() => {
                shown.insert(name, projected(value, &inner));
            }
            _ => {}
        }
    }
    shown
}

/// Refuses what only unique indexes of SQL have.
pub(super) fn check_conflict(conflict: &Conflict) -> Result<(), Failure> {
    if conflict.filter.matches_everything() {
        return Ok(());
    }
    Err(Failure::invalid(
        "input.onConflict.where: belongs to unique indexes of SQL; MongoDB finds a document by `columns` alone",
    ))
}

pub(super) async fn upsert(
    database: &Database,
    insert: &Insert,
    conflict: &Conflict,
    timeout: Duration,
) -> Result<String, Failure> {
    check_conflict(conflict)?;
    let target = collection(database, &insert.table);
    let mut changes = Vec::with_capacity(insert.rows.len());
    for row in &insert.rows {
        changes.push(upsert_of(row, conflict)?);
    }
    let mut documents = Vec::new();
    let until = Instant::now() + timeout;
    for (filter, update) in &changes {
        let left = until.saturating_duration_since(Instant::now());
        let written = match upsert_one(&target, filter, update, insert.returning.as_ref(), left).await {
            // Two that insert at once: for the second one the document is there now.
            Err(error) if is_duplicate(&error) => {
                upsert_one(&target, filter, update, insert.returning.as_ref(), left).await
            }
            written => written,
        };
        documents.extend(written.map_err(|error| failure(&error))?);
    }
    let count = insert.rows.len() as u64;
    match &insert.returning {
        None => Ok(changed(count)),
        Some(_) => returned(count, &documents),
    }
}

/// Inserts or changes a document, and returns it, or its id alone. Also where nobody wants it: the driver's other methods have
/// no time limit.
async fn upsert_one(
    target: &Collection<Document>,
    filter: &Document,
    update: &Document,
    returning: Option<&Columns>,
    timeout: Duration,
) -> mongodb::error::Result<Option<Document>> {
    let change = target
        .find_one_and_update(filter.clone(), update.clone())
        .upsert(true)
        .return_document(ReturnDocument::After)
        .max_time(timeout.max(LEAST_TIME));
    match wanted(returning) {
        Some(projection) => change.projection(projection).await,
        None => change.await,
    }
}

/// Filter and update that insert a row, or change the document that has the same values of the columns of the conflict.
pub(super) fn upsert_of(row: &Row, conflict: &Conflict) -> Result<(Document, Document), Failure> {
    let mut filter = Document::new();
    let (mut set, mut on_insert) = (Document::new(), Document::new());
    for (name, value) in row {
        let bson = stored(value).map_err(of_field(name))?;
        if conflict.columns.contains(name) {
            let forms = Forms::read(value).map_err(of_field(name))?.all();
            let is_one = forms.len() == 1;
            filter.insert(&**name, doc! { "$in": forms });
            // A document that is inserted gets what its filter says, if that is one value.
            if !is_one || row.len() == conflict.columns.len() {
                on_insert.insert(&**name, bson);
            } else {
                filter.insert(&**name, doc! { "$eq": bson });
            }
            continue;
        }
        let is_set = match &conflict.action {
            ConflictAction::Ignore => false,
            ConflictAction::UpdateGiven => true,
            ConflictAction::Update(columns) => columns.contains(name),
        };
        if is_set { &mut set } else { &mut on_insert }.insert(&**name, bson);
    }
    if let Some(missing) = conflict.columns.iter().find(|column| !filter.contains_key(column)) {
        return Err(Failure::invalid(format!(
            "input.data: lacks '{}', which names the document",
            truncated(missing)
        )));
    }
    let mut update = Document::new();
    if !set.is_empty() {
        update.insert("$set", set);
    }
    if !on_insert.is_empty() {
        update.insert("$setOnInsert", on_insert);
    }
    Ok((filter, update))
}

/// Which fields of a changed document to read; of one that nobody wants, its id.
fn wanted(returning: Option<&Columns>) -> Option<Document> {
    match returning {
        Some(columns) => projection(columns),
        None => Some(doc! { "_id": 1 }),
    }
}

/// The result of a change of the one document that was found, if any.
fn one(found: Option<Document>, returns: bool) -> Result<String, Failure> {
    let found: Vec<Document> = found.into_iter().collect();
    match returns {
        true => returned(found.len() as u64, &found),
        false => Ok(changed(found.len() as u64)),
    }
}

pub(super) fn one_only() -> Failure {
    Failure::invalid(
        "input.returning: MongoDB returns documents of insert, upsert, updateOne and deleteOne; read others with a query",
    )
}

pub(super) async fn update(database: &Database, update: &Update, timeout: Duration) -> Result<String, Failure> {
    let filter = of_documents(&update.filter)?;
    let mut changes = operators::document(&update.changes)?;
    let named = Operators::of(&update.changes);
    let target = collection(database, &update.table);
    let filter = extremes::guarded(&target, filter, &update.changes, &mut changes, timeout).await?;
    match (update.one, &update.returning) {
        (true, returning) => {
            let change = target
                .find_one_and_update(filter, changes)
                .return_document(ReturnDocument::After)
                .max_time(timeout);
            let change = match wanted(returning.as_ref()) {
                Some(projection) => change.projection(projection),
                None => change,
            };
            let changed = change.await.map_err(|error| of_update(&error, &named))?;
            one(changed, returning.is_some())
        }
        (false, None) => {
            let statement = doc! { "q": filter, "u": changes, "multi": true };
            many(database, "update", &update.table.name, statement, &named, timeout).await
        }
        (false, Some(_)) => Err(one_only()),
    }
}

pub(super) async fn delete(database: &Database, delete: &Delete, timeout: Duration) -> Result<String, Failure> {
    let filter = of_documents(&delete.filter)?;
    let target = collection(database, &delete.table);
    match (delete.one, &delete.returning) {
        (true, returning) => {
            let change = target.find_one_and_delete(filter).max_time(timeout);
            let change = match wanted(returning.as_ref()) {
                Some(projection) => change.projection(projection),
                None => change,
            };
            one(change.await.map_err(|error| failure(&error))?, returning.is_some())
        }
        (false, None) => {
            let statement = doc! { "q": filter, "limit": 0 };
            let named = Operators::default();
            many(database, "delete", &delete.table.name, statement, &named, timeout).await
        }
        (false, Some(_)) => Err(one_only()),
    }
}

/// Changes many documents, by a command of our own, since the driver's has no time limit. Neither would be repeated.
async fn many(
    database: &Database,
    verb: &str,
    table: &str,
    statement: Document,
    named: &Operators,
    timeout: Duration,
) -> Result<String, Failure> {
    let mut command = Document::new();
    command.insert(verb, table);
    command.insert(format!("{verb}s"), vec![Bson::Document(statement)]);
    command.insert("maxTimeMS", millis(timeout));
    if let Some(concern) = database.write_concern() {
        let concern = serialize_to_bson(concern);
        let concern =
            concern.map_err(|_| Failure::invalid("MongoDB: the write concern of connection_url cannot be sent"))?;
        command.insert("writeConcern", concern);
    }
    let answer = database.run_command(command).await;
    let answer = answer.map_err(|error| of_update(&error, named))?;
    check_update(&answer, named)?;
    let count = match answer.get("n") {
        Some(Bson::Int32(count)) => i64::from(*count),
        Some(Bson::Int64(count)) => *count,
        Some(Bson::Double(count)) => *count as i64,
        _ => 0,
    };
    Ok(changed(count.unsigned_abs()))
}

/// Errors in the answer to a command that changes.
pub(super) fn check_answer(answer: &Document) -> Result<(), Failure> {
    check_update(answer, &Operators::default())
}

/// The same for an update with these operators.
fn check_update(answer: &Document, named: &Operators) -> Result<(), Failure> {
    let part = |error: &Document| {
        let message = error.get_str("errmsg").unwrap_or_default().to_owned();
        (error.get_i32("code").unwrap_or_default(), message)
    };
    let first = answer.get_array("writeErrors").ok().and_then(|errors| errors.first());
    if let Some((number, message)) = first.and_then(Bson::as_document).map(part) {
        let failure = from_answer(number, &message, false);
        return Err(of_type(failure, number, &message, named));
    }
    match answer.get_document("writeConcernError").ok().map(part) {
        Some((number, message)) => Err(from_answer(number, &message, true)),
        None => Ok(()),
    }
}
