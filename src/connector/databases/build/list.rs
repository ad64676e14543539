//! Changes of lists: arrays of PostgreSQL, and lists in JSON.
//!
//! Invariant: a column that holds anything but a list fails the statement, and is never made one.

use super::{Builder, no_sql};
use crate::connector::Failure;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::json::Json;
use crate::connector::databases::name::identifier;
use crate::connector::databases::operation::Change;
use crate::connector::databases::value::Kind;
use sea_query::Expr;

/// Elements of a list in SQLite, as they were.
const SQLITE_ELEMENT: &str = "CASE e.type WHEN 'object' THEN json(e.value) WHEN 'array' THEN json(e.value) \
     WHEN 'true' THEN json('true') WHEN 'false' THEN json('false') ELSE e.value END";
/// Whether an element in SQLite is the one of a list of one.
pub(super) const SQLITE_EQUAL: &str = "e.value IS json_extract(?, '$[0]') AND e.type = json_type(?, '$[0]')";

impl Builder<'_> {
    pub(super) fn list_change(&mut self, name: &str, kind: Kind, change: &Change) -> Result<Expr, Failure> {
        let fits = match self.dialect {
            Dialect::Postgres => matches!(kind, Kind::List | Kind::Json),
            Dialect::MySql => kind == Kind::Json,
            _ => matches!(kind, Kind::Json | Kind::Text | Kind::Any),
        };
        if !fits {
            let needed = match self.dialect {
                Dialect::Postgres => "the column must be an array or jsonb",
                _ => "the column must be of type JSON",
            };
            return Err(self.not_possible(name, change, needed));
        }
        if let Change::Pull(values) | Change::AddToSet(values) = change
            && values
                .iter()
                .any(|value| matches!(value.value(), Json::List(_) | Json::Map(_) | Json::Null))
        {
            return Err(self.not_possible(name, change, "it takes strings, numbers, true and false"));
        }
        let column = Expr::col(identifier(name));
        match (self.dialect, kind) {
            (Dialect::Postgres, Kind::List) => Ok(self.array_change(&column, change)),
            (Dialect::Postgres, _) => Ok(self.jsonb_change(&column, change)),
            (Dialect::MySql, _) => Ok(self.mysql_change(&column, change)),
            (Dialect::Sqlite, _) => Ok(self.sqlite_change(&column, change)),
            (Dialect::Mongo | Dialect::Dynamo, _) => Err(no_sql()),
        }
    }

    fn bind_list(&mut self, values: &[Json]) -> Expr {
        self.bind(&Json::List(values.to_vec()), Kind::Json)
    }

    /// `template` once for each value, with `column` and twice the list of that value alone.
    fn for_each(&mut self, column: &Expr, values: &[Json], template: &str) -> Vec<Expr> {
        let mut all: Vec<Expr> = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            if values.iter().take(index).any(|other| other.value() == value.value()) {
                continue;
            }
            let one = std::slice::from_ref(value);
            let (first, second) = (self.bind_list(one), self.bind_list(one));
            all.push(self.expression(template, [column.clone(), first, second]));
        }
        all
    }

    fn array_change(&mut self, column: &Expr, change: &Change) -> Expr {
        match change {
            Change::Push(values) => {
                let values = self.bind_list(values);
                self.expression("array_cat(?, ?)", [column.clone(), values])
            }
            Change::Pull(values) => values.iter().fold(column.clone(), |list, value| {
                let value = self.bind(value, Kind::Any);
                self.expression("array_remove(?, ?)", [list, value])
            }),
            Change::AddToSet(values) => {
                // The branch that is never taken says which type the others have.
                let template = "CASE WHEN ? @> ? THEN NULL WHEN FALSE THEN ? ELSE ? END";
                let mut list = column.clone();
                for (index, value) in values.iter().enumerate() {
                    if values.iter().take(index).any(|other| other.value() == value.value()) {
                        continue;
                    }
                    let one = std::slice::from_ref(value);
                    let (first, second) = (self.bind_list(one), self.bind_list(one));
                    let added = self.expression(template, [column.clone(), first, column.clone(), second]);
                    list = self.expression("array_cat(?, ?)", [list, added]);
                }
                list
            }
            Change::Pop { first } => {
                // Nothing is bound between brackets, where the builder takes text as it is. An empty array has no bounds.
                let template = if *first {
                    "COALESCE((SELECT e.l[e.a + 1 : e.b] FROM (SELECT ? AS l, array_lower(?, 1) AS a, array_upper(?, 1) AS b) AS e), ?)"
                } else {
                    "COALESCE((SELECT e.l[e.a : e.b - 1] FROM (SELECT ? AS l, array_lower(?, 1) AS a, array_upper(?, 1) AS b) AS e), ?)"
                };
                self.expression(template, std::iter::repeat_n(column.clone(), 4))
            }
            _ => column.clone(),
        }
    }

    fn jsonb_change(&mut self, column: &Expr, change: &Change) -> Expr {
        match change {
            Change::Push(values) => {
                let (added, alone) = (self.bind_list(values), self.bind_list(values));
                let template =
                    "COALESCE(CASE WHEN jsonb_array_length(?) >= 0 THEN ? || CAST(? AS jsonb) END, CAST(? AS jsonb))";
                self.expression(template, [column.clone(), column.clone(), added, alone])
            }
            Change::Pull(values) => {
                let list = self.bind_list(values);
                let template = "CASE WHEN ? IS NULL THEN NULL ELSE COALESCE((SELECT jsonb_agg(e.v ORDER BY e.n) \
                     FROM jsonb_array_elements(?) WITH ORDINALITY AS e(v, n) WHERE jsonb_typeof(e.v) IN ('array', 'object') OR NOT CAST(? AS jsonb) @> e.v), CAST('[]' AS jsonb)) END";
                self.expression(template, [column.clone(), column.clone(), list])
            }
            Change::AddToSet(values) => {
                let template = "CASE WHEN ? @> CAST(? AS jsonb) THEN CAST('[]' AS jsonb) ELSE CAST(? AS jsonb) END";
                let base = self.expression(
                    "CASE WHEN ? IS NULL THEN CAST('[]' AS jsonb) WHEN jsonb_array_length(?) >= 0 THEN ? END",
                    std::iter::repeat_n(column.clone(), 3),
                );
                let added = self.for_each(column, values, template);
                added
                    .into_iter()
                    .fold(base, |list, added| self.expression("? || ?", [list, added]))
            }
            Change::Pop { first } => {
                let template = if *first { "? - 0" } else { "? - (-1)" };
                self.expression(template, [column.clone()])
            }
            _ => column.clone(),
        }
    }

    fn mysql_change(&mut self, column: &Expr, change: &Change) -> Expr {
        // A second row in a subquery is an error, in MySQL and MariaDB alike.
        let list = |builder: &Self| {
            builder.expression(
                "CASE WHEN ? IS NULL THEN '[]' WHEN JSON_TYPE(?) = 'ARRAY' THEN ? ELSE (SELECT 1 UNION SELECT 2) END",
                std::iter::repeat_n(column.clone(), 3),
            )
        };
        match change {
            Change::Push(values) => {
                let added = self.bind_list(values);
                self.expression("JSON_MERGE_PRESERVE(?, ?)", [list(self), added])
            }
            Change::Pull(values) => {
                let values = self.bind_list(values);
                let template = "CASE WHEN ? IS NULL THEN NULL ELSE COALESCE((SELECT JSON_ARRAYAGG(JSON_EXTRACT(e.v, '$')) \
                     FROM JSON_TABLE(?, '$[*]' COLUMNS (v JSON PATH '$')) AS e WHERE JSON_TYPE(e.v) IN ('ARRAY', 'OBJECT') OR NOT JSON_CONTAINS(?, e.v)), '[]') END";
                self.expression(template, [column.clone(), list(self), values])
            }
            Change::AddToSet(values) => {
                let template = "CASE WHEN JSON_CONTAINS(COALESCE(?, '[]'), ?) THEN '[]' ELSE ? END";
                let added = self.for_each(column, values, template);
                added.into_iter().fold(list(self), |list, added| {
                    self.expression("JSON_MERGE_PRESERVE(?, ?)", [list, added])
                })
            }
            Change::Pop { first } => {
                let template = if *first {
                    "JSON_REMOVE(?, '$[0]')"
                } else {
                    "CASE WHEN JSON_LENGTH(?) > 0 THEN JSON_REMOVE(?, CONCAT('$[', JSON_LENGTH(?) - 1, ']')) ELSE ? END"
                };
                let parts = if *first { 1 } else { 4 };
                let popped = self.expression(template, std::iter::repeat_n(list(self), parts));
                self.expression("CASE WHEN ? IS NULL THEN NULL ELSE ? END", [column.clone(), popped])
            }
            _ => column.clone(),
        }
    }

    fn sqlite_change(&mut self, column: &Expr, change: &Change) -> Expr {
        // What is no JSON is an error.
        let list = |builder: &Self| {
            builder.expression(
                "CASE WHEN ? IS NULL THEN '[]' WHEN json_type(?) = 'array' THEN ? ELSE json('no list') END",
                std::iter::repeat_n(column.clone(), 3),
            )
        };
        match change {
            Change::Push(values) => values.iter().fold(list(self), |list, value| {
                let value = self.bind(value, Kind::Json);
                self.expression("json_insert(?, '$[#]', json(?))", [list, value])
            }),
            Change::Pull(values) => {
                let mut differs = String::new();
                let mut parts = vec![column.clone(), list(self)];
                for value in values {
                    let one = std::slice::from_ref(value);
                    differs.push_str(&format!(" AND NOT ({SQLITE_EQUAL})"));
                    parts.extend([self.bind_list(one), self.bind_list(one)]);
                }
                let template = format!(
                    "CASE WHEN ? IS NULL THEN NULL ELSE (SELECT json_group_array({SQLITE_ELEMENT}) FROM json_each(?) AS e WHERE TRUE{differs}) END"
                );
                self.expression(&template, parts)
            }
            Change::AddToSet(values) => {
                let template = format!(
                    "CASE WHEN EXISTS (SELECT 1 FROM json_each(?) AS e WHERE {SQLITE_EQUAL}) THEN '$' ELSE '$[#]' END"
                );
                let paths = self.for_each(column, values, &template);
                let mut seen: Vec<&Json> = Vec::new();
                let mut list = list(self);
                for (path, value) in paths.into_iter().zip(values.iter().filter(|value| {
                    let is_new = !seen.contains(&value.value());
                    seen.push(value.value());
                    is_new
                })) {
                    let value = self.bind(value, Kind::Json);
                    list = self.expression("json_insert(?, ?, json(?))", [list, path, value]);
                }
                list
            }
            Change::Pop { first } => {
                let template = if *first {
                    "json_remove(?, '$[0]')"
                } else {
                    "json_remove(?, '$[#-1]')"
                };
                let popped = self.expression(template, [list(self)]);
                self.expression("CASE WHEN ? IS NULL THEN NULL ELSE ? END", [column.clone(), popped])
            }
            _ => column.clone(),
        }
    }
}
