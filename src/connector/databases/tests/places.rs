//! Errors say where: the column or the filter, the operator, what was found, and what to do.

use super::support::{TestDatabase, open, run};
use crate::connector::databases::dialect::Dialect;
use crate::resources::DatabaseKind;

/// Asserts that a refused operation says all of these.
async fn says(database: &TestDatabase, operation: &str, input: &str, words: &[&str]) {
    let (code, message) = database.refusal(operation, input).await;
    let all = words.iter().all(|word| message.contains(word));
    assert!(
        code == "VALIDATION_ERROR" && all && !message.contains("s3cret"),
        "{:?} {input}: {code} {message}, not {words:?}",
        database.dialect
    );
}

#[tokio::test]
async fn value_that_fits_no_column_is_named_with_its_place() {
    for database in TestDatabase::all().await {
        database
            .sql("CREATE TABLE fits (id int, n int, at timestamp NULL)")
            .await;
        let several = r#"{"table":"fits","data":[{"id":1,"n":2},{"id":2,"n":"s3cret"}]}"#;
        says(&database, "insertMany", several, &["input.data.n: ", "got a string"]).await;
        for (operation, input, place) in [
            (
                "insert",
                r#"{"table":"fits","data":{"id":1,"n":"s3cret"}}"#,
                "input.data.n: ",
            ),
            (
                "update",
                r#"{"table":"fits","all":true,"data":{"id":1,"n":"s3cret"}}"#,
                "input.data.n: ",
            ),
            (
                "find",
                r#"{"table":"fits","where":{"id":1,"n":{"$gt":"s3cret"}}}"#,
                "the filter of 'n': ",
            ),
            (
                "insert",
                r#"{"table":"fits","data":{"id":1,"at":"s3cret"}}"#,
                "input.data.at: ",
            ),
            (
                "find",
                r#"{"table":"fits","where":{"$or":[{"id":1},{"at":"s3cret"}]}}"#,
                "the filter of 'at': ",
            ),
            (
                "find",
                r#"{"table":"fits","where":{"n":{"$in":[1,{"a":"s3cret"}]}}}"#,
                "the filter of 'n': ",
            ),
        ] {
            says(&database, operation, input, &[place]).await;
        }
        if database.dialect == Dialect::Postgres {
            says(
                &database,
                "insert",
                r#"{"table":"fits","data":{"n":"s3cret"}}"#,
                &["int4", "22P02"],
            )
            .await;
            says(
                &database,
                "find",
                r#"{"table":"fits","where":{"id":1,"n":{"$like":"a%"}}}"#,
                &["column 'n'"],
            )
            .await;
            says(
                &database,
                "raw",
                r#"{"sql":"SELECT $1::text, $2::int","params":["a","s3cret"]}"#,
                &["parameter $2: "],
            )
            .await;
        }
    }
}

#[tokio::test]
async fn operator_that_does_not_fit_its_column_is_named() {
    for database in TestDatabase::all().await {
        database
            .sql(database.per_dialect(
                "CREATE TABLE fits (id int, name text, at timestamptz, big bigint, tags jsonb)",
                "CREATE TABLE fits (id int, name text, at timestamp NULL, big bigint, tags json)",
                "CREATE TABLE fits (id INTEGER, name TEXT, at TIMESTAMP, big BIGINT, tags JSON)",
            ))
            .await;
        let row =
            r#"{"table":"fits","data":{"id":1,"name":"s3cret","big":"9223372036854775807","tags":{"$json":null}}}"#;
        database.run("insert", row).await;
        let change = |change: &str| format!(r#"{{"table":"fits","all":true,"data":{change}}}"#);
        for (data, words) in [
            (
                r#"{"id":2,"name":{"$inc":1}}"#,
                &["input.data.name: $inc ", "no numbers, but text"][..],
            ),
            (r#"{"at":{"$mul":2}}"#, &["input.data.at: $mul ", "but points in time"]),
            (
                r#"{"id":2,"big":{"$inc":1}}"#,
                &["input.data.big: $inc leads beyond the range"],
            ),
            (
                r#"{"id":{"$inc":1},"tags":{"$push":1}}"#,
                &["input.data.tags: $push needs a list", "JSON null", "$unset"],
            ),
            (
                r#"{"tags":{"$pull":1}}"#,
                &["input.data.tags: $pull needs a list", "$unset"],
            ),
            (
                r#"{"tags":{"$addToSet":1}}"#,
                &["input.data.tags: $addToSet needs a list", "$unset"],
            ),
        ] {
            says(&database, "update", &change(data), words).await;
        }
        let found = database.run("findOne", r#"{"table":"fits"}"#).await;
        assert!(found.contains(r#""id":1,"name":"s3cret""#), "{found}");
        // What helps.
        database.run("update", &change(r#"{"$unset":["tags"]}"#)).await;
        database
            .run("update", &change(r#"{"tags":{"$push":1},"id":{"$inc":"2"}}"#))
            .await;
    }
}

#[tokio::test]
async fn documents_without_what_an_operator_needs_are_told_of() {
    let documents = [TestDatabase::mongodb(), TestDatabase::dynamodb()];
    for database in documents.into_iter().flatten() {
        database.table("", "fits", "id:N").await;
        let row = r#"{"table":"fits","data":{"id":1,"name":"s3cret","tags":null,"list":["a"],"o":{"a":1}}}"#;
        database.run("insert", row).await;
        let change = |change: &str| format!(r#"{{"table":"fits","where":{{"id":1}},"data":{change}}}"#);
        let mut wrong = vec![
            (
                r#"{"x":1,"name":{"$inc":1}}"#,
                ["input.data.name: $inc needs a number", "$unset"],
            ),
            (
                r#"{"tags":{"$push":1}}"#,
                ["input.data.tags: $push needs a list", "$unset"],
            ),
        ];
        if database.dialect == Dialect::Dynamo {
            wrong.extend([
                (
                    r#"{"list":{"$pull":"a"}}"#,
                    ["input.data.list: $pull needs a set", "$unset"],
                ),
                (
                    r#"{"list":{"$pull":{"x":1}}}"#,
                    ["input.data.list: DynamoDB cannot do $pull of ", "an object"],
                ),
            ]);
        }
        for operation in ["update", "updateOne"] {
            for (data, words) in &wrong {
                says(&database, operation, &change(data), words).await;
            }
        }
    }
}

#[tokio::test]
async fn mongodb_server_that_does_not_answer_is_waited_for_as_long_as_the_address_says() {
    if cfg!(not(feature = "mongodb")) {
        return;
    }
    for (options, said) in [
        ("?serverSelectionTimeoutMS=300", "within 300 ms"),
        ("?serverSelectionTimeoutMS=20", "within 20 ms"),
    ] {
        let url = format!("mongodb://127.0.0.1:1/d{options}");
        let connector = open(DatabaseKind::Mongodb, &url).unwrap();
        let failure = run(&connector, "find", r#"{"table":"t"}"#).await.unwrap_err();
        assert!(
            &*failure.code == "CONNECTION_ERROR" && failure.message.contains(said),
            "{failure:?}"
        );
    }
}
