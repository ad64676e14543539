//! Reads graphs and their actions.

use super::environments::environments;
use super::graph_templates::{check_template, misplaced_query};
use super::members::{members, own_tag, required_tag};
use super::texts::{self, object_template};
use crate::api::fields::Fields;
use crate::resources::{GRAPH_SCHEMES, Graph, GraphAction, GraphEnv, GraphKind, GraphVerb, Resources, Text};
use url::Url;

/// Upper limit of connections to one server.
const MAX_CONNECTIONS: i64 = 1_000;

pub(super) fn read(graph: &mut Fields<'_>, product: &str, resources: &mut Resources) {
    graph.refuse_unknown(&["tag", "type", "raw", "envs", "actions", "name", "description"]);
    let tag = required_tag(graph);
    let kind = graph.server_type("type", &GraphKind::NAMES, GraphKind::is_built_in);
    let raw = graph.boolean("raw").unwrap_or(true);
    let mut envs = Vec::new();
    for (slug, mut env) in environments(graph) {
        envs.extend(read_env(&mut env, slug, kind));
        graph.absorb(env);
    }
    let mut actions: Vec<GraphAction> = Vec::new();
    for mut action in members(graph, "actions") {
        if let Some(read) = read_action(&mut action, tag.as_deref()) {
            if actions.iter().any(|known| known.tag == read.tag) {
                action.problem(
                    "tag",
                    format!("'{}' is the tag of another action of the graph", read.tag),
                );
            }
            actions.push(read);
        }
        graph.absorb(action);
    }
    let (Some(tag), Some(kind)) = (tag, kind) else { return };
    let read = Graph {
        tag: tag.as_ref().into(),
        kind,
        raw,
        envs,
        actions,
    };
    if !resources.graphs.add(product, &tag, read) {
        graph.problem("tag", format!("'{tag}' is the tag of another graph of the product"));
    }
}

fn read_env(env: &mut Fields<'_>, slug: Box<str>, kind: Option<GraphKind>) -> Option<GraphEnv> {
    env.refuse_unknown(&[
        "slug",
        "connection_url",
        "database",
        "username",
        "password",
        "graphName",
        "region",
        "ca",
        "max_connections",
        "name",
        "description",
    ]);
    if env.raw("connection_url").is_none() {
        env.problem(
            "connection_url",
            "is missing; it must be a string, as in 'neo4j+s://neo4j:$Secret{KEY}@host:7687'",
        );
    }
    let url = texts::text(env, "connection_url");
    if let (Some(url), Some(kind)) = (&url, kind)
        && let Some(problem) = url_problem(url, kind)
    {
        env.problem("connection_url", problem);
    }
    for (name, of) in [("region", GraphKind::Neptune), ("graphName", GraphKind::ArangoDb)] {
        if env.string(name).is_some() && kind.is_some_and(|kind| kind != of) {
            env.problem(name, format!("has no effect; it is for graphs of type '{}'", of.name()));
        }
    }
    let mut text = |name: &str| texts::text(env, name);
    let (database, username, password, ca) = (text("database"), text("username"), text("password"), text("ca"));
    let most = env.integer("max_connections", 1, MAX_CONNECTIONS);
    Some(GraphEnv {
        slug,
        connection_url: url?,
        database,
        username,
        password,
        ca,
        max_connections: most.and_then(|most| usize::try_from(most).ok()),
    })
}

/// What is wrong with an address, without repeating it, since it may hold a password.
fn url_problem(url: &Text, kind: GraphKind) -> Option<&'static str> {
    let text = url.as_written();
    if text.is_empty() {
        return Some("must not be empty");
    }
    if !url.is_plain() {
        return None;
    }
    let scheme = text.split_once("://").map(|(scheme, _)| scheme).unwrap_or_default();
    let bolt = GRAPH_SCHEMES.contains(&scheme);
    let (known, problem) = match kind {
        GraphKind::Neo4j | GraphKind::Memgraph => (
            bolt,
            "must be an address such as 'neo4j://user:password@host:7687' or 'bolt+s://host:7687'",
        ),
        GraphKind::Neptune => (
            bolt || matches!(scheme, "wss" | "ws" | "https" | "http"),
            "must be an address such as 'bolt+s://host:8182'",
        ),
        _ => (!scheme.is_empty(), "must be an address such as 'https://host:8529'"),
    };
    let read = Url::parse(text).is_ok_and(|url| url.has_host());
    (!known || !read).then_some(problem)
}

fn read_action(action: &mut Fields<'_>, graph: Option<&str>) -> Option<GraphAction> {
    action.refuse_unknown(&[
        "tag",
        "operation",
        "template",
        "filterTemplate",
        "query",
        "params",
        "defaults",
        "name",
        "description",
    ]);
    let tag = required_tag(action);
    let verb = match (action.raw("operation"), action.raw("query")) {
        (None, Some(_)) => Some(GraphVerb::Query),
        (None, None) => {
            let names = GraphVerb::NAMES.map(|(name, _)| name).join(", ");
            action.problem(
                "operation",
                format!("is missing; it must be one of {names}, or give a `query`"),
            );
            None
        }
        _ => action.one_of("operation", &GraphVerb::NAMES),
    };
    let defaults = object_template(action, "defaults");
    let tag = tag.and_then(|tag| own_tag(action, "graph", graph, &tag))?;
    let verb = verb?;
    let read = GraphAction {
        path: action.own_path().into(),
        tag,
        verb,
        query: None,
        template: Text::from("{}"),
        filter: None,
        defaults,
    };
    if verb == GraphVerb::Query {
        return read_query(action, read);
    }
    for name in ["query", "params"] {
        if action.raw(name).is_some() {
            action.problem(name, "has no meaning here; it is for the operation QUERY");
        }
    }
    if action.raw("filterTemplate").is_some() && !verb.takes_filter() {
        action.problem("filterTemplate", "has no meaning here; the operation has no filter");
    }
    let (template, filter) = (
        object_template(action, "template"),
        object_template(action, "filterTemplate"),
    );
    for (name, problem) in check_template(verb, action.raw("template"), action.raw("filterTemplate")) {
        action.problem(&name, problem);
    }
    Some(GraphAction {
        template: template.unwrap_or(Text::from("{}")),
        filter,
        ..read
    })
}

/// An action with a query of its own, in the action itself or in its template.
fn read_query(action: &mut Fields<'_>, read: GraphAction) -> Option<GraphAction> {
    if action.raw("filterTemplate").is_some() {
        action.problem("filterTemplate", "has no meaning here; the query says what is meant");
    }
    let given = (action.raw("query").is_some(), action.raw("params").is_some());
    for (name, problem) in misplaced_query(action.raw("template"), given) {
        action.problem(&name, problem);
    }
    let mut template = action.object("template");
    if let Some(template) = &mut template {
        template.refuse_unknown(&["query", "params"]);
    }
    let inner = template.as_mut().filter(|template| template.raw("query").is_some());
    let fields = match inner {
        Some(template) => template,
        None => &mut *action,
    };
    let query = fields.string("query").filter(|query| !query.trim().is_empty());
    let params = object_template(fields, "params");
    if query.is_none() {
        fields.problem("query", "is missing; it must be a string of Cypher");
    }
    if query.as_ref().is_some_and(|query| query.contains("{{")) {
        fields.problem(
            "query",
            "has a place {{…}}, where nothing can be put; write $name, and { name: '{{name}}' } in `params`",
        );
    }
    let query = query.map(|query| Box::from(&*query));
    if let Some(template) = template {
        action.absorb(template);
    }
    Some(GraphAction {
        query: Some(query?),
        template: params.unwrap_or(Text::from("{}")),
        ..read
    })
}
