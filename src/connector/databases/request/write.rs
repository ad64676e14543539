//! Reads inserts, upserts and deletes.

use super::update::is_operator;
use super::{DATA, FILTER, InputFields, TABLE};
use crate::connector::Failure;
use crate::connector::databases::filter::{Comparison, Filter, Predicate};
use crate::connector::databases::json::Json;
use crate::connector::databases::operation::{Conflict, ConflictAction, Delete, Insert, Operation, Row};
use crate::connector::limits::{MAX_COLUMNS, MAX_ROWS_WRITTEN};
use crate::text::spelling::truncated;

/// Names of the member with the columns of the unique key.
const CONFLICT_COLUMNS: [&str; 2] = ["conflictColumns", "conflictKeys"];
/// Names of the member that says how existing rows are treated.
const ON_CONFLICT: [&str; 2] = ["onConflict", "conflict"];

impl InputFields<'_> {
    /// Values by column; of what is data as a whole, every value is a literal.
    fn row(&self, json: &Json, is_data: bool) -> Result<Row, Failure> {
        let is_data = is_data || matches!(json, Json::Literal(_));
        let Json::Map(entries) = json.value() else {
            return Err(self.type_mismatch("data", "an object of columns and values", json));
        };
        if entries.is_empty() || entries.len() > MAX_COLUMNS {
            return Err(Failure::invalid(format!(
                "input.data: must have 1 to {MAX_COLUMNS} columns, got {}",
                entries.len()
            )));
        }
        let row = entries.iter().map(|(name, value)| {
            if is_data {
                return Ok((self.column(name)?, value.marked()));
            }
            if let Json::Map(inner) = value
                && let Some((key, _)) = inner.iter().find(|(key, _)| is_operator(key))
            {
                return Err(Failure::invalid(format!(
                    "input.data.{}: {} is an operator of updates; JSON with such keys is given as {{ $json: … }}",
                    truncated(name),
                    truncated(key)
                )));
            }
            Ok((self.column(name)?, value.clone()))
        });
        row.collect()
    }

    /// The rows to write; `several` says whether it must be a list, or one row.
    fn rows(&self, several: Option<bool>) -> Result<Vec<Row>, Failure> {
        let json = self.data()?;
        let is_data = matches!(json, Json::Literal(_));
        match (json.value(), several) {
            (Json::Any, _) => Ok(Vec::new()),
            (Json::List(list), None | Some(true)) => {
                if list.is_empty() || list.len() > MAX_ROWS_WRITTEN {
                    return Err(Failure::invalid(format!(
                        "input.data: must have 1 to {MAX_ROWS_WRITTEN} rows, got {}",
                        list.len()
                    )));
                }
                list.iter().map(|row| self.row(row, is_data)).collect()
            }
            (_, Some(true)) => Err(self.type_mismatch("data", "a list of objects", json)),
            (Json::List(_), Some(false)) => Err(Failure::invalid(
                "input.data: must be an object; insert and insertMany take a list",
            )),
            _ => Ok(vec![self.row(json, is_data)?]),
        }
    }

    pub(super) fn insert(&self, several: Option<bool>) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[&TABLE, &DATA, &ON_CONFLICT, &["returning"]])?;
        let (rows, conflict) = (self.rows(several)?, self.conflict(false)?);
        if let Some(conflict) = &conflict {
            self.check_updated(&rows, conflict)?;
        }
        Ok(Operation::Insert(Insert {
            table: self.table()?,
            rows,
            conflict,
            returning: self.returning()?,
        }))
    }

    pub(super) fn upsert(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[
            &TABLE,
            &FILTER,
            &DATA,
            &CONFLICT_COLUMNS,
            &ON_CONFLICT,
            &["updateColumns", "returning"],
        ])?;
        let mut rows = self.rows(None)?;
        if self.get(&ON_CONFLICT)?.is_some() && self.get(&CONFLICT_COLUMNS)?.or(self.get(&["updateColumns"])?).is_some()
        {
            return Err(Failure::invalid(
                "input.onConflict: says what conflictColumns and updateColumns say; give one or the other",
            ));
        }
        let conflict = match self.get(&FILTER)? {
            Some(_) => self.conflict_by_filter(&mut rows)?,
            None => self.conflict(true)?,
        };
        let conflict = conflict.ok_or_else(|| {
            Failure::invalid("input.conflictColumns: is missing; name the columns of the unique key, as in ['id']")
        })?;
        for row in &rows {
            let missing = conflict
                .columns
                .iter()
                .find(|column| !row.iter().any(|(name, _)| name == *column));
            if let Some(missing) = missing {
                return Err(Failure::invalid(format!(
                    "input.data: lacks '{}', which conflictColumns names",
                    truncated(missing)
                )));
            }
        }
        self.check_updated(&rows, &conflict)?;
        Ok(Operation::Insert(Insert {
            table: self.table()?,
            rows,
            conflict: Some(conflict),
            returning: self.returning()?,
        }))
    }

    /// Refuses to update a column to a value that a row does not have: databases would erase it.
    fn check_updated(&self, rows: &[Row], conflict: &Conflict) -> Result<(), Failure> {
        let ConflictAction::Update(columns) = &conflict.action else {
            return Ok(());
        };
        let lacks = |row: &Row| {
            columns
                .iter()
                .find(|column| !row.iter().any(|(name, _)| name == *column))
        };
        let Some(missing) = rows.iter().find_map(lacks) else {
            return Ok(());
        };
        let member = match self.get(&ON_CONFLICT)? {
            Some(_) => "onConflict.update",
            None => "updateColumns",
        };
        Err(Failure::invalid(format!(
            "input.{member}: names '{}', which data {}",
            truncated(missing),
            if rows.len() > 1 {
                "lacks in one of its rows"
            } else {
                "lacks"
            }
        )))
    }

    /// What becomes of an existing row; of no columns at all it keeps what it has.
    fn updated(columns: Option<Vec<Box<str>>>) -> ConflictAction {
        match columns {
            Some(columns) if columns.is_empty() => ConflictAction::Ignore,
            Some(columns) => ConflictAction::Update(columns),
            None => ConflictAction::UpdateGiven,
        }
    }

    /// `onConflict: { columns, action, update, where }`, or its parts beside the data.
    fn conflict(&self, upsert: bool) -> Result<Option<Conflict>, Failure> {
        let Some(json) = self.get(&ON_CONFLICT)? else {
            return self.conflict_beside(upsert);
        };
        let Json::Map(entries) = json.value() else {
            return Err(self.type_mismatch("onConflict", "an object such as { columns: ['id'] }", json));
        };
        let fields = InputFields {
            entries,
            context: self.context,
            path: "input.onConflict",
        };
        fields.reject_unknown_fields(&[&["columns", "action", "update"], &FILTER])?;
        let columns = fields.column_list(&["columns"])?.unwrap_or_default();
        if columns.is_empty() {
            return Err(Failure::invalid(
                "input.onConflict.columns: is missing; name the columns of the unique key, as in ['id']",
            ));
        }
        let update = fields.column_list(&["update"])?;
        let action = fields.get(&["action"])?;
        let action = action.map(|json| json.as_text().unwrap_or_default());
        let action = match (action, update) {
            (Some("ignore"), None) => ConflictAction::Ignore,
            (Some("ignore"), Some(_)) => {
                return Err(Failure::invalid(
                    "input.onConflict.update: has no meaning with `action: 'ignore'`",
                ));
            }
            (None | Some("update"), columns) => Self::updated(columns),
            (Some(_), _) => {
                return Err(Failure::invalid(
                    "input.onConflict.action: must be 'update' or 'ignore'",
                ));
            }
        };
        Ok(Some(Conflict {
            columns,
            filter: fields.filter()?,
            action,
        }))
    }

    fn conflict_beside(&self, upsert: bool) -> Result<Option<Conflict>, Failure> {
        if !upsert {
            return Ok(None);
        }
        let columns = self.column_list(&CONFLICT_COLUMNS)?.unwrap_or_default();
        if columns.is_empty() {
            return Ok(None);
        }
        Ok(Some(Conflict {
            columns,
            filter: Filter::All(Vec::new()),
            action: Self::updated(self.column_list(&["updateColumns"])?),
        }))
    }

    /// An upsert by `where`: its columns are the unique key, and their values belong to the row.
    fn conflict_by_filter(&self, rows: &mut [Row]) -> Result<Option<Conflict>, Failure> {
        let several = || {
            Failure::invalid(
                "input.where: of an upsert, gives one value for each column of the unique key, as in { id: 1 }; for other rows give conflictColumns",
            )
        };
        if self.get(&CONFLICT_COLUMNS)?.or(self.get(&ON_CONFLICT)?).is_some() {
            return Err(several());
        }
        let filter = self.filter()?;
        let parts = match &filter {
            Filter::All(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut columns = Vec::with_capacity(parts.len());
        let [row] = rows else { return Err(several()) };
        for part in parts {
            let Filter::Column(name, Predicate::Compare(Comparison::Equal, value)) = part else {
                return Err(several());
            };
            columns.push(name.clone());
            match row.iter().find(|(known, _)| known == name) {
                None => row.push((name.clone(), value.clone())),
                Some((_, given)) if is_same(given, value) => {}
                Some(_) => {
                    return Err(Failure::invalid(format!(
                        "input.where.{}: has another value than input.data.{}; the key is one row's",
                        truncated(name),
                        truncated(name)
                    )));
                }
            }
        }
        if columns.is_empty() {
            return Err(several());
        }
        Ok(Some(Conflict {
            columns,
            filter: Filter::All(Vec::new()),
            action: Self::updated(self.column_list(&["updateColumns"])?),
        }))
    }

    pub(super) fn delete(&self, one: bool) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[&TABLE, &FILTER, &["returning", "all"]])?;
        Ok(Operation::Delete(Delete {
            table: self.table()?,
            filter: self.bounded_filter("a deletion")?,
            one,
            returning: self.returning()?,
        }))
    }
}

/// Whether two values of a key are one: also a number, and the same as text.
fn is_same(one: &Json, other: &Json) -> bool {
    match (one.value(), other.value()) {
        (Json::Any, _) | (_, Json::Any) => true,
        (Json::Number(one) | Json::Text(one), Json::Number(other) | Json::Text(other)) => one == other,
        (one, other) => one == other,
    }
}
