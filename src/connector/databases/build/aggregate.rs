//! Aggregates.

use super::change::sqlite_refusal;
use super::select::direction;
use super::{Builder, no_sql};
use crate::connector::Failure;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::filter::Filter;
use crate::connector::databases::json::Json;
use crate::connector::databases::name::{Table, identifier};
use crate::connector::databases::operation::{Aggregate, Function, Measure};
use crate::connector::databases::plan::Statement;
use crate::connector::databases::value::{Kind, Kinds};
use crate::connector::limits::DEFAULT_ROW_LIMIT;
use crate::text::spelling::truncated;
use sea_query::{Expr, Query};

impl Builder<'_> {
    /// Kinds of the columns of an aggregate's result.
    pub(super) fn aggregate_kinds(&self, aggregate: &Aggregate) -> Kinds {
        let group = |name: &str| (name.to_owned(), self.kinds.get(name).unwrap_or_default());
        let measures = aggregate.measures.iter().map(|measure| {
            let kind = match (&measure.function, &measure.column) {
                (Function::Least | Function::Greatest, Some(column)) => self.kinds.get(column).unwrap_or_default(),
                (Function::List, _) => Kind::Json,
                _ => Kind::Any,
            };
            (measure.name.to_string(), kind)
        });
        Kinds::new(aggregate.groups.iter().map(|name| group(name)).chain(measures))
    }

    /// One aggregate of all rows, and its kind.
    pub(super) fn compute(
        &mut self,
        table: &Table,
        filter: &Filter,
        function: &Function,
        column: &str,
    ) -> Result<(Statement, Kind), Failure> {
        let (expression, kind) = self.measure(("input.column", "value"), function, Some(column), false)?;
        let mut query = Query::select();
        query.expr_as(expression, identifier("value")).from(table.reference());
        if let Some(condition) = self.condition(filter)? {
            query.and_where(condition);
        }
        Ok((self.finish(&query)?, kind))
    }

    /// One aggregate, which `place` of the input asks for and which has this name in the result, and its kind.
    fn measure(
        &mut self,
        place: (&str, &str),
        function: &Function,
        column: Option<&str>,
        distinct: bool,
    ) -> Result<(Expr, Kind), Failure> {
        let Some(name) = column else {
            return Ok((Expr::cust("COUNT(*)"), Kind::Any));
        };
        let kind = self.kind(name)?;
        let column = match function {
            Function::Sum | Function::Average => self.numbers(place, function, name, kind)?,
            _ => Expr::col(identifier(name)),
        };
        let (template, kind) = match (function, distinct) {
            (Function::Count, false) => ("COUNT(?)", Kind::Any),
            (Function::Count, true) => ("COUNT(DISTINCT ?)", Kind::Any),
            (Function::Sum, false) => ("SUM(?)", Kind::Any),
            (Function::Sum, true) => ("SUM(DISTINCT ?)", Kind::Any),
            (Function::Average, false) => ("AVG(?)", Kind::Any),
            (Function::Average, true) => ("AVG(DISTINCT ?)", Kind::Any),
            (Function::Least, _) => ("MIN(?)", kind),
            (Function::Greatest, _) => ("MAX(?)", kind),
            (Function::Join(separator), _) => return Ok((self.joined(column, separator, distinct)?, Kind::Any)),
            (Function::List, _) => (self.list_function(distinct)?, Kind::Json),
        };
        Ok((self.expression(template, [column]), kind))
    }

    /// A column that is computed with. MySQL and SQLite make numbers of whatever is there, 0 of a word: a column of something
    /// else is refused, and SQLite, whose types are not enforced, also looks at each value.
    fn numbers(&mut self, place: (&str, &str), function: &Function, name: &str, kind: Kind) -> Result<Expr, Failure> {
        let number = self.guards.add_aggregate(place, function.name(), name);
        let column = Expr::col(identifier(name));
        match (self.dialect, kind) {
            (
                Dialect::MySql,
                Kind::Text
                | Kind::Choice { .. }
                | Kind::Bytes
                | Kind::Bool
                | Kind::Date
                | Kind::Time
                | Kind::Timestamp
                | Kind::Json
                | Kind::List,
            )
            | (Dialect::Sqlite, Kind::Text | Kind::Bool) => Err(self.guards.last_refused(kind)),
            (Dialect::Sqlite, _) => {
                let template = format!("CASE WHEN {} ELSE ? END", sqlite_refusal(number));
                Ok(self.expression(&template, [column.clone(), column.clone(), column]))
            }
            _ => Ok(column),
        }
    }

    /// The values as one text.
    fn joined(&mut self, column: Expr, separator: &str, distinct: bool) -> Result<Expr, Failure> {
        let separator = Json::Text(separator.into());
        Ok(match self.dialect {
            Dialect::Postgres => {
                let separator = self.bind(&separator, Kind::Text);
                let template = if distinct {
                    "STRING_AGG(DISTINCT CAST(? AS text), ?)"
                } else {
                    "STRING_AGG(CAST(? AS text), ?)"
                };
                self.expression(template, [column, separator])
            }
            // The separator cannot be bound there: it goes before each value, and the first one is cut off.
            Dialect::MySql => {
                let (before, length) = (self.bind(&separator, Kind::Text), self.bind(&separator, Kind::Text));
                let template = if distinct {
                    "SUBSTRING(GROUP_CONCAT(DISTINCT CONCAT(?, ?) SEPARATOR ''), CHAR_LENGTH(?) + 1)"
                } else {
                    "SUBSTRING(GROUP_CONCAT(CONCAT(?, ?) SEPARATOR ''), CHAR_LENGTH(?) + 1)"
                };
                self.expression(template, [before, column, length])
            }
            // With DISTINCT, the separator is always a comma there, which cannot be told from one of a value.
            Dialect::Sqlite if distinct => {
                return Err(Failure::invalid(
                    "input.aggregate: SQLite joins no distinct values; use $arrayAgg",
                ));
            }
            Dialect::Sqlite => {
                let separator = self.bind(&separator, Kind::Text);
                self.expression("GROUP_CONCAT(?, ?)", [column, separator])
            }
            Dialect::Mongo | Dialect::Dynamo => return Err(no_sql()),
        })
    }

    /// The function that makes a list of values.
    fn list_function(&self, distinct: bool) -> Result<&'static str, Failure> {
        Ok(match (self.dialect, distinct) {
            (Dialect::Postgres, false) => "ARRAY_AGG(?)",
            (Dialect::Postgres, true) => "ARRAY_AGG(DISTINCT ?)",
            (Dialect::MySql, false) => "JSON_ARRAYAGG(?)",
            (Dialect::MySql, true) => {
                return Err(Failure::invalid(
                    "input.aggregate: MySQL lists no distinct values; group by the column",
                ));
            }
            (Dialect::Sqlite, false) => "JSON_GROUP_ARRAY(?)",
            (Dialect::Sqlite, true) => "JSON_GROUP_ARRAY(DISTINCT ?)",
            (Dialect::Mongo | Dialect::Dynamo, _) => return Err(no_sql()),
        })
    }

    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Statement, Failure> {
        let select = &aggregate.select;
        let mut query = Query::select();
        query.from(select.table.reference());
        let mut columns = Vec::with_capacity(aggregate.measures.len() + aggregate.groups.len());
        for Measure {
            name,
            function,
            column,
            distinct,
        } in &aggregate.measures
        {
            let (expression, kind) = self.measure(("input.aggregate", name), function, column.as_deref(), *distinct)?;
            columns.push((name, expression, kind));
        }
        for name in &aggregate.groups {
            let kind = self.kind(name)?;
            query.column(identifier(name));
            query.add_group_by([Expr::col(identifier(name))]);
            columns.push((name, Expr::col(identifier(name)), kind));
        }
        for (name, expression, _) in columns.iter().take(aggregate.measures.len()) {
            query.expr_as(expression.clone(), identifier(name));
        }
        let of_result = |name: &str| {
            let found = columns.iter().find(|(known, ..)| ***known == *name);
            found
                .map(|(_, expression, kind)| (expression.clone(), *kind))
                .ok_or_else(|| {
                    Failure::invalid(format!(
                        "'{}' is neither computed nor a column of groupBy",
                        truncated(name)
                    ))
                })
        };
        if let Some(condition) = self.condition(&select.filter)? {
            query.and_where(condition);
        }
        if let Some(condition) = self.filter(&aggregate.having, &of_result)? {
            query.and_having(condition);
        }
        for order in &select.order {
            let (expression, _) = of_result(&order.column)?;
            query.order_by_expr(expression, direction(order));
        }
        query.limit(select.limit.unwrap_or(DEFAULT_ROW_LIMIT + 1));
        if select.offset > 0 {
            query.offset(select.offset);
        }
        self.finish(&query)
    }
}
