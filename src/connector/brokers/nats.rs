//! NATS: messages that a stream has stored (JetStream), and messages to whoever listens (core).
//!
//! The client would connect again by itself and send what it has kept; here it is led to an address that nobody listens
//! on once its first connection is lost, and ends. A stream acknowledges by itself. Nobody acknowledges a core message, so
//! that a question is sent after it on the same connection: whoever gets its answer knows that the server has taken what
//! came before. What the server says about rights it says beside all that, and is listened for.

use super::address::BrokerAddress;
use super::connector::Transport;
use super::connector_error::{ConnectorError, broken, unsent};
use super::message::Message;
use super::nats_notices::ServerNotices;
use super::nats_refusals;
use super::shared_connection::Timeouts;
use super::tls;
use super::topics::Destination;
use crate::connector::Failure;
use crate::resources::BrokerConfig;
use async_nats::client::{PublishErrorKind, RequestErrorKind};
use async_nats::jetstream::context::{Context, ContextBuilder, PublishErrorKind as StoreErrorKind};
use async_nats::{
    Client, ConnectError, ConnectErrorKind, ConnectOptions, HeaderMap, HeaderName, HeaderValue, ReconnectToServer,
    Request, ServerAddr,
};
use async_trait::async_trait;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What tokio says of a queue without a reader, as the client's is for a moment before its connection counts as closed. The type of
/// the error names one of the client's own.
const CLIENT_IS_GONE: &str = "channel closed";
/// Without a word for so long the server is asked for one; it is given up after three.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// How long a word about missing rights may take from one task to another, once it is here.
const NOTICE_GRACE: Duration = Duration::from_millis(25);
/// What the client calls itself, unless told otherwise.
const CLIENT_NAME: &str = "ductape";
/// Nobody listens there.
const UNREACHABLE_ADDRESS: &str = "nats://127.0.0.1:0";
/// By this header a stream knows a message that it has.
const MESSAGE_ID_HEADER: &str = "Nats-Msg-Id";
const CONTENT_TYPE_HEADER: &str = "Content-Type";

/// A NATS server.
pub(super) struct Nats {
    server: BrokerAddress,
    /// Servers of one cluster.
    addresses: Vec<ServerAddr>,
    name: Box<str>,
    unreachable_address: ServerAddr,
    tls: Option<rustls::ClientConfig>,
    timeouts: Timeouts,
}

/// A connection.
pub(super) struct Connection {
    client: Client,
    streams: Context,
    notices: Arc<ServerNotices>,
}

impl Nats {
    pub(super) fn new(server: BrokerAddress, config: &BrokerConfig, timeouts: Timeouts) -> Result<Self, Failure> {
        let scheme = if server.tls { "tls" } else { "nats" };
        let parse = |text: &str| {
            text.parse::<ServerAddr>()
                .map_err(|_| Failure::invalid("config.url: is no address of a NATS server"))
        };
        let tls = match &server.ca {
            Some(pem) => Some(tls::client_config_for_ca(pem)?),
            None => None,
        };
        crate::tls::install_crypto_provider();
        let mut addresses = vec![parse(&format!("{scheme}://{server}"))?];
        for (host, port) in &server.others {
            let other = BrokerAddress {
                host: host.clone(),
                port: *port,
                ..server.clone()
            };
            addresses.push(parse(&format!("{scheme}://{other}"))?);
        }
        Ok(Self {
            addresses,
            name: config.client_id.clone().unwrap_or_else(|| CLIENT_NAME.into()),
            unreachable_address: parse(UNREACHABLE_ADDRESS)?,
            tls,
            timeouts,
            server,
        })
    }

    fn options(&self, address: &ServerAddr, notices: &Arc<ServerNotices>) -> Result<ConnectOptions, Failure> {
        let server = &self.server;
        let mut options = ConnectOptions::new();
        if let Some(credentials) = &server.credentials {
            options = options.credentials(credentials).map_err(|_| {
                Failure::invalid("config.credentials: is not what stands in a credentials file of NATS")
            })?;
        } else if let Some(token) = &server.token {
            options = options.token(token.clone());
        } else if let Some(username) = &server.username {
            options = match &server.password {
                Some(password) => options.user_and_password(username.clone(), password.clone()),
                // `nats://token@host`, as the server's own tools take it.
                None => options.token(username.clone()),
            };
        }
        if let Some(tls) = &self.tls {
            options = options.tls_client_config(tls.clone());
        }
        if let Some(prefix) = &server.inbox_prefix {
            options = options.custom_inbox_prefix(prefix);
        }
        let notice_state = Arc::clone(notices);
        let (address, unreachable_address) = (address.clone(), self.unreachable_address.clone());
        let used = AtomicBool::new(false);
        Ok(options
            .name(&*self.name)
            .connection_timeout(self.timeouts.connect)
            .ping_interval(PING_INTERVAL)
            .request_timeout(None)
            .ignore_discovered_servers()
            .retain_servers_order()
            .max_reconnects(1)
            .reconnect_to_server_callback(move |_, _| {
                let addr = if used.swap(true, Ordering::Relaxed) {
                    &unreachable_address
                } else {
                    &address
                };
                let to = ReconnectToServer {
                    addr: addr.clone(),
                    delay: Some(Duration::ZERO),
                };
                async move { Some(to) }
            })
            .event_callback(move |event| {
                notice_state.handle_event(&event);
                std::future::ready(())
            }))
    }

    /// One of several servers gets its share of the time there is.
    async fn connect_to(&self, address: &ServerAddr) -> Result<Connection, Failure> {
        let prefix = self.server.inbox_prefix.as_deref().unwrap_or("_INBOX");
        let notices = Arc::new(ServerNotices::new(prefix));
        let servers = vec![address.clone(), self.unreachable_address.clone()];
        let connect = self.options(address, &notices)?.connect(servers);
        let share = self.timeouts.connect / u32::try_from(self.addresses.len()).unwrap_or(u32::MAX);
        let late = |_| {
            self.server
                .unreachable(format_args!("no connection within {} ms", share.as_millis()))
        };
        let connected = tokio::time::timeout(share, connect).await.map_err(late)?;
        let client = connected.map_err(|error| self.connect_failure(&error))?;
        let streams = ContextBuilder::new()
            .timeout(self.timeouts.answer)
            .build(client.clone());
        Ok(Connection {
            client,
            streams,
            notices,
        })
    }

    fn connect_failure(&self, error: &ConnectError) -> Failure {
        match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => self.server.unauthorized(),
            _ => {
                let text = root_cause(error);
                if text.to_lowercase().contains("authorization violation")
                    || text.to_lowercase().contains("authentication")
                {
                    return self.server.unauthorized();
                }
                self.server.unreachable(text)
            }
        }
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

fn headers(message: &Message, to: &Destination) -> Result<HeaderMap, ConnectorError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE_HEADER, message.content_type);
    let own = (MESSAGE_ID_HEADER, message.id.as_str());
    let others = to.headers.iter().map(|(name, value)| (&**name, value.as_str()));
    // The client panics at others; a secret may hold a line break.
    for (name, value) in std::iter::once(own).chain(others) {
        let (Ok(known), Ok(text)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) else {
            return Err(ConnectorError::Refused(Failure::invalid(format!(
                "the header '{name}' holds what headers cannot"
            ))));
        };
        headers.insert(known, text);
    }
    Ok(headers)
}

fn too_large(connection: &Connection, message: &Message) -> ConnectorError {
    let (size, most) = (message.body.len(), connection.client.max_payload());
    ConnectorError::Refused(Failure::invalid(format!(
        "the message has {size} bytes, and the server takes {most} with its headers"
    )))
}

fn no_subject(to: &Destination) -> ConnectorError {
    ConnectorError::Refused(Failure::invalid(format!("'{}' is no subject to publish to", to.name)))
}

async fn publish_to_stream(
    connection: &Connection,
    message: &Message,
    to: &Destination,
) -> Result<String, ConnectorError> {
    let connector_error = |error: async_nats::jetstream::context::PublishError| match error.kind() {
        StoreErrorKind::StreamNotFound => ConnectorError::Refused(Failure::not_found(format!(
            "no stream stores the subject '{}'; make one, or set `jetstream: false`",
            to.name
        ))),
        StoreErrorKind::MaxPayloadExceeded => too_large(connection, message),
        StoreErrorKind::TimedOut => {
            ConnectorError::Broken(Failure::timeout("the stream did not acknowledge the message"))
        }
        StoreErrorKind::BrokenPipe => broken("it was closed"),
        StoreErrorKind::MaxAckPending => {
            ConnectorError::Refused(Failure::unavailable("too many messages await acknowledgement"))
        }
        StoreErrorKind::WrongLastMessageId | StoreErrorKind::WrongLastSequence => {
            ConnectorError::Refused(Failure::invalid(root_cause(&error)))
        }
        StoreErrorKind::Other if connection.notices.is_closed() || root_cause(&error) == CLIENT_IS_GONE => {
            broken("it was closed")
        }
        StoreErrorKind::Other => ConnectorError::Refused(match nats_refusals::of(&error) {
            Some(refusal) => nats_refusals::failure(refusal, message),
            None => Failure::unavailable(root_cause(&error)),
        }),
    };
    let sent = connection
        .streams
        .publish_with_headers(to.name.to_string(), headers(message, to)?, message.body.clone().into())
        .await;
    let stored = sent.map_err(connector_error)?.await.map_err(connector_error)?;
    let result = json!({
        "message_id": message.id,
        "subject": to.name,
        "stream": stored.stream,
        "seq": stored.sequence,
        "duplicate": stored.duplicate,
    });
    Ok(result.to_string())
}

/// Nobody listens to a new inbox: the server says so, after it has taken what came before.
async fn round_trip(client: &Client) -> Result<(), String> {
    match client.send_request(client.new_inbox(), Request::new()).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
        Err(error) => Err(root_cause(&error)),
    }
}

async fn publish_core(connection: &Connection, message: &Message, to: &Destination) -> Result<String, ConnectorError> {
    let client = &connection.client;
    let sent = client
        .publish_with_headers(to.name.to_string(), headers(message, to)?, message.body.clone().into())
        .await;
    sent.map_err(|error| match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => too_large(connection, message),
        PublishErrorKind::InvalidSubject => no_subject(to),
        PublishErrorKind::Send => unsent("it was closed"),
    })?;
    round_trip(client).await.map_err(broken)?;
    if !connection.notices.is_allowed(&to.name) {
        // A word against the message came before that answer, and by another way.
        tokio::time::sleep(NOTICE_GRACE).await;
        if let Some(failure) = connection.notices.permission_failure(&to.name) {
            return Err(ConnectorError::Refused(failure));
        }
        connection.notices.mark_allowed(&to.name);
    }
    Ok(json!({ "message_id": message.id, "subject": to.name }).to_string())
}

/// Wildcards and gaps are refused: the server rejects some, and nobody could subscribe to others.
fn is_subject(name: &str) -> bool {
    !name.contains(['*', '>']) && !name.contains(char::is_whitespace) && !name.split('.').any(str::is_empty)
}

#[async_trait]
impl Transport for Nats {
    type Connection = Connection;

    async fn connect(&self) -> Result<Self::Connection, Failure> {
        let mut failure = self.server.unreachable("it has no address");
        for address in &self.addresses {
            match self.connect_to(address).await {
                Ok(connection) => return Ok(connection),
                Err(why) => failure = why,
            }
        }
        Err(failure)
    }

    fn is_usable(&self, connection: &Self::Connection) -> bool {
        !connection.notices.is_closed()
    }

    async fn probe(&self, connection: &Self::Connection) -> Result<(), ConnectorError> {
        tokio::select! {
            answer = round_trip(&connection.client) => answer.map_err(unsent),
            failure = connection.notices.permission_denied("") => Err(ConnectorError::Refused(failure)),
        }
    }

    async fn publish(
        &self,
        connection: &Self::Connection,
        message: &Message,
        to: &Destination,
    ) -> Result<String, ConnectorError> {
        if !is_subject(&to.name) {
            return Err(no_subject(to));
        }
        let exchange = async {
            if to.options.jetstream.unwrap_or(false) {
                publish_to_stream(connection, message, to).await
            } else {
                publish_core(connection, message, to).await
            }
        };
        tokio::select! {
            answer = exchange => answer,
            failure = connection.notices.permission_denied(&to.name) => Err(ConnectorError::Refused(failure)),
        }
    }

    async fn close(&self, connection: &Self::Connection) {
        let _ = connection.client.flush().await;
    }

    fn abandon(&self, connection: &Self::Connection) {
        connection.notices.close();
        // It gets an address that does not exist, so that what waits in it fails.
        let client = connection.client.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(NOTICE_GRACE, client.force_reconnect()).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_the_client_would_panic_at_are_refused() {
        let message = Message::read(r#"{"message":1}"#, "job/1".to_owned()).unwrap();
        let mut to = Destination {
            name: "a".into(),
            headers: vec![("x-a".into(), "b".to_owned())],
            options: crate::resources::TopicOptions::default(),
        };
        assert_eq!(headers(&message, &to).unwrap().len(), 3);
        to.headers = vec![("x-a".into(), "b\nc: d".to_owned())];
        assert!(headers(&message, &to).is_err());
    }
}
