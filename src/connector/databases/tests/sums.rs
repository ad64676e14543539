//! What is computed is never made up: sums of what is no number, flags in columns of numbers, infinity, columns that hide
//! one another.

use super::support::TestDatabase;
use crate::connector::databases::dialect::Dialect;

async fn refused(database: &TestDatabase, operation: &str, input: &str) -> String {
    let (code, message) = database.refusal(operation, input).await;
    assert_eq!(code, "VALIDATION_ERROR", "{:?} {input}: {message}", database.dialect);
    message
}

#[tokio::test]
async fn sums_and_averages_of_what_is_no_number_are_refused() {
    let mut databases = TestDatabase::all().await;
    databases.extend(TestDatabase::mongodb());
    for database in databases {
        let create = "CREATE TABLE t (id int PRIMARY KEY, name varchar(20), n int, x double precision, day date)";
        database.table(create, "t", "id:N").await;
        let rows = r#"{"table":"t","data":[{"id":1,"name":"abc","n":2,"x":0.5,"day":"2026-01-31"},{"id":2,"name":null,"n":null,"x":1.5,"day":null}]}"#;
        database.run("insert", rows).await;
        for (operation, input, place) in [
            (
                "sum",
                r#"{"table":"t","column":"name"}"#,
                "input.column: sum of 'name' needs numbers",
            ),
            (
                "avg",
                r#"{"table":"t","column":"day"}"#,
                "input.column: avg of 'day' needs numbers",
            ),
            (
                "aggregate",
                r#"{"table":"t","aggregate":{"total":{"$sum":{"column":"name","distinct":true}}}}"#,
                "input.aggregate: sum of 'name' needs numbers",
            ),
            (
                "groupBy",
                r#"{"table":"t","groupBy":["id"],"aggregate":{"mean":{"$avg":"name"}},"having":{"mean":{"$gte":0}}}"#,
                "input.aggregate: avg of 'name' needs numbers",
            ),
        ] {
            // MongoDB knows a date as the text that was given.
            let message = refused(&database, operation, input).await;
            assert!(
                message.starts_with(place)
                    && message.contains("stored there; keep numbers")
                    && !message.contains("abc"),
                "{:?} {message}",
                database.dialect
            );
        }
        for (operation, column, expected) in [("sum", "n", 2.0), ("avg", "x", 1.0)] {
            let input = format!(r#"{{"table":"t","column":"{column}"}}"#);
            let answer = database.run(operation, &input).await;
            let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
            let value = match &answer["value"] {
                serde_json::Value::String(text) => text.parse().unwrap(),
                number => number.as_f64().unwrap(),
            };
            assert_eq!(value, expected, "{:?} {column}", database.dialect);
        }
        let distinct = r#"{"table":"t","aggregate":{"total":{"$sum":{"column":"x","distinct":true}}}}"#;
        assert!(database.run("aggregate", distinct).await.contains(r#""total":2"#));
        // Both, named as what they are.
        let least = database.run("min", r#"{"table":"t","column":"name"}"#).await;
        assert_eq!(least, r#"{"value":"abc"}"#);
    }
}

#[tokio::test]
async fn sqlite_looks_at_each_value_since_it_enforces_no_type() {
    let database = TestDatabase::sqlite();
    database
        .sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, any_of)")
        .await;
    database.sql("INSERT INTO t VALUES (1, 'abc', x'01'), (2, 3, 4)").await;
    for (operation, input, place) in [
        (
            "sum",
            r#"{"table":"t","column":"n"}"#,
            "input.column: sum of 'n' needs numbers, and text is stored there",
        ),
        (
            "aggregate",
            r#"{"table":"t","aggregate":{"ids":{"$sum":"id"},"mean":{"$avg":"any_of"}}}"#,
            "input.aggregate: avg of 'any_of' needs numbers, and bytes are stored there",
        ),
        (
            "update",
            r#"{"table":"t","where":{"id":1},"data":{"n":{"$inc":1}}}"#,
            "input.data.n: $inc needs numbers, and text is stored there; set such a value first",
        ),
        (
            "update",
            r#"{"table":"t","where":{"id":1},"data":{"any_of":{"$mul":2}}}"#,
            "input.data.any_of: $mul needs numbers, and bytes are stored there",
        ),
    ] {
        let message = refused(&database, operation, input).await;
        assert!(message.starts_with(place), "{message}");
    }
    let kept = database.run("find", r#"{"table":"t","where":{"id":1}}"#).await;
    assert!(kept.contains(r#""n":"abc","any_of":{"$bytes":"AQ=="}"#), "{kept}");
    let sum = r#"{"table":"t","column":"n","where":{"id":2}}"#;
    assert_eq!(database.run("sum", sum).await, r#"{"value":3}"#);
    database
        .run(
            "update",
            r#"{"table":"t","where":{"id":2},"data":{"n":{"$inc":1},"any_of":{"$mul":2.5}}}"#,
        )
        .await;
    let changed = database.run("findOne", r#"{"table":"t","where":{"id":2}}"#).await;
    assert_eq!(changed, r#"{"id":2,"n":4,"any_of":10.0}"#);
}

#[tokio::test]
async fn flags_belong_to_columns_of_flags() {
    for database in TestDatabase::all().await {
        database
            .sql("CREATE TABLE t (id int PRIMARY KEY, flag boolean, n bigint, d decimal(10,2), x double precision)")
            .await;
        database
            .run("insert", r#"{"table":"t","data":{"id":1,"flag":true,"n":1}}"#)
            .await;
        assert_eq!(
            database
                .run("find", r#"{"table":"t","where":{"flag":true},"fields":["flag"]}"#)
                .await,
            r#"{"rows":[{"flag":true}],"count":1}"#
        );
        for (operation, input) in [
            ("insert", r#"{"table":"t","data":{"id":2,"n":true}}"#),
            ("insert", r#"{"table":"t","data":{"id":2,"d":false}}"#),
            ("update", r#"{"table":"t","where":{"id":1},"data":{"x":true}}"#),
            ("find", r#"{"table":"t","where":{"n":true}}"#),
        ] {
            let message = refused(&database, operation, input).await;
            assert!(
                message.contains("boolean") || message.contains("got true"),
                "{:?} {message}",
                database.dialect
            );
        }
    }
    let database = TestDatabase::sqlite();
    database
        .sql("CREATE TABLE t (id INTEGER PRIMARY KEY, flag TINYINT(1), free)")
        .await;
    database
        .run("insert", r#"{"table":"t","data":{"id":1,"flag":true,"free":true}}"#)
        .await;
    assert_eq!(
        database.run("findOne", r#"{"table":"t"}"#).await,
        r#"{"id":1,"flag":true,"free":1}"#
    );
}

#[tokio::test]
async fn no_operator_leads_to_infinity_or_from_whole_numbers_to_others() {
    for database in TestDatabase::all().await {
        let any = database.per_dialect("numeric", "decimal(30,5)", "");
        database
            .sql(&format!(
                "CREATE TABLE t (id int PRIMARY KEY, x double precision, free {any})"
            ))
            .await;
        database
            .run("insert", r#"{"table":"t","data":{"id":1,"x":1e308,"free":5}}"#)
            .await;
        for change in [
            r#"{"x":{"$mul":10}}"#,
            r#"{"x":{"$mul":-10}}"#,
            r#"{"x":{"$inc":1e308}}"#,
        ] {
            let input = format!(r#"{{"table":"t","where":{{"id":1}},"data":{change}}}"#);
            let message = refused(&database, "update", &input).await;
            let operator = if change.contains("mul") { "$mul" } else { "$inc" };
            let place = format!("input.data.x: {operator} leads beyond the range of the column");
            assert!(message.starts_with(&place), "{:?} {message}", database.dialect);
        }
        database
            .run(
                "update",
                r#"{"table":"t","where":{"id":1},"data":{"x":{"$mul":0.5},"free":{"$inc":1}}}"#,
            )
            .await;
        if database.dialect == Dialect::Sqlite {
            for change in [r#"{"free":{"$mul":1e308}}"#, r#"{"free":{"$inc":9223372036854775807}}"#] {
                let input = format!(r#"{{"table":"t","where":{{"id":1}},"data":{change}}}"#);
                let message = match change.contains("1e308") {
                    // 6e308 is infinity.
                    true => refused(&database, "update", &input).await,
                    false => refused(&database, "update", &input).await,
                };
                assert!(
                    message.contains("input.data.free: ") && message.contains("leads beyond"),
                    "{message}"
                );
            }
            let lowest = r#"{"table":"t","where":{"id":1},"data":{"free":{"$dec":9223372036854775807}}}"#;
            database.run("update", lowest).await;
        }
    }
}

#[tokio::test]
async fn integers_beyond_64_bits_are_refused_with_their_column() {
    for database in TestDatabase::all().await {
        database.sql("CREATE TABLE t (id int PRIMARY KEY, n bigint)").await;
        for number in ["9223372036854775808", "-9223372036854775809", "99999999999999999999999"] {
            for (operation, input, place) in [
                (
                    "insert",
                    format!(r#"{{"table":"t","data":{{"id":1,"n":"{number}"}}}}"#),
                    "input.data.n: ",
                ),
                (
                    "find",
                    format!(r#"{{"table":"t","where":{{"n":{number}}}}}"#),
                    "the filter of 'n': ",
                ),
            ] {
                // Of an unsigned column MySQL takes the first.
                if database.dialect == Dialect::MySql && number.len() == 19 {
                    continue;
                }
                let message = refused(&database, operation, &input).await;
                assert!(message.starts_with(place), "{:?} {message}", database.dialect);
            }
        }
    }
}

#[tokio::test]
async fn sql_with_two_columns_of_one_name_is_refused_before_it_is_run() {
    for database in TestDatabase::all().await {
        database
            .sql("CREATE TABLE a (id int PRIMARY KEY, name varchar(20))")
            .await;
        database.sql("CREATE TABLE b (id int PRIMARY KEY, a_id int)").await;
        let sql = r#"{"sql":"SELECT * FROM a JOIN b ON b.a_id = a.id"}"#;
        let message = refused(&database, "raw", sql).await;
        assert!(
            message.contains("two columns named 'id'") && message.contains("AS"),
            "{message}"
        );
        database
            .sql("SELECT a.id AS id, b.id AS b_id, name FROM a JOIN b ON b.a_id = a.id")
            .await;
        let changes = r#"{"sql":"INSERT INTO a VALUES (1, 'x') RETURNING id, name AS id"}"#;
        let message = refused(&database, "raw", changes).await;
        // MariaDB tells the columns of RETURNING with the rows.
        if database.dialect == Dialect::MySql {
            assert!(message.ends_with("(the statement has been run)"), "{message}");
            continue;
        }
        assert_eq!(database.run("count", r#"{"table":"a"}"#).await, r#"{"count":0}"#);
    }
}

#[tokio::test]
async fn what_can_be_added_without_being_a_number_is_refused() {
    for database in TestDatabase::all().await {
        let more = database.per_dialect(", at time, price money, span interval", ", at time", "");
        database
            .sql(&format!("CREATE TABLE t (id int PRIMARY KEY, flag boolean{more})"))
            .await;
        database
            .run("insert", r#"{"table":"t","data":{"id":1,"flag":true}}"#)
            .await;
        let columns = database.per_dialect("flag at price span", "flag at", "flag");
        for column in columns.split(' ') {
            for function in ["sum", "avg"] {
                let input = format!(r#"{{"table":"t","column":"{column}"}}"#);
                let message = refused(&database, function, &input).await;
                let said = format!("input.column: {function} of '{column}' needs numbers, and ");
                assert!(message.starts_with(&said), "{:?} {message}", database.dialect);
                let input = format!(r#"{{"table":"t","aggregate":{{"x":{{"${function}":"{column}"}}}}}}"#);
                let message = refused(&database, "aggregate", &input).await;
                let said = format!("input.aggregate: {function} of '{column}' needs numbers, and ");
                assert!(message.starts_with(&said), "{:?} {message}", database.dialect);
            }
        }
        let most = database.run("max", r#"{"table":"t","column":"id"}"#).await;
        assert_eq!(most, r#"{"value":1}"#);
    }
}

#[tokio::test]
async fn a_sum_beyond_the_range_of_numbers_is_refused() {
    let mut databases = TestDatabase::all().await;
    databases.extend(TestDatabase::mongodb());
    for database in databases {
        let create = "CREATE TABLE t (id int PRIMARY KEY, x double precision)";
        database.table(create, "t", "id:N").await;
        let rows = r#"{"table":"t","data":[{"id":1,"x":1.7e308},{"id":2,"x":1.7e308}]}"#;
        database.run("insert", rows).await;
        for function in ["sum", "avg"] {
            let input = r#"{"table":"t","column":"x"}"#;
            let message = refused(&database, function, input).await;
            assert!(message.contains("beyond the range of"), "{message}");
            let input = format!(r#"{{"table":"t","aggregate":{{"y":{{"${function}":"x"}}}}}}"#);
            refused(&database, "aggregate", &input).await;
        }
        let one = database
            .run("sum", r#"{"table":"t","column":"x","where":{"id":1}}"#)
            .await;
        assert!(one.contains("1.7e"), "{one}");
    }
}
