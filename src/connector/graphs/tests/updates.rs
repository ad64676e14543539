//! Operators of updates that meet what they are not for.

use super::support::TestGraph;
use serde_json::json;

#[tokio::test]
async fn least_and_greatest_keep_off_values_of_another_type() {
    let Some(graph) = TestGraph::new().await else { return };
    let properties =
        r#"{"s":"abc","n":5,"l":[1],"b":true,"d":{"$datetime":"2026-01-31T00:00:00Z"},"p":{"$duration":"P1D"}}"#;
    let id = graph.node(properties).await;
    let read = async || graph.run("findNodeById", &format!(r#"{{"id":{id}}}"#)).await["properties"].clone();
    let before = read().await;
    for operator in ["$min", "$max"] {
        for (name, value) in [
            ("s", "5"),
            ("n", r#""x""#),
            ("l", "0"),
            ("b", "1"),
            ("n", "[1]"),
            ("d", "1769817600000"),
            ("d", r#""2027-01-01T00:00:00Z""#),
            ("d", r#"{"$date":"2027-01-01"}"#),
            ("p", r#"{"$duration":"P2D"}"#),
        ] {
            let input = format!(r#"{{"id":{id},"properties":{{"{name}":{{"{operator}":{value}}}}}}}"#);
            let (code, message) = graph.refusal("updateNode", &input).await;
            assert!(
                code == "VALIDATION_ERROR" && message.contains(&format!("{operator} of '{name}' needs")),
                "{input}: {message}"
            );
        }
        let input = format!(r#"{{"id":{id},"properties":{{"n":{{"{operator}":null}}}}}}"#);
        let (code, message) = graph.refusal("updateNode", &input).await;
        assert!(code == "VALIDATION_ERROR" && message.contains("got null"), "{message}");
    }
    assert_eq!(read().await, before);
    let changes = r#"{"n":{"$max":5.5},"s":{"$min":"abb"},"b":{"$min":false},"d":{"$max":{"$datetime":1900000000000}},"new":{"$min":"x"},"l":{"$max":[2]}}"#;
    let changed = graph
        .run("updateNode", &format!(r#"{{"id":{id},"properties":{changes}}}"#))
        .await;
    let now = &changed["node"]["properties"];
    assert_eq!(
        (&now["n"], &now["s"], &now["b"], &now["new"], &now["l"]),
        (&json!(5.5), &json!("abb"), &json!(false), &json!("x"), &json!([2]))
    );
    assert!(now["d"].as_str().unwrap().starts_with("2030-"), "{now}");
}

#[tokio::test]
async fn operators_that_meet_another_type_are_named_with_their_property() {
    let Some(graph) = TestGraph::new().await else { return };
    let id = graph.node(r#"{"s":"abc","l":[1]}"#).await;
    for (change, expected) in [
        (r#"{"s":{"$inc":1}}"#, "$inc of 's' needs a number"),
        (r#"{"s":{"$mul":2}}"#, "$mul of 's' needs a number"),
        (r#"{"s":{"$push":"x"}}"#, "$push of 's' needs a list"),
        (r#"{"l":{"$push":"x"}}"#, "$push of 'l' needs a list"),
        (r#"{"l":{"$push":null}}"#, "$push must have a value, got null"),
        (r#"{"l":{"$pull":null}}"#, "$pull must have a value, got null"),
        (r#"{"l":{"$addToSet":null}}"#, "$addToSet must have a value, got null"),
    ] {
        let input = format!(r#"{{"id":{id},"properties":{change}}}"#);
        let (code, message) = graph.refusal("updateNode", &input).await;
        assert!(
            code == "VALIDATION_ERROR" && message.contains(expected),
            "{change}: {message}"
        );
    }
    let merge = r#"{"labels":["@L"],"matchProperties":{"s":"abc"},"onMatch":{"l":{"$inc":1}}}"#;
    let (_, message) = graph.refusal("mergeNode", merge).await;
    assert!(message.contains("$inc of 'l' needs a number"), "{message}");
}

#[tokio::test]
async fn merge_that_would_not_find_what_it_creates_is_refused() {
    let Some(graph) = TestGraph::new().await else { return };
    for (rest, expected) in [
        (
            r#""matchProperties":{"k":"m"},"onCreate":{"k":"z"}"#,
            "input.onCreate.k: differs",
        ),
        (
            r#""matchProperties":{"k":"m"},"setProperties":{"k":"z"}"#,
            "input.onCreate.k: differs",
        ),
        (
            r#""matchProperties":{"k":1},"onCreate":{"k":{"$inc":1}}"#,
            "input.onCreate.k: differs",
        ),
        (
            r#""matchProperties":{"k":"m"},"onCreate":{"k":null}"#,
            "input.onCreate.k: differs",
        ),
        (
            r#""matchProperties":{"k":null}"#,
            "input.matchProperties.k: must have a value",
        ),
    ] {
        let (code, message) = graph
            .refusal("mergeNode", &format!(r#"{{"labels":["@L"],{rest}}}"#))
            .await;
        assert!(
            code == "VALIDATION_ERROR" && message.contains(expected),
            "{rest}: {message}"
        );
    }
    assert_eq!(graph.count().await, 0);
    // What is found may change what it is found by.
    for created in [true, false, true] {
        let input = r#"{"labels":["@L"],"matchProperties":{"k":"new"},"onCreate":{"k":"new"},"onMatch":{"k":"taken"}}"#;
        assert_eq!(graph.run("mergeNode", input).await["created"], json!(created));
    }
}

#[tokio::test]
async fn query_without_text_or_parameter_says_so() {
    let Some(graph) = TestGraph::new().await else { return };
    for (input, expected) in [
        (r#"{"query":""}"#, "input.query: is empty"),
        (r#"{"query":"RETURN $x"}"#, "input.params: lacks 'x'"),
        (
            r#"{"query":"RETURN $x, $y","params":{"x":1}}"#,
            "input.params: lacks 'y'",
        ),
    ] {
        let (code, message) = graph.refusal("query", input).await;
        assert!(
            code == "VALIDATION_ERROR" && message.contains(expected),
            "{input}: {message}"
        );
    }
    let rows = graph
        .run("query", r#"{"query":"RETURN '$x' AS a, $y AS b","params":{"y":1}}"#)
        .await;
    assert_eq!(rows["rows"], json!([{ "a": "$x", "b": 1 }]));
}
