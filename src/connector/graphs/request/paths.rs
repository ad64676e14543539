//! Reads operations that follow relationships.

use super::relationships::START;
use super::{InputFields, type_mismatch};
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::connector::graphs::filter::{self, Filter};
use crate::connector::graphs::operation::{Direction, Nodes, Operation, Steps, Traversal};
use crate::resources::graph_input as known;

/// Relationships that are followed one after the other.
const MAX_DEPTH: i64 = 100;
/// The same, where every path is looked at and the input says nothing.
const DEFAULT_WEIGHTED_DEPTH: u64 = 10;

impl InputFields<'_> {
    fn depth(&self, names: &[&str]) -> Result<Option<u64>, Failure> {
        self.whole_number(names, 1, MAX_DEPTH)
    }

    fn required_depth(&self, names: &[&str]) -> Result<u64, Failure> {
        let name = names.first().copied().unwrap_or_default();
        self.depth(names)?.ok_or_else(|| {
            Failure::invalid(format!(
                "input.{name}: is missing; it must be the most relationships to follow, from 1 to {MAX_DEPTH}"
            ))
        })
    }

    fn steps(&self, direction: Direction, most: Option<u64>) -> Result<Steps, Failure> {
        let least = self.whole_number(&["minDepth"], 1, MAX_DEPTH)?.unwrap_or(1);
        if most.is_some_and(|most| most < least) {
            return Err(Failure::invalid("input.minDepth: must not be larger than `maxDepth`"));
        }
        Ok(Steps {
            types: self.types()?,
            direction,
            least,
            most,
        })
    }

    /// An object such as `{ labels, where }` in this field.
    fn inner(&self, name: &str, members: &[&str]) -> Result<Nodes, Failure> {
        let Some(json) = self.get(&[name])? else {
            return Ok(Nodes::default());
        };
        let Json::Map(entries) = json.value() else {
            return Err(type_mismatch(
                name,
                "an object such as { where: { active: true } }",
                json,
            ));
        };
        if matches!(json, Json::Literal(_)) {
            // Data, of which each member is one.
            return Ok(Nodes {
                labels: Vec::new(),
                filter: filter::read(json)?,
            });
        }
        if let Some((key, _)) = entries.iter().find(|(key, _)| !members.contains(&&**key)) {
            return Err(Failure::unknown_member(&format!("input.{name}"), key, members));
        }
        InputFields { entries }.nodes()
    }

    fn node_filter(&self) -> Result<Nodes, Failure> {
        self.inner("nodeFilter", &["labels", "label", "where", "filter"])
    }

    fn relationship_filter(&self) -> Result<Filter, Failure> {
        Ok(self.inner("relationshipFilter", &["where", "filter"])?.filter)
    }

    /// The direction of paths between two nodes: any, unless the input says another.
    fn path_direction(&self) -> Result<Direction, Failure> {
        let directed = match self.get(&["directed"])? {
            None => None,
            Some(json) if *json.value() == Json::Any => None,
            Some(_) => Some(self.flag("directed")?),
        };
        let direction = self.direction(match directed {
            Some(true) => Direction::Outgoing,
            _ => Direction::Both,
        })?;
        if directed.is_some_and(|directed| directed != (direction != Direction::Both)) {
            return Err(Failure::invalid("input.directed: contradicts `direction`"));
        }
        Ok(direction)
    }

    pub(super) fn traverse(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(known::TRAVERSE)?;
        let most = self.required_depth(&["maxDepth", "depth"])?;
        Ok(Operation::Traverse(Traversal {
            start: self.required_id(&START)?,
            steps: self.steps(self.direction(Direction::Outgoing)?, Some(most))?,
            nodes: self.node_filter()?,
            relationships: self.relationship_filter()?,
            limit: self.limit(&["limit"])?,
        }))
    }

    pub(super) fn shortest_path(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(known::SHORTEST_PATH)?;
        let weight = match self.get(&["weightProperty"])? {
            None => None,
            Some(_) => Some(self.one_name(&["weightProperty"], "property")?),
        };
        let most = self.depth(&["maxDepth", "depth"])?;
        let most = most.or(weight.as_ref().map(|_| DEFAULT_WEIGHTED_DEPTH));
        Ok(Operation::ShortestPath {
            ends: self.ends()?,
            steps: self.steps(self.path_direction()?, most)?,
            weight,
        })
    }

    pub(super) fn all_paths(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[
            "startNodeId",
            "fromId",
            "from",
            "endNodeId",
            "toId",
            "to",
            "relationshipTypes",
            "types",
            "type",
            "minDepth",
            "maxDepth",
            "depth",
            "directed",
            "direction",
            "limit",
        ])?;
        let most = self.required_depth(&["maxDepth", "depth"])?;
        Ok(Operation::AllPaths {
            ends: self.ends()?,
            steps: self.steps(self.path_direction()?, Some(most))?,
            limit: self.limit(&["limit"])?,
        })
    }

    pub(super) fn neighborhood(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[
            "nodeId",
            "id",
            "startNodeId",
            "depth",
            "maxDepth",
            "direction",
            "relationshipTypes",
            "types",
            "type",
            "nodeFilter",
        ])?;
        let most = self.required_depth(&["depth", "maxDepth"])?;
        Ok(Operation::Neighborhood {
            id: self.required_id(&["nodeId", "id", "startNodeId"])?,
            steps: self.steps(self.direction(Direction::Both)?, Some(most))?,
            nodes: self.node_filter()?,
        })
    }

    pub(super) fn components(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&["relationshipTypes", "types", "type", "labels", "label"])?;
        Ok(Operation::Components {
            types: self.types()?,
            labels: self.labels()?,
        })
    }
}
