//! What DynamoDB has beyond the documented shapes, which the table in `tests/documented` runs.

use super::Dynamo;
use crate::connector::Connector;

const ORDERS: &str = r#"{"table":"T.orders","records":[
    {"id":"1","customer":7,"status":"open","total":10.5,"note":"100%","tags":["a","b"],"at":"2026-01-31T09:00:00.123Z"},
    {"id":"2","customer":7,"at":1769850000123,"status":"paid","total":20,"note":null,"tags":{"$stringSet":["b"]}},
    {"id":"3","customer":8,"status":"open","total":5.25,"note":"Big box"},
    {"id":"4","customer":9,"status":"void","note":"big","address":{"city":"Oslo"}}]}"#;

/// The ids of rows in any order, as a text.
fn ids(result: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(result).unwrap();
    let rows = value["rows"].as_array().unwrap();
    let mut ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.join(",")
}

#[tokio::test]
async fn dynamodb_filters_go_by_what_rows_have() {
    let Some(dynamo) = Dynamo::new() else { return };
    dynamo.table("orders", "id:S", &[]).await;
    dynamo.run("insert", ORDERS).await;
    for (filter, expected) in [
        // Also rows that lack it.
        (r#"{"total":{"$ne":20}}"#, "1,3,4"),
        (r#"{"status":{"$in":[]}}"#, ""),
        (r#"{"note":{"$like":"%ig%"}}"#, "3,4"),
        (r#"{"note":{"$notLike":"%ig%"}}"#, "1,2"),
        (r#"{"note":{"$like":"100\\%"}}"#, "1"),
        (r#"{"note":null}"#, "2"),
        (r#"{"total":{"$isNull":true}}"#, "4"),
        (r#"{"total":{"$exists":false}}"#, "4"),
        (r#"{"id":{"$between":["2","3"]}}"#, "2,3"),
        (r#"{"id":{"$between":["3","2"]}}"#, ""),
        (r#"{"id":{"$notBetween":["2","3"]}}"#, "1,4"),
        (r#"{"id":{"$in":["1","4","5"]}}"#, "1,4"),
        (r#"{"tags":{"$containsAny":["a","b"]}}"#, "1,2"),
        (r#"{"tags":["a","b"]}"#, "1"),
        (r#"{"tags":{"$stringSet":["b"]}}"#, "2"),
        (r#"{"address.city":"Oslo"}"#, "4"),
        (r#"{"address":{"city":"Oslo"}}"#, "4"),
        (r#"{"$not":{"status":"open"}}"#, "2,4"),
        // A point in time, as text and as milliseconds.
        (r#"{"at":1769850000123}"#, "1,2"),
        (r#"{"at":{"$lt":1769850000124}}"#, "1,2"),
        (r#"{"at":{"$lt":1769850000123}}"#, ""),
        (r#"{"at":{"$between":[1769850000000,1769850000123]}}"#, "1,2"),
        (r#"{"id":"3"}"#, "3"),
        (r#"{"id":"3","status":"paid"}"#, ""),
        ("{}", "1,2,3,4"),
    ] {
        let found = dynamo
            .run("find", &format!(r#"{{"table":"T.orders","where":{filter}}}"#))
            .await;
        assert_eq!(ids(&found), expected, "{filter}");
        let rows = expected.split(',').filter(|id| !id.is_empty()).count();
        let count = dynamo
            .run("count", &format!(r#"{{"table":"T.orders","where":{filter}}}"#))
            .await;
        assert_eq!(count, format!(r#"{{"count":{rows}}}"#), "{filter}");
    }
    dynamo.drop_tables(&["orders"]).await;
}

#[tokio::test]
async fn dynamodb_operations_take_what_rows_have() {
    let Some(dynamo) = Dynamo::new() else { return };
    dynamo.table("orders", "id:S", &[]).await;
    dynamo.connector.check().await.unwrap();
    for (name, input, expected) in [
        ("insert", ORDERS, r#"{"count":4}"#),
        (
            "findOne",
            r#"{"collection":"T.orders","where":{"id":"4"}}"#,
            r#"{"id":"4","address":{"city":"Oslo"},"customer":9,"note":"big","status":"void"}"#,
        ),
        (
            "findOne",
            r#"{"table":"T.orders","where":{"id":"4","status":"open"}}"#,
            "null",
        ),
        (
            "query",
            r#"{"entity":"T.orders","select":["total","id"],"where":{"id":"1"},"orderBy":{"total":"desc"}}"#,
            r#"{"rows":[{"total":10.5,"id":"1"}],"count":1}"#,
        ),
        (
            "findMany",
            r#"{"table":"T.orders","fields":["address.city"],"where":{"status":"void"}}"#,
            r#"{"rows":[{"address":{"city":"Oslo"}}],"count":1}"#,
        ),
        ("count", r#"{"table":"T.orders","column":"total"}"#, r#"{"count":3}"#),
        (
            "count",
            r#"{"table":"T.orders","column":"note","where":{"id":"2"}}"#,
            r#"{"count":0}"#,
        ),
        (
            "insertOne",
            r#"{"table":"T.orders","data":{"id":"x","n":1}}"#,
            r#"{"count":1}"#,
        ),
        (
            "insert",
            r#"{"table":"T.orders","data":{"id":"y","n":1,"in":{"a":1,"b":2}},"returning":["n","in.b"]}"#,
            r#"{"count":1,"rows":[{"n":1,"in":{"b":2}}]}"#,
        ),
        (
            "upsert",
            r#"{"table":"T.orders","data":[{"id":"x","n":2,"new":1},{"id":"z","n":3,"new":1}],"conflictKeys":["id"],"updateColumns":["n"]}"#,
            r#"{"count":2}"#,
        ),
        (
            "insert",
            r#"{"table":"T.orders","data":{"id":"x","n":9},"onConflict":{"columns":["id"],"action":"ignore"},"returning":true}"#,
            r#"{"count":1,"rows":[{"id":"x","n":2}]}"#,
        ),
        (
            "upsert",
            r#"{"table":"T.orders","where":{"id":"z"},"data":{"n":4}}"#,
            r#"{"count":1}"#,
        ),
        (
            "upsert",
            r#"{"table":"T.orders","data":[{"id":"z","n":5},{"id":"w","n":6}],"conflictColumns":["id"]}"#,
            r#"{"count":2}"#,
        ),
        (
            "upsert",
            r#"{"table":"T.orders","data":{"id":"w","m":7},"conflictColumns":["id"],"returning":true}"#,
            r#"{"count":1,"rows":[{"id":"w","m":7,"n":6}]}"#,
        ),
        (
            "findOne",
            r#"{"table":"T.orders","where":{"id":"x"}}"#,
            r#"{"id":"x","n":2}"#,
        ),
        (
            "findOne",
            r#"{"table":"T.orders","where":{"id":"z"}}"#,
            r#"{"id":"z","n":5,"new":1}"#,
        ),
        (
            "updateOne",
            r#"{"table":"T.orders","where":{"id":"x"},"data":{"n":5},"returning":["n"]}"#,
            r#"{"count":1,"rows":[{"n":5}]}"#,
        ),
        (
            "updateOne",
            r#"{"table":"T.orders","where":{"n":{"$gte":1}},"data":{"touched":true}}"#,
            r#"{"count":1}"#,
        ),
        (
            "count",
            r#"{"table":"T.orders","where":{"touched":true}}"#,
            r#"{"count":1}"#,
        ),
        (
            "update",
            r#"{"table":"T.orders","where":{"id":{"$in":["x","y","z"]}},"data":{"n":{"$inc":1}}}"#,
            r#"{"count":3}"#,
        ),
        (
            "updateMany",
            r#"{"entity":"T.orders","filter":{"id":"y"},"values":{"$INC":{"n":2},"$SET":{"m":1}}}"#,
            r#"{"count":1}"#,
        ),
        (
            "updateRecords",
            r#"{"table":"T.orders","where":{"id":"y"},"data":{"n":{"$decrement":2},"m":{"$unset":true}},"returning":true}"#,
            r#"{"count":1,"rows":[{"id":"y","in":{"a":1,"b":2},"n":2}]}"#,
        ),
        // No row is made, and none that the rest of the filter does not meet is changed.
        (
            "update",
            r#"{"table":"T.orders","where":{"id":"none"},"data":{"n":1}}"#,
            r#"{"count":0}"#,
        ),
        (
            "update",
            r#"{"table":"T.orders","where":{"id":"x","n":99},"data":{"n":1}}"#,
            r#"{"count":0}"#,
        ),
        (
            "deleteOne",
            r#"{"table":"T.orders","where":{"id":"x","n":6},"returning":["id","n"]}"#,
            r#"{"count":1,"rows":[{"id":"x","n":6}]}"#,
        ),
        (
            "deleteOne",
            r#"{"table":"T.orders","where":{"id":"x"}}"#,
            r#"{"count":0}"#,
        ),
        (
            "deleteMany",
            r#"{"table":"T.orders","filter":{"total":{"$lt":15}}}"#,
            r#"{"count":2}"#,
        ),
        ("delete", r#"{"table":"T.orders","all":true}"#, r#"{"count":5}"#),
        ("insert", ORDERS, r#"{"count":4}"#),
        (
            "raw",
            r#"{"operation":"GetItem","params":{"TableName":"T.orders","Key":{"id":{"S":"3"}},"ProjectionExpression":"note"}}"#,
            r#"{"rows":[{"Item":{"note":{"S":"Big box"}}}],"count":1}"#,
        ),
        (
            "raw",
            r#"{"target":"Query","params":{"TableName":"T.orders","KeyConditionExpression":"id = :i","ExpressionAttributeValues":{":i":{"S":"3"}}}}"#,
            r#"{"rows":[{"customer":8,"id":"3","note":"Big box","status":"open","total":5.25}],"count":1}"#,
        ),
        (
            "raw",
            r#"{"query":"UPDATE \"T.orders\" SET total = ? WHERE id = ?","params":[11,"1"]}"#,
            r#"{"rows":[],"count":0}"#,
        ),
        (
            "findOne",
            r#"{"table":"T.orders","select":["total"],"where":{"id":"1"}}"#,
            r#"{"total":11}"#,
        ),
    ] {
        assert_eq!(dynamo.run(name, input).await, expected, "{name} {input}");
    }
    dynamo.drop_tables(&["orders"]).await;
}

#[tokio::test]
async fn dynamodb_changes_attributes_by_every_operator() {
    let Some(dynamo) = Dynamo::new() else { return };
    dynamo.table("t", "id:N", &[]).await;
    for (before, data, after) in [
        ("{}", r#"{"n":{"$dec":2}}"#, r#"{"n":-2}"#),
        (
            r#"{"n":{"$numberDecimal":"12345678901234567.89"}}"#,
            r#"{"n":{"$dec":"0.01"}}"#,
            r#"{"n":{"$numberDecimal":"12345678901234567.88"}}"#,
        ),
        (
            r#"{"n":1}"#,
            r#"{"n":{"$set":{"$json":{"$inc":1}}}}"#,
            r#"{"n":{"$inc":1}}"#,
        ),
        (r#"{"m":2,"n":1}"#, r#"{"$unset":["n"]}"#, r#"{"m":2}"#),
        ("{}", r#"{"l":{"$push":{"$each":[2,"x"]}}}"#, r#"{"l":[2,"x"]}"#),
        (
            r#"{"l":{"$stringSet":["a"]}}"#,
            r#"{"l":{"$addToSet":{"$each":["a","b"]}}}"#,
            r#"{"l":{"$stringSet":["a","b"]}}"#,
        ),
        ("{}", r#"{"l":{"$addToSet":"b"}}"#, r#"{"l":{"$stringSet":["b"]}}"#),
        (
            r#"{"l":{"$numberSet":[1]}}"#,
            r#"{"l":{"$addToSet":{"$numberSet":[2]}}}"#,
            r#"{"l":{"$numberSet":[1,2]}}"#,
        ),
        (
            r#"{"l":["a"]}"#,
            r#"{"l":{"$addToSet":"a"},"n":1}"#,
            r#"{"l":["a"],"n":1}"#,
        ),
        (
            r#"{"l":{"$stringSet":["a","b"]}}"#,
            r#"{"l":{"$pull":"a"}}"#,
            r#"{"l":{"$stringSet":["b"]}}"#,
        ),
        (r#"{"o":{"a":1}}"#, r#"{"o.b":2}"#, r#"{"o":{"a":1,"b":2}}"#),
    ] {
        dynamo.run("delete", r#"{"table":"T.t","all":true}"#).await;
        let row = before.replacen('{', r#"{"id":1,"#, 1).replace(",}", "}");
        dynamo
            .run("insert", &format!(r#"{{"table":"T.t","data":{row}}}"#))
            .await;
        let update = format!(r#"{{"table":"T.t","where":{{"id":1}},"data":{data}}}"#);
        assert_eq!(dynamo.run("update", &update).await, r#"{"count":1}"#, "{data}");
        let expected = after.replacen('{', r#"{"id":1,"#, 1);
        let found = dynamo.run("findOne", r#"{"table":"T.t","where":{"id":"1"}}"#).await;
        assert_eq!(found, expected, "{before} {data}");
    }
    dynamo.drop_tables(&["t"]).await;
}

#[tokio::test]
async fn dynamodb_queries_order_and_page_by_the_sort_key() {
    let Some(dynamo) = Dynamo::new() else { return };
    dynamo.table("events", "user:S at:N", &["by_kind kind:S at:N"]).await;
    let rows: Vec<String> = (1..=30)
        .map(|at| format!(r#"{{"user":"a","at":{at},"kind":"k{}","id":"{at}"}}"#, at % 3))
        .collect();
    let insert = format!(r#"{{"table":"T.events","data":[{}]}}"#, rows.join(","));
    assert_eq!(dynamo.run("insertMany", &insert).await, r#"{"count":30}"#);
    let at = async |input: &str| {
        let found = dynamo
            .run("find", &format!(r#"{{"table":"T.events","select":["at"],{input}}}"#))
            .await;
        let value: serde_json::Value = serde_json::from_str(&found).unwrap();
        let rows = value["rows"].as_array().unwrap().clone();
        rows.iter().map(|row| row["at"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    for (input, expected) in [
        (
            r#""where":{"user":"a"},"orderBy":{"at":"desc"},"limit":3"#,
            &[30, 29, 28][..],
        ),
        (r#""where":{"user":"a"},"orderBy":"at","limit":2,"offset":5"#, &[6, 7]),
        (r#""where":{"user":"a","at":{"$gt":"28"}}"#, &[29, 30]),
        (r#""where":{"user":"a","at":{"$gte":3,"$lt":5}}"#, &[3, 4]),
        (r#""where":{"user":"a","at":{"$gt":3,"$lt":5}}"#, &[4]),
        (
            r#""where":{"user":"a","at":{"$gt":3,"$lt":5}},"limit":1,"orderBy":{"at":-1}"#,
            &[4],
        ),
        (r#""where":{"user":"a","at":{"$between":[9,10]}}"#, &[9, 10]),
        (r#""where":{"user":"a","at":{"$gt":5,"$lt":2}}"#, &[]),
        (r#""where":{"kind":"k1"},"orderBy":{"at":"desc"},"limit":2"#, &[28, 25]),
        (
            r#""where":{"kind":"k1","user":"a","at":{"$lte":4}},"orderBy":"at""#,
            &[1, 4],
        ),
        (r#""where":{"user":"b"}"#, &[]),
    ] {
        assert_eq!(at(input).await, expected, "{input}");
    }
    let mut several = at(r#""where":{"user":"a","at":{"$in":[3,4,99,"3.0"]}}"#).await;
    several.sort_unstable();
    assert_eq!(several, [3, 4]);
    assert!(dynamo.warnings.lock().unwrap().is_empty());
    for (filter, expected) in [
        (r#"{"user":{"$in":["a","b"]},"at":{"$in":[1,2]}}"#, 2),
        (r#"{"user":"a","at":{"$gt":3,"$lt":7}}"#, 3),
        (r#"{"user":"a","at":{"$gte":3}}"#, 28),
        (r#"{"kind":"k0"}"#, 10),
    ] {
        let count = dynamo
            .run("count", &format!(r#"{{"table":"T.events","where":{filter}}}"#))
            .await;
        assert_eq!(count, format!(r#"{{"count":{expected}}}"#), "{filter}");
    }
    // Rows of a range are deleted in batches of 25.
    let deleted = dynamo
        .run(
            "delete",
            r#"{"table":"T.events","where":{"user":"a","at":{"$lte":28}}}"#,
        )
        .await;
    assert_eq!(deleted, r#"{"count":28}"#);
    let changed = dynamo
        .run(
            "update",
            r#"{"table":"T.events","where":{"user":"a"},"data":{"n":{"$inc":1}},"returning":["at","n"]}"#,
        )
        .await;
    assert_eq!(changed, r#"{"count":2,"rows":[{"at":29,"n":1},{"at":30,"n":1}]}"#);
    dynamo.drop_tables(&["events"]).await;
}
