//! Operations that follow relationships.

use super::support::TestGraph;
use serde_json::{Value, json};

/// a → b → c → d, and a → c by a road that is longer; e stands alone.
async fn roads() -> Option<(TestGraph, [i64; 5])> {
    let graph = TestGraph::new().await?;
    let mut nodes = [0; 5];
    for (at, name) in ["a", "b", "c", "d", "e"].iter().enumerate() {
        nodes[at] = graph
            .node(&format!(r#"{{"name":"{name}","open":{}}}"#, *name != "b"))
            .await;
    }
    let [a, b, c, d, _] = nodes;
    for (from, to, kind, km) in [
        (a, b, "ROAD", 1),
        (b, c, "ROAD", 1),
        (c, d, "ROAD", 1),
        (a, c, "PATH", 5),
    ] {
        graph.relationship(kind, from, to, &format!(r#"{{"km":{km}}}"#)).await;
    }
    Some((graph, nodes))
}

/// The names along a path.
fn names(path: &Value) -> String {
    let nodes = path["nodes"].as_array().unwrap().iter();
    assert_eq!(path["length"], json!(path["relationships"].as_array().unwrap().len()));
    nodes.map(|node| node["properties"]["name"].as_str().unwrap()).collect()
}

fn all_names(answer: &Value) -> Vec<String> {
    let mut all: Vec<String> = answer["paths"].as_array().unwrap().iter().map(names).collect();
    all.sort();
    all
}

#[tokio::test]
async fn traversal_follows_types_directions_and_filters() {
    let Some((graph, [a, _, c, ..])) = roads().await else {
        return;
    };
    for (input, expected) in [
        (format!(r#"{{"startNodeId":{a},"maxDepth":1}}"#), vec!["ab", "ac"]),
        (
            format!(r#"{{"startNodeId":{a},"maxDepth":2,"relationshipTypes":["ROAD"]}}"#),
            vec!["ab", "abc"],
        ),
        (
            format!(r#"{{"fromId":{a},"depth":3,"minDepth":2}}"#),
            vec!["abc", "abcd", "acd"],
        ),
        (
            format!(r#"{{"startNodeId":{c},"direction":"INCOMING","maxDepth":1}}"#),
            vec!["ca", "cb"],
        ),
        (
            format!(r#"{{"startNodeId":{c},"direction":"both","maxDepth":1}}"#),
            vec!["ca", "cb", "cd"],
        ),
        (
            format!(r#"{{"startNodeId":{a},"maxDepth":3,"nodeFilter":{{"labels":["@L"],"where":{{"open":true}}}}}}"#),
            vec!["ac", "acd"],
        ),
        (
            format!(r#"{{"startNodeId":{a},"maxDepth":3,"relationshipFilter":{{"where":{{"km":{{"$lt":5}}}}}}}}"#),
            vec!["ab", "abc", "abcd"],
        ),
        (r#"{"startNodeId":"4:none:1","maxDepth":1}"#.to_owned(), vec![]),
    ] {
        let found = graph.run("traverse", &input).await;
        assert_eq!(all_names(&found), expected, "{input}");
        assert_eq!(found["count"], json!(expected.len()));
    }
    let limited = graph
        .run("traverse", &format!(r#"{{"startNodeId":{a},"maxDepth":3,"limit":2}}"#))
        .await;
    assert_eq!(limited["count"], json!(2));
    for input in [
        format!(r#"{{"startNodeId":{a}}}"#),
        format!(r#"{{"startNodeId":{a},"maxDepth":0}}"#),
        format!(r#"{{"startNodeId":{a},"maxDepth":101}}"#),
        format!(r#"{{"startNodeId":{a},"maxDepth":1,"minDepth":2}}"#),
        format!(r#"{{"startNodeId":{a},"maxDepth":1,"direction":"UP"}}"#),
        format!(r#"{{"startNodeId":{a},"maxDepth":1,"nodeFilter":{{"wher":{{}}}}}}"#),
    ] {
        assert_eq!(graph.refusal("traverse", &input).await.0, "VALIDATION_ERROR", "{input}");
    }
}

#[tokio::test]
async fn shortest_path_counts_relationships_or_sums_a_property() {
    let Some((graph, [a, _, _, d, e])) = roads().await else {
        return;
    };
    for (rest, expected) in [
        ("", Some("acd")),
        (r#","relationshipTypes":["ROAD"]"#, Some("abcd")),
        (r#","maxDepth":1"#, None),
        (r#","weightProperty":"km""#, Some("abcd")),
        (r#","weightProperty":"km","maxDepth":2"#, Some("acd")),
        (r#","weightProperty":"none""#, None),
        (r#","directed":true"#, Some("acd")),
    ] {
        let input = format!(r#"{{"startNodeId":{a},"endNodeId":{d}{rest}}}"#);
        let found = graph.run("shortestPath", &input).await;
        match expected {
            Some(expected) => assert_eq!(names(&found["path"]), expected, "{input}"),
            None => assert_eq!(found, json!({ "path": null }), "{input}"),
        }
    }
    let weighted = format!(r#"{{"from":{a},"to":{d},"weightProperty":"km"}}"#);
    assert_eq!(graph.run("shortestPath", &weighted).await["weight"], json!(3));
    let back = format!(r#"{{"startNodeId":{d},"endNodeId":{a}}}"#);
    assert_eq!(names(&graph.run("SHORTEST_PATH", &back).await["path"]), "dca");
    let directed = format!(r#"{{"startNodeId":{d},"endNodeId":{a},"directed":true}}"#);
    assert_eq!(graph.run("shortestPath", &directed).await, json!({ "path": null }));
    let nowhere = format!(r#"{{"startNodeId":{a},"endNodeId":{e}}}"#);
    assert_eq!(graph.run("shortestPath", &nowhere).await, json!({ "path": null }));
    let itself = format!(r#"{{"startNodeId":{a},"endNodeId":{a}}}"#);
    assert_eq!(names(&graph.run("shortestPath", &itself).await["path"]), "a");
    let contradiction = format!(r#"{{"startNodeId":{a},"endNodeId":{d},"directed":false,"direction":"OUTGOING"}}"#);
    assert_eq!(
        graph.refusal("shortestPath", &contradiction).await.0,
        "VALIDATION_ERROR"
    );
}

#[tokio::test]
async fn shortest_path_adds_only_weights_that_are_numbers() {
    let Some((graph, [a, b, _, d, e])) = roads().await else {
        return;
    };
    for km in ["\"0\"", "[0]", "true", "-1", r#"{"$date":"2026-01-31"}"#] {
        graph.relationship("ODD", a, d, &format!(r#"{{"km":{km}}}"#)).await;
        graph.relationship("ODD", b, e, &format!(r#"{{"km":{km}}}"#)).await;
    }
    graph
        .rows(&format!(
            "MATCH (a)-[r:ODD]->() WHERE id(a) = {b} WITH r LIMIT 1 SET r.km = 1.0 / 0.0"
        ))
        .await;
    let input = format!(r#"{{"from":{a},"to":{d},"weightProperty":"km"}}"#);
    let found = graph.run("shortestPath", &input).await;
    assert_eq!((names(&found["path"]).as_str(), &found["weight"]), ("abcd", &json!(3)));
    let input = format!(r#"{{"from":{a},"to":{e},"weightProperty":"km"}}"#);
    assert_eq!(graph.run("shortestPath", &input).await, json!({ "path": null }));
}

#[tokio::test]
async fn all_paths_are_between_their_depths() {
    let Some((graph, [a, _, _, d, _])) = roads().await else {
        return;
    };
    for (rest, expected) in [
        (r#","maxDepth":3"#, vec!["abcd", "acd"]),
        (r#","maxDepth":2"#, vec!["acd"]),
        (r#","minDepth":3,"maxDepth":3,"directed":true"#, vec!["abcd"]),
    ] {
        let found = graph
            .run("allPaths", &format!(r#"{{"startNodeId":{a},"endNodeId":{d}{rest}}}"#))
            .await;
        assert_eq!(all_names(&found), expected, "{rest}");
    }
    let limited = format!(r#"{{"startNodeId":{a},"endNodeId":{d},"maxDepth":3,"limit":1}}"#);
    assert_eq!(graph.run("allPaths", &limited).await["count"], json!(1));
    let unbounded = format!(r#"{{"startNodeId":{a},"endNodeId":{d}}}"#);
    assert_eq!(graph.refusal("allPaths", &unbounded).await.0, "VALIDATION_ERROR");
}

#[tokio::test]
async fn neighborhood_has_each_node_once_with_its_distance() {
    let Some((graph, [a, b, ..])) = roads().await else {
        return;
    };
    let shown = |answer: &Value| {
        let nodes = answer["nodes"].as_array().unwrap().iter();
        let mut shown: Vec<String> = nodes
            .map(|node| format!("{}{}", node["properties"]["name"].as_str().unwrap(), node["distance"]))
            .collect();
        shown.sort();
        (shown.join(" "), answer["relationships"].as_array().unwrap().len())
    };
    for (input, expected) in [
        (format!(r#"{{"nodeId":{a},"depth":1}}"#), ("b1 c1", 2)),
        (format!(r#"{{"nodeId":{a},"depth":3}}"#), ("b1 c1 d2", 4)),
        (
            format!(r#"{{"nodeId":{b},"depth":1,"direction":"OUTGOING"}}"#),
            ("c1", 1),
        ),
        (
            format!(r#"{{"id":{b},"depth":2,"relationshipTypes":["ROAD"]}}"#),
            ("a1 c1 d2", 3),
        ),
        (
            format!(r#"{{"nodeId":{a},"depth":3,"nodeFilter":{{"where":{{"open":true}}}}}}"#),
            ("c1 d2", 2),
        ),
        (r#"{"nodeId":"4:none:1","depth":1}"#.to_owned(), ("", 0)),
    ] {
        let (nodes, relationships) = shown(&graph.run("getNeighborhood", &input).await);
        assert_eq!((nodes.as_str(), relationships), expected, "{input}");
    }
}

#[tokio::test]
async fn connected_components_are_found_whatever_the_direction() {
    let Some((graph, _)) = roads().await else { return };
    let shown = |answer: &Value| {
        let components = answer["components"].as_array().unwrap().iter();
        let shown: Vec<String> = components
            .map(|component| {
                let nodes = component["nodes"].as_array().unwrap().iter();
                let mut names: Vec<_> = nodes.map(|node| node["properties"]["name"].as_str().unwrap()).collect();
                names.sort_unstable();
                names.concat()
            })
            .collect();
        shown.join(" ")
    };
    let all = graph.run("findConnectedComponents", r#"{"labels":["@L"]}"#).await;
    assert_eq!((shown(&all).as_str(), &all["count"]), ("abcd e", &json!(2)));
    let some = graph
        .run(
            "findConnectedComponents",
            r#"{"label":"@L","relationshipTypes":["PATH"]}"#,
        )
        .await;
    let mut parts: Vec<_> = shown(&some).split(' ').map(str::to_owned).collect();
    parts.sort();
    assert_eq!(parts, ["ac", "b", "d", "e"]);
}
