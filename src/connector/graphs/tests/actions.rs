//! Actions: what a job provides is only ever a value.

use super::support::TestGraph;
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::connector::graphs::action::{self, Templates};
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{GraphAction, GraphVerb};
use serde_json::{Value, json};
use std::time::Duration;

fn defined(graph: &TestGraph, verb: GraphVerb, template: &str, filter: Option<&str>) -> GraphAction {
    let text = |text: &str| graph.named(text).as_str().into();
    GraphAction {
        tag: "a".into(),
        verb,
        query: None,
        template: text(template),
        filter: filter.map(text),
        defaults: Some(r#"{"city":"Berlin"}"#.into()),
    }
}

async fn try_act(graph: &TestGraph, action: &GraphAction, input: &str) -> Result<Value, Failure> {
    let templates = Templates::reveal(action, &ExpressionResolver::default()).await?;
    let operation = action::operation(action, &templates, &Json::read(&graph.named(input))?)?;
    let answer = graph
        .connector
        .run_operation(&operation, Duration::from_secs(30))
        .await?;
    Ok(serde_json::from_str(&answer).unwrap())
}

async fn act(graph: &TestGraph, action: &GraphAction, input: &str) -> Value {
    try_act(graph, action, input)
        .await
        .unwrap_or_else(|failure| panic!("{input}: {failure:?}"))
}

#[tokio::test]
async fn actions_of_all_types_run_their_operations() {
    use GraphVerb::*;
    let Some(graph) = TestGraph::new().await else { return };
    let define = |verb, template, filter| defined(&graph, verb, template, filter);
    let create = define(
        CreateNode,
        r#"{"labels":["@L"],"properties":{"name":"{{name}}","city":"{{city}}","note":"of {{user.name}}: {{n}}","at":{"$date":"{{at}}"}}}"#,
        None,
    );
    let made = act(
        &graph,
        &create,
        r#"{"name":"ann","user":{"name":"{{city}}"},"n":7,"at":"2026-01-31"}"#,
    )
    .await;
    let properties = json!({ "name": "ann", "city": "Berlin", "note": "of {{city}}: 7", "at": "2026-01-31" });
    assert_eq!(made["node"]["properties"], properties);
    let ann = made["node"]["id"].clone();
    let merge = define(
        MergeNode,
        r#"{"labels":["@L"],"matchProperties":{"name":"{{name}}"},"onCreate":"{{extra}}"}"#,
        None,
    );
    let bob = act(&graph, &merge, r#"{"name":"bob","extra":{"age":3}}"#).await["node"]["id"].clone();
    let link = define(
        CreateRelationship,
        r#"{"type":"KNOWS","startNodeId":"{{a}}","endNodeId":"{{b}}","properties":{"w":"{{w}}"}}"#,
        None,
    );
    let made = act(&graph, &link, &format!(r#"{{"a":{ann},"b":{bob},"w":2}}"#)).await;
    let relationship = made["relationship"]["id"].clone();
    let find = define(
        FindNodes,
        r#"{"labels":["@L"],"limit":"{{limit}}"}"#,
        Some(r#"{"name":{"$in":"{{names}}"}}"#),
    );
    assert_eq!(
        act(&graph, &find, r#"{"names":["ann","bob"]}"#).await["count"],
        json!(2)
    );
    assert_eq!(
        act(&graph, &find, r#"{"names":["ann","bob"],"limit":1}"#).await["count"],
        json!(1)
    );
    let by_id = define(FindNodeById, r#"{"id":"{{id}}"}"#, None);
    assert_eq!(act(&graph, &by_id, &format!(r#"{{"id":{ann}}}"#)).await["id"], ann);
    let update = define(
        UpdateNode,
        r#"{"id":"{{id}}","properties":{"visits":{"$INCREMENT":"{{by}}"}}}"#,
        None,
    );
    let updated = act(&graph, &update, &format!(r#"{{"id":{ann},"by":5}}"#)).await;
    assert_eq!(updated["node"]["properties"]["visits"], json!(5));
    let between = define(
        FindRelationships,
        r#"{"type":"KNOWS","startNodeId":"{{id}}"}"#,
        Some(r#"{"w":"{{w}}"}"#),
    );
    assert_eq!(
        act(&graph, &between, &format!(r#"{{"id":{ann},"w":2}}"#)).await["count"],
        json!(1)
    );
    let change = define(
        UpdateRelationship,
        r#"{"id":"{{id}}","properties":{"w":"{{w}}"}}"#,
        None,
    );
    let changed = act(&graph, &change, &format!(r#"{{"id":{relationship},"w":3}}"#)).await;
    assert_eq!(changed["relationship"]["properties"]["w"], json!(3));
    let walk = define(Traverse, r#"{"startNodeId":"{{id}}","maxDepth":"{{depth}}"}"#, None);
    assert_eq!(
        act(&graph, &walk, &format!(r#"{{"id":{ann},"depth":2}}"#)).await["count"],
        json!(1)
    );
    let path = define(
        ShortestPath,
        r#"{"startNodeId":"{{a}}","endNodeId":"{{b}}","maxDepth":"{{most}}"}"#,
        None,
    );
    assert_eq!(
        act(&graph, &path, &format!(r#"{{"a":{bob},"b":{ann}}}"#)).await["path"]["length"],
        json!(1)
    );
    let unlink = define(DeleteRelationship, r#"{"id":"{{id}}"}"#, None);
    assert_eq!(
        act(&graph, &unlink, &format!(r#"{{"id":{relationship}}}"#)).await["deleted"],
        json!(true)
    );
    let delete = define(DeleteNode, r#"{"labels":["@L"]}"#, Some(r#"{"name":"{{name}}"}"#));
    assert_eq!(
        act(&graph, &delete, r#"{"name":"bob"}"#).await["deletedCount"],
        json!(1)
    );
    let query = GraphAction {
        query: Some(
            graph
                .named("MATCH (n:`@L`) WHERE n.name = $name RETURN n.city AS city")
                .into(),
        ),
        ..define(Query, r#"{"name":"{{name}}"}"#, None)
    };
    assert_eq!(
        act(&graph, &query, r#"{"name":"ann"}"#).await["rows"],
        json!([{ "city": "Berlin" }])
    );
    assert_eq!(
        act(&graph, &query, r#"{"name":"' OR true //"}"#).await["rows"],
        json!([])
    );
}

#[tokio::test]
async fn values_of_jobs_are_no_operators_and_missing_ones_are_named() {
    let Some(graph) = TestGraph::new().await else { return };
    graph.node(r#"{"name":"ann"}"#).await;
    let delete = defined(
        &graph,
        GraphVerb::DeleteNode,
        r#"{"labels":["@L"]}"#,
        Some(r#"{"name":"{{name}}"}"#),
    );
    for harm in [r#"{"$ne":""}"#, r#"{"$exists":true}"#, r#"{"name":{"$ne":""}}"#] {
        let failure = try_act(&graph, &delete, &format!(r#"{{"name":{harm}}}"#))
            .await
            .unwrap_err();
        assert_eq!(&*failure.code, "VALIDATION_ERROR", "{harm}");
    }
    let whole = defined(
        &graph,
        GraphVerb::DeleteNode,
        r#"{"labels":["@L"],"where":"{{where}}"}"#,
        None,
    );
    for harm in [r#"{"name":{"$ne":""}}"#, r#"{"$or":[{"name":"ann"}]}"#, "{}"] {
        let outcome = try_act(&graph, &whole, &format!(r#"{{"where":{harm}}}"#)).await;
        assert!(
            outcome.is_err() || outcome.is_ok_and(|done| done["deletedCount"] == json!(0)),
            "{harm}"
        );
    }
    let update = defined(
        &graph,
        GraphVerb::UpdateNode,
        r#"{"labels":["@L"],"where":{"name":"ann"},"properties":"{{new}}"}"#,
        None,
    );
    for harm in [r#"{"$set":{"a":1}}"#, r#"{"a":{"$inc":1}}"#] {
        let failure = try_act(&graph, &update, &format!(r#"{{"new":{harm}}}"#))
            .await
            .unwrap_err();
        assert_eq!(&*failure.code, "VALIDATION_ERROR", "{harm}");
    }
    let missing = try_act(&graph, &delete, "{}").await.unwrap_err();
    assert!(missing.message.contains("{{name}}"), "{missing:?}");
    assert_eq!(graph.count().await, 1);
}

#[tokio::test]
async fn placeholder_of_a_graph_that_says_what_its_value_must_be_is_checked() {
    let Some(graph) = TestGraph::new().await else { return };
    let create = defined(
        &graph,
        GraphVerb::CreateNode,
        r#"{"labels":["@L"],"properties":{"name":"{{name:string:1:5}}","note":"{{n:integer::3}} of {{name}}"}}"#,
        None,
    );
    let made = act(&graph, &create, r#"{"name":"ann","n":2}"#).await;
    assert_eq!(made["node"]["properties"], json!({ "name": "ann", "note": "2 of ann" }));
    for (input, said) in [
        (
            r#"{"name":"annabel","n":2}"#,
            "input.name: must have at most 5 characters",
        ),
        (r#"{"name":"ann","n":4}"#, "input.n: must be at most 3"),
        (r#"{"name":"ann","n":"2"}"#, "'integer'"),
    ] {
        let failure = try_act(&graph, &create, input).await.unwrap_err();
        assert!(failure.message.contains(said), "{failure:?}");
    }
}
