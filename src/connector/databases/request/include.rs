//! Reads `include`: related rows.
//!
//! Invariant: their number and depth are bounded.

use super::{FIELDS, FILTER, InputFields};
use crate::connector::Failure;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::json::Json;
use crate::connector::databases::name::Table;
use crate::connector::databases::operation::{Include, Relation, Select};
use crate::connector::limits::{MAX_INCLUDE_DEPTH, MAX_INCLUDES};
use crate::text::spelling::{suggestion, truncated};

/// The types of relations.
const TYPES: [&str; 3] = ["many-to-one", "one-to-many", "many-to-many"];

impl InputFields<'_> {
    /// The related rows of rows of `table`.
    pub(super) fn includes(&self, table: &Table, depth: usize) -> Result<Vec<Include>, Failure> {
        let Some(json) = self.get(&["include"])? else {
            return Ok(Vec::new());
        };
        if self.context.dialect == Dialect::Dynamo {
            return Err(Failure::invalid(format!(
                "{}.include: {} has no relations; use a second query",
                self.path,
                self.context.dialect.name()
            )));
        }
        let list = match json.value() {
            Json::List(list) => list.as_slice(),
            _ => std::slice::from_ref(json),
        };
        if depth >= MAX_INCLUDE_DEPTH || list.len() > MAX_INCLUDES {
            return Err(Failure::invalid(format!(
                "{}.include: may have at most {MAX_INCLUDES} relations on {MAX_INCLUDE_DEPTH} levels",
                self.path
            )));
        }
        let mut includes: Vec<Include> = Vec::with_capacity(list.len());
        for entry in list {
            let Json::Map(entries) = entry.value() else {
                return Err(self.type_mismatch("include", "an object, or a list of objects", entry));
            };
            let fields = InputFields {
                entries,
                context: self.context,
                path: "input.include",
            };
            let include = fields.include(table, depth)?;
            if includes.iter().any(|known| known.name == include.name) {
                return Err(Failure::invalid(format!(
                    "input.include: has the relation '{}' twice",
                    truncated(&include.name)
                )));
            }
            includes.push(include);
        }
        Ok(includes)
    }

    fn include(&self, parent: &Table, depth: usize) -> Result<Include, Failure> {
        const OWN: [&str; 11] = [
            "relation",
            "table",
            "type",
            "foreignKey",
            "primaryKey",
            "through",
            "throughForeignKey",
            "throughRelatedKey",
            "orderBy",
            "limit",
            "include",
        ];
        self.reject_unknown_fields(&[&OWN, &FILTER, &FIELDS])?;
        let name = self.text("relation")?.ok_or_else(|| self.missing("relation"))?;
        let table = Table::read(self.text("table")?.unwrap_or(name), self.context.dialect)?;
        let key = |field: &str, default: Option<String>| {
            let text = self.text(field)?.map(str::to_owned).or(default);
            let text = text.ok_or_else(|| self.missing(field))?;
            if !self.context.dialect.is_sql() && text.contains('.') {
                return Err(Failure::invalid(format!(
                    "{}.{field}: must be a field of the document itself; use `$lookup` in a pipeline for '{}'",
                    self.path,
                    truncated(&text)
                )));
            }
            self.column(&text)
        };
        let id = if self.context.dialect == Dialect::Mongo {
            "_id"
        } else {
            "id"
        };
        let primary_key = key("primaryKey", Some(id.into()))?;
        // `user_id` for the table `users`.
        let named_after = |table: &str| Some(format!("{}_id", table.strip_suffix('s').unwrap_or(table)));
        let relation = match self.text("type")?.ok_or_else(|| self.missing("type"))? {
            "many-to-one" => Relation::ManyToOne {
                foreign_key: key("foreignKey", named_after(&table.name))?,
                primary_key,
            },
            "one-to-many" => Relation::OneToMany {
                foreign_key: key("foreignKey", named_after(&parent.name))?,
                primary_key,
            },
            "many-to-many" => {
                if self.get(&["foreignKey"])?.is_some() {
                    return Err(Failure::invalid(
                        "input.include.foreignKey: has no meaning for many-to-many; give throughForeignKey",
                    ));
                }
                Relation::ManyToMany {
                    through: Table::read(
                        self.text("through")?.ok_or_else(|| self.missing("through"))?,
                        self.context.dialect,
                    )?,
                    foreign_key: key("throughForeignKey", named_after(&parent.name))?,
                    related_key: key("throughRelatedKey", named_after(&table.name))?,
                    primary_key,
                }
            }
            other => {
                return Err(Failure::invalid(format!(
                    "input.include.type: '{}' is none; {}",
                    truncated(other),
                    suggestion(other, &TYPES)
                )));
            }
        };
        Ok(Include {
            name: name.into(),
            relation,
            select: Select {
                include: self.includes(&table, depth + 1)?,
                table,
                columns: self.columns()?,
                filter: self.filter()?,
                order: self.order()?,
                limit: self.whole_number("limit", 1)?,
                offset: 0,
            },
        })
    }

    fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        match self.get(&[name])? {
            None => Ok(None),
            Some(json) => json
                .as_text()
                .map(Some)
                .ok_or_else(|| self.type_mismatch(name, "a string", json)),
        }
    }

    fn missing(&self, name: &str) -> Failure {
        Failure::invalid(format!("{}.{name}: is missing", self.path))
    }
}
