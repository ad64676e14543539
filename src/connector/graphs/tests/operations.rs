//! Every operation on nodes, by all names of its inputs.

use super::support::TestGraph;
use serde_json::json;

/// Ann and Bob, Cid who is older, and Dan of whom nothing is known.
async fn people() -> Option<TestGraph> {
    let graph = TestGraph::new().await?;
    for properties in [
        r#"{"name":"ann","age":30,"tags":["a","b"]}"#,
        r#"{"name":"bob","age":30,"tags":["b"]}"#,
        r#"{"name":"Cid_1","age":41.5}"#,
        r#"{"name":"dan"}"#,
    ] {
        graph.node(properties).await;
    }
    Some(graph)
}

#[tokio::test]
async fn created_node_is_found_by_either_id() {
    let Some(graph) = TestGraph::new().await else { return };
    let made = graph
        .run(
            "createNode",
            r#"{"labels":["@L","Person"],"properties":{"name":"ann","age":30,"none":null}}"#,
        )
        .await;
    assert_eq!(made["created"], json!(true));
    let node = &made["node"];
    assert_eq!(node["properties"], json!({ "name": "ann", "age": 30 }));
    assert_eq!(node["labels"].as_array().unwrap().len(), 2);
    let (id, element) = (node["id"].as_i64().unwrap(), node["elementId"].as_str().unwrap());
    assert!(element.contains(':'), "{element}");
    for input in [
        format!(r#"{{"id":{id}}}"#),
        format!(r#"{{"id":"{id}"}}"#),
        format!(r#"{{"nodeId":"{element}"}}"#),
    ] {
        assert_eq!(graph.run("findNodeById", &input).await, *node, "{input}");
    }
    assert_eq!(graph.run("findNodeById", r#"{"id":"4:none:1"}"#).await, json!(null));
    for (name, input) in [
        ("CREATE_NODE", r#"{"label":"@L","props":{"name":"bob"}}"#),
        ("insert", r#"{"labels":"@L","data":{"name":"cid"}}"#),
    ] {
        assert_eq!(graph.run(name, input).await["created"], json!(true));
    }
    assert_eq!(graph.count().await, 3);
}

#[tokio::test]
async fn nodes_are_found_by_labels_and_filters() {
    let Some(graph) = people().await else { return };
    for (filter, names) in [
        (r#"{"age":30}"#, json!(["ann", "bob"])),
        (r#"{"age":{"$gt":30}}"#, json!(["Cid_1"])),
        (r#"{"age":{"$LTE":30}}"#, json!(["ann", "bob"])),
        (r#"{"age":{"$ne":30}}"#, json!(["Cid_1"])),
        (r#"{"age":{"$between":[40,42]}}"#, json!(["Cid_1"])),
        (r#"{"age":{"$notBetween":[40,42]}}"#, json!(["ann", "bob"])),
        (r#"{"age":null}"#, json!(["dan"])),
        (r#"{"age":{"$exists":false}}"#, json!(["dan"])),
        (
            r#"{"age":{"$IS_NOT_NULL":true},"name":{"$startsWith":"a"}}"#,
            json!(["ann"]),
        ),
        (r#"{"name":{"$in":["ann","dan","eve"]}}"#, json!(["ann", "dan"])),
        (r#"{"age":{"$in":[30,null]}}"#, json!(["ann", "bob", "dan"])),
        (r#"{"name":{"$NOT_IN":["ann","dan"]}}"#, json!(["Cid_1", "bob"])),
        (r#"{"name":{"$contains":"id_"}}"#, json!(["Cid_1"])),
        (r#"{"name":{"$CONTAINS":"n"}}"#, json!(["ann", "dan"])),
        (r#"{"name":{"$ENDS_WITH":"b"}}"#, json!(["bob"])),
        (r#"{"name":{"$like":"%id\\_%"}}"#, json!(["Cid_1"])),
        (r#"{"name":{"$like":"_an"}}"#, json!(["dan"])),
        (r#"{"name":{"$notLike":"%n"}}"#, json!(["Cid_1", "bob"])),
        (r#"{"name":{"$ilike":"cid%"}}"#, json!(["Cid_1"])),
        (r#"{"name":{"$regex":"^[ab]"}}"#, json!(["ann", "bob"])),
        (r#"{"tags":{"$containsAll":["a","b"]}}"#, json!(["ann"])),
        (r#"{"tags":{"$containsAny":["b","c"]}}"#, json!(["ann", "bob"])),
        (
            r#"{"$or":[{"name":"ann"},{"age":{"$gt":40}}]}"#,
            json!(["Cid_1", "ann"]),
        ),
        (r#"{"$OR":{"name":"ann","age":41.5}}"#, json!(["Cid_1", "ann"])),
        (r#"{"$nor":[{"name":"ann"},{"name":"bob"}]}"#, json!(["Cid_1", "dan"])),
        (r#"{"$and":[{"age":30},{"name":{"$not":"ann"}}]}"#, json!(["bob"])),
        (r#"{"age":{"$not":{"$gt":40}}}"#, json!(["ann", "bob"])),
        ("{}", json!(["Cid_1", "ann", "bob", "dan"])),
    ] {
        let input = format!(r#"{{"labels":["@L"],"where":{filter},"orderBy":"name"}}"#);
        let found = graph.run("findNodes", &input).await;
        let shown: Vec<_> = found["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| &node["properties"]["name"])
            .collect();
        assert_eq!(json!(shown), names, "{filter}");
        assert_eq!(found["count"], json!(shown.len()), "{filter}");
        let counted = graph
            .run("countNodes", &format!(r#"{{"label":"@L","filter":{filter}}}"#))
            .await;
        assert_eq!(counted, json!({ "count": shown.len() }), "{filter}");
    }
}

#[tokio::test]
async fn nodes_are_read_in_order_and_in_pages() {
    let Some(graph) = people().await else { return };
    let page = r#"{"label":"@L","orderBy":[{"name":"desc"}],"skip":1,"limit":2}"#;
    let found = graph.run("find", page).await;
    let names: Vec<_> = found["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| &node["properties"]["name"])
        .collect();
    assert_eq!(json!(names), json!(["bob", "ann"]));
    assert_eq!(found.get("truncated"), None);
    let many = "UNWIND range(1, 1200) AS n CREATE (:`@L` {n: n})";
    graph.run("query", &super::support::query(many, "{}")).await;
    let found = graph
        .run("findNodes", r#"{"label":"@L","where":{"n":{"$gt":0}}}"#)
        .await;
    assert_eq!((&found["count"], &found["truncated"]), (&json!(1_000), &json!(true)));
    let found = graph
        .run("findNodes", r#"{"label":"@L","where":{"n":{"$gt":0}},"limit":1100}"#)
        .await;
    assert_eq!((&found["count"], found.get("truncated")), (&json!(1_100), None));
}

#[tokio::test]
async fn updates_merge_properties_and_know_operators() {
    let Some(graph) = people().await else { return };
    let id = graph
        .node(r#"{"name":"eve","visits":1,"tags":["x"],"low":5,"old":true}"#)
        .await;
    let changes = r#"{"visits":{"$INCREMENT":2},"tags":{"$push":"y"},"low":{"$min":3},"old":{"$unset":true},"seen":{"$set":"now"},"gone":null}"#;
    let changed = graph
        .run("updateNode", &format!(r#"{{"id":{id},"properties":{changes}}}"#))
        .await;
    assert_eq!(changed["updatedCount"], json!(1));
    let expected = json!({ "name": "eve", "visits": 3, "tags": ["x", "y"], "low": 3, "seen": "now" });
    assert_eq!(changed["node"]["properties"], expected);
    let changes = r#"{"$inc":{"visits":-1,"fresh":5},"$mul":{"low":2},"$max":{"top":1},"$addToSet":{"tags":"x"},"$dec":{"down":1}}"#;
    let changed = graph.run("update", &format!(r#"{{"id":{id},"data":{changes}}}"#)).await;
    let expected = json!({ "name": "eve", "visits": 2, "fresh": 5, "tags": ["x", "y"], "low": 6, "seen": "now", "top": 1, "down": -1 });
    assert_eq!(changed["node"]["properties"], expected);
    let changed = graph
        .run(
            "updateNode",
            &format!(r#"{{"id":{id},"props":{{"tags":{{"$pull":"x"}}}}}}"#),
        )
        .await;
    assert_eq!(changed["node"]["properties"]["tags"], json!(["y"]));
    // Cypher would append to a text or a list, and take a single value for a list of itself.
    let odd = graph.node(r#"{"text":"7","list":[1],"number":2}"#).await;
    for change in [
        r#"{"text":{"$inc":1}}"#,
        r#"{"list":{"$inc":1}}"#,
        r#"{"text":{"$push":"x"}}"#,
        r#"{"number":{"$push":1}}"#,
        r#"{"number":{"$pull":1}}"#,
        r#"{"text":{"$addToSet":"x"}}"#,
    ] {
        let input = format!(r#"{{"id":{odd},"properties":{change}}}"#);
        assert_eq!(
            graph.refusal("updateNode", &input).await.0,
            "VALIDATION_ERROR",
            "{change}"
        );
    }
    let all = graph
        .run(
            "updateNodes",
            r#"{"labels":["@L"],"where":{"age":30},"properties":{"age":31}}"#,
        )
        .await;
    assert_eq!(
        (&all["updatedCount"], all["nodes"].as_array().unwrap().len()),
        (&json!(2), 2)
    );
    let none = graph
        .run("updateNode", r#"{"id":"4:none:1","properties":{"a":1}}"#)
        .await;
    assert_eq!(none, json!({ "node": null, "updatedCount": 0 }));
    for (input, expected) in [
        (r#"{"labels":["@L"],"properties":{"a":1}}"#, "all: true"),
        (r#"{"id":1,"where":{"a":1},"properties":{"a":1}}"#, "not both"),
        (r#"{"id":1}"#, "properties"),
        (r#"{"id":1,"properties":{"a":{"b":1}}}"#, "none of a property"),
        (r#"{"id":1,"properties":{"a":{"$incr":1}}}"#, "`$inc`"),
        (r#"{"id":1,"properties":{"a":{"$inc":"1"}}}"#, "number"),
        (r#"{"id":1,"properties":{"a":{"$inc":1,"$mul":2}}}"#, "one operator"),
        (r#"{"id":1,"propertys":{"a":1}}"#, "`properties`"),
    ] {
        let (code, message) = graph.refusal("updateNode", input).await;
        assert!(
            code == "VALIDATION_ERROR" && message.contains(expected),
            "{input}: {message}"
        );
    }
}

#[tokio::test]
async fn deletion_takes_what_its_filter_meets_and_relationships_only_if_told() {
    let Some(graph) = people().await else { return };
    let mark = graph.label.clone();
    // The documented operation, without labels.
    let expired = format!(r#"{{"labels":["@L"],"where":{{"age":30}},"properties":{{"expired_{mark}":true}}}}"#);
    graph.run("updateNodes", &expired).await;
    let filter = format!(r#"{{"filter":{{"expired_{mark}":true}}}}"#);
    assert_eq!(
        graph.run("deleteNodes", &filter).await,
        json!({ "deleted": true, "deletedCount": 2 })
    );
    assert_eq!(
        graph.run("deleteNodes", &filter).await,
        json!({ "deleted": false, "deletedCount": 0 })
    );
    let (a, b) = (graph.node("{}").await, graph.node("{}").await);
    graph.relationship("KNOWS", a, b, "{}").await;
    let (code, message) = graph.refusal("deleteNode", &format!(r#"{{"id":{a}}}"#)).await;
    assert!(
        code == "VALIDATION_ERROR" && message.contains("detach: true"),
        "{message}"
    );
    assert_eq!(graph.count().await, 4);
    let detached = graph.run("deleteNode", &format!(r#"{{"id":{a},"detach":true}}"#)).await;
    assert_eq!(detached, json!({ "deleted": true, "deletedCount": 1 }));
    for input in [
        "{}",
        r#"{"filter":{}}"#,
        r#"{"filter":null}"#,
        r#"{"labels":["@L"]}"#,
        r#"{"filter":{"$and":[{}]}}"#,
        r#"{"filter":{"$or":[{"a":1},{}]}}"#,
        r#"{"filter":{"a":{"$nin":[]}}}"#,
        r#"{"filter":{},"all":"true"}"#,
    ] {
        assert_eq!(
            graph.refusal("deleteNodes", input).await.0,
            "VALIDATION_ERROR",
            "{input}"
        );
    }
    assert_eq!(graph.count().await, 3);
    let all = graph
        .run("delete", r#"{"labels":["@L"],"all":true,"detach":true}"#)
        .await;
    assert_eq!(all["deletedCount"], json!(3));
}

#[tokio::test]
async fn merge_creates_once_and_changes_what_is_there() {
    let Some(graph) = TestGraph::new().await else { return };
    let input = r#"{"labels":["@L"],"matchProperties":{"mail":"a@example.org"},"onCreate":{"visits":1},"onMatch":{"visits":{"$inc":1}}}"#;
    let first = graph.run("mergeNode", input).await;
    assert_eq!(
        (&first["created"], &first["node"]["properties"]["visits"]),
        (&json!(true), &json!(1))
    );
    let second = graph.run("MERGE_NODE", input).await;
    assert_eq!(
        (&second["created"], &second["node"]["properties"]["visits"]),
        (&json!(false), &json!(2))
    );
    let third = graph
        .run(
            "mergeNode",
            r#"{"label":"@L","matchProps":{"mail":"a@example.org"},"setProps":{"name":"ann"}}"#,
        )
        .await;
    assert_eq!(
        (&third["created"], &third["node"]["properties"]["name"]),
        (&json!(false), &json!("ann"))
    );
    assert_eq!(graph.count().await, 1);
    assert_eq!(
        graph.refusal("mergeNode", r#"{"onCreate":{"a":1}}"#).await.0,
        "VALIDATION_ERROR"
    );
    // Every node of the label would be changed.
    for input in [
        r#"{"labels":["@L"],"matchProperties":{},"setProperties":{"wiped":true}}"#,
        r#"{"labels":["@L"],"setProperties":{"wiped":true}}"#,
    ] {
        let (code, message) = graph.refusal("mergeNode", input).await;
        assert_eq!(code, "VALIDATION_ERROR");
        assert!(message.contains("input.matchProperties: is missing"), "{message}");
    }
    let (code, _) = graph
        .refusal("mergeNode", r#"{"label":"@L","matchProperties":{"mail":null}}"#)
        .await;
    assert_eq!(code, "VALIDATION_ERROR");
}

#[tokio::test]
async fn labels_are_added_removed_and_replaced() {
    let Some(graph) = TestGraph::new().await else { return };
    let id = graph.node("{}").await;
    let labels = async |name: &str, labels: &str| {
        let changed = graph.run(name, &format!(r#"{{"id":{id},"labels":{labels}}}"#)).await;
        assert_eq!(changed["updatedCount"], json!(1));
        let mut names: Vec<String> = serde_json::from_value(changed["node"]["labels"].clone()).unwrap();
        names.retain(|name| *name != graph.label);
        names.sort();
        names.join(",")
    };
    assert_eq!(labels("addLabels", r#"["A","B c"]"#).await, "A,B c");
    assert_eq!(labels("removeLabels", r#""A""#).await, "B c");
    assert_eq!(labels("setLabels", r#"["@L","D"]"#).await, "D");
    assert_eq!(labels("setLabels", r#"["@L"]"#).await, "");
    let none = graph.run("setLabels", r#"{"id":"4:none:1","labels":["A"]}"#).await;
    assert_eq!(none, json!({ "node": null, "updatedCount": 0 }));
    assert_eq!(
        graph.refusal("addLabels", &format!(r#"{{"id":{id}}}"#)).await.0,
        "VALIDATION_ERROR"
    );
}

#[tokio::test]
async fn statistics_count_all_of_the_database() {
    let Some(graph) = people().await else { return };
    let counts = graph.run("getStatistics", "{}").await;
    assert!(
        counts["nodeCount"].as_i64().unwrap() >= 4 && counts["relationshipCount"].is_i64(),
        "{counts}"
    );
    assert_eq!(
        graph.refusal("getStatistics", r#"{"labels":["@L"]}"#).await.0,
        "VALIDATION_ERROR"
    );
}

#[tokio::test]
async fn queries_return_rows_and_counters() {
    let Some(graph) = people().await else { return };
    let input = super::support::query(
        "MATCH (n:`@L`) WHERE n.age = $age RETURN n.name AS name, $list AS list, $map AS map ORDER BY name",
        r#"{"age":30,"list":[1,2.5,"x",null],"map":{"a":[true]}}"#,
    );
    let expected = json!({
        "rows": [
            { "name": "ann", "list": [1, 2.5, "x", null], "map": { "a": [true] } },
            { "name": "bob", "list": [1, 2.5, "x", null], "map": { "a": [true] } },
        ],
        "count": 2,
    });
    for name in ["query", "execute", "raw"] {
        assert_eq!(graph.run(name, &input).await, expected);
    }
    let made = graph
        .run(
            "query",
            &super::support::query("CREATE (n:`@L` {a: 1})-[:R]->(:`@L`)", "{}"),
        )
        .await;
    let counters = &made["counters"];
    assert_eq!(
        (&counters["nodesCreated"], &counters["relationshipsCreated"]),
        (&json!(2), &json!(1))
    );
    assert_eq!((&made["rows"], &made["count"]), (&json!([]), &json!(0)));
    // As many transactions as the statement says, which needs a statement that commits by itself.
    let text = "MATCH (n:`@L`) CALL { WITH n SET n.seen = true } IN TRANSACTIONS OF 2 ROWS";
    assert_eq!(
        graph.refusal("query", &super::support::query(text, "{}")).await.0,
        "VALIDATION_ERROR"
    );
    let done = graph
        .run("query", &format!(r#"{{"cypher":"{text}","autoCommit":true}}"#))
        .await;
    assert_eq!(done["counters"]["propertiesSet"], json!(6));
    for (input, code) in [
        (r#"{"query":"RETURN $missing"}"#, "VALIDATION_ERROR"),
        (r#"{"query":"RETRUN 1"}"#, "VALIDATION_ERROR"),
        (r#"{"query":" "}"#, "VALIDATION_ERROR"),
        (r#"{"query":"RETURN 1","params":[1]}"#, "VALIDATION_ERROR"),
        (r#"{"query":"RETURN 1 / 0"}"#, "VALIDATION_ERROR"),
    ] {
        assert_eq!(graph.refusal("query", input).await.0, code, "{input}");
    }
    let (_, message) = graph
        .refusal("query", r#"{"query":"RETURN 1 AS a\n, RETRUN 's3cret'"}"#)
        .await;
    assert!(message.contains("line 2") && !message.contains("s3cret"), "{message}");
}

#[tokio::test]
async fn unknown_operations_are_refused_with_the_nearest_one() {
    let Some(graph) = TestGraph::new().await else { return };
    for (name, expected) in [
        ("findNode", "`findNodes`"),
        ("shortest_pathh", "`shortestPath`"),
        ("nonsense", "known are"),
    ] {
        let (code, message) = graph.refusal(name, "{}").await;
        assert!(code == "VALIDATION_ERROR" && message.contains(expected), "{message}");
    }
}
