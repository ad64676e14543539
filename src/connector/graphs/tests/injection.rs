//! Cypher injection: hostile texts in every position of an input change and reveal nothing beyond the operation.

use super::support::TestGraph;
use serde_json::json;

const HEADS: [&str; 8] = ["", "'", "\"", "`", "\\", "``", "`)", "\\u0060"];
const TAILS: [&str; 15] = [
    " DETACH DELETE n //",
    ") DETACH DELETE n //",
    "}) WITH 1 AS x MATCH (m) DETACH DELETE m //",
    " OR 1=1",
    " OR true //",
    " RETURN 1 UNION MATCH (m) RETURN m //",
    " SET n.canary = 'x'",
    "|`ADMIN",
    "*1..5",
    "/*",
    "; MATCH (n) DETACH DELETE n",
    "\\",
    " CALL dbms.components()",
    "$p0",
    "-[r]-()",
];

fn corpus() -> Vec<String> {
    let mut all: Vec<String> = HEADS
        .iter()
        .flat_map(|head| TAILS.iter().map(move |tail| format!("{head}{tail}")))
        .collect();
    let odd = [
        "$name",
        "{{id}}",
        "$$",
        "%s",
        "n",
        "canary\u{0}x",
        "\u{feff}a",
        "｀",
        "'\u{2019}",
        "$gt",
        "$where",
        "a.b",
        "*",
        "",
        "\u{2028}",
        "true",
        "null",
    ];
    all.extend(odd.map(str::to_owned));
    all
}

/// Inputs with the text in place of names, keywords and structure.
fn structural_inputs<'t>(text: &'t str, bad: &str) -> Vec<(&'t str, String)> {
    vec![
        ("findNodes", format!(r#"{{"labels":["@L",{bad}]}}"#)),
        ("findNodes", format!(r#"{{"labels":["@L"],"where":{{{bad}:1}}}}"#)),
        (
            "findNodes",
            format!(r#"{{"labels":["@L"],"where":{{"name":{{{bad}:1}}}}}}"#),
        ),
        (
            "findNodes",
            format!(r#"{{"labels":["@L"],"orderBy":{{"name":{bad}}},"where":{{"none":1}}}}"#),
        ),
        (
            "findNodes",
            format!(r#"{{"labels":["@L"],"orderBy":{bad},"where":{{"none":1}}}}"#),
        ),
        ("findNodes", format!(r#"{{"labels":["@L"],"limit":{bad}}}"#)),
        ("findNodes", format!(r#"{{"labels":["@L"],{bad}:1}}"#)),
        (
            "updateNode",
            format!(r#"{{"labels":["@L"],"where":{{"none":1}},"properties":{{{bad}:1}}}}"#),
        ),
        (
            "updateNode",
            format!(r#"{{"labels":["@L"],"where":{{"none":1}},"properties":{{"a":{{{bad}:1}}}}}}"#),
        ),
        ("deleteNodes", format!(r#"{{"labels":["@L",{bad}],"all":true}}"#)),
        ("deleteNodes", format!(r#"{{"id":{bad}}}"#)),
        ("addLabels", format!(r#"{{"id":"4:none:1","labels":[{bad}]}}"#)),
        ("setLabels", format!(r#"{{"id":"4:none:1","labels":[{bad}]}}"#)),
        (
            "createRelationship",
            format!(r#"{{"type":{bad},"fromId":"4:none:1","toId":{bad}}}"#),
        ),
        (
            "mergeRelationship",
            format!(r#"{{"type":{bad},"fromId":"4:none:1","toId":"4:none:2","matchProps":{{{bad}:1}}}}"#),
        ),
        (
            "findRelationships",
            format!(r#"{{"types":[{bad}],"where":{{{bad}:1}}}}"#),
        ),
        (
            "findRelationships",
            format!(r#"{{"type":"NONE","startNodeId":"4:none:1","direction":{bad}}}"#),
        ),
        ("deleteRelationship", format!(r#"{{"type":{bad},"all":true}}"#)),
        (
            "traverse",
            format!(r#"{{"startNodeId":{bad},"relationshipTypes":[{bad}],"maxDepth":2}}"#),
        ),
        ("traverse", format!(r#"{{"startNodeId":"4:none:1","maxDepth":{bad}}}"#)),
        (
            "shortestPath",
            format!(r#"{{"startNodeId":{bad},"endNodeId":"4:none:1","weightProperty":{bad}}}"#),
        ),
        (
            "getNeighborhood",
            format!(r#"{{"nodeId":{bad},"depth":1,"nodeFilter":{{"labels":[{bad}]}}}}"#),
        ),
        ("countNodes", format!(r#"{{"labels":["@L",{bad}]}}"#)),
        ("fullTextSearch", format!(r#"{{"indexName":{bad},"query":{bad}}}"#)),
        (
            "fullTextSearch",
            format!(r#"{{"label":{bad},"properties":[{bad}],"query":"x"}}"#),
        ),
        ("vectorSearch", format!(r#"{{"indexName":{bad},"vector":[1,2]}}"#)),
        ("dropIndex", format!(r#"{{"name":{bad}}}"#)),
        ("dropConstraint", format!(r#"{{"name":{bad}}}"#)),
        (
            "createNodeIndex",
            format!(r#"{{"name":"x","label":"@L","properties":["a"],"type":{bad}}}"#),
        ),
        (text, "{}".to_owned()),
    ]
}

/// All that must stay as it is: nodes of the test, and how many there are of its label and relationships of its kind.
async fn dump(graph: &TestGraph) -> serde_json::Value {
    graph
        .rows(&graph.named("MATCH (n:`@L`) OPTIONAL MATCH (n)-[r]-() RETURN n.name AS name, keys(n) AS keys, count(r) AS r ORDER BY name"))
        .await
}

/// As a name, keyword or structure, each text is refused or names nothing that exists.
async fn try_as_structure(graph: &TestGraph, text: &str, bad: &str) -> usize {
    let inputs = structural_inputs(text, bad);
    let outcomes = inputs.iter().map(|(name, input)| graph.try_run(name, input));
    let outcomes = futures_util::future::join_all(outcomes).await;
    for ((name, input), outcome) in inputs.iter().zip(outcomes) {
        match outcome {
            Ok(answer) => {
                let nothing = [
                    "\"count\":0",
                    "\"count\":2",
                    "[]",
                    "null",
                    "\"dropped\":false",
                    "\"deletedCount\":0",
                    "\"updatedCount\":0",
                ];
                assert!(
                    nothing.iter().any(|sign| answer.contains(sign)),
                    "{name} {input} gave {answer}"
                );
            }
            Err(failure) => assert!(
                ["VALIDATION_ERROR", "NOT_FOUND"].contains(&&*failure.code),
                "{name} {input}: {failure:?}"
            ),
        }
    }
    inputs.len()
}

/// As a value, each text is stored and found verbatim.
async fn try_as_value(graph: &TestGraph, text: &str, bad: &str) {
    let made = graph
        .run(
            "createNode",
            &format!(r#"{{"labels":["@L"],"properties":{{"name":"mine","s":{bad}}}}}"#),
        )
        .await;
    assert_eq!(made["node"]["properties"]["s"], json!(text));
    for test in [
        bad.to_owned(),
        format!(r#"{{"$in":[{bad}]}}"#),
        format!(r#"{{"$contains":{bad}}}"#),
        format!(r#"{{"$startsWith":{bad}}}"#),
        format!(r#"{{"$endsWith":{bad}}}"#),
    ] {
        let found = graph
            .run("countNodes", &format!(r#"{{"labels":["@L"],"where":{{"s":{test}}}}}"#))
            .await;
        assert_eq!(found, json!({ "count": 1 }), "{test}");
    }
    let deleted = graph
        .run("deleteNodes", &format!(r#"{{"labels":["@L"],"where":{{"s":{bad}}}}}"#))
        .await;
    assert_eq!(deleted["deletedCount"], json!(1));
}

/// As the name of a property and of a label, each text that is taken is that name and nothing else.
async fn try_as_name(graph: &TestGraph, text: &str, bad: &str) {
    let input = format!(r#"{{"labels":["@L",{bad}],"properties":{{"name":"mine",{bad}:7}}}}"#);
    let Ok(answer) = graph.try_run("createNode", &input).await else {
        return;
    };
    let made: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(made["node"]["properties"][text], json!(7), "{text}");
    assert!(
        made["node"]["labels"].as_array().unwrap().contains(&json!(text)),
        "{text}"
    );
    let id = &made["node"]["id"];
    assert_eq!(
        graph.run("deleteNode", &format!(r#"{{"id":{id}}}"#)).await["deletedCount"],
        json!(1)
    );
}

#[tokio::test]
async fn input_text_never_reaches_cypher_as_text() {
    let Some(graph) = TestGraph::new().await else { return };
    let (a, b) = (
        graph.node(r#"{"name":"alive"}"#).await,
        graph.node(r#"{"name":"well"}"#).await,
    );
    graph.relationship("KNOWS", a, b, "{}").await;
    let before = dump(&graph).await;
    let mut tried = 0;
    for text in corpus() {
        let bad = serde_json::to_string(&text).unwrap();
        tried += try_as_structure(&graph, &text, &bad).await;
        if !text.is_empty() {
            try_as_value(&graph, &text, &bad).await;
            try_as_name(&graph, &text, &bad).await;
        }
        assert_eq!(dump(&graph).await, before, "{text}");
    }
    assert!(tried > 3_500, "{tried}");
}
