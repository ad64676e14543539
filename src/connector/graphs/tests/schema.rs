//! Indexes, constraints and the searches by them.

use super::support::TestGraph;
use serde_json::{Value, json};

/// What is listed under the name of this test.
async fn listed(graph: &TestGraph, operation: &str, key: &str, name: &str) -> Vec<Value> {
    let all = graph.run(operation, "{}").await;
    let name = graph.named(name);
    let mut all = all[key].as_array().unwrap().clone();
    all.retain(|entry| entry["name"] == json!(name));
    all
}

#[tokio::test]
async fn indexes_of_each_type_are_made_listed_and_dropped() {
    let Some(graph) = TestGraph::new().await else { return };
    for (operation, target, kind, listed_as, rest) in [
        (
            "createNodeIndex",
            r#""label":"@L""#,
            "BTREE",
            "RANGE",
            r#""properties":["a","b"]"#,
        ),
        (
            "createNodeIndex",
            r#""label":"@L""#,
            "RANGE",
            "RANGE",
            r#""properties":["c"]"#,
        ),
        (
            "createNodeIndex",
            r#""label":"@L""#,
            "TEXT",
            "TEXT",
            r#""properties":["a"]"#,
        ),
        (
            "createNodeIndex",
            r#""label":"@L""#,
            "POINT",
            "POINT",
            r#""properties":["a"]"#,
        ),
        (
            "createNodeIndex",
            r#""label":"@L""#,
            "FULLTEXT",
            "FULLTEXT",
            r#""properties":["a","b"]"#,
        ),
        (
            "createNodeIndex",
            r#""label":"@L""#,
            "VECTOR",
            "VECTOR",
            r#""properties":["v"],"dimensions":3,"similarity":"euclidean""#,
        ),
        (
            "createRelationshipIndex",
            r#""relationshipType":"@L""#,
            "RANGE",
            "RANGE",
            r#""properties":["a"]"#,
        ),
        (
            "createRelationshipIndex",
            r#""relationshipType":"@L""#,
            "fulltext",
            "FULLTEXT",
            r#""properties":["a"]"#,
        ),
    ] {
        let input = format!(r#"{{"name":"i @L","type":"{kind}",{target},{rest}}}"#);
        assert_eq!(
            graph.run(operation, &input).await,
            json!({ "created": true }),
            "{input}"
        );
        assert_eq!(
            graph.run(operation, &input).await,
            json!({ "created": false }),
            "{input}"
        );
        let found = listed(&graph, "listIndexes", "indexes", "i @L").await;
        assert_eq!(found.len(), 1);
        assert_eq!(
            (&found[0]["type"], &found[0]["labelsOrTypes"]),
            (&json!(listed_as), &json!([graph.label]))
        );
        assert_eq!(
            graph.run("dropIndex", r#"{"name":"i @L"}"#).await,
            json!({ "dropped": true })
        );
        assert_eq!(
            graph.run("dropIndex", r#"{"name":"i @L"}"#).await,
            json!({ "dropped": false })
        );
    }
    for (input, expected) in [
        (r#"{"type":"HASH","label":"@L","properties":["a"]}"#, "type of indexes"),
        (r#"{"label":"@L"}"#, "properties"),
        (r#"{"properties":["a"]}"#, "label"),
        (r#"{"type":"TEXT","label":"@L","properties":["a","b"]}"#, "one property"),
    ] {
        let (code, message) = graph.refusal("createNodeIndex", input).await;
        assert!(code == "VALIDATION_ERROR" && message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn unique_constraint_is_named_when_it_is_violated_and_the_value_is_not() {
    let Some(graph) = TestGraph::new().await else { return };
    let input = r#"{"name":"c @L","type":"UNIQUE","label":"@L","properties":["mail"]}"#;
    assert_eq!(
        graph.run("createNodeConstraint", input).await,
        json!({ "created": true })
    );
    assert_eq!(listed(&graph, "listConstraints", "constraints", "c @L").await.len(), 1);
    let node = r#"{"labels":["@L"],"properties":{"mail":"s3cret@example.org"}}"#;
    graph.run("createNode", node).await;
    let (code, message) = graph.refusal("createNode", node).await;
    assert_eq!(code, "VALIDATION_ERROR");
    assert!(message.contains("mail") && !message.contains("s3cret"), "{message}");
    // The connection is still usable.
    assert_eq!(graph.count().await, 1);
    assert_eq!(
        graph.run("dropConstraint", r#"{"name":"c @L"}"#).await,
        json!({ "dropped": true })
    );
    let kind = r#"{"name":"c @L","type":"UNIQUE","relationshipType":"@L","properties":["a"]}"#;
    assert_eq!(
        graph.run("createRelationshipConstraint", kind).await,
        json!({ "created": true })
    );
    assert_eq!(
        graph.run("dropConstraint", r#"{"name":"c @L"}"#).await,
        json!({ "dropped": true })
    );
    // The edition of the server does not have these.
    for kind in ["EXISTS", "NODE_KEY"] {
        let input = format!(r#"{{"type":"{kind}","label":"@L","properties":["a"]}}"#);
        let (code, message) = graph.refusal("createNodeConstraint", &input).await;
        assert!(code == "VALIDATION_ERROR" && message.contains("edition"), "{message}");
    }
}

#[tokio::test]
async fn name_that_something_else_has_is_a_conflict() {
    let Some(graph) = TestGraph::new().await else { return };
    let index = r#"{"name":"n @L","label":"@L","properties":["a"]}"#;
    let constraint = r#"{"name":"u @L","type":"UNIQUE","label":"@L","properties":["b"]}"#;
    for made in [true, false] {
        let created = graph.run("createNodeIndex", index).await;
        assert_eq!(created, json!({ "created": made }));
        let created = graph.run("createNodeConstraint", constraint).await;
        assert_eq!(created, json!({ "created": made }));
    }
    // The same under another name, or under none, is there.
    for input in [
        r#"{"name":"other @L","label":"@L","properties":["a"]}"#,
        r#"{"label":"@L","properties":["a"]}"#,
    ] {
        assert_eq!(graph.run("createNodeIndex", input).await, json!({ "created": false }));
    }
    for (operation, input) in [
        ("createNodeIndex", r#"{"name":"n @L","label":"@L","properties":["c"]}"#),
        (
            "createNodeIndex",
            r#"{"name":"n @L","type":"TEXT","label":"@L","properties":["a"]}"#,
        ),
        ("createNodeIndex", r#"{"name":"u @L","label":"@L","properties":["c"]}"#),
        (
            "createRelationshipIndex",
            r#"{"name":"n @L","relationshipType":"@L","properties":["a"]}"#,
        ),
        (
            "createNodeConstraint",
            r#"{"name":"n @L","label":"@L","properties":["c"]}"#,
        ),
        (
            "createNodeConstraint",
            r#"{"name":"u @L","label":"@L","properties":["c"]}"#,
        ),
    ] {
        let (code, message) = graph.refusal(operation, input).await;
        assert!(
            code == "CONFLICT" && message.contains("has the name"),
            "{input}: {message}"
        );
    }
    graph.run("dropIndex", r#"{"name":"n @L"}"#).await;
    graph.run("dropConstraint", r#"{"name":"u @L"}"#).await;
}

#[tokio::test]
async fn unique_constraint_over_values_that_are_not_tells_so() {
    let Some(graph) = TestGraph::new().await else { return };
    for _ in 0..2 {
        graph.node(r#"{"mail":"s3cret@example.org"}"#).await;
    }
    let input = r#"{"name":"c @L","type":"UNIQUE","label":"@L","properties":["mail"]}"#;
    let (code, message) = graph.refusal("createNodeConstraint", input).await;
    assert!(
        code == "VALIDATION_ERROR" && message.contains("not unique") && message.contains("`mail`"),
        "{message}"
    );
    assert!(!message.contains("s3cret"), "{message}");
}

/// Waits until all indexes are filled.
async fn indexes_are_ready(graph: &TestGraph) {
    graph.rows("CALL db.awaitIndexes(60)").await;
    // What was just written is found once the index has taken it.
    graph
        .rows("CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()")
        .await;
}

#[tokio::test]
async fn texts_are_found_by_an_index_or_by_what_it_is_for() {
    let Some(graph) = TestGraph::new().await else { return };
    let input = r#"{"name":"f @L","type":"FULLTEXT","label":"@L","properties":["title","body"]}"#;
    graph.run("createNodeIndex", input).await;
    graph.node(r#"{"title":"graphs of cities","body":"roads"}"#).await;
    graph.node(r#"{"title":"nothing of that kind"}"#).await;
    indexes_are_ready(&graph).await;
    for input in [
        r#"{"indexName":"f @L","query":"roads OR graphs","limit":5}"#,
        r#"{"label":"@L","properties":["title"],"query":"graphs"}"#,
        r#"{"label":"@L","query":"cities"}"#,
    ] {
        let found = graph.run("fullTextSearch", input).await;
        assert_eq!(found["count"], json!(1), "{input}: {found}");
        assert_eq!(
            found["results"][0]["node"]["properties"]["title"],
            json!("graphs of cities")
        );
        assert!(found["results"][0]["score"].as_f64().unwrap() > 0.0);
    }
    for input in [
        r#"{"indexName":"none @L","query":"x"}"#,
        r#"{"label":"@L","properties":["none"],"query":"x"}"#,
    ] {
        assert_eq!(graph.refusal("fullTextSearch", input).await.0, "NOT_FOUND", "{input}");
    }
    for input in [
        r#"{"query":"x"}"#,
        r#"{"indexName":"f @L"}"#,
        r#"{"indexName":"f @L","query":"(((","limit":1}"#,
    ] {
        assert_eq!(
            graph.refusal("fullTextSearch", input).await.0,
            "VALIDATION_ERROR",
            "{input}"
        );
    }
    graph.run("dropIndex", r#"{"name":"f @L"}"#).await;
}

#[tokio::test]
async fn vectors_are_found_by_their_nearness() {
    let Some(graph) = TestGraph::new().await else { return };
    let input = r#"{"name":"v @L","type":"VECTOR","label":"@L","properties":["at"],"dimensions":2}"#;
    graph.run("createNodeIndex", input).await;
    graph.node(r#"{"name":"east","at":[1.0,0.0]}"#).await;
    graph.node(r#"{"name":"north","at":[0.0,1.0]}"#).await;
    indexes_are_ready(&graph).await;
    let found = graph
        .run("vectorSearch", r#"{"indexName":"v @L","vector":[0.9,0.1],"topK":1}"#)
        .await;
    assert_eq!(found["count"], json!(1));
    assert_eq!(found["results"][0]["node"]["properties"]["name"], json!("east"));
    for input in [
        r#"{"indexName":"v @L","vector":[]}"#,
        r#"{"indexName":"v @L","vector":["1"]}"#,
        r#"{"indexName":"v @L","vector":[1,2,3]}"#,
    ] {
        assert_eq!(
            graph.refusal("vectorSearch", input).await.0,
            "VALIDATION_ERROR",
            "{input}"
        );
    }
    graph.run("dropIndex", r#"{"name":"v @L"}"#).await;
}
