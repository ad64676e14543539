//! Reads inserts, updates and deletes.

use super::{InputFields, type_mismatch};
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::connector::databases::operation::{Conflict, Insert, Operation, Row};
use crate::connector::limits::{MAX_COLUMNS, MAX_ROWS_WRITTEN};
use crate::text::spelling::truncated;

impl InputFields<'_> {
    fn row(&self, json: &Json) -> Result<Row, Failure> {
        let Json::Map(entries) = json.value() else {
            return Err(type_mismatch("data", "an object of columns and values", json));
        };
        if entries.is_empty() || entries.len() > MAX_COLUMNS {
            return Err(Failure::invalid(format!(
                "input.data: must have 1 to {MAX_COLUMNS} columns, got {}",
                entries.len()
            )));
        }
        let row = entries
            .iter()
            .map(|(name, value)| Ok((self.column(name)?, value.clone())));
        row.collect()
    }

    fn rows(&self, several: Option<bool>) -> Result<Vec<Row>, Failure> {
        let json = self
            .get(&["data", "values"])?
            .ok_or_else(|| Failure::invalid("input.data: is missing; give columns and their values"))?;
        match (json.value(), several) {
            (Json::List(list), None | Some(true)) => {
                if list.is_empty() || list.len() > MAX_ROWS_WRITTEN {
                    return Err(Failure::invalid(format!(
                        "input.data: must have 1 to {MAX_ROWS_WRITTEN} rows, got {}",
                        list.len()
                    )));
                }
                list.iter().map(|row| self.row(row)).collect()
            }
            (_, Some(true)) => Err(type_mismatch("data", "a list of objects", json)),
            (Json::List(_), Some(false)) => Err(Failure::invalid(
                "input.data: must be an object; insertMany takes a list",
            )),
            _ => Ok(vec![self.row(json)?]),
        }
    }

    pub(super) fn insert(&self, several: bool) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&["table", "collection", "data", "values", "returning"])?;
        Ok(Operation::Insert(Insert {
            table: self.table()?,
            rows: self.rows(Some(several))?,
            conflict: None,
            returning: self.returning()?,
        }))
    }

    pub(super) fn upsert(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[
            "table",
            "collection",
            "data",
            "values",
            "conflictColumns",
            "updateColumns",
            "returning",
        ])?;
        let columns = self.column_list(&["conflictColumns"])?.unwrap_or_default();
        if columns.is_empty() {
            return Err(Failure::invalid(
                "input.conflictColumns: is missing; name the columns of the unique key, as in ['id']",
            ));
        }
        let rows = self.rows(None)?;
        for row in &rows {
            if let Some(missing) = columns
                .iter()
                .find(|column| !row.iter().any(|(name, _)| name == *column))
            {
                return Err(Failure::invalid(format!(
                    "input.data: lacks '{}', which conflictColumns names",
                    truncated(missing)
                )));
            }
        }
        Ok(Operation::Insert(Insert {
            table: self.table()?,
            rows,
            conflict: Some(Conflict {
                columns,
                update: self.column_list(&["updateColumns"])?,
            }),
            returning: self.returning()?,
        }))
    }

    pub(super) fn update(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[
            "table",
            "collection",
            "where",
            "filter",
            "data",
            "values",
            "returning",
            "all",
        ])?;
        let mut rows = self.rows(Some(false))?;
        Ok(Operation::Update {
            table: self.table()?,
            filter: self.bounded_filter("an update")?,
            set: rows.pop().unwrap_or_default(),
            returning: self.returning()?,
        })
    }

    pub(super) fn delete(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&["table", "collection", "where", "filter", "returning", "all"])?;
        Ok(Operation::Delete {
            table: self.table()?,
            filter: self.bounded_filter("a deletion")?,
            returning: self.returning()?,
        })
    }
}
