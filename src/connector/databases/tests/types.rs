//! Values of every type, there and back.

use super::kit::Place;

#[tokio::test]
async fn values_come_back_as_they_were_written() {
    for place in Place::all().await {
        place.sql(place.by(
            "CREATE TABLE kinds (id int PRIMARY KEY, big bigint, exact numeric(30,10), dbl double precision, flag boolean, \
             at timestamptz, local timestamp, day date, clock time, doc jsonb, raw bytea, txt text, uid uuid, tags text[], nums int[][])",
            "CREATE TABLE kinds (id int PRIMARY KEY, big bigint, exact decimal(30,10), dbl double, flag boolean, \
             at timestamp(6) NULL, local datetime(6), day date, clock time, doc json, raw blob, txt text)",
            "CREATE TABLE kinds (id INTEGER PRIMARY KEY, big BIGINT, exact TEXT, dbl DOUBLE, flag BOOLEAN, \
             at TIMESTAMP, local DATETIME, day DATE, clock TIME, doc JSON, raw BLOB, txt TEXT)",
        )).await;
        let common = r#""big":"9007199254740993","exact":"12345678901234567890.0123456789","dbl":0.1,"flag":true,
            "at":"2026-01-31T09:00:00.123Z","local":"2026-01-31T09:00:00.000Z","day":"2026-01-31","clock":"09:30:00",
            "doc":{"b":[1,null,"x"],"a":"é'\"; DROP"},"raw":{"$bytes":"AAEC/w=="},"txt":"naïve '; -- \\ \" %""#;
        let more = place.by(
            r#","uid":"6f0c1c1e-0000-4000-8000-00000000abcd","tags":["a,\"b\\","NULL",null],"nums":[[1,2],[3,4]]"#,
            "",
            "",
        );
        place
            .run(
                "insert",
                &format!(r#"{{"table":"kinds","data":{{"id":1,{common}{more}}}}}"#),
            )
            .await;
        let found: serde_json::Value =
            serde_json::from_str(&place.run("findOne", r#"{"table":"kinds"}"#).await).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&format!(r#"{{"id":1,{common}{more}}}"#)).unwrap();
        assert_eq!(found, expected, "{:?}", place.dialect);
        // What was read can be asked for, and written again.
        for column in ["big", "flag", "at", "local", "day", "raw", "txt"] {
            let filter = format!(r#"{{"table":"kinds","where":{{"{column}":{}}}}}"#, found[column]);
            assert_eq!(
                place.run("count", &filter).await,
                r#"{"count":1}"#,
                "{:?} {filter}",
                place.dialect
            );
        }
        let again = format!(r#"{{"table":"kinds","all":true,"data":{found}}}"#);
        place.run("update", &again).await;
        let same: serde_json::Value =
            serde_json::from_str(&place.run("findOne", r#"{"table":"kinds"}"#).await).unwrap();
        assert_eq!(same, expected);
        // Neighbours that a float cannot tell apart.
        let count = |big: &str| format!(r#"{{"table":"kinds","where":{{"big":{big}}}}}"#);
        assert_eq!(
            place.run("count", &count("\"9007199254740992\"")).await,
            r#"{"count":0}"#
        );
        assert_eq!(place.run("count", &count("9007199254740993")).await, r#"{"count":1}"#);
        let null = r#"{"table":"kinds","all":true,"data":{"big":null,"flag":null,"at":null,"doc":null,"raw":null,"day":null}}"#;
        place.run("update", null).await;
        let found: serde_json::Value =
            serde_json::from_str(&place.run("findOne", r#"{"table":"kinds"}"#).await).unwrap();
        assert!(
            ["big", "flag", "at", "doc", "raw", "day"]
                .iter()
                .all(|name| found[name].is_null()),
            "{found}"
        );
    }
}

#[tokio::test]
async fn points_in_time_compare_as_such_whatever_form_they_have() {
    for place in Place::all().await {
        place
            .sql(place.by(
                r#"CREATE TABLE logs (id int, "createdAt" timestamptz)"#,
                "CREATE TABLE logs (id int, createdAt datetime(3))",
                "CREATE TABLE logs (id INTEGER, createdAt TIMESTAMP)",
            ))
            .await;
        let rows = r#"{"table":"logs","data":[{"id":1,"createdAt":1769850000123},{"id":2,"createdAt":"2026-01-31T10:00:00.124+01:00"},
            {"id":3,"createdAt":"2026-02-01T00:00:00Z"}]}"#;
        place.run("insertMany", rows).await;
        if place.by("", "", "sqlite") == "sqlite" {
            // As other programs write them: SQLite's own form, JavaScript's, and milliseconds.
            place.sql("DELETE FROM logs").await;
            place.sql("INSERT INTO logs VALUES (1, '2026-01-31 09:00:00.123'), (2, '2026-01-31T09:00:00.124Z'), (3, 1769904000000)").await;
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
            assert_eq!(place.run("count", &input).await, expected, "{:?} {test}", place.dialect);
        }
        let found = place.run("find", r#"{"table":"logs","where":{"id":2}}"#).await;
        assert!(found.contains("2026-01-31T09:00:00.124Z"), "{found}");
        let least = place
            .run(
                "aggregate",
                r#"{"table":"logs","where":{"id":1},"aggregate":{"first":{"$min":"createdAt"}}}"#,
            )
            .await;
        assert!(least.contains("2026-01-31T09:00:00.123Z"), "{least}");
        for wrong in [r#""now""#, r#""soon'; DROP TABLE logs""#, "true", "[]", "1e300"] {
            let input = format!(r#"{{"table":"logs","filter":{{"createdAt":{{"$lt":{wrong}}}}}}}"#);
            let (code, message) = place.refusal("deleteMany", &input).await;
            assert_eq!(code, "VALIDATION_ERROR", "{message}");
            assert!(!message.contains("DROP"), "{message}");
        }
        let gone = r#"{"table":"logs","filter":{"createdAt":{"$lt":1769850000124}}}"#;
        assert_eq!(place.run("deleteMany", gone).await, r#"{"count":1}"#);
    }
}

#[tokio::test]
async fn a_value_is_refused_where_the_database_would_bend_it() {
    for place in Place::all().await {
        place.sql("CREATE TABLE strict (id int, name varchar(3), n int)").await;
        place
            .run(
                "insertMany",
                r#"{"table":"strict","data":[{"id":0,"name":"abc"},{"id":1,"name":"0"}]}"#,
            )
            .await;
        // MySQL would take 'abc' for 0 on either side.
        let by_text = place
            .try_run("count", r#"{"table":"strict","where":{"id":"abc"}}"#)
            .await;
        assert_eq!(&*by_text.unwrap_err().code, "VALIDATION_ERROR");
        assert_eq!(
            place.run("count", r#"{"table":"strict","where":{"name":0}}"#).await,
            r#"{"count":1}"#
        );
        for data in [r#"{"n":"s3cret"}"#, r#"{"n":{"a":1}}"#, r#"{"name":["a"]}"#] {
            let input = format!(r#"{{"table":"strict","data":{data}}}"#);
            let (code, message) = place.refusal("insert", &input).await;
            assert!(code == "VALIDATION_ERROR" && !message.contains("s3cret"), "{message}");
        }
        if place.by("strict", "strict", "") == "strict" {
            let (code, _) = place
                .refusal("insert", r#"{"table":"strict","data":{"name":"much too long"}}"#)
                .await;
            assert_eq!(code, "VALIDATION_ERROR");
        }
    }
}

#[tokio::test]
async fn types_that_are_unknown_come_as_text() {
    let Some(place) = Place::postgres().await else { return };
    place.sql("CREATE TYPE mood AS ENUM ('ok', 'bad')").await;
    place.sql("CREATE DOMAIN small AS int CHECK (VALUE < 10)").await;
    place
        .sql("CREATE TABLE odd (m mood, s small, i inet, r int4range, v interval, ms mood[], c char(3))")
        .await;
    let row = r#"{"m":"ok","s":3,"i":"10.0.0.1","r":"[1,5)","v":"01:00:00","ms":["bad"],"c":"ab "}"#;
    place.run("insert", &format!(r#"{{"table":"odd","data":{row}}}"#)).await;
    assert_eq!(
        place.run("findOne", r#"{"table":"odd","where":{"m":"ok"}}"#).await,
        row.replace("10.0.0.1", "10.0.0.1/32")
    );
    let changed = place
        .run(
            "update",
            r#"{"table":"odd","where":{"s":3},"data":{"s":4},"returning":["i"]}"#,
        )
        .await;
    assert_eq!(changed, r#"{"count":1,"rows":[{"i":"10.0.0.1/32"}]}"#);
    let (code, message) = place.refusal("raw", r#"{"sql":"SELECT i FROM odd"}"#).await;
    assert!(
        code == "VALIDATION_ERROR" && message.contains("cast it to text"),
        "{message}"
    );
    assert_eq!(
        place
            .refusal("insert", r#"{"table":"odd","data":{"m":"s3cret"}}"#)
            .await
            .0,
        "VALIDATION_ERROR"
    );
    let (_, message) = place.refusal("insert", r#"{"table":"odd","data":{"s":77}}"#).await;
    assert!(!message.contains("77"), "{message}");
}
