//! Fuzzes operations on DynamoDB: any text is used as the input of an operation, as its filter and as data within it. Expressions
//! hold nothing of it, each placeholder has its name or value, and values are ones that the server takes.
#![no_main]

use ductape::fuzzing::requests;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const OPERATIONS: [&str; 10] = [
    "find",
    "findOne",
    "count",
    "insert",
    "upsert",
    "update",
    "updateOne",
    "delete",
    "deleteOne",
    "aggregate",
];
/// What an expression may hold beside placeholders and signs.
const WORDS: [&str; 15] = [
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "if_not_exists",
    "list_append",
    "SET",
    "REMOVE",
    "ADD",
];
const SIGNS: &str = "(),.=<>+ ";
/// Longest expression that DynamoDB takes.
const MAX_EXPRESSION_BYTES: usize = 4_096;

/// The placeholders of an expression, of which all else is words and signs.
fn placeholders(expression: &str, used: &mut BTreeSet<String>) {
    assert!(
        !expression.is_empty() && expression.len() <= MAX_EXPRESSION_BYTES,
        "{expression}"
    );
    let mut depth = 0_i32;
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let in_word = |character: &char| character.is_alphanumeric() || matches!(character, '_' | '#' | ':');
        let length: usize = rest.chars().take_while(in_word).map(char::len_utf8).sum();
        if length == 0 {
            assert!(SIGNS.contains(first), "{first}: {expression}");
            depth += i32::from(first == '(') - i32::from(first == ')');
            assert!(depth >= 0, "{expression}");
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(length);
        if word.starts_with(['#', ':']) {
            used.insert(word.to_owned());
        } else {
            assert!(WORDS.contains(&word) || word == "DELETE", "{word}: {expression}");
        }
        rest = after;
    }
    assert_eq!(depth, 0, "{expression}");
}

/// A number as the server takes it: at most 38 digits.
fn check_number(value: &Value) {
    let text = value.as_str().expect("a number is a text");
    let significand = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = significand.chars().filter(char::is_ascii_digit).collect();
    assert!(!digits.is_empty() && text.parse::<f64>().is_ok(), "{text}");
    let significant = digits.trim_matches('0');
    assert!(significant.len() <= 38, "{text}");
}

/// An attribute value: one type, and what belongs to it.
fn check_value(value: &Value, is_key: bool) {
    let entries = value.as_object().expect("a value is an object");
    assert_eq!(entries.len(), 1, "{value}");
    for (kind, content) in entries {
        assert!(!is_key || ["S", "N", "B"].contains(&&**kind), "{value}");
        match &**kind {
            "S" | "B" => {
                let text = content.as_str().expect("a text");
                assert!(!is_key || !text.is_empty(), "{value}");
            }
            "N" => check_number(content),
            "BOOL" => assert!(content.is_boolean(), "{value}"),
            "NULL" => assert_eq!(content, &Value::Bool(true)),
            "L" => content
                .as_array()
                .expect("a list")
                .iter()
                .for_each(|inner| check_value(inner, false)),
            "M" => content
                .as_object()
                .expect("a map")
                .values()
                .for_each(|inner| check_value(inner, false)),
            "SS" | "NS" | "BS" => {
                let elements = content.as_array().expect("a list");
                assert!(!elements.is_empty() && elements.iter().all(Value::is_string), "{value}");
                let different: BTreeSet<_> = elements.iter().map(Value::as_str).collect();
                assert_eq!(different.len(), elements.len(), "{value}");
                if kind == "NS" {
                    elements.iter().for_each(check_number);
                }
            }
            other => panic!("{other}: {value}"),
        }
    }
}

fn check(request: &Map<String, Value>) {
    let mut used = BTreeSet::new();
    let mut given = BTreeSet::new();
    for (member, content) in request {
        match &**member {
            "ExpressionAttributeNames" => {
                let names = content.as_object().expect("names");
                given.extend(names.keys().cloned());
                assert!(
                    names
                        .values()
                        .all(|name| name.as_str().is_some_and(|name| !name.is_empty()))
                );
            }
            "ExpressionAttributeValues" => {
                let values = content.as_object().expect("values");
                given.extend(values.keys().cloned());
                values.values().for_each(|value| check_value(value, false));
            }
            "Key" => content
                .as_object()
                .expect("a key")
                .values()
                .for_each(|value| check_value(value, true)),
            "Item" => content.as_object().expect("a row").iter().for_each(|(name, value)| {
                check_value(value, ["i", "s", "b"].contains(&&**name));
            }),
            expression if expression.ends_with("Expression") => {
                placeholders(content.as_str().expect("an expression"), &mut used);
            }
            _ => {}
        }
    }
    // One that no expression uses is refused, as is one that is not there.
    assert_eq!(used, given, "{request:?}");
}

fn made(operation: &str, input: &str) {
    match requests(operation, input) {
        Ok(requests) => {
            for request in &requests {
                check(request.as_object().expect("a request is an object"));
            }
        }
        Err(failure) => {
            assert_eq!(&*failure.code, "VALIDATION_ERROR", "{input}: {}", failure.message);
            assert!(failure.message.len() < 2_000, "{input}: {}", failure.message);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let operation = OPERATIONS[usize::from(*choice) % OPERATIONS.len()];
    made(operation, text);
    let Ok(value) = serde_json::from_str::<&RawValue>(text).map(RawValue::get) else {
        return;
    };
    match operation {
        "update" | "updateOne" => {
            made(operation, &format!(r#"{{"data":{value},"all":true}}"#));
            made(operation, &format!(r#"{{"data":{{"x":{value}}},"where":{value}}}"#));
        }
        "insert" | "upsert" => {
            let columns = r#""conflictColumns":["s","i"]"#;
            made(operation, &format!(r#"{{"data":{value},{columns}}}"#));
            made(
                operation,
                &format!(r#"{{"data":{{"s":"k","i":1,"x":{value}}},{columns}}}"#),
            );
            made(
                operation,
                &format!(r#"{{"data":{{"s":{value},"i":{value},"b":{value}}},{columns}}}"#),
            );
        }
        _ => {
            made(operation, &format!(r#"{{"where":{value}}}"#));
            made(operation, &format!(r#"{{"where":{{"s":"k","i":{value}}}}}"#));
            made(operation, &format!(r#"{{"where":{{"c":{{"$literal":{value}}}}}}}"#));
        }
    }
});
