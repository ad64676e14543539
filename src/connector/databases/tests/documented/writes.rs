//! Writing, and `raw`.

use super::{Declines, Differences, EVERY, Is, SQL, Shape, databases, ids, parsed};
use crate::connector::databases::dialect::Dialect::{Dynamo, Mongo, MySql, Postgres};
use crate::connector::databases::tests::support::TestDatabase;

/// Two counters, and nothing else.
async fn reset(database: &TestDatabase) {
    database.run("delete", r#"{"table":"counters","all":true}"#).await;
    let rows = r#"{"table":"counters","data":[{"name":"a","n":1},{"name":"b","n":2}]}"#;
    database.run("insert", rows).await;
}

/// Names and numbers of the counters.
async fn counters(database: &TestDatabase) -> String {
    let left = database.run("find", r#"{"table":"counters"}"#).await;
    let mut left: Vec<String> = parsed(&left)["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let n = row["n"].as_i64().map(|n| n.to_string()).unwrap_or_default();
            format!("{}{n}", row["name"].as_str().unwrap())
        })
        .collect();
    left.sort_unstable();
    left.join(" ")
}

#[tokio::test]
async fn every_documented_form_of_a_write_is_done() {
    // Count of the result, and the counters afterwards.
    let writes: &[Shape<'_>] = &[
        (
            "insert",
            r#"{"table":"counters","data":{"name":"c","n":3}}"#,
            &[(EVERY, Is("1: a1 b2 c3"))],
        ),
        (
            "insertOne",
            r#"{"table":"counters","data":{"name":"c","n":3}}"#,
            &[(EVERY, Is("1: a1 b2 c3"))],
        ),
        (
            "insert",
            r#"{"table":"counters","data":[{"name":"c","n":3},{"name":"d"}]}"#,
            &[(EVERY, Is("2: a1 b2 c3 d"))],
        ),
        (
            "insertMany",
            r#"{"collection":"counters","records":[{"name":"c","n":3}]}"#,
            &[(EVERY, Is("1: a1 b2 c3"))],
        ),
        (
            "insert",
            r#"{"table":"counters","data":{"name":"a","n":9},"onConflict":{"columns":["name"],"action":"update","update":["n"]}}"#,
            &[(EVERY, Is("1: a9 b2"))],
        ),
        (
            "insert",
            r#"{"table":"counters","data":[{"name":"a","n":9},{"name":"c","n":9}],"onConflict":{"columns":["name"],"action":"ignore"}}"#,
            &[(EVERY, Is("2: a1 b2 c9"))],
        ),
        (
            "upsert",
            r#"{"table":"counters","data":{"name":"a","n":9},"conflictKeys":["name"]}"#,
            &[(EVERY, Is("1: a9 b2"))],
        ),
        (
            "upsert",
            r#"{"table":"counters","data":{"name":"a","n":9,"m":9},"conflictKeys":["name"],"updateColumns":["m"]}"#,
            &[(EVERY, Is("1: a1 b2"))],
        ),
        (
            "upsert",
            r#"{"table":"counters","where":{"name":"c"},"data":{"n":3}}"#,
            &[(EVERY, Is("1: a1 b2 c3"))],
        ),
        (
            "upsert",
            r#"{"table":"counters","where":{"name":"b"},"data":{"n":3}}"#,
            &[(EVERY, Is("1: a1 b3"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":7},"where":{"name":"a"}}"#,
            &[(EVERY, Is("1: a7 b2"))],
        ),
        (
            "updateMany",
            r#"{"table":"counters","data":{"n":{"$inc":10}},"where":{"n":{"$gt":0}}}"#,
            &[(EVERY, Is("2: a11 b12"))],
        ),
        (
            "updateRecords",
            r#"{"entity":"counters","data":{"n":{"$INC":-5}},"where":{"name":"b"}}"#,
            &[(EVERY, Is("1: a1 b-3"))],
        ),
        (
            "updateOne",
            r#"{"table":"counters","data":{"n":{"$set":5}},"where":{"name":"b"}}"#,
            &[(EVERY, Is("1: a1 b5"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$dec":1}},"where":{"name":"b"}}"#,
            &[(EVERY, Is("1: a1 b1"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$increment":1},"m":{"$inc":4}},"where":{"name":"b"}}"#,
            &[(EVERY, Is("1: a1 b3"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$decrement":1}},"where":{"name":"b"}}"#,
            &[(EVERY, Is("1: a1 b1"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$mul":3}},"where":{"name":"b"}}"#,
            &[(&[Dynamo], Declines("cannot do $mul of")), (EVERY, Is("1: a1 b6"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$multiply":3}},"where":{"name":"b"}}"#,
            &[(&[Dynamo], Declines("cannot do $mul of")), (EVERY, Is("1: a1 b6"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$min":0}},"all":true}"#,
            &[(&[Dynamo], Declines("cannot do $min of")), (EVERY, Is("2: a0 b0"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$max":2}},"all":true}"#,
            &[(&[Dynamo], Declines("cannot do $max of")), (EVERY, Is("2: a2 b2"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$unset":true}},"where":{"name":"a"}}"#,
            &[(EVERY, Is("1: a b2"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"$inc":{"n":1},"$set":{"m":2}},"where":{"name":"a"}}"#,
            &[(EVERY, Is("1: a2 b2"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"$unset":["n"]},"where":{"name":"a"}}"#,
            &[(EVERY, Is("1: a b2"))],
        ),
        (
            "delete",
            r#"{"table":"counters","where":{"name":"a"}}"#,
            &[(EVERY, Is("1: b2"))],
        ),
        (
            "deleteMany",
            r#"{"table":"counters","filter":{"n":{"$lt":2}}}"#,
            &[(EVERY, Is("1: b2"))],
        ),
        (
            "deleteOne",
            r#"{"table":"counters","where":{"name":"b"}}"#,
            &[(EVERY, Is("1: a1"))],
        ),
        (
            "insert",
            r#"{"table":"counters","records":[{"name":"c","n":3}]}"#,
            &[(EVERY, Is("1: a1 b2 c3"))],
        ),
        (
            "updateMany",
            r#"{"table":"counters","data":{"$INC":{"n":1},"$SET":{"m":2}},"where":{"name":"a"}}"#,
            &[(EVERY, Is("1: a2 b2"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$MUL":3}},"where":{"name":"b"}}"#,
            &[(&[Dynamo], Declines("cannot do $mul of")), (EVERY, Is("1: a1 b6"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$MIN":0}},"all":true}"#,
            &[(&[Dynamo], Declines("cannot do $min of")), (EVERY, Is("2: a0 b0"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$MAX":2}},"all":true}"#,
            &[(&[Dynamo], Declines("cannot do $max of")), (EVERY, Is("2: a2 b2"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$UNSET":true}},"where":{"name":"a"}}"#,
            &[(EVERY, Is("1: a b2"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$rename":"m"}},"where":{"name":"a"}}"#,
            &[(&[Mongo], Is("1: a b2")), (EVERY, Declines("$rename"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"m":{"$currentDate":true}},"where":{"name":"a"}}"#,
            &[
                (&[Mongo], Is("1: a1 b2")),
                (SQL, Declines("$Now()")),
                (EVERY, Declines("$currentDate")),
            ],
        ),
        (
            "delete",
            r#"{"table":"counters","where":{"$or":[{"name":"a"},{"n":2}]}}"#,
            &[(EVERY, Is("2: "))],
        ),
        (
            "deleteMany",
            r#"{"collection":"counters","filter":{"n":{"$LT":2}}}"#,
            &[(EVERY, Is("1: b2"))],
        ),
    ];
    let mut differences = Differences::default();
    for database in databases().await {
        for shape in writes {
            reset(&database).await;
            let answer = database.try_run(shape.0, shape.1).await;
            let left = counters(&database).await;
            differences.compare(&database, shape, answer, |text| {
                format!("{}: {left}", parsed(text)["count"])
            });
        }
    }
    differences.end();
}

#[tokio::test]
async fn every_documented_write_returns_its_rows() {
    const OF_ONE: &str = "MongoDB returns documents of insert, upsert, updateOne and deleteOne";
    const NO_ROWS: (&[super::Dialect], super::Outcome) = (&[MySql], Declines("MySQL returns no rows"));
    let writes: &[Shape<'_>] = &[
        (
            "insert",
            r#"{"table":"counters","data":{"name":"c","n":3},"returning":["name","n"]}"#,
            &[NO_ROWS, (EVERY, Is(r#"{"count":1,"rows":[{"name":"c","n":3}]}"#))],
        ),
        (
            "upsert",
            r#"{"table":"counters","data":{"name":"a","n":3},"conflictKeys":["name"],"returning":["name","n"]}"#,
            &[NO_ROWS, (EVERY, Is(r#"{"count":1,"rows":[{"name":"a","n":3}]}"#))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$inc":1}},"where":{"name":"a"},"returning":["name","n"]}"#,
            &[
                NO_ROWS,
                (&[Mongo], Declines(OF_ONE)),
                (EVERY, Is(r#"{"count":1,"rows":[{"name":"a","n":2}]}"#)),
            ],
        ),
        (
            "updateOne",
            r#"{"table":"counters","data":{"n":{"$inc":1}},"where":{"name":"a"},"returning":["name","n"]}"#,
            &[NO_ROWS, (EVERY, Is(r#"{"count":1,"rows":[{"name":"a","n":2}]}"#))],
        ),
        (
            "delete",
            r#"{"table":"counters","where":{"name":"a"},"returning":["name","n"]}"#,
            &[
                NO_ROWS,
                (&[Mongo], Declines(OF_ONE)),
                (EVERY, Is(r#"{"count":1,"rows":[{"name":"a","n":1}]}"#)),
            ],
        ),
        (
            "deleteOne",
            r#"{"table":"counters","where":{"name":"a"},"returning":["name","n"]}"#,
            &[NO_ROWS, (EVERY, Is(r#"{"count":1,"rows":[{"name":"a","n":1}]}"#))],
        ),
        (
            "delete",
            r#"{"table":"counters","where":{"name":"a"},"returning":false}"#,
            &[(EVERY, Is(r#"{"count":1}"#))],
        ),
    ];
    let mut differences = Differences::default();
    for database in databases().await {
        for shape in writes {
            reset(&database).await;
            let answer = database.try_run(shape.0, shape.1).await;
            differences.compare(&database, shape, answer, ToString::to_string);
        }
    }
    differences.end();
}

#[tokio::test]
async fn every_documented_change_of_a_list_is_done() {
    // The list `["a","b"]` afterwards. DynamoDB takes elements from sets alone.
    let changes: &[Shape<'_>] = &[
        ("$push", r#""c""#, &[(EVERY, Is(r#"["a","b","c"]"#))]),
        (
            "$PUSH",
            r#"{"$each":["c","d"]}"#,
            &[(EVERY, Is(r#"["a","b","c","d"]"#))],
        ),
        (
            "$pull",
            r#""a""#,
            &[(&[Dynamo], Declines("does not fit")), (EVERY, Is(r#"["b"]"#))],
        ),
        (
            "$PULL",
            r#"{"$in":["a","b"]}"#,
            &[(&[Dynamo], Declines("does not fit")), (EVERY, Is("[]"))],
        ),
        ("$addToSet", r#""a""#, &[(EVERY, Is(r#"["a","b"]"#))]),
        ("$ADD_TO_SET", r#""c""#, &[(EVERY, Is(r#"["a","b","c"]"#))]),
        (
            "$pop",
            "1",
            &[(&[Dynamo], Declines("cannot do $pop of")), (EVERY, Is(r#"["a"]"#))],
        ),
        (
            "$POP",
            "-1",
            &[(&[Dynamo], Declines("cannot do $pop of")), (EVERY, Is(r#"["b"]"#))],
        ),
        ("$set", r#"["x"]"#, &[(EVERY, Is(r#"["x"]"#))]),
        ("$unset", "true", &[(EVERY, Is("null"))]),
    ];
    let mut differences = Differences::default();
    for database in databases().await {
        for shape in changes {
            let before = r#"{"table":"orders","where":{"id":1},"data":{"tags":{"$set":["a","b"]}}}"#;
            database.run("update", before).await;
            let (operator, of, _) = shape;
            let input = format!(r#"{{"table":"orders","where":{{"id":1}},"data":{{"tags":{{"{operator}":{of}}}}}}}"#);
            let answer = database.try_run("update", &input).await;
            let row = database.run("findOne", r#"{"table":"orders","where":{"id":1}}"#).await;
            differences.compare(&database, shape, answer, |_| parsed(&row)["tags"].to_string());
        }
    }
    differences.end();
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
async fn raw_takes_every_form_of_its_database() {
    for database in databases().await {
        let table = database.name("orders");
        let forms = match database.dialect {
            Mongo => vec![
                r#"{"collection":"orders","query":{"customer_id":7,"status":"paid"}}"#.to_owned(),
                r#"{"entity":"orders","query":{"$expr":{"$eq":["$status","paid"]}}}"#.to_owned(),
                r#"{"command":{"find":"orders","filter":{"status":"paid"}}}"#.to_owned(),
            ],
            Dynamo => ["sql", "query", "statement"]
                .iter()
                .map(|member| format!(r#"{{"{member}":"SELECT id FROM \"{table}\" WHERE id = ?","params":[2]}}"#))
                .chain([format!(
                    r#"{{"operation":"Query","params":{{"TableName":"{table}","KeyConditionExpression":"id = :i","ExpressionAttributeValues":{{":i":{{"N":"2"}}}}}}}}"#
                )])
                .collect(),
            dialect => {
                let place = if dialect == Postgres { "$1" } else { "?" };
                let form = |member| format!(r#"{{"{member}":"SELECT id FROM orders WHERE id = {place}","params":[2]}}"#);
                vec![form("sql"), form("query")]
            }
        };
        for input in forms {
            assert_eq!(ids(&database.run("raw", &input).await, false), "2", "{input}");
        }
    }
}
