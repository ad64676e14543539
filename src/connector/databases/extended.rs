//! Extended JSON: the objects by which MongoDB writes values that JSON lacks, such as `{ "$oid": "…" }`.
//!
//! Knows their names alone; what they mean is MongoDB's to read.

use super::json::Json;

/// The objects that inputs may have. Code and database pointers are not among them.
pub(super) const NAMES: [&str; 12] = [
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

/// The name and the content of such an object.
pub(super) fn read(json: &Json) -> Option<(&str, &Json)> {
    let Json::Map(entries) = json.value() else { return None };
    let [(name, content)] = entries.as_slice() else {
        return None;
    };
    NAMES.contains(&&**name).then_some((&**name, content))
}
