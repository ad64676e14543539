//! Writing, `raw`, and what is declined.

use super::{databases, ids, parsed};
use crate::connector::databases::tests::support::TestDatabase;

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
