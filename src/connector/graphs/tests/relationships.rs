//! Every operation on relationships, by all names of its inputs.

use super::support::TestGraph;
use serde_json::{Value, json};

/// Three nodes; the first knows the others, of which the second likes the third.
async fn friends() -> Option<(TestGraph, [i64; 3])> {
    let graph = TestGraph::new().await?;
    let nodes = [graph.node("{}").await, graph.node("{}").await, graph.node("{}").await];
    graph
        .relationship("KNOWS", nodes[0], nodes[1], r#"{"since":2020}"#)
        .await;
    graph
        .relationship("KNOWS", nodes[0], nodes[2], r#"{"since":2024}"#)
        .await;
    graph.relationship("LIKES", nodes[1], nodes[2], "{}").await;
    Some((graph, nodes))
}

fn sinces(found: &Value) -> Vec<Option<i64>> {
    let found = found["relationships"].as_array().unwrap();
    found.iter().map(|one| one["properties"]["since"].as_i64()).collect()
}

#[tokio::test]
async fn relationship_is_created_between_two_nodes_by_all_names_of_its_ends() {
    let Some((graph, [a, b, _])) = friends().await else {
        return;
    };
    for (start, end) in [("startNodeId", "endNodeId"), ("fromId", "toId"), ("from", "to")] {
        let input = format!(r#"{{"type":"HAS","{start}":{a},"{end}":"{b}","properties":{{"n":1}}}}"#);
        let made = graph.run("createRelationship", &input).await;
        let one = &made["relationship"];
        assert_eq!(made["created"], json!(true));
        assert_eq!(
            (&one["type"], &one["startNodeId"], &one["endNodeId"]),
            (&json!("HAS"), &json!(a), &json!(b))
        );
        assert_eq!(one["properties"], json!({ "n": 1 }));
        assert!(one["elementId"].as_str().unwrap().contains(':'));
        assert!(one["startNodeElementId"].as_str().unwrap().contains(':'));
    }
    let (code, message) = graph
        .refusal(
            "createRelationship",
            &format!(r#"{{"type":"HAS","fromId":{a},"toId":"4:none:1"}}"#),
        )
        .await;
    assert!(code == "NOT_FOUND" && message.contains("endNodeId"), "{message}");
    for input in [
        format!(r#"{{"fromId":{a},"toId":{b}}}"#),
        format!(r#"{{"type":"HAS","fromId":{a}}}"#),
        format!(r#"{{"type":["A","B"],"fromId":{a},"toId":{b}}}"#),
        format!(r#"{{"type":"HAS","fromId":{a},"startNodeId":{a},"toId":{b}}}"#),
        format!(r#"{{"type":"HAS","fromId":true,"toId":{b}}}"#),
    ] {
        assert_eq!(
            graph.refusal("createRelationship", &input).await.0,
            "VALIDATION_ERROR",
            "{input}"
        );
    }
}

#[tokio::test]
async fn relationships_are_found_by_type_ends_and_filter() {
    let Some((graph, [a, b, c])) = friends().await else {
        return;
    };
    for (input, expected) in [
        (
            format!(r#"{{"type":"KNOWS","startNodeId":{a},"orderBy":"since"}}"#),
            vec![Some(2020), Some(2024)],
        ),
        (
            format!(r#"{{"type":["KNOWS","LIKES"],"endNodeId":{c},"orderBy":"since"}}"#),
            vec![Some(2024), None],
        ),
        (
            format!(r#"{{"types":["KNOWS"],"fromId":{a},"where":{{"since":{{"$gt":2021}}}}}}"#),
            vec![Some(2024)],
        ),
        (format!(r#"{{"startNodeId":{a},"endNodeId":{b}}}"#), vec![Some(2020)]),
        (format!(r#"{{"startNodeId":{b}}}"#), vec![None]),
        (
            format!(r#"{{"startNodeId":{b},"direction":"INCOMING"}}"#),
            vec![Some(2020)],
        ),
        (
            format!(r#"{{"startNodeId":{b},"direction":"BOTH","orderBy":"since"}}"#),
            vec![Some(2020), None],
        ),
        (
            format!(r#"{{"startNodeId":{a},"orderBy":{{"since":"DESC"}},"limit":1}}"#),
            vec![Some(2024)],
        ),
    ] {
        let found = graph.run("findRelationships", &input).await;
        assert_eq!(sinces(&found), expected, "{input}");
        assert_eq!(found["count"], json!(expected.len()));
    }
    let kind = format!("ONLY_{}", graph.label);
    let loop_id = graph.relationship(&kind, a, a, "{}").await;
    let both = graph
        .run(
            "findRelationships",
            &format!(r#"{{"type":"{kind}","direction":"BOTH"}}"#),
        )
        .await;
    assert_eq!(
        (&both["count"], &both["relationships"][0]["id"]),
        (&json!(1), &json!(loop_id))
    );
    let counted = graph
        .run(
            "countRelationships",
            &format!(r#"{{"types":["{kind}"],"where":{{"a":null}}}}"#),
        )
        .await;
    assert_eq!(counted, json!({ "count": 1 }));
}

#[tokio::test]
async fn relationships_are_changed_by_id_or_by_filter() {
    let Some((graph, [a, b, _])) = friends().await else {
        return;
    };
    let id = graph.relationship("KNOWS", b, a, "{}").await;
    let changed = graph
        .run(
            "updateRelationship",
            &format!(r#"{{"id":{id},"properties":{{"n":{{"$inc":2}}}}}}"#),
        )
        .await;
    assert_eq!(
        (&changed["relationship"]["properties"]["n"], &changed["updatedCount"]),
        (&json!(2), &json!(1))
    );
    let input =
        format!(r#"{{"type":"KNOWS","startNodeId":{a},"where":{{"since":2020}},"properties":{{"close":true}}}}"#);
    let changed = graph.run("updateRelationship", &input).await;
    assert_eq!(
        (
            &changed["updatedCount"],
            changed["relationships"].as_array().unwrap().len()
        ),
        (&json!(1), 1)
    );
    let (code, message) = graph
        .refusal("updateRelationship", r#"{"type":"KNOWS","properties":{"a":1}}"#)
        .await;
    assert!(code == "VALIDATION_ERROR" && message.contains("all: true"), "{message}");
}

#[tokio::test]
async fn relationships_are_deleted_by_id_or_by_what_describes_them() {
    let Some((graph, [a, b, c])) = friends().await else {
        return;
    };
    let id = graph.relationship("KNOWS", b, a, "{}").await;
    let deleted = graph
        .run("deleteRelationship", &format!(r#"{{"relationshipId":{id}}}"#))
        .await;
    assert_eq!(deleted, json!({ "deleted": true, "deletedCount": 1 }));
    let again = graph.run("deleteRelationship", &format!(r#"{{"id":{id}}}"#)).await;
    assert_eq!(again, json!({ "deleted": false, "deletedCount": 0 }));
    let input = format!(r#"{{"type":"KNOWS","startNodeId":{a},"endNodeId":{c}}}"#);
    assert_eq!(graph.run("deleteRelationship", &input).await["deletedCount"], json!(1));
    let input = format!(r#"{{"startNodeId":{a},"where":{{"since":2020}}}}"#);
    assert_eq!(graph.run("DELETE_RELATIONSHIP", &input).await["deletedCount"], json!(1));
    for input in ["{}", r#"{"type":"KNOWS"}"#, r#"{"type":"KNOWS","where":{}}"#] {
        assert_eq!(
            graph.refusal("deleteRelationship", input).await.0,
            "VALIDATION_ERROR",
            "{input}"
        );
    }
    let left = graph
        .run("findRelationships", &format!(r#"{{"startNodeId":{b}}}"#))
        .await;
    assert_eq!(left["count"], json!(1));
}

#[tokio::test]
async fn relationship_is_merged_once() {
    let Some((graph, [a, b, _])) = friends().await else {
        return;
    };
    let input = format!(
        r#"{{"type":"RATED","startNodeId":{a},"endNodeId":{b},"onCreate":{{"n":1}},"onMatch":{{"n":{{"$inc":1}}}}}}"#
    );
    let first = graph.run("mergeRelationship", &input).await;
    assert_eq!(
        (&first["created"], &first["relationship"]["properties"]["n"]),
        (&json!(true), &json!(1))
    );
    let second = graph.run("mergeRelationship", &input).await;
    assert_eq!(
        (&second["created"], &second["relationship"]["properties"]["n"]),
        (&json!(false), &json!(2))
    );
    let other = format!(r#"{{"type":"RATED","from":{a},"to":{b},"matchProperties":{{"of":"x"}}}}"#);
    assert_eq!(graph.run("mergeRelationship", &other).await["created"], json!(true));
    let missing = format!(r#"{{"type":"RATED","from":{a},"to":"4:none:1"}}"#);
    assert_eq!(graph.refusal("mergeRelationship", &missing).await.0, "NOT_FOUND");
}
