//! Values there and back, and keys of every type.

use super::Dynamo;

#[tokio::test]
async fn dynamodb_values_come_back_as_they_were_written() {
    let Some(dynamo) = Dynamo::new() else { return };
    dynamo.table("t", "id:N", &[]).await;
    for (given, answered) in [
        ("null", "null"),
        ("true", "true"),
        ("0.1", "0.1"),
        ("1.50", "1.5"),
        ("9007199254740991", "9007199254740991"),
        ("9007199254740993", r#"{"$numberDecimal":"9007199254740993"}"#),
        (
            r#"{"$numberDecimal":"1234567890123456789.0000000000000001"}"#,
            r#"{"$numberDecimal":"1234567890123456789.0000000000000001"}"#,
        ),
        (
            "12345678901234567890123456789012345678",
            r#"{"$numberDecimal":"12345678901234567890123456789012345678"}"#,
        ),
        ("-1e-7", "-1E-7"),
        ("1e100", "1E+100"),
        // Dates are texts, and texts of digits too.
        ("\"2026-01-31T09:00:00.123Z\"", "\"2026-01-31T09:00:00.123Z\""),
        ("\"12345678901234567890\"", "\"12345678901234567890\""),
        ("\"\"", "\"\""),
        (r#"{"$bytes":"AQI="}"#, r#"{"$bytes":"AQI="}"#),
        (r#"{"$stringSet":["a","b","a"]}"#, r#"{"$stringSet":["a","b"]}"#),
        (
            r#"{"$numberSet":[1,"2.50",9007199254740993]}"#,
            r#"{"$numberSet":[1,2.5,"9007199254740993"]}"#,
        ),
        (r#"{"$bytesSet":["AQI="]}"#, r#"{"$bytesSet":["AQI="]}"#),
        (
            r#"{"z":[1,{"a":"é\n\u0000"}],"b":{}}"#,
            r#"{"b":{},"z":[1,{"a":"é\n\u0000"}]}"#,
        ),
        (r#"{"$json":{"$bytes":1}}"#, r#"{"$bytes":1}"#),
    ] {
        dynamo.run("delete", r#"{"table":"T.t","all":true}"#).await;
        let insert = format!(r#"{{"table":"T.t","data":{{"id":1,"v":{given}}}}}"#);
        dynamo.run("insertOne", &insert).await;
        let back = dynamo.run("findOne", r#"{"table":"T.t","where":{"id":1}}"#).await;
        let back: serde_json::Value = serde_json::from_str(&back).unwrap();
        let expected: serde_json::Value = serde_json::from_str(answered).unwrap();
        assert_eq!(back["v"].to_string(), expected.to_string(), "{given}");
        if given.contains("$json") {
            continue;
        }
        // What comes back is taken again, and is the same.
        let again = format!(r#"{{"table":"T.t","where":{{"id":1}},"data":{{"v":{{"$set":{answered}}}}}}}"#);
        dynamo.run("update", &again).await;
        let same = dynamo.run("findOne", r#"{"table":"T.t","where":{"id":1}}"#).await;
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&same).unwrap(),
            back,
            "{given}"
        );
    }
    for (refused, named) in [
        ("123456789012345678901234567890123456789", "38"),
        ("1e999", "'v'"),
        (r#"{"$stringSet":[]}"#, "empty sets"),
        (r#"{"$numberSet":["x"]}"#, "'v'"),
        (r#"{"$where":"1"}"#, "$where"),
        (r#"{"a":{"$gt":1}}"#, "$gt"),
    ] {
        let insert = format!(r#"{{"table":"T.t","data":{{"id":2,"v":{refused}}}}}"#);
        let (code, message) = dynamo.refusal("insertOne", &insert).await;
        assert_eq!(code, "VALIDATION_ERROR", "{refused}");
        assert!(message.contains(named), "{refused}: {message}");
    }
    dynamo.drop_tables(&["t"]).await;
}

#[tokio::test]
async fn dynamodb_keys_of_every_type_are_found_and_others_refused() {
    let Some(dynamo) = Dynamo::new() else { return };
    dynamo.table("n", "id:N", &[]).await;
    dynamo.table("b", "id:B", &[]).await;
    dynamo.table("s", "id:S", &[]).await;
    for (table, given, same) in [
        (
            "n",
            r#""12345678901234567890.10""#,
            r#"{"$numberDecimal":"12345678901234567890.1"}"#,
        ),
        ("n", "7", "\"7.0\""),
        ("b", r#"{"$bytes":"AQI="}"#, r#"{"$bytes":"AQI="}"#),
        ("s", "\"7\"", "\"7\""),
    ] {
        dynamo
            .run(
                "insert",
                &format!(r#"{{"table":"T.{table}","data":{{"id":{given},"v":1}}}}"#),
            )
            .await;
        let count = dynamo
            .run("count", &format!(r#"{{"table":"T.{table}","where":{{"id":{same}}}}}"#))
            .await;
        assert_eq!(count, r#"{"count":1}"#, "{table} {given}");
    }
    for (table, wrong) in [
        ("n", "\"x\""),
        ("n", "true"),
        ("b", "\"AQI=\""),
        ("s", "7"),
        ("s", "\"\""),
        ("s", "null"),
    ] {
        let insert = format!(r#"{{"table":"T.{table}","data":{{"id":{wrong}}}}}"#);
        let (code, message) = dynamo.refusal("insert", &insert).await;
        assert_eq!(code, "VALIDATION_ERROR");
        assert!(message.contains("'id'"), "{table} {wrong}: {message}");
    }
    dynamo.drop_tables(&["n", "b", "s"]).await;
}
