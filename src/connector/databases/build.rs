//! Builds SQL of operations, by dialect.
//!
//! Invariants: names are quoted and values bound, both by the builder; nothing else of an operation reaches the text. The
//! builder only sees a value's index in a list of ours, so that only the driver converts it.

use super::dialect::Dialect;
use super::guards::Guards;
use super::json::Json;
use super::name::identifier;
use super::operation::{Change, Columns, Operation, Raw};
use super::operators::Operators;
use super::plan::{Plan, Shape, Statement};
use super::value::{BoundValue, Kind, Kinds};
use crate::connector::Failure;
use crate::connector::limits::DEFAULT_ROW_LIMIT;
use crate::text::spelling::truncated;
use sea_query::{
    Expr, MysqlQueryBuilder, PostgresQueryBuilder, Query, QueryStatementBuilder, ReturningClause, SqliteQueryBuilder,
    Value, Values,
};
use std::sync::Arc;

mod aggregate;
mod change;
mod condition;
mod insert;
mod list;
mod related;
mod select;

/// Most parameters of a statement that PostgreSQL and MySQL take; SQLite takes 32,766.
const MAX_STATEMENT_PARAMETERS: usize = 65_535;
const MAX_SQLITE_PARAMETERS: usize = 32_766;

/// Builds the statements of an operation.
pub(super) fn plan(operation: &Operation, dialect: Dialect, kinds: &Kinds) -> Result<Plan, Failure> {
    let mut builder = Builder::new(dialect, kinds);
    let mut plan = Plan {
        statements: Vec::new(),
        shape: Shape::Changes,
        kinds: kinds.clone(),
        raw: false,
        given: None,
    };
    match operation {
        Operation::Find(select) => {
            plan.shape = Shape::Rows(select.limit.unwrap_or(DEFAULT_ROW_LIMIT));
            let limit = select.limit.unwrap_or(DEFAULT_ROW_LIMIT + 1);
            plan.statements.push(builder.select(select, limit)?);
        }
        Operation::FindOne(select) => {
            plan.shape = Shape::FirstRow;
            plan.statements.push(builder.select(select, 1)?);
        }
        Operation::Count(count) => {
            plan.shape = Shape::OnlyRow;
            plan.statements.push(builder.count(count)?);
        }
        Operation::Compute {
            table,
            filter,
            function,
            column,
        } => {
            plan.shape = Shape::OnlyRow;
            let (statement, kind) = builder.compute(table, filter, function, column)?;
            plan.kinds = Kinds::new([("value".to_owned(), kind)]);
            plan.statements.push(statement);
        }
        Operation::Aggregate(aggregate) => {
            plan.shape = Shape::Rows(aggregate.select.limit.unwrap_or(DEFAULT_ROW_LIMIT));
            plan.kinds = builder.aggregate_kinds(aggregate);
            plan.statements.push(builder.aggregate(aggregate)?);
        }
        Operation::Insert(insert) => {
            plan.given = insert.conflict.as_ref().map(|_| insert.rows.len());
            plan.statements = builder.insert(insert)?;
        }
        Operation::Update(update) => plan.statements.push(builder.update(update)?),
        Operation::Delete(delete) => plan.statements.push(builder.delete(delete)?),
        Operation::Raw(Raw::Statement { text, params }) => {
            plan.shape = Shape::RowsOrChanges;
            plan.raw = true;
            plan.statements.push(Statement {
                sql: text.to_string(),
                values: params.iter().cloned().zip(1..).map(BoundValue::parameter).collect(),
                operators: Operators::default(),
                guards: Guards::default(),
            });
        }
        // Not read for databases with SQL.
        Operation::Raw(Raw::Command { .. } | Raw::Request { .. }) | Operation::Pipeline { .. } => return Err(no_sql()),
    }
    check_parameters(&plan, dialect)?;
    Ok(plan)
}

/// Refuses statements with more values than the database takes.
pub(super) fn check_parameters(plan: &Plan, dialect: Dialect) -> Result<(), Failure> {
    let most = match dialect {
        Dialect::Sqlite => MAX_SQLITE_PARAMETERS,
        _ => MAX_STATEMENT_PARAMETERS,
    };
    match plan.statements.iter().map(|statement| statement.values.len()).max() {
        Some(count) if count > most => Err(Failure::invalid(format!(
            "the operation has {count} values; {} takes {most} in a statement",
            dialect.name()
        ))),
        _ => Ok(()),
    }
}

fn no_sql() -> Failure {
    Failure::invalid("the operation cannot be written as SQL")
}

pub(super) struct Builder<'a> {
    dialect: Dialect,
    kinds: &'a Kinds,
    values: Vec<BoundValue>,
    /// Where in the input the values are that are bound now.
    place: Option<Arc<str>>,
    /// What of the statement needs numbers.
    guards: Guards,
}

/// Resolves a name in a filter to an expression and its kind.
type Resolve<'r> = &'r dyn Fn(&str) -> Result<(Expr, Kind), Failure>;

impl<'a> Builder<'a> {
    pub(super) fn new(dialect: Dialect, kinds: &'a Kinds) -> Self {
        Self {
            dialect,
            kinds,
            values: Vec::new(),
            place: None,
            guards: Guards::default(),
        }
    }

    /// The kind of a column. If the table's columns are known, it must be one of them.
    fn kind(&self, column: &str) -> Result<Kind, Failure> {
        match self.kinds.get(column) {
            Some(kind) => Ok(kind),
            None if !self.kinds.are_all() => Ok(Kind::Any),
            None if self.dialect == Dialect::Sqlite && column.eq_ignore_ascii_case("rowid") => Ok(Kind::Integer),
            // SQLite reads the quoted name of a missing column as a string literal.
            None => Err(Failure::invalid(format!(
                "the table has no column '{}'",
                truncated(column)
            ))),
        }
    }

    fn bind(&mut self, value: &Json, kind: Kind) -> Expr {
        let index = self.values.len() as i64;
        self.values.push(BoundValue {
            value: value.clone(),
            kind,
            place: self.place.clone(),
        });
        Expr::val(index)
    }

    /// What is bound from now on belongs to this column of `data`.
    fn in_data(&mut self, column: &str) {
        self.place = Some(format!("input.data.{}", truncated(column)).into());
    }

    /// What is bound from now on is what an operator compares with.
    fn in_operator(&mut self, operator: &str) {
        if let Some(place) = &self.place {
            self.place = Some(format!("{place}: {operator}").into());
        }
    }

    /// The same for what a change of it computes with.
    fn in_change(&mut self, column: &str, change: &Change) {
        match change {
            Change::Set(_) => self.in_data(column),
            operator => {
                let place = format!("input.data.{}: {}", truncated(column), operator.operator());
                self.place = Some(place.into());
            }
        }
    }

    /// The text, and the values in the order of its parameters.
    fn finish(&mut self, query: &impl QueryStatementBuilder) -> Result<Statement, Failure> {
        let (sql, places): (String, Values) = match self.dialect {
            Dialect::Postgres => query.build_any(&PostgresQueryBuilder),
            Dialect::MySql => query.build_any(&MysqlQueryBuilder),
            Dialect::Sqlite => query.build_any(&SqliteQueryBuilder),
            Dialect::Mongo | Dialect::Dynamo => return Err(no_sql()),
        };
        let mut values = Vec::with_capacity(places.0.len());
        for place in places.0 {
            let bound = match place {
                Value::BigInt(Some(index)) => usize::try_from(index).ok().and_then(|at| self.values.get(at)).cloned(),
                Value::BigUnsigned(Some(number)) => {
                    let value = Json::Number(number.to_string().into());
                    let kind = Kind::Integer;
                    let place = None;
                    Some(BoundValue { value, kind, place })
                }
                _ => None,
            };
            values.push(bound.ok_or_else(no_sql)?);
        }
        self.values.clear();
        Ok(Statement {
            sql,
            values,
            operators: Operators::default(),
            guards: std::mem::take(&mut self.guards),
        })
    }

    /// An expression with a `?` for each part. Its text is ours alone.
    fn expression(&self, template: &str, parts: impl IntoIterator<Item = Expr>) -> Expr {
        if self.dialect != Dialect::Postgres {
            return Expr::cust_with_exprs(template.to_owned(), parts);
        }
        let mut numbered = String::with_capacity(template.len() + 8);
        for (index, text) in template.split('?').enumerate() {
            if index > 0 {
                numbered.push_str(&format!("${index}"));
            }
            numbered.push_str(text);
        }
        Expr::cust_with_exprs(numbered, parts)
    }

    fn returning(&self, columns: &Columns) -> Result<ReturningClause, Failure> {
        Ok(match columns {
            Columns::All => Query::returning().all(),
            Columns::These(names) => {
                for name in names {
                    self.kind(name)?;
                }
                Query::returning().columns(names.iter().map(|name| identifier(name)))
            }
        })
    }
}
