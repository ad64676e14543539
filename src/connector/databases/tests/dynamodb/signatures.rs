//! Signatures, checked by code that shares nothing with what makes them: the test server takes any.

use super::super::support::run;
use super::fake::{Asked, Fake, TABLE, ok};
use super::open_at;
use crate::testing::aws_signature::SignedRequest;

/// Checks the signature of a request.
fn check(asked: &Asked, id: &str, secret: &str) -> bool {
    let request = SignedRequest {
        method: "POST",
        path: "/",
        header: &|name| &asked.headers[name],
        body: &asked.body,
    };
    let said = request.authorization();
    assert_eq!(said.key_id, id);
    assert!(
        said.scope.ends_with("/eu-west-1/dynamodb/aws4_request"),
        "{}",
        said.scope
    );
    assert!(asked.headers["x-amz-date"].starts_with(said.scope.split('/').next().unwrap()));
    for name in [
        "host",
        "x-amz-date",
        "x-amz-target",
        "x-amz-content-sha256",
        "content-type",
    ] {
        assert!(said.signed.contains(&name), "{name} is not signed: {:?}", said.signed);
    }
    request.is_signed_by(secret)
}

#[tokio::test]
async fn dynamodb_requests_carry_a_signature_of_what_is_sent() {
    for (key, secret, token) in [
        ("AKID/s3cret-key", "s3cret-key", None),
        ("AKID/a%2Fb+c/d=", "a/b+c/d=", None),
        ("AKID/s3cret-key", "s3cret-key", Some("a-token")),
    ] {
        let fake = Fake::start(|asked, _| {
            ok(if asked.operation == "DescribeTable" {
                TABLE
            } else {
                "{}"
            })
        })
        .await;
        let session = token.map_or_else(String::new, |token| format!("&session_token={token}"));
        let url = format!(
            "dynamodb://eu-west-1/{key}?endpoint=http://127.0.0.1:{}{session}",
            fake.port
        );
        let (connector, _) = open_at(&url);
        run(
            &connector,
            "insert",
            r#"{"table":"orders","data":{"id":"é\n","s":"x"}}"#,
        )
        .await
        .unwrap();
        let asked = fake.asked();
        let [asked] = asked.as_slice() else { panic!("{asked:?}") };
        assert!(check(asked, "AKID", secret), "{asked:?}");
        assert_eq!(asked.headers.get("x-amz-security-token").map(String::as_str), token);
        let mut changed = asked.clone();
        changed.body = changed.body.replace("orders", "others");
        assert!(!check(&changed, "AKID", secret) && !check(asked, "AKID", "wrong"));
    }
}
