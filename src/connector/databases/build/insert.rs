//! `INSERT` statements.

use super::Builder;
use crate::connector::Failure;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::json::Json;
use crate::connector::databases::name::identifier;
use crate::connector::databases::operation::{Conflict, ConflictAction, Insert, Row};
use crate::connector::databases::plan::Statement;
use crate::connector::limits::{MAX_PARAMETERS, MAX_ROWS_PER_STATEMENT};
use sea_query::{OnConflict, Query};

impl Builder<'_> {
    /// Statements that insert all rows. Consecutive rows with the same columns share one.
    pub(super) fn insert(&mut self, insert: &Insert) -> Result<Vec<Statement>, Failure> {
        let mut statements = Vec::new();
        let mut rest = insert.rows.as_slice();
        while let Some(first) = rest.first() {
            let most = (MAX_PARAMETERS / first.len().max(1)).clamp(1, MAX_ROWS_PER_STATEMENT);
            let alike = rest
                .iter()
                .take(most)
                .take_while(|row| same_columns(row, first))
                .count()
                .max(1);
            let (rows, later) = rest.split_at(alike.min(rest.len()));
            statements.push(self.insert_rows(insert, first, rows)?);
            rest = later;
        }
        Ok(statements)
    }

    fn insert_rows(&mut self, insert: &Insert, first: &Row, rows: &[Row]) -> Result<Statement, Failure> {
        let mut query = Query::insert();
        query.into_table(insert.table.reference());
        query.columns(first.iter().map(|(name, _)| identifier(name)));
        let mut columns = Vec::with_capacity(first.len());
        for (name, _) in first {
            self.in_data(name);
            columns.push((name, self.kind(name)?, self.place.take()));
        }
        for row in rows {
            let mut values = Vec::with_capacity(row.len());
            for (name, kind, place) in &columns {
                let value = row
                    .iter()
                    .find(|(known, _)| known == *name)
                    .map_or(&Json::Null, |(_, value)| value);
                self.place.clone_from(place);
                values.push(self.bind(value, *kind));
            }
            query
                .values(values)
                .map_err(|_| Failure::invalid("input.data: the rows have different columns"))?;
        }
        if let Some(conflict) = &insert.conflict {
            query.on_conflict(self.on_conflict(conflict, first)?);
        }
        if let Some(columns) = &insert.returning {
            query.returning(self.returning(columns)?);
        }
        self.finish(&query)
    }

    fn on_conflict(&mut self, conflict: &Conflict, first: &Row) -> Result<OnConflict, Failure> {
        let given = first
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !conflict.columns.contains(name));
        let update: Vec<_> = match &conflict.action {
            ConflictAction::Ignore => Vec::new(),
            ConflictAction::UpdateGiven => given.collect(),
            ConflictAction::Update(columns) => columns.iter().collect(),
        };
        for name in conflict.columns.iter().chain(update.iter().copied()) {
            self.kind(name)?;
        }
        let mut clause = OnConflict::columns(conflict.columns.iter().map(|name| identifier(name)));
        let bound = self.values.len();
        if let Some(condition) = self.condition(&conflict.filter)? {
            if self.dialect == Dialect::MySql {
                return Err(Failure::invalid(
                    "input.onConflict.where: MySQL has no unique indexes of some rows only",
                ));
            }
            // SQLite compares the text of the conditions, and does not know what will be bound.
            if self.dialect == Dialect::Sqlite && self.values.len() > bound {
                return Err(Failure::invalid(
                    "input.onConflict.where: on SQLite takes $isNull and $isNotNull alone",
                ));
            }
            clause.target_and_where(condition);
        }
        if update.is_empty() {
            clause.do_nothing_on(conflict.columns.iter().map(|name| identifier(name)));
        } else {
            clause.update_columns(update.into_iter().map(|name| identifier(name)));
        }
        Ok(clause)
    }
}

fn same_columns(row: &Row, other: &Row) -> bool {
    row.len() == other.len() && row.iter().all(|(name, _)| other.iter().any(|(known, _)| known == name))
}
