//! Reads operations on relationships.

use super::InputFields;
use crate::connector::Failure;
use crate::connector::graphs::name::Name;
use crate::connector::graphs::operation::{Direction, Ends, Operation, Relationships, Target};
use crate::resources::graph_input as known;

/// Names of the id of the node where a relationship starts.
pub(super) const START: [&str; 3] = ["startNodeId", "fromId", "from"];
/// Names of the id of the node where it ends.
pub(super) const END: [&str; 3] = ["endNodeId", "toId", "to"];
const ID: [&str; 2] = ["id", "relationshipId"];

impl InputFields<'_> {
    pub(super) fn ends(&self) -> Result<Ends, Failure> {
        Ok(Ends {
            start: self.required_id(&START)?,
            end: self.required_id(&END)?,
        })
    }

    fn kind(&self) -> Result<Name, Failure> {
        self.one_name(&["type"], "type of relationships")
    }

    fn relationships(&self) -> Result<Relationships, Failure> {
        Ok(Relationships {
            types: self.types()?,
            start: self.id(&START)?,
            end: self.id(&END)?,
            direction: self.direction(Direction::Outgoing)?,
            filter: self.filter()?,
        })
    }

    pub(super) fn create_relationship(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(known::CREATE_RELATIONSHIP)?;
        Ok(Operation::CreateRelationship {
            ends: self.ends()?,
            kind: self.kind()?,
            properties: self.properties(&["properties", "props", "data"])?,
        })
    }

    pub(super) fn find_relationships(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(known::FIND_RELATIONSHIPS)?;
        Ok(Operation::FindRelationships(self.relationships()?, self.page()?))
    }

    /// One relationship by its id, or those that are described, unless that is all and the input does not ask for all.
    fn relationship_target(&self, verb: &str) -> Result<Target<Relationships>, Failure> {
        let found = self.relationships()?;
        let all = self.flag("all")?;
        let between = found.start.is_some() || found.end.is_some();
        let restricted = between || !found.filter.matches_everything();
        if let Some(id) = self.id(&ID)? {
            if restricted || !found.types.is_empty() {
                return Err(Failure::invalid(
                    "give `id`, or what describes relationships, not both: the id alone says which one is meant",
                ));
            }
            return Ok(Target::One(id));
        }
        if !restricted && !all {
            let which = if found.types.is_empty() {
                "every relationship"
            } else {
                "every relationship of the type"
            };
            return Err(Failure::invalid(format!(
                "the filter is empty, so that {verb} would meet {which}; give `where`, `startNodeId`, `endNodeId` or `id`, or `all: true` if that is meant"
            )));
        }
        Ok(Target::All(found))
    }

    pub(super) fn update_relationships(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(known::UPDATE_RELATIONSHIP)?;
        let changes = self.changes(&["properties", "props", "data"])?;
        if changes.is_empty() {
            return Err(Failure::invalid(
                "input.properties: is missing; it must be an object of properties and values",
            ));
        }
        Ok(Operation::UpdateRelationships(
            self.relationship_target("an update")?,
            changes,
        ))
    }

    pub(super) fn delete_relationships(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(known::DELETE_RELATIONSHIP)?;
        Ok(Operation::DeleteRelationships(self.relationship_target("a deletion")?))
    }

    pub(super) fn merge_relationship(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[
            "type",
            "startNodeId",
            "fromId",
            "from",
            "endNodeId",
            "toId",
            "to",
            "matchProperties",
            "matchProps",
            "setProperties",
            "setProps",
            "onCreate",
            "onMatch",
        ])?;
        Ok(Operation::MergeRelationship {
            ends: self.ends()?,
            kind: self.kind()?,
            merge: self.merge()?,
        })
    }

    pub(super) fn count_relationships(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&["types", "type", "relationshipTypes", "where", "filter"])?;
        Ok(Operation::CountRelationships(Relationships {
            types: self.types()?,
            filter: self.filter()?,
            ..Relationships::default()
        }))
    }
}
