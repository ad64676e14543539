//! Aggregates as pipelines. Groups and measures have names of our own there, so that names of inputs reach no pipeline but as
//! the path of a field.

use super::filter::{of_documents, translate};
use super::value::write;
use crate::connector::Failure;
use crate::connector::databases::filter::Filter;
use crate::connector::databases::guards::Guards;
use crate::connector::databases::json::push_string;
use crate::connector::databases::operation::{Aggregate, Count, Function, Measure, Order};
use crate::text::spelling::truncated;
use mongodb::bson::{Bson, Document, doc};

/// Where a group and a measure are found in the pipeline's result.
fn group_name(index: usize) -> String {
    format!("g{index}")
}

fn measure_name(index: usize) -> String {
    format!("m{index}")
}

/// The value of a field; null if there is none.
fn value_of(column: &str) -> Bson {
    Bson::Document(doc! { "$ifNull": [format!("${column}"), Bson::Null] })
}

/// 1 for each value other than null.
fn one_for_each(column: &str) -> Bson {
    Bson::Document(doc! { "$cond": [{ "$eq": [value_of(column), Bson::Null] }, 0, 1] })
}

/// What counts values of a field. Its result is one document with `count`, or none.
pub(super) fn count(count: &Count, column: &str) -> Result<Vec<Document>, Failure> {
    let mut stages = vec![doc! { "$match": of_documents(&count.filter)? }];
    if count.distinct {
        stages.push(doc! { "$group": { "_id": value_of(column) } });
        stages.push(doc! { "$match": { "_id": { "$ne": Bson::Null } } });
        stages.push(doc! { "$group": { "_id": Bson::Null, "count": { "$sum": 1 } } });
    } else {
        stages.push(doc! { "$group": { "_id": Bson::Null, "count": { "$sum": one_for_each(column) } } });
    }
    Ok(stages)
}

/// What computes one aggregate of a field, and what of it needs numbers. Its result is one document with `value`, or none.
pub(super) fn compute(filter: &Filter, function: &Function, column: &str) -> Result<(Vec<Document>, Guards), Failure> {
    let measure = Measure {
        name: "value".into(),
        function: function.clone(),
        column: Some(column.into()),
        distinct: false,
    };
    let mut stages = vec![
        doc! { "$match": of_documents(filter)? },
        doc! { "$group": { "_id": Bson::Null, "value": gathered(&measure) } },
    ];
    if let Some(finish) = finished(&measure, "$value") {
        stages.push(doc! { "$addFields": { "value": finish } });
    }
    let guards = guards(std::slice::from_ref(&measure), "input.column");
    Ok((stages, guards))
}

/// What computes aggregates of groups.
pub(super) fn stages(aggregate: &Aggregate, limit: u64) -> Result<Vec<Document>, Failure> {
    let mut key = Document::new();
    for (index, column) in aggregate.groups.iter().enumerate() {
        key.insert(group_name(index), value_of(column));
    }
    let key = if aggregate.groups.is_empty() {
        Bson::Null
    } else {
        Bson::Document(key)
    };
    let mut group = doc! { "_id": key };
    let mut finish = Document::new();
    for (index, measure) in aggregate.measures.iter().enumerate() {
        let name = measure_name(index);
        group.insert(name.clone(), gathered(measure));
        if let Some(finished) = finished(measure, &format!("${name}")) {
            finish.insert(name, finished);
        }
    }
    let select = &aggregate.select;
    let mut stages = vec![
        doc! { "$match": of_documents(&select.filter)? },
        doc! { "$group": group },
    ];
    if !finish.is_empty() {
        stages.push(doc! { "$addFields": finish });
    }
    let field = |name: &str| place(aggregate, name);
    let having = translate(&aggregate.having, &field)?;
    if !having.is_empty() {
        stages.push(doc! { "$match": having });
    }
    if !select.order.is_empty() {
        stages.push(doc! { "$sort": sort(&select.order, field)? });
    }
    if select.offset > 0 {
        stages.push(doc! { "$skip": i64::try_from(select.offset).unwrap_or(i64::MAX) });
    }
    stages.push(doc! { "$limit": i64::try_from(limit).unwrap_or(i64::MAX) });
    Ok(stages)
}

/// Where a column of `groupBy` or a name of an aggregate is found.
fn place(aggregate: &Aggregate, name: &str) -> Result<String, Failure> {
    if let Some(index) = aggregate.groups.iter().position(|group| **group == *name) {
        return Ok(format!("_id.{}", group_name(index)));
    }
    if let Some(index) = aggregate.measures.iter().position(|measure| *measure.name == *name) {
        return Ok(measure_name(index));
    }
    Err(Failure::invalid(format!(
        "'{}' is neither a column of groupBy nor a name in aggregate",
        truncated(name)
    )))
}

/// The order of documents.
pub(super) fn sort(order: &[Order], place: impl Fn(&str) -> Result<String, Failure>) -> Result<Document, Failure> {
    let mut sort = Document::new();
    for entry in order {
        let place = place(&entry.column)?;
        // The first one decides.
        if !sort.contains_key(&place) {
            sort.insert(place, if entry.descending { -1 } else { 1 });
        }
    }
    Ok(sort)
}

/// A value that must be a number: sums pass over anything else, as if it were not there.
fn number(path: &str) -> Document {
    doc! { "$multiply": [path, 1] }
}

/// The same of each of a list.
fn numbers(list: &str) -> Document {
    doc! { "$map": { "input": list, "in": number("$$this") } }
}

/// What of an aggregate needs numbers.
pub(super) fn guards(measures: &[Measure], place: &str) -> Guards {
    let mut guards = Guards::default();
    for measure in measures {
        if let (Function::Sum | Function::Average, Some(column)) = (&measure.function, &measure.column) {
            guards.add_aggregate((place, &measure.name), measure.function.name(), column);
        }
    }
    guards
}

/// What a group gathers for a measure.
fn gathered(measure: &Measure) -> Document {
    let Some(column) = &measure.column else {
        return doc! { "$sum": 1 };
    };
    let path = format!("${column}");
    match &measure.function {
        Function::Least => doc! { "$min": path },
        Function::Greatest => doc! { "$max": path },
        _ if measure.distinct => doc! { "$addToSet": path },
        Function::Count => doc! { "$sum": one_for_each(column) },
        Function::Sum => doc! { "$sum": number(&path) },
        Function::Average => doc! { "$avg": number(&path) },
        Function::Join(_) | Function::List => doc! { "$push": path },
    }
}

/// What becomes of what was gathered; `None`: it is the value.
fn finished(measure: &Measure, gathered: &str) -> Option<Bson> {
    measure.column.as_ref()?;
    let some = || doc! { "$filter": { "input": gathered, "cond": { "$ne": ["$$this", Bson::Null] } } };
    let finished = match (&measure.function, measure.distinct) {
        (Function::Count, true) => doc! { "$size": some() },
        (Function::Sum, true) => doc! { "$sum": numbers(gathered) },
        (Function::Average, true) => doc! { "$avg": numbers(gathered) },
        (Function::Join(separator), _) => doc! {
            "$reduce": {
                "input": some(),
                "initialValue": Bson::Null,
                "in": {
                    "$cond": [
                        { "$eq": ["$$value", Bson::Null] },
                        { "$toString": "$$this" },
                        { "$concat": ["$$value", { "$literal": &**separator }, { "$toString": "$$this" }] },
                    ],
                },
            },
        },
        _ => return None,
    };
    Some(Bson::Document(finished))
}

/// The cells of a row of the result: name and value, with the names of the input.
pub(super) fn cells<'a>(aggregate: &'a Aggregate, document: &'a Document) -> impl Iterator<Item = (&'a str, &'a Bson)> {
    let key = document.get_document("_id").ok();
    let groups = aggregate.groups.iter().enumerate().map(move |(index, column)| {
        let value = key.and_then(|key| key.get(group_name(index)));
        (&**column, value.unwrap_or(&Bson::Null))
    });
    let measures = aggregate.measures.iter().enumerate().map(move |(index, measure)| {
        let value = document.get(measure_name(index));
        (&*measure.name, value.unwrap_or(&Bson::Null))
    });
    groups.chain(measures)
}

/// The row of aggregates without groups when no document matched: as SQL has it.
pub(super) fn row_of_nothing(aggregate: &Aggregate) -> String {
    let mut text = String::from("{");
    for (index, measure) in aggregate.measures.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push_string(&mut text, &measure.name);
        text.push(':');
        let value = match measure.function {
            Function::Count => Bson::Int32(0),
            _ => Bson::Null,
        };
        write(&mut text, &value);
    }
    text.push('}');
    text
}
