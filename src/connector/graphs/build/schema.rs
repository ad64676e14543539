//! Statements on indexes and constraints, and the search by vectors.

use super::Builder;
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::connector::graphs::bolt::Value;
use crate::connector::graphs::name::Name;
use crate::connector::graphs::operation::{ConstraintType, IndexType, Schema, SchemaKind, SchemaTarget, Similarity};
use crate::connector::graphs::plan::{Access, Plan, Shape, Statement, Work};
use crate::connector::graphs::value::{self, Term};

/// `FOR (n:Label)`
fn for_clause(of: &SchemaTarget) -> String {
    match of {
        SchemaTarget::Nodes(label) => format!("FOR (n:{label})"),
        SchemaTarget::Relationships(kind) => format!("FOR ()-[n:{kind}]-()"),
    }
}

fn named(name: Option<&Name>) -> String {
    name.map(|name| format!(" {name}")).unwrap_or_default()
}

/// `n.a, n.b`
fn list_of(properties: &[Name]) -> String {
    let properties: Vec<String> = properties.iter().map(|name| format!("n.{name}")).collect();
    properties.join(", ")
}

impl Builder {
    fn changed_schema(self, text: String, key: &'static str, counter: &'static str) -> Plan {
        self.write(text, Shape::Done { key, counter })
    }

    pub(super) fn create_index(self, schema: &Schema<IndexType>, unless: &str) -> Result<Plan, Failure> {
        self.only_neo4j("createNodeIndex")?;
        let properties = list_of(&schema.properties);
        let (word, on) = match schema.kind {
            IndexType::Range => ("RANGE", format!("ON ({properties})")),
            IndexType::Text => ("TEXT", format!("ON ({properties})")),
            IndexType::Point => ("POINT", format!("ON ({properties})")),
            IndexType::FullText => ("FULLTEXT", format!("ON EACH [{properties}]")),
            IndexType::Vector { dimensions, similarity } => {
                let function = match similarity {
                    Similarity::Cosine => "cosine",
                    Similarity::Euclidean => "euclidean",
                };
                let size = dimensions
                    .map(|size| format!("`vector.dimensions`: {size}, "))
                    .unwrap_or_default();
                let options = format!("{{indexConfig: {{{size}`vector.similarity_function`: '{function}'}}}}");
                ("VECTOR", format!("ON ({properties}) OPTIONS {options}"))
            }
        };
        let (name, of) = (named(schema.name.as_ref()), for_clause(&schema.of));
        let text = format!("CREATE {word} INDEX{name}{unless} {of} {on}");
        Ok(self.changed_schema(text, "created", "indexes-added"))
    }

    pub(super) fn create_constraint(self, schema: &Schema<ConstraintType>, unless: &str) -> Result<Plan, Failure> {
        self.only_neo4j("createNodeConstraint")?;
        let is = match (schema.kind, &schema.of) {
            (ConstraintType::Unique, _) => "IS UNIQUE",
            (ConstraintType::Exists, _) => "IS NOT NULL",
            (ConstraintType::Key, SchemaTarget::Nodes(_)) => "IS NODE KEY",
            (ConstraintType::Key, SchemaTarget::Relationships(_)) => "IS RELATIONSHIP KEY",
        };
        let (name, of) = (named(schema.name.as_ref()), for_clause(&schema.of));
        let properties = list_of(&schema.properties);
        let text = format!("CREATE CONSTRAINT{name}{unless} {of} REQUIRE ({properties}) {is}");
        Ok(self.changed_schema(text, "created", "constraints-added"))
    }

    pub(super) fn list_schema(self, kind: SchemaKind) -> Result<Plan, Failure> {
        let columns = "name, type, entityType, labelsOrTypes, properties";
        let (operation, text, key) = match kind {
            SchemaKind::Indexes => ("listIndexes", format!("SHOW INDEXES YIELD {columns}, state"), "indexes"),
            SchemaKind::Constraints => (
                "listConstraints",
                format!("SHOW CONSTRAINTS YIELD {columns}"),
                "constraints",
            ),
        };
        self.only_neo4j(operation)?;
        Ok(self.read(text, Shape::Described(key)))
    }

    pub(super) fn drop_schema(self, kind: SchemaKind, name: &Name) -> Result<Plan, Failure> {
        let (operation, word, counter) = match kind {
            SchemaKind::Indexes => ("dropIndex", "INDEX", "indexes-removed"),
            SchemaKind::Constraints => ("dropConstraint", "CONSTRAINT", "constraints-removed"),
        };
        self.only_neo4j(operation)?;
        Ok(self.changed_schema(format!("DROP {word} {name} IF EXISTS"), "dropped", counter))
    }

    pub(super) fn vector(self, index: &str, vector: &Json, limit: u64) -> Result<Plan, Failure> {
        self.only_neo4j("vectorSearch")?;
        let vector = match value::property("vector", vector)? {
            Term::Value(vector) => vector,
            _ => return Err(Failure::invalid("input.vector: must be a list of numbers")),
        };
        let statement = Statement {
            text: "CALL db.index.vector.queryNodes($index, $limit, $vector) YIELD node, score RETURN node, score"
                .to_owned(),
            params: vec![
                ("index".into(), Value::text(index)),
                ("limit".into(), Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX))),
                ("vector".into(), vector),
            ],
        };
        Ok(Plan::of(Access::Read, Work::One(statement, Shape::Hits)))
    }
}
