//! Every operator on every kind of database, and invalid filters.

use super::support::TestDatabase;
use crate::connector::databases::dialect::Dialect;

#[tokio::test]
async fn every_operator_matches_its_rows() {
    for database in TestDatabase::all().await {
        database.sql("CREATE TABLE f (id int, s varchar(40), n int)").await;
        let rows = r#"{"table":"f","data":[{"id":1,"s":"100%","n":1},{"id":2,"s":"100 percent","n":2},{"id":3,"s":"a_b!c","n":null},
            {"id":4,"s":"axb\\c","n":4}]}"#;
        database.run("insertMany", rows).await;
        for (filter, ids) in [
            (r#"{"id":1,"n":1}"#, "1"),
            (r#"{"id":{"$eq":1}}"#, "1"),
            (r#"{"id":{"$NE":1}}"#, "2,3,4"),
            (r#"{"id":{"$gt":2}}"#, "3,4"),
            (r#"{"id":{"$GTE":2,"$lt":4}}"#, "2,3"),
            (r#"{"id":{"$LTE":2}}"#, "1,2"),
            (r#"{"id":{"$in":[1,4]}}"#, "1,4"),
            (r#"{"id":{"$in":[]}}"#, ""),
            (r#"{"id":{"$NOT_IN":[1,4]}}"#, "2,3"),
            (r#"{"n":{"$in":[1,null]}}"#, "1,3"),
            (r#"{"n":{"$nin":[1,null]}}"#, "2,4"),
            (r#"{"id":{"$between":[2,3]}}"#, "2,3"),
            (r#"{"id":{"$NOT_BETWEEN":[2,3]}}"#, "1,4"),
            (r#"{"n":null}"#, "3"),
            (r#"{"n":{"$ne":null}}"#, "1,2,4"),
            (r#"{"n":{"$isNull":true}}"#, "3"),
            (r#"{"n":{"$IS_NOT_NULL":true}}"#, "1,2,4"),
            (r#"{"n":{"$exists":false}}"#, "3"),
            (r#"{"s":{"$like":"100%"}}"#, "1,2"),
            (r#"{"s":{"$like":"100\\%"}}"#, "1"),
            (r#"{"s":{"$notLike":"1%"}}"#, "3,4"),
            (r#"{"s":{"$contains":"%"}}"#, "1"),
            (r#"{"s":{"$contains":"_"}}"#, "3"),
            (r#"{"s":{"$contains":"!"}}"#, "3"),
            (r#"{"s":{"$contains":"\\"}}"#, "4"),
            (r#"{"s":{"$STARTS_WITH":"a_"}}"#, "3"),
            (r#"{"s":{"$endsWith":"t"}}"#, "2"),
            (r#"{"$or":[{"id":1},{"s":{"$endsWith":"c"}}]}"#, "1,3,4"),
            (r#"{"$AND":[{"id":{"$gt":1}},{"id":{"$lt":3}}]}"#, "2"),
            (r#"{"$nor":[{"id":1},{"id":2}]}"#, "3,4"),
            (r#"{"$not":{"$or":[{"id":1},{"id":4}]}}"#, "2,3"),
            (r#"{"id":{"$not":{"$in":[1,2]}}}"#, "3,4"),
            (
                r#"{"$or":[{"$and":[{"id":1},{"n":1}]},{"$nor":[{"id":{"$lt":4}}]}],"id":{"$gt":0}}"#,
                "1,4",
            ),
        ] {
            let input = format!(r#"{{"table":"f","fields":["id"],"orderBy":"id","where":{filter}}}"#);
            let found = database.run("find", &input).await;
            let found: Vec<&str> = found.split("\"id\":").skip(1).map(|rest| &rest[..1]).collect();
            assert_eq!(found.join(","), ids, "{:?} {filter}", database.dialect);
        }
        let regex = r#"{"table":"f","where":{"s":{"$regex":"^a.b"}}}"#;
        if database.per_dialect("", "", "sqlite") == "sqlite" {
            let (code, message) = database.refusal("count", regex).await;
            assert!(code == "VALIDATION_ERROR" && message.contains("$regex"), "{message}");
        } else {
            assert_eq!(database.run("count", regex).await, r#"{"count":2}"#);
        }
    }
}

/// MySQL takes text for a number where it is compared with one, and `'abc'` for 0.
#[tokio::test]
async fn number_or_boolean_in_a_filter_matches_no_other_text() {
    for database in TestDatabase::all().await {
        database.sql("CREATE TABLE f (id int, s varchar(40), note text)").await;
        let rows = r#"{"table":"f","data":[{"id":1,"s":"abc","note":"x"},{"id":2,"s":"0","note":"1a"},{"id":3,"s":"1x","note":"true"}]}"#;
        database.run("insertMany", rows).await;
        let count = async |filter: &str| {
            let input = format!(r#"{{"table":"f","where":{filter}}}"#);
            database.try_run("count", &input).await.map_err(|failure| failure.code)
        };
        for (filter, found) in [
            (r#"{"s":0}"#, 1),
            (r#"{"s":1}"#, 0),
            (r#"{"note":0}"#, 0),
            (r#"{"note":1}"#, 0),
            (r#"{"s":{"$in":[0,1]}}"#, 1),
            (r#"{"s":{"$ne":0}}"#, 2),
            (r#"{"s":{"$nin":[0]}}"#, 2),
            (r#"{"s":{"$between":[0,0]}}"#, 1),
            (r#"{"$or":[{"s":0},{"note":0}]}"#, 1),
        ] {
            assert_eq!(
                count(filter).await,
                Ok(format!("{{\"count\":{found}}}")),
                "{:?} {filter}",
                database.dialect
            );
        }
        for value in ["true", "false"] {
            for filter in [
                format!(r#"{{"s":{value}}}"#),
                format!(r#"{{"note":{{"$in":[{value}]}}}}"#),
            ] {
                // PostgreSQL has booleans as text.
                let as_text = filter == r#"{"note":{"$in":[true]}}"#;
                let expected = match database.dialect {
                    Dialect::Postgres => Ok(format!("{{\"count\":{}}}", u8::from(as_text))),
                    _ => Err("VALIDATION_ERROR".into()),
                };
                assert_eq!(count(&filter).await, expected, "{:?} {filter}", database.dialect);
            }
        }
        for (operation, input) in [
            ("update", r#"{"table":"f","data":{"id":9},"where":{"note":0}}"#),
            ("delete", r#"{"table":"f","where":{"note":0}}"#),
        ] {
            assert_eq!(database.run(operation, input).await, r#"{"count":0}"#);
        }
        let having = r#"{"table":"f","groupBy":["s"],"aggregate":{"most":{"$max":"note"}},"having":{"most":0}}"#;
        assert_eq!(database.run("aggregate", having).await, r#"{"rows":[],"count":0}"#);
    }
}

/// What the documentation says of SQL of one's own.
#[tokio::test]
async fn number_in_own_sql_is_compared_as_the_database_does() {
    let Some(database) = TestDatabase::mysql().await else {
        return;
    };
    database.sql("CREATE TABLE f (token varchar(40))").await;
    database.run("insert", r#"{"table":"f","data":{"token":"abc"}}"#).await;
    for (place, value, found) in [
        ("?", "0", 1),
        ("?", "false", 1),
        ("?", "\"0\"", 0),
        ("CAST(? AS CHAR)", "0", 0),
        ("CAST(? AS CHAR)", "false", 0),
        ("CAST(? AS CHAR)", "\"abc\"", 1),
    ] {
        let input = format!(r#"{{"sql":"SELECT token FROM f WHERE token = {place}","params":[{value}]}}"#);
        let answer = database.run("raw", &input).await;
        assert!(
            answer.contains(&format!("\"count\":{found}")),
            "{place} {value}: {answer}"
        );
    }
}

#[tokio::test]
async fn invalid_filter_error_suggests_the_nearest_operator() {
    let database = TestDatabase::sqlite();
    database.sql("CREATE TABLE f (id int, s text)").await;
    for (filter, part) in [
        (r#"{"id":{"$gtt":1}}"#, "`$gt`"),
        (r#"{"id":{"$where":"1=1"}}"#, "no operator"),
        (r#"{"$ro":[]}"#, "no operator"),
        (r#"{"$gt":1}"#, "belongs to a column"),
        (r#"{"$or":[]}"#, "at least one"),
        (r#"{"$or":{}}"#, "list"),
        (r#"{"$not":{}}"#, "condition"),
        (r#"{"id":{}}"#, "empty object"),
        (r#"{"id":{"$gt":null}}"#, "null"),
        (r#"{"id":{"$in":1}}"#, "list"),
        (r#"{"id":{"$between":[1]}}"#, "two"),
        (r#"{"id":{"$isNull":1}}"#, "true or false"),
        (r#"{"s":{"$like":1}}"#, "string"),
        (r#"{"s":{"$eq":1,"x":2}}"#, "mixes"),
        ("[]", "object"),
        ("\"1=1\"", "object"),
    ] {
        let (code, message) = database
            .refusal("count", &format!(r#"{{"table":"f","where":{filter}}}"#))
            .await;
        assert!(
            code == "VALIDATION_ERROR" && message.contains(part),
            "{filter}: {message}"
        );
    }
    let deep = format!("{}{{\"id\":1}}{}", r#"{"$not":"#.repeat(20), "}".repeat(20));
    assert_eq!(
        database
            .refusal("count", &format!(r#"{{"table":"f","where":{deep}}}"#))
            .await
            .0,
        "VALIDATION_ERROR"
    );
    let wide: Vec<_> = (0..1_000).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    let wide = format!(r#"{{"table":"f","where":{{"$or":[{}]}}}}"#, wide.join(","));
    assert_eq!(database.run("count", &wide).await, r#"{"count":0}"#);
    let wider: Vec<_> = (0..1_001).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    let wider = format!(r#"{{"table":"f","where":{{"$or":[{}]}}}}"#, wider.join(","));
    assert_eq!(database.refusal("count", &wider).await.0, "VALIDATION_ERROR");
}

#[tokio::test]
async fn a_pattern_that_cannot_be_read_is_told_with_its_column() {
    if let Some(database) = TestDatabase::mongodb() {
        let find = r#"{"table":"t","where":{"n":1,"$or":[{"s":{"$regex":"("}},{"n":2}]}}"#;
        database
            .run("insert", r#"{"table":"t","data":{"id":1,"n":1,"s":"abc"}}"#)
            .await;
        let (_, message) = database.refusal("find", find).await;
        assert!(message.starts_with("the filter of 's': $regex: "), "{message}");
    }
    for database in TestDatabase::all().await {
        database.sql("CREATE TABLE t (id int PRIMARY KEY, s varchar(20))").await;
        database
            .run("insert", r#"{"table":"t","data":{"id":1,"s":"abc"}}"#)
            .await;
        if database.dialect != Dialect::Sqlite {
            let (code, message) = database
                .refusal("find", r#"{"table":"t","where":{"id":1,"s":{"$regex":"("}}}"#)
                .await;
            assert!(
                code == "VALIDATION_ERROR" && message.starts_with("the filter of 's': $regex: "),
                "{message}"
            );
        }
        if database.dialect == Dialect::Postgres {
            let pattern = r#"{"table":"t","where":{"s":{"$like":"%\\"}}}"#;
            let (_, message) = database.refusal("find", pattern).await;
            assert!(message.starts_with("the filter of 's': the pattern: "), "{message}");
        }
        let (_, message) = database
            .refusal("find", r#"{"table":"t","where":{"id":{"$or":[5,10]}}}"#)
            .await;
        assert!(
            message.starts_with("the filter of 'id': $or goes around filters, as in { $or: ["),
            "{message}"
        );
    }
}
