//! Providers of push notifications.

use super::{Run, all_shown};
use crate::connector::notifications::providers::{ApiPusher, Delivery, PushContent};
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{OutboundRules, PushApi, PushService, Text};
use crate::testing::api_server::{ApiServer, Received, Reply};
use serde_json::{Value, json};
use std::time::Duration;

/// An RSA key of 2048 bits, made for these tests.
const KEY: &str = include_str!("rsa-test-key.pem");

fn content() -> PushContent {
    PushContent {
        title: Some("Hello".into()),
        body: Some("Hi".into()),
        data: json!({ "order": 7, "kind": "x" }).as_object().unwrap().clone(),
    }
}

async fn pusher(service: PushService, url: &str) -> ApiPusher {
    let endpoint = Some(Text::from(url));
    ApiPusher::open(
        &PushApi { service, endpoint },
        OutboundRules::default(),
        &ExpressionResolver::default(),
    )
    .await
    .unwrap()
}

fn expo() -> PushService {
    PushService::Expo {
        access_token: Some(Text::from("expo-secret")),
    }
}

fn firebase(url: &str) -> PushService {
    let account = json!({
        "project_id": "p1", "client_email": "a@p1.example", "private_key": KEY, "token_uri": format!("{url}/token"),
    });
    PushService::Firebase {
        credentials: Text::from(&*account.to_string()),
    }
}

async fn send(pusher: &ApiPusher, run: &Run, to: &[&str]) -> Vec<Delivery> {
    let to = to.iter().map(|one| (*one).to_owned()).collect();
    let batch = ApiPusher::message(content(), to, "job_1/1").unwrap();
    pusher.send(&batch, &run.history().await, Duration::from_secs(60)).await
}

#[tokio::test]
async fn expo_has_a_ticket_and_a_receipt_for_each() {
    let server = ApiServer::answering(|request| match &*request.line {
        "POST /push/send" => Reply::new(
            200,
            r#"{"data":[{"status":"ok","id":"t1"},{"status":"ok","id":"t2"},
            {"status":"error","message":"\"ExponentPushToken[c]\" is no device","details":{"error":"DeviceNotRegistered"}},
            {"status":"error","message":"slow down","details":{"error":"MessageRateExceeded"}}]}"#,
        ),
        _ => Reply::new(
            200,
            r#"{"data":{"t1":{"status":"ok"},
            "t2":{"status":"error","message":"gone","details":{"error":"DeviceNotRegistered"}}}}"#,
        ),
    });
    let run = Run::new().await;
    let pusher = pusher(expo(), &server.url).await;
    let tokens = ["a", "b", "c", "d"].map(|name| format!("ExponentPushToken[{name}]"));
    let deliveries = send(&pusher, &run, &tokens.each_ref().map(String::as_str)).await;
    assert_eq!(
        all_shown(&deliveries),
        [
            "sent t1",
            "refused dead EXPO: DeviceNotRegistered gone",
            "refused dead EXPO: DeviceNotRegistered … is no device",
            "RATE_LIMITED None",
        ]
    );
    let received = server.received();
    assert_eq!(
        (received.len(), received[0].header("authorization")),
        (2, "Bearer expo-secret")
    );
    let first = json!({
        "to": "ExponentPushToken[a]", "title": "Hello", "body": "Hi", "data": { "order": 7, "kind": "x" },
    });
    assert_eq!(received[0].json()[0], first);
    assert_eq!(received[1].line, "POST /push/getReceipts");
    assert_eq!(received[1].json(), json!({ "ids": ["t1", "t2"] }));
}

#[tokio::test]
async fn expo_requests_hold_a_hundred_messages_and_a_retry_what_failed() {
    let server = ApiServer::answering(|request| {
        let Ok(Value::Array(messages)) = serde_json::from_str(&request.body) else {
            return Reply::new(200, r#"{"data":{}}"#);
        };
        // Those without a ticket's id have no receipt.
        let ticket = |message: &Value| match message["to"].as_str() {
            Some("t149") => json!({ "status": "error", "details": { "error": "MessageRateExceeded" } }),
            _ => json!({ "status": "ok" }),
        };
        let tickets: Vec<Value> = messages.iter().map(ticket).collect();
        Reply::new(200, &json!({ "data": tickets }).to_string())
    });
    let run = Run::new().await;
    let pusher = pusher(expo(), &server.url).await;
    let tokens: Vec<String> = (0..150).map(|n| format!("t{n}")).collect();
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    send(&pusher, &run, &tokens).await;
    send(&pusher, &run, &tokens).await;
    let sizes = |received: &[Received]| {
        let mut sizes: Vec<usize> = received
            .iter()
            .map(|one| one.json().as_array().unwrap().len())
            .collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes(&server.received()), [1, 50, 100]);
}

#[tokio::test]
async fn firebase_requests_carry_one_token_for_all() {
    let server = ApiServer::answering(|request| {
        if request.line == "POST /token" {
            return Reply::new(200, r#"{"access_token":"ya29.x","expires_in":3599}"#);
        }
        let error = |status: u16, code: &str| {
            let details =
                json!([{ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code }]);
            let body = json!({ "error": { "code": status, "status": "X", "message": "why", "details": details } });
            Reply::new(status, &body.to_string())
        };
        match request.json()["message"]["token"].as_str().unwrap() {
            "gone" => error(404, "UNREGISTERED"),
            "other" => error(403, "SENDER_ID_MISMATCH"),
            "wrong" => error(400, "INVALID_ARGUMENT"),
            "down" => error(500, "INTERNAL"),
            _ => Reply::new(200, r#"{"name":"projects/p1/messages/1"}"#),
        }
    });
    let run = Run::new().await;
    let pusher = pusher(firebase(&server.url), &server.url).await;
    let deliveries = send(&pusher, &run, &["good", "gone", "other", "wrong", "down"]).await;
    assert_eq!(
        all_shown(&deliveries),
        [
            "sent projects/p1/messages/1",
            "refused dead FIREBASE: UNREGISTERED why",
            "refused FIREBASE: SENDER_ID_MISMATCH why",
            "refused FIREBASE: INVALID_ARGUMENT why",
            "SERVICE_UNAVAILABLE None",
        ]
    );
    let received = server.received();
    let asked: Vec<&Received> = received.iter().filter(|one| one.line == "POST /token").collect();
    assert_eq!((asked.len(), received.len()), (1, 6));
    let form = asked[0].form();
    assert_eq!(form[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    check_assertion(&form[1].1, &format!("{}/token", server.url));
    let sent = received.iter().find(|one| one.body.contains("good")).unwrap();
    assert_eq!(sent.line, "POST /v1/projects/p1/messages:send");
    assert_eq!(sent.header("authorization"), "Bearer ya29.x");
    let expected = json!({ "message": {
        "token": "good", "notification": { "title": "Hello", "body": "Hi" }, "data": { "order": "7", "kind": "x" },
    } });
    assert_eq!(sent.json(), expected);
}

/// The claims are those that Google asks for, and the signature is the key's.
fn check_assertion(assertion: &str, audience: &str) {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
    use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
    let (statement, signature) = assertion.rsplit_once('.').unwrap();
    let (header, claims) = statement.split_once('.').unwrap();
    let read = |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    assert_eq!(read(header), json!({ "alg": "RS256", "typ": "JWT" }));
    let claims = read(claims);
    assert_eq!(claims["iss"], "a@p1.example");
    assert_eq!(claims["aud"], audience);
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/firebase.messaging");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3_600);
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    key.verify(statement.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
        .unwrap();
}

#[tokio::test]
async fn firebase_token_that_is_refused_is_asked_for_again_once() {
    let server = ApiServer::answering(|request| match &*request.line {
        "POST /token" => Reply::new(200, r#"{"access_token":"ya29.x","expires_in":3599}"#),
        _ => Reply::new(401, r#"{"error":{"status":"UNAUTHENTICATED","message":"expired"}}"#),
    });
    let run = Run::new().await;
    let pusher = pusher(firebase(&server.url), &server.url).await;
    assert_eq!(all_shown(&send(&pusher, &run, &["a"]).await), ["UNAUTHORIZED None"]);
    let lines: Vec<String> = server.received().into_iter().map(|one| one.line).collect();
    let (token, message) = ("POST /token", "POST /v1/projects/p1/messages:send");
    assert_eq!(lines, [token, message, token, message]);
}

#[tokio::test]
async fn firebase_key_that_google_refuses_is_not_retried() {
    let server = ApiServer::answering(|_| {
        Reply::new(
            400,
            r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
        )
    });
    let run = Run::new().await;
    let pusher = pusher(firebase(&server.url), &server.url).await;
    assert_eq!(all_shown(&send(&pusher, &run, &["a"]).await), ["UNAUTHORIZED None"]);
    assert_eq!(&*pusher.check().await.unwrap_err().code, "UNAUTHORIZED");
}

#[tokio::test]
async fn check_sends_nothing() {
    let server = ApiServer::answering(|request| match &*request.line {
        "POST /token" => Reply::new(200, r#"{"access_token":"ya29.x","expires_in":3599}"#),
        _ => Reply::new(200, r#"{"data":{}}"#),
    });
    pusher(firebase(&server.url), &server.url).await.check().await.unwrap();
    assert_eq!(server.received()[1].json()["validate_only"], true);
    pusher(expo(), &server.url).await.check().await.unwrap();
    assert_eq!(server.received()[2].line, "POST /push/getReceipts");
}

#[tokio::test]
async fn wrong_credentials_are_told_without_the_key() {
    let service = PushService::Firebase {
        credentials: Text::from(r#"{"project_id":"p","client_email":"e","private_key":"hunter2"}"#),
    };
    let api = PushApi {
        service,
        endpoint: None,
    };
    let opened = ApiPusher::open(&api, OutboundRules::default(), &ExpressionResolver::default()).await;
    let failure = opened.err().unwrap();
    assert_eq!(&*failure.code, "VALIDATION_ERROR");
    assert!(failure.message.contains("private_key") && !failure.message.contains("hunter2"));
}
