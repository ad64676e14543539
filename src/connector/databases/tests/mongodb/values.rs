//! Values there and back, and ids.

use super::Mongo;

#[tokio::test]
async fn mongodb_values_come_back_as_they_were_written() {
    let Some(mongo) = Mongo::new() else { return };
    for (given, answered) in [
        ("null", "null"),
        ("true", "true"),
        ("0.1", "0.1"),
        ("9007199254740991", "9007199254740991"),
        ("9007199254740993", r#"{"$numberLong":"9007199254740993"}"#),
        (
            r#"{"$numberLong":"-9223372036854775808"}"#,
            r#"{"$numberLong":"-9223372036854775808"}"#,
        ),
        (
            r#"{"$numberDecimal":"1234567890123456789.000000000000001"}"#,
            r#"{"$numberDecimal":"1234567890123456789.000000000000001"}"#,
        ),
        (r#"{"$numberDouble":"NaN"}"#, r#"{"$numberDouble":"NaN"}"#),
        (
            "\"2026-01-31T09:00:00.123Z\"",
            r#"{"$date":"2026-01-31T09:00:00.123Z"}"#,
        ),
        (r#"{"$date":1769850000123}"#, r#"{"$date":"2026-01-31T09:00:00.123Z"}"#),
        (r#"{"$date":{"$numberLong":"-1"}}"#, r#"{"$date":{"$numberLong":"-1"}}"#),
        // Other texts stay texts, and so does what is quoted.
        ("\"2026-01-31\"", "\"2026-01-31\""),
        (
            r#"{"$json":"2026-01-31T09:00:00.123Z"}"#,
            "\"2026-01-31T09:00:00.123Z\"",
        ),
        ("\"65f0a1b2c3d4e5f6a7b8c9d0\"", "\"65f0a1b2c3d4e5f6a7b8c9d0\""),
        (
            r#"{"$oid":"65f0a1b2c3d4e5f6a7b8c9d0"}"#,
            r#"{"$oid":"65f0a1b2c3d4e5f6a7b8c9d0"}"#,
        ),
        (r#"{"$bytes":"AQI="}"#, r#"{"$bytes":"AQI="}"#),
        (
            r#"{"$uuid":"c8edabc3-f738-4ca3-b68d-ab92a91478a3"}"#,
            r#"{"$binary":{"base64":"yO2rw/c4TKO2jauSqRR4ow==","subType":"04"}}"#,
        ),
        (r#"{"$timestamp":{"t":1,"i":2}}"#, r#"{"$timestamp":{"t":1,"i":2}}"#),
        (
            r#"{"$regularExpression":{"pattern":"^a","options":"i"}}"#,
            r#"{"$regularExpression":{"pattern":"^a","options":"i"}}"#,
        ),
        (r#"{"$minKey":1}"#, r#"{"$minKey":1}"#),
        (
            r#"{"z":[1,{"a":"é\n\u0000"}],"b":{}}"#,
            r#"{"z":[1,{"a":"é\n\u0000"}],"b":{}}"#,
        ),
    ] {
        mongo.run("delete", r#"{"table":"t","all":true}"#).await;
        let insert = format!(r#"{{"table":"t","data":{{"_id":1,"v":{given}}}}}"#);
        mongo.run("insertOne", &insert).await;
        let back = mongo.run("findOne", r#"{"table":"t"}"#).await;
        assert_eq!(back, format!(r#"{{"_id":1,"v":{answered}}}"#), "{given}");
        // What comes back is taken again.
        let again = format!(r#"{{"table":"t","where":{{"_id":1}},"data":{{"v":{{"$set":{answered}}}}}}}"#);
        mongo.run("update", &again).await;
        if !answered.starts_with('"') {
            assert_eq!(mongo.run("findOne", r#"{"table":"t"}"#).await, back, "{given}");
        }
    }
    for refused in [
        "123456789012345678901",
        "1e999",
        r#"{"$oid":"x"}"#,
        r#"{"$where":"1"}"#,
        r#"{"a":{"$function":{}}}"#,
        r#"{"$code":"1"}"#,
    ] {
        let insert = format!(r#"{{"table":"t","data":{{"v":{refused}}}}}"#);
        let (code, message) = mongo.refusal("insertOne", &insert).await;
        assert_eq!(code, "VALIDATION_ERROR", "{refused}");
        assert!(message.contains("'v'"), "{message}");
    }
    mongo.drop_database().await;
}

#[tokio::test]
async fn mongodb_ids_are_found_by_their_digits_whatever_they_are_stored_as() {
    let Some(mongo) = Mongo::new() else { return };
    let id = "65f0a1b2c3d4e5f6a7b8c9d0";
    for stored in [format!(r#"{{"$oid":"{id}"}}"#), format!("\"{id}\"")] {
        mongo.run("delete", r#"{"table":"t","all":true}"#).await;
        mongo
            .run("insert", &format!(r#"{{"table":"t","data":{{"_id":{stored},"n":1}}}}"#))
            .await;
        let upsert = format!(r#"{{"table":"t","data":{{"_id":"{id}","n":2}},"conflictKeys":["_id"]}}"#);
        mongo.run("upsert", &upsert).await;
        let found = mongo
            .run("find", &format!(r#"{{"table":"t","where":{{"_id":"{id}"}}}}"#))
            .await;
        assert_eq!(found, format!(r#"{{"rows":[{{"_id":{stored},"n":2}}],"count":1}}"#));
        let gone = mongo
            .run("deleteMany", &format!(r#"{{"table":"t","where":{{"_id":"{id}"}}}}"#))
            .await;
        assert_eq!(gone, r#"{"count":1}"#);
    }
    let made = mongo.run("insertOne", r#"{"table":"t","data":{"n":1}}"#).await;
    let made = made
        .split_once(r#""insertId":"#)
        .unwrap()
        .1
        .strip_suffix('}')
        .unwrap()
        .to_owned();
    let found = mongo
        .run("count", &format!(r#"{{"table":"t","where":{{"_id":{made}}}}}"#))
        .await;
    assert_eq!(found, r#"{"count":1}"#);
    mongo.drop_database().await;
}

#[tokio::test]
async fn mongodb_related_documents_are_found_by_keys_of_any_type() {
    let Some(mongo) = Mongo::new() else { return };
    let id = "65f0a1b2c3d4e5f6a7b8c9d0";
    for rows in [
        format!(
            r#"{{"table":"users","data":[{{"_id":{{"$oid":"{id}"}},"name":"ann","level":{{"$numberDecimal":"2.0"}}}},{{"_id":"b","name":"bob"}}]}}"#
        ),
        format!(
            r#"{{"table":"posts","data":[{{"_id":1,"user_id":{{"$oid":"{id}"}}}},{{"_id":2,"user_id":"{id}"}},{{"_id":3}},{{"_id":4,"user_id":null}},{{"_id":5,"user_id":"c"}}]}}"#
        ),
        r#"{"table":"levels","data":[{"_id":2,"label":"two"}]}"#.to_owned(),
    ] {
        mongo.run("insertMany", &rows).await;
    }
    for (input, expected) in [
        (
            r#"{"table":"users","select":["name"],"orderBy":"name","include":[
                {"relation":"posts","type":"one-to-many","select":["_id"],"orderBy":{"_id":"desc"}},
                {"relation":"level_of","table":"levels","type":"many-to-one","foreignKey":"level","select":["label"]}]}"#,
            r#"{"rows":[{"name":"ann","posts":[{"_id":2},{"_id":1}],"level_of":{"label":"two"}},{"name":"bob","posts":[],"level_of":null}],"count":2}"#,
        ),
        (
            r#"{"table":"posts","select":["_id"],"orderBy":"_id","include":{"relation":"user","table":"users","type":"many-to-one","select":["name"]}}"#,
            r#"{"rows":[{"_id":1,"user":{"name":"ann"}},{"_id":2,"user":{"name":"ann"}},{"_id":3,"user":null},{"_id":4,"user":null},{"_id":5,"user":null}],"count":5}"#,
        ),
    ] {
        assert_eq!(mongo.run("find", input).await, expected, "{input}");
    }
    mongo.drop_database().await;
}
