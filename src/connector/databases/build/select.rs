//! `SELECT` statements, and `DELETE`, which have conditions alone.

use super::Builder;
use crate::connector::Failure;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::filter::Filter;
use crate::connector::databases::name::{Table, identifier};
use crate::connector::databases::operation::{Columns, Count, Delete, Order, Select};
use crate::connector::databases::plan::Statement;
use sea_query::{Expr, LockType, Order as Direction, Query};

impl Builder<'_> {
    pub(super) fn select(&mut self, select: &Select, limit: u64) -> Result<Statement, Failure> {
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
        self.finish(&query)
    }

    pub(super) fn count(&mut self, count: &Count) -> Result<Statement, Failure> {
        let mut query = Query::select();
        let counted = match &count.column {
            None => Expr::cust("COUNT(*)"),
            Some(name) => {
                self.kind(name)?;
                let column = Expr::col(identifier(name));
                self.expression(
                    if count.distinct {
                        "COUNT(DISTINCT ?)"
                    } else {
                        "COUNT(?)"
                    },
                    [column],
                )
            }
        };
        query
            .expr_as(counted, identifier("count"))
            .from(count.table.reference());
        if let Some(condition) = self.condition(&count.filter)? {
            query.and_where(condition);
        }
        self.finish(&query)
    }

    pub(super) fn delete(&mut self, delete: &Delete) -> Result<Statement, Failure> {
        let mut query = Query::delete();
        query.from_table(delete.table.reference());
        if let Some(condition) = self.affected(&delete.table, &delete.filter, delete.one)? {
            query.and_where(condition);
        }
        if delete.one && self.dialect == Dialect::MySql {
            query.limit(1);
        }
        if let Some(columns) = &delete.returning {
            query.returning(self.returning(columns)?);
        }
        self.finish(&query)
    }

    /// The condition of the rows that change; with `one`, of a single row by its place in the table. MySQL has a limit for
    /// that instead.
    pub(super) fn affected(&mut self, table: &Table, filter: &Filter, one: bool) -> Result<Option<Expr>, Failure> {
        let condition = self.condition(filter)?;
        if !one || self.dialect == Dialect::MySql {
            return Ok(condition);
        }
        let mut chosen = Query::select();
        chosen.from(table.reference()).limit(1);
        if let Some(condition) = condition {
            chosen.and_where(condition);
        }
        // Not quoted, since SQLite would read the quoted name as text in a table without row ids.
        let place = if self.dialect == Dialect::Postgres {
            // The place within a partition, and which partition that is.
            chosen.expr(Expr::cust("ctid")).expr(Expr::cust("tableoid"));
            chosen.lock(LockType::Update);
            "(ctid, tableoid) = ?"
        } else {
            chosen.expr(Expr::cust("_rowid_"));
            "_rowid_ = ?"
        };
        let chosen = Expr::SubQuery(None, Box::new(chosen.into()));
        Ok(Some(self.expression(place, [chosen])))
    }
}

pub(super) fn direction(order: &Order) -> Direction {
    if order.descending {
        Direction::Desc
    } else {
        Direction::Asc
    }
}
