//! What is read, kept and said is bounded.

use super::super::support::run;
use super::fake::{Fake, ok, refused};
use super::{Dynamo, open_at};
use crate::connector::limits::{MAX_PAGES_SCANNED, MAX_ROWS_WRITTEN};

#[tokio::test]
async fn dynamodb_results_are_bounded() {
    let Some(dynamo) = Dynamo::new() else { return };
    dynamo.table("t", "id:N", &[]).await;
    let rows: Vec<String> = (0..1_001).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    let insert = format!(r#"{{"table":"T.t","data":[{}]}}"#, rows.join(","));
    assert_eq!(dynamo.run("insert", &insert).await, r#"{"count":1001}"#);
    let most = dynamo.run("find", r#"{"table":"T.t"}"#).await;
    assert!(most.ends_with(r#""count":1000,"truncated":true}"#));
    let all = dynamo.run("find", r#"{"table":"T.t","limit":2000}"#).await;
    assert!(all.ends_with(r#""count":1001}"#));
    let some = dynamo.run("find", r#"{"table":"T.t","limit":3,"offset":1000}"#).await;
    assert!(some.ends_with(r#""count":1}"#), "{some}");
    // Duplicates in a later transaction are named with what came before.
    let rows: Vec<String> = (2_000..2_150)
        .chain([5])
        .map(|id| format!(r#"{{"id":{id}}}"#))
        .collect();
    let insert = format!(r#"{{"table":"T.t","data":[{}]}}"#, rows.join(","));
    let (code, message) = dynamo.refusal("insert", &insert).await;
    assert_eq!(code, "VALIDATION_ERROR");
    assert!(
        message.contains("unique key") && message.contains("100 rows before it"),
        "{message}"
    );
    assert_eq!(dynamo.run("count", r#"{"table":"T.t"}"#).await, r#"{"count":1101}"#);
    // One of several that are changed, and a whole table.
    let update = r#"{"table":"T.t","where":{"id":{"$lt":10}},"data":{"s":"x"}}"#;
    assert_eq!(dynamo.run("update", update).await, r#"{"count":10}"#);
    assert_eq!(
        dynamo.run("delete", r#"{"table":"T.t","all":true}"#).await,
        r#"{"count":1101}"#
    );
    let large = "x".repeat(390_000);
    for id in 0..3 {
        dynamo
            .run(
                "insert",
                &format!(r#"{{"table":"T.t","data":{{"id":{id},"s":"{large}"}}}}"#),
            )
            .await;
    }
    let cut = dynamo.run("find", r#"{"table":"T.t"}"#).await;
    assert!(cut.ends_with(r#""count":2,"truncated":true}"#));
    dynamo.drop_tables(&["t"]).await;
}

#[tokio::test]
async fn dynamodb_scan_is_bounded_and_warned_of_once() {
    // Each page has one row, and there is always another one.
    let fake = Fake::with_table(|asked, before| match &*asked.operation {
        "Scan" => ok(&format!(
            r#"{{"Items":[{{"id":{{"S":"{before}"}}}}],"Count":1,"LastEvaluatedKey":{{"id":{{"S":"{before}"}}}}}}"#
        )),
        _ => refused("ValidationException"),
    })
    .await;
    let (connector, warnings) = open_at(&fake.url());
    let found = run(&connector, "find", r#"{"table":"orders","where":{"s":"x"}}"#)
        .await
        .unwrap();
    assert!(
        found.ends_with(&format!(r#""count":{MAX_PAGES_SCANNED},"truncated":true}}"#)),
        "{found}"
    );
    assert_eq!(fake.asked().len(), MAX_PAGES_SCANNED);
    for (name, input) in [
        ("count", r#"{"table":"orders","where":{"s":"x"}}"#),
        ("update", r#"{"table":"orders","where":{"s":"x"},"data":{"n":1}}"#),
        ("deleteMany", r#"{"table":"orders","where":{"s":"x"}}"#),
    ] {
        let failure = run(&connector, name, input).await.unwrap_err();
        assert_eq!(&*failure.code, "VALIDATION_ERROR");
        assert!(failure.message.contains("100 pages"), "{failure:?}");
    }
    // None of these changed anything.
    assert!(fake.asked().iter().all(|asked| asked.operation == "Scan"));
    let warnings = warnings.lock().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("'orders'") && warnings[0].contains("Scan"),
        "{warnings:?}"
    );
    drop(warnings);
    assert_eq!(fake.descriptions(), 1);
}

#[tokio::test]
async fn dynamodb_query_that_finds_nothing_within_its_bound_does_not_say_that_there_is_nothing() {
    let fake = Fake::with_table(|_, _| ok(r#"{"Items":[],"Count":0,"LastEvaluatedKey":{"id":{"S":"a"}}}"#)).await;
    let (connector, _) = open_at(&fake.url());
    for name in ["find", "findOne"] {
        let failure = run(&connector, name, r#"{"table":"orders","where":{"s":"x"}}"#)
            .await
            .unwrap_err();
        assert!(failure.message.contains("pages"), "{failure:?}");
    }
}

#[tokio::test]
async fn dynamodb_update_of_too_many_rows_changes_none() {
    let fake = Fake::with_table(|asked, _| match &*asked.operation {
        "Scan" => {
            let items: Vec<String> = (0..=MAX_ROWS_WRITTEN)
                .map(|id| format!(r#"{{"id":{{"S":"{id}"}}}}"#))
                .collect();
            ok(&format!(r#"{{"Items":[{}]}}"#, items.join(",")))
        }
        _ => refused("ValidationException"),
    })
    .await;
    let (connector, _) = open_at(&fake.url());
    for (name, input) in [
        ("update", r#"{"table":"orders","all":true,"data":{"n":1}}"#),
        ("delete", r#"{"table":"orders","all":true}"#),
    ] {
        let failure = run(&connector, name, input).await.unwrap_err();
        assert!(failure.message.contains("10000 rows"), "{failure:?}");
    }
    assert_eq!(fake.asked().len(), 2);
}

#[tokio::test]
async fn dynamodb_table_is_described_again_once_it_may_be_another_one() {
    let fake = Fake::with_table(|_, before| {
        if before == 1 {
            refused("ResourceNotFoundException")
        } else {
            ok("{}")
        }
    })
    .await;
    let (connector, _) = open_at(&fake.url());
    let get = r#"{"table":"orders","where":{"id":"a"}}"#;
    for (done, descriptions) in [(true, 1), (false, 1), (true, 2), (true, 2)] {
        let answer = run(&connector, "findOne", get).await;
        assert_eq!(answer.is_ok(), done, "{answer:?}");
        assert_eq!(fake.descriptions(), descriptions);
    }
}

#[tokio::test]
async fn dynamodb_reads_what_is_needed_and_is_consistent() {
    let fake = Fake::with_table(|_, _| ok(r#"{"Items":[{"id":{"S":"a"}}]}"#)).await;
    let (connector, _) = open_at(&fake.url());
    for (name, input, expected) in [
        (
            "findOne",
            r#"{"table":"orders","where":{"id":"a"}}"#,
            r#"{"ConsistentRead":true,"Key":{"id":{"S":"a"}},"TableName":"orders"}"#,
        ),
        (
            "find",
            r#"{"table":"orders","limit":2,"offset":3}"#,
            r#"{"ConsistentRead":true,"Limit":5,"TableName":"orders"}"#,
        ),
        (
            "findOne",
            r##"{"table":"orders","where":{"id":"a","n":1},"select":["n"]}"##,
            r##"{"ConsistentRead":true,"ExpressionAttributeNames":{"#n0":"id","#n1":"n"},"ExpressionAttributeValues":{":v0":{"S":"a"},":v1":{"N":"1"}},"FilterExpression":"#n1 = :v1","KeyConditionExpression":"#n0 = :v0","ProjectionExpression":"#n1","ScanIndexForward":true,"TableName":"orders"}"##,
        ),
    ] {
        run(&connector, name, input).await.unwrap();
        assert_eq!(fake.asked().last().unwrap().body, expected, "{input}");
    }
}
