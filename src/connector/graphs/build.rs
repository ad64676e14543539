//! Turns operations into Cypher.
//!
//! Pure. Invariant: a statement consists of text of this module, of quoted names and of numbers; every value is a parameter.

mod condition;
mod paths;
pub(super) use paths::{first_node, neighbors};
mod relationships;
mod schema;

use super::bolt::Value;
use super::name::Name;
use super::operation::{
    Change, Changes, Id, LabelChange, Merge, Nodes, Operation, Page, Properties, SearchIndex, Target,
};
use super::plan::{Access, Plan, Shape, Statement, Work};
use super::value::{self, Term};
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::connector::limits::DEFAULT_ROW_LIMIT;
use crate::resources::GraphKind;

/// What is to be done for an operation.
pub(super) fn plan(operation: &Operation, kind: GraphKind) -> Result<Plan, Failure> {
    let mut builder = Builder::new(kind);
    match operation {
        Operation::CreateNode { labels, properties } => {
            let pattern = builder.pattern("n", labels, properties)?;
            let text = format!("CREATE ({pattern}) RETURN n");
            Ok(builder.write(text, Shape::Created("node")))
        }
        Operation::FindNodes(nodes, page) => builder.find_nodes(nodes, page),
        Operation::FindNodeById(id) => {
            let condition = builder.has_id("n", id);
            let text = format!("MATCH (n) WHERE {condition} RETURN n");
            Ok(builder.read(text, Shape::FirstOrNull))
        }
        Operation::UpdateNodes(target, changes) => {
            let matched = builder.match_nodes(target)?;
            let set = builder.set("n", changes)?;
            let text = format!("{matched} {set} RETURN n");
            let one = matches!(target, Target::One(_));
            Ok(builder.write(
                text,
                Shape::Updated {
                    one,
                    key: ("node", "nodes"),
                },
            ))
        }
        Operation::DeleteNodes { target, detach } => {
            let matched = builder.match_nodes(target)?;
            let detach_word = if *detach { "DETACH " } else { "" };
            let text = format!("{matched} {detach_word}DELETE n RETURN count(*)");
            Ok(builder.write(text, Shape::Deleted { may_detach: !detach }))
        }
        Operation::MergeNode { labels, merge } => {
            let pattern = builder.pattern("n", labels, &merge.matched)?;
            let set = builder.merge_set("n", merge)?;
            let text = format!("MERGE ({pattern}){set} RETURN n");
            Ok(builder.write(text, Shape::Merged("node", "nodes-created")))
        }
        Operation::ChangeLabels { id, how, labels } => Ok(builder.change_labels(id, *how, labels)),
        Operation::CountNodes(nodes) => {
            let matched = builder.match_nodes_of(nodes)?;
            let text = format!("{matched} RETURN count(n)");
            Ok(builder.read(text, Shape::Count))
        }
        Operation::Statistics => {
            let nodes = Statement::plain("MATCH (n) RETURN count(n)");
            let relationships = Statement::plain("MATCH ()-[r]->() RETURN count(r)");
            Ok(Plan::of(Access::Read, Work::Statistics { nodes, relationships }))
        }
        Operation::Query {
            text,
            params,
            auto_commit,
        } => {
            let params = params
                .iter()
                .map(|(name, json)| Ok((name.clone(), value::parameter(name, json)?)));
            let statement = Statement {
                text: text.to_string(),
                params: params.collect::<Result<_, Failure>>()?,
            };
            Ok(Plan {
                auto_commit: *auto_commit,
                ..Plan::of(Access::Write, Work::One(statement, Shape::Rows))
            })
        }
        Operation::FullText { index, query, limit } => builder.full_text(index, query, *limit),
        Operation::CreateRelationship { ends, kind, properties } => builder.create_relationship(ends, kind, properties),
        Operation::FindRelationships(found, page) => builder.find_relationships(found, page),
        Operation::UpdateRelationships(target, changes) => builder.update_relationships(target, changes),
        Operation::DeleteRelationships(target) => builder.delete_relationships(target),
        Operation::MergeRelationship { ends, kind, merge } => builder.merge_relationship(ends, kind, merge),
        Operation::CountRelationships(found) => builder.count_relationships(found),
        Operation::Traverse(traversal) => builder.traverse(traversal),
        Operation::ShortestPath { ends, steps, weight } => builder.shortest_path(ends, steps, weight.as_ref()),
        Operation::AllPaths { ends, steps, limit } => Ok(builder.all_paths(ends, steps, *limit)),
        Operation::Neighborhood { id, steps, nodes } => Ok(Plan::of(
            Access::Read,
            Work::Neighborhood {
                id: id.clone(),
                steps: steps.clone(),
                nodes: nodes.clone(),
            },
        )),
        Operation::Components { types, labels } => Ok(paths::components(types, labels)),
        Operation::Vector { index, vector, limit } => builder.vector(index, vector, *limit),
        Operation::CreateIndex(schema) => builder.create_index(schema, UNLESS_THERE),
        Operation::CreateConstraint(schema) => builder.create_constraint(schema, UNLESS_THERE),
        Operation::List(kind) => builder.list_schema(*kind),
        Operation::Drop(kind, name) => builder.drop_schema(*kind, name),
    }
}

/// What leaves an index or a constraint that is there already, and also another one of its name.
const UNLESS_THERE: &str = " IF NOT EXISTS";

/// The same for an index or a constraint with a name, so that the server says what is there already.
pub(super) fn plan_of_name(operation: &Operation, kind: GraphKind) -> Result<Option<Plan>, Failure> {
    let builder = Builder::new(kind);
    match operation {
        Operation::CreateIndex(schema) if schema.name.is_some() => builder.create_index(schema, "").map(Some),
        Operation::CreateConstraint(schema) if schema.name.is_some() => builder.create_constraint(schema, "").map(Some),
        _ => Ok(None),
    }
}

/// A statement that is being built.
struct Builder {
    kind: GraphKind,
    params: Vec<(Box<str>, Value)>,
}

impl Builder {
    fn new(kind: GraphKind) -> Self {
        Self {
            kind,
            params: Vec::new(),
        }
    }

    fn statement(self, text: String) -> Statement {
        Statement {
            text,
            params: self.params,
        }
    }

    fn read(self, text: String, shape: Shape) -> Plan {
        Plan::of(Access::Read, Work::One(self.statement(text), shape))
    }

    fn write(self, text: String, shape: Shape) -> Plan {
        Plan::of(Access::Write, Work::One(self.statement(text), shape))
    }

    /// A parameter with this value.
    fn param(&mut self, value: Value) -> String {
        let name = format!("p{}", self.params.len());
        let text = format!("${name}");
        self.params.push((name.into(), value));
        text
    }

    fn term(&mut self, term: Term) -> String {
        match term {
            Term::Value(value) => self.param(value),
            Term::Call(function, argument) => {
                let argument = self.param(argument);
                function.call(&argument)
            }
            Term::List(terms) => {
                let terms: Vec<String> = terms.into_iter().map(|term| self.term(term)).collect();
                format!("[{}]", terms.join(", "))
            }
        }
    }

    fn value(&mut self, name: &Name, json: &Json) -> Result<String, Failure> {
        let term = value::property(name.as_str(), json)?;
        Ok(self.term(term))
    }

    /// A variable with labels and properties, as it stands in the pattern of a node.
    fn pattern(&mut self, variable: &str, labels: &[Name], properties: &Properties) -> Result<String, Failure> {
        let properties = self.properties(properties)?;
        Ok(format!("{variable}{}{properties}", labels_of(labels)))
    }

    /// Properties as they stand in a pattern.
    fn properties(&mut self, properties: &Properties) -> Result<String, Failure> {
        if properties.is_empty() {
            return Ok(String::new());
        }
        let entries = properties
            .iter()
            .map(|(name, json)| Ok(format!("{name}: {}", self.value(name, json)?)));
        let entries: Vec<String> = entries.collect::<Result<_, Failure>>()?;
        Ok(format!(" {{{}}}", entries.join(", ")))
    }

    /// Whether it has this id.
    fn has_id(&mut self, variable: &str, id: &Id) -> String {
        match id {
            Id::Number(number) => {
                let number = self.param(Value::Integer(*number));
                format!("id({variable}) = {number}")
            }
            Id::Element(text) => {
                let text = self.param(Value::Text(text.clone()));
                // The ids of Neptune are texts, and it has no other ones.
                let function = if self.kind == GraphKind::Neptune {
                    "id"
                } else {
                    "elementId"
                };
                format!("{function}({variable}) = {text}")
            }
        }
    }

    /// `MATCH … WHERE …` of nodes named `n`.
    fn match_nodes_of(&mut self, nodes: &Nodes) -> Result<String, Failure> {
        let condition = self.condition("n", &nodes.filter)?;
        Ok(format!(
            "MATCH (n{}){}",
            labels_of(&nodes.labels),
            where_clause(&condition)
        ))
    }

    fn match_nodes(&mut self, target: &Target<Nodes>) -> Result<String, Failure> {
        match target {
            Target::One(id) => Ok(format!("MATCH (n) WHERE {}", self.has_id("n", id))),
            Target::All(nodes) => self.match_nodes_of(nodes),
        }
    }

    fn find_nodes(mut self, nodes: &Nodes, page: &Page) -> Result<Plan, Failure> {
        let matched = self.match_nodes_of(nodes)?;
        let text = format!("{matched} RETURN n{}", page_clause("n", page));
        let most = page.limit.unwrap_or(DEFAULT_ROW_LIMIT);
        Ok(self.read(text, Shape::List { key: "nodes", most }))
    }

    /// `SET …` of changes.
    fn set(&mut self, variable: &str, changes: &Changes) -> Result<String, Failure> {
        if changes.is_empty() {
            return Ok(String::new());
        }
        let assignments = changes
            .iter()
            .map(|(name, change)| self.assignment(variable, name, change));
        let assignments: Vec<String> = assignments.collect::<Result<_, _>>()?;
        Ok(format!("SET {}", assignments.join(", ")))
    }

    fn assignment(&mut self, variable: &str, name: &Name, change: &Change) -> Result<String, Failure> {
        let of = format!("{variable}.{name}");
        let new = match change {
            Change::Set(json) => self.value(name, json)?,
            Change::Unset => "null".to_owned(),
            // `+` would append to a text or a list.
            Change::Increment(json) => format!("coalesce({of}, 0) - (-{})", self.value(name, json)?),
            Change::Decrement(json) => format!("coalesce({of}, 0) - {}", self.value(name, json)?),
            Change::Multiply(json) => format!("coalesce({of}, 0) * {}", self.value(name, json)?),
            Change::Least(json) => {
                let value = self.value(name, json)?;
                extreme(&of, ("<=", ">"), &value)
            }
            Change::Greatest(json) => {
                let value = self.value(name, json)?;
                extreme(&of, (">=", "<"), &value)
            }
            Change::Push(json) => format!("({}) + [{}]", list(&of), self.value(name, json)?),
            Change::Pull(json) => {
                let value = self.value(name, json)?;
                format!("[value IN ({}) WHERE value <> {value}]", list(&of))
            }
            Change::AddToSet(json) => {
                let (value, list) = (self.value(name, json)?, list(&of));
                format!("CASE WHEN {value} IN ({list}) THEN {of} ELSE ({list}) + [{value}] END")
            }
        };
        Ok(format!("{of} = {new}"))
    }

    /// What `MERGE` sets where it creates, and where it finds.
    fn merge_set(&mut self, variable: &str, merge: &Merge) -> Result<String, Failure> {
        let mut text = String::new();
        for (event, changes) in [("CREATE", &merge.on_create), ("MATCH", &merge.on_match)] {
            if !changes.is_empty() {
                text.push_str(&format!(" ON {event} {}", self.set(variable, changes)?));
            }
        }
        Ok(text)
    }

    fn change_labels(mut self, id: &Id, how: LabelChange, labels: &[Name]) -> Plan {
        let condition = self.has_id("n", id);
        let list = labels_of(labels);
        let shape = Shape::Updated {
            one: true,
            key: ("node", "nodes"),
        };
        match how {
            LabelChange::Add => self.write(format!("MATCH (n) WHERE {condition} SET n{list} RETURN n"), shape),
            LabelChange::Remove => self.write(format!("MATCH (n) WHERE {condition} REMOVE n{list} RETURN n"), shape),
            LabelChange::Set => {
                let set = if labels.is_empty() {
                    String::new()
                } else {
                    format!(" SET n{list}")
                };
                let first = self.statement(format!("MATCH (n) WHERE {condition}{set} RETURN labels(n)"));
                let work = Work::SetLabels {
                    first,
                    id: id.clone(),
                    labels: labels.to_vec(),
                };
                Plan::of(Access::Write, work)
            }
        }
    }

    fn full_text(mut self, index: &SearchIndex, query: &Json, limit: u64) -> Result<Plan, Failure> {
        self.only_neo4j("fullTextSearch")?;
        let query = Value::text(query.as_text().unwrap_or_default());
        match index {
            SearchIndex::Named(name) => {
                let statement = full_text_statement(name, query, limit);
                Ok(Plan::of(Access::Read, Work::One(statement, Shape::Hits)))
            }
            SearchIndex::Of { label, properties } => {
                let label = self.param(Value::text(label.as_str()));
                let properties = properties.iter().map(|name| Value::text(name.as_str())).collect();
                let properties = self.param(Value::List(properties));
                let find = format!(
                    "SHOW FULLTEXT INDEXES YIELD name, entityType, labelsOrTypes, properties WHERE entityType = 'NODE' \
                     AND {label} IN labelsOrTypes AND all(name IN {properties} WHERE name IN properties) RETURN name LIMIT 1"
                );
                let find = self.statement(find);
                Ok(Plan::of(Access::Read, Work::TextSearch { find, query, limit }))
            }
        }
    }

    /// Refuses what only Neo4j has.
    fn only_neo4j(&self, what: &str) -> Result<(), Failure> {
        if self.kind == GraphKind::Neo4j {
            return Ok(());
        }
        Err(Failure::invalid(format!(
            "{what} is not there for graphs of type {}; use `query` with what the server has",
            self.kind.name()
        )))
    }
}

/// The search of a text by an index of nodes.
pub(super) fn full_text_statement(index: &str, query: Value, limit: u64) -> Statement {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Statement {
        text: "CALL db.index.fulltext.queryNodes($index, $query, {limit: $limit}) YIELD node, score RETURN node, score"
            .to_owned(),
        params: vec![
            ("index".into(), Value::text(index)),
            ("query".into(), query),
            ("limit".into(), Value::Integer(limit)),
        ],
    }
}

/// The statements after the first one that give a node exactly these labels.
pub(super) fn remaining_labels(id: &Id, kind: GraphKind, surplus: &[Name]) -> Statement {
    let mut builder = Builder::new(kind);
    let condition = builder.has_id("n", id);
    let remove = if surplus.is_empty() {
        String::new()
    } else {
        format!(" REMOVE n{}", labels_of(surplus))
    };
    builder.statement(format!("MATCH (n) WHERE {condition}{remove} RETURN n"))
}

/// `:A:B`
/// A property as a list, an empty one where it is not set. Of a number `size` fails, and of a text the subtraction: Cypher would take
/// either for a list of itself.
fn list(property: &str) -> String {
    format!(
        "CASE WHEN {property} IS NULL THEN [] WHEN size({property}) >= 0 AND NOT coalesce({property} STARTS WITH '', false) \
         THEN {property} ELSE {property} - 1 END"
    )
}

/// The lesser or the greater of a property and a value. What has no order with the value fails, as servers refuse the absolute
/// value of a text: which of both is kept would be a guess.
fn extreme(property: &str, (keeps, replaces): (&str, &str), value: &str) -> String {
    format!(
        "CASE WHEN {property} IS NULL THEN {value} WHEN {property} {keeps} {value} THEN {property} \
         WHEN {property} {replaces} {value} THEN {value} ELSE abs(last([{property}, ''])) END"
    )
}

fn labels_of(labels: &[Name]) -> String {
    labels.iter().map(|label| format!(":{label}")).collect()
}

/// `:A|B`
fn types_of(types: &[Name]) -> String {
    let names: Vec<String> = types.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(":{}", names.join("|"))
    }
}

fn where_clause(condition: &str) -> String {
    if condition.is_empty() {
        String::new()
    } else {
        format!(" WHERE {condition}")
    }
}

/// `ORDER BY … SKIP … LIMIT …`; one more than is shown, where the input names no limit.
fn page_clause(variable: &str, page: &Page) -> String {
    let mut text = String::new();
    let order = page.order.iter().map(|(name, descending)| {
        let direction = if *descending { " DESC" } else { "" };
        format!("{variable}.{name}{direction}")
    });
    let order: Vec<String> = order.collect();
    if !order.is_empty() {
        text.push_str(&format!(" ORDER BY {}", order.join(", ")));
    }
    if page.skip > 0 {
        text.push_str(&format!(" SKIP {}", page.skip));
    }
    text.push_str(&limit_clause(page.limit));
    text
}

fn limit_clause(limit: Option<u64>) -> String {
    format!(" LIMIT {}", limit.unwrap_or(DEFAULT_ROW_LIMIT + 1))
}
