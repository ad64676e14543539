//! Values of every type round-trip.

use super::support::TestDatabase;
use crate::connector::databases::dialect::Dialect;

/// A table with a column of every type.
async fn create_table(database: &TestDatabase) {
    database.sql(database.per_dialect(
            "CREATE TABLE kinds (id int PRIMARY KEY, big bigint, exact numeric(30,10), dbl double precision, flag boolean, \
             at timestamptz, local timestamp, day date, clock time, doc jsonb, raw bytea, txt text, uid uuid, tags text[], nums int[][])",
            "CREATE TABLE kinds (id int PRIMARY KEY, big bigint, exact decimal(30,10), dbl double, flag boolean, \
             at timestamp(6) NULL, local datetime(6), day date, clock time, doc json, raw blob, txt text)",
            "CREATE TABLE kinds (id INTEGER PRIMARY KEY, big BIGINT, exact TEXT, dbl DOUBLE, flag BOOLEAN, \
             at TIMESTAMP, local DATETIME, day DATE, clock TIME, doc JSON, raw BLOB, txt TEXT)",
        )).await;
}

/// JSON members for all columns except `id`.
fn column_values(database: &TestDatabase) -> String {
    let common = r#""big":"9007199254740993","exact":"12345678901234567890.0123456789","dbl":0.1,"flag":true,
            "at":"2026-01-31T09:00:00.123Z","local":"2026-01-31T09:00:00.000Z","day":"2026-01-31","clock":"09:30:00",
            "doc":{"b":[1,null,"x"],"a":"é'\"; DROP"},"raw":{"$bytes":"AAEC/w=="},"txt":"naïve '; -- \\ \" %""#;
    let more = database.per_dialect(
        r#","uid":"6f0c1c1e-0000-4000-8000-00000000abcd","tags":["a,\"b\\","NULL",null],"nums":[[1,2],[3,4]]"#,
        "",
        "",
    );
    format!("{common}{more}")
}

async fn find_one(database: &TestDatabase) -> serde_json::Value {
    serde_json::from_str(&database.run("findOne", r#"{"table":"kinds"}"#).await).unwrap()
}

#[tokio::test]
async fn values_of_every_type_round_trip() {
    for database in TestDatabase::all().await {
        create_table(&database).await;
        let row = format!(r#"{{"id":1,{}}}"#, column_values(&database));
        let insert = format!(r#"{{"table":"kinds","data":{row}}}"#);
        database.run("insert", &insert).await;
        let found = find_one(&database).await;
        let expected: serde_json::Value = serde_json::from_str(&row).unwrap();
        assert_eq!(found, expected, "{:?}", database.dialect);
        // Values that were read can be used in filters and written again.
        for column in ["big", "flag", "at", "local", "day", "raw", "txt"] {
            let filter = format!(r#"{{"table":"kinds","where":{{"{column}":{}}}}}"#, found[column]);
            assert_eq!(
                database.run("count", &filter).await,
                r#"{"count":1}"#,
                "{:?} {filter}",
                database.dialect
            );
        }
        let again = format!(r#"{{"table":"kinds","all":true,"data":{found}}}"#);
        database.run("update", &again).await;
        assert_eq!(find_one(&database).await, expected);
        let null = r#"{"table":"kinds","all":true,"data":{"big":null,"flag":null,"at":null,"doc":null,"raw":null,"day":null}}"#;
        database.run("update", null).await;
        let found = find_one(&database).await;
        assert!(
            ["big", "flag", "at", "doc", "raw", "day"]
                .iter()
                .all(|name| found[name].is_null()),
            "{found}"
        );
    }
}

#[tokio::test]
async fn large_integers_are_compared_exactly() {
    for database in TestDatabase::all().await {
        create_table(&database).await;
        database
            .run(
                "insert",
                r#"{"table":"kinds","data":{"id":1,"big":"9007199254740993"}}"#,
            )
            .await;
        // A float cannot tell these neighbours apart.
        for (big, count) in [("\"9007199254740992\"", 0), ("9007199254740993", 1)] {
            let filter = format!(r#"{{"table":"kinds","where":{{"big":{big}}}}}"#);
            assert_eq!(database.run("count", &filter).await, format!(r#"{{"count":{count}}}"#));
        }
    }
}

#[tokio::test]
async fn timestamps_of_any_form_compare_by_instant() {
    for database in TestDatabase::all().await {
        database
            .sql(database.per_dialect(
                r#"CREATE TABLE logs (id int, "createdAt" timestamptz)"#,
                "CREATE TABLE logs (id int, createdAt datetime(3))",
                "CREATE TABLE logs (id INTEGER, createdAt TIMESTAMP)",
            ))
            .await;
        let rows = r#"{"table":"logs","data":[{"id":1,"createdAt":1769850000123},{"id":2,"createdAt":"2026-01-31T10:00:00.124+01:00"},
            {"id":3,"createdAt":"2026-02-01T00:00:00Z"}]}"#;
        database.run("insertMany", rows).await;
        if database.per_dialect("", "", "sqlite") == "sqlite" {
            // Forms of other programs: SQLite's own, JavaScript's, and milliseconds.
            database.sql("DELETE FROM logs").await;
            database.sql("INSERT INTO logs VALUES (1, '2026-01-31 09:00:00.123'), (2, '2026-01-31T09:00:00.124Z'), (3, 1769904000000)").await;
        }
        for (test, count) in [
            (r#"{"$lt":1769850000124}"#, 1),
            (r#"{"$lte":"2026-01-31T09:00:00.124Z"}"#, 2),
            (r#"{"$gt":"2026-01-31T10:00:00.123+01:00"}"#, 2),
            ("1769850000123", 1),
            (r#"{"$in":[1769850000123,"2026-02-01"]}"#, 2),
            (r#"{"$between":["2026-01-31","2026-01-31T23:59:59Z"]}"#, 2),
            (r#"{"$ne":1769850000123}"#, 2),
        ] {
            let input = format!(r#"{{"table":"logs","filter":{{"createdAt":{test}}}}}"#);
            let expected = format!(r#"{{"count":{count}}}"#);
            assert_eq!(
                database.run("count", &input).await,
                expected,
                "{:?} {test}",
                database.dialect
            );
        }
        let found = database.run("find", r#"{"table":"logs","where":{"id":2}}"#).await;
        assert!(found.contains("2026-01-31T09:00:00.124Z"), "{found}");
        let least = database
            .run(
                "aggregate",
                r#"{"table":"logs","where":{"id":1},"aggregate":{"first":{"$min":"createdAt"}}}"#,
            )
            .await;
        assert!(least.contains("2026-01-31T09:00:00.123Z"), "{least}");
        for wrong in [r#""now""#, r#""soon'; DROP TABLE logs""#, "true", "[]", "1e300"] {
            let input = format!(r#"{{"table":"logs","filter":{{"createdAt":{{"$lt":{wrong}}}}}}}"#);
            let (code, message) = database.refusal("deleteMany", &input).await;
            assert_eq!(code, "VALIDATION_ERROR", "{message}");
            assert!(!message.contains("DROP"), "{message}");
        }
        let gone = r#"{"table":"logs","filter":{"createdAt":{"$lt":1769850000124}}}"#;
        assert_eq!(database.run("deleteMany", gone).await, r#"{"count":1}"#);
    }
}

#[tokio::test]
async fn value_that_would_be_converted_lossily_is_refused() {
    for database in TestDatabase::all().await {
        database
            .sql("CREATE TABLE strict (id int, name varchar(3), n int)")
            .await;
        database
            .run(
                "insertMany",
                r#"{"table":"strict","data":[{"id":0,"name":"abc"},{"id":1,"name":"0"}]}"#,
            )
            .await;
        // MySQL would convert 'abc' to 0 on either side.
        let by_text = database
            .try_run("count", r#"{"table":"strict","where":{"id":"abc"}}"#)
            .await;
        assert_eq!(&*by_text.unwrap_err().code, "VALIDATION_ERROR");
        assert_eq!(
            database.run("count", r#"{"table":"strict","where":{"name":0}}"#).await,
            r#"{"count":1}"#
        );
        for data in [r#"{"n":"s3cret"}"#, r#"{"n":{"a":1}}"#, r#"{"name":["a"]}"#] {
            let input = format!(r#"{{"table":"strict","data":{data}}}"#);
            let (code, message) = database.refusal("insert", &input).await;
            assert!(code == "VALIDATION_ERROR" && !message.contains("s3cret"), "{message}");
        }
        if database.per_dialect("strict", "strict", "") == "strict" {
            let (code, _) = database
                .refusal("insert", r#"{"table":"strict","data":{"name":"much too long"}}"#)
                .await;
            assert_eq!(code, "VALIDATION_ERROR");
        }
    }
}

#[tokio::test]
async fn values_of_unknown_types_are_returned_as_text() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    database.sql("CREATE TYPE mood AS ENUM ('ok', 'bad')").await;
    database.sql("CREATE DOMAIN small AS int CHECK (VALUE < 10)").await;
    database
        .sql("CREATE TABLE odd (m mood, s small, i inet, r int4range, v interval, ms mood[], c char(3))")
        .await;
    let row = r#"{"m":"ok","s":3,"i":"10.0.0.1","r":"[1,5)","v":"01:00:00","ms":["bad"],"c":"ab "}"#;
    database
        .run("insert", &format!(r#"{{"table":"odd","data":{row}}}"#))
        .await;
    assert_eq!(
        database.run("findOne", r#"{"table":"odd","where":{"m":"ok"}}"#).await,
        row.replace("10.0.0.1", "10.0.0.1/32")
    );
    let changed = database
        .run(
            "update",
            r#"{"table":"odd","where":{"s":3},"data":{"s":4},"returning":["i"]}"#,
        )
        .await;
    assert_eq!(changed, r#"{"count":1,"rows":[{"i":"10.0.0.1/32"}]}"#);
    let (code, message) = database.refusal("raw", r#"{"sql":"SELECT i FROM odd"}"#).await;
    assert!(
        code == "VALIDATION_ERROR" && message.contains("cast it to text"),
        "{message}"
    );
    assert_eq!(
        database
            .refusal("insert", r#"{"table":"odd","data":{"m":"s3cret"}}"#)
            .await
            .0,
        "VALIDATION_ERROR"
    );
    let (_, message) = database.refusal("insert", r#"{"table":"odd","data":{"s":77}}"#).await;
    assert!(!message.contains("77"), "{message}");
}

#[tokio::test]
async fn dates_beyond_the_years_that_a_database_compares_are_refused_and_named() {
    for database in TestDatabase::all().await {
        database
            .sql(database.per_dialect(
                "CREATE TABLE eras (id int, at timestamptz, day date)",
                "CREATE TABLE eras (id int, at datetime(3), day date)",
                "CREATE TABLE eras (id INTEGER, at TIMESTAMP, day DATE)",
            ))
            .await;
        let usual = r#"{"table":"eras","data":{"id":1,"at":"0001-01-01T00:00:00.000Z","day":"9999-12-31"}}"#;
        database.run("insert", usual).await;
        for (at, day, millis) in [
            ("+012000-01-01T00:00:00.000Z", "+012000-01-01", "316516204800000"),
            ("-000001-12-31T00:00:00.000Z", "-000001-12-31", "-62167305600000"),
        ] {
            let row = format!(r#"{{"id":2,"at":"{at}","day":"{day}"}}"#);
            let insert = format!(r#"{{"table":"eras","data":{row}}}"#);
            let find = format!(r#"{{"table":"eras","where":{{"at":{millis},"day":{{"$gte":"{day}"}},"id":2}}}}"#);
            if database.dialect == Dialect::Postgres {
                database.run("insert", &insert).await;
                let found = database.run("findOne", &find).await;
                assert_eq!(found, row);
                database.run("delete", r#"{"table":"eras","where":{"id":2}}"#).await;
                continue;
            }
            let update = format!(r#"{{"table":"eras","all":true,"data":{{"day":"{day}"}}}}"#);
            for (operation, input, place) in [
                ("insert", &insert, "input.data.at: "),
                ("update", &update, "input.data.day: "),
                ("find", &find, "the filter of 'at': "),
            ] {
                let (code, message) = database.refusal(operation, input).await;
                assert_eq!(code, "VALIDATION_ERROR", "{message}");
                assert!(
                    message.starts_with(place) && message.contains("numbers") && message.contains("9999"),
                    "{message}"
                );
            }
        }
        assert_eq!(
            database
                .run(
                    "count",
                    r#"{"table":"eras","where":{"at":{"$lt":"0002-01-01"},"day":{"$gt":"9999-01-01"}}}"#
                )
                .await,
            r#"{"count":1}"#
        );
    }
}
