//! Every documented shape of an input, on every kind of database: what it does, or that it is declined and why.

use super::support::TestDatabase;
use crate::connector::databases::dialect::Dialect;
use serde_json::Value;

const TABLES: [&str; 2] = [
    "CREATE TABLE orders (id int PRIMARY KEY, customer_id int, status varchar(20), total decimal(12,2), note varchar(60))",
    "CREATE TABLE counters (name varchar(40) PRIMARY KEY, n int, m int)",
];
const ROWS: &str = r#"{"table":"orders","records":[
    {"id":1,"customer_id":7,"status":"open","total":"10.50","note":"100%"},
    {"id":2,"customer_id":7,"status":"paid","total":20,"note":null},
    {"id":3,"customer_id":8,"status":"open","total":"5.25","note":"Big box"},
    {"id":4,"customer_id":9,"status":"void","total":null,"note":"big"}]}"#;

async fn databases() -> Vec<TestDatabase> {
    let databases = TestDatabase::all().await;
    for database in &databases {
        for table in TABLES {
            database.sql(table).await;
        }
        database.run("insert", ROWS).await;
    }
    databases
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The ids of the rows of a result, in order.
fn ids(text: &str) -> Vec<i64> {
    let value = parsed(text);
    let rows = value["rows"].as_array().unwrap_or_else(|| panic!("no rows: {text}"));
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

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

#[tokio::test]
async fn every_documented_form_of_a_write_is_done() {
    // Operation, input, count of the result, and the rows of `counters` afterwards.
    let writes: &[(&str, &str, i64, &str)] = &[
        (
            "insert",
            r#"{"table":"counters","data":{"name":"c","n":3}}"#,
            1,
            "a1 b2 c3",
        ),
        (
            "insertOne",
            r#"{"table":"counters","data":{"name":"c","n":3}}"#,
            1,
            "a1 b2 c3",
        ),
        (
            "insert",
            r#"{"table":"counters","data":[{"name":"c","n":3},{"name":"d"}]}"#,
            2,
            "a1 b2 c3 d",
        ),
        (
            "insertMany",
            r#"{"collection":"counters","records":[{"name":"c","n":3}]}"#,
            1,
            "a1 b2 c3",
        ),
        (
            "insert",
            r#"{"table":"counters","data":{"name":"a","n":9},"onConflict":{"columns":["name"],"action":"update","update":["n"]}}"#,
            1,
            "a9 b2",
        ),
        (
            "insert",
            r#"{"table":"counters","data":[{"name":"a","n":9},{"name":"c","n":9}],"onConflict":{"columns":["name"],"action":"ignore"}}"#,
            2,
            "a1 b2 c9",
        ),
        (
            "upsert",
            r#"{"table":"counters","data":{"name":"a","n":9},"conflictKeys":["name"]}"#,
            1,
            "a9 b2",
        ),
        (
            "upsert",
            r#"{"table":"counters","data":{"name":"a","n":9,"m":9},"conflictKeys":["name"],"updateColumns":["m"]}"#,
            1,
            "a1 b2",
        ),
        (
            "upsert",
            r#"{"table":"counters","where":{"name":"c"},"data":{"n":3}}"#,
            1,
            "a1 b2 c3",
        ),
        (
            "upsert",
            r#"{"table":"counters","where":{"name":"b"},"data":{"n":3}}"#,
            1,
            "a1 b3",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":7},"where":{"name":"a"}}"#,
            1,
            "a7 b2",
        ),
        (
            "updateMany",
            r#"{"table":"counters","data":{"n":{"$inc":10}},"where":{"n":{"$gt":0}}}"#,
            2,
            "a11 b12",
        ),
        (
            "updateRecords",
            r#"{"entity":"counters","data":{"n":{"$INC":-5}},"where":{"name":"b"}}"#,
            1,
            "a1 b-3",
        ),
        (
            "updateOne",
            r#"{"table":"counters","data":{"n":{"$set":5}},"where":{"name":"b"}}"#,
            1,
            "a1 b5",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$dec":1}},"where":{"name":"b"}}"#,
            1,
            "a1 b1",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$increment":1},"m":{"$inc":4}},"where":{"name":"b"}}"#,
            1,
            "a1 b3",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$decrement":1}},"where":{"name":"b"}}"#,
            1,
            "a1 b1",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$mul":3}},"where":{"name":"b"}}"#,
            1,
            "a1 b6",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$multiply":3}},"where":{"name":"b"}}"#,
            1,
            "a1 b6",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$min":0}},"all":true}"#,
            2,
            "a0 b0",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$max":2}},"all":true}"#,
            2,
            "a2 b2",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$unset":true}},"where":{"name":"a"}}"#,
            1,
            "a b2",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"$inc":{"n":1},"$set":{"m":2}},"where":{"name":"a"}}"#,
            1,
            "a2 b2",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"$unset":["n"]},"where":{"name":"a"}}"#,
            1,
            "a b2",
        ),
        ("delete", r#"{"table":"counters","where":{"name":"a"}}"#, 1, "b2"),
        (
            "deleteMany",
            r#"{"table":"counters","filter":{"n":{"$lt":2}}}"#,
            1,
            "b2",
        ),
        ("deleteOne", r#"{"table":"counters","where":{"name":"b"}}"#, 1, "a1"),
    ];
    for database in databases().await {
        for (operation, input, count, expected) in writes {
            database.run("delete", r#"{"table":"counters","all":true}"#).await;
            let rows = r#"{"table":"counters","data":[{"name":"a","n":1},{"name":"b","n":2}]}"#;
            database.run("insert", rows).await;
            let answer = database.run(operation, input).await;
            assert_eq!(
                parsed(&answer)["count"],
                *count,
                "{:?} {input} {answer}",
                database.dialect
            );
            let left = database.run("find", r#"{"table":"counters","orderBy":"name"}"#).await;
            let left: Vec<String> = parsed(&left)["rows"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| {
                    let n = row["n"].as_i64().map(|n| n.to_string()).unwrap_or_default();
                    format!("{}{n}", row["name"].as_str().unwrap())
                })
                .collect();
            assert_eq!(left.join(" "), *expected, "{:?} {input}", database.dialect);
        }
    }
}

#[tokio::test]
async fn operations_of_one_row_change_one_row() {
    for database in databases().await {
        for (operation, data) in [("updateOne", r#","data":{"note":"one"}"#), ("deleteOne", "")] {
            let input = format!(r#"{{"table":"orders","where":{{"status":"open"}}{data}}}"#);
            let answer = database.run(operation, &input).await;
            assert_eq!(answer, r#"{"count":1}"#, "{:?} {operation}", database.dialect);
        }
        let left = r#"{"table":"orders","where":{"status":"open"}}"#;
        assert_eq!(database.run("count", left).await, r#"{"count":1}"#);
        let nothing = r#"{"table":"orders","where":{"status":"none"}}"#;
        assert_eq!(database.run("deleteOne", nothing).await, r#"{"count":0}"#);
    }
}

#[tokio::test]
async fn one_row_cannot_be_chosen_in_a_table_of_sqlite_without_row_ids() {
    let database = TestDatabase::sqlite();
    database
        .sql("CREATE TABLE plain (id INTEGER PRIMARY KEY, n INTEGER) WITHOUT ROWID")
        .await;
    database
        .run("insert", r#"{"table":"plain","data":[{"id":1},{"id":2}]}"#)
        .await;
    let (code, message) = database
        .refusal("deleteOne", r#"{"table":"plain","where":{"id":1}}"#)
        .await;
    assert!(code == "VALIDATION_ERROR" && message.contains("_rowid_"), "{message}");
}

#[tokio::test]
async fn raw_takes_both_names_of_its_members() {
    for database in databases().await {
        let place = database.per_dialect("$1", "?", "?");
        for member in ["sql", "query"] {
            let input = format!(r#"{{"{member}":"SELECT id FROM orders WHERE id = {place}","params":[2]}}"#);
            assert_eq!(ids(&database.run("raw", &input).await), [2]);
        }
    }
}

#[tokio::test]
async fn what_is_declined_is_named() {
    let declined: &[(&str, &str, &str)] = &[
        (
            "insert",
            r#"{"table":"counters","data":{"name":"x"},"preSave":[]}"#,
            "preSave",
        ),
        (
            "insert",
            r#"{"table":"counters","data":{"name":"x"},"transaction":{}}"#,
            "transaction",
        ),
        (
            "raw",
            r#"{"query":{"status":"active"},"collection":"users"}"#,
            "input.collection",
        ),
        ("raw", r#"{"query":{"status":"active"}}"#, "MongoDB"),
        ("aggregate", r#"{"table":"orders","pipeline":[]}"#, "pipeline"),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$rename":"m"}},"all":true}"#,
            "$rename",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$currentDate":true}},"all":true}"#,
            "$Now()",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$pushh":1}},"all":true}"#,
            "`$push`",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$inc":"x"}},"all":true}"#,
            "$inc takes a number",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$inc":1,"$mul":2}},"all":true}"#,
            "one operator",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":1,"$inc":{"n":1}},"all":true}"#,
            "twice",
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$push":"x"}},"all":true}"#,
            "$push",
        ),
        (
            "update",
            r#"{"table":"counters","data":[{"n":1}],"all":true}"#,
            "takes no list",
        ),
        (
            "insert",
            r#"{"table":"counters","data":{"name":"x","n":{"$inc":1}}}"#,
            "$inc",
        ),
        ("insertOne", r#"{"table":"counters","data":[{"name":"x"}]}"#, "list"),
        (
            "upsert",
            r#"{"table":"counters","where":{"n":{"$gt":1}},"data":{"name":"x"}}"#,
            "input.where",
        ),
        (
            "upsert",
            r#"{"table":"counters","data":{"name":"x"}}"#,
            "conflictColumns",
        ),
        ("count", r#"{"table":"orders","distinct":true}"#, "input.distinct"),
        ("sum", r#"{"table":"orders"}"#, "input.column"),
        ("sum", r#"{"table":"orders","column":"*"}"#, "input.column"),
        (
            "groupBy",
            r#"{"table":"orders","aggregate":{"n":{"$count":"*"}}}"#,
            "input.groupBy",
        ),
        (
            "aggregate",
            r#"{"table":"orders","operations":{"n":{"$median":"id"}}}"#,
            "$median",
        ),
        (
            "aggregate",
            r#"{"table":"orders","operations":{"n":{"$sum":{"column":"id","separator":","}}}}"#,
            "separator",
        ),
        (
            "query",
            r#"{"table":"orders","orderBy":{"column":"id","order":"up"}}"#,
            "'asc' or 'desc'",
        ),
        ("query", r#"{"table":"orders","where":{"$or":{}}}"#, "$or"),
        (
            "query",
            r#"{"table":"orders","where":{"id":{"$containsAny":[]}}}"#,
            "$containsAny",
        ),
        (
            "query",
            r#"{"table":"orders","include":{"relation":"lines"}}"#,
            "include.type",
        ),
        (
            "query",
            r#"{"table":"orders","include":{"relation":"lines","type":"one"}}"#,
            "include.type",
        ),
        ("removeOne", r#"{"table":"orders"}"#, "no operation"),
        ("deleteOn", r#"{"table":"orders"}"#, "`deleteOne`"),
    ];
    for database in databases().await {
        for (operation, input, named) in declined {
            let (code, message) = database.refusal(operation, input).await;
            assert_eq!(code, "VALIDATION_ERROR", "{input} {message}");
            assert!(message.contains(named), "{:?} {input}: {message}", database.dialect);
        }
    }
}
