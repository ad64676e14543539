//! Reading and computing.

use super::{databases, ids, parsed};
use crate::connector::databases::dialect::Dialect;

#[tokio::test]
async fn every_documented_filter_finds_its_rows() {
    let filters: &[(&str, &[i64])] = &[
        (r#"{"status":"open"}"#, &[1, 3]),
        (r#"{"status":"open","customer_id":8}"#, &[3]),
        (r#"{"total":{"$gt":5.25}}"#, &[1, 2]),
        (r#"{"total":{"$GTE":5.25,"$LT":20}}"#, &[1, 3]),
        (r#"{"total":{"$lte":"10.50"}}"#, &[1, 3]),
        (r#"{"status":{"$ne":"open"}}"#, &[2, 4]),
        (r#"{"status":{"$NE":"open"}}"#, &[2, 4]),
        (r#"{"status":{"$not":"open"}}"#, &[2, 4]),
        (r#"{"status":{"$NOT":{"$IN":["open"]}}}"#, &[2, 4]),
        (r#"{"status":{"$eq":"paid"}}"#, &[2]),
        (r#"{"status":{"$in":["paid","void"]}}"#, &[2, 4]),
        (r#"{"status":{"$nin":["paid","void"]}}"#, &[1, 3]),
        (r#"{"status":{"$NOT_IN":["paid","void"]}}"#, &[1, 3]),
        (r#"{"note":{"$like":"%box"}}"#, &[3]),
        (r#"{"note":{"$ilike":"BIG%"}}"#, &[3, 4]),
        (r#"{"note":{"$isNull":true}}"#, &[2]),
        (r#"{"note":{"$IS_NULL":true}}"#, &[2]),
        (r#"{"note":{"$isNotNull":true}}"#, &[1, 3, 4]),
        (r#"{"note":{"$IS_NOT_NULL":true}}"#, &[1, 3, 4]),
        (r#"{"note":{"$null":true}}"#, &[2]),
        (r#"{"note":{"$null":false}}"#, &[1, 3, 4]),
        (r#"{"note":{"$exists":true}}"#, &[1, 3, 4]),
        (r#"{"note":{"$exists":false}}"#, &[2]),
        (r#"{"id":{"$between":[2,3]}}"#, &[2, 3]),
        (r#"{"id":{"$BETWEEN":[2,3]}}"#, &[2, 3]),
        (r#"{"note":{"$contains":"0%"}}"#, &[1]),
        (r#"{"note":{"$CONTAINS":"ox"}}"#, &[3]),
        (r#"{"note":{"$startsWith":"Big b"}}"#, &[3]),
        (r#"{"note":{"$endsWith":"box"}}"#, &[3]),
        (r#"{"$and":{"status":"open","total":{"$gte":5,"$lte":6}}}"#, &[3]),
        (r#"{"$and":[{"status":"open"},{"customer_id":7}]}"#, &[1]),
        (r#"{"$AND":{"status":"open","customer_id":7}}"#, &[1]),
        (r#"{"$or":{"status":"paid","customer_id":9}}"#, &[2, 4]),
        (r#"{"$OR":{"status":"paid","customer_id":9}}"#, &[2, 4]),
        (r#"{"$or":[{"status":"paid"},{"customer_id":9}]}"#, &[2, 4]),
        (r#"{"$or":{"$and":{"status":"open","id":1},"id":4}}"#, &[1, 4]),
        (r#"{"$nor":[{"status":"open"},{"status":"void"}]}"#, &[2]),
        (r#"{"$nor":{"status":"open","id":4}}"#, &[2]),
        (
            r#"{"$and":[{"total":{"$gt":1}},{"$or":[{"status":"paid"},{"id":3}]}]}"#,
            &[2, 3],
        ),
        (r#"{"note":{"$regex":"^Big b"}}"#, &[3]),
    ];
    for database in databases().await {
        for (filter, expected) in filters {
            for member in ["where", "filter"] {
                let input = format!(r#"{{"table":"orders","select":["id"],"orderBy":"id","{member}":{filter}}}"#);
                if filter.contains("$regex") && database.dialect == Dialect::Sqlite {
                    let (code, message) = database.refusal("query", &input).await;
                    assert!(code == "VALIDATION_ERROR" && message.contains("$regex"), "{message}");
                    continue;
                }
                let found = database.run("query", &input).await;
                assert_eq!(ids(&found), *expected, "{:?} {input}", database.dialect);
            }
        }
    }
}

#[tokio::test]
async fn every_documented_form_of_a_query_is_taken() {
    let queries: &[(&str, &str, &[i64])] = &[
        (
            "query",
            r#"{"table":"orders","orderBy":{"column":"id","order":"DESC"},"limit":2}"#,
            &[4, 3],
        ),
        (
            "find",
            r#"{"entity":"orders","orderBy":{"field":"id","direction":"desc"},"limit":1}"#,
            &[4],
        ),
        (
            "findMany",
            r#"{"collection":"orders","orderBy":{"id":"desc"},"offset":3}"#,
            &[1],
        ),
        (
            "query",
            r#"{"table":"orders","orderBy":[{"column":"customer_id","order":"DESC"},{"column":"id","order":"ASC"}]}"#,
            &[4, 3, 1, 2],
        ),
        (
            "query",
            r#"{"table":"orders","orderBy":[{"column":"id"}],"limit":1,"offset":1}"#,
            &[2],
        ),
        (
            "query",
            r#"{"table":"orders","orderBy":["customer_id",{"id":-1}]}"#,
            &[2, 1, 3, 4],
        ),
    ];
    for database in databases().await {
        for (operation, input, expected) in queries {
            let found = database.run(operation, input).await;
            assert_eq!(ids(&found), *expected, "{:?} {input}", database.dialect);
        }
    }
}

#[tokio::test]
async fn every_documented_form_of_an_aggregate_is_computed() {
    let results: &[(&str, &str, &str)] = &[
        ("count", r#"{"table":"orders"}"#, r#"{"count":4}"#),
        (
            "count",
            r#"{"table":"orders","where":{"status":"open"}}"#,
            r#"{"count":2}"#,
        ),
        ("count", r#"{"table":"orders","column":"note"}"#, r#"{"count":3}"#),
        (
            "count",
            r#"{"entity":"orders","field":"status","distinct":true}"#,
            r#"{"count":3}"#,
        ),
        ("min", r#"{"table":"orders","column":"id"}"#, r#"{"value":1}"#),
        (
            "max",
            r#"{"table":"orders","column":"id","where":{"status":"open"}}"#,
            r#"{"value":3}"#,
        ),
        (
            "aggregate",
            r#"{"table":"orders","operation":"max","column":"id"}"#,
            r#"{"value":4}"#,
        ),
        (
            "aggregate",
            r#"{"table":"orders","operation":"count"}"#,
            r#"{"count":4}"#,
        ),
        (
            "aggregate",
            r#"{"table":"orders","operations":{"n":{"$count":"*"},"low":{"$MIN":"id"},"high":{"$max":"id"}},"where":{"status":"open"}}"#,
            r#"{"rows":[{"n":2,"low":1,"high":3}],"count":1}"#,
        ),
        (
            "aggregate",
            r#"{"entity":"orders","aggregations":[{"type":"count","alias":"n"},{"type":"max","field":"id","alias":"high"}]}"#,
            r#"{"rows":[{"n":4,"high":4}],"count":1}"#,
        ),
        (
            "aggregate",
            r#"{"table":"orders","aggregate":{"kinds":{"$count":{"column":"status","distinct":true}}}}"#,
            r#"{"rows":[{"kinds":3}],"count":1}"#,
        ),
        (
            "groupBy",
            r#"{"table":"orders","groupBy":["customer_id"],"aggregate":{"n":{"$count":"*"}},"having":{"n":{"$gt":1}}}"#,
            r#"{"rows":[{"customer_id":7,"n":2}],"count":1}"#,
        ),
        (
            "groupBy",
            r#"{"table":"orders","groupBy":"status","aggregate":{"n":{"$COUNT":"*"}},"orderBy":{"column":"n","order":"DESC"},"limit":1}"#,
            r#"{"rows":[{"status":"open","n":2}],"count":1}"#,
        ),
        (
            "groupBy",
            r#"{"table":"orders","groupBy":["customer_id"],"where":{"id":3},"aggregate":{
                "a":{"$stringAgg":{"column":"id","separator":"; "}},"b":{"$groupConcat":{"column":"status","separator":""}},"c":{"$arrayAgg":"id"}}}"#,
            r#"{"rows":[{"customer_id":8,"a":"3","b":"open","c":[3]}],"count":1}"#,
        ),
    ];
    for database in databases().await {
        for (operation, input, expected) in results {
            assert_eq!(
                &database.run(operation, input).await,
                expected,
                "{:?} {input}",
                database.dialect
            );
        }
        for (operation, number) in [("sum", 35.75), ("avg", 35.75 / 3.0)] {
            let input = r#"{"table":"orders","column":"total"}"#;
            let value = parsed(&database.run(operation, input).await)["value"].clone();
            let value = value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap();
            assert!(
                (value - number).abs() < 0.01,
                "{:?} {operation} {value}",
                database.dialect
            );
        }
        let joined = r#"{"table":"orders","aggregate":{"all":{"$stringAgg":{"column":"status","separator":"'--"}},"ids":{"$arrayAgg":"id"}}}"#;
        let row = parsed(&database.run("aggregate", joined).await)["rows"][0].clone();
        let mut parts: Vec<&str> = row["all"].as_str().unwrap().split("'--").collect();
        parts.sort_unstable();
        assert_eq!(parts, ["open", "open", "paid", "void"], "{:?}", database.dialect);
        assert_eq!(row["ids"].as_array().unwrap().len(), 4);
    }
}
