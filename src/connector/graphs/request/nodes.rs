//! Reads operations on nodes.

use super::InputFields;
use crate::connector::Failure;
use crate::connector::graphs::operation::{LabelChange, Nodes, Operation, Target};
use crate::resources::graph_input as known;

impl InputFields<'_> {
    pub(super) fn create_node(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(known::CREATE_NODE)?;
        Ok(Operation::CreateNode {
            labels: self.labels()?,
            properties: self.properties(&["properties", "props", "data"])?,
        })
    }

    pub(super) fn find_nodes(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(known::FIND_NODES)?;
        Ok(Operation::FindNodes(self.nodes()?, self.page()?))
    }

    pub(super) fn find_node_by_id(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(known::FIND_NODE_BY_ID)?;
        Ok(Operation::FindNodeById(self.required_id(&["id", "nodeId"])?))
    }

    /// One node by its id, or those of a filter, which must not be empty unless the input explicitly asks for all.
    fn node_target(&self, verb: &str) -> Result<Target<Nodes>, Failure> {
        let nodes = self.nodes()?;
        let all = self.flag("all")?;
        if let Some(id) = self.id(&["id", "nodeId"])? {
            if !nodes.labels.is_empty() || !nodes.filter.matches_everything() {
                return Err(Failure::invalid(
                    "give `id`, or `labels` and `where`, not both: the id alone says which node is meant",
                ));
            }
            return Ok(Target::One(id));
        }
        if nodes.filter.matches_everything() && !all {
            let which = if nodes.labels.is_empty() {
                "every node"
            } else {
                "every node with these labels"
            };
            return Err(Failure::invalid(format!(
                "the filter is empty, so that {verb} would meet {which}; give `where` or `id`, or `all: true` if that is meant"
            )));
        }
        Ok(Target::All(nodes))
    }

    pub(super) fn update_nodes(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(known::UPDATE_NODE)?;
        let changes = self.changes(&["properties", "props", "data"])?;
        if changes.is_empty() {
            return Err(Failure::invalid(
                "input.properties: is missing; it must be an object of properties and values",
            ));
        }
        Ok(Operation::UpdateNodes(self.node_target("an update")?, changes))
    }

    pub(super) fn delete_nodes(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(known::DELETE_NODE)?;
        Ok(Operation::DeleteNodes {
            target: self.node_target("a deletion")?,
            detach: self.flag("detach")?,
        })
    }

    pub(super) fn merge_node(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(known::MERGE_NODE)?;
        let (labels, merge) = (self.labels()?, self.merge()?);
        if merge.matched.is_empty() {
            return Err(Failure::invalid(
                "input.matchProperties: is missing: every node with these labels would be the one that is meant; name the properties \
                 by which it is known",
            ));
        }
        Ok(Operation::MergeNode { labels, merge })
    }

    pub(super) fn change_labels(&self, how: LabelChange) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&["id", "nodeId", "labels", "label"])?;
        let labels = self.labels()?;
        if labels.is_empty() && how != LabelChange::Set {
            return Err(Failure::invalid(
                "input.labels: is missing; it must be a list of labels",
            ));
        }
        Ok(Operation::ChangeLabels {
            id: self.required_id(&["id", "nodeId"])?,
            how,
            labels,
        })
    }

    pub(super) fn count_nodes(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&["labels", "label", "where", "filter"])?;
        Ok(Operation::CountNodes(self.nodes()?))
    }
}
