//! Statements on relationships.

use super::{Builder, page_clause, types_of, where_clause};
use crate::connector::Failure;
use crate::connector::graphs::name::Name;
use crate::connector::graphs::operation::{Changes, Direction, Ends, Merge, Page, Properties, Relationships, Target};
use crate::connector::graphs::plan::{Plan, Shape};
use crate::connector::limits::DEFAULT_ROW_LIMIT;

impl Builder {
    pub(super) fn create_relationship(
        mut self,
        ends: &Ends,
        kind: &Name,
        properties: &Properties,
    ) -> Result<Plan, Failure> {
        let matched = self.match_ends(ends);
        let properties = self.properties(properties)?;
        let text = format!("{matched} CREATE (a)-[r:{kind}{properties}]->(b) RETURN r");
        Ok(self.write(text, Shape::Created("relationship")))
    }

    pub(super) fn merge_relationship(mut self, ends: &Ends, kind: &Name, merge: &Merge) -> Result<Plan, Failure> {
        let matched = self.match_ends(ends);
        let properties = self.properties(&merge.matched)?;
        let set = self.merge_set("r", merge)?;
        let text = format!("{matched} MERGE (a)-[r:{kind}{properties}]->(b){set} RETURN r");
        Ok(self.write(text, Shape::Merged("relationship", "relationships-created")))
    }

    pub(super) fn find_relationships(mut self, found: &Relationships, page: &Page) -> Result<Plan, Failure> {
        let matched = self.match_relationships_of(found)?;
        let text = format!("{matched} RETURN DISTINCT r{}", page_clause("r", page));
        let most = page.limit.unwrap_or(DEFAULT_ROW_LIMIT);
        let key = "relationships";
        Ok(self.read(text, Shape::List { key, most }))
    }

    pub(super) fn update_relationships(
        mut self,
        target: &Target<Relationships>,
        changes: &Changes,
    ) -> Result<Plan, Failure> {
        let matched = self.match_relationships(target)?;
        let set = self.set("r", changes)?;
        let one = matches!(target, Target::One(_));
        let key = ("relationship", "relationships");
        Ok(self.write(format!("{matched} {set} RETURN r"), Shape::Updated { one, key }))
    }

    pub(super) fn delete_relationships(mut self, target: &Target<Relationships>) -> Result<Plan, Failure> {
        let matched = self.match_relationships(target)?;
        let text = format!("{matched} DELETE r RETURN count(*)");
        Ok(self.write(text, Shape::Deleted { may_detach: false }))
    }

    pub(super) fn count_relationships(mut self, found: &Relationships) -> Result<Plan, Failure> {
        let matched = self.match_relationships_of(found)?;
        Ok(self.read(format!("{matched} RETURN count(r)"), Shape::Count))
    }

    /// `MATCH` of the nodes `a` and `b`.
    pub(super) fn match_ends(&mut self, ends: &Ends) -> String {
        let (start, end) = (self.has_id("a", &ends.start), self.has_id("b", &ends.end));
        format!("MATCH (a) WHERE {start} MATCH (b) WHERE {end}")
    }

    fn match_relationships(&mut self, target: &Target<Relationships>) -> Result<String, Failure> {
        match target {
            Target::One(id) => Ok(format!("MATCH ()-[r]->() WHERE {}", self.has_id("r", id))),
            Target::All(found) => self.match_relationships_of(found),
        }
    }

    /// `MATCH … WHERE …` of relationships named `r`.
    fn match_relationships_of(&mut self, found: &Relationships) -> Result<String, Failure> {
        let types = types_of(&found.types);
        let anchored = found.start.is_some() || found.end.is_some();
        let pattern = match found.direction {
            // Between any nodes each relationship would be met twice.
            Direction::Both if anchored => format!("(a)-[r{types}]-(b)"),
            Direction::Outgoing | Direction::Both => format!("(a)-[r{types}]->(b)"),
            Direction::Incoming => format!("(a)<-[r{types}]-(b)"),
        };
        let mut conditions = Vec::new();
        for (variable, id) in [("a", &found.start), ("b", &found.end)] {
            if let Some(id) = id {
                conditions.push(self.has_id(variable, id));
            }
        }
        let condition = self.condition("r", &found.filter)?;
        if !condition.is_empty() {
            conditions.push(condition);
        }
        Ok(format!("MATCH {pattern}{}", where_clause(&conditions.join(" AND "))))
    }
}
