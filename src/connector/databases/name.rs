//! Names of tables and columns: checked here, quoted where SQL is built.

use super::dialect::Dialect;
use crate::connector::Failure;
use sea_query::{Alias, DynIden, IntoIden, TableName, TableRef};

/// A table, optionally with its schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Table {
    pub(super) schema: Option<Box<str>>,
    pub(super) name: Box<str>,
}

impl Table {
    /// Reads `table` or `schema.table`.
    ///
    /// Names of tables and collections without SQL may have dots, and there are no schemas.
    pub(super) fn read(text: &str, dialect: Dialect) -> Result<Self, Failure> {
        if !dialect.is_sql() {
            if dialect == Dialect::Dynamo {
                check_dynamo_table(text)?;
            }
            return Ok(Self {
                schema: None,
                name: checked_name("table", text, dialect)?,
            });
        }
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(checked_name("schema", schema, dialect)?), name),
            None => (None, text),
        };
        if name.contains('.') {
            return Err(Failure::invalid(
                "`table` must be a name, as in 'orders', or a schema and a name, as in 'sales.orders'",
            ));
        }
        Ok(Self {
            schema,
            name: checked_name("table", name, dialect)?,
        })
    }

    pub(super) fn reference(&self) -> TableRef {
        TableRef::Table(self.named(), None)
    }

    pub(super) fn named(&self) -> TableName {
        let name = Alias::new(&*self.name);
        match &self.schema {
            Some(schema) => TableName::from((Alias::new(&**schema), name)),
            None => TableName::from(name),
        }
    }
}

/// Checks the name of a column.
pub(super) fn column(text: &str, dialect: Dialect) -> Result<Box<str>, Failure> {
    checked_name("column", text, dialect)
}

/// An identifier, which the builder quotes.
pub(super) fn identifier(name: &str) -> DynIden {
    // Not from a static string, which the builder would not escape.
    Alias::new(name).into_iden()
}

/// What DynamoDB takes as a name, so that it refuses none.
fn check_dynamo_table(text: &str) -> Result<(), Failure> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !(3..=255).contains(&text.len()) || !text.bytes().all(is_part) {
        return Err(Failure::invalid(
            "the name of a table of DynamoDB must have 3 to 255 of the characters a-z, A-Z, 0-9, '_', '-' and '.'",
        ));
    }
    Ok(())
}

fn checked_name(what: &str, text: &str, dialect: Dialect) -> Result<Box<str>, Failure> {
    let (length, most, unit) = match dialect {
        // The server truncates longer names, which could then refer to another object.
        Dialect::Postgres => (text.len(), 63, "bytes"),
        Dialect::MySql => (text.chars().count(), 64, "characters"),
        Dialect::Sqlite => (text.chars().count(), 255, "characters"),
        Dialect::Mongo | Dialect::Dynamo => (text.len(), 255, "bytes"),
    };
    if length == 0 || length > most {
        return Err(Failure::invalid(format!(
            "the name of a {what} must have 1 to {most} {unit}, got {length}"
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(Failure::invalid(format!(
            "the name of a {what} must not contain control characters"
        )));
    }
    if !dialect.is_sql()
        && (text.starts_with('$') || text.split('.').any(|part| part.is_empty() || part.starts_with('$')))
    {
        return Err(Failure::invalid(format!(
            "the name of a {what} must not begin with $, nor have an empty part"
        )));
    }
    if dialect == Dialect::MySql && text.ends_with(' ') {
        return Err(Failure::invalid(format!(
            "the name of a {what} must not end with a space"
        )));
    }
    Ok(text.into())
}
