//! Signatures, checked by code that shares nothing with what makes them: the test server takes any.

use super::super::support::run;
use super::fake::{Asked, Fake, TABLE, ok};
use super::open_at;
use ring::digest::{SHA256, digest};
use ring::hmac::{HMAC_SHA256, Key, sign};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// The signature that a request must have, with the headers that it says are signed.
fn expected(asked: &Asked, secret: &str, scope: &str, signed: &str) -> String {
    let headers: String = signed
        .split(';')
        .map(|name| format!("{name}:{}\n", asked.headers[name].trim()))
        .collect();
    let body = hex(digest(&SHA256, asked.body.as_bytes()).as_ref());
    let canonical = format!("POST\n/\n\n{headers}\n{signed}\n{body}");
    let canonical = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let text = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{canonical}",
        asked.headers["x-amz-date"]
    );
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part);
    }
    hex(&hmac(&key, &text))
}

/// Checks the signature of a request.
fn check(asked: &Asked, id: &str, secret: &str) -> bool {
    let given = asked.headers["authorization"]
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .unwrap();
    let part = |name: &str| {
        let found = given.split(", ").find_map(|part| part.strip_prefix(name));
        found.unwrap().to_owned()
    };
    let (who, scope) = {
        let credential = part("Credential=");
        let (who, scope) = credential.split_once('/').unwrap();
        (who.to_owned(), scope.to_owned())
    };
    let signed = part("SignedHeaders=");
    assert_eq!(who, id);
    assert!(scope.ends_with("/eu-west-1/dynamodb/aws4_request"), "{scope}");
    assert!(asked.headers["x-amz-date"].starts_with(scope.split('/').next().unwrap()));
    for name in [
        "host",
        "x-amz-date",
        "x-amz-target",
        "x-amz-content-sha256",
        "content-type",
    ] {
        assert!(
            signed.split(';').any(|header| header == name),
            "{name} is not signed: {signed}"
        );
    }
    part("Signature=") == expected(asked, secret, &scope, &signed)
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

/// The example of the published description of the algorithm, so that the check above is itself checked.
#[test]
fn signing_key_is_that_of_the_published_example() {
    let mut key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
    for part in ["20150830", "us-east-1", "iam", "aws4_request"] {
        key = hmac(&key, part);
    }
    assert_eq!(
        hex(&key),
        "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
    );
}
