//! Operations that read, and `raw`.

use super::documents::{collection, millis, projection};
use super::failure::{failure, of_guards};
use super::filter::of_documents;
use super::group;
use super::value::{as_data, write, write_document};
use crate::connector::Failure;
use crate::connector::databases::guards::Guards;
use crate::connector::databases::json::{Json, push_integer};
use crate::connector::databases::name::Table;
use crate::connector::databases::operation::{Aggregate, Count, Select};
use crate::connector::databases::plan::Shape;
use crate::connector::databases::rows::{Outcome, RowWriter, result_of};
use crate::connector::limits::DEFAULT_ROW_LIMIT;
use mongodb::bson::{Bson, Document};
use mongodb::{Cursor, Database};
use std::time::Duration;

/// Writes a document as a row; `false`: no more are wanted.
pub(super) fn push_row(rows: &mut RowWriter, document: &Document) -> bool {
    if !rows.begin() {
        return false;
    }
    for (name, value) in document {
        rows.cell(name, |out| write(out, value));
    }
    rows.end()
}

/// Reads documents until there are no more, or no more are wanted.
async fn read_all(
    mut cursor: Cursor<Document>,
    mut take: impl FnMut(&Document) -> Result<bool, Failure> + Send,
) -> Result<(), Failure> {
    while cursor.advance().await.map_err(|error| failure(&error))? {
        let document = Document::try_from(cursor.current());
        let document = document.map_err(|_| Failure::connection("MongoDB: a document of the server cannot be read"))?;
        if !take(&document)? {
            break;
        }
    }
    Ok(())
}

/// The documents of a cursor, as many as the shape has.
async fn outcome_of(cursor: Cursor<Document>, shape: Shape) -> Result<Outcome, Failure> {
    let mut rows = RowWriter::new(shape);
    read_all(cursor, |document| Ok(push_row(&mut rows, document))).await?;
    Ok(Outcome {
        rows: Some(rows),
        changed: 0,
        id: None,
    })
}

async fn rows_of(cursor: Cursor<Document>, shape: Shape) -> Result<String, Failure> {
    outcome_of(cursor, shape).await?.result(shape, None)
}

/// The shape of a list, and how many documents to ask for: without a limit one more, to tell whether there are more.
fn bounds(limit: Option<u64>) -> (Shape, u64) {
    (
        Shape::Rows(limit.unwrap_or(DEFAULT_ROW_LIMIT)),
        limit.unwrap_or(DEFAULT_ROW_LIMIT + 1),
    )
}

/// Documents; `one`: the first.
pub(super) async fn find(
    database: &Database,
    select: &Select,
    one: bool,
    timeout: Duration,
) -> Result<String, Failure> {
    let shape = if one { Shape::FirstRow } else { bounds(select.limit).0 };
    rows(database, select, one, timeout).await?.result(shape, None)
}

/// The same as rows.
pub(super) async fn rows(
    database: &Database,
    select: &Select,
    one: bool,
    timeout: Duration,
) -> Result<Outcome, Failure> {
    let (shape, limit) = match one {
        true => (Shape::FirstRow, 1),
        false => bounds(select.limit),
    };
    outcome_of(cursor(database, select, limit, timeout).await?, shape).await
}

/// The documents of a pipeline, at most so many.
pub(super) async fn piped(
    database: &Database,
    table: &Table,
    stages: Vec<Document>,
    (most, timeout): (u64, Duration),
) -> Result<Outcome, Failure> {
    let cursor = run_pipeline(database, table, stages, timeout).await?;
    outcome_of(cursor, Shape::Rows(most)).await
}

async fn cursor(
    database: &Database,
    select: &Select,
    limit: u64,
    timeout: Duration,
) -> Result<Cursor<Document>, Failure> {
    let documents = collection(database, &select.table);
    let mut find = documents
        .find(of_documents(&select.filter)?)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .skip(select.offset)
        .max_time(timeout);
    if let Some(projection) = projection(&select.columns) {
        find = find.projection(projection);
    }
    if !select.order.is_empty() {
        find = find.sort(group::sort(&select.order, |name| Ok(name.to_owned()))?);
    }
    find.await.map_err(|error| failure(&error))
}

async fn run_pipeline(
    database: &Database,
    table: &Table,
    stages: Vec<Document>,
    timeout: Duration,
) -> Result<Cursor<Document>, Failure> {
    let documents = collection(database, table);
    let cursor = documents.aggregate(stages).max_time(timeout).await;
    cursor.map_err(|error| failure(&error))
}

/// The same of one that computes with numbers.
async fn run_guarded(
    database: &Database,
    table: &Table,
    stages: Vec<Document>,
    guards: &Guards,
    timeout: Duration,
) -> Result<Cursor<Document>, Failure> {
    let documents = collection(database, table);
    let cursor = documents.aggregate(stages).max_time(timeout).await;
    cursor.map_err(|error| of_guards(&error, guards))
}

pub(super) async fn count(database: &Database, count: &Count, timeout: Duration) -> Result<String, Failure> {
    let counted = match &count.column {
        None => {
            let documents = collection(database, &count.table);
            let counted = documents
                .count_documents(of_documents(&count.filter)?)
                .max_time(timeout);
            counted.await.map_err(|error| failure(&error))?.into()
        }
        Some(column) => {
            let cursor = run_pipeline(database, &count.table, group::count(count, column)?, timeout).await?;
            let mut counted = 0;
            read_all(cursor, |document| {
                counted = match document.get("count") {
                    Some(Bson::Int32(number)) => (*number).into(),
                    Some(Bson::Int64(number)) => (*number).into(),
                    _ => 0,
                };
                Ok(false)
            })
            .await?;
            counted
        }
    };
    let mut text = String::from("{\"count\":");
    push_integer(&mut text, counted);
    text.push('}');
    Ok(text)
}

/// The `value` of the only document of a pipeline; null if there is none.
pub(super) async fn compute(
    database: &Database,
    table: &Table,
    (stages, guards): (Vec<Document>, Guards),
    timeout: Duration,
) -> Result<String, Failure> {
    let cursor = run_guarded(database, table, stages, &guards, timeout).await?;
    let mut computed = Bson::Null;
    read_all(cursor, |document| {
        computed = document.get("value").cloned().unwrap_or(Bson::Null);
        Ok(false)
    })
    .await?;
    check_sum(&guards, "value", &computed)?;
    let mut rows = RowWriter::new(Shape::OnlyRow);
    if rows.begin() {
        rows.cell("value", |out| write(out, &computed));
        rows.end();
    }
    result_of(rows, Shape::OnlyRow)
}

fn check_sum(guards: &Guards, name: &str, value: &Bson) -> Result<(), Failure> {
    match value {
        Bson::Double(number) => guards.check_sum(name, *number),
        _ => Ok(()),
    }
}

pub(super) async fn aggregate(
    database: &Database,
    aggregate: &Aggregate,
    timeout: Duration,
) -> Result<String, Failure> {
    let (shape, limit) = bounds(aggregate.select.limit);
    let stages = group::stages(aggregate, limit)?;
    let guards = group::guards(&aggregate.measures, "input.aggregate");
    let cursor = run_guarded(database, &aggregate.select.table, stages, &guards, timeout).await?;
    let mut rows = RowWriter::new(shape);
    let mut found = false;
    read_all(cursor, |document| {
        found = true;
        if !rows.begin() {
            return Ok(false);
        }
        for (name, value) in group::cells(aggregate, document) {
            check_sum(&guards, name, value)?;
            rows.cell(name, |out| write(out, value));
        }
        Ok(rows.end())
    })
    .await?;
    let select = &aggregate.select;
    if !found && aggregate.groups.is_empty() && select.offset == 0 && aggregate.having.matches_everything() {
        return Ok(format!(
            "{{\"rows\":[{}],\"count\":1}}",
            group::row_of_nothing(aggregate)
        ));
    }
    result_of(rows, shape)
}

pub(super) async fn pipeline(
    database: &Database,
    table: &Table,
    stages: Vec<Document>,
    timeout: Duration,
) -> Result<String, Failure> {
    let cursor = run_pipeline(database, table, stages, timeout).await?;
    rows_of(cursor, Shape::Rows(DEFAULT_ROW_LIMIT)).await
}

fn given_document(json: &Json) -> Result<Document, Failure> {
    match as_data(json)? {
        Bson::Document(document) => Ok(document),
        _ => Err(Failure::invalid("input.command: must be an object")),
    }
}

/// Documents by a filter of the server's own language.
pub(super) async fn raw_find(
    database: &Database,
    table: &Table,
    filter: &Json,
    timeout: Duration,
) -> Result<String, Failure> {
    let (shape, limit) = bounds(None);
    let documents = collection(database, table);
    let find = documents
        .find(given_document(filter)?)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .max_time(timeout);
    rows_of(find.await.map_err(|error| failure(&error))?, shape).await
}

/// Commands whose answer is a cursor.
const CURSOR_COMMANDS: [&str; 4] = ["find", "aggregate", "listCollections", "listIndexes"];

/// A command: the documents of its cursor, or the server's answer as the only row.
pub(super) async fn raw_command(database: &Database, command: &Json, timeout: Duration) -> Result<String, Failure> {
    let mut command = given_document(command)?;
    let name = command.keys().next().cloned().unwrap_or_default();
    if !command.contains_key("maxTimeMS") {
        command.insert("maxTimeMS", millis(timeout));
    }
    if CURSOR_COMMANDS.contains(&&*name) {
        if name == "aggregate" && !command.contains_key("cursor") {
            command.insert("cursor", Document::new());
        }
        let cursor = database.run_cursor_command(command).await;
        return rows_of(cursor.map_err(|error| failure(&error))?, Shape::Rows(DEFAULT_ROW_LIMIT)).await;
    }
    let answer = database.run_command(command).await;
    let answer = answer.map_err(|error| failure(&error))?;
    super::change::check_answer(&answer)?;
    let mut rows = RowWriter::new(Shape::Rows(1));
    // What the nodes of a cluster tell each other is of no use to a job.
    let told = answer
        .iter()
        .filter(|(name, _)| !["$clusterTime", "operationTime", "electionId", "opTime"].contains(&name.as_str()));
    if rows.begin() {
        for (name, value) in told {
            rows.cell(name, |out| write(out, value));
        }
        rows.end();
    }
    result_of(rows, Shape::Rows(1))
}

/// A value as JSON text.
pub(super) fn text_of(value: &Bson) -> String {
    let mut text = String::new();
    match value {
        Bson::Document(document) => write_document(&mut text, document),
        other => write(&mut text, other),
    }
    text
}
