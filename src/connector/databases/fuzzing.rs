//! What the fuzz targets `filter`, `mongodb` and `dynamodb` see: an operation as a job asks for it, and what it becomes.

use super::build::plan;
use super::dates::TimestampStyle;
use super::dialect::Dialect;
use super::json::Json;
#[cfg(feature = "mongodb")]
pub use super::mongodb::fuzzing::Sent;
#[cfg(any(feature = "mongodb", feature = "dynamodb"))]
use super::operation::Operation;
use super::request::{ReadContext, read};
use super::value::{Kind, Kinds};
use crate::connector::Failure;

/// The dialects, for [`statements`].
pub const DIALECTS: [&str; 3] = ["postgres", "mysql", "sqlite"];

/// Columns of the table, where they are known.
const COLUMNS: [(&str, Kind); 6] = [
    ("i", Kind::Integer),
    ("d", Kind::Decimal),
    ("s", Kind::Text),
    ("b", Kind::Bytes),
    ("at", Kind::Timestamp),
    ("j", Kind::Json),
];

/// The statements of an operation of a job, each with the JSON of its values. The table is `t`, unless the input names
/// another; `columns_known` says whether only its columns are accepted.
///
/// # Errors
/// As the job fails.
pub fn statements(
    dialect: &str,
    columns_known: bool,
    operation: &str,
    input: &str,
) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let dialect = match dialect {
        "postgres" => Dialect::Postgres,
        "mysql" => Dialect::MySql,
        _ => Dialect::Sqlite,
    };
    let context = ReadContext {
        dialect,
        table: Some("t"),
        raw: false,
    };
    let operation = read(operation, &Json::read_marked(input)?.with_marked_fields(), context)?;
    let known = COLUMNS.into_iter().filter(|_| columns_known);
    let kinds = Kinds::new(known.map(|(name, kind)| (name.to_owned(), kind)));
    let mut built = Vec::new();
    for statement in plan(&operation, dialect, &kinds)?.statements {
        for bound in &statement.values {
            // A value that does not fit its column fails the job, and does nothing worse.
            let _ = bound.scalar(TimestampStyle::Plain);
        }
        let values = statement.values.iter().map(|bound| bound.value.text());
        built.push((statement.sql, values.collect()));
    }
    Ok(built)
}

/// An operation of a job on a database without SQL, on the table `table` unless the input names another.
#[cfg(any(feature = "mongodb", feature = "dynamodb"))]
fn without_sql(dialect: Dialect, operation: &str, input: &str) -> Result<Operation, Failure> {
    let context = ReadContext {
        dialect,
        table: Some("table"),
        raw: false,
    };
    read(operation, &Json::read_marked(input)?.with_marked_fields(), context)
}

/// What an operation of a job sends to MongoDB.
///
/// # Errors
/// As the job fails.
#[cfg(feature = "mongodb")]
pub fn documents(operation: &str, input: &str) -> Result<Vec<Sent>, Failure> {
    super::mongodb::fuzzing::documents(&without_sql(Dialect::Mongo, operation, input)?)
}

/// What an operation of a job sends to DynamoDB: requests on a table with the key `s` and `i`, and indexes on `i` and `b`.
///
/// # Errors
/// As the job fails.
#[cfg(feature = "dynamodb")]
pub fn requests(operation: &str, input: &str) -> Result<Vec<serde_json::Value>, Failure> {
    super::dynamodb::fuzzing::requests(&without_sql(Dialect::Dynamo, operation, input)?)
}
