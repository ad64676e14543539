//! Reading and computing.

use super::{DOCUMENTS, Declines, Differences, EVERY, Is, Outcomes, SQL, Shape, databases, ids, parsed};
use crate::connector::databases::dialect::Dialect::{Dynamo, Mongo, Sqlite};

/// What DynamoDB says of patterns that it has no function for.
const PATTERNS: &str = "DynamoDB takes the patterns";

#[tokio::test]
async fn every_documented_filter_finds_its_rows() {
    let filters: &[(&str, Outcomes<'_>)] = &[
        (r#"{"status":"open"}"#, &[(EVERY, Is("1 3"))]),
        (r#"{"status":"open","customer_id":8}"#, &[(EVERY, Is("3"))]),
        (r#"{"total":{"$gt":5.25}}"#, &[(EVERY, Is("1 2"))]),
        (r#"{"total":{"$GT":5.25}}"#, &[(EVERY, Is("1 2"))]),
        (r#"{"total":{"$GTE":5.25,"$LT":20}}"#, &[(EVERY, Is("1 3"))]),
        (r#"{"total":{"$gte":5.25,"$lt":20}}"#, &[(EVERY, Is("1 3"))]),
        // A text is a decimal where the column is one; documents have the type that they were written with.
        (r#"{"total":"10.50"}"#, &[(SQL, Is("1")), (DOCUMENTS, Is(""))]),
        (r#"{"total":{"$lte":10.5}}"#, &[(EVERY, Is("1 3"))]),
        (r#"{"total":{"$LTE":10.5}}"#, &[(EVERY, Is("1 3"))]),
        (r#"{"status":{"$ne":"open"}}"#, &[(EVERY, Is("2 4"))]),
        (r#"{"status":{"$NE":"open"}}"#, &[(EVERY, Is("2 4"))]),
        // What is null is not another value in SQL.
        (
            r#"{"note":{"$ne":"big"}}"#,
            &[(SQL, Is("1 3")), (DOCUMENTS, Is("1 2 3"))],
        ),
        (r#"{"status":{"$not":"open"}}"#, &[(EVERY, Is("2 4"))]),
        (r#"{"status":{"$NOT":"open"}}"#, &[(EVERY, Is("2 4"))]),
        (r#"{"status":{"$NOT":{"$IN":["open"]}}}"#, &[(EVERY, Is("2 4"))]),
        (r#"{"status":{"$eq":"paid"}}"#, &[(EVERY, Is("2"))]),
        (r#"{"status":{"$in":["paid","void"]}}"#, &[(EVERY, Is("2 4"))]),
        (r#"{"status":{"$IN":["paid","void"]}}"#, &[(EVERY, Is("2 4"))]),
        (r#"{"status":{"$nin":["paid","void"]}}"#, &[(EVERY, Is("1 3"))]),
        (r#"{"status":{"$NOT_IN":["paid","void"]}}"#, &[(EVERY, Is("1 3"))]),
        (
            r#"{"note":{"$like":"%box"}}"#,
            &[(&[Dynamo], Declines(PATTERNS)), (EVERY, Is("3"))],
        ),
        (r#"{"note":{"$like":"Big b%"}}"#, &[(EVERY, Is("3"))]),
        (r#"{"note":{"$LIKE":"%g b%"}}"#, &[(EVERY, Is("3"))]),
        (
            r#"{"note":{"$ilike":"BIG%"}}"#,
            &[(&[Dynamo], Declines("$ilike")), (EVERY, Is("3 4"))],
        ),
        (r#"{"note":{"$isNull":true}}"#, &[(EVERY, Is("2"))]),
        (r#"{"note":{"$IS_NULL":true}}"#, &[(EVERY, Is("2"))]),
        (r#"{"note":{"$isNotNull":true}}"#, &[(EVERY, Is("1 3 4"))]),
        (r#"{"note":{"$IS_NOT_NULL":true}}"#, &[(EVERY, Is("1 3 4"))]),
        (r#"{"note":{"$null":true}}"#, &[(EVERY, Is("2"))]),
        (r#"{"note":{"$null":false}}"#, &[(EVERY, Is("1 3 4"))]),
        // A document may have a field that is null; in SQL nothing else is missing.
        (
            r#"{"note":{"$exists":true}}"#,
            &[(SQL, Is("1 3 4")), (DOCUMENTS, Is("1 2 3 4"))],
        ),
        (r#"{"note":{"$exists":false}}"#, &[(SQL, Is("2")), (DOCUMENTS, Is(""))]),
        (r#"{"id":{"$between":[2,3]}}"#, &[(EVERY, Is("2 3"))]),
        (r#"{"id":{"$BETWEEN":[2,3]}}"#, &[(EVERY, Is("2 3"))]),
        (r#"{"note":{"$contains":"0%"}}"#, &[(EVERY, Is("1"))]),
        (r#"{"note":{"$CONTAINS":"ox"}}"#, &[(EVERY, Is("3"))]),
        (r#"{"note":{"$startsWith":"Big b"}}"#, &[(EVERY, Is("3"))]),
        (
            r#"{"note":{"$endsWith":"box"}}"#,
            &[(&[Dynamo], Declines(PATTERNS)), (EVERY, Is("3"))],
        ),
        (r#"{"tags":{"$containsAll":["a","b"]}}"#, &[(EVERY, Is("1"))]),
        (r#"{"tags":{"$containsAny":["a","b"]}}"#, &[(EVERY, Is("1 2"))]),
        (
            r#"{"$and":{"status":"open","total":{"$gte":5,"$lte":6}}}"#,
            &[(EVERY, Is("3"))],
        ),
        (r#"{"$and":[{"status":"open"},{"customer_id":7}]}"#, &[(EVERY, Is("1"))]),
        (r#"{"$AND":{"status":"open","customer_id":7}}"#, &[(EVERY, Is("1"))]),
        (r#"{"$or":{"status":"paid","customer_id":9}}"#, &[(EVERY, Is("2 4"))]),
        (r#"{"$OR":{"status":"paid","customer_id":9}}"#, &[(EVERY, Is("2 4"))]),
        (
            r#"{"$or":[{"status":"paid"},{"customer_id":9}]}"#,
            &[(EVERY, Is("2 4"))],
        ),
        (
            r#"{"$or":{"$and":{"status":"open","id":1},"id":4}}"#,
            &[(EVERY, Is("1 4"))],
        ),
        (r#"{"$nor":[{"status":"open"},{"status":"void"}]}"#, &[(EVERY, Is("2"))]),
        (r#"{"$nor":{"status":"open","id":4}}"#, &[(EVERY, Is("2"))]),
        (
            r#"{"$and":[{"total":{"$gt":1}},{"$or":[{"status":"paid"},{"id":3}]}]}"#,
            &[(EVERY, Is("2 3"))],
        ),
        (
            r#"{"note":{"$regex":"^Big b"}}"#,
            &[(&[Sqlite, Dynamo], Declines("$regex")), (EVERY, Is("3"))],
        ),
    ];
    let mut differences = Differences::default();
    for database in databases().await {
        // DynamoDB orders by a sort key alone.
        let order = match database.dialect {
            Dynamo => "",
            _ => r#""orderBy":"id","#,
        };
        for (filter, outcomes) in filters {
            for member in ["where", "filter"] {
                let input = format!(r#"{{"table":"orders",{order}"select":["id"],"{member}":{filter}}}"#);
                let answer = database.try_run("query", &input).await;
                let sort = database.dialect == Dynamo;
                differences.compare(&database, &("query", &input, outcomes), answer, |text| ids(text, sort));
            }
        }
    }
    differences.end();
}

#[tokio::test]
async fn every_documented_form_of_a_query_is_taken() {
    const NO_ORDER: (&[super::Dialect], super::Outcome) = (&[Dynamo], Declines("input.orderBy"));
    let queries: &[Shape<'_>] = &[
        (
            "query",
            r#"{"table":"orders","orderBy":{"column":"id","order":"DESC"},"limit":2}"#,
            &[NO_ORDER, (EVERY, Is("4 3"))],
        ),
        (
            "find",
            r#"{"entity":"orders","orderBy":{"field":"id","direction":"desc"},"limit":1}"#,
            &[NO_ORDER, (EVERY, Is("4"))],
        ),
        (
            "findMany",
            r#"{"collection":"orders","orderBy":{"id":"desc"},"offset":3}"#,
            &[NO_ORDER, (EVERY, Is("1"))],
        ),
        (
            "query",
            r#"{"table":"orders","orderBy":[{"column":"customer_id","order":"DESC"},{"column":"id","order":"ASC"}]}"#,
            &[NO_ORDER, (EVERY, Is("4 3 1 2"))],
        ),
        (
            "query",
            r#"{"table":"orders","orderBy":[{"column":"id"}],"limit":1,"offset":1}"#,
            &[NO_ORDER, (EVERY, Is("2"))],
        ),
        (
            "query",
            r#"{"table":"orders","orderBy":["customer_id",{"id":-1}]}"#,
            &[NO_ORDER, (EVERY, Is("2 1 3 4"))],
        ),
        (
            "query",
            r#"{"entity":"orders","fields":["id"],"where":{"status":"paid"},"limit":5,"offset":0}"#,
            &[(EVERY, Is("2"))],
        ),
        (
            "find",
            r#"{"table":"orders","select":["id","status"],"where":{"id":{"$in":[3]}}}"#,
            &[(EVERY, Is("3"))],
        ),
        (
            "findMany",
            r#"{"collection":"orders","select":"id","filter":{"id":4}}"#,
            &[(EVERY, Is("4"))],
        ),
        (
            "query",
            r#"{"table":"orders","include":{"relation":"lines","type":"one-to-one"}}"#,
            &[
                (&[Dynamo], Declines("input.include: DynamoDB")),
                (EVERY, Declines("include.type")),
            ],
        ),
    ];
    let single: &[Shape<'_>] = &[
        (
            "findOne",
            r#"{"table":"orders","select":["id","status"],"where":{"id":2}}"#,
            &[(EVERY, Is(r#"{"id":2,"status":"paid"}"#))],
        ),
        (
            "findOne",
            r#"{"table":"orders","where":{"id":5}}"#,
            &[(EVERY, Is("null"))],
        ),
    ];
    let mut differences = Differences::default();
    for database in databases().await {
        for shape in queries {
            let answer = database.try_run(shape.0, shape.1).await;
            differences.compare(&database, shape, answer, |text| ids(text, false));
        }
        for shape in single {
            let answer = database.try_run(shape.0, shape.1).await;
            differences.compare(&database, shape, answer, ToString::to_string);
        }
    }
    differences.end();
}

#[tokio::test]
async fn every_documented_form_of_an_aggregate_is_computed() {
    /// What DynamoDB says of one aggregate, and of several.
    const NO_VALUE: (&[super::Dialect], super::Outcome) = (&[Dynamo], Declines("sum, avg, min and max"));
    const NO_AGGREGATE: (&[super::Dialect], super::Outcome) = (&[Dynamo], Declines("`count`: aggregate"));
    const NO_GROUPS: (&[super::Dialect], super::Outcome) = (&[Dynamo], Declines("`count`: groupBy"));
    let shapes: &[Shape<'_>] = &[
        ("count", r#"{"table":"orders"}"#, &[(EVERY, Is(r#"{"count":4}"#))]),
        (
            "count",
            r#"{"table":"orders","where":{"status":"open"}}"#,
            &[(EVERY, Is(r#"{"count":2}"#))],
        ),
        (
            "count",
            r#"{"table":"orders","column":"note"}"#,
            &[(EVERY, Is(r#"{"count":3}"#))],
        ),
        (
            "count",
            r#"{"entity":"orders","field":"status","distinct":true}"#,
            &[(&[Dynamo], Declines("distinct")), (EVERY, Is(r#"{"count":3}"#))],
        ),
        (
            "min",
            r#"{"table":"orders","column":"id"}"#,
            &[NO_VALUE, (EVERY, Is(r#"{"value":1}"#))],
        ),
        (
            "max",
            r#"{"table":"orders","column":"id","where":{"status":"open"}}"#,
            &[NO_VALUE, (EVERY, Is(r#"{"value":3}"#))],
        ),
        (
            "sum",
            r#"{"table":"orders","column":"total"}"#,
            &[NO_VALUE, (EVERY, Is("35.75"))],
        ),
        (
            "avg",
            r#"{"table":"orders","column":"total"}"#,
            &[NO_VALUE, (EVERY, Is("11.92"))],
        ),
        (
            "aggregate",
            r#"{"table":"orders","operation":"max","column":"id"}"#,
            &[NO_VALUE, (EVERY, Is(r#"{"value":4}"#))],
        ),
        (
            "aggregate",
            r#"{"table":"orders","operation":"count"}"#,
            &[(EVERY, Is(r#"{"count":4}"#))],
        ),
        (
            "aggregate",
            r#"{"table":"orders","operations":{"n":{"$count":"*"},"low":{"$MIN":"id"},"high":{"$max":"id"}},"where":{"status":"open"}}"#,
            &[
                NO_AGGREGATE,
                (EVERY, Is(r#"{"rows":[{"n":2,"low":1,"high":3}],"count":1}"#)),
            ],
        ),
        (
            "aggregate",
            r#"{"table":"orders","operations":{"n":{"$COUNT":"note"},"low":{"$min":"id"},"high":{"$MAX":"id"}}}"#,
            &[
                NO_AGGREGATE,
                (EVERY, Is(r#"{"rows":[{"n":3,"low":1,"high":4}],"count":1}"#)),
            ],
        ),
        (
            "aggregate",
            r#"{"table":"orders","operations":{"value":{"$SUM":"total"}}}"#,
            &[NO_AGGREGATE, (EVERY, Is("35.75"))],
        ),
        (
            "aggregate",
            r#"{"table":"orders","operations":{"value":{"$AVG":"total"}}}"#,
            &[NO_AGGREGATE, (EVERY, Is("11.92"))],
        ),
        (
            "aggregate",
            r#"{"table":"orders","groupBy":["customer_id"],"operations":{"n":{"$count":"*"}},"having":{"n":{"$GT":1}}}"#,
            &[
                NO_GROUPS,
                (EVERY, Is(r#"{"rows":[{"customer_id":7,"n":2}],"count":1}"#)),
            ],
        ),
        (
            "aggregate",
            r#"{"entity":"orders","aggregations":[{"type":"count","alias":"n"},{"type":"max","field":"id","alias":"high"}]}"#,
            &[NO_AGGREGATE, (EVERY, Is(r#"{"rows":[{"n":4,"high":4}],"count":1}"#))],
        ),
        (
            "aggregate",
            r#"{"table":"orders","aggregate":{"kinds":{"$count":{"column":"status","distinct":true}}}}"#,
            &[NO_AGGREGATE, (EVERY, Is(r#"{"rows":[{"kinds":3}],"count":1}"#))],
        ),
        (
            "aggregate",
            r#"{"table":"orders","pipeline":[{"$match":{"status":"open"}},{"$count":"n"}]}"#,
            &[
                (&[Mongo], Is(r#"{"rows":[{"n":2}],"count":1}"#)),
                (EVERY, Declines("pipeline")),
            ],
        ),
        (
            "groupBy",
            r#"{"table":"orders","groupBy":["customer_id"],"aggregate":{"n":{"$count":"*"}},"having":{"n":{"$gt":1}}}"#,
            &[
                NO_GROUPS,
                (EVERY, Is(r#"{"rows":[{"customer_id":7,"n":2}],"count":1}"#)),
            ],
        ),
        (
            "groupBy",
            r#"{"table":"orders","groupBy":"status","aggregate":{"n":{"$COUNT":"*"}},"orderBy":{"column":"n","order":"DESC"},"limit":1}"#,
            &[
                NO_GROUPS,
                (EVERY, Is(r#"{"rows":[{"status":"open","n":2}],"count":1}"#)),
            ],
        ),
        (
            "groupBy",
            r#"{"table":"orders","groupBy":["status"],"aggregate":{"n":{"$count":"*"}},"orderBy":["status"],"limit":1,"offset":1}"#,
            &[
                NO_GROUPS,
                (EVERY, Is(r#"{"rows":[{"status":"paid","n":1}],"count":1}"#)),
            ],
        ),
        (
            "groupBy",
            r#"{"table":"orders","groupBy":["customer_id"],"where":{"id":3},"aggregate":{
                "a":{"$stringAgg":{"column":"id","separator":"; "}},"b":{"$groupConcat":{"column":"status","separator":""}},"c":{"$arrayAgg":"id"}}}"#,
            &[
                NO_GROUPS,
                (
                    EVERY,
                    Is(r#"{"rows":[{"customer_id":8,"a":"3","b":"open","c":[3]}],"count":1}"#),
                ),
            ],
        ),
        (
            "groupBy",
            r#"{"table":"orders","groupBy":["customer_id"],"where":{"id":3},"aggregate":{
                "a":{"$STRING_AGG":{"column":"status","separator":"; "}},"b":{"$GROUP_CONCAT":{"column":"status"}},"c":{"$ARRAY_AGG":"id"}}}"#,
            &[
                NO_GROUPS,
                (
                    EVERY,
                    Is(r#"{"rows":[{"customer_id":8,"a":"open","b":"open","c":[3]}],"count":1}"#),
                ),
            ],
        ),
    ];
    let mut differences = Differences::default();
    for database in databases().await {
        for shape in shapes {
            let answer = database.try_run(shape.0, shape.1).await;
            differences.compare(&database, shape, answer, computed);
        }
        if database.dialect == Dynamo {
            continue;
        }
        let joined = r#"{"table":"orders","aggregate":{"all":{"$stringAgg":{"column":"status","separator":"'--"}},"ids":{"$arrayAgg":"id"}}}"#;
        let row = parsed(&database.run("aggregate", joined).await)["rows"][0].clone();
        let mut parts: Vec<&str> = row["all"].as_str().unwrap().split("'--").collect();
        parts.sort_unstable();
        assert_eq!(parts, ["open", "open", "paid", "void"], "{:?}", database.dialect);
        assert_eq!(row["ids"].as_array().unwrap().len(), 4);
    }
    differences.end();
}

/// A result; of a sum or an average, which has another type on each database, the number with two digits.
fn computed(text: &str) -> String {
    let value = parsed(text);
    let value = match &value["rows"][0]["value"] {
        serde_json::Value::Null => &value["value"],
        value => value,
    };
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    match number.filter(|number| number.fract() != 0.0) {
        Some(number) => format!("{number:.2}"),
        None => text.to_owned(),
    }
}
