//! RabbitMQ and what speaks AMQP 0-9-1 like it: messages with publisher confirms.
//!
//! Each message that is on its way has a channel of its own, from a pool that grows with the attempts that go at once: so
//! the server's words (confirmed, returned, no such exchange) can only be about that message, and a channel that the
//! server closes takes no other message with it. The client moves its packets in a thread; the connection's socket is kept
//! here too, so that it can be ended whatever that thread waits for. While the server takes no messages ([`alarm`]) none is sent,
//! and the connection stays, since the server may still take what it has got.

mod alarm;
mod channels;

use super::address::BrokerAddress;
use super::connector::Transport;
use super::connector_error::{ConnectorError, broken, unsent};
use super::message::Message;
use super::shared_connection::Timeouts;
use super::tls;
use super::topics::Destination;
use crate::connector::Failure;
use crate::text::hex::hex;
use alarm::{Alarm, blocked_for};
use async_trait::async_trait;
use channels::{Channels, Interruption, error_text, publish, while_connected};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::{AMQPUriTcpExt, OwnedTLSConfig, RustlsConnector};
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{AsyncTcpStream, BasicProperties, Confirmation, ConnectionProperties, ErrorKind};
use ring::digest::{SHA256, digest};
use serde_json::json;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;

/// Interval of heartbeats; after two without one the connection is closed.
const HEARTBEAT_SECONDS: u16 = 10;
/// How long a message waits for its confirmation once the server has said that it takes none: it may have been confirmed before.
const BLOCKED_PATIENCE: Duration = Duration::from_secs(1);
/// Delivery mode of a message that survives a restart of the server.
const DELIVERY_MODE_PERSISTENT: u8 = 2;
const DELIVERY_MODE_TRANSIENT: u8 = 1;

/// A RabbitMQ server.
pub(super) struct RabbitMq {
    server: BrokerAddress,
    uri: AMQPUri,
    /// TLS with certificates of the definition's own.
    tls: Option<RustlsConnector>,
}

/// A connection with its channels.
pub(super) struct Connection {
    client: lapin::Connection,
    channels: Arc<Channels>,
    socket: Socket,
    alarm: Alarm,
}

impl Connection {
    /// The server takes no messages, and got nothing of this one.
    fn blocked(&self) -> ConnectorError {
        let reason = self.alarm.reason();
        ConnectorError::Refused(Failure::unavailable(format!(
            "the server takes no messages for now ({reason})"
        )))
    }

    /// The server takes no messages, and has this one.
    fn blocked_with_message(&self) -> ConnectorError {
        let reason = self.alarm.reason();
        ConnectorError::Refused(Failure::unavailable(format!(
            "the server takes no messages for now ({reason}), and got this one before it said so: it may take it later"
        )))
    }
}

/// Another handle of the socket beneath a connection.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<Option<std::net::TcpStream>>>);

impl Socket {
    fn keep(&self, stream: &TcpStream) {
        #[cfg(unix)]
        let copy = std::os::fd::AsFd::as_fd(stream).try_clone_to_owned();
        #[cfg(windows)]
        let copy = std::os::windows::io::AsSocket::as_socket(stream).try_clone_to_owned();
        if let Ok(copy) = copy {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy.into());
        }
    }

    /// Both sides see the end of it.
    fn end(&self) {
        if let Some(socket) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Leaves the connection to its client.
    fn release(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Ends the socket of a connection that was given up before it stood.
struct SocketGuard(Option<Socket>);

impl Drop for SocketGuard {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            socket.end();
        }
    }
}

impl RabbitMq {
    pub(super) fn new(server: BrokerAddress, _: Timeouts) -> Result<Self, Failure> {
        let tls = match &server.ca {
            Some(pem) if server.tls => Some(tls::client_config_for_ca(pem)?.into()),
            _ => None,
        };
        if server.tls {
            crate::tls::install_crypto_provider();
        }
        let uri = AMQPUri {
            scheme: if server.tls {
                AMQPScheme::AMQPS
            } else {
                AMQPScheme::AMQP
            },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: server.username.clone().unwrap_or_else(|| "guest".to_owned()),
                    password: server.password.clone().unwrap_or_else(|| "guest".to_owned()),
                },
                host: server.host.clone(),
                port: server.port,
            },
            // `amqp://host` and `amqp://host/` both mean the default one.
            vhost: match server.path.as_deref() {
                None | Some("") => "/".to_owned(),
                Some(vhost) => vhost.to_owned(),
            },
            query: AMQPQueryString {
                heartbeat: Some(HEARTBEAT_SECONDS),
                ..AMQPQueryString::default()
            },
        };
        Ok(Self { server, uri, tls })
    }

    /// What is wrong when a connection cannot be made.
    fn connect_failure(&self, error: &lapin::Error) -> Failure {
        let (server, vhost) = (&self.server, &self.uri.vhost);
        let ErrorKind::ProtocolError(said) = error.kind() else {
            return server.unreachable(error_text(error));
        };
        match said.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => server.unauthorized(),
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
                let text = said.get_message().to_string();
                if text.contains("not found") {
                    Failure::not_found(format!("{server}: there is no virtual host '{vhost}'"))
                } else if text.contains("access to vhost") {
                    Failure::forbidden(format!("{server}: the user may not use the virtual host '{vhost}'"))
                } else {
                    // Limits of connections and the like.
                    Failure::unavailable(format!("{server}: {text}"))
                }
            }
            _ => server.unreachable(error_text(error)),
        }
    }
}

/// What an error of a message that may have been sent means.
fn connector_error(error: &lapin::Error, to: &AmqpTarget<'_>) -> ConnectorError {
    let ErrorKind::ProtocolError(said) = error.kind() else {
        return broken(error_text(error));
    };
    let text = said.get_message().to_string();
    match said.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => {
            ConnectorError::Refused(Failure::not_found(format!("there is no exchange '{}'", to.exchange)))
        }
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
            let exchange = to.exchange;
            ConnectorError::Refused(Failure::forbidden(format!(
                "may not be published to exchange '{exchange}': {text}"
            )))
        }
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED | AMQPSoftError::CONTENTTOOLARGE) => {
            ConnectorError::Refused(Failure::invalid(text))
        }
        AMQPErrorKind::Soft(_) => ConnectorError::Refused(Failure::unavailable(text)),
        AMQPErrorKind::Hard(_) => broken(text),
    }
}

/// What RabbitMQ calls a destination.
struct AmqpTarget<'a> {
    exchange: &'a str,
    key: &'a str,
}

impl<'a> AmqpTarget<'a> {
    fn of(to: &'a Destination) -> Self {
        Self {
            exchange: to.options.exchange.as_deref().unwrap_or_default(),
            key: to.options.routing_key.as_deref().unwrap_or(&to.name),
        }
    }
}

#[async_trait]
impl Transport for RabbitMq {
    type Connection = Connection;

    async fn connect(&self) -> Result<Self::Connection, Failure> {
        let runtime = lapin::runtime::default_runtime().map_err(|error| self.connect_failure(&error))?;
        let properties = ConnectionProperties::default().with_connection_name("ductape".into());
        let socket = Socket::default();
        let mut opening = SocketGuard(Some(socket.clone()));
        let (kept, tls) = (socket.clone(), self.tls.clone());
        let connected = lapin::Connection::connector(
            self.uri.clone(),
            runtime,
            async move |uri, runtime| {
                let plain = AMQPUri {
                    scheme: AMQPScheme::AMQP,
                    ..uri.clone()
                };
                let none = OwnedTLSConfig::default();
                let stream = plain.connect_with_config_async(none.as_ref(), &runtime).await?;
                if let AsyncTcpStream::Plain(stream) = &stream {
                    kept.keep(stream.get_ref());
                }
                let host = uri.authority.host;
                Ok(match (uri.scheme, &tls) {
                    (AMQPScheme::AMQP, _) => stream,
                    (AMQPScheme::AMQPS, Some(tls)) => stream.into_rustls(tls, &host).await?,
                    (AMQPScheme::AMQPS, None) => stream.into_tls(&host, none.as_ref()).await?,
                })
            },
            properties,
        );
        let connected = connected.await;
        let client = connected.map_err(|error| self.connect_failure(&error))?;
        opening.0 = None;
        Ok(Connection {
            alarm: Alarm::of(&client),
            client,
            channels: Arc::default(),
            socket,
        })
    }

    fn is_usable(&self, connection: &Self::Connection) -> bool {
        connection.client.status().connected()
    }

    async fn probe(&self, connection: &Self::Connection) -> Result<(), ConnectorError> {
        let exchange = async {
            let channel = connection.client.create_channel().await?;
            channel.close(200, "OK".into()).await
        };
        let status = connection.client.status();
        tokio::select! {
            answer = while_connected(status, exchange) => answer.map_err(|why| unsent(why.text())),
            () = blocked_for(status, Duration::ZERO) => Err(connection.blocked()),
        }
    }

    async fn publish(
        &self,
        connection: &Self::Connection,
        message: &Message,
        to: &Destination,
    ) -> Result<String, ConnectorError> {
        let route = AmqpTarget::of(to);
        if let Some(what) = too_long(&route, to) {
            return Err(ConnectorError::Refused(Failure::invalid(what)));
        }
        let id = short_id(&message.id);
        let status = connection.client.status();
        let (channel, slot) = tokio::select! {
            biased;
            () = blocked_for(status, Duration::ZERO) => return Err(connection.blocked()),
            taken = connection.channels.take(&connection.client) => taken?,
        };
        let mandatory = to.options.mandatory.unwrap_or(true);
        let work = publish(
            status.clone(),
            Arc::clone(&connection.channels),
            channel,
            slot,
            (route.exchange.into(), route.key.into(), mandatory),
            message.body.clone(),
            properties(message, &id, to),
        );
        let answer = tokio::select! {
            answer = tokio::spawn(work) => answer.map_err(broken)?,
            () = blocked_for(status, BLOCKED_PATIENCE) => return Err(connection.blocked_with_message()),
        };
        match answer {
            Ok(Confirmation::Ack(None)) => {}
            Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => {
                return Err(ConnectorError::Refused(Failure::not_found(format!(
                    "no queue gets messages of exchange '{}' with routing key '{}'; bind one, or set `mandatory: false`",
                    route.exchange, route.key
                ))));
            }
            Ok(Confirmation::Nack(None)) => {
                return Err(ConnectorError::Refused(Failure::unavailable(
                    "the server could not take the message (it was nacked, as by a full queue)",
                )));
            }
            Ok(Confirmation::NotRequested) => return Err(broken("the channel has no confirms")),
            Err((Interruption::Error(error), true)) => return Err(connector_error(&error, &route)),
            Err((why @ Interruption::Lost, true)) => return Err(broken(why.text())),
            Err((why, false)) => return Err(unsent(why.text())),
        }
        let result = json!({ "message_id": id, "exchange": route.exchange, "routing_key": route.key });
        Ok(result.to_string())
    }

    async fn close(&self, connection: &Self::Connection) {
        let status = connection.client.status();
        let closed = tokio::select! {
            closed = connection.client.close(200, "OK".into()) => closed.is_ok(),
            // The client says nothing more to a server that takes nothing.
            () = blocked_for(status, Duration::ZERO) => false,
        };
        if closed {
            connection.socket.release();
        } else {
            connection.socket.end();
        }
    }

    fn abandon(&self, connection: &Self::Connection) {
        connection.socket.end();
    }
}

/// Most bytes of names and ids, which are short strings in the protocol; the codec panics at longer ones.
const MAX_SHORT_BYTES: usize = 255;

fn too_long(route: &AmqpTarget<'_>, to: &Destination) -> Option<String> {
    let headers = to.headers.iter().map(|(name, _)| ("name of a header", &**name));
    let (what, name) = [("exchange", route.exchange), ("routing key", route.key)]
        .into_iter()
        .chain(headers)
        .find(|(_, name)| name.len() > MAX_SHORT_BYTES)?;
    Some(format!(
        "the {what} has {} bytes, and may have {MAX_SHORT_BYTES}",
        name.len()
    ))
}

/// The id of a message; of one that is too long its hash, which is the same for each attempt, too.
fn short_id(id: &str) -> Cow<'_, str> {
    if id.len() <= MAX_SHORT_BYTES {
        return Cow::Borrowed(id);
    }
    Cow::Owned(hex(digest(&SHA256, id.as_bytes()).as_ref()))
}

fn properties(message: &Message, id: &str, to: &Destination) -> BasicProperties {
    let persistent = to.options.persistent.unwrap_or(true);
    let properties = BasicProperties::default()
        .with_content_type(message.content_type.into())
        .with_delivery_mode(if persistent {
            DELIVERY_MODE_PERSISTENT
        } else {
            DELIVERY_MODE_TRANSIENT
        })
        .with_message_id(id.into())
        .with_app_id("ductape".into());
    if to.headers.is_empty() {
        return properties;
    }
    let mut headers = FieldTable::default();
    for (name, value) in &to.headers {
        headers.insert((&**name).into(), AMQPValue::LongString(value.as_str().into()));
    }
    properties.with_headers(headers)
}
