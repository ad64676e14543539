//! `UPDATE` statements: each change is an expression, so that one statement does all of them at once.

use super::Builder;
use crate::connector::Failure;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::guards::MARK;
use crate::connector::databases::json::Json;
use crate::connector::databases::name::identifier;
use crate::connector::databases::operation::{Change, Update};
use crate::connector::databases::operators::Operators;
use crate::connector::databases::plan::Statement;
use crate::connector::databases::value::Kind;
use crate::text::spelling::truncated;
use sea_query::{Expr, Query};

impl Builder<'_> {
    pub(super) fn update(&mut self, update: &Update) -> Result<Statement, Failure> {
        let mut query = Query::update();
        query.table(update.table.reference());
        for (name, change) in &update.changes {
            let kind = self.kind(name)?;
            self.in_change(name, change);
            let value = self.change(name, kind, change)?;
            query.value(identifier(name), value);
        }
        if let Some(condition) = self.affected(&update.table, &update.filter, update.one)? {
            query.and_where(condition);
        }
        if update.one && self.dialect == Dialect::MySql {
            query.limit(1);
        }
        if let Some(columns) = &update.returning {
            query.returning(self.returning(columns)?);
        }
        Ok(Statement {
            operators: Operators::of(&update.changes),
            ..self.finish(&query)?
        })
    }

    fn change(&mut self, name: &str, kind: Kind, change: &Change) -> Result<Expr, Failure> {
        Ok(match change {
            Change::Set(value) => self.bind(value, kind),
            Change::Unset => Expr::cust("NULL"),
            Change::Increment(by) => self.arithmetic(name, kind, change, by, "+")?,
            Change::Decrement(by) => self.arithmetic(name, kind, change, by, "-")?,
            Change::Multiply(by) => self.arithmetic(name, kind, change, by, "*")?,
            Change::Least(value) => self.extreme(name, kind, value, "LEAST(?, ?)", ">"),
            Change::Greatest(value) => self.extreme(name, kind, value, "GREATEST(?, ?)", "<"),
            Change::Push(_) | Change::Pull(_) | Change::AddToSet(_) | Change::Pop { .. } => {
                self.list_change(name, kind, change)?
            }
            Change::Rename(_) => return Err(self.not_possible(name, change, "a column cannot be renamed")),
            Change::CurrentDate => {
                return Err(self.not_possible(name, change, "give '$Now()' as the value"));
            }
        })
    }

    /// An operator that the database, or the column, does not have.
    pub(super) fn not_possible(&self, name: &str, change: &Change, why: &str) -> Failure {
        Failure::invalid(format!(
            "input.data.{}: {} is not possible on {}: {why}",
            truncated(name),
            change.operator(),
            self.dialect.name()
        ))
    }

    /// The column with a number added, subtracted or multiplied; no value counts as 0.
    fn arithmetic(
        &mut self,
        name: &str,
        kind: Kind,
        change: &Change,
        by: &Json,
        operator: &str,
    ) -> Result<Expr, Failure> {
        let column = || Expr::col(identifier(name));
        match kind {
            Kind::Any | Kind::Integer | Kind::Decimal | Kind::Float => {}
            // What it computes with is no year.
            Kind::Year => return self.arithmetic(name, Kind::Integer, change, by, operator),
            Kind::ShortDecimal => {
                return Err(self.not_possible(
                    name,
                    change,
                    "decimals are not exact there; keep whole numbers, such as cents, in an INTEGER column",
                ));
            }
            kind => {
                let why = format!("the column has no numbers, but {}", kind.contents());
                return Err(self.not_possible(name, change, &why));
            }
        }
        let computed = format!("COALESCE(?, 0) {operator} ?");
        if self.dialect == Dialect::Sqlite {
            let number = self.guards.add_operator(name, change.operator());
            // Of integers beyond 64 bits SQLite makes floating point numbers, and of these infinity, unlike `abs`, which fails.
            let beyond = match kind {
                Kind::Integer => format!("typeof({computed}) <> 'integer'"),
                Kind::Float => format!("({computed}) IN (9e999, -9e999)"),
                _ => format!(
                    "({computed}) IN (9e999, -9e999) OR typeof({computed}) = 'real' AND typeof(COALESCE(?, 0)) = 'integer' AND typeof(?) = 'integer'"
                ),
            };
            let template = format!(
                "CASE WHEN {} WHEN {beyond} THEN abs(-9223372036854775807 - 1) ELSE {computed} END",
                sqlite_refusal(number)
            );
            let places = template.matches('?').count();
            let mut parts = vec![column(), column()];
            while parts.len() < places {
                parts.extend([column(), self.bind(by, kind)]);
            }
            return Ok(self.expression(&template, parts));
        }
        let by = self.operand(by, kind);
        Ok(self.expression(&computed, [column(), by]))
    }

    /// The lesser or greater of the column and a value.
    fn extreme(&mut self, name: &str, kind: Kind, value: &Json, function: &str, beyond: &str) -> Expr {
        let column = || Expr::col(identifier(name));
        if self.dialect == Dialect::Postgres {
            let value = self.bind(value, kind);
            return self.expression(function, [column(), value]);
        }
        // The functions of the others know NULL only, or compare as text; this compares as filters do.
        let (compared, as_kind) = self.comparable(column(), kind);
        let (bound, new) = (self.operand(value, as_kind), self.bind(value, kind));
        let template = format!("CASE WHEN ? IS NULL OR ? {beyond} ? THEN ? ELSE ? END");
        self.expression(&template, [column(), compared, bound, new, column()])
    }
}

/// The branch of a `CASE` in SQLite, with two places for a column, that fails if there is text or bytes. The path of no JSON
/// says which of the statement's guards it is, and what was found.
pub(super) fn sqlite_refusal(number: usize) -> String {
    format!("typeof(?) IN ('text', 'blob') THEN json_extract('{{}}', '{MARK} {number} ' || typeof(?))")
}
