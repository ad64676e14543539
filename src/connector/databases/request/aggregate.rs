//! Reads aggregates: an object of names and functions, a list of `{ type, field, alias }`, or one `{ operation, column }`.

use super::having;
use super::{COLUMN, FILTER, InputFields, TABLE};
use crate::connector::Failure;
use crate::connector::databases::filter::{self, Filter};
use crate::connector::databases::json::Json;
use crate::connector::databases::operation::{Aggregate, Columns, Count, Function, Measure, Operation};
use crate::connector::limits::MAX_COLUMNS;
use crate::text::spelling::{simplified, suggestion, truncated};

/// Aggregate functions, as documented.
const FUNCTIONS: [&str; 9] = [
    "$count",
    "$countDistinct",
    "$sum",
    "$avg",
    "$min",
    "$max",
    "$stringAgg",
    "$groupConcat",
    "$arrayAgg",
];
/// Names of the member with the aggregates.
const MEASURES: [&str; 3] = ["aggregate", "operations", "aggregations"];
/// What separates the values of a joined text.
const SEPARATOR: &str = ",";

impl InputFields<'_> {
    pub(super) fn aggregate(&self) -> Result<Operation, Failure> {
        if self.get(&["pipeline"])?.is_some() {
            return self.pipeline();
        }
        if self.get(&["operation"])?.is_some() {
            return self.single();
        }
        self.grouped()
    }

    /// `groupBy` as an operation.
    pub(super) fn group_by(&self) -> Result<Operation, Failure> {
        if self.get(&["groupBy"])?.is_none() {
            return Err(Failure::invalid(
                "input.groupBy: is missing; name columns, as in ['status']",
            ));
        }
        self.grouped()
    }

    fn pipeline(&self) -> Result<Operation, Failure> {
        use crate::connector::databases::dialect::Dialect;
        if self.context.dialect != Dialect::Mongo {
            return Err(Failure::invalid(format!(
                "input.pipeline: {} has no pipelines; give `aggregate` with names and functions",
                self.context.dialect.name()
            )));
        }
        self.reject_unknown_fields(&[&TABLE, &["pipeline"]])?;
        match self.get(&["pipeline"])?.map(Json::value) {
            Some(Json::List(stages)) => Ok(Operation::Pipeline {
                table: self.table()?,
                stages: stages.clone(),
            }),
            Some(other) => Err(self.type_mismatch("pipeline", "a list of stages", other)),
            None => Err(Failure::invalid("input.pipeline: is missing")),
        }
    }

    /// `{ operation: 'sum', column: 'amount' }`
    fn single(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[&TABLE, &FILTER, &COLUMN, &["operation"]])?;
        let name = self.get(&["operation"])?.and_then(Json::as_text).unwrap_or_default();
        match self.function(name)? {
            (Function::Count, distinct) => Ok(Operation::Count(Count {
                table: self.table()?,
                filter: self.filter()?,
                column: self.one_column()?,
                distinct,
            })),
            (function, _) => self.computed(function),
        }
    }

    fn grouped(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(&[
            &TABLE,
            &FILTER,
            &MEASURES,
            &["groupBy", "having", "orderBy", "limit", "offset"],
        ])?;
        let groups = self.column_list(&["groupBy"])?.unwrap_or_default();
        let measures = self.measures()?;
        if measures.is_empty() && groups.is_empty() {
            return Err(Failure::invalid("input.aggregate: must name something to compute"));
        }
        for (index, measure) in measures.iter().enumerate() {
            if groups.contains(&measure.name) {
                return Err(Failure::invalid(format!(
                    "input.aggregate: '{}' is the name of a column of groupBy too",
                    truncated(&measure.name)
                )));
            }
            if measures.iter().take(index).any(|other| other.name == measure.name) {
                return Err(Failure::invalid(format!(
                    "input.aggregate: '{}' is there twice",
                    truncated(&measure.name)
                )));
            }
        }
        let having = match self.get(&["having"])? {
            None => Filter::All(Vec::new()),
            Some(json) => {
                let counted = |name: &str| {
                    let counts = |measure: &&Measure| {
                        matches!(measure.function, Function::Count | Function::Sum | Function::Average)
                    };
                    measures.iter().filter(counts).any(|measure| *measure.name == *name)
                };
                let having = filter::read(json, self.context.dialect)?;
                having::with_numbers(having, &counted, self.context.dialect)?
            }
        };
        Ok(Operation::Aggregate(Aggregate {
            select: self.selected(Columns::All)?,
            measures,
            groups,
            having,
        }))
    }

    fn measures(&self) -> Result<Vec<Measure>, Failure> {
        const EXPECTED: &str = "an object of names and functions, as in { total: { $sum: 'amount' } }";
        let json = self.get(&MEASURES)?;
        let measures: Vec<Measure> = match json.map(Json::value) {
            Some(Json::Map(entries)) => entries
                .iter()
                .map(|(name, what)| self.measure(name, what))
                .collect::<Result<_, _>>()?,
            Some(Json::List(list)) => list.iter().map(|entry| self.listed(entry)).collect::<Result<_, _>>()?,
            Some(other) => return Err(self.type_mismatch("aggregate", EXPECTED, other)),
            None => return Err(Failure::invalid(format!("input.aggregate: must be {EXPECTED}"))),
        };
        if measures.len() > MAX_COLUMNS {
            return Err(Failure::invalid(format!(
                "input.aggregate: may have at most {MAX_COLUMNS} names"
            )));
        }
        Ok(measures)
    }

    /// A function by its name, and whether equal values count once.
    fn function(&self, key: &str) -> Result<(Function, bool), Failure> {
        Ok(match simplified(key).as_str() {
            "count" => (Function::Count, false),
            "countdistinct" => (Function::Count, true),
            "sum" => (Function::Sum, false),
            "avg" => (Function::Average, false),
            "min" => (Function::Least, false),
            "max" => (Function::Greatest, false),
            "stringagg" | "groupconcat" => (Function::Join(SEPARATOR.into()), false),
            "arrayagg" => (Function::List, false),
            _ => {
                return Err(Failure::invalid(format!(
                    "input.aggregate: {} is no function; {}",
                    truncated(key),
                    suggestion(key, &FUNCTIONS)
                )));
            }
        })
    }

    /// `{ $sum: 'amount' }`
    fn measure(&self, name: &str, what: &Json) -> Result<Measure, Failure> {
        let Json::Map(entries) = what.value() else {
            return Err(self.type_mismatch("aggregate", "an object such as { total: { $sum: 'amount' } }", what));
        };
        let [(key, of)] = entries.as_slice() else {
            return Err(Failure::invalid(format!(
                "input.aggregate: '{}' must have one function",
                truncated(name)
            )));
        };
        if !key.starts_with('$') {
            return Err(Failure::invalid(format!(
                "input.aggregate: {} is no function; {}",
                truncated(key),
                suggestion(key, &FUNCTIONS)
            )));
        }
        let (function, distinct) = self.function(key)?;
        let measure = Measure {
            name: self.column(name)?,
            function,
            column: None,
            distinct,
        };
        match of.value() {
            Json::Map(entries) => {
                let fields = InputFields {
                    entries,
                    context: self.context,
                    path: "input.aggregate",
                };
                fields.reject_unknown_fields(&[&COLUMN, &["distinct", "separator"]])?;
                fields.details(measure)
            }
            Json::Bool(true) => self.checked(measure),
            Json::Text(text) => {
                let column = if **text == *"*" { None } else { Some(self.column(text)?) };
                self.checked(Measure { column, ..measure })
            }
            _ => Err(self.type_mismatch("aggregate", "the name of a column for each function", of)),
        }
    }

    /// `{ type: 'sum', field: 'amount', alias: 'total' }`
    fn listed(&self, entry: &Json) -> Result<Measure, Failure> {
        let Json::Map(entries) = entry.value() else {
            return Err(self.type_mismatch(
                "aggregations",
                "a list of objects such as { type, field, alias }",
                entry,
            ));
        };
        let fields = InputFields {
            entries,
            context: self.context,
            path: "input.aggregations",
        };
        fields.reject_unknown_fields(&[&COLUMN, &["type", "alias", "distinct", "separator"]])?;
        let text = |name: &str| {
            let json = fields.get(&[name])?;
            json.and_then(Json::as_text)
                .ok_or_else(|| Failure::invalid(format!("input.aggregations: each needs a string `{name}`")))
        };
        let (function, distinct) = self.function(text("type")?)?;
        fields.details(Measure {
            name: self.column(text("alias")?)?,
            function,
            column: None,
            distinct,
        })
    }

    /// Column, separator and whether equal values count once, from an object.
    fn details(&self, measure: Measure) -> Result<Measure, Failure> {
        let separator = match self.get(&["separator"])? {
            None => None,
            Some(json) => Some(
                json.as_text()
                    .ok_or_else(|| self.type_mismatch("separator", "a string", json))?,
            ),
        };
        let function = match (separator, measure.function) {
            (Some(separator), Function::Join(_)) => Function::Join(separator.into()),
            (Some(_), _) => {
                return Err(Failure::invalid(format!(
                    "{}.separator: belongs to $stringAgg and $groupConcat",
                    self.path
                )));
            }
            (None, function) => function,
        };
        self.checked(Measure {
            function,
            column: self.one_column()?,
            distinct: measure.distinct || self.flag("distinct")?,
            name: measure.name,
        })
    }

    fn checked(&self, measure: Measure) -> Result<Measure, Failure> {
        if measure.column.is_none() && (measure.function != Function::Count || measure.distinct) {
            return Err(Failure::invalid(format!(
                "{}: '{}' needs the name of a column",
                if self.path == "input" {
                    "input.aggregate"
                } else {
                    self.path
                },
                truncated(&measure.name)
            )));
        }
        Ok(measure)
    }
}
