//! Builds SQL of operations, by dialect.
//!
//! Invariants: names are quoted and values bound, both by the builder; nothing else of an operation reaches the text. The
//! builder only sees a value's index in a list of ours, so that only the driver converts it.

use super::dialect::Dialect;
use super::filter::Filter;
use super::json::Json;
use super::name::{Table, identifier};
use super::operation::{Aggregate, Columns, Function, Operation, Order, Row, Select};
use super::plan::{Plan, Shape, Statement};
use super::value::{BoundValue, Kind, Kinds};
use crate::connector::Failure;
use crate::connector::limits::DEFAULT_ROW_LIMIT;
use crate::text::spelling::truncated;
use sea_query::{
    DeleteStatement, Expr, Func, InsertStatement, MysqlQueryBuilder, Order as Direction, PostgresQueryBuilder, Query,
    ReturningClause, SelectStatement, SqliteQueryBuilder, UpdateStatement, Value, Values,
};

mod condition;
mod insert;

/// Builds the statements of an operation.
pub(super) fn plan(operation: &Operation, dialect: Dialect, kinds: &Kinds) -> Result<Plan, Failure> {
    let mut builder = Builder {
        dialect,
        kinds,
        values: Vec::new(),
    };
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
        Operation::Count(table, filter) => {
            plan.shape = Shape::Count;
            plan.statements.push(builder.count(table, filter)?);
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
        Operation::Update {
            table,
            filter,
            set,
            returning,
        } => plan
            .statements
            .push(builder.update(table, filter, set, returning.as_ref())?),
        Operation::Delete {
            table,
            filter,
            returning,
        } => plan.statements.push(builder.delete(table, filter, returning.as_ref())?),
        Operation::Raw { sql, params } => {
            plan.shape = Shape::RowsOrChanges;
            plan.raw = true;
            plan.statements.push(Statement {
                sql: sql.to_string(),
                values: params.iter().cloned().map(BoundValue::any).collect(),
            });
        }
    }
    Ok(plan)
}

struct Builder<'a> {
    dialect: Dialect,
    kinds: &'a Kinds,
    values: Vec<BoundValue>,
}

/// Resolves a name in a filter to an expression and its kind.
type Resolve<'r> = &'r dyn Fn(&str) -> Result<(Expr, Kind), Failure>;

impl Builder<'_> {
    /// The kind of a column. If the table's columns are known, it must be one of them.
    fn kind(&self, column: &str) -> Result<Kind, Failure> {
        match self.kinds.get(column) {
            Some(kind) => Ok(kind),
            None if self.kinds.is_empty() => Ok(Kind::Any),
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
        });
        Expr::val(index)
    }

    /// The text, and the values in the order of its parameters.
    fn finish(&mut self, (sql, places): (String, Values)) -> Result<Statement, Failure> {
        let mut values = Vec::with_capacity(places.0.len());
        for place in places.0 {
            let bound = match place {
                Value::BigInt(Some(index)) => usize::try_from(index).ok().and_then(|at| self.values.get(at)).cloned(),
                Value::BigUnsigned(Some(number)) => {
                    let value = Json::Number(number.to_string().into());
                    let kind = Kind::Integer;
                    Some(BoundValue { value, kind })
                }
                _ => None,
            };
            values.push(bound.ok_or_else(|| Failure::invalid("the operation cannot be written as SQL"))?);
        }
        self.values.clear();
        Ok(Statement { sql, values })
    }

    fn finish_select(&mut self, query: &SelectStatement) -> Result<Statement, Failure> {
        let built = match self.dialect {
            Dialect::Postgres => query.build_any(&PostgresQueryBuilder),
            Dialect::MySql => query.build_any(&MysqlQueryBuilder),
            Dialect::Sqlite => query.build_any(&SqliteQueryBuilder),
        };
        self.finish(built)
    }

    fn finish_insert(&mut self, query: &InsertStatement) -> Result<Statement, Failure> {
        let built = match self.dialect {
            Dialect::Postgres => query.build_any(&PostgresQueryBuilder),
            Dialect::MySql => query.build_any(&MysqlQueryBuilder),
            Dialect::Sqlite => query.build_any(&SqliteQueryBuilder),
        };
        self.finish(built)
    }

    fn finish_update(&mut self, query: &UpdateStatement) -> Result<Statement, Failure> {
        let built = match self.dialect {
            Dialect::Postgres => query.build_any(&PostgresQueryBuilder),
            Dialect::MySql => query.build_any(&MysqlQueryBuilder),
            Dialect::Sqlite => query.build_any(&SqliteQueryBuilder),
        };
        self.finish(built)
    }

    fn finish_delete(&mut self, query: &DeleteStatement) -> Result<Statement, Failure> {
        let built = match self.dialect {
            Dialect::Postgres => query.build_any(&PostgresQueryBuilder),
            Dialect::MySql => query.build_any(&MysqlQueryBuilder),
            Dialect::Sqlite => query.build_any(&SqliteQueryBuilder),
        };
        self.finish(built)
    }

    fn select(&mut self, select: &Select, limit: u64) -> Result<Statement, Failure> {
        let mut query = Query::select();
        query.from(select.table.reference());
        match &select.columns {
            Columns::All => {
                query.expr(Expr::cust("*"));
            }
            Columns::These(names) => {
                for name in names {
                    self.kind(name)?;
                    query.column(identifier(name));
                }
            }
        }
        if let Some(condition) = self.condition(&select.filter)? {
            query.and_where(condition);
        }
        for order in &select.order {
            self.kind(&order.column)?;
            query.order_by(identifier(&order.column), direction(order));
        }
        query.limit(limit);
        if select.offset > 0 {
            query.offset(select.offset);
        }
        self.finish_select(&query)
    }

    fn count(&mut self, table: &Table, filter: &Filter) -> Result<Statement, Failure> {
        let mut query = Query::select();
        query
            .expr_as(Expr::cust("COUNT(*)"), identifier("count"))
            .from(table.reference());
        if let Some(condition) = self.condition(filter)? {
            query.and_where(condition);
        }
        self.finish_select(&query)
    }

    /// Kinds of the columns of an aggregate's result.
    fn aggregate_kinds(&self, aggregate: &Aggregate) -> Kinds {
        let group = |name: &str| (name.to_owned(), self.kinds.get(name).unwrap_or_default());
        let measures = aggregate.measures.iter().map(|(name, function, column)| {
            let kind = match (function, column) {
                (Function::Least | Function::Greatest, Some(column)) => self.kinds.get(column).unwrap_or_default(),
                _ => Kind::Any,
            };
            (name.to_string(), kind)
        });
        Kinds::new(aggregate.groups.iter().map(|name| group(name)).chain(measures))
    }

    fn measure(&self, function: Function, column: Option<&str>) -> Result<(Expr, Kind), Failure> {
        let Some(name) = column else {
            return Ok((Expr::cust("COUNT(*)"), Kind::Any));
        };
        let kind = self.kind(name)?;
        let column = Expr::col(identifier(name));
        Ok(match function {
            Function::Count => (Func::count(column).into(), Kind::Any),
            Function::CountDistinct => (Func::count_distinct(column).into(), Kind::Any),
            Function::Sum => (Func::sum(column).into(), Kind::Any),
            Function::Average => (Func::avg(column).into(), Kind::Any),
            Function::Least => (Func::min(column).into(), kind),
            Function::Greatest => (Func::max(column).into(), kind),
        })
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Statement, Failure> {
        let select = &aggregate.select;
        let mut query = Query::select();
        query.from(select.table.reference());
        for name in &aggregate.groups {
            self.kind(name)?;
            query.column(identifier(name));
            query.add_group_by([Expr::col(identifier(name))]);
        }
        let mut measures = Vec::with_capacity(aggregate.measures.len());
        for (name, function, column) in &aggregate.measures {
            let (expression, kind) = self.measure(*function, column.as_deref())?;
            query.expr_as(expression.clone(), identifier(name));
            measures.push((name, expression, kind));
        }
        let mut groups = Vec::with_capacity(aggregate.groups.len());
        for name in &aggregate.groups {
            groups.push((name, Expr::col(identifier(name)), self.kind(name)?));
        }
        let of_result = |name: &str| {
            let found = measures.iter().chain(&groups).find(|(known, ..)| ***known == *name);
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
        self.finish_select(&query)
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

    fn update(
        &mut self,
        table: &Table,
        filter: &Filter,
        set: &Row,
        returning: Option<&Columns>,
    ) -> Result<Statement, Failure> {
        let mut query = Query::update();
        query.table(table.reference());
        for (name, value) in set {
            let kind = self.kind(name)?;
            let value = self.bind(value, kind);
            query.value(identifier(name), value);
        }
        if let Some(condition) = self.condition(filter)? {
            query.and_where(condition);
        }
        if let Some(columns) = returning {
            query.returning(self.returning(columns)?);
        }
        self.finish_update(&query)
    }

    fn delete(&mut self, table: &Table, filter: &Filter, returning: Option<&Columns>) -> Result<Statement, Failure> {
        let mut query = Query::delete();
        query.from_table(table.reference());
        if let Some(condition) = self.condition(filter)? {
            query.and_where(condition);
        }
        if let Some(columns) = returning {
            query.returning(self.returning(columns)?);
        }
        self.finish_delete(&query)
    }
}

fn direction(order: &Order) -> Direction {
    if order.descending {
        Direction::Desc
    } else {
        Direction::Asc
    }
}
