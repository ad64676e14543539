//! Reads related rows of many rows by one statement.

use super::Builder;
use super::select::direction;
use crate::connector::Failure;
use crate::connector::databases::include::{KEY, PLACE};
use crate::connector::databases::json::Json;
use crate::connector::databases::name::identifier;
use crate::connector::databases::operation::{Columns, Include, Relation};
use crate::connector::databases::plan::Statement;
use crate::connector::databases::value::Kind;
use crate::connector::limits::MAX_INCLUDED_ROWS;
use sea_query::{Alias, Asterisk, Expr, ExprTrait, JoinType, Order, OverStatement, Query, WindowStatement};

/// The related table, and the one between.
const RELATED: &str = "r";
const THROUGH: &str = "t";

impl Builder<'_> {
    /// The related rows for these keys, with [`KEY`], and with [`PLACE`] if their number is limited.
    pub(in crate::connector::databases) fn related(
        &mut self,
        include: &Include,
        keys: &[Json],
    ) -> Result<Statement, Failure> {
        let select = &include.select;
        let related = |name: &str| Expr::col((Alias::new(RELATED), identifier(name)));
        let through = |name: &str| Expr::col((Alias::new(THROUGH), identifier(name)));
        let mut query = Query::select();
        query.from_as(select.table.named(), Alias::new(RELATED));
        match &select.columns {
            Columns::All => {
                query.column((Alias::new(RELATED), Asterisk));
            }
            Columns::These(names) => {
                for name in names {
                    self.kind(name)?;
                    query.column((Alias::new(RELATED), identifier(name)));
                }
            }
        }
        let (key, kind) = match &include.relation {
            Relation::ManyToOne { primary_key: key, .. } | Relation::OneToMany { foreign_key: key, .. } => {
                (related(key), self.kind(key)?)
            }
            Relation::ManyToMany {
                through: table,
                foreign_key,
                related_key,
                primary_key,
            } => {
                self.kind(primary_key)?;
                query.join_as(
                    JoinType::InnerJoin,
                    table.named(),
                    Alias::new(THROUGH),
                    through(related_key).equals((Alias::new(RELATED), identifier(primary_key))),
                );
                (through(foreign_key), Kind::Any)
            }
        };
        query.expr_as(key.clone(), identifier(KEY));
        let keys: Vec<Expr> = keys.iter().map(|value| self.operand(value, kind)).collect();
        query.and_where(key.clone().is_in(keys));
        let known = Self::new(self.dialect, self.kinds);
        let resolve = |name: &str| Ok((related(name), known.kind(name)?));
        if let Some(condition) = self.filter(&select.filter, &resolve)? {
            query.and_where(condition);
        }
        for order in &select.order {
            self.kind(&order.column)?;
        }
        let Some(limit) = select.limit else {
            for order in &select.order {
                query.order_by_expr(related(&order.column), direction(order));
            }
            query.limit(MAX_INCLUDED_ROWS + 1);
            return self.finish(&query);
        };
        let mut window = WindowStatement::new();
        window.add_partition_by(key.clone());
        for order in &select.order {
            window.order_by_expr(related(&order.column), direction(order));
        }
        if select.order.is_empty() {
            window.order_by_expr(key, Order::Asc);
        }
        query.expr_window_as(Expr::cust("ROW_NUMBER()"), window, identifier(PLACE));
        let mut limited = Query::select();
        limited
            .column(Asterisk)
            .from_subquery(query, Alias::new(RELATED))
            .and_where(related(PLACE).lte(limit))
            .order_by_expr(related(PLACE), Order::Asc)
            .limit(MAX_INCLUDED_ROWS + 1);
        self.finish(&limited)
    }
}
