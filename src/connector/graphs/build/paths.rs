//! Statements that follow relationships.

use super::{Builder, labels_of, limit_clause, types_of};
use crate::connector::Failure;
use crate::connector::graphs::bolt::Value;
use crate::connector::graphs::name::Name;
use crate::connector::graphs::operation::{Direction, Ends, Id, Nodes, Steps, Traversal};
use crate::connector::graphs::plan::{Access, Plan, Shape, Statement, Work};
use crate::connector::limits::DEFAULT_ROW_LIMIT;
use crate::resources::GraphKind;

/// Relationships that are followed where every path is looked at and the input says nothing.
const DEFAULT_DEPTH: u64 = 10;

impl Builder {
    pub(super) fn traverse(mut self, traversal: &Traversal) -> Result<Plan, Failure> {
        let pattern = steps_pattern("a", &traversal.steps, "b", traversal.steps.most);
        let mut conditions = vec![self.has_id("a", &traversal.start)];
        if let Some(condition) = self.node_condition("node", &traversal.nodes)? {
            conditions.push(format!("all(node IN tail(nodes(p)) WHERE {condition})"));
        }
        let condition = self.condition("step", &traversal.relationships)?;
        if !condition.is_empty() {
            conditions.push(format!("all(step IN relationships(p) WHERE {condition})"));
        }
        let limit = limit_clause(traversal.limit);
        let text = format!("MATCH p = {pattern} WHERE {} RETURN p{limit}", conditions.join(" AND "));
        let most = traversal.limit.unwrap_or(DEFAULT_ROW_LIMIT);
        Ok(self.read(text, Shape::List { key: "paths", most }))
    }

    /// The labels and the filter of nodes, as a condition on a variable.
    fn node_condition(&mut self, variable: &str, nodes: &Nodes) -> Result<Option<String>, Failure> {
        let mut conditions = Vec::new();
        if !nodes.labels.is_empty() {
            conditions.push(format!("{variable}{}", labels_of(&nodes.labels)));
        }
        let condition = self.condition(variable, &nodes.filter)?;
        if !condition.is_empty() {
            conditions.push(condition);
        }
        Ok((!conditions.is_empty()).then(|| conditions.join(" AND ")))
    }

    pub(super) fn shortest_path(mut self, ends: &Ends, steps: &Steps, weight: Option<&Name>) -> Result<Plan, Failure> {
        if ends.start == ends.end {
            let condition = self.has_id("a", &ends.start);
            let text = format!("MATCH p = (a) WHERE {condition} RETURN p");
            return Ok(self.read(text, Shape::Path));
        }
        let matched = self.match_ends(ends);
        let depth = steps.most.or(Some(DEFAULT_DEPTH));
        let text = match weight {
            Some(weight) => {
                let pattern = steps_pattern("a", steps, "b", depth);
                format!(
                    "{matched} MATCH p = {pattern} WHERE all(step IN relationships(p) WHERE {}) RETURN p, reduce(total = 0, step IN relationships(p) | total + step.{weight}) AS weight \
                     ORDER BY weight, length(p) LIMIT 1",
                    is_weight(&format!("step.{weight}"))
                )
            }
            None if self.kind == GraphKind::Neo4j => {
                let pattern = steps_pattern("a", steps, "b", steps.most);
                format!("{matched} MATCH p = shortestPath({pattern}) RETURN p")
            }
            // Not all servers have a search of their own, and each has it in another form.
            None => {
                let pattern = steps_pattern("a", steps, "b", depth);
                format!("{matched} MATCH p = {pattern} RETURN p ORDER BY length(p) LIMIT 1")
            }
        };
        Ok(self.read(text, Shape::Path))
    }

    pub(super) fn all_paths(mut self, ends: &Ends, steps: &Steps, limit: Option<u64>) -> Plan {
        let matched = self.match_ends(ends);
        let pattern = steps_pattern("a", steps, "b", steps.most);
        let text = format!("{matched} MATCH p = {pattern} RETURN p{}", limit_clause(limit));
        let most = limit.unwrap_or(DEFAULT_ROW_LIMIT);
        self.read(text, Shape::List { key: "paths", most })
    }
}

/// Whether it is a number that lengths of ways are added from: texts and lists, which compare with no number, would be
/// appended to each other.
fn is_weight(property: &str) -> String {
    format!("{property} >= 0 AND {property} <= {:e}", f64::MAX)
}

/// The node where a neighborhood begins: its id as the server has it.
pub(in crate::connector::graphs) fn first_node(id: &Id, kind: GraphKind) -> Statement {
    let mut builder = Builder::new(kind);
    let condition = builder.has_id("n", id);
    builder.statement(format!("MATCH (n) WHERE {condition} RETURN id(n)"))
}

/// The neighbors of these nodes: id of the relationship, relationship, id of the neighbor, neighbor.
pub(in crate::connector::graphs) fn neighbors(
    frontier: Vec<Value>,
    steps: &Steps,
    nodes: &Nodes,
    kind: GraphKind,
) -> Result<Statement, Failure> {
    let mut builder = Builder::new(kind);
    let types = types_of(&steps.types);
    let pattern = match steps.direction {
        Direction::Outgoing => format!("(n)-[r{types}]->(m)"),
        Direction::Incoming => format!("(n)<-[r{types}]-(m)"),
        Direction::Both => format!("(n)-[r{types}]-(m)"),
    };
    let mut conditions = vec![format!("id(n) IN {}", builder.param(Value::List(frontier)))];
    conditions.extend(builder.node_condition("m", nodes)?);
    let condition = conditions.join(" AND ");
    Ok(builder.statement(format!("MATCH {pattern} WHERE {condition} RETURN id(r), r, id(m), m")))
}

/// All nodes, and which of them are connected.
pub(super) fn components(types: &[Name], labels: &[Name]) -> Plan {
    let (types, labels) = (types_of(types), labels_of(labels));
    let nodes = Statement::plain(&format!("MATCH (n{labels}) RETURN id(n), n"));
    let pairs = Statement::plain(&format!(
        "MATCH (a{labels})-[r{types}]->(b{labels}) RETURN id(a), id(b)"
    ));
    Plan::of(Access::Read, Work::Components { nodes, pairs })
}

/// `(a)-[:A|B*1..3]->(b)`
fn steps_pattern(from: &str, steps: &Steps, to: &str, most: Option<u64>) -> String {
    let most = most.map(|most| most.to_string()).unwrap_or_default();
    let range = format!("[{}*{}..{most}]", types_of(&steps.types), steps.least);
    match steps.direction {
        Direction::Outgoing => format!("({from})-{range}->({to})"),
        Direction::Incoming => format!("({from})<-{range}-({to})"),
        Direction::Both => format!("({from})-{range}-({to})"),
    }
}
