//! Errors, and servers that do not answer.

use super::super::support::run;
use super::fake::{Fake, Reply, ok, refused};
use super::{Dynamo, open_at};
use crate::connector::databases::json::Json;
use crate::connector::databases::request;
use crate::connector::{Connector, Failure};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

const GET: &str = r#"{"table":"orders","where":{"id":"a"}}"#;
const PUT: &str = r#"{"table":"orders","data":{"id":"a"}}"#;

#[tokio::test]
async fn dynamodb_errors_have_codes_and_no_values() {
    let Some(dynamo) = Dynamo::new() else { return };
    dynamo.table("t", "id:S", &["by_kind kind:S"]).await;
    dynamo
        .run(
            "insert",
            r#"{"table":"T.t","data":{"id":"s3cret-a","text":"x","o":{}}}"#,
        )
        .await;
    for (name, input, code, named) in [
        (
            "insert",
            r#"{"table":"T.t","data":{"id":"s3cret-a","n":1}}"#,
            "VALIDATION_ERROR",
            "unique key",
        ),
        (
            "insertMany",
            r#"{"table":"T.t","data":[{"id":"b"},{"id":"s3cret-a"}]}"#,
            "VALIDATION_ERROR",
            "unique key",
        ),
        (
            "insertMany",
            r#"{"table":"T.t","data":[{"id":"b"},{"id":"c"},{"id":"b"}]}"#,
            "VALIDATION_ERROR",
            "same key",
        ),
        (
            "insert",
            r#"{"table":"T.t","data":{"n":1}}"#,
            "VALIDATION_ERROR",
            "lacks 'id'",
        ),
        (
            "insert",
            r#"{"table":"T.t","data":{"id":"b","a.b":1}}"#,
            "VALIDATION_ERROR",
            "'a.b'",
        ),
        (
            "insert",
            r#"{"table":"T.t","data":{"id":"b","kind":5}}"#,
            "VALIDATION_ERROR",
            "'kind'",
        ),
        (
            "insert",
            r#"{"table":"T.none","data":{"id":"b"}}"#,
            "NOT_FOUND",
            "no such table",
        ),
        ("find", r#"{"table":"T.none"}"#, "NOT_FOUND", "no such table"),
        (
            "update",
            r#"{"table":"T.t","where":{"id":"s3cret-a"},"data":{"text":{"$inc":1}}}"#,
            "VALIDATION_ERROR",
            "does not fit",
        ),
        (
            "update",
            r#"{"table":"T.t","where":{"id":"s3cret-a"},"data":{"none.deep":1}}"#,
            "VALIDATION_ERROR",
            "DynamoDB",
        ),
        (
            "update",
            r#"{"table":"T.t","where":{"id":"s3cret-a"},"data":{"id":"b"}}"#,
            "VALIDATION_ERROR",
            "'id'",
        ),
        (
            "upsert",
            r#"{"table":"T.t","data":{"id":"b","kind":"x"},"conflictColumns":["kind"]}"#,
            "VALIDATION_ERROR",
            "'id'",
        ),
        (
            "update",
            r#"{"table":"T.t","data":{"n":1}}"#,
            "VALIDATION_ERROR",
            "filter is empty",
        ),
        (
            "find",
            r#"{"table":"T.t","include":[{"relation":"x","type":"one-to-many"}]}"#,
            "VALIDATION_ERROR",
            "include",
        ),
        (
            "find",
            r#"{"table":"T.t","orderBy":"n"}"#,
            "VALIDATION_ERROR",
            "orderBy",
        ),
        ("sum", r#"{"table":"T.t","column":"n"}"#, "VALIDATION_ERROR", "sum"),
        (
            "groupBy",
            r#"{"table":"T.t","groupBy":["n"],"aggregate":{"n":{"$count":"*"}}}"#,
            "VALIDATION_ERROR",
            "groupBy",
        ),
        (
            "count",
            r#"{"table":"T.t","column":"n","distinct":true}"#,
            "VALIDATION_ERROR",
            "distinct",
        ),
        (
            "raw",
            r#"{"operation":"No.Name","params":{}}"#,
            "VALIDATION_ERROR",
            "operation",
        ),
        ("raw", r#"{"command":{}}"#, "VALIDATION_ERROR", "command"),
    ] {
        let (found, message) = dynamo.refusal(name, input).await;
        assert_eq!(found, code, "{input}: {message}");
        assert!(
            message.contains(named) && !message.contains("s3cret"),
            "{input}: {message}"
        );
    }
    let large = "x".repeat(500_000);
    for data in [
        format!(r#"{{"id":"large","s":"{large}"}}"#),
        format!(r#"[{{"id":"large","s":"{large}"}},{{"id":"other"}}]"#),
    ] {
        let (code, message) = dynamo
            .refusal("insert", &format!(r#"{{"table":"T.t","data":{data}}}"#))
            .await;
        assert_eq!(code, "VALIDATION_ERROR");
        assert!(message.contains("400 KB"), "{message}");
    }
    // Nothing of what was refused is there.
    assert_eq!(dynamo.run("count", r#"{"table":"T.t"}"#).await, r#"{"count":1}"#);
    dynamo.drop_tables(&["t"]).await;
}

#[tokio::test]
async fn dynamodb_failures_say_whether_to_retry() {
    for (kind, code) in [
        ("AccessDeniedException", "FORBIDDEN"),
        ("UnrecognizedClientException", "UNAUTHORIZED"),
        ("InvalidSignatureException", "UNAUTHORIZED"),
        ("ResourceNotFoundException", "NOT_FOUND"),
        ("ValidationException", "VALIDATION_ERROR"),
        ("ConditionalCheckFailedException", "VALIDATION_ERROR"),
        ("InternalServerError", "SERVICE_UNAVAILABLE"),
    ] {
        let fake = Fake::with_table(move |_, _| refused(kind)).await;
        let (connector, _) = open_at(&fake.url());
        let failure = run(&connector, "insert", PUT).await.unwrap_err();
        assert_eq!(&*failure.code, code, "{failure:?}");
        assert!(!failure.message.contains("s3cret"), "{failure:?}");
        // Only that one may be done by a second try.
        let sent = if kind == "InternalServerError" { 3 } else { 1 };
        assert_eq!(fake.asked().len(), sent, "{kind}");
    }
}

#[tokio::test]
async fn dynamodb_throttled_requests_are_paced_and_sent_again() {
    for kind in [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
    ] {
        let fake = Fake::with_table(move |_, before| if before < 2 { refused(kind) } else { ok("{}") }).await;
        let (connector, _) = open_at(&fake.url());
        let began = Instant::now();
        assert_eq!(run(&connector, "insert", PUT).await.unwrap(), r#"{"count":1}"#);
        assert_eq!(fake.asked().len(), 3, "{kind}");
        // Two pauses, of at least half of 50 and 100 ms.
        assert!(began.elapsed() >= Duration::from_millis(75), "{:?}", began.elapsed());
    }
    let fake = Fake::with_table(|_, _| refused("ThrottlingException")).await;
    let (connector, _) = open_at(&fake.url());
    let failure = run(&connector, "insert", PUT).await.unwrap_err();
    assert_eq!(&*failure.code, "RATE_LIMITED");
    assert_eq!(fake.asked().len(), 6);
}

#[tokio::test]
async fn dynamodb_requests_of_unknown_outcome_are_repeated_only_where_that_is_safe() {
    let many = r#"{"table":"orders","data":[{"id":"a"},{"id":"b"}]}"#;
    let set = r#"{"table":"orders","where":{"id":"a"},"data":{"n":1}}"#;
    let set_if = r#"{"table":"orders","where":{"id":"a","s":"x"},"data":{"n":1}}"#;
    let add = r#"{"table":"orders","where":{"id":"a"},"data":{"n":{"$inc":1}}}"#;
    for (name, input, sent, done) in [
        ("findOne", GET, 2, true),
        ("insert", many, 2, true),
        ("update", set, 2, true),
        ("insert", PUT, 2, true),
        ("update", set_if, 1, false),
        ("update", add, 1, false),
        ("delete", GET, 1, false),
    ] {
        let fake = Fake::with_table(|_, before| if before == 0 { Reply::Cut } else { ok("{}") }).await;
        let (connector, _) = open_at(&fake.url());
        let answer = run(&connector, name, input).await;
        assert_eq!(answer.is_ok(), done, "{name} {input}: {answer:?}");
        if let Err(failure) = answer {
            assert_eq!(&*failure.code, "CONNECTION_ERROR", "{input}");
        }
        let asked = fake.asked();
        assert_eq!(asked.len(), sent, "{name} {input}");
        // By its token the server knows a transaction that it has done.
        assert!(asked.iter().all(|again| again.body == asked[0].body), "{input}");
    }
}

/// A server that remembers rows and transactions, and answers nothing the first three times, by which the client gives up.
async fn forgetful() -> Fake {
    let (tokens, rows) = (Mutex::new(HashSet::new()), Mutex::new(HashSet::new()));
    Fake::with_table(move |asked, before| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let token = body["ClientRequestToken"].as_str().unwrap().to_owned();
        assert!((1..=36).contains(&token.len()), "{token}");
        let is_new = tokens.lock().unwrap().insert(token);
        let row = &body["TransactItems"][0]["Put"]["Item"];
        if is_new && row.is_object() && !rows.lock().unwrap().insert(row.to_string()) {
            let cancelled = r#"{"__type":"x#TransactionCanceledException","CancellationReasons":[{"Code":"ConditionalCheckFailed"}]}"#;
            return Reply::Json(400, cancelled.to_owned());
        }
        if before < 3 { Reply::Cut } else { ok("{}") }
    })
    .await
}

#[tokio::test]
async fn dynamodb_insert_of_a_later_attempt_is_known_by_the_server() {
    let many = r#"{"table":"orders","data":[{"id":"a"},{"id":"b"}]}"#;
    let upsert = r#"{"table":"orders","data":[{"id":"a"},{"id":"b"}],"conflictColumns":["id"]}"#;
    for (name, input) in [("insert", PUT), ("insert", many), ("upsert", upsert)] {
        let fake = forgetful().await;
        let (connector, _) = open_at(&fake.url());
        let attempt = async |input: &str, key: &str| {
            let operation = request::read(name, &Json::read(input).unwrap(), connector.context()).unwrap();
            connector
                .run_operation(&operation, Duration::from_secs(10), key)
                .await
                .map_err(|failure| failure.code.to_string())
        };
        let lost = attempt(input, "job_1/1").await;
        assert_eq!(lost, Err("CONNECTION_ERROR".into()), "{input}");
        assert!(attempt(input, "job_1/1").await.is_ok(), "{input}");
        // The row of another run, or of another part of it, is a duplicate.
        if name == "insert" {
            for stranger in ["job_2/1", "job_1/2", "job_1/1/part"] {
                let refused = attempt(input, stranger).await;
                assert_eq!(refused, Err("VALIDATION_ERROR".into()), "{stranger} {input}");
            }
        }
        // Another input of the same run is another request: the server refuses a token that comes with one.
        let before = fake.asked();
        let other = input.replace(r#""id":"a""#, r#""id":"c""#);
        assert!(attempt(&other, "job_1/1").await.is_ok());
        let asked = fake.asked();
        let token = |at: usize| {
            asked[at]
                .body
                .split("ClientRequestToken")
                .nth(1)
                .map(|rest| rest[..40].to_owned())
        };
        assert_ne!(token(before.len()), token(0));
        assert_eq!(token(0), token(3));
    }
}

#[tokio::test]
async fn dynamodb_unprocessed_rows_of_a_batch_are_tried_again() {
    let scanned = |count: usize| {
        let items: Vec<String> = (0..count).map(|id| format!(r#"{{"id":{{"S":"{id}"}}}}"#)).collect();
        ok(&format!(r#"{{"Items":[{}],"Count":{count}}}"#, items.join(",")))
    };
    let undone = |asked: &super::fake::Asked, keep: usize| {
        let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
        let requests = body["RequestItems"]["orders"].as_array().unwrap();
        assert!(requests.len() <= 25);
        let left = serde_json::json!(requests[requests.len() - keep.min(requests.len())..]);
        ok(&serde_json::json!({ "UnprocessedItems": { "orders": left } }).to_string())
    };
    let fake = Fake::with_table(move |asked, before| match &*asked.operation {
        "Scan" => scanned(60),
        // The first three batches leave rows undone.
        _ if before < 4 => undone(asked, 10),
        _ => ok(r#"{"UnprocessedItems":{}}"#),
    })
    .await;
    let (connector, _) = open_at(&fake.url());
    let all = r#"{"table":"orders","all":true}"#;
    assert_eq!(run(&connector, "delete", all).await.unwrap(), r#"{"count":60}"#);
    let sizes: Vec<usize> = fake.asked()[1..]
        .iter()
        .map(|asked| asked.body.matches("DeleteRequest").count())
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 60 + 30, "{sizes:?}");
    let fake = Fake::with_table(move |asked, before| match &*asked.operation {
        "Scan" => scanned(30),
        _ if before == 1 => ok("{}"),
        _ => undone(asked, 25),
    })
    .await;
    let (connector, _) = open_at(&fake.url());
    let failure = run(&connector, "delete", all).await.unwrap_err();
    assert_eq!(&*failure.code, "RATE_LIMITED");
    assert!(failure.message.contains("25 rows are deleted"), "{failure:?}");
}

#[tokio::test]
async fn dynamodb_keys_that_a_batch_left_out_are_asked_for_again() {
    let fake = Fake::with_table(|asked, before| {
        let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
        let keys = body["RequestItems"]["orders"]["Keys"].as_array().unwrap().clone();
        // One row at a time, and at first none.
        let (done, left) = keys.split_at(if before == 0 { 0 } else { 1 });
        let unprocessed = match left {
            [] => serde_json::json!({}),
            left => serde_json::json!({ "orders": { "Keys": left, "ConsistentRead": true } }),
        };
        ok(&serde_json::json!({ "Responses": { "orders": done }, "UnprocessedKeys": unprocessed }).to_string())
    })
    .await;
    let (connector, warnings) = open_at(&fake.url());
    let find = r#"{"table":"orders","where":{"id":{"$in":["a","b","a","c"]}}}"#;
    assert_eq!(
        run(&connector, "find", find).await.unwrap(),
        r#"{"rows":[{"id":"a"},{"id":"b"},{"id":"c"}],"count":3}"#
    );
    assert_eq!(fake.asked().len(), 4);
    assert!(warnings.lock().unwrap().is_empty());
}

#[tokio::test]
async fn dynamodb_that_does_not_answer_fails_in_time() {
    let silent = Fake::start(|_, _| Reply::Silence).await;
    let cut = Fake::start(|_, _| Reply::Cut).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let nobody = format!("dynamodb://eu-west-1/AKID/s3cret-key?endpoint=http://127.0.0.1:{port}");
    for (url, code) in [
        (silent.url(), "TIMEOUT"),
        (cut.url(), "CONNECTION_ERROR"),
        (nobody, "CONNECTION_ERROR"),
    ] {
        let (connector, _) = open_at(&url);
        let began = Instant::now();
        let operation = request::read("findOne", &Json::read(GET).unwrap(), connector.context()).unwrap();
        let failure = connector
            .run_operation(&operation, Duration::from_millis(700), "run")
            .await
            .unwrap_err();
        assert_eq!(&*failure.code, code, "{url}: {failure:?}");
        assert!(!failure.message.contains("s3cret"), "{failure:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
    let checked: Failure = open_at(&cut.url()).0.check().await.unwrap_err();
    assert_eq!(&*checked.code, "CONNECTION_ERROR");
}

#[tokio::test]
async fn dynamodb_answers_that_are_none_are_errors() {
    let large = format!(r#"{{"Item":{{"id":{{"S":"{}"}}}}}}"#, "x".repeat(17 << 20));
    for (status, body, code) in [
        (200, "<html>s3cret</html>".to_owned(), "CONNECTION_ERROR"),
        (502, "<html>s3cret</html>".to_owned(), "SERVICE_UNAVAILABLE"),
        (301, String::new(), "CONNECTION_ERROR"),
        (404, String::new(), "VALIDATION_ERROR"),
        (200, large, "VALIDATION_ERROR"),
    ] {
        let fake = Fake::with_table(move |_, _| Reply::Json(status, body.clone())).await;
        let (connector, _) = open_at(&fake.url());
        let failure = run(&connector, "findOne", GET).await.unwrap_err();
        assert_eq!(&*failure.code, code, "{status}: {failure:?}");
        assert!(!failure.message.contains("s3cret"), "{failure:?}");
    }
}

#[tokio::test]
async fn dynamodb_check_tells_who_is_known_from_who_is_not() {
    for (kind, code) in [
        ("AccessDeniedException", None),
        ("UnrecognizedClientException", Some("UNAUTHORIZED")),
        ("InternalServerError", Some("SERVICE_UNAVAILABLE")),
    ] {
        let fake = Fake::start(move |_, _| refused(kind)).await;
        let checked = open_at(&fake.url()).0.check().await;
        assert_eq!(
            checked.err().map(|failure| failure.code.to_string()).as_deref(),
            code,
            "{kind}"
        );
        assert_eq!(fake.asked()[0].operation, "ListTables");
    }
}
