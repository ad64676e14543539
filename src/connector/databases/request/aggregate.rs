//! Reads aggregates.

use super::{InputFields, type_mismatch};
use crate::connector::Failure;
use crate::connector::databases::filter::{self, Filter};
use crate::connector::databases::json::Json;
use crate::connector::databases::operation::{Aggregate, Columns, Function, Operation};
use crate::text::spelling::{simplified, suggestion, truncated};

/// Aggregate functions, by their names in inputs.
const FUNCTIONS: [(&str, Function); 6] = [
    ("$count", Function::Count),
    ("$countDistinct", Function::CountDistinct),
    ("$sum", Function::Sum),
    ("$avg", Function::Average),
    ("$min", Function::Least),
    ("$max", Function::Greatest),
];

impl InputFields<'_> {
    pub(super) fn aggregate(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[
            "table",
            "collection",
            "where",
            "filter",
            "aggregate",
            "groupBy",
            "having",
            "orderBy",
            "limit",
            "offset",
        ])?;
        let Some(Json::Map(entries)) = self.get(&["aggregate"])?.map(Json::value) else {
            return Err(Failure::invalid(
                "input.aggregate: must be an object of names and functions, as in { total: { $sum: 'amount' } }",
            ));
        };
        let groups = self.column_list(&["groupBy"])?.unwrap_or_default();
        let mut measures = Vec::with_capacity(entries.len());
        for (name, what) in entries {
            let alias = self.column(name)?;
            if groups.contains(&alias) {
                return Err(Failure::invalid(format!(
                    "input.aggregate: '{}' is the name of a column of groupBy too",
                    truncated(name)
                )));
            }
            let (function, column) = self.measure(name, what)?;
            measures.push((alias, function, column));
        }
        if measures.is_empty() && groups.is_empty() {
            return Err(Failure::invalid("input.aggregate: must name something to compute"));
        }
        let having = match self.get(&["having"])? {
            None => Filter::All(Vec::new()),
            Some(json) => filter::read(json, self.context.dialect)?,
        };
        Ok(Operation::Aggregate(Aggregate {
            select: self.selected(Columns::All)?,
            measures,
            groups,
            having,
        }))
    }

    fn measure(&self, name: &str, what: &Json) -> Result<(Function, Option<Box<str>>), Failure> {
        let Json::Map(entries) = what.value() else {
            return Err(type_mismatch(
                "aggregate",
                "an object such as { total: { $sum: 'amount' } }",
                what,
            ));
        };
        let [(key, of)] = entries.as_slice() else {
            return Err(Failure::invalid(format!(
                "input.aggregate: '{}' must have one function",
                truncated(name)
            )));
        };
        let found = FUNCTIONS
            .iter()
            .find(|(known, _)| key.starts_with('$') && simplified(known) == simplified(key));
        let Some((_, function)) = found else {
            let names = FUNCTIONS.map(|(name, _)| name);
            return Err(Failure::invalid(format!(
                "input.aggregate: {} is no function; {}",
                truncated(key),
                suggestion(key, &names)
            )));
        };
        match of.value() {
            Json::Text(text) if **text == *"*" && *function == Function::Count => Ok((*function, None)),
            Json::Text(text) => Ok((*function, Some(self.column(text)?))),
            Json::Bool(true) if *function == Function::Count => Ok((*function, None)),
            _ => Err(type_mismatch("aggregate", "the name of a column for each function", of)),
        }
    }
}
