//! `raw`: a statement of PartiQL, or a request of DynamoDB's API as it stands.

use super::client::Repeat;
use super::failure::Trouble;
use super::job::Job;
use super::row::push_row;
use super::schema::{Key, Table};
use super::value::{Item, stored};
use crate::connector::Failure;
use crate::connector::databases::json::{Json, push_raw};
use crate::connector::databases::operation::Columns;
use crate::connector::databases::plan::Shape;
use crate::connector::databases::rows::{RowWriter, result_of};
use crate::connector::limits::{DEFAULT_ROW_LIMIT, MAX_PAGES_SCANNED};
use serde_json::{Value, json};

/// Operations that change nothing.
const READING: [&str; 8] = [
    "BatchGetItem",
    "DescribeTable",
    "GetItem",
    "ListTables",
    "Query",
    "Scan",
    "TransactGetItems",
    "DescribeTimeToLive",
];

/// Runs a statement. Its rows, page by page; a change returns none.
pub(super) async fn statement(job: Job<'_>, text: &str, params: &[Json]) -> Result<String, Trouble> {
    let mut request = Item::new();
    request.insert("Statement".into(), json!(text));
    if !params.is_empty() {
        let params: Vec<Value> = params.iter().map(stored).collect::<Result<_, Failure>>()?;
        request.insert("Parameters".into(), json!(params));
    }
    let is_select = crate::connector::databases::backend::first_word(text) == "select";
    let repeat = if is_select { Repeat::Safe } else { Repeat::Unsafe };
    let mut rows = rows_of_any_table();
    for page in 1.. {
        let answer = job.call("ExecuteStatement", request.clone(), repeat).await?;
        if !push_items(&mut rows, &answer) {
            break;
        }
        match answer.get("NextToken").and_then(Value::as_str) {
            Some(_) if page >= MAX_PAGES_SCANNED => {
                rows.cut();
                break;
            }
            Some(token) => request.insert("NextToken".into(), json!(token)),
            None => break,
        };
    }
    Ok(result_of(rows, Shape::Rows(DEFAULT_ROW_LIMIT))?)
}

fn rows_of_any_table() -> RowWriter {
    RowWriter::new(Shape::Rows(DEFAULT_ROW_LIMIT))
}

/// Writes the rows of an answer; `false`: no more are wanted.
fn push_items(rows: &mut RowWriter, answer: &Value) -> bool {
    let table = Table::unknown();
    let items = answer.get("Items").and_then(Value::as_array);
    let mut items = items
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_object);
    items.all(|item| push_row(rows, &table, &Columns::All, item))
}

/// Sends a request as it stands. The rows of a `Query` or `Scan`, else the answer as the only row.
pub(super) async fn request(job: Job<'_>, operation: &str, params: &Json) -> Result<String, Trouble> {
    let repeat = if READING.contains(&operation) {
        Repeat::Safe
    } else {
        Repeat::Unsafe
    };
    let answer = job.call_text(operation, params.text(), repeat).await?;
    // A table may have been made, changed or removed.
    if let Json::Map(entries) = params.value()
        && !READING.contains(&operation)
        && let Some(name) = entries
            .iter()
            .find(|(name, _)| **name == *"TableName")
            .and_then(|(_, name)| name.as_text())
    {
        job.forget(name);
    }
    if answer.get("Items").is_some_and(Value::is_array) {
        let mut rows = rows_of_any_table();
        let whole = push_items(&mut rows, &answer);
        if whole
            && answer
                .get("LastEvaluatedKey")
                .or(answer.get("NextToken"))
                .is_some_and(|next| !next.is_null())
        {
            rows.cut();
        }
        return Ok(result_of(rows, Shape::Rows(DEFAULT_ROW_LIMIT))?);
    }
    let mut rows = RowWriter::new(Shape::Rows(1));
    if rows.begin() {
        let members = answer.as_object().into_iter().flatten();
        for (name, value) in members {
            rows.cell(name, |out| push_raw(out, &value.to_string()));
        }
        rows.end();
    }
    Ok(result_of(rows, Shape::Rows(1))?)
}

impl Table {
    /// One of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self::with_key(Key {
            hash: "".into(),
            sort: None,
        })
    }
}
