//! Carries out a plan within a transaction, statement by statement.
//!
//! Invariant: what is kept of results is bounded.

use super::answer::{Answer, too_large};
use super::bolt::Value;
use super::build::{self, first_node, neighbors};
use super::failure::Trouble;
use super::json;
use super::name::Name;
use super::operation::{Id, Nodes, Steps};
use super::plan::{Shape, Statement, Work};
use super::transaction::Transaction;
use crate::connector::Failure;
use crate::connector::limits::MAX_RESULT_BYTES;
use crate::resources::GraphKind;
use std::collections::{HashMap, HashSet};

/// Nodes whose neighbors are asked for at once.
const MAX_FRONTIER: usize = 1_000;
/// Nodes of one neighborhood.
const MAX_NEIGHBORS: usize = 10_000;

/// The result of a plan, as JSON text.
pub(super) async fn run(transaction: &mut Transaction<'_>, work: &Work, kind: GraphKind) -> Result<String, Trouble> {
    match work {
        Work::One(statement, shape) => one(transaction, statement, *shape).await,
        Work::Statistics { nodes, relationships } => {
            let nodes = first_value(transaction, nodes)
                .await?
                .and_then(|value| value.as_integer());
            let relationships = first_value(transaction, relationships).await?;
            let relationships = relationships.and_then(|value| value.as_integer());
            Ok(format!(
                "{{\"nodeCount\":{},\"relationshipCount\":{}}}",
                nodes.unwrap_or(0),
                relationships.unwrap_or(0)
            ))
        }
        Work::SetLabels { first, id, labels } => {
            let present = first_value(transaction, first).await?;
            let present = present.as_ref().and_then(Value::as_list).unwrap_or_default();
            let present = present.iter().filter_map(Value::as_text);
            let present = present
                .map(|text| Name::read("label", text))
                .collect::<Result<Vec<_>, _>>()?;
            let surplus: Vec<Name> = present.into_iter().filter(|label| !labels.contains(label)).collect();
            let rest = build::remaining_labels(id, kind, &surplus);
            let key = ("node", "nodes");
            one(transaction, &rest, Shape::Updated { one: true, key }).await
        }
        Work::TextSearch { find, query, limit } => {
            let index = first_value(transaction, find).await?;
            let Some(name) = index.as_ref().and_then(Value::as_text) else {
                return Err(Failure::not_found(
                    "there is no full-text index for that label and these properties; createNodeIndex with the type FULLTEXT makes one",
                )
                .into());
            };
            let statement = build::full_text_statement(name, query.clone(), *limit);
            one(transaction, &statement, Shape::Hits).await
        }
        Work::Neighborhood { id, steps, nodes } => neighborhood(transaction, id, steps, nodes, kind).await,
        Work::Components { nodes, pairs } => components(transaction, nodes, pairs).await,
    }
}

async fn one(transaction: &mut Transaction<'_>, statement: &Statement, shape: Shape) -> Result<String, Trouble> {
    let mut answer = Answer::new(shape);
    let summary = transaction
        .run(statement, &mut |columns, values| answer.row(columns, &values))
        .await?;
    Ok(answer.result(&summary)?)
}

async fn first_value(transaction: &mut Transaction<'_>, statement: &Statement) -> Result<Option<Value>, Trouble> {
    let mut first = None;
    let mut keep = |_: &[Value], values: Vec<Value>| {
        first = values.into_iter().next();
        false
    };
    transaction.run(statement, &mut keep).await?;
    Ok(first)
}

/// An id of a server as a key; servers have numbers or texts.
fn key(id: &Value) -> String {
    let mut text = String::new();
    json::push(&mut text, id);
    text
}

/// What has been found of a neighborhood.
#[derive(Default)]
struct Found {
    visited: HashSet<String>,
    crossed: HashSet<String>,
    nodes: String,
    relationships: String,
    next: Vec<Value>,
    truncated: bool,
}

impl Found {
    /// Takes a neighbor, and the relationship to it; `false`: no more fit.
    fn take(&mut self, distance: u64, values: &[Value]) -> bool {
        let [relationship_id, relationship, id, node] = values else {
            return true;
        };
        if self.visited.insert(key(id)) {
            let from = self.nodes.len();
            push_separated(&mut self.nodes, node);
            // A node is an object: its distance becomes the last member.
            self.nodes.truncate(self.nodes.len().saturating_sub(1));
            self.nodes.push_str(&format!(",\"distance\":{distance}}}"));
            if !self.fits() {
                self.nodes.truncate(from);
                return false;
            }
            self.next.push(id.clone());
        }
        if self.crossed.insert(key(relationship_id)) {
            let from = self.relationships.len();
            push_separated(&mut self.relationships, relationship);
            if !self.fits() {
                self.relationships.truncate(from);
                return false;
            }
        }
        true
    }

    fn fits(&mut self) -> bool {
        let fits =
            self.nodes.len() + self.relationships.len() <= MAX_RESULT_BYTES && self.visited.len() <= MAX_NEIGHBORS;
        self.truncated |= !fits;
        fits
    }
}

fn push_separated(list: &mut String, value: &Value) {
    if !list.is_empty() {
        list.push(',');
    }
    json::push(list, value);
}

/// Nodes by their distance: those at each distance are the neighbors of those at the distance before that were not met yet.
async fn neighborhood(
    transaction: &mut Transaction<'_>,
    id: &Id,
    steps: &Steps,
    nodes: &Nodes,
    kind: GraphKind,
) -> Result<String, Trouble> {
    let mut found = Found::default();
    let mut frontier = Vec::new();
    if let Some(first) = first_value(transaction, &first_node(id, kind)).await? {
        found.visited.insert(key(&first));
        frontier.push(first);
    }
    let depth = steps.most.unwrap_or(1);
    for distance in 1..=depth {
        for part in frontier.chunks(MAX_FRONTIER) {
            let statement = neighbors(part.to_vec(), steps, nodes, kind)?;
            let mut take = |_: &[Value], values: Vec<Value>| found.take(distance, &values);
            transaction.run(&statement, &mut take).await?;
            if found.truncated {
                break;
            }
        }
        frontier = std::mem::take(&mut found.next);
        if frontier.is_empty() || found.truncated {
            break;
        }
    }
    let truncated = if found.truncated { ",\"truncated\":true" } else { "" };
    Ok(format!(
        "{{\"nodes\":[{}],\"relationships\":[{}]{truncated}}}",
        found.nodes, found.relationships
    ))
}

/// Which nodes are connected, whatever the direction.
#[derive(Default)]
struct Groups {
    index_by_id: HashMap<String, usize>,
    /// For each node another one of its group; a node of which this is the node itself stands for the group.
    parents: Vec<usize>,
    nodes: Vec<String>,
    bytes: usize,
}

impl Groups {
    /// `false`: no more fit into a result.
    fn add(&mut self, values: &[Value]) -> bool {
        let [id, node] = values else { return true };
        let mut text = String::new();
        json::push(&mut text, node);
        self.bytes += text.len() + 1;
        self.index_by_id.insert(key(id), self.nodes.len());
        self.parents.push(self.nodes.len());
        self.nodes.push(text);
        self.bytes <= MAX_RESULT_BYTES
    }

    fn root(&mut self, mut node: usize) -> usize {
        loop {
            let parent = self.parents.get(node).copied().unwrap_or(node);
            if parent == node {
                return node;
            }
            let above = self.parents.get(parent).copied().unwrap_or(parent);
            if let Some(place) = self.parents.get_mut(node) {
                *place = above;
            }
            node = above;
        }
    }

    fn connect(&mut self, values: &[Value]) {
        let [a, b] = values else { return };
        let indexes = (self.index_by_id.get(&key(a)), self.index_by_id.get(&key(b)));
        let (Some(a), Some(b)) = indexes else { return };
        let (a, b) = (*a, *b);
        let (a, b) = (self.root(a), self.root(b));
        // The earlier one, so that the order of nodes is kept.
        if let Some(place) = self.parents.get_mut(a.max(b)) {
            *place = a.min(b);
        }
    }

    /// The groups, the largest first.
    fn result(mut self) -> String {
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for node in 0..self.nodes.len() {
            let root = self.root(node);
            if let Some(group) = members.get_mut(root) {
                group.push(node);
            }
        }
        members.retain(|group| !group.is_empty());
        members.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let texts = members.iter().map(|group| {
            let nodes = group
                .iter()
                .filter_map(|node| self.nodes.get(*node).map(String::as_str));
            let nodes: Vec<&str> = nodes.collect();
            format!("{{\"nodes\":[{}]}}", nodes.join(","))
        });
        let texts: Vec<String> = texts.collect();
        format!("{{\"components\":[{}],\"count\":{}}}", texts.join(","), members.len())
    }
}

async fn components(
    transaction: &mut Transaction<'_>,
    nodes: &Statement,
    pairs: &Statement,
) -> Result<String, Trouble> {
    let mut groups = Groups::default();
    let mut fits = true;
    let mut add = |_: &[Value], values: Vec<Value>| {
        fits = groups.add(&values);
        fits
    };
    transaction.run(nodes, &mut add).await?;
    if !fits {
        // Half of the nodes would be in no component.
        return Err(too_large().into());
    }
    let mut connect = |_: &[Value], values: Vec<Value>| {
        groups.connect(&values);
        true
    };
    transaction.run(pairs, &mut connect).await?;
    Ok(groups.result())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_what_is_connected() {
        let mut groups = Groups::default();
        for id in 0..6 {
            assert!(groups.add(&[Value::Integer(id), Value::Integer(id)]));
        }
        for (a, b) in [(5, 4), (1, 2), (2, 3), (3, 1), (9, 1)] {
            groups.connect(&[Value::Integer(a), Value::Integer(b)]);
        }
        let expected = r#"{"components":[{"nodes":[1,2,3]},{"nodes":[4,5]},{"nodes":[0]}],"count":3}"#;
        assert_eq!(groups.result(), expected);
    }
}
