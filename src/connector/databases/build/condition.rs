//! The condition of a filter.

use super::list::SQLITE_EQUAL;
use super::{Builder, Resolve};
use crate::connector::Failure;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::filter::{Comparison, Filter, Pattern, Predicate};
use crate::connector::databases::json::Json;
use crate::connector::databases::name::identifier;
use crate::connector::databases::plan::{PATTERN, REGEX};
use crate::connector::databases::value::Kind;
use crate::text::spelling::truncated;
use sea_query::{BinOper, Expr, ExprTrait, Value};

impl Builder<'_> {
    /// The condition of a filter on the table's own columns.
    pub(in crate::connector::databases) fn condition(&mut self, filter: &Filter) -> Result<Option<Expr>, Failure> {
        let known = Self::new(self.dialect, self.kinds);
        self.filter(filter, &|name| Ok((Expr::col(identifier(name)), known.kind(name)?)))
    }

    /// `None`: every row.
    pub(super) fn filter(&mut self, filter: &Filter, resolve: Resolve<'_>) -> Result<Option<Expr>, Failure> {
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
                self.place = Some(format!("the filter of '{}'", truncated(name)).into());
                self.predicate(expression, kind, predicate)?
            }
        })
    }

    fn predicate(&mut self, of: Expr, kind: Kind, predicate: &Predicate) -> Result<Option<Expr>, Failure> {
        Ok(Some(match predicate {
            Predicate::IsNull(true) | Predicate::Exists(false) => of.is_null(),
            Predicate::IsNull(false) | Predicate::Exists(true) => of.is_not_null(),
            Predicate::Compare(how, value) => {
                let (of, kind) = self.comparable(of, kind);
                let value = self.operand(value, kind);
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
                let values: Vec<Expr> = values.iter().map(|value| self.operand(value, kind)).collect();
                if *wanted {
                    of.is_in(values)
                } else {
                    of.is_not_in(values)
                }
            }
            Predicate::Between(low, high) => {
                let (of, kind) = self.comparable(of, kind);
                let (low, high) = (self.operand(low, kind), self.operand(high, kind));
                of.between(low, high)
            }
            Predicate::Like(pattern) => {
                self.in_operator(PATTERN);
                self.like(of, pattern)
            }
            Predicate::Regex(pattern) => {
                let operator = match self.dialect {
                    Dialect::Postgres => BinOper::Custom("~"),
                    Dialect::MySql => BinOper::Custom("REGEXP"),
                    _ => {
                        return Err(Failure::invalid(
                            "$regex: SQLite has no regular expressions; use $like, $contains, $startsWith or $endsWith",
                        ));
                    }
                };
                self.in_operator(REGEX);
                let pattern = self.bind(pattern, Kind::Text);
                of.binary(operator, pattern)
            }
            Predicate::ContainsAll(values) => match self.dialect {
                Dialect::Postgres | Dialect::MySql => self.contains(of, values)?,
                _ => self.contains_each(of, values, BinOper::And)?,
            },
            Predicate::ContainsAny(values) => self.contains_each(of, values, BinOper::Or)?,
        }))
    }

    /// Whether a list has all of these values.
    fn contains(&mut self, of: Expr, values: &[Json]) -> Result<Expr, Failure> {
        let list = self.bind(&Json::List(values.to_vec()), Kind::Json);
        Ok(match self.dialect {
            Dialect::Postgres => self.expression("? @> ?", [of, list]),
            Dialect::MySql => self.expression("JSON_CONTAINS(?, ?)", [of, list]),
            _ => {
                let again = self.bind(&Json::List(values.to_vec()), Kind::Json);
                // Of an object, `json_each` gives the members.
                let template = format!(
                    "(json_type(?) = 'array' AND EXISTS (SELECT 1 FROM json_each(?) AS e WHERE {SQLITE_EQUAL}))"
                );
                self.expression(&template, [of.clone(), of, list, again])
            }
        })
    }

    /// Whether a list has each, or any, of these values.
    fn contains_each(&mut self, of: Expr, values: &[Json], operator: BinOper) -> Result<Expr, Failure> {
        let mut parts = Vec::with_capacity(values.len());
        for value in values {
            parts.push(self.contains(of.clone(), std::slice::from_ref(value))?);
        }
        combine(parts, operator).ok_or_else(|| Failure::invalid("$containsAny and $containsAll need values"))
    }

    /// A value that is compared or computed with: in MySQL a decimal as such, since text would make both floating point.
    pub(super) fn operand(&mut self, value: &Json, kind: Kind) -> Expr {
        let bound = self.bind(value, kind);
        if self.dialect == Dialect::MySql && kind == Kind::Decimal {
            return self.expression("CAST(? AS DECIMAL(65, 30))", [bound]);
        }
        bound
    }

    /// SQLite has no type for timestamps: texts in either form and milliseconds are converted, to compare as instants.
    pub(super) fn comparable(&self, of: Expr, kind: Kind) -> (Expr, Kind) {
        if self.dialect != Dialect::Sqlite || kind != Kind::Timestamp {
            return (of, kind);
        }
        let instant = "CASE WHEN typeof(?) IN ('integer', 'real') THEN ? \
             ELSE CAST(round((julianday(?) - 2440587.5) * 86400000) AS INTEGER) END";
        let compared = Expr::cust_with_exprs(instant, [of.clone(), of.clone(), of]);
        (compared, Kind::Instant)
    }

    fn like(&mut self, of: Expr, pattern: &Pattern) -> Expr {
        let mut bound = self.bind(&pattern.text, Kind::Text);
        let mut of = of;
        let operator = match (pattern.ignore_case, self.dialect) {
            (true, Dialect::Postgres) => BinOper::Custom("ILIKE"),
            // Whatever the collation of the column says.
            (true, Dialect::MySql) => {
                of = self.expression("LOWER(?)", [of]);
                bound = self.expression("LOWER(?)", [bound]);
                BinOper::Like
            }
            _ => BinOper::Like,
        };
        // The backslash is the default of PostgreSQL and MySQL; SQLite has no default.
        let named = pattern.escape != '\\' || self.dialect == Dialect::Sqlite;
        let pattern = if named {
            bound.binary(BinOper::Escape, Expr::Constant(Value::Char(Some(pattern.escape))))
        } else {
            bound
        };
        of.binary(operator, pattern)
    }
}

/// Combines conditions into a balanced tree of low depth, since the builder recurses into it.
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
