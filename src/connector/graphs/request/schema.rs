//! Reads operations on indexes and constraints, and searches by an index.

use super::{InputFields, type_mismatch};
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::connector::graphs::operation::{
    ConstraintType, IndexType, Operation, Schema, SchemaKind, SchemaTarget, SearchIndex, Similarity,
};
use crate::connector::limits::MAX_COLUMNS;
use crate::text::spelling::{simplified, suggestion};

/// Results of a search when the input sets no `limit`.
const DEFAULT_HITS: u64 = 10;
/// Most results of a search.
const MAX_HITS: i64 = 1_000;
/// Most dimensions of a vector.
const MAX_DIMENSIONS: i64 = 4_096;

impl InputFields<'_> {
    fn text(&self, names: &[&str]) -> Result<Box<str>, Failure> {
        let name = names.first().copied().unwrap_or_default();
        let json = self.required(names, "a string")?;
        let text = json.as_text().filter(|text| !text.is_empty());
        text.map(Into::into)
            .ok_or_else(|| type_mismatch(name, "a string", json))
    }

    fn word(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.get(&[name])? {
            None => Ok(None),
            Some(json) => json
                .as_text()
                .map(|text| Some(simplified(text)))
                .ok_or_else(|| type_mismatch(name, "a string", json)),
        }
    }

    pub(super) fn full_text_search(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&["indexName", "index", "label", "properties", "query", "limit"])?;
        let query = self.required(&["query"], "the text to search")?;
        if query.as_text().is_none() {
            return Err(type_mismatch("query", "the text to search", query));
        }
        let index = if self.get(&["indexName", "index"])?.is_some() {
            SearchIndex::Named(self.text(&["indexName", "index"])?)
        } else if self.get(&["label"])?.is_some() {
            SearchIndex::Of {
                label: self.one_name(&["label"], "label")?,
                properties: self.names(&["properties"], "property")?,
            }
        } else {
            return Err(Failure::invalid(
                "input.indexName: is missing; name the index, or the `label` and `properties` that it is for",
            ));
        };
        Ok(Operation::FullText {
            index,
            query: query.clone(),
            limit: self.whole_number(&["limit"], 1, MAX_HITS)?.unwrap_or(DEFAULT_HITS),
        })
    }

    pub(super) fn vector_search(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&["indexName", "index", "vector", "topK", "limit"])?;
        let vector = self.required(&["vector"], "a list of numbers")?;
        let is_vector = match vector.value() {
            Json::List(list) => {
                let numbers = list.iter().all(|value| matches!(value.value(), Json::Number(_)));
                numbers && !list.is_empty() && list.len() <= MAX_DIMENSIONS.unsigned_abs() as usize
            }
            _ => false,
        };
        if !is_vector {
            return Err(type_mismatch(
                "vector",
                &format!("a list of 1 to {MAX_DIMENSIONS} numbers"),
                vector,
            ));
        }
        Ok(Operation::Vector {
            index: self.text(&["indexName", "index"])?,
            vector: vector.clone(),
            limit: self
                .whole_number(&["topK", "limit"], 1, MAX_HITS)?
                .unwrap_or(DEFAULT_HITS),
        })
    }

    /// What the index or the constraint is for, with its name and properties.
    fn schema<T>(&self, of_nodes: bool, kind: T) -> Result<Schema<T>, Failure> {
        let of = if of_nodes {
            SchemaTarget::Nodes(self.one_name(&["label"], "label")?)
        } else {
            SchemaTarget::Relationships(self.one_name(&["relationshipType"], "type of relationships")?)
        };
        let properties = self.names(&["properties", "property"], "property")?;
        if properties.is_empty() || properties.len() > MAX_COLUMNS {
            return Err(Failure::invalid(
                "input.properties: is missing; it must be a list of properties",
            ));
        }
        let name = match self.get(&["name"])? {
            None => None,
            Some(_) => Some(self.one_name(&["name"], "index or constraint")?),
        };
        Ok(Schema {
            name,
            kind,
            of,
            properties,
        })
    }

    pub(super) fn create_index(&self, of_nodes: bool) -> Result<Operation, Failure> {
        const TYPES: [&str; 6] = ["RANGE", "BTREE", "TEXT", "POINT", "FULLTEXT", "VECTOR"];
        self.reject_unknown_fields(if of_nodes {
            &[
                "name",
                "type",
                "label",
                "properties",
                "property",
                "dimensions",
                "similarity",
            ]
        } else {
            &[
                "name",
                "type",
                "relationshipType",
                "properties",
                "property",
                "dimensions",
                "similarity",
            ]
        })?;
        let dimensions = self.whole_number(&["dimensions"], 1, MAX_DIMENSIONS)?;
        let similarity = match self.word("similarity")?.as_deref() {
            None | Some("cosine") => Similarity::Cosine,
            Some("euclidean") => Similarity::Euclidean,
            Some(_) => return Err(Failure::invalid("input.similarity: must be 'cosine' or 'euclidean'")),
        };
        let kind = match self.word("type")?.as_deref() {
            None | Some("range" | "btree") => IndexType::Range,
            Some("text") => IndexType::Text,
            Some("point") => IndexType::Point,
            Some("fulltext") => IndexType::FullText,
            Some("vector") => IndexType::Vector { dimensions, similarity },
            Some(other) => {
                return Err(Failure::invalid(format!(
                    "input.type: is no type of indexes; {}",
                    suggestion(other, &TYPES)
                )));
            }
        };
        let schema = self.schema(of_nodes, kind)?;
        let single = matches!(kind, IndexType::Text | IndexType::Point | IndexType::Vector { .. });
        if single && schema.properties.len() > 1 {
            return Err(Failure::invalid(
                "input.properties: an index of this type has one property",
            ));
        }
        Ok(Operation::CreateIndex(schema))
    }

    pub(super) fn create_constraint(&self, of_nodes: bool) -> Result<Operation, Failure> {
        const TYPES: [&str; 4] = ["UNIQUE", "EXISTS", "NODE_KEY", "RELATIONSHIP_KEY"];
        self.reject_unknown_fields(if of_nodes {
            &["name", "type", "label", "properties", "property"]
        } else {
            &["name", "type", "relationshipType", "properties", "property"]
        })?;
        let kind = match self.word("type")?.as_deref() {
            None | Some("unique") => ConstraintType::Unique,
            Some("exists") => ConstraintType::Exists,
            Some("nodekey" | "relationshipkey" | "key") => ConstraintType::Key,
            Some(other) => {
                return Err(Failure::invalid(format!(
                    "input.type: is no type of constraints; {}",
                    suggestion(other, &TYPES)
                )));
            }
        };
        let schema = self.schema(of_nodes, kind)?;
        if kind == ConstraintType::Exists && schema.properties.len() > 1 {
            return Err(Failure::invalid(
                "input.properties: a constraint of this type has one property",
            ));
        }
        Ok(Operation::CreateConstraint(schema))
    }

    pub(super) fn list(&self, kind: SchemaKind) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[])?;
        Ok(Operation::List(kind))
    }

    pub(super) fn drop(&self, kind: SchemaKind) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&["name"])?;
        Ok(Operation::Drop(kind, self.one_name(&["name"], "index or constraint")?))
    }
}
