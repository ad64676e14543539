//! Google Pub/Sub, on a server that answers by its published API and checks who asks.

use super::scripted::{Asked, ScriptedServer};
use super::support::{open, publish, publish_as, topic};
use crate::connector::{Connector, Failure};
use crate::model::JobId;
use crate::resources::{BrokerConfig, BrokerKind, CloudBroker, PubSubConfig, Text, TopicOptions};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::sync::Arc;

/// Made for this test alone, by `openssl genpkey`.
const KEY: &str = include_str!("service_account_key.pem");

fn credentials(server: &str) -> String {
    json!({
        "type": "service_account",
        "project_id": "of-the-key",
        "private_key_id": "k1",
        "private_key": KEY,
        "client_email": "shop@project.iam.gserviceaccount.com",
        "token_uri": format!("{server}/token"),
    })
    .to_string()
}

async fn broker(server: &str, change: impl FnOnce(&mut PubSubConfig)) -> Result<Arc<dyn Connector>, Failure> {
    let mut account = PubSubConfig {
        project_id: Some("shop-1".into()),
        credentials: Some(Text::from(credentials(server).as_str())),
        key_file: None,
        endpoint: Some(server.into()),
    };
    change(&mut account);
    let config = BrokerConfig {
        cloud: Some(CloudBroker::PubSub(account)),
        ..BrokerConfig::default()
    };
    let mut orders = topic("orders", TopicOptions::default());
    orders.name = Some("shop.orders".into());
    orders.headers = vec![("x-source".into(), "shop \u{fc}".into())];
    open(BrokerKind::GooglePubSub, config, Some(vec![orders])).await
}

/// Gives tokens with numbers, and takes messages with the newest one.
fn google(asked: &Asked, tokens: usize) -> (u16, String) {
    if asked.path == "/token" {
        let token = json!({ "access_token": format!("token-{tokens}"), "expires_in": 3_600 });
        return (200, token.to_string());
    }
    (200, json!({ "messageIds": ["17"] }).to_string())
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pubsub_message_is_published_with_a_token_that_all_share() {
    let server = ScriptedServer::start(google).await;
    let connector = broker(&server.url, |_| {}).await.unwrap();
    let id = JobId::generate();
    let message = r#"{ "z":1, "n": 1.50 }"#;
    let result = publish_as(&connector, "orders", message, id.clone()).await.unwrap();
    assert_eq!(
        result,
        json!({ "message_id": format!("{id}/1"), "topic": "shop.orders", "id": "17" })
    );
    let more = (0..10).map(|_| publish(&connector, "b:orders", "\"text\""));
    assert!(futures_util::future::join_all(more).await.iter().all(Result::is_ok));
    connector.check().await.unwrap();
    let asked = server.asked();
    let (tokens, others): (Vec<&Asked>, Vec<&Asked>) = asked.iter().partition(|asked| asked.path == "/token");
    assert_eq!((tokens.len(), others.len()), (1, 12));
    assert!(
        others
            .iter()
            .all(|asked| asked.header("authorization") == "Bearer token-0")
    );
    let first = others[0];
    assert_eq!(
        (first.method.as_str(), first.path.as_str()),
        ("POST", "/v1/projects/shop-1/topics/shop.orders:publish")
    );
    let sent = &first.json()["messages"][0];
    assert_eq!(
        STANDARD.decode(sent["data"].as_str().unwrap()).unwrap(),
        message.as_bytes()
    );
    let attributes = json!({
        "message_id": format!("{id}/1"),
        "content_type": "application/json",
        "x-source": "shop ü",
    });
    assert_eq!(sent["attributes"], attributes);
    assert!(sent.get("orderingKey").is_none());
    let last = others.last().unwrap();
    assert_eq!(
        (last.method.as_str(), last.path.as_str()),
        ("GET", "/v1/projects/shop-1/topics?pageSize=1")
    );

    // Whoever gives tokens checks this.
    let body = String::from_utf8(tokens[0].body.clone()).unwrap();
    let (grant, assertion) = body.split_once("&assertion=").unwrap();
    assert_eq!(
        grant,
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
    );
    let parts: Vec<&str> = assertion.split('.').collect();
    assert_eq!(decoded(parts[0]), json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
    let claims = decoded(parts[1]);
    assert_eq!(claims["iss"], "shop@project.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], format!("{}/token", server.url));
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/pubsub");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3_600);
    let key = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public().as_ref())
        .verify(
            format!("{}.{}", parts[0], parts[1]).as_bytes(),
            &URL_SAFE_NO_PAD.decode(parts[2]).unwrap(),
        )
        .unwrap();
}

#[tokio::test]
async fn pubsub_token_that_is_refused_is_replaced_once() {
    let server = ScriptedServer::start(|asked, before| match asked.header("authorization") {
        "Bearer token-0" => (401, String::new()),
        _ => google(asked, before),
    })
    .await;
    let connector = broker(&server.url, |_| {}).await.unwrap();
    publish(&connector, "orders", "1").await.unwrap();
    assert_eq!(server.asked().len(), 4);
    let server = ScriptedServer::start(|asked, before| match asked.path.as_str() {
        "/token" => google(asked, before),
        _ => (401, String::new()),
    })
    .await;
    let connector = broker(&server.url, |_| {}).await.unwrap();
    let failure = publish(&connector, "orders", "1").await.unwrap_err();
    assert_eq!(&*failure.code, "UNAUTHORIZED", "{failure:?}");
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn pubsub_failures_have_their_codes_and_no_secret() {
    for (status, publishing, checking) in [
        (400, "VALIDATION_ERROR", "VALIDATION_ERROR"),
        (403, "FORBIDDEN", "ok"),
        (404, "NOT_FOUND", "NOT_FOUND"),
        (429, "RATE_LIMITED", "RATE_LIMITED"),
        (503, "SERVICE_UNAVAILABLE", "SERVICE_UNAVAILABLE"),
        (504, "TIMEOUT", "TIMEOUT"),
    ] {
        let server = ScriptedServer::start(move |asked, before| match asked.path.as_str() {
            "/token" => google(asked, before),
            _ => (status, r#"{"error":{"message":"s3cret"}}"#.to_owned()),
        })
        .await;
        let connector = broker(&server.url, |_| {}).await.unwrap();
        let failure = publish(&connector, "orders", "1").await.unwrap_err();
        assert_eq!(&*failure.code, publishing, "{failure:?}");
        assert!(!failure.message.contains("s3cret"), "{failure:?}");
        let checked = connector
            .check()
            .await
            .map_or_else(|failure| failure.code.to_string(), |()| "ok".to_owned());
        assert_eq!(checked, checking, "{status}");
    }
    let server = ScriptedServer::start(|_, _| (400, r#"{"error":"invalid_grant"}"#.to_owned())).await;
    let connector = broker(&server.url, |_| {}).await.unwrap();
    assert_eq!(&*connector.check().await.unwrap_err().code, "UNAUTHORIZED");
    let failure = publish(&connector, "orders", "1").await.unwrap_err();
    assert_eq!(&*failure.code, "UNAUTHORIZED");
    assert!(!failure.message.contains("PRIVATE"), "{failure:?}");
}

#[tokio::test]
async fn pubsub_credentials_are_read_from_each_place() {
    let server = ScriptedServer::start(google).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    std::fs::write(&path, credentials(&server.url)).unwrap();
    let by_file = broker(&server.url, |account| {
        account.credentials = None;
        account.project_id = None;
        account.key_file = path.to_str().map(Text::from);
    });
    publish(&by_file.await.unwrap(), "orders", "1").await.unwrap();
    assert!(server.asked()[1].path.starts_with("/v1/projects/of-the-key/"));
    // An endpoint without credentials is an emulator.
    let emulated = broker(&server.url, |account| account.credentials = None).await.unwrap();
    publish(&emulated, "orders", "1").await.unwrap();
    assert_eq!(server.asked()[2].header("authorization"), "");
    for wrong in ["x", "{}", r#"{"client_email":"a","private_key":"s3cret"}"#] {
        let failure = broker(&server.url, |account| account.credentials = Some(wrong.into()))
            .await
            .err()
            .unwrap();
        assert_eq!(&*failure.code, "VALIDATION_ERROR");
        assert!(failure.message.starts_with("config.credentials") && !failure.message.contains("s3cret"));
    }
    let missing = broker(&server.url, |account| {
        account.credentials = None;
        account.key_file = Some("/no/such/file".into());
    });
    assert!(missing.await.err().unwrap().message.starts_with("config.keyFilename"));
}
