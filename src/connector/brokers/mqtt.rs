//! MQTT 5: messages with quality of service 0, 1 and 2.
//!
//! The client would connect again by itself and send what it has kept; here its event loop ends with its connection, and
//! all that waits in it fails. Invariant: a message is acknowledged when the server has said so (QoS 1 and 2), or when it
//! was written to the connection (QoS 0).

use super::address::BrokerAddress;
use super::connector::Transport;
use super::connector_error::{ConnectorError, broken, unsent};
use super::message::Message;
use super::shared_connection::Timeouts;
use super::tls;
use super::topics::Destination;
use crate::connector::Failure;
use async_trait::async_trait;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v5::{
    ConnAck, ConnectReturnCode, Packet, PubAckReason, PubCompReason, PubRecReason, PublishProperties,
};
use rumqttc::{
    AsyncClient, ClientError, ConnectionError, Event, EventLoop, MqttOptions, PublishNoticeError, PublishOptions,
    PublishResult, Transport as MqttTransport,
};
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Seconds without a word after which the server is asked for one.
const KEEP_ALIVE_SECONDS: u16 = 15;
/// Messages that wait to be written; an attempt that comes then waits.
const MAX_QUEUED_MESSAGES: usize = 100;
/// Largest packet that the server may send, in bytes: none of ours is large.
const MAX_INCOMING_PACKET_BYTES: u32 = 64 << 10;
/// The message's id, among its user properties.
const MESSAGE_ID_PROPERTY: &str = "message_id";

/// An MQTT server.
pub(super) struct Mqtt {
    server: BrokerAddress,
    transport: Option<MqttTransport>,
}

/// A connection, and the task that moves its packets.
pub(super) struct Connection {
    client: AsyncClient,
    driver: AbortHandle,
    /// Why it ended.
    end_reason: EndReason,
    /// Closed when it has ended.
    driver_alive: watch::Receiver<()>,
    /// Largest packet that the server takes, in bytes.
    max_packet_bytes: Option<usize>,
    /// Highest quality of service that the server offers.
    max_qos: u8,
}

type EndReason = Arc<Mutex<Option<String>>>;

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Mqtt {
    pub(super) fn new(server: BrokerAddress, _: Timeouts) -> Result<Self, Failure> {
        let transport = if server.tls {
            crate::tls::install_crypto_provider();
            match &server.ca {
                Some(pem) => Some(MqttTransport::tls_with_config(tls::client_config_for_ca(pem)?.into())),
                None => None,
            }
        } else {
            Some(MqttTransport::Tcp)
        };
        Ok(Self { server, transport })
    }

    async fn options(&self) -> Result<MqttOptions, Failure> {
        let server = &self.server;
        // Two connections with one name end each other.
        let name = format!("ductape-{}", uuid::Uuid::now_v7().simple());
        let mut options = MqttOptions::new(name, (server.host.clone(), server.port));
        options.set_keep_alive(KEEP_ALIVE_SECONDS);
        options.set_max_packet_size(Some(MAX_INCOMING_PACKET_BYTES));
        match (&server.username, &server.password) {
            (Some(username), Some(password)) => {
                options.set_credentials(username.clone(), password.clone().into_bytes());
            }
            (Some(username), None) => {
                options.set_username(username.clone());
            }
            (None, Some(password)) => {
                options.set_password(password.clone().into_bytes());
            }
            (None, None) => {}
        }
        let transport = match &self.transport {
            Some(transport) => transport.clone(),
            None => system_tls().await?,
        };
        options.set_transport(transport);
        Ok(options)
    }

    fn connect_failure(&self, error: &ConnectionError) -> Failure {
        let server = &self.server;
        let ConnectionError::ConnectionRefused(code) = error else {
            return server.unreachable(root_cause(error));
        };
        match code {
            ConnectReturnCode::BadUserNamePassword
            | ConnectReturnCode::NotAuthorized
            | ConnectReturnCode::BadAuthenticationMethod => server.unauthorized(),
            ConnectReturnCode::Banned => Failure::forbidden(format!("{server}: this client is banned")),
            ConnectReturnCode::UnsupportedProtocolVersion | ConnectReturnCode::RefusedProtocolVersion => {
                Failure::invalid(format!("{server}: the server does not speak MQTT 5"))
            }
            ConnectReturnCode::QuotaExceeded | ConnectReturnCode::ConnectionRateExceeded => Failure::new(
                crate::error::ErrorCode::RateLimited,
                format!("{server}: too many connections ({code:?})"),
            ),
            other => Failure::unavailable(format!("{server}: the server refused the connection ({other:?})")),
        }
    }
}

/// Reads the system's certificates, which blocks.
async fn system_tls() -> Result<MqttTransport, Failure> {
    let read = tokio::task::spawn_blocking(MqttTransport::try_tls_with_default_config).await;
    match read {
        Ok(Ok(transport)) => Ok(transport),
        Ok(Err(error)) => Err(Failure::connection(format!("cannot set up TLS: {error}"))),
        Err(_) => Err(Failure::connection("setting up TLS was interrupted")),
    }
}

/// Its innermost words.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Moves packets until the connection ends; then all that waits in it fails.
async fn drive(mut events: EventLoop, end_reason: EndReason, _driver_alive: watch::Sender<()>) {
    loop {
        if let Err(error) = events.poll().await {
            let mut why = end_reason.lock().unwrap_or_else(PoisonError::into_inner);
            why.get_or_insert_with(|| root_cause(&error));
            return;
        }
    }
}

#[async_trait]
impl Transport for Mqtt {
    type Connection = Connection;

    async fn connect(&self) -> Result<Self::Connection, Failure> {
        let options = self.options().await?;
        let (client, mut events) = AsyncClient::builder(options).capacity(MAX_QUEUED_MESSAGES).build();
        let greeting = loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(greeting))) => break greeting,
                Ok(_) => {}
                Err(error) => return Err(self.connect_failure(&error)),
            }
        };
        let end_reason = EndReason::default();
        let (driver_guard, driver_alive) = watch::channel(());
        let driver = tokio::spawn(drive(events, Arc::clone(&end_reason), driver_guard)).abort_handle();
        Ok(Connection {
            client,
            driver,
            end_reason,
            driver_alive,
            max_packet_bytes: max_packet_bytes(&greeting),
            max_qos: greeting.properties.as_ref().and_then(|said| said.max_qos).unwrap_or(2),
        })
    }

    fn is_usable(&self, connection: &Self::Connection) -> bool {
        !connection.driver.is_finished()
    }

    async fn probe(&self, connection: &Self::Connection) -> Result<(), ConnectorError> {
        // The server is asked by the client, as often as `KEEP_ALIVE_SECONDS` says.
        if connection.driver.is_finished() {
            return Err(unsent(reason(connection)));
        }
        Ok(())
    }

    async fn publish(
        &self,
        connection: &Self::Connection,
        message: &Message,
        to: &Destination,
    ) -> Result<String, ConnectorError> {
        let qos = to.options.qos.unwrap_or(1);
        check_limits(connection, message, to, qos)?;
        let retain = to.options.retain.unwrap_or(false);
        let options = PublishOptions::new(to_qos(qos))
            .retain(retain)
            .properties(properties(message, to));
        let sent = connection
            .client
            .publish_tracked(to.name.to_string(), message.body.clone(), options)
            .await;
        let notice = sent.map_err(|error| match error {
            ClientError::InvalidRequest(_) => {
                ConnectorError::Refused(Failure::invalid("the topic cannot be published to"))
            }
            _ => unsent(reason(connection)),
        })?;
        let mut driver_alive = connection.driver_alive.clone();
        let answer = tokio::select! {
            biased;
            answer = notice.wait_async() => answer,
            // What was queued and never taken up gets no answer of its own.
            _ = driver_alive.changed() => return Err(broken(reason(connection))),
        };
        acknowledged(answer, connection)?;
        let result = json!({ "message_id": message.id, "topic": to.name, "qos": qos, "retain": retain });
        Ok(result.to_string())
    }

    async fn close(&self, connection: &Self::Connection) {
        // What is on its way is acknowledged first.
        if connection.client.disconnect().await.is_ok() {
            while !connection.driver.is_finished() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    }

    fn abandon(&self, connection: &Self::Connection) {
        connection.driver.abort();
    }
}

fn max_packet_bytes(greeting: &ConnAck) -> Option<usize> {
    let max_packet_size = greeting.properties.as_ref()?.max_packet_size?;
    usize::try_from(max_packet_size).ok()
}

fn to_qos(qos: u8) -> QoS {
    match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

fn properties(message: &Message, to: &Destination) -> PublishProperties {
    let mut user = vec![(MESSAGE_ID_PROPERTY.to_owned(), message.id.clone())];
    user.extend(to.headers.iter().map(|(name, value)| (name.to_string(), value.clone())));
    PublishProperties {
        payload_format_indicator: Some(1),
        content_type: Some(message.content_type.to_owned()),
        correlation_data: Some(message.id.clone().into_bytes().into()),
        user_properties: user,
        ..PublishProperties::default()
    }
}

/// What the server would end the connection for.
fn check_limits(connection: &Connection, message: &Message, to: &Destination, qos: u8) -> Result<(), ConnectorError> {
    let invalid = |why: String| Err(ConnectorError::Refused(Failure::invalid(why)));
    if to.name.is_empty() || to.name.contains(['#', '+', '\0']) {
        return invalid(format!("'{}' is no topic to publish to", to.name));
    }
    if qos > connection.max_qos {
        let max_qos = connection.max_qos;
        return invalid(format!(
            "the server offers QoS up to {max_qos}, and the topic wants {qos}"
        ));
    }
    // Lengths, identifiers and flags beside what is written out.
    let headers: usize = to
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 5)
        .sum();
    let size = message.body.len() + to.name.len() + 2 * message.id.len() + headers + 100;
    match connection.max_packet_bytes {
        Some(max_packet_bytes) if size > max_packet_bytes => invalid(format!(
            "the message has about {size} bytes, and the server takes {max_packet_bytes}"
        )),
        _ => Ok(()),
    }
}

fn reason(connection: &Connection) -> String {
    let why = connection.end_reason.lock().unwrap_or_else(PoisonError::into_inner);
    why.clone().unwrap_or_else(|| "it was closed".to_owned())
}

fn acknowledged(
    answer: Result<PublishResult, PublishNoticeError>,
    connection: &Connection,
) -> Result<(), ConnectorError> {
    let refused = |code: &str, reason: String| match code {
        "NotAuthorized" => Failure::forbidden(reason),
        "QuotaExceeded" => Failure::new(crate::error::ErrorCode::RateLimited, reason),
        "TopicNameInvalid" | "PayloadFormatInvalid" => Failure::invalid(reason),
        _ => Failure::unavailable(reason),
    };
    let code = match answer {
        Ok(PublishResult::Qos0Flushed) => return Ok(()),
        Ok(PublishResult::Qos1(answer)) => match answer.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => return Ok(()),
            other => format!("{other:?}"),
        },
        Ok(PublishResult::Qos2Completed(answer)) => match answer.reason {
            PubCompReason::Success => return Ok(()),
            other @ PubCompReason::PacketIdentifierNotFound => format!("{other:?}"),
        },
        Ok(PublishResult::Qos2PubRecRejected(answer)) => match answer.reason {
            PubRecReason::Success | PubRecReason::NoMatchingSubscribers => return Ok(()),
            other => format!("{other:?}"),
        },
        Err(PublishNoticeError::RetainNotSupported) => {
            return Err(ConnectorError::Refused(Failure::invalid(
                "the server keeps no messages, and the topic says `retain`",
            )));
        }
        Err(PublishNoticeError::V5PubAck(code)) => format!("{code:?}"),
        Err(PublishNoticeError::V5PubRec(code)) => format!("{code:?}"),
        Err(PublishNoticeError::V5PubComp(code)) => format!("{code:?}"),
        Err(_) => return Err(broken(reason(connection))),
    };
    let reason = format!("the server refused the message ({code})");
    Err(ConnectorError::Refused(refused(&code, reason)))
}
