//! Pipelines of jobs: stages and operators from a closed list, without any that writes or runs code.
//!
//! Invariants: `$match` has the operators of filters alone; a value that a job marked as data is a literal there, never a
//! path or an operator.

use super::filter::of_documents;
use super::value::{as_data, stored};
use crate::connector::Failure;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::json::Json;
use crate::connector::databases::name::Table;
use crate::connector::databases::{extended, filter};
use crate::connector::limits::{MAX_FILTER_DEPTH, MAX_PIPELINE_STAGES};
use crate::text::spelling::{suggestion, truncated};
use mongodb::bson::{Bson, Document, doc};

/// Stages that only read.
const STAGES: [&str; 22] = [
    "$match",
    "$group",
    "$project",
    "$addFields",
    "$set",
    "$unset",
    "$sort",
    "$limit",
    "$skip",
    "$unwind",
    "$count",
    "$sortByCount",
    "$sample",
    "$bucket",
    "$bucketAuto",
    "$facet",
    "$lookup",
    "$unionWith",
    "$replaceRoot",
    "$replaceWith",
    "$densify",
    "$setWindowFields",
];

/// Operators of expressions and accumulators: those of the manual without `$function`, `$accumulator` and what reads the
/// server's state.
const OPERATORS: &[&str] = &[
    "$abs",
    "$add",
    "$addToSet",
    "$allElementsTrue",
    "$and",
    "$anyElementTrue",
    "$arrayElemAt",
    "$arrayToObject",
    "$avg",
    "$bottom",
    "$bottomN",
    "$ceil",
    "$cmp",
    "$concat",
    "$concatArrays",
    "$cond",
    "$convert",
    "$count",
    "$covariancePop",
    "$covarianceSamp",
    "$dateAdd",
    "$dateDiff",
    "$dateFromParts",
    "$dateFromString",
    "$dateSubtract",
    "$dateToParts",
    "$dateToString",
    "$dateTrunc",
    "$dayOfMonth",
    "$dayOfWeek",
    "$dayOfYear",
    "$denseRank",
    "$derivative",
    "$divide",
    "$documentNumber",
    "$eq",
    "$exp",
    "$expMovingAvg",
    "$filter",
    "$first",
    "$firstN",
    "$floor",
    "$gt",
    "$gte",
    "$hour",
    "$ifNull",
    "$in",
    "$indexOfArray",
    "$indexOfCP",
    "$integral",
    "$isArray",
    "$isNumber",
    "$isoDayOfWeek",
    "$isoWeek",
    "$isoWeekYear",
    "$last",
    "$lastN",
    "$let",
    "$linearFill",
    "$literal",
    "$ln",
    "$locf",
    "$log",
    "$log10",
    "$lt",
    "$lte",
    "$ltrim",
    "$map",
    "$max",
    "$maxN",
    "$median",
    "$mergeObjects",
    "$millisecond",
    "$min",
    "$minN",
    "$minute",
    "$mod",
    "$month",
    "$multiply",
    "$ne",
    "$not",
    "$objectToArray",
    "$or",
    "$percentile",
    "$pow",
    "$push",
    "$range",
    "$rank",
    "$reduce",
    "$regexFind",
    "$regexFindAll",
    "$regexMatch",
    "$replaceAll",
    "$replaceOne",
    "$reverseArray",
    "$round",
    "$rtrim",
    "$second",
    "$setDifference",
    "$setEquals",
    "$setIntersection",
    "$setIsSubset",
    "$setUnion",
    "$shift",
    "$size",
    "$slice",
    "$sortArray",
    "$split",
    "$sqrt",
    "$stdDevPop",
    "$stdDevSamp",
    "$strLenCP",
    "$strcasecmp",
    "$substrCP",
    "$subtract",
    "$sum",
    "$switch",
    "$toBool",
    "$toDate",
    "$toDecimal",
    "$toDouble",
    "$toInt",
    "$toLong",
    "$toLower",
    "$toObjectId",
    "$toString",
    "$toUpper",
    "$top",
    "$topN",
    "$trim",
    "$trunc",
    "$type",
    "$week",
    "$year",
    "$zip",
];

/// The stages of a pipeline.
pub(super) fn read(stages: &[Json]) -> Result<Vec<Document>, Failure> {
    read_at(stages, 0)
}

fn read_at(stages: &[Json], depth: usize) -> Result<Vec<Document>, Failure> {
    if depth > MAX_FILTER_DEPTH || stages.len() > MAX_PIPELINE_STAGES {
        return Err(Failure::invalid(format!(
            "input.pipeline: may have at most {MAX_PIPELINE_STAGES} stages, nested {MAX_FILTER_DEPTH} levels deep"
        )));
    }
    stages.iter().map(|stage| read_stage(stage, depth)).collect()
}

fn read_stage(stage: &Json, depth: usize) -> Result<Document, Failure> {
    let [(name, content)] = (match stage {
        Json::Map(entries) => entries.as_slice(),
        _ => &[],
    }) else {
        return Err(Failure::invalid(
            "input.pipeline: a stage must be an object with one operator, as in { $match: { status: 'open' } }",
        ));
    };
    if !STAGES.contains(&&**name) {
        return Err(Failure::invalid(format!(
            "input.pipeline: {} is no stage that jobs have; {}. Others are given to `raw`",
            truncated(name),
            suggestion(name, &STAGES)
        )));
    }
    let read = match (&**name, content) {
        ("$match", filter) => Bson::Document(of_documents(&filter::read(filter, Dialect::Mongo)?)?),
        ("$facet", Json::Map(facets)) => {
            let mut document = Document::new();
            for (name, stages) in facets {
                document.insert(checked(name)?, nested(stages, depth)?);
            }
            Bson::Document(document)
        }
        ("$lookup" | "$unionWith", Json::Map(members)) => {
            let mut document = Document::new();
            for (member, value) in members {
                let value = match &**member {
                    "pipeline" => nested(value, depth)?,
                    "from" | "coll" => Bson::String(collection(value)?),
                    _ => expression(value)?,
                };
                document.insert(checked(member)?, value);
            }
            Bson::Document(document)
        }
        ("$unionWith", name) => Bson::String(collection(name)?),
        (_, content) => expression(content)?,
    };
    let mut document = Document::new();
    document.insert(&**name, read);
    Ok(document)
}

fn nested(stages: &Json, depth: usize) -> Result<Bson, Failure> {
    let Json::List(stages) = stages else {
        return Err(Failure::invalid(format!(
            "input.pipeline: a pipeline within it must be a list of stages, got {}",
            stages.kind()
        )));
    };
    let stages = read_at(stages, depth + 1)?;
    Ok(Bson::Array(stages.into_iter().map(Bson::Document).collect()))
}

fn collection(name: &Json) -> Result<String, Failure> {
    let name = name
        .as_text()
        .ok_or_else(|| Failure::invalid("input.pipeline: a collection must be named by a string"))?;
    Ok(Table::read(name, Dialect::Mongo)?.name.into_string())
}

fn checked(name: &str) -> Result<&str, Failure> {
    if name.starts_with('$') || name.contains('\0') {
        return Err(Failure::invalid(format!(
            "input.pipeline: {} is no name here",
            truncated(name)
        )));
    }
    Ok(name)
}

/// An expression, or an object of them.
fn expression(json: &Json) -> Result<Bson, Failure> {
    let is_value = json.bytes().is_some() || json.quoted().is_some() || extended::read(json, Dialect::Mongo).is_some();
    if matches!(json, Json::Literal(_)) || is_value {
        return literal(json);
    }
    Ok(match json {
        Json::List(list) => Bson::Array(list.iter().map(expression).collect::<Result<_, _>>()?),
        Json::Map(entries) => {
            let mut document = Document::new();
            for (key, value) in entries {
                if key.starts_with('$') && !OPERATORS.contains(&&**key) {
                    return Err(Failure::invalid(format!(
                        "input.pipeline: {} is no operator that jobs have; {}. Others are given to `raw`",
                        truncated(key),
                        suggestion(key, OPERATORS)
                    )));
                }
                if key.contains('\0') {
                    return Err(Failure::invalid(
                        "input.pipeline: a key must not contain the character U+0000",
                    ));
                }
                let value = if **key == *"$literal" {
                    as_data(value)?
                } else {
                    expression(value)?
                };
                document.insert(&**key, value);
            }
            Bson::Document(document)
        }
        other => stored(other)?,
    })
}

/// A value that is neither path nor operator, whatever it looks like.
fn literal(json: &Json) -> Result<Bson, Failure> {
    Ok(match as_data(json)? {
        Bson::String(text) if text.starts_with('$') => Bson::Document(doc! { "$literal": text }),
        value @ (Bson::Document(_) | Bson::Array(_)) => Bson::Document(doc! { "$literal": value }),
        value => value,
    })
}
