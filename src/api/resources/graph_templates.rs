//! Checks templates of actions of graphs as far as that can be done without the values of jobs.

use crate::resources::{
    GRAPH_FILTER_OPERATORS, GRAPH_GROUP_OPERATORS, GRAPH_UPDATE_OPERATORS, GRAPH_VALUE_TYPES, GraphVerb, Template,
};
use crate::text::spelling::{simplified, suggestion, truncated};
use serde_json::Value;

/// A problem, and the path of what has it.
type Problem = (String, String);

/// Members that name labels, types and properties.
const NAMES: [&str; 6] = [
    "labels",
    "label",
    "type",
    "types",
    "relationshipTypes",
    "weightProperty",
];
/// Members that are filters.
const FILTERS: [&str; 2] = ["where", "filter"];
/// Members that hold a filter, and labels.
const PATTERNS: [&str; 2] = ["nodeFilter", "relationshipFilter"];
/// Members that are values by property.
const VALUES: [&str; 2] = ["matchProperties", "matchProps"];
/// Members that are changes by property.
const CHANGES: [&str; 7] = [
    "properties",
    "props",
    "data",
    "setProperties",
    "setProps",
    "onCreate",
    "onMatch",
];

/// Members of which one must be there, by the operation.
fn required(verb: GraphVerb) -> &'static [&'static [&'static str]] {
    const START: &[&str] = &["startNodeId", "fromId", "from"];
    const END: &[&str] = &["endNodeId", "toId", "to"];
    const PROPERTIES: &[&str] = &["properties", "props", "data"];
    match verb {
        GraphVerb::CreateNode => &[&["labels", "label", "properties", "props", "data"]],
        GraphVerb::FindNodeById => &[&["id", "nodeId"]],
        GraphVerb::UpdateNode | GraphVerb::UpdateRelationship => &[PROPERTIES],
        GraphVerb::MergeNode => &[&["labels", "label", "matchProperties", "matchProps"]],
        GraphVerb::CreateRelationship => &[&["type"], START, END],
        GraphVerb::Traverse => &[START, &["maxDepth", "depth"]],
        GraphVerb::ShortestPath => &[START, END],
        GraphVerb::FindNodes
        | GraphVerb::DeleteNode
        | GraphVerb::FindRelationships
        | GraphVerb::DeleteRelationship
        | GraphVerb::Query => &[],
    }
}

/// What is wrong with the templates of an action; both are JSON.
pub(super) fn check_template(verb: GraphVerb, template: Option<&str>, filter: Option<&str>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    let template = template.and_then(read);
    if let Some(filter) = filter.and_then(read) {
        check_filter(&filter, "filterTemplate", &mut problems);
    }
    let members = template.as_ref().and_then(Value::as_object);
    if let Some(name) = members.and_then(|members| FILTERS.into_iter().find(|name| members.contains_key(*name)))
        && filter.is_some()
    {
        let problem = format!("is in the place of the template's `{name}`; give one of them");
        problems.push(("filterTemplate".to_owned(), problem));
    }
    for (name, value) in members.into_iter().flatten() {
        let path = format!("template.{}", truncated(name));
        if !verb.members().contains(&name.as_str()) {
            let suggestion = suggestion(name, verb.members());
            problems.push((path, format!("is not known here; {suggestion}")));
        } else {
            check_member(name, value, &path, &mut problems);
        }
    }
    for names in required(verb) {
        let present =
            |name: &&str| members.is_some_and(|members| members.get(*name).is_some_and(|value| !value.is_null()));
        if !names.iter().any(present) {
            let path = names.first().map(|name| format!("template.{name}")).unwrap_or_default();
            problems.push((path, "is missing, and the operation needs it".to_owned()));
        }
    }
    problems
}

/// What is given of a query both in the action and in its template, where one of them would count for nothing. `given`: whether
/// the action has a `query`, and `params`.
pub(super) fn misplaced_query(template: Option<&str>, given: (bool, bool)) -> Vec<Problem> {
    let template: Option<Value> = template.and_then(|text| serde_json::from_str(text).ok());
    let has = |name: &str| template.as_ref().is_some_and(|template| template.get(name).is_some());
    let misplaced: &[&str] = match given {
        (true, _) if has("query") && has("params") => &["template.query", "template.params"],
        (true, _) if has("query") => &["template.query"],
        (true, _) if has("params") => &["template.params"],
        (false, true) if has("query") => &["params"],
        _ => &[],
    };
    let problem = "the query is given elsewhere; give `query` and `params` in the action, or both in `template`";
    let placed = misplaced.iter();
    placed.map(|path| ((*path).to_owned(), problem.to_owned())).collect()
}

fn check_member(name: &str, value: &Value, path: &str, problems: &mut Vec<Problem>) {
    if NAMES.contains(&name) {
        check_names(value, path, problems);
    } else if FILTERS.contains(&name) {
        check_filter(value, path, problems);
    } else if PATTERNS.contains(&name) {
        check_pattern(value, path, problems);
    } else if VALUES.contains(&name) {
        check_object(value, path, problems, &[]);
    } else if CHANGES.contains(&name) {
        check_object(value, path, problems, &GRAPH_UPDATE_OPERATORS);
    } else {
        check_placeholders(value, path, problems);
    }
}

/// Names are chosen by the definition, never by a job.
fn check_names(value: &Value, path: &str, problems: &mut Vec<Problem>) {
    let is_name = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| !text.is_empty() && !text.contains("{{"))
    };
    let sound = match value {
        Value::Array(list) => list.iter().all(is_name),
        other => is_name(other),
    };
    if !sound {
        let problem = "must be a name or a list of names, without places {{…}}: a job brings values only";
        problems.push((path.to_owned(), problem.to_owned()));
    }
}

fn check_pattern(value: &Value, path: &str, problems: &mut Vec<Problem>) {
    let Value::Object(members) = value else {
        problems.push((
            path.to_owned(),
            "must be an object such as { where: { active: true } }".to_owned(),
        ));
        return;
    };
    for (name, value) in members {
        let path = format!("{path}.{}", truncated(name));
        match name.as_str() {
            "labels" | "label" => check_names(value, &path, problems),
            "where" | "filter" => check_filter(value, &path, problems),
            _ => problems.push((path, "is not known here; known are labels, where".to_owned())),
        }
    }
}

/// An object of properties, each with a value or one of the operators.
fn check_object(value: &Value, path: &str, problems: &mut Vec<Problem>, operators: &[&str]) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = format!("{path}.{}", truncated(name));
                if name.contains("{{") {
                    problems.push((
                        path,
                        "has a place {{…}} in its name: a job brings values only".to_owned(),
                    ));
                } else if name.starts_with('$') {
                    check_operator(name, &path, problems, operators);
                    check_placeholders(value, &path, problems);
                } else {
                    check_value(value, &path, problems, operators);
                }
            }
        }
        Value::String(text) if text.starts_with("{{") => check_placeholders(value, path, problems),
        _ => problems.push((
            path.to_owned(),
            "must be an object of properties, or a place {{…}} for one".to_owned(),
        )),
    }
}

fn check_value(value: &Value, path: &str, problems: &mut Vec<Problem>, operators: &[&str]) {
    if let Value::Object(members) = value {
        for name in members.keys() {
            let typed = members.len() == 1 && GRAPH_VALUE_TYPES.iter().any(|known| known.eq_ignore_ascii_case(name));
            if !typed {
                check_operator(name, path, problems, operators);
            }
        }
    }
    check_placeholders(value, path, problems);
}

fn check_operator(name: &str, path: &str, problems: &mut Vec<Problem>, operators: &[&str]) {
    let known = name.starts_with('$') && operators.iter().any(|known| simplified(known) == simplified(name));
    if !known {
        let why = if operators.is_empty() {
            "a property holds no object".to_owned()
        } else {
            suggestion(name, operators)
        };
        problems.push((
            path.to_owned(),
            format!("{} is no operator here; {why}", truncated(name)),
        ));
    }
}

fn check_filter(value: &Value, path: &str, problems: &mut Vec<Problem>) {
    let Value::Object(members) = value else {
        if value.as_str().is_some_and(|text| text.starts_with("{{")) {
            return check_placeholders(value, path, problems);
        }
        problems.push((
            path.to_owned(),
            "must be an object of properties, as in { expired: true }".to_owned(),
        ));
        return;
    };
    for (name, value) in members {
        let path = format!("{path}.{}", truncated(name));
        if name.contains("{{") {
            problems.push((
                path,
                "has a place {{…}} in its name: a job brings values only".to_owned(),
            ));
        } else if name.starts_with('$') {
            check_operator(name, &path, problems, &GRAPH_GROUP_OPERATORS);
            match value {
                Value::Array(list) => list.iter().for_each(|part| check_filter(part, &path, problems)),
                other => check_filter(other, &path, problems),
            }
        } else {
            check_value(value, &path, problems, &GRAPH_FILTER_OPERATORS);
        }
    }
}

/// What stands between `{{` and `}}` must be a name.
fn check_placeholders(value: &Value, path: &str, problems: &mut Vec<Problem>) {
    match value {
        Value::String(text) if text.contains("{{") => {
            if let Err(why) = Template::parse(text) {
                problems.push((path.to_owned(), why));
            }
        }
        Value::Array(list) => list.iter().for_each(|value| check_placeholders(value, path, problems)),
        Value::Object(members) => members
            .values()
            .for_each(|value| check_placeholders(value, path, problems)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(verb: GraphVerb, template: &str, filter: Option<&str>) -> Vec<String> {
        let problems = check_template(verb, Some(template), filter);
        problems.into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn documented_templates_are_taken() {
        for (verb, template, filter) in [
            (
                GraphVerb::CreateNode,
                r#"{"labels":["Person"],"properties":{"name":"{{name}}","at":{"$datetime":"{{at}}"}}}"#,
                None,
            ),
            (
                GraphVerb::CreateNode,
                r#"{"labels":"Person","properties":"{{properties}}"}"#,
                None,
            ),
            (
                GraphVerb::FindNodes,
                r#"{"labels":["Person"],"limit":"{{limit}}"}"#,
                Some(r#"{"age":{"$GTE":"{{least}}"}}"#),
            ),
            (GraphVerb::FindNodeById, r#"{"id":"{{id}}"}"#, None),
            (
                GraphVerb::UpdateNode,
                r#"{"id":"{{id}}","properties":{"visits":{"$INCREMENT":"{{by}}"}}}"#,
                None,
            ),
            (
                GraphVerb::DeleteNode,
                r#"{"where":{"$or":[{"a":"{{a}}"},{"b":null}]},"detach":true}"#,
                None,
            ),
            (
                GraphVerb::MergeNode,
                r#"{"labels":["P"],"matchProperties":{"m":"{{m}}"},"onCreate":{"at":"{{at}}"}}"#,
                None,
            ),
            (
                GraphVerb::CreateRelationship,
                r#"{"type":"KNOWS","fromId":"{{a}}","toId":"{{b}}"}"#,
                None,
            ),
            (
                GraphVerb::Traverse,
                r#"{"startNodeId":"{{id}}","maxDepth":3,"nodeFilter":{"labels":["P"],"where":{"active":true}}}"#,
                None,
            ),
            (
                GraphVerb::ShortestPath,
                r#"{"startNodeId":"{{a}}","endNodeId":"{{b}}","weightProperty":"km"}"#,
                None,
            ),
        ] {
            assert_eq!(paths(verb, template, filter), Vec::<String>::new(), "{template}");
        }
    }

    #[test]
    fn problems_of_templates_have_their_paths() {
        for (verb, template, filter, path) in [
            (
                GraphVerb::CreateNode,
                r#"{"labels":["{{label}}"]}"#,
                None,
                "template.labels",
            ),
            (
                GraphVerb::CreateNode,
                r#"{"label":"P","properties":{"{{key}}":1}}"#,
                None,
                "template.properties.{{key}}",
            ),
            (
                GraphVerb::CreateNode,
                r#"{"label":"P","properties":{"a":{"b":1}}}"#,
                None,
                "template.properties.a",
            ),
            (
                GraphVerb::CreateNode,
                r#"{"label":"P","properties":7}"#,
                None,
                "template.properties",
            ),
            (
                GraphVerb::CreateNode,
                r#"{"label":"P","properties":{"a":"{{#if a}}"}}"#,
                None,
                "template.properties.a",
            ),
            (
                GraphVerb::CreateNode,
                r#"{"lable":"P","properties":{}}"#,
                None,
                "template.lable",
            ),
            (
                GraphVerb::CreateRelationship,
                r#"{"type":"{{t}}","fromId":1,"toId":2}"#,
                None,
                "template.type",
            ),
            (
                GraphVerb::CreateRelationship,
                r#"{"type":"T","fromId":1}"#,
                None,
                "template.endNodeId",
            ),
            (
                GraphVerb::FindNodes,
                "{}",
                Some(r#"{"a":{"$gtt":1}}"#),
                "filterTemplate.a",
            ),
            (
                GraphVerb::FindNodes,
                "{}",
                Some(r#"{"$where":"1"}"#),
                "filterTemplate.$where",
            ),
            (
                GraphVerb::UpdateNode,
                r#"{"id":1,"properties":{"a":{"$incr":1,"$x":2}}}"#,
                None,
                "template.properties.a",
            ),
            (
                GraphVerb::UpdateNode,
                r#"{"where":{"a":1},"properties":{"b":1}}"#,
                Some(r#"{"a":2}"#),
                "filterTemplate",
            ),
            (GraphVerb::Traverse, r#"{"startNodeId":1}"#, None, "template.maxDepth"),
            (
                GraphVerb::Traverse,
                r#"{"startNodeId":1,"maxDepth":2,"nodeFilter":{"wher":{}}}"#,
                None,
                "template.nodeFilter.wher",
            ),
        ] {
            let found = paths(verb, template, filter);
            assert!(found.iter().any(|found| found == path), "{template}: {found:?}");
        }
    }

    #[test]
    fn query_and_params_stand_in_one_place() {
        for (template, given, expected) in [
            (r#"{"query":"RETURN 1"}"#, (false, false), &[][..]),
            (r#"{"query":"RETURN 1","params":{}}"#, (false, false), &[]),
            ("{}", (true, true), &[]),
            (r#"{"query":"RETURN 1"}"#, (true, false), &["template.query"]),
            (r#"{"params":{}}"#, (true, true), &["template.params"]),
            (r#"{"query":"RETURN 1"}"#, (false, true), &["params"]),
        ] {
            let found = misplaced_query(Some(template), given);
            let paths: Vec<&str> = found.iter().map(|(path, _)| &**path).collect();
            assert_eq!(paths, expected, "{template}");
        }
    }
}
