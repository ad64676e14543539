//! Fuzzes operations on graphs: any text is used as the input of an operation, as its filter and as data within it. Nothing of it
//! may reach a statement but as a quoted name or a parameter.
#![no_main]

use ductape::graph_fuzzing::statement;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

const OPERATIONS: [&str; 12] = [
    "createNode",
    "findNodes",
    "updateNode",
    "deleteNode",
    "mergeNode",
    "addLabels",
    "createRelationship",
    "findRelationships",
    "deleteRelationship",
    "traverse",
    "shortestPath",
    "createNodeIndex",
];

/// What a statement may hold beside quoted names, parameters and numbers.
const WORDS: &str = "MATCH CREATE MERGE RETURN WHERE SET REMOVE DELETE DETACH ON AND OR NOT IN IS NULL CONTAINS STARTS ENDS WITH \
    ORDER BY DESC SKIP LIMIT DISTINCT CASE WHEN THEN ELSE END AS true false null all any n r a b p node step value instant total \
    weight id elementId count coalesce tail nodes relationships length reduce shortestPath datetime epochMillis localdatetime \
    date time localtime duration nanoseconds point RANGE TEXT POINT FULLTEXT VECTOR INDEX IF EXISTS NOT FOR EACH OPTIONS \
    indexConfig cosine euclidean";

fuzz_target!(|text: &str| {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
    let mut inputs = vec![
        format!(r#"{{"labels":[{quoted}],"where":{{{quoted}:{quoted}}},"limit":1}}"#),
        format!(r#"{{"labels":["L"],"properties":{{{quoted}:{quoted}}},"where":{{"a":{{"$gt":{quoted}}}}}}}"#),
        format!(r#"{{"type":{quoted},"from":{quoted},"to":1,"maxDepth":2,"properties":{{{quoted}:1}}}}"#),
        format!(r#"{{"name":{quoted},"label":{quoted},"properties":[{quoted}]}}"#),
    ];
    if is_json {
        inputs.push(text.to_owned());
        inputs.push(format!(r#"{{"labels":["L"],"where":{text}}}"#));
        inputs.push(format!(r#"{{"labels":["L"],"where":{{"a":1}},"properties":{text}}}"#));
    }
    for input in &inputs {
        for operation in OPERATIONS {
            if let Ok(Some((statement, params))) = statement(operation, input) {
                check(&statement, &params);
            }
        }
    }
});

fn check(statement: &str, params: &[String]) {
    let mut words = String::new();
    // Every second part is within backticks; a doubled one is a part of a name.
    for (index, part) in statement.replace("``", "").split('`').enumerate() {
        if index % 2 == 0 {
            words.push_str(part);
            words.push(' ');
        }
    }
    let known: Vec<&str> = WORDS.split_whitespace().collect();
    for word in words.split(|character: char| !character.is_alphanumeric() && character != '$' && character != '_') {
        let is_param = word.strip_prefix('$').is_some_and(|name| params.iter().any(|param| param == name));
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        assert!(is_param || is_number || known.contains(&word), "{word}: {statement}");
    }
    let signs = words.chars().filter(|character| !character.is_alphanumeric() && !character.is_whitespace());
    for sign in signs {
        assert!("$()[]{}:,.|*<>=-+~'?_".contains(sign), "{sign}: {statement}");
    }
}
