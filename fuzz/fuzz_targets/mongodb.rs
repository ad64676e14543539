//! Fuzzes operations on MongoDB: any text is used as the input of an operation, as its filter, as its pipeline and as data within
//! it. Nothing of it may be read as an operator that jobs do not have.
#![no_main]

use ductape::fuzzing::{Sent, documents};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

const OPERATIONS: [&str; 12] = [
    "find",
    "findOne",
    "count",
    "sum",
    "aggregate",
    "groupBy",
    "insert",
    "upsert",
    "update",
    "updateOne",
    "delete",
    "deleteOne",
];
/// Operators of a field in filters.
const TESTS: [&str; 10] = [
    "$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in", "$nin", "$exists", "$regex",
];
const UPDATES: [&str; 11] = [
    "$set",
    "$unset",
    "$inc",
    "$mul",
    "$min",
    "$max",
    "$push",
    "$addToSet",
    "$pull",
    "$pop",
    "$rename",
];
/// What runs code, writes, or reads beside collections.
const FORBIDDEN: [&str; 12] = [
    "$function",
    "$accumulator",
    "$where",
    "$out",
    "$merge",
    "$expr",
    "$jsonSchema",
    "$text",
    "$currentOp",
    "$collStats",
    "$listSessions",
    "$documents",
];

fn members<'a>(value: &'a Value, whole: &Value) -> &'a Map<String, Value> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value} in {whole}"))
}

/// Reads a filter as the server does: operators are where this package puts them, and their operands are values.
fn check_filter(filter: &Value, whole: &Value) {
    for (key, value) in members(filter, whole) {
        if ["$and", "$or", "$nor"].contains(&&**key) {
            let parts = value.as_array().unwrap_or_else(|| panic!("no list: {whole}"));
            assert!(!parts.is_empty(), "an empty list: {whole}");
            parts.iter().for_each(|part| check_filter(part, whole));
            continue;
        }
        assert!(!key.starts_with('$'), "{key}: {whole}");
        let tests = members(value, whole);
        assert!(!tests.is_empty(), "{whole}");
        for (operator, operand) in tests {
            assert!(TESTS.contains(&&**operator), "{operator}: {whole}");
            if ["$in", "$nin"].contains(&&**operator) {
                assert!(operand.is_array(), "{whole}");
            }
        }
    }
}

fn check_update(update: &Value) {
    for (operator, fields) in members(update, update) {
        let known = [&UPDATES[..], &["$setOnInsert", "$currentDate"]].concat();
        assert!(known.contains(&&**operator), "{operator}: {update}");
        for (name, value) in members(fields, update) {
            assert!(!name.starts_with('$'), "{name}: {update}");
            let modifiers: &[&str] = match &**operator {
                "$push" | "$addToSet" => &["$each"],
                "$pull" => &["$in"],
                _ => continue,
            };
            assert!(
                members(value, update).keys().all(|key| modifiers.contains(&&**key)),
                "{update}"
            );
        }
    }
}

/// What is no filter: expressions, without any that is forbidden.
fn check_expression(value: &Value, whole: &Value) {
    match value {
        Value::Object(entries) => {
            for (key, inner) in entries {
                assert!(!FORBIDDEN.contains(&&**key), "{key}: {whole}");
                if key != "$literal" {
                    check_expression(inner, whole);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| check_expression(inner, whole)),
        _ => {}
    }
}

fn check_stage(stage: &Value, whole: &Value) {
    let entries = members(stage, whole);
    assert_eq!(entries.len(), 1, "{whole}");
    let nested = |stages: &Value| {
        let stages = stages.as_array().unwrap_or_else(|| panic!("no list: {whole}"));
        stages.iter().for_each(|stage| check_stage(stage, whole));
    };
    for (name, content) in entries {
        assert!(
            name.starts_with('$') && !FORBIDDEN.contains(&&**name),
            "{name}: {whole}"
        );
        match (&**name, content) {
            ("$match", filter) => check_filter(filter, whole),
            ("$facet", Value::Object(facets)) => facets.values().for_each(nested),
            ("$lookup" | "$unionWith", Value::Object(members)) => {
                for (member, value) in members {
                    match &**member {
                        "pipeline" => nested(value),
                        _ => check_expression(value, whole),
                    }
                }
            }
            (_, content) => check_expression(content, whole),
        }
    }
}

/// Makes an operation and checks what comes of it; `None`: it is refused.
fn sent(operation: &str, input: &str) -> Option<Vec<Sent>> {
    let sent = match documents(operation, input) {
        Ok(sent) => sent,
        Err(failure) => {
            assert_eq!(&*failure.code, "VALIDATION_ERROR", "{input}: {}", failure.message);
            assert!(failure.message.len() < 2_000, "{input}: {}", failure.message);
            return None;
        }
    };
    for document in &sent {
        assert!(document.is_bson, "{input}: {}", document.json);
        let read = serde_json::from_str(&document.json);
        let read: Value = read.unwrap_or_else(|error| panic!("{error}: {}", document.json));
        match document.role {
            "filter" => check_filter(&read, &read),
            "update" => check_update(&read),
            "stage" => check_stage(&read, &read),
            _ => assert!(members(&read, &read).keys().all(|key| !key.starts_with('$')), "{read}"),
        }
    }
    Some(sent)
}

/// A value that is marked as data is compared as it stands, whatever it looks like.
fn check_literal(value: &str) {
    for document in sent("count", &format!(r#"{{"where":{{"c":{{"$literal":{value}}}}}}}"#))
        .iter()
        .flatten()
    {
        let filter: Value = serde_json::from_str(&document.json).expect("JSON");
        let tests = members(&filter["c"], &filter);
        assert!(tests.keys().all(|key| key == "$eq" || key == "$in"), "{filter}");
    }
    let quoted = format!(r#"{{"pipeline":[{{"$addFields":{{"c":{{"$literal":{value}}}}}}}]}}"#);
    for document in sent("aggregate", &quoted).iter().flatten() {
        let stage: Value = serde_json::from_str(&document.json).expect("JSON");
        let set = &stage["$addFields"]["c"];
        let is_path = set.as_str().is_some_and(|text| text.starts_with('$'));
        assert!(!is_path && !set.is_array(), "{stage}");
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let operation = OPERATIONS[usize::from(*choice) % OPERATIONS.len()];
    sent(operation, text);
    let Ok(value) = serde_json::from_str::<&RawValue>(text).map(RawValue::get) else {
        return;
    };
    match operation {
        "update" | "updateOne" => {
            sent(operation, &format!(r#"{{"data":{value},"all":true}}"#));
            sent(operation, &format!(r#"{{"data":{{"s":{value}}},"where":{value}}}"#));
        }
        "aggregate" | "groupBy" => {
            sent("aggregate", &format!(r#"{{"pipeline":{value}}}"#));
            let grouped = r#""groupBy":["s"],"aggregate":{"n":{"$max":"i"}}"#;
            sent(
                "aggregate",
                &format!(r#"{{{grouped},"having":{value},"where":{value}}}"#),
            );
        }
        "insert" | "upsert" => {
            sent(operation, &format!(r#"{{"data":{value},"conflictColumns":["i"]}}"#));
            sent(
                operation,
                &format!(r#"{{"data":{{"i":{value},"s":{value}}},"conflictColumns":["i"]}}"#),
            );
        }
        _ => {
            sent(operation, &format!(r#"{{"where":{value}}}"#));
        }
    }
    check_literal(value);
});
