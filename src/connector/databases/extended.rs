//! Extended JSON: the objects by which databases without SQL write values that JSON lacks, such as `{ "$oid": "…" }`.
//!
//! Knows their names alone; what they mean is the database's to read.

use super::dialect::Dialect;
use super::json::Json;
#[cfg(any(feature = "mongodb", feature = "dynamodb"))]
use super::json::push_string;

/// Those of DynamoDB: a number with more digits than JavaScript keeps, and sets.
const OF_DYNAMO: [&str; 4] = ["$numberDecimal", "$stringSet", "$numberSet", "$bytesSet"];

/// Those of MongoDB that inputs may have. Code and database pointers are not among them.
const OF_MONGO: [&str; 12] = [
    "$oid",
    "$date",
    "$numberInt",
    "$numberLong",
    "$numberDouble",
    "$numberDecimal",
    "$binary",
    "$uuid",
    "$timestamp",
    "$regularExpression",
    "$minKey",
    "$maxKey",
];

/// Writes an object with one member, a text.
#[cfg(any(feature = "mongodb", feature = "dynamodb"))]
pub(super) fn push_pair(out: &mut String, name: &str, text: &str) {
    out.push('{');
    push_string(out, name);
    out.push(':');
    push_string(out, text);
    out.push('}');
}

/// The name and the content of such an object.
pub(super) fn read(json: &Json, dialect: Dialect) -> Option<(&str, &Json)> {
    let names: &[&str] = match dialect {
        Dialect::Mongo => &OF_MONGO,
        Dialect::Dynamo => &OF_DYNAMO,
        Dialect::Postgres | Dialect::MySql | Dialect::Sqlite => return None,
    };
    let Json::Map(entries) = json.value() else { return None };
    let [(name, content)] = entries.as_slice() else {
        return None;
    };
    names.contains(&&**name).then_some((&**name, content))
}
