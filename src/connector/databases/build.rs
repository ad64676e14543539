//! Builds SQL of operations, by dialect.
//!
//! Invariants: names are quoted and values bound, each by the builder; nothing else of an operation reaches the text. A
//! value goes through the builder as its number in a list of our own, so that no conversion but the driver's touches it.

use super::Dialect;
use super::filter::{Comparison, Filter, Pattern, Predicate};
use super::json::Json;
use super::name::{Table, identifier, shortened};
use super::operation::{Aggregate, Columns, Function, Insert, Operation, Order, Row, Select};
use super::plan::{Plan, Shape, Statement};
use super::request::DEFAULT_ROW_LIMIT;
use super::value::{BoundValue, Kind, Kinds};
use crate::connector::Failure;
use sea_query::{
    BinOper, DeleteStatement, Expr, ExprTrait, Func, InsertStatement, MysqlQueryBuilder, OnConflict,
    Order as Direction, PostgresQueryBuilder, Query, ReturningClause, SelectStatement, SqliteQueryBuilder,
    UpdateStatement, Value, Values,
};

/// Most rows, and most parameters, of one statement.
const MAX_ROWS_PER_STATEMENT: usize = 1_000;
const MAX_PARAMETERS: usize = 30_000;

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

/// What a name in a filter stands for, and the kind of it.
type Resolve<'r> = &'r dyn Fn(&str) -> Result<(Expr, Kind), Failure>;

impl Builder<'_> {
    /// The kind of a column, which must be there where all are known.
    fn kind(&self, column: &str) -> Result<Kind, Failure> {
        match self.kinds.get(column) {
            Some(kind) => Ok(kind),
            None if self.kinds.is_empty() => Ok(Kind::Any),
            None if self.dialect == Dialect::Sqlite && column.eq_ignore_ascii_case("rowid") => Ok(Kind::Integer),
            // SQLite takes the quoted name of a column that there is not for a text.
            None => Err(Failure::invalid(format!(
                "the table has no column '{}'",
                shortened(column)
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

    /// The text, and the values in the order of its places.
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

    /// The condition of a filter on the table's own columns.
    fn condition(&mut self, filter: &Filter) -> Result<Option<Expr>, Failure> {
        let (kinds, dialect) = (self.kinds, self.dialect);
        let known = Builder {
            dialect,
            kinds,
            values: Vec::new(),
        };
        let resolve = |name: &str| Ok((Expr::col(identifier(name)), known.kind(name)?));
        self.filter(filter, &resolve)
    }

    /// `None`: every row.
    fn filter(&mut self, filter: &Filter, resolve: Resolve<'_>) -> Result<Option<Expr>, Failure> {
        Ok(match filter {
            Filter::All(parts) => {
                let mut all = Vec::with_capacity(parts.len());
                for part in parts {
                    all.extend(self.filter(part, resolve)?);
                }
                combine(all, BinOper::And)
            }
            Filter::Any(parts) => {
                let mut any = Vec::with_capacity(parts.len());
                for part in parts {
                    match self.filter(part, resolve)? {
                        Some(condition) => any.push(condition),
                        None => return Ok(None),
                    }
                }
                combine(any, BinOper::Or)
            }
            Filter::Not(inner) => {
                let inner = self.filter(inner, resolve)?;
                Some(inner.unwrap_or_else(|| Expr::cust("1 = 1")).not())
            }
            Filter::Column(name, predicate) => {
                let (expression, kind) = resolve(name)?;
                self.predicate(expression, kind, predicate)?
            }
        })
    }

    fn predicate(&mut self, of: Expr, kind: Kind, predicate: &Predicate) -> Result<Option<Expr>, Failure> {
        Ok(Some(match predicate {
            Predicate::IsNull(true) => of.is_null(),
            Predicate::IsNull(false) => of.is_not_null(),
            Predicate::Compare(how, value) => {
                let (of, kind) = self.comparable(of, kind);
                let value = self.bind(value, kind);
                match how {
                    Comparison::Equal => of.eq(value),
                    Comparison::NotEqual => of.ne(value),
                    Comparison::Less => of.lt(value),
                    Comparison::LessOrEqual => of.lte(value),
                    Comparison::Greater => of.gt(value),
                    Comparison::GreaterOrEqual => of.gte(value),
                }
            }
            Predicate::In(values, wanted) if values.is_empty() => return Ok((*wanted).then(|| Expr::cust("1 = 0"))),
            Predicate::In(values, wanted) => {
                let (of, kind) = self.comparable(of, kind);
                let values: Vec<Expr> = values.iter().map(|value| self.bind(value, kind)).collect();
                if *wanted {
                    of.is_in(values)
                } else {
                    of.is_not_in(values)
                }
            }
            Predicate::Between(low, high) => {
                let (of, kind) = self.comparable(of, kind);
                let (low, high) = (self.bind(low, kind), self.bind(high, kind));
                of.between(low, high)
            }
            Predicate::Like(pattern) => self.like(of, pattern),
            Predicate::Regex(pattern) => {
                let operator = match self.dialect {
                    Dialect::Postgres => BinOper::Custom("~"),
                    Dialect::MySql => BinOper::Custom("REGEXP"),
                    Dialect::Sqlite => {
                        return Err(Failure::invalid(
                            "$regex: SQLite has no regular expressions; use $like, $contains, $startsWith or $endsWith",
                        ));
                    }
                };
                let pattern = self.bind(pattern, Kind::Text);
                of.binary(operator, pattern)
            }
        }))
    }

    /// SQLite has no type for points in time: texts of either form and milliseconds compare as what they stand for.
    fn comparable(&self, of: Expr, kind: Kind) -> (Expr, Kind) {
        if self.dialect != Dialect::Sqlite || kind != Kind::Timestamp {
            return (of, kind);
        }
        let instant = "CASE WHEN typeof(?) IN ('integer', 'real') THEN ? \
             ELSE CAST(round((julianday(?) - 2440587.5) * 86400000) AS INTEGER) END";
        let compared = Expr::cust_with_exprs(instant, [of.clone(), of.clone(), of]);
        (compared, Kind::Instant)
    }

    fn like(&mut self, of: Expr, pattern: &Pattern) -> Expr {
        let bound = self.bind(&pattern.text, Kind::Text);
        // The backslash is what PostgreSQL and MySQL take anyway; SQLite takes none.
        let named = pattern.escape != '\\' || self.dialect == Dialect::Sqlite;
        let pattern = if named {
            bound.binary(BinOper::Escape, Expr::Constant(Value::Char(Some(pattern.escape))))
        } else {
            bound
        };
        of.binary(BinOper::Like, pattern)
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

    /// Kinds of what an aggregate yields.
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
                        shortened(name)
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

    /// Statements that add all rows: neighbours with the same columns share one.
    fn insert(&mut self, insert: &Insert) -> Result<Vec<Statement>, Failure> {
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
        for row in rows {
            let mut values = Vec::with_capacity(row.len());
            for (name, _) in first {
                let value = row
                    .iter()
                    .find(|(known, _)| known == name)
                    .map_or(&Json::Null, |(_, value)| value);
                let kind = self.kind(name)?;
                values.push(self.bind(value, kind));
            }
            query
                .values(values)
                .map_err(|_| Failure::invalid("input.data: the rows have different columns"))?;
        }
        if let Some(conflict) = &insert.conflict {
            let given = first
                .iter()
                .map(|(name, _)| name)
                .filter(|name| !conflict.columns.contains(name));
            let update: Vec<_> = match &conflict.update {
                Some(columns) => columns.iter().collect(),
                None => given.collect(),
            };
            for name in conflict.columns.iter().chain(update.iter().copied()) {
                self.kind(name)?;
            }
            let mut clause = OnConflict::columns(conflict.columns.iter().map(|name| identifier(name)));
            if update.is_empty() {
                clause.do_nothing_on(conflict.columns.iter().map(|name| identifier(name)));
            } else {
                clause.update_columns(update.into_iter().map(|name| identifier(name)));
            }
            query.on_conflict(clause);
        }
        if let Some(columns) = &insert.returning {
            query.returning(self.returning(columns)?);
        }
        self.finish_insert(&query)
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

fn same_columns(row: &Row, other: &Row) -> bool {
    row.len() == other.len() && row.iter().all(|(name, _)| other.iter().any(|(known, _)| known == name))
}

/// All conditions as one, as a tree that is flat: the builder goes down it by recursion.
fn combine(mut parts: Vec<Expr>, operator: BinOper) -> Option<Expr> {
    while parts.len() > 1 {
        let mut pairs = Vec::with_capacity(parts.len().div_ceil(2));
        let mut rest = parts.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => left.binary(operator, right),
                None => left,
            });
        }
        parts = pairs;
    }
    parts.pop()
}
