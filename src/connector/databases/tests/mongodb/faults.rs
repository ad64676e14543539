//! Errors, bounds, and servers that do not answer.

use super::super::support::{open, open_trusting, run};
use super::Mongo;
use crate::connector::{Connector, Failure};
use crate::resources::DatabaseKind;
use crate::testing::authority::Authority;
use crate::testing::servers;
use crate::testing::skipped::address;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

#[tokio::test]
async fn mongodb_errors_have_codes_and_no_values() {
    let Some(mongo) = Mongo::new() else { return };
    mongo
        .run(
            "raw",
            r#"{"command":{"createIndexes":"t","indexes":[{"key":{"email":1},"name":"email_1","unique":true}]}}"#,
        )
        .await;
    let rows = r#"{"table":"t","data":[{"email":"s3cret-a"},{"email":"s3cret-b"},{"email":"s3cret-a"}]}"#;
    let (code, message) = mongo.refusal("insertMany", rows).await;
    assert_eq!(code, "VALIDATION_ERROR");
    assert!(
        message.contains("email_1") && message.contains("2 rows before it"),
        "{message}"
    );
    assert!(!message.contains("s3cret"), "{message}");
    let update = r#"{"table":"t","all":true,"data":{"email":"s3cret-a"}}"#;
    assert!(mongo.refusal("update", update).await.1.contains("unique key"));
    mongo
        .run("insert", r#"{"table":"t","data":{"email":"s3cret-c","ids":[1,2]}}"#)
        .await;
    for (name, input, named) in [
        (
            "update",
            r#"{"table":"t","all":true,"data":{"email":{"$inc":1}}}"#,
            "MongoDB",
        ),
        (
            "updateOne",
            r#"{"table":"t","where":{"email":"s3cret-a"},"data":{"_id":1}}"#,
            "MongoDB",
        ),
        (
            "find",
            r#"{"table":"t","where":{"email":{"$regex":"("}}}"#,
            "regular expression",
        ),
        (
            "update",
            r#"{"table":"t","all":true,"data":{"n":1},"returning":true}"#,
            "returning",
        ),
        ("insert", r#"{"table":"t","data":{"a.b":1}}"#, "'a.b'"),
        (
            "find",
            r#"{"table":"t","include":[{"relation":"x","type":"one-to-many","primaryKey":"a.b"}]}"#,
            "include.primaryKey",
        ),
        // A key that is a list.
        (
            "find",
            r#"{"table":"t","include":{"relation":"x","type":"many-to-one","foreignKey":"ids"}}"#,
            "'ids' holds a list",
        ),
        ("aggregate", r#"{"table":"t","pipeline":[{"$out":"x"}]}"#, "$out"),
        ("raw", r#"{"sql":"SELECT 1"}"#, "sql"),
        ("raw", r#"{"command":{"noSuchCommand":1}}"#, "no such command"),
        ("delete", r#"{"table":"t"}"#, "filter is empty"),
    ] {
        let (code, message) = mongo.refusal(name, input).await;
        assert_eq!(code, "VALIDATION_ERROR", "{input}: {message}");
        assert!(
            message.contains(named) && !message.contains("s3cret"),
            "{input}: {message}"
        );
    }
    mongo.drop_database().await;
}

#[tokio::test]
async fn mongodb_results_are_bounded() {
    let Some(mongo) = Mongo::new() else { return };
    let rows: Vec<String> = (0..1_001).map(|id| format!(r#"{{"_id":{id}}}"#)).collect();
    mongo
        .run("insert", &format!(r#"{{"table":"t","data":[{}]}}"#, rows.join(",")))
        .await;
    let most = mongo.run("find", r#"{"table":"t"}"#).await;
    assert!(most.ends_with(r#""count":1000,"truncated":true}"#));
    let all = mongo.run("find", r#"{"table":"t","limit":2000}"#).await;
    assert!(all.ends_with(r#""count":1001}"#));
    let large = "x".repeat(600_000);
    for id in [2_000, 2_001] {
        let row = format!(r#"{{"table":"large","data":{{"_id":{id},"s":"{large}"}}}}"#);
        mongo.run("insert", &row).await;
    }
    let cut = mongo.run("find", r#"{"table":"large"}"#).await;
    assert!(cut.ends_with(r#""count":1,"truncated":true}"#));
    mongo.drop_database().await;
}

/// Failures of a check and of an operation at an address.
async fn answers(url: &str) -> [Failure; 2] {
    let connector = open(DatabaseKind::Mongodb, url).unwrap();
    let both = [
        run(&connector, "count", r#"{"table":"t"}"#).await.unwrap_err(),
        connector.check().await.unwrap_err(),
    ];
    connector.close().await;
    both
}

#[tokio::test]
async fn mongodb_that_does_not_answer_is_a_connection_error_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = [silent.local_addr().unwrap().port(), closed.local_addr().unwrap().port()];
    drop(closed);
    let began = Instant::now();
    for port in ports {
        let url = format!("mongodb://u:s3cret@127.0.0.1:{port}/d?serverSelectionTimeoutMS=500");
        for failure in answers(&url).await {
            assert_eq!(&*failure.code, "CONNECTION_ERROR", "{failure:?}");
            assert!(!failure.message.contains("s3cret"), "{failure:?}");
        }
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn mongodb_refuses_wrong_credentials_without_naming_them() {
    let Some(server) = address("DUCTAPE_TEST_MONGODB", "a test of MongoDB") else {
        return;
    };
    let url = server.replacen("mongodb://", "mongodb://nobody:s3cret-word@", 1);
    for failure in answers(&url).await {
        assert_eq!(&*failure.code, "UNAUTHORIZED", "{failure:?}");
        assert!(!failure.message.contains("s3cret"), "{failure:?}");
    }
}

#[tokio::test]
async fn mongodb_certificates_are_checked_by_the_ca_of_the_definition() {
    let authority = Authority::new();
    let test = "mongodb_certificates_are_checked_by_the_ca_of_the_definition";
    let Some(server) = servers::mongodb(test, Some(&authority)) else {
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &authority.ca).unwrap();
    let stranger = Authority::new();
    for (host, options, ca, expected) in [
        ("localhost", "", Some(&*authority.ca), true),
        ("localhost", "", file.path().to_str(), true),
        ("localhost", "tls=true&", Some(&*authority.ca), true),
        ("127.0.0.1", "", Some(&*authority.ca), false),
        ("localhost", "", Some(&*stranger.ca), false),
        // Not signed by a CA that everybody trusts.
        ("localhost", "tls=true&", None, false),
        ("localhost", "tls=true&tlsAllowInvalidCertificates=true&", None, true),
        ("localhost", "", None, false),
    ] {
        // Other addresses that the server tells are not followed.
        let url = format!(
            "mongodb://{host}:{}/d?{options}directConnection=true&serverSelectionTimeoutMS=3000",
            server.port
        );
        let connector = open_trusting(DatabaseKind::Mongodb, &url, ca).unwrap();
        let checked = connector.check().await;
        connector.close().await;
        match checked {
            Ok(()) => assert!(expected, "{url}"),
            Err(failure) => {
                assert!(!expected, "{url}: {failure:?}");
                assert_eq!(&*failure.code, "CONNECTION_ERROR", "{url}: {failure:?}");
            }
        }
    }
    let wrong = open_trusting(DatabaseKind::Mongodb, "mongodb://h/d", Some("/no/such/file")).err();
    assert_eq!(&*wrong.unwrap().code, "VALIDATION_ERROR");
}

#[tokio::test]
async fn mongodb_failures_say_whether_to_retry() {
    let Some(server) = servers::mongodb("mongodb_failures_say_whether_to_retry", None) else {
        return;
    };
    let url = |database| format!("mongodb://127.0.0.1:{}/{database}", server.port);
    let admin = open(DatabaseKind::Mongodb, &url("admin")).unwrap();
    let connector = open(DatabaseKind::Mongodb, &url("d")).unwrap();
    let find = r#"{"table":"t"}"#;
    let insert = r#"{"table":"t","data":{"n":1}}"#;
    let change = r#"{"table":"t","all":true,"data":{"n":1}}"#;
    for (operation, input, fault, times, expected) in [
        ("find", find, r#""errorCode":50"#, 1, "TIMEOUT"),
        ("find", find, r#""errorCode":13"#, 1, "FORBIDDEN"),
        // The driver asks again once.
        ("find", find, r#""errorCode":134"#, 1, "done"),
        ("find", find, r#""errorCode":134"#, 2, "SERVICE_UNAVAILABLE"),
        ("insert", insert, r#""errorCode":112"#, 1, "SERVICE_UNAVAILABLE"),
        (
            "insert",
            insert,
            r#""writeConcernError":{"code":64,"errmsg":"s3cret"}"#,
            1,
            "SERVICE_UNAVAILABLE",
        ),
        (
            "update",
            change,
            r#""writeConcernError":{"code":100,"errmsg":"s3cret"}"#,
            1,
            "VALIDATION_ERROR",
        ),
        ("update", change, r#""closeConnection":true"#, 1, "CONNECTION_ERROR"),
        // The last one: the driver then waits for another primary.
        ("update", change, r#""errorCode":10107"#, 1, "SERVICE_UNAVAILABLE"),
    ] {
        let fault = format!(
            r#"{{"command":{{"configureFailPoint":"failCommand","mode":{{"times":{times}}},"data":{{"failCommands":["{operation}"],{fault}}}}}}}"#
        );
        run(&admin, "raw", &fault).await.unwrap();
        let answer = run(&connector, operation, input).await;
        let off = r#"{"command":{"configureFailPoint":"failCommand","mode":"off"}}"#;
        run(&admin, "raw", off).await.unwrap();
        let code = match &answer {
            Ok(_) => "done",
            Err(failure) => &failure.code,
        };
        assert_eq!(code, expected, "{operation} {fault}: {answer:?}");
        assert!(!format!("{answer:?}").contains("s3cret"), "{answer:?}");
    }
    connector.close().await;
    admin.close().await;
}
