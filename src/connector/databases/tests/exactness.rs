//! What is written is what is read, or it is refused: no digit is lost on the way.

use super::support::TestDatabase;
use crate::connector::databases::dialect::Dialect;

async fn read(database: &TestDatabase, id: u32, column: &str) -> String {
    let input = format!(r#"{{"table":"t","where":{{"id":{id}}},"fields":["{column}"]}}"#);
    let row = database.run("findOne", &input).await;
    let value = row.strip_prefix(&format!(r#"{{"{column}":"#)).unwrap();
    value.strip_suffix('}').unwrap().to_owned()
}

#[tokio::test]
async fn fractions_are_no_whole_numbers() {
    for database in TestDatabase::all().await {
        database.sql("CREATE TABLE t (id int PRIMARY KEY, n int)").await;
        database.run("insert", r#"{"table":"t","data":{"id":1,"n":2}}"#).await;
        for (operation, input) in [
            ("insert", r#"{"table":"t","data":{"id":2,"n":2.5}}"#),
            ("update", r#"{"table":"t","data":{"n":1.5},"where":{"id":1}}"#),
            ("find", r#"{"table":"t","where":{"n":2.5}}"#),
        ] {
            let (code, message) = database.refusal(operation, input).await;
            assert_eq!(code, "VALIDATION_ERROR", "{:?} {input} {message}", database.dialect);
        }
    }
}

#[tokio::test]
async fn decimals_are_exact_or_refused() {
    for database in TestDatabase::all().await {
        database
            .sql("CREATE TABLE t (id int PRIMARY KEY, d decimal(25,2))")
            .await;
        let insert = r#"{"table":"t","data":{"id":1,"d":"12345678901234567.89"}}"#;
        let find = r#"{"table":"t","where":{"d":"12345678901234567.88"}}"#;
        if database.dialect == Dialect::Sqlite {
            for (operation, input) in [("insert", insert), ("find", find)] {
                let (code, message) = database.refusal(operation, input).await;
                assert!(code == "VALIDATION_ERROR" && message.contains("15 digits"), "{message}");
            }
            database
                .run("insert", r#"{"table":"t","data":{"id":2,"d":"1234567890123.45"}}"#)
                .await;
            assert_eq!(read(&database, 2, "d").await, r#""1234567890123.45""#);
            continue;
        }
        database.run("insert", insert).await;
        assert_eq!(read(&database, 1, "d").await, r#""12345678901234567.89""#);
        assert_eq!(
            database.run("count", find).await,
            r#"{"count":0}"#,
            "{:?}",
            database.dialect
        );
        // A scale that is too small rounds, on each of them.
        database
            .run("update", r#"{"table":"t","data":{"d":"1.005"},"all":true}"#)
            .await;
        assert_eq!(read(&database, 1, "d").await, r#""1.01""#, "{:?}", database.dialect);
    }
}

#[tokio::test]
async fn integers_beyond_64_bits_are_refused() {
    for database in TestDatabase::all().await {
        database.sql("CREATE TABLE t (id int PRIMARY KEY, n bigint)").await;
        let (code, _) = database
            .refusal("insert", r#"{"table":"t","data":{"id":1,"n":"9223372036854775808"}}"#)
            .await;
        assert_eq!(code, "VALIDATION_ERROR", "{:?}", database.dialect);
    }
}

#[tokio::test]
async fn numbers_in_json_keep_their_digits() {
    for database in TestDatabase::all().await {
        let json = database.per_dialect("jsonb", "longtext CHECK (json_valid(j))", "json");
        database
            .sql(&format!("CREATE TABLE t (id int PRIMARY KEY, j {json})"))
            .await;
        let insert = r#"{"table":"t","data":{"id":1,"j":{"n":9007199254740993,"m":[1.5,-9223372036854775808],"s":"9007199254740993"}}}"#;
        database.run("insert", insert).await;
        let found: serde_json::Value = serde_json::from_str(&read(&database, 1, "j").await).unwrap();
        let expected =
            serde_json::json!({ "n": "9007199254740993", "m": [1.5, "-9223372036854775808"], "s": "9007199254740993" });
        assert_eq!(found, expected, "{:?}", database.dialect);
    }
}

#[tokio::test]
async fn json_null_is_told_from_null() {
    for database in TestDatabase::all().await {
        let json = database.per_dialect("jsonb", "longtext CHECK (json_valid(j))", "json");
        database
            .sql(&format!("CREATE TABLE t (id int PRIMARY KEY, j {json})"))
            .await;
        let rows =
            r#"{"table":"t","data":[{"id":1,"j":null},{"id":2,"j":{"$json":null}},{"id":3,"j":{"$json":{"$inc":1}}}]}"#;
        database.run("insert", rows).await;
        assert_eq!(read(&database, 1, "j").await, "null", "{:?}", database.dialect);
        assert_eq!(
            read(&database, 2, "j").await,
            r#"{"$json":null}"#,
            "{:?}",
            database.dialect
        );
        assert_eq!(read(&database, 3, "j").await.replace(' ', ""), r#"{"$inc":1}"#);
        let nulls = database.run("count", r#"{"table":"t","where":{"j":null}}"#).await;
        assert_eq!(nulls, r#"{"count":1}"#, "{:?}", database.dialect);
    }
}

#[tokio::test]
async fn half_a_surrogate_pair_becomes_a_replacement_character() {
    for database in TestDatabase::all().await {
        database.sql("CREATE TABLE t (id int PRIMARY KEY, s varchar(20))").await;
        database
            .run("insert", r#"{"table":"t","data":{"id":1,"s":"a\ud800b"}}"#)
            .await;
        assert_eq!(
            read(&database, 1, "s").await,
            "\"a\u{fffd}b\"",
            "{:?}",
            database.dialect
        );
    }
}

#[tokio::test]
async fn fractions_of_a_second_are_rounded_to_the_column() {
    for database in TestDatabase::all().await {
        if database.dialect == Dialect::Sqlite {
            continue;
        }
        let time = database.per_dialect("timestamptz(0)", "datetime", "");
        database
            .sql(&format!("CREATE TABLE t (id int PRIMARY KEY, at {time})"))
            .await;
        database
            .run(
                "insert",
                r#"{"table":"t","data":{"id":1,"at":"2026-01-31T09:00:00.700Z"}}"#,
            )
            .await;
        assert_eq!(
            read(&database, 1, "at").await,
            r#""2026-01-31T09:00:01.000Z""#,
            "{:?}",
            database.dialect
        );
    }
}

#[tokio::test]
async fn points_in_time_beyond_javascript_are_refused() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    database.sql("CREATE TABLE t (id int, at timestamptz)").await;
    database.sql("INSERT INTO t VALUES (1, '290000-01-01T00:00:00Z')").await;
    let (code, message) = database.refusal("find", r#"{"table":"t"}"#).await;
    assert!(
        code == "VALIDATION_ERROR" && message.contains("timestamptz"),
        "{message}"
    );
}

#[tokio::test]
async fn arrays_of_any_type_are_lists() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    database
        .sql("CREATE TABLE t (id int, a inet[], b interval[], c numeric[], d point)")
        .await;
    database
        .sql("INSERT INTO t VALUES (1, '{10.0.0.1,NULL}', '{1 day}', '{1.50}', '(1,2)')")
        .await;
    assert_eq!(
        database.run("findOne", r#"{"table":"t","where":{"id":1}}"#).await,
        r#"{"id":1,"a":["10.0.0.1/32",null],"b":["1 day"],"c":["1.50"],"d":"(1,2)"}"#
    );
}

#[tokio::test]
async fn more_values_than_a_statement_takes_are_refused() {
    for database in TestDatabase::all().await {
        database.sql("CREATE TABLE t (id int PRIMARY KEY)").await;
        let list = vec!["1"; 10_000].join(",");
        let branches = vec![format!(r#"{{"id":{{"$in":[{list}]}}}}"#); 7].join(",");
        let input = format!(r#"{{"table":"t","where":{{"$or":[{branches}]}}}}"#);
        let (code, message) = database.refusal("count", &input).await;
        assert!(
            code == "VALIDATION_ERROR" && message.contains("70000 values"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn id_is_that_of_the_one_inserted_row() {
    for database in TestDatabase::all().await {
        let key = database.per_dialect(
            "serial PRIMARY KEY",
            "int AUTO_INCREMENT PRIMARY KEY",
            "INTEGER PRIMARY KEY",
        );
        database
            .sql(&format!("CREATE TABLE t (id {key}, s varchar(9) UNIQUE)"))
            .await;
        let one = database.run("insert", r#"{"table":"t","data":{"s":"a"}}"#).await;
        let expected = database.per_dialect(
            r#"{"count":1}"#,
            r#"{"count":1,"insertId":1}"#,
            r#"{"count":1,"insertId":1}"#,
        );
        assert_eq!(one, expected);
        let many = database
            .run("insert", r#"{"table":"t","data":[{"s":"b"},{"s":"c"}]}"#)
            .await;
        assert_eq!(many, r#"{"count":2}"#, "{:?}", database.dialect);
        let there = database
            .run("upsert", r#"{"table":"t","data":{"s":"a"},"conflictColumns":["s"]}"#)
            .await;
        assert_eq!(there, r#"{"count":1}"#, "{:?}", database.dialect);
    }
}

#[tokio::test]
async fn upsert_finds_a_unique_index_of_some_rows() {
    for database in TestDatabase::all().await {
        database
            .sql("CREATE TABLE t (id int PRIMARY KEY, mail varchar(20), gone int, n int)")
            .await;
        let input = r#"{"table":"t","data":{"id":2,"mail":"a","n":2},"onConflict":{"columns":["mail"],"where":{"gone":{"$isNull":true}},"update":["n"]}}"#;
        if database.dialect == Dialect::MySql {
            assert!(database.refusal("insert", input).await.1.contains("onConflict.where"));
            continue;
        }
        database
            .sql("CREATE UNIQUE INDEX only_present ON t (mail) WHERE gone IS NULL")
            .await;
        database
            .run("insert", r#"{"table":"t","data":{"id":1,"mail":"a","n":1}}"#)
            .await;
        database.run("insert", input).await;
        assert_eq!(
            database.run("find", r#"{"table":"t","fields":["id","n"]}"#).await,
            r#"{"rows":[{"id":1,"n":2}],"count":1}"#,
            "{:?}",
            database.dialect
        );
        database
            .sql("CREATE UNIQUE INDEX only_first ON t (mail) WHERE n = 7")
            .await;
        database
            .run("insert", r#"{"table":"t","data":{"id":7,"mail":"g","gone":1,"n":7}}"#)
            .await;
        let by_value = r#"{"table":"t","data":{"id":8,"mail":"g","gone":2,"n":7},"onConflict":{"columns":["mail"],"where":{"n":7},"update":["gone"]}}"#;
        if database.dialect == Dialect::Sqlite {
            assert!(
                database
                    .refusal("insert", by_value)
                    .await
                    .1
                    .contains("onConflict.where")
            );
            continue;
        }
        database.run("insert", by_value).await;
        let found = database
            .run("find", r#"{"table":"t","where":{"mail":"g"},"fields":["id","gone"]}"#)
            .await;
        assert_eq!(
            found, r#"{"rows":[{"id":7,"gone":2}],"count":1}"#,
            "{:?}",
            database.dialect
        );
    }
}
