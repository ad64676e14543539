//! Values that go there and come back.

use super::support::{TestGraph, query};
use serde_json::json;

#[tokio::test]
async fn values_of_every_type_come_back_in_the_documented_forms() {
    let Some(graph) = TestGraph::new().await else { return };
    for (value, expected) in [
        ("true", json!(true)),
        ("7", json!(7)),
        ("7.5", json!(7.5)),
        (r#"{"$float":7}"#, json!(7.0)),
        ("9007199254740991", json!(9_007_199_254_740_991_i64)),
        ("9007199254740993", json!("9007199254740993")),
        (r#"{"$integer":"-9223372036854775808"}"#, json!("-9223372036854775808")),
        (r#""żółć 🎉""#, json!("żółć 🎉")),
        ("[]", json!([])),
        (r#"["a","b"]"#, json!(["a", "b"])),
        ("[1,2]", json!([1, 2])),
        (r#"{"$bytes":"AQI="}"#, json!({ "$bytes": "AQI=" })),
        (
            r#"{"$datetime":"2026-01-31T10:00:00+01:00"}"#,
            json!("2026-01-31T09:00:00.000Z"),
        ),
        (r#"{"$datetime":1769850000123}"#, json!("2026-01-31T09:00:00.123Z")),
        (
            r#"{"$datetime":"2026-01-31T10:00[Europe/Berlin]"}"#,
            json!("2026-01-31T09:00:00.000Z"),
        ),
        (
            r#"{"$localdatetime":"2026-01-31T09:00"}"#,
            json!("2026-01-31T09:00:00.000"),
        ),
        (r#"{"$date":"2026-01-31"}"#, json!("2026-01-31")),
        (r#"[{"$date":"2026-01-31"}]"#, json!(["2026-01-31"])),
        (r#"{"$time":"09:30+01:00"}"#, json!("09:30:00+01:00")),
        (r#"{"$localtime":"09:30:00.5"}"#, json!("09:30:00.500")),
        (r#"{"$duration":"P1Y2M3DT4H0.5S"}"#, json!("P14M3DT14400.500S")),
        (
            r#"{"$point":{"longitude":13.4,"latitude":52.5}}"#,
            json!({ "$point": { "srid": 4_326, "x": 13.4, "y": 52.5 } }),
        ),
        (
            r#"{"$point":{"srid":9157,"x":1,"y":2,"z":3}}"#,
            json!({ "$point": { "srid": 9_157, "x": 1.0, "y": 2.0, "z": 3.0 } }),
        ),
    ] {
        let input = format!(r#"{{"labels":["@L"],"properties":{{"p":{value}}}}}"#);
        let made = graph.run("createNode", &input).await;
        assert_eq!(made["node"]["properties"]["p"], expected, "{value}");
        // What was written is found by the same value.
        let found = graph
            .run("countNodes", &format!(r#"{{"labels":["@L"],"where":{{"p":{value}}}}}"#))
            .await;
        assert!(found["count"].as_i64().unwrap() >= 1, "{value}");
    }
    for value in [
        "9223372036854775808",
        r#"{"a":1}"#,
        "[[1]]",
        r#"{"$date":"2026-02-30"}"#,
        r#"{"$point":{"x":1}}"#,
        r#"[1,"a"]"#,
    ] {
        let input = format!(r#"{{"labels":["@L"],"properties":{{"p":{value}}}}}"#);
        assert_eq!(
            graph.refusal("createNode", &input).await.0,
            "VALIDATION_ERROR",
            "{value}"
        );
    }
}

#[tokio::test]
async fn values_that_the_server_cannot_read_are_told_as_what_they_are() {
    let Some(graph) = TestGraph::new().await else { return };
    for (value, said) in [
        (
            r#"{"$date":"soon"}"#,
            "a text is no date, which is written as in '2026-01-31'",
        ),
        (r#"{"$date":"2026-02-30"}"#, "out of its range"),
        (
            r#"{"$datetime":"2026-01-31T10:00[Mars/Base]"}"#,
            "a time zone that the server does not know",
        ),
        (r#"{"$duration":"soon"}"#, "a text is no duration"),
        (r#"{"$point":{"x":1}}"#, "a point lacks a coordinate"),
        (
            r#"{"$point":{"longitude":1000,"latitude":1000}}"#,
            "a point lacks a coordinate, or has one that is out of its range",
        ),
        (r#"[1,"a"]"#, "a list of values of one type"),
    ] {
        let input = format!(r#"{{"labels":["@L"],"properties":{{"p":{value}}}}}"#);
        let (code, message) = graph.refusal("createNode", &input).await;
        assert!(
            code == "VALIDATION_ERROR" && message.contains(said),
            "{value}: {message}"
        );
        assert!(!message.contains("Cypher cannot be read"), "{message}");
    }
    for (cypher, code, said) in [
        ("RETURN 1 / 0 AS n", "VALIDATION_ERROR", "divided by zero"),
        (
            "RETURN nothing_such(1) AS n",
            "VALIDATION_ERROR",
            "no function 'nothing_such', at line 1, column 8",
        ),
        ("RETURN 'x' =~ '(' AS n", "VALIDATION_ERROR", "a regular expression"),
        (
            "UNWIND ['a'] AS x RETURN sum(x) AS n",
            "VALIDATION_ERROR",
            "a type that does not fit, at line 1",
        ),
        ("DROP INDEX nothing_such", "NOT_FOUND", "no such index"),
    ] {
        let (found, message) = graph.refusal("query", &query(cypher, "{}")).await;
        assert!(found == code && message.contains(said), "{cypher}: {found} {message}");
    }
}

#[tokio::test]
async fn points_in_time_are_compared_with_texts_and_milliseconds() {
    let Some(graph) = TestGraph::new().await else { return };
    for (name, at) in [
        ("text", r#""2026-01-31T09:00:00.000Z""#),
        ("time", r#"{"$datetime":"2026-01-31T10:00:00+01:00"}"#),
        ("local", r#"{"$localdatetime":"2026-01-31T09:00:00"}"#),
        ("date", r#"{"$date":"2026-01-31"}"#),
        ("number", "1769850000000"),
    ] {
        graph.node(&format!(r#"{{"name":"{name}","at":{at}}}"#)).await;
    }
    for (filter, names) in [
        (r#""2026-01-31T09:00:00.000Z""#, json!(["text", "time"])),
        (r#"{"$lt":"2026-02-01T00:00:00.000Z"}"#, json!(["text", "time"])),
        (r#"{"$lt":"2026-02-01"}"#, json!(["date", "text"])),
        (r#"{"$gte":"2026-01-31T08:59:59"}"#, json!(["local", "text", "time"])),
        (r#"{"$lt":1769850000001}"#, json!(["number", "time"])),
        (
            r#"{"$between":[1769849999999,1769850000001]}"#,
            json!(["number", "time"]),
        ),
        (
            r#"{"$in":["2026-01-31","2026-01-31T09:00:00.000Z"]}"#,
            json!(["date", "text", "time"]),
        ),
        (
            r#"{"$ne":"2026-01-31T09:00:00.000Z"}"#,
            json!(["date", "local", "number"]),
        ),
        (r#"{"$gt":{"$datetime":"2026-01-31T08:00Z"}}"#, json!(["time"])),
    ] {
        let input = format!(r#"{{"labels":["@L"],"where":{{"at":{filter}}},"orderBy":"name"}}"#);
        let found = graph.run("findNodes", &input).await;
        let shown: Vec<_> = found["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| &node["properties"]["name"])
            .collect();
        assert_eq!(json!(shown), names, "{filter}");
    }
}

#[tokio::test]
async fn results_are_bounded() {
    let Some(graph) = TestGraph::new().await else { return };
    let many = graph
        .run("query", &query("UNWIND range(1, 100000) AS n RETURN n", "{}"))
        .await;
    assert_eq!((&many["count"], &many["truncated"]), (&json!(1_000), &json!(true)));
    let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(50_000));
    let wide = graph
        .run("query", &query("UNWIND range(1, 100) AS n RETURN $text AS text", &text))
        .await;
    assert_eq!((&wide["count"], &wide["truncated"]), (&json!(19), &json!(true)));
    let large = "UNWIND [1] AS n RETURN range(1, 500000) AS list";
    assert_eq!(graph.refusal("query", &query(large, "{}")).await.0, "VALIDATION_ERROR");
    let huge = "UNWIND [1] AS n RETURN range(1, 5000000) AS list";
    let (code, message) = graph.refusal("query", &query(huge, "{}")).await;
    assert!(code == "VALIDATION_ERROR" && message.contains("4 MiB"), "{message}");
    // Whatever was left unread, the next job gets its own answer.
    for n in 0..5 {
        let own = graph.run("query", &query(&format!("RETURN {n} AS n"), "{}")).await;
        assert_eq!(own["rows"], json!([{ "n": n }]));
    }
}

#[tokio::test]
async fn lists_alone_contain_values() {
    let Some(graph) = TestGraph::new().await else { return };
    for properties in [
        r#"{"s":["abc","x"]}"#,
        r#"{"s":"abc"}"#,
        r#"{"s":1}"#,
        r#"{"s":[]}"#,
        "{}",
    ] {
        graph.node(properties).await;
    }
    for (filter, count) in [
        (r#"{"s":{"$containsAny":["abc","y"]}}"#, 1),
        (r#"{"s":{"$containsAll":["abc","x"]}}"#, 1),
        (r#"{"s":{"$containsAny":[1]}}"#, 0),
        (r#"{"s":{"$not":{"$containsAny":["abc"]}}}"#, 3),
    ] {
        let found = graph
            .run("countNodes", &format!(r#"{{"labels":["@L"],"where":{filter}}}"#))
            .await;
        assert_eq!(found["count"], json!(count), "{filter}");
    }
}
