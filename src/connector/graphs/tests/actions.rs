//! Actions: what a job provides is only ever a value.

use super::support::TestGraph;
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::connector::graphs::action::{self, Templates};
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{GraphAction, GraphKind, GraphVerb};
use serde_json::{Value, json};
use std::time::Duration;

fn defined(graph: &TestGraph, verb: GraphVerb, template: &str, filter: Option<&str>) -> GraphAction {
    let text = |text: &str| graph.named(text).as_str().into();
    GraphAction {
        path: "actions[0]".into(),
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

#[test]
fn values_of_templates_are_checked_by_the_constructor() {
    use GraphVerb::*;
    let checked = |verb, template: &str, filter: Option<&str>| {
        let action = GraphAction {
            path: "actions[0]".into(),
            tag: "a".into(),
            verb,
            query: None,
            template: template.into(),
            filter: filter.map(Into::into),
            defaults: None,
        };
        let found = action::check(&action, GraphKind::Neo4j).into_iter().next();
        found.map_or(Ok(()), |(path, why)| Err(format!("{path}: {why}")))
    };
    let by_id = Some(r#"{"a":"{{a}}"}"#);
    for (verb, template, filter, said) in [
        (
            CreateNode,
            r#"{"labels":"P","properties":{"k":{"$inc":"{{by}}"}}}"#,
            None,
            "the value of 'k' is none of a property",
        ),
        (
            MergeNode,
            r#"{"labels":"P","matchProperties":{"k":null}}"#,
            None,
            "template.matchProperties.k: must have a value",
        ),
        (
            FindNodes,
            r#"{"limit":"x"}"#,
            by_id,
            "template.limit: must be an integer",
        ),
        (FindNodes, r#"{"orderBy":{"a":"up"}}"#, by_id, "template.orderBy: "),
        (
            FindNodes,
            r#"{"where":{"a":{"$in":1}}}"#,
            None,
            "template.where: $in must be a list",
        ),
        (
            FindNodes,
            "{}",
            Some(r#"{"a":{"$between":[1]}}"#),
            "filterTemplate: $between",
        ),
        (FindNodes, "{}", Some(r#"{"a":{"$integer":"1.5"}}"#), "$integer"),
        (
            FindRelationships,
            r#"{"type":"T","direction":"UP"}"#,
            None,
            "template.direction: ",
        ),
        (
            UpdateNode,
            r#"{"id":1,"properties":{"n":{"$inc":"x"}}}"#,
            None,
            "template: $inc must have a number",
        ),
        (
            UpdateNode,
            r#"{"labels":["L"],"properties":{"n":1}}"#,
            None,
            "all: true",
        ),
        (DeleteNode, r#"{"labels":["L"]}"#, None, "the filter is empty"),
        (DeleteNode, r#"{"labels":["L"]}"#, Some("{}"), "the filter is empty"),
        (DeleteRelationship, r#"{"type":"T"}"#, None, "the filter is empty"),
        (CreateNode, r#"{"labels":["L"],"properties":{"a":[[1]]}}"#, None, "'a'"),
        (FindNodeById, r#"{"id":true}"#, None, "template.id: "),
        (
            Traverse,
            r#"{"startNodeId":1,"maxDepth":101}"#,
            None,
            "template.maxDepth: ",
        ),
        (
            Traverse,
            r#"{"startNodeId":1,"minDepth":3,"maxDepth":2}"#,
            None,
            "template.minDepth: ",
        ),
        (
            ShortestPath,
            r#"{"startNodeId":1,"endNodeId":2,"directed":"yes"}"#,
            None,
            "template.directed: ",
        ),
    ] {
        let refused = checked(verb, template, filter).unwrap_err();
        assert!(refused.contains(said), "{template} {filter:?}: {refused}");
    }
    for (verb, template, filter) in [
        (
            FindNodes,
            r#"{"labels":["L"],"limit":"{{n}}","skip":"{{m}}","orderBy":{"a":"{{way}}"}}"#,
            by_id,
        ),
        (FindNodes, r#"{"where":"{{where}}"}"#, None),
        (
            FindNodes,
            r#"{"where":{"a":{"$in":"{{all}}","$between":"{{range}}","$like":"{{p}}%","$exists":"{{there}}","$gt":"$Now()"}}}"#,
            None,
        ),
        (
            FindNodes,
            "{}",
            Some(r#"{"$or":[{"a":{"$not":"{{a}}"}},{"at":{"$lt":{"$datetime":"{{at}}"}}}]}"#),
        ),
        (
            UpdateNode,
            r#"{"id":"{{id}}","properties":{"n":{"$inc":"{{by}}"},"l":{"$push":"{{x}}"},"p":{"$point":{"x":"{{x}}","y":1}}}}"#,
            None,
        ),
        (UpdateNode, r#"{"id":"{{a}}:{{b}}","properties":"{{all}}"}"#, None),
        (
            DeleteNode,
            r#"{"labels":["L"],"all":"{{all}}","detach":"{{detach}}"}"#,
            None,
        ),
        (
            MergeNode,
            r#"{"matchProperties":"{{match}}","onCreate":{"at":"$Now()"}}"#,
            None,
        ),
        (
            FindRelationships,
            r#"{"startNodeId":"{{id}}","direction":"{{way}}","where":{"a":1}}"#,
            None,
        ),
        (
            Traverse,
            r#"{"startNodeId":"{{id}}","minDepth":3,"maxDepth":"{{depth}}","direction":"{{way}}"}"#,
            None,
        ),
        (
            ShortestPath,
            r#"{"startNodeId":"{{a}}","endNodeId":"{{b}}","directed":"{{d}}","direction":"BOTH"}"#,
            None,
        ),
    ] {
        assert_eq!(checked(verb, template, filter), Ok(()), "{template} {filter:?}");
    }
    let query = GraphAction {
        path: "actions[0]".into(),
        tag: "a".into(),
        verb: Query,
        query: Some("RETURN $a".into()),
        template: r#"{"a":"{{a}}","b":[{"c":"{{c}}"}],"d":"$Secret{D}"}"#.into(),
        filter: None,
        defaults: None,
    };
    assert_eq!(action::check(&query, GraphKind::Neo4j), []);
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

#[test]
fn every_problem_of_an_action_is_told_at_its_path() {
    let action = GraphAction {
        path: "actions[0]".into(),
        tag: "a".into(),
        verb: GraphVerb::Traverse,
        query: None,
        template: r#"{"startNodeId":"{{id}}","maxDepth":"x","direction":"UP","nodeFilter":{"where":{"a":{"$in":"{{b}}","$between":1}}},"limit":"{{n:integer:1:5}}"}"#.into(),
        filter: None,
        defaults: Some(r#"{"n":9}"#.into()),
    };
    let said = action::check(&action, GraphKind::Neo4j);
    for path in [
        "defaults.n",
        "template.nodeFilter.where",
        "template.maxDepth",
        "template.direction",
    ] {
        assert!(said.iter().any(|(known, _)| known == path), "{path}: {said:?}");
    }
    assert_eq!(said.len(), 4, "{said:?}");
}

#[test]
fn parameter_that_no_job_can_give_is_told_by_the_constructor() {
    let action = |params: &str| GraphAction {
        path: "actions[0]".into(),
        tag: "a".into(),
        verb: GraphVerb::Query,
        query: Some("RETURN $x, '$y'".into()),
        template: params.into(),
        filter: None,
        defaults: None,
    };
    assert_eq!(action::check(&action(r#"{"x":"{{x}}"}"#), GraphKind::Neo4j), []);
    let said = action::check(&action("{}"), GraphKind::Neo4j);
    let [(path, why)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert!(path == "params" && why.contains("lacks 'x'"), "{said:?}");
}

#[tokio::test]
async fn a_job_neither_empties_a_list_nor_nests_one_so_that_every_node_is_deleted() {
    let Some(graph) = TestGraph::new().await else { return };
    graph.node(r#"{"k":1}"#).await;
    for (filter, input, expected) in [
        (r#"{"k":{"$nin":"{{keep}}"}}"#, r#"{"keep":[]}"#, "the filter is empty"),
        (
            r#"{"k":{"$not":{"$in":"{{keep}}"}}}"#,
            r#"{"keep":[]}"#,
            "the filter is empty",
        ),
        (r#"{"k":{"$nin":["{{keep}}"]}}"#, r#"{"keep":[1,2]}"#, "is a list"),
    ] {
        let action = defined(&graph, GraphVerb::DeleteNode, r#"{"labels":["@L"]}"#, Some(filter));
        assert_eq!(action::check(&action, GraphKind::Neo4j), [], "{filter}");
        let failure = try_act(&graph, &action, input).await.unwrap_err();
        assert!(failure.message.contains(expected), "{filter}: {failure:?}");
    }
    assert_eq!(graph.count().await, 1);
}
