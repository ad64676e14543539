//! What documents have beyond the documented shapes, which the table in `tests/documented` runs.

use super::Mongo;
use crate::connector::Connector;

const ORDERS: &str = r#"{"table":"orders","records":[
    {"_id":1,"customer":7,"status":"open","total":10.5,"note":"100%","tags":["a","b"],"at":"2026-01-01T00:00:00.000Z"},
    {"_id":2,"customer":7,"status":"paid","total":20,"note":null,"tags":["b"],"at":"2026-02-01T00:00:00.000Z"},
    {"_id":3,"customer":8,"status":"open","total":5.25,"note":"Big box","at":"2026-03-01T00:00:00.000Z"},
    {"_id":4,"customer":9,"status":"void","note":"big","address":{"city":"Oslo"}}]}"#;

#[tokio::test]
async fn mongodb_filters_go_by_what_documents_have() {
    let Some(mongo) = Mongo::new() else { return };
    mongo.run("insert", ORDERS).await;
    let filters = [
        (r#"{"note":{"$like":"_ig"}}"#, "4"),
        (r#"{"note":{"$notLike":"%ig%"}}"#, "1,2"),
        (r#"{"note":{"$regex":"^[Bb]ig"}}"#, "3,4"),
        (r#"{"note":null}"#, "2"),
        (r#"{"total":{"$isNull":true}}"#, "4"),
        (r#"{"total":{"$exists":false}}"#, "4"),
        (r#"{"_id":{"$notBetween":[2,3]}}"#, "1,4"),
        (r#"{"tags":"b"}"#, "1,2"),
        (r#"{"address.city":"Oslo"}"#, "4"),
        (r#"{"address":{"city":"Oslo"}}"#, "4"),
        (r#"{"$not":{"status":"open"}}"#, "2,4"),
        // Dates are compared with ISO 8601 text, a date alone, milliseconds, and extended JSON.
        (r#"{"at":{"$lt":"2026-02-01T01:00:00+01:00"}}"#, "1"),
        (r#"{"at":{"$gte":"2026-02-01"}}"#, "2,3"),
        (r#"{"at":{"$lt":1769904000000}}"#, "1"),
        (r#"{"at":"2026-03-01"}"#, "3"),
        (r#"{"at":{"$date":"2026-03-01T00:00:00Z"}}"#, "3"),
        (r#"{"at":{"$between":["2026-01-15",1772323200000]}}"#, "2,3"),
        (r#"{"at":{"$in":["2026-03-01",1767225600000]}}"#, "1,3"),
    ];
    for (filter, ids) in filters {
        let input = format!(r#"{{"table":"orders","select":["_id"],"orderBy":"_id","where":{filter}}}"#);
        let rows: Vec<String> = ids.split(',').map(|id| format!(r#"{{"_id":{id}}}"#)).collect();
        let expected = format!(r#"{{"rows":[{}],"count":{}}}"#, rows.join(","), rows.len());
        assert_eq!(mongo.run("find", &input).await, expected, "{filter}");
        let count = mongo
            .run("count", &format!(r#"{{"table":"orders","where":{filter}}}"#))
            .await;
        assert_eq!(count, format!(r#"{{"count":{}}}"#, rows.len()), "{filter}");
    }
    mongo.drop_database().await;
}

#[tokio::test]
async fn mongodb_operations_take_what_documents_have() {
    let Some(mongo) = Mongo::new() else { return };
    for (name, input, expected) in [
        ("insert", ORDERS, r#"{"count":4}"#),
        (
            "findOne",
            r#"{"collection":"orders","where":{"_id":4}}"#,
            r#"{"_id":4,"customer":9,"status":"void","note":"big","address":{"city":"Oslo"}}"#,
        ),
        ("findOne", r#"{"table":"orders","where":{"_id":5}}"#, "null"),
        ("findMany", r#"{"table":"nothing"}"#, r#"{"rows":[],"count":0}"#),
        ("sum", r#"{"table":"nothing","column":"total"}"#, r#"{"value":null}"#),
        (
            "aggregate",
            r#"{"table":"orders","operations":{"n":{"$count":"*"},"t":{"$COUNT":"total"},"c":{"$countDistinct":"customer"},"sum":{"$sum":"total"},"names":{"$stringAgg":{"column":"status","separator":"$-"}},"all":{"$arrayAgg":"_id"}}}"#,
            r#"{"rows":[{"n":4,"t":3,"c":3,"sum":35.75,"names":"open$-paid$-open$-void","all":[1,2,3,4]}],"count":1}"#,
        ),
        (
            "aggregate",
            r#"{"table":"nothing","aggregate":{"n":{"$count":"*"},"m":{"$max":"x"}}}"#,
            r#"{"rows":[{"n":0,"m":null}],"count":1}"#,
        ),
        (
            "groupBy",
            r#"{"table":"orders","groupBy":["status"],"aggregate":{"n":{"$count":"*"},"most":{"$max":"total"}},"having":{"n":{"$gte":1},"status":{"$ne":"void"}},"orderBy":[{"n":"desc"},"status"]}"#,
            r#"{"rows":[{"status":"open","n":2,"most":10.5},{"status":"paid","n":1,"most":20}],"count":2}"#,
        ),
        (
            "groupBy",
            r#"{"table":"orders","groupBy":["address.city"],"aggregate":{"n":{"$count":"*"}},"orderBy":"n"}"#,
            r#"{"rows":[{"address.city":"Oslo","n":1},{"address.city":null,"n":3}],"count":2}"#,
        ),
        (
            "aggregate",
            r#"{"table":"orders","pipeline":[{"$match":{"at":{"$gte":"2026-02-01"}}},{"$group":{"_id":"$status","sum":{"$sum":"$total"}}},{"$sort":{"_id":1}},{"$project":{"sum":1,"label":{"$concat":["$_id","!"]}}}]}"#,
            r#"{"rows":[{"_id":"open","sum":5.25,"label":"open!"},{"_id":"paid","sum":20,"label":"paid!"}],"count":2}"#,
        ),
        (
            "insertOne",
            r#"{"table":"orders","data":{"_id":"x","n":1}}"#,
            r#"{"count":1,"insertId":"x"}"#,
        ),
        (
            "insert",
            r#"{"table":"orders","data":{"_id":"y","n":1,"in":{"a":1,"b":2}},"returning":["n","in.b"]}"#,
            r#"{"count":1,"rows":[{"n":1,"in":{"b":2}}]}"#,
        ),
        (
            "upsert",
            r#"{"table":"orders","data":[{"_id":"x","n":2,"new":1},{"_id":"z","n":3,"new":1}],"conflictKeys":["_id"],"updateColumns":["n"]}"#,
            r#"{"count":2}"#,
        ),
        (
            "insert",
            r#"{"table":"orders","data":{"_id":"x","n":9},"onConflict":{"columns":["_id"],"action":"ignore"},"returning":true}"#,
            r#"{"count":1,"rows":[{"_id":"x","n":2}]}"#,
        ),
        (
            "upsert",
            r#"{"table":"orders","where":{"_id":"z"},"data":{"n":4}}"#,
            r#"{"count":1}"#,
        ),
        (
            "find",
            r#"{"table":"orders","where":{"_id":{"$in":["x","z"]}},"orderBy":"_id"}"#,
            r#"{"rows":[{"_id":"x","n":2},{"_id":"z","n":4,"new":1}],"count":2}"#,
        ),
        (
            "updateOne",
            r#"{"table":"orders","where":{"_id":"x"},"data":{"n":5},"returning":["n"]}"#,
            r#"{"count":1,"rows":[{"n":5}]}"#,
        ),
        (
            "update",
            r#"{"table":"orders","where":{"_id":{"$in":["x","y","z"]}},"data":{"n":{"$inc":1}}}"#,
            r#"{"count":3}"#,
        ),
        (
            "deleteOne",
            r#"{"table":"orders","where":{"_id":"x"},"returning":true}"#,
            r#"{"count":1,"rows":[{"_id":"x","n":6}]}"#,
        ),
        (
            "deleteOne",
            r#"{"table":"orders","where":{"_id":"x"}}"#,
            r#"{"count":0}"#,
        ),
        (
            "deleteMany",
            r#"{"table":"orders","filter":{"at":{"$lt":"2026-02-15T00:00:00.000Z"}}}"#,
            r#"{"count":2}"#,
        ),
        ("delete", r#"{"table":"orders","all":true}"#, r#"{"count":4}"#),
        ("insert", ORDERS, r#"{"count":4}"#),
        (
            "raw",
            r#"{"collection":"orders","query":{"$expr":{"$gt":["$total",15]}}}"#,
            r#"{"rows":[{"_id":2,"customer":7,"status":"paid","total":20,"note":null,"tags":["b"],"at":{"$date":"2026-02-01T00:00:00.000Z"}}],"count":1}"#,
        ),
        (
            "raw",
            r#"{"command":{"aggregate":"orders","pipeline":[{"$count":"n"}]}}"#,
            r#"{"rows":[{"n":4}],"count":1}"#,
        ),
    ] {
        assert_eq!(mongo.run(name, input).await, expected, "{name} {input}");
    }
    let counted = mongo.run("raw", r#"{"command":{"count":"orders"}}"#).await;
    assert!(counted.starts_with(r#"{"rows":[{"n":4,"#), "{counted}");
    mongo.connector.check().await.unwrap();
    mongo.drop_database().await;
}

#[tokio::test]
async fn mongodb_changes_fields_by_every_operator() {
    let Some(mongo) = Mongo::new() else { return };
    for (before, data, after) in [
        ("{}", r#"{"n":{"$dec":2}}"#, r#"{"n":-2}"#),
        (r#"{"n":3}"#, r#"{"$MUL":{"n":2}}"#, r#"{"n":6}"#),
        (
            r#"{"n":{"$numberDecimal":"12345678901234567.89"}}"#,
            r#"{"n":{"$dec":"0.01"}}"#,
            r#"{"n":{"$numberDecimal":"12345678901234567.88"}}"#,
        ),
        (r#"{"n":5}"#, r#"{"n":{"$max":3}}"#, r#"{"n":5}"#),
        (
            r#"{"n":1}"#,
            r#"{"n":{"$set":{"$json":{"$inc":1}}}}"#,
            r#"{"n":{"$inc":1}}"#,
        ),
        (r#"{"n":1,"m":2}"#, r#"{"$unset":["n"]}"#, r#"{"m":2}"#),
        (
            r#"{"l":[1]}"#,
            r#"{"l":{"$addToSet":{"$each":[1,2]}}}"#,
            r#"{"l":[1,2]}"#,
        ),
        (r#"{"l":[1,2,1]}"#, r#"{"l":{"$pull":1}}"#, r#"{"l":[2]}"#),
        (
            r#"{"l":[{"a":1},{"a":2}]}"#,
            r#"{"l":{"$pull":{"a":1}}}"#,
            r#"{"l":[{"a":2}]}"#,
        ),
        (r#"{"l":[1,2,3]}"#, r#"{"l":{"$pull":{"$in":[1,3]}}}"#, r#"{"l":[2]}"#),
        (r#"{"o":{"a":1}}"#, r#"{"o.b":2}"#, r#"{"o":{"a":1,"b":2}}"#),
    ] {
        mongo.run("delete", r#"{"table":"t","all":true}"#).await;
        let row = before.replacen('{', r#"{"_id":1,"#, 1).replace(",}", "}");
        mongo.run("insert", &format!(r#"{{"table":"t","data":{row}}}"#)).await;
        let update = format!(r#"{{"table":"t","where":{{"_id":1}},"data":{data}}}"#);
        assert_eq!(mongo.run("update", &update).await, r#"{"count":1}"#, "{data}");
        let expected = after.replacen('{', r#"{"_id":1,"#, 1);
        assert_eq!(
            mongo.run("findOne", r#"{"table":"t"}"#).await,
            expected,
            "{before} {data}"
        );
    }
    let touch = r#"{"table":"t","where":{"_id":1},"data":{"at":{"$currentDate":true}}}"#;
    mongo.run("updateOne", touch).await;
    let touched = mongo
        .run("findOne", r#"{"table":"t","where":{"at":{"$gt":"2026-01-01"}}}"#)
        .await;
    assert!(touched.contains(r#""at":{"$date":"#), "{touched}");
    let stamp = r#"{"table":"t","where":{"_id":1},"data":{"at":{"$currentDate":{"$type":"timestamp"}}}}"#;
    assert_eq!(mongo.refusal("updateOne", stamp).await.0, "VALIDATION_ERROR");
    mongo.drop_database().await;
}

#[tokio::test]
async fn least_and_greatest_keep_off_values_of_another_type() {
    let Some(mongo) = Mongo::new() else { return };
    let row = r#"{"_id":1,"s":"abc","n":5,"l":[1],"b":true,"at":"2026-01-31T00:00:00.000Z","o":{"n":1},"none":null}"#;
    mongo.run("insert", &format!(r#"{{"table":"t","data":{row}}}"#)).await;
    let read = async || mongo.run("findOne", r#"{"table":"t","where":{"_id":1}}"#).await;
    let before = read().await;
    for operator in ["$min", "$max"] {
        for (name, value, found) in [
            ("s", "5", "a string"),
            ("n", r#""x""#, "a number"),
            ("l", "0", "a list"),
            ("b", "1", "a boolean"),
            ("o", "1", "an object"),
            ("o.n", r#""x""#, "a number"),
            ("at", r#""x""#, "a date"),
            ("at", "5", "a date"),
        ] {
            for verb in ["update", "updateOne"] {
                let input =
                    format!(r#"{{"table":"t","where":{{"_id":1}},"data":{{"{name}":{{"{operator}":{value}}}}}}}"#);
                let (code, message) = mongo.refusal(verb, &input).await;
                let expected = format!("input.data.{name}: {operator} compares with");
                assert!(
                    code == "VALIDATION_ERROR" && message.starts_with(&expected) && message.contains(found),
                    "{input}: {message}"
                );
            }
        }
    }
    assert_eq!(read().await, before);
    // Milliseconds and texts are dates where a date is stored.
    for (data, expected) in [
        (
            r#"{"at":{"$max":1769904000000}}"#,
            r#""at":{"$date":"2026-02-01T00:00:00.000Z"}"#,
        ),
        (
            r#"{"at":{"$max":"2026-03-01"}}"#,
            r#""at":{"$date":"2026-03-01T00:00:00.000Z"}"#,
        ),
        (
            r#"{"at":{"$min":1769904000000}}"#,
            r#""at":{"$date":"2026-02-01T00:00:00.000Z"}"#,
        ),
        (r#"{"n":{"$max":5.5},"new":{"$min":"x"}}"#, r#""n":5.5"#),
        (r#"{"none":{"$max":1}}"#, r#""none":1"#),
    ] {
        let input = format!(r#"{{"table":"t","where":{{"_id":1}},"data":{data}}}"#);
        assert_eq!(mongo.run("update", &input).await, r#"{"count":1}"#, "{data}");
        let now = read().await;
        assert!(now.contains(expected), "{data}: {now}");
    }
    mongo.drop_database().await;
}
