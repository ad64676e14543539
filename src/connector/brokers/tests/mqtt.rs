//! What only MQTT has.

use super::common::{common_tests, selected_common_tests};
use super::support::{Listener, PublishMode, Received, address, plain, publish, receive_all, unique};
use crate::resources::{BrokerKind, TopicOptions};
use async_trait::async_trait;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v5::Packet;
use rumqttc::{AsyncClient, Event, MqttOptions, PublishOptions};
use std::time::Duration;
use tokio::sync::mpsc;

const KIND: BrokerKind = BrokerKind::Mqtt;

/// With this quality of service.
struct Qos(u8);

struct TopicListener {
    client: AsyncClient,
    topic: String,
    received: mpsc::UnboundedReceiver<Received>,
}

fn options(qos: u8) -> TopicOptions {
    TopicOptions {
        qos: Some(qos),
        ..TopicOptions::default()
    }
}

#[async_trait]
impl PublishMode for Qos {
    fn kind(&self) -> BrokerKind {
        KIND
    }

    fn options(&self) -> TopicOptions {
        options(self.0)
    }

    async fn listen(&self, url: &str, name: &str) -> Box<dyn Listener> {
        let url = url::Url::parse(url).unwrap();
        let server = (url.host_str().unwrap().to_owned(), url.port().unwrap());
        let mut options = MqttOptions::new(format!("listener-{name}-{}", unique()), server);
        options.set_receive_maximum(Some(20));
        let (client, mut events) = AsyncClient::builder(options).capacity(10).build();
        let (heard, received) = mpsc::unbounded_channel();
        let (ready, mut is_ready) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                match event {
                    Event::Incoming(Packet::SubAck(_)) => ready.send(()).unwrap(),
                    Event::Incoming(Packet::Publish(message)) => {
                        let said = message.properties.unwrap_or_default();
                        let mut headers: std::collections::BTreeMap<_, _> = said.user_properties.into_iter().collect();
                        let id = headers.remove("message_id");
                        assert_eq!(
                            said.correlation_data.map(|id| id.to_vec()),
                            id.clone().map(String::into_bytes)
                        );
                        let _ = heard.send(Received {
                            body: message.payload.to_vec(),
                            id,
                            content_type: said.content_type,
                            headers,
                            flags: vec![format!("{:?}", message.qos), format!("retained: {}", message.retain)],
                        });
                    }
                    _ => {}
                }
            }
        });
        client.subscribe(name, QoS::ExactlyOnce).await.unwrap();
        is_ready.recv().await.unwrap();
        Box::new(TopicListener {
            client,
            topic: name.to_owned(),
            received,
        })
    }
}

#[async_trait]
impl Listener for TopicListener {
    async fn next(&mut self, wait: Duration) -> Option<Received> {
        tokio::time::timeout(wait, self.received.recv()).await.ok()?
    }

    async fn remove(self: Box<Self>) {
        let forget = PublishOptions::new(QoS::AtLeastOnce).retained();
        let sent = self
            .client
            .publish_tracked(self.topic.clone(), "", forget)
            .await
            .unwrap();
        sent.wait_async().await.unwrap();
        self.client.disconnect().await.unwrap();
    }
}

mod qos_1 {
    use super::*;
    common_tests!(Qos(1));
}

mod qos_2 {
    use super::*;
    common_tests!(Qos(2));
}

/// What is written to a connection that has just broken is lost, which is what QoS 0 means.
mod qos_0 {
    use super::*;
    selected_common_tests!(Qos(0);
        message_arrives_unchanged,
    );
}

#[tokio::test]
async fn mqtt_qos_and_retain_come_from_the_topic() {
    let Some(url) = address(KIND, "mqtt_qos_and_retain_come_from_the_topic") else {
        return;
    };
    let name = unique();
    let mut early = Qos(1).listen(&url, &name).await;
    for qos in 0..=2 {
        let retain = TopicOptions {
            retain: Some(qos == 2),
            ..options(qos)
        };
        let connector = plain(KIND, &url, retain).await;
        let result = publish(&connector, &name, &qos.to_string()).await.unwrap();
        assert_eq!((&result["qos"], &result["retain"]), (&qos.into(), &(qos == 2).into()));
        connector.close().await;
    }
    let heard = receive_all(&mut early, 3).await;
    let levels: Vec<_> = heard.iter().map(|message| message.flags[0].as_str()).collect();
    assert_eq!(levels, ["AtMostOnce", "AtLeastOnce", "ExactlyOnce"]);
    let mut late = Qos(1).listen(&url, &name).await;
    let kept = receive_all(&mut late, 1).await;
    assert_eq!(
        (kept.len(), kept[0].body.as_slice(), kept[0].flags[1].as_str()),
        (1, &b"2"[..], "retained: true")
    );
    late.remove().await;
    early.remove().await;
}

#[tokio::test]
async fn invalid_mqtt_topic_is_refused_before_sending() {
    let Some(url) = address(KIND, "invalid_mqtt_topic_is_refused_before_sending") else {
        return;
    };
    let connector = plain(KIND, &url, options(1)).await;
    for name in ["a/#", "+/b", "", "a\0b"] {
        let failure = publish(&connector, name, "{}").await.unwrap_err();
        assert_eq!(&*failure.code, "VALIDATION_ERROR", "{name}");
    }
    connector.check().await.unwrap();
}
