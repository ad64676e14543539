//! Update operators: exact, atomic, and refused where the column or the database cannot do them.

use super::support::TestDatabase;
use crate::connector::databases::dialect::Dialect;
use serde_json::{Value, json};

async fn column(database: &TestDatabase, column: &str) -> Value {
    let input = format!(r#"{{"table":"t","where":{{"id":1}},"fields":["{column}"]}}"#);
    let row: Value = serde_json::from_str(&database.run("findOne", &input).await).unwrap();
    row[column].clone()
}

async fn change(database: &TestDatabase, data: &str) -> String {
    let input = format!(r#"{{"table":"t","where":{{"id":1}},"data":{data}}}"#);
    database.run("update", &input).await
}

async fn refused(database: &TestDatabase, data: &str) -> String {
    let input = format!(r#"{{"table":"t","where":{{"id":1}},"data":{data}}}"#);
    let (code, message) = database.refusal("update", &input).await;
    assert_eq!(code, "VALIDATION_ERROR", "{:?} {data}: {message}", database.dialect);
    message
}

#[tokio::test]
async fn lists_are_changed_in_place() {
    for database in TestDatabase::all().await {
        let json = database.per_dialect("jsonb", "json", "json");
        database
            .sql(&format!("CREATE TABLE t (id int PRIMARY KEY, l {json})"))
            .await;
        database.run("insert", r#"{"table":"t","data":{"id":1}}"#).await;
        let steps = [
            (r#"{"l":{"$push":"a"}}"#, json!(["a"])),
            (
                r#"{"l":{"$PUSH":{"$each":["b",1,true,{"k":[1]},"b"]}}}"#,
                json!(["a", "b", 1, true, { "k": [1] }, "b"]),
            ),
            (
                r#"{"l":{"$addToSet":"a"}}"#,
                json!(["a", "b", 1, true, { "k": [1] }, "b"]),
            ),
            (r#"{"l":{"$pull":"b"}}"#, json!(["a", 1, true, { "k": [1] }])),
            (
                r#"{"l":{"$ADD_TO_SET":{"$each":["a","c","c",2]}}}"#,
                json!(["a", 1, true, { "k": [1] }, "c", 2]),
            ),
            (
                r#"{"l":{"$pull":{"$in":[true,1]}}}"#,
                json!(["a", { "k": [1] }, "c", 2]),
            ),
            (r#"{"l":{"$pop":1}}"#, json!(["a", { "k": [1] }, "c"])),
            (r#"{"l":{"$pop":-1}}"#, json!([{ "k": [1] }, "c"])),
            (r#"{"l":{"$pull":"nothing"}}"#, json!([{ "k": [1] }, "c"])),
            (
                r#"{"$push":{"l":"it's \" ? $1"}}"#,
                json!([{ "k": [1] }, "c", "it's \" ? $1"]),
            ),
            (r#"{"l":{"$set":[]}}"#, json!([])),
            (r#"{"l":{"$pop":1}}"#, json!([])),
            (r#"{"l":{"$addToSet":"x"}}"#, json!(["x"])),
            (r#"{"l":{"$unset":""}}"#, Value::Null),
            (r#"{"l":{"$pull":"x"}}"#, Value::Null),
            (r#"{"l":{"$addToSet":"x"}}"#, json!(["x"])),
        ];
        for (data, expected) in steps {
            assert_eq!(change(&database, data).await, r#"{"count":1}"#);
            assert_eq!(column(&database, "l").await, expected, "{:?} {data}", database.dialect);
        }
        change(&database, r#"{"l":{"$set":{"no":"list"}}}"#).await;
        for data in [
            r#"{"l":{"$push":"a"}}"#,
            r#"{"l":{"$addToSet":"a"}}"#,
            r#"{"l":{"$pull":"a"}}"#,
            r#"{"l":{"$pop":1}}"#,
        ] {
            refused(&database, data).await;
            assert_eq!(
                column(&database, "l").await,
                json!({ "no": "list" }),
                "{:?} {data}",
                database.dialect
            );
        }
        assert!(refused(&database, r#"{"l":{"$pull":{"k":1}}}"#).await.contains("$pull"));
        assert!(refused(&database, r#"{"id":{"$push":1}}"#).await.contains("$push"));
    }
}

#[tokio::test]
async fn arrays_of_postgresql_are_changed_in_place() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    database
        .sql("CREATE TABLE t (id int PRIMARY KEY, l text[], n bigint[])")
        .await;
    database
        .run("insert", r#"{"table":"t","data":{"id":1,"n":[1,2]}}"#)
        .await;
    for (data, of, expected) in [
        (r#"{"l":{"$push":"a"}}"#, "l", json!(["a"])),
        (
            r#"{"l":{"$push":{"$each":["b","{}\""]}}}"#,
            "l",
            json!(["a", "b", "{}\""]),
        ),
        (
            r#"{"l":{"$addToSet":{"$each":["a","c"]}}}"#,
            "l",
            json!(["a", "b", "{}\"", "c"]),
        ),
        (r#"{"l":{"$pull":"b"}}"#, "l", json!(["a", "{}\"", "c"])),
        (r#"{"l":{"$pop":-1}}"#, "l", json!(["{}\"", "c"])),
        (r#"{"n":{"$addToSet":3},"l":{"$pop":1}}"#, "n", json!([1, 2, 3])),
        (r#"{"n":{"$pull":{"$in":[1,3]}}}"#, "n", json!([2])),
        (r#"{"n":{"$pop":1}}"#, "n", json!([])),
        (r#"{"n":{"$pop":1}}"#, "n", json!([])),
    ] {
        change(&database, data).await;
        assert_eq!(column(&database, of).await, expected, "{data}");
    }
    assert!(
        refused(&database, r#"{"n":{"$push":"x"}}"#)
            .await
            .contains("PostgreSQL")
    );
    for (filter, expected) in [
        (r#"{"l":{"$containsAll":["{}\""]}}"#, 1),
        (r#"{"l":{"$containsAny":["x","{}\""]}}"#, 1),
        (r#"{"l":{"$containsAll":["x","{}\""]}}"#, 0),
    ] {
        let counted = database
            .run("count", &format!(r#"{{"table":"t","where":{filter}}}"#))
            .await;
        assert_eq!(counted, format!(r#"{{"count":{expected}}}"#), "{filter}");
    }
}

#[tokio::test]
async fn lists_in_json_are_searched() {
    for database in TestDatabase::all().await {
        let json = database.per_dialect("jsonb", "json", "json");
        database
            .sql(&format!("CREATE TABLE t (id int PRIMARY KEY, l {json})"))
            .await;
        let rows = r#"{"table":"t","data":[{"id":1,"l":["a","b",1]},{"id":2,"l":["b"]},{"id":3,"l":null}]}"#;
        database.run("insert", rows).await;
        for (filter, expected) in [
            (r#"{"$containsAll":["a",1]}"#, 1),
            (r#"{"$CONTAINS_ALL":["b"]}"#, 2),
            (r#"{"$containsAny":["a","zzz"]}"#, 1),
            (r#"{"$containsAny":["x","b"]}"#, 2),
            (r#"{"$containsAll":["a","x"]}"#, 0),
        ] {
            let counted = database
                .run("count", &format!(r#"{{"table":"t","where":{{"l":{filter}}}}}"#))
                .await;
            assert_eq!(
                counted,
                format!(r#"{{"count":{expected}}}"#),
                "{:?} {filter}",
                database.dialect
            );
        }
    }
}

#[tokio::test]
async fn numbers_are_changed_exactly_or_not_at_all() {
    for database in TestDatabase::all().await {
        database
            .sql("CREATE TABLE t (id int PRIMARY KEY, n int, big bigint, d decimal(20,2))")
            .await;
        database
            .run(
                "insert",
                r#"{"table":"t","data":{"id":1,"n":5,"big":"9007199254740993"}}"#,
            )
            .await;
        change(&database, r#"{"big":{"$inc":2}}"#).await;
        assert_eq!(
            column(&database, "big").await,
            json!("9007199254740995"),
            "{:?}",
            database.dialect
        );
        // Neither rounded nor stored as the operator.
        refused(&database, r#"{"n":{"$inc":1.5}}"#).await;
        assert_eq!(column(&database, "n").await, json!(5));
        change(&database, r#"{"big":{"$set":"9223372036854775807"}}"#).await;
        refused(&database, r#"{"big":{"$inc":1}}"#).await;
        assert_eq!(column(&database, "big").await, json!("9223372036854775807"));
        if database.dialect == Dialect::Sqlite {
            assert!(
                refused(&database, r#"{"d":{"$inc":"0.1"}}"#)
                    .await
                    .contains("not exact")
            );
            continue;
        }
        change(&database, r#"{"d":"12345678901234567.10"}"#).await;
        change(&database, r#"{"d":{"$inc":"0.20"}}"#).await;
        assert_eq!(
            column(&database, "d").await,
            json!("12345678901234567.30"),
            "{:?}",
            database.dialect
        );
        change(&database, r#"{"d":{"$min":"9.5"}}"#).await;
        assert_eq!(column(&database, "d").await, json!("9.50"), "{:?}", database.dialect);
        change(&database, r#"{"d":{"$max":"10"}}"#).await;
        assert_eq!(column(&database, "d").await, json!("10.00"), "{:?}", database.dialect);
        change(&database, r#"{"d":{"$mul":"1.1"}}"#).await;
        assert_eq!(column(&database, "d").await, json!("11.00"), "{:?}", database.dialect);
    }
}

#[tokio::test]
async fn missing_values_count_as_nothing() {
    for database in TestDatabase::all().await {
        let time = database.per_dialect("timestamptz", "datetime(3)", "timestamp");
        database
            .sql(&format!(
                "CREATE TABLE t (id int PRIMARY KEY, n int, s varchar(20), at {time})"
            ))
            .await;
        database.run("insert", r#"{"table":"t","data":{"id":1}}"#).await;
        for (data, of, expected) in [
            (r#"{"n":{"$inc":2}}"#, "n", json!(2)),
            (r#"{"n":{"$unset":true}}"#, "n", Value::Null),
            (r#"{"n":{"$dec":2}}"#, "n", json!(-2)),
            (r#"{"s":{"$min":"m"}}"#, "s", json!("m")),
            (r#"{"s":{"$max":"z"}}"#, "s", json!("z")),
            (
                r#"{"at":{"$max":"2026-01-31T09:00:00.500Z"}}"#,
                "at",
                json!("2026-01-31T09:00:00.500Z"),
            ),
            (
                r#"{"at":{"$max":1769850000000}}"#,
                "at",
                json!("2026-01-31T09:00:00.500Z"),
            ),
            (
                r#"{"at":{"$min":1769850000000}}"#,
                "at",
                json!("2026-01-31T09:00:00.000Z"),
            ),
        ] {
            change(&database, data).await;
            assert_eq!(column(&database, of).await, expected, "{:?} {data}", database.dialect);
        }
    }
}

#[tokio::test]
async fn increments_of_many_jobs_at_once_all_count() {
    for database in TestDatabase::all().await {
        database.sql("CREATE TABLE t (id int PRIMARY KEY, n int)").await;
        database.run("insert", r#"{"table":"t","data":{"id":1,"n":0}}"#).await;
        let jobs = (0..20).map(|_| change(&database, r#"{"n":{"$inc":1}}"#));
        futures_util::future::join_all(jobs).await;
        assert_eq!(column(&database, "n").await, json!(20), "{:?}", database.dialect);
    }
}

#[tokio::test]
async fn marked_value_is_no_operator() {
    use crate::connector::databases::json::Json;
    use crate::connector::databases::request;
    for database in TestDatabase::all().await {
        database.sql("CREATE TABLE t (id int PRIMARY KEY, n int)").await;
        database.run("insert", r#"{"table":"t","data":{"id":1,"n":1}}"#).await;
        let input = r#"{"table":"t","where":{"id":1},"data":{"n":{"$literal":{"$inc":1}}}}"#;
        let input = Json::read_marked(input).unwrap().with_marked_fields();
        let operation = request::read("update", &input, database.connector.context()).unwrap();
        let timeout = std::time::Duration::from_secs(5);
        let failure = database
            .connector
            .run_operation(&operation, timeout, "run")
            .await
            .unwrap_err();
        assert_eq!(&*failure.code, "VALIDATION_ERROR", "{:?}", database.dialect);
        assert_eq!(column(&database, "n").await, json!(1));
    }
}

#[tokio::test]
async fn bytes_in_json_are_the_object_that_names_them() {
    for database in TestDatabase::all().await {
        let json = database.per_dialect("jsonb", "json", "json");
        let table = format!("CREATE TABLE t (id int PRIMARY KEY, n {json})");
        database.sql(&table).await;
        database.run("insert", r#"{"table":"t","data":{"id":1,"n":[]}}"#).await;
        for bytes in ["AA==", "AQ==", "WzFd", "AP+A"] {
            change(&database, &format!(r#"{{"n":{{"$push":{{"$bytes":"{bytes}"}}}}}}"#)).await;
        }
        let expected = json!([{ "$bytes": "AA==" }, { "$bytes": "AQ==" }, { "$bytes": "WzFd" }, { "$bytes": "AP+A" }]);
        assert_eq!(column(&database, "n").await, expected, "{:?}", database.dialect);
        change(&database, r#"{"n":{"$bytes":"AQ=="}}"#).await;
        assert_eq!(
            column(&database, "n").await,
            json!({ "$bytes": "AQ==" }),
            "{:?}",
            database.dialect
        );
    }
}
