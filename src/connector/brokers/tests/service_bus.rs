//! Azure Service Bus, on a server that answers by its published API and checks signatures.

use super::scripted::{Asked, ScriptedServer};
use super::support::{open, publish, publish_as, topic};
use crate::connector::{Connector, Failure};
use crate::model::JobId;
use crate::resources::{BrokerConfig, BrokerKind, CloudBroker, ServiceBusConfig, Text, TopicOptions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::json;
use std::sync::Arc;

const KEY: &str = "c2VjcmV0IGtleQ+/=";

async fn broker(connection_string: &str) -> Result<Arc<dyn Connector>, Failure> {
    let config = BrokerConfig {
        cloud: Some(CloudBroker::ServiceBus(ServiceBusConfig {
            connection_string: Text::from(connection_string),
        })),
        destination: Some("Orders".into()),
        ..BrokerConfig::default()
    };
    let mut orders = topic("orders", TopicOptions::default());
    orders.headers = vec![("x-source".into(), "shop \u{fc}".into())];
    open(BrokerKind::AzureServiceBus, config, Some(vec![orders])).await
}

fn connection_string(url: &str, key: &str) -> String {
    format!("Endpoint={url}/;SharedAccessKeyName=send only;SharedAccessKey={key};EntityPath=Orders")
}

/// Whether the signature is one of the key, for this queue, and good for a while.
fn is_signed(asked: &Asked, url: &str) -> bool {
    let given = asked
        .header("authorization")
        .strip_prefix("SharedAccessSignature ")
        .unwrap_or_default();
    let part = |name: &str| {
        let mut parts = given.split('&').filter_map(|part| part.split_once('='));
        parts.find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    };
    let decode = |text: &str| String::from_utf8(crate::text::percent::decode(text)).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
    let signed = format!("{}\n{}", part("sr"), part("se"));
    let Ok(signature) = STANDARD.decode(decode(part("sig"))) else {
        return false;
    };
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
        && decode(part("sr")) == format!("{url}/orders")
        && decode(part("skn")) == "send only"
        && part("se")
            .parse::<u64>()
            .is_ok_and(|until| until > now && until < now + 3_600)
}

#[tokio::test]
async fn service_bus_message_is_signed_and_has_its_properties() {
    let server = ScriptedServer::start(|asked, _| match asked.method.as_str() {
        "POST" => (201, String::new()),
        _ => (
            401,
            "MissingClaim: 'Manage' claim required for this operation".to_owned(),
        ),
    })
    .await;
    let connector = broker(&connection_string(&server.url, KEY)).await.unwrap();
    let id = JobId::generate();
    let message = r#"{ "z":1, "s":"ü" }"#;
    let result = publish_as(&connector, "orders", message, id.clone()).await.unwrap();
    assert_eq!(result, json!({ "message_id": format!("{id}/1"), "queue": "Orders" }));
    // A key to send alone has no right to see the queue.
    connector.check().await.unwrap();
    let asked = server.asked();
    assert!(asked.iter().all(|asked| is_signed(asked, &server.url)), "{asked:?}");
    assert_eq!(asked[0].path, "/Orders/messages?api-version=2017-04");
    assert_eq!(asked[0].body, message.as_bytes());
    assert_eq!(asked[0].header("content-type"), "application/json");
    assert_eq!(asked[0].header("x-source"), r#""shop \u00fc""#);
    let properties: serde_json::Value = serde_json::from_str(asked[0].header("brokerproperties")).unwrap();
    assert_eq!(properties, json!({ "MessageId": format!("{id}/1") }));
    assert_eq!(asked[1].method, "GET");
}

#[tokio::test]
async fn service_bus_failures_have_their_codes_and_no_secret() {
    for (status, words, code) in [
        (400, "s3cret", "VALIDATION_ERROR"),
        (401, "Invalid authorization token signature", "UNAUTHORIZED"),
        (401, "MissingClaim: 'Send' claim required", "FORBIDDEN"),
        (403, "The message is too large", "VALIDATION_ERROR"),
        (403, "quota", "SERVICE_UNAVAILABLE"),
        (404, "", "NOT_FOUND"),
        (410, "", "NOT_FOUND"),
        (413, "", "VALIDATION_ERROR"),
        (429, "", "RATE_LIMITED"),
        (503, "", "SERVICE_UNAVAILABLE"),
        (504, "", "TIMEOUT"),
    ] {
        let server = ScriptedServer::start(move |_, _| (status, words.to_owned())).await;
        let connector = broker(&connection_string(&server.url, "wr0ng")).await.unwrap();
        let failure = publish(&connector, "orders", "1").await.unwrap_err();
        assert_eq!(&*failure.code, code, "{failure:?}");
        assert!(!failure.message.contains("s3cret") && !failure.message.contains("wr0ng"));
    }
    let server = ScriptedServer::start(|_, _| (401, "Invalid authorization token signature".to_owned())).await;
    let connector = broker(&connection_string(&server.url, "wr0ng")).await.unwrap();
    assert_eq!(&*connector.check().await.unwrap_err().code, "UNAUTHORIZED");
}

#[tokio::test]
async fn service_bus_connection_string_is_checked_without_being_shown() {
    for wrong in [
        "",
        "s3cret",
        "SharedAccessKeyName=n;SharedAccessKey=s3cret",
        "Endpoint=ftp://s3cret/;SharedAccessKeyName=n;SharedAccessKey=s3cret",
        "Endpoint=sb://h/;SharedAccessKey=s3cret",
        "Endpoint=sb://h/;SharedAccessKeyName=n",
    ] {
        let failure = broker(wrong).await.err().unwrap();
        assert_eq!(&*failure.code, "VALIDATION_ERROR", "{wrong}");
        assert!(failure.message.starts_with("config.connectionString") && !failure.message.contains("s3cret"));
    }
    broker("Endpoint=sb://h.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=a==")
        .await
        .unwrap();
}
