//! Inputs that contradict themselves, or give a column something else than it holds, change and find nothing.

use super::support::TestDatabase;

async fn refused(database: &TestDatabase, operation: &str, input: &str, said: &str) {
    let (code, message) = database.refusal(operation, input).await;
    assert!(
        code == "VALIDATION_ERROR" && message.contains(said),
        "{:?} {operation} {input}: {code} {message}",
        database.dialect
    );
}

#[tokio::test]
async fn an_upsert_changes_no_row_but_that_of_its_key() {
    for database in TestDatabase::every().await {
        let create = "CREATE TABLE t (id int PRIMARY KEY, n int, m int)";
        database.table(create, "t", "id:N").await;
        let rows = r#"{"table":"t","data":[{"id":1,"n":1,"m":1},{"id":2,"n":2,"m":2}]}"#;
        database.run("insert", rows).await;
        let contradicts = r#"{"table":"t","data":{"id":2,"n":77},"where":{"id":1}}"#;
        // MongoDB and DynamoDB name the key `_id` here, and so does the message.
        refused(&database, "upsert", contradicts, "has another value than input.data.").await;
        for (input, said) in [
            (
                r#"{"table":"t","data":{"id":1,"n":5},"conflictColumns":["id"],"updateColumns":["n","m"]}"#,
                "input.updateColumns: names 'm', which data lacks",
            ),
            (
                r#"{"table":"t","data":[{"id":1,"m":5},{"id":2,"n":5,"m":5}],"conflictColumns":["id"],"updateColumns":["n"]}"#,
                "input.updateColumns: names 'n', which data lacks in one of its rows",
            ),
            (
                r#"{"table":"t","data":{"id":1,"n":5},"onConflict":{"columns":["id"],"update":["m"]}}"#,
                "input.onConflict.update: names 'm', which data lacks",
            ),
            (
                r#"{"table":"t","data":{"id":1,"n":5},"where":{"id":1},"updateColumns":["zzz"]}"#,
                "input.updateColumns: names 'zzz', which data lacks",
            ),
            (
                r#"{"table":"t","data":{"id":1,"n":5},"onConflict":{"columns":["id"]},"updateColumns":["n"]}"#,
                "input.onConflict: says what",
            ),
        ] {
            refused(&database, "upsert", input, said).await;
        }
        for input in [
            // Of no columns the row keeps what it has.
            r#"{"table":"t","data":{"id":1,"n":5},"conflictColumns":["id"],"updateColumns":[]}"#,
            r#"{"table":"t","data":{"id":1,"n":5},"onConflict":{"columns":["id"],"update":[]}}"#,
            r#"{"table":"t","data":{"id":1,"n":1},"where":{"id":1}}"#,
            r#"{"table":"t","data":{"id":2,"n":5,"m":2},"conflictColumns":["id"],"updateColumns":["m"]}"#,
        ] {
            database.run("upsert", input).await;
        }
        for (id, row) in [(1, r#""n":1,"m":1"#), (2, r#""n":2,"m":2"#)] {
            let find = format!(r#"{{"table":"t","where":{{"id":{id}}},"select":["n","m"]}}"#);
            let found = database.run("findOne", &find).await;
            assert!(
                row.split(',').all(|cell| found.contains(cell)),
                "{:?} {found}",
                database.dialect
            );
        }
    }
}

#[tokio::test]
async fn a_value_is_taken_away_only_when_that_is_said() {
    for database in TestDatabase::every().await {
        database
            .table("CREATE TABLE t (id int PRIMARY KEY, n int)", "t", "id:N")
            .await;
        database.run("insert", r#"{"table":"t","data":{"id":1,"n":1}}"#).await;
        for value in ["false", "0", "null", r#""no""#, "[]"] {
            let by_column = format!(r#"{{"table":"t","where":{{"id":1}},"data":{{"n":{{"$unset":{value}}}}}}}"#);
            refused(
                &database,
                "update",
                &by_column,
                "input.data.n: $unset takes true, 1 or ''",
            )
            .await;
            let by_operator = format!(r#"{{"table":"t","where":{{"id":1}},"data":{{"$unset":{{"n":{value}}}}}}}"#);
            refused(
                &database,
                "update",
                &by_operator,
                "input.data.n: $unset takes true, 1 or ''",
            )
            .await;
        }
        for value in ["true", "1", r#""""#] {
            database
                .run("update", r#"{"table":"t","where":{"id":1},"data":{"n":1}}"#)
                .await;
            let unset = format!(r#"{{"table":"t","where":{{"id":1}},"data":{{"n":{{"$unset":{value}}}}}}}"#);
            assert_eq!(database.run("update", &unset).await, r#"{"count":1}"#);
            let found = database.run("findOne", r#"{"table":"t","where":{"id":1}}"#).await;
            assert!(!found.contains(r#""n":1"#), "{:?} {found}", database.dialect);
        }
    }
}

#[tokio::test]
async fn only_lists_contain_values() {
    let mut databases = TestDatabase::all().await;
    databases.extend(TestDatabase::mongodb());
    for database in databases {
        let json = database.per_dialect("jsonb", "json", "json");
        let create = format!("CREATE TABLE t (id int PRIMARY KEY, j {json})");
        database.table(&create, "t", "id:N").await;
        let rows = r#"{"table":"t","data":[{"id":1,"j":{"a":1}},{"id":2,"j":1},{"id":3,"j":[1,"x"]},{"id":4,"j":["x"]},{"id":5,"j":null}]}"#;
        database.run("insert", rows).await;
        for (filter, expected) in [
            (r#"{"$containsAny":[1]}"#, "3"),
            (r#"{"$containsAny":[1,"x"]}"#, "3 4"),
            (r#"{"$containsAll":[1]}"#, "3"),
            (r#"{"$containsAll":["x",1]}"#, "3"),
        ] {
            let find = format!(r#"{{"table":"t","where":{{"j":{filter}}},"select":["id"],"orderBy":"id"}}"#);
            let found = database.run("find", &find).await;
            let found: serde_json::Value = serde_json::from_str(&found).unwrap();
            let ids = found["rows"].as_array().unwrap().iter();
            let ids: Vec<String> = ids.map(|row| row["id"].to_string()).collect();
            assert_eq!(ids.join(" "), expected, "{:?} {filter}", database.dialect);
        }
    }
}

#[tokio::test]
async fn what_is_counted_and_added_is_compared_with_numbers() {
    let mut databases = TestDatabase::all().await;
    databases.extend(TestDatabase::mongodb());
    for database in databases {
        let create = "CREATE TABLE t (id int PRIMARY KEY, g varchar(9), n int, d decimal(10,2))";
        database.table(create, "t", "id:N").await;
        let rows = r#"{"table":"t","data":[{"id":1,"g":"a","n":2,"d":20},{"id":2,"g":"b","n":7,"d":1}]}"#;
        database.run("insert", rows).await;
        let having = |having: &str| {
            format!(
                r#"{{"table":"t","groupBy":["g"],"aggregate":{{"total":{{"$sum":"n"}},"many":{{"$count":"*"}},"most":{{"$max":"g"}}}},"having":{having}}}"#
            )
        };
        for (filter, said) in [
            (
                r#"{"total":{"$gt":"x"}}"#,
                "input.having: 'total' is a number, and is compared with numbers; got a string",
            ),
            (r#"{"many":{"$in":[1,"x"]}}"#, "input.having: 'many'"),
            (r#"{"$or":[{"many":true},{"g":"a"}]}"#, "input.having: 'many'"),
            (r#"{"total":{"$between":["", 5]}}"#, "input.having: 'total'"),
            (r#"{"total":{"$like":"7%"}}"#, "input.having: 'total'"),
            (r#"{"total":{"$not":{"$eq":"07"}}}"#, "input.having: 'total'"),
        ] {
            refused(&database, "groupBy", &having(filter), said).await;
        }
        for filter in [
            r#"{"total":{"$gt":5}}"#,
            r#"{"total":{"$gt":"5"}}"#,
            r#"{"total":"7"}"#,
            r#"{"many":{"$in":["1",5]},"total":{"$ne":2}}"#,
            r#"{"most":"b"}"#,
            r#"{"g":{"$gt":"a"},"many":1}"#,
        ] {
            let found = database.run("groupBy", &having(filter)).await;
            assert!(
                found.contains(r#""g":"b""#) && found.ends_with(r#""count":1}"#),
                "{:?} {filter} {found}",
                database.dialect
            );
        }
    }
}

#[tokio::test]
async fn mysql_takes_no_number_for_a_word_and_no_short_year() {
    let Some(database) = TestDatabase::mysql().await else {
        return;
    };
    let create =
        "CREATE TABLE t (id int PRIMARY KEY, e enum('low','high'), s set('a','b'), y year, digits enum('2','1'))";
    database.sql(create).await;
    let row = r#"{"table":"t","data":{"id":1,"e":"high","s":"a,b","y":2026,"digits":"1"}}"#;
    database.run("insert", row).await;
    for (column, value) in [
        ("e", "1"),
        ("e", r#""1""#),
        ("s", "3"),
        ("s", r#""3""#),
        ("digits", "1"),
        ("y", "26"),
        ("y", r#""26""#),
        ("y", "0"),
    ] {
        let said = format!("'{column}': a value does not fit its column");
        let find = format!(r#"{{"table":"t","where":{{"{column}":{value}}}}}"#);
        refused(&database, "find", &find, &said).await;
        let said = format!("input.data.{column}: a value does not fit its column");
        let update = format!(r#"{{"table":"t","where":{{"id":1}},"data":{{"{column}":{value}}}}}"#);
        refused(&database, "update", &update, &said).await;
    }
    let find = r#"{"table":"t","where":{"e":"high","s":"a,b","y":"2026","digits":"1"}}"#;
    let found = database.run("findOne", find).await;
    assert_eq!(found, r#"{"id":1,"e":"high","s":"a,b","y":2026,"digits":"1"}"#);
    let later = r#"{"table":"t","where":{"id":1},"data":{"y":{"$inc":4}}}"#;
    database.run("update", later).await;
    assert_eq!(
        database.run("max", r#"{"table":"t","column":"y"}"#).await,
        r#"{"value":2030}"#
    );
}
