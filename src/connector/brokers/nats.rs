//! NATS: messages that a stream has stored (JetStream), and messages to whoever listens (core).
//!
//! The client would connect again by itself and send what it has kept; here it is led to an address that nobody listens
//! on once its first connection is lost, and ends. A stream acknowledges by itself. Nobody acknowledges a core message, so
//! that a question is sent after it on the same connection: whoever gets its answer knows that the server has taken what
//! came before. What the server says about rights it says beside all that, and is listened for.

use super::address::Server;
use super::link::Patience;
use super::message::Message;
use super::publisher::Transport;
use super::tls;
use super::topics::Destination;
use super::trouble::{Trouble, broken, unsent};
use crate::connector::Failure;
use async_nats::client::{PublishErrorKind, RequestErrorKind};
use async_nats::jetstream::context::{Context, ContextBuilder, PublishErrorKind as StoreErrorKind};
use async_nats::{
    Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, HeaderMap, ReconnectToServer, Request, ServerAddr,
    ServerError,
};
use async_trait::async_trait;
use serde_json::json;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Without a word for so long the server is asked for one; it is given up after three.
const PING: Duration = Duration::from_secs(5);
/// How long a word about missing rights may take from one task to another, once it is here.
const GRACE: Duration = Duration::from_millis(25);
/// Subjects of which it is known that they may be published to.
const KNOWN: usize = 1_000;
/// Nobody listens there.
const NOWHERE: &str = "nats://127.0.0.1:0";
/// By this header a stream knows a message that it has.
const ID: &str = "Nats-Msg-Id";
const CONTENT_TYPE: &str = "Content-Type";

/// A NATS server.
pub(super) struct Nats {
    server: Server,
    address: ServerAddr,
    nowhere: ServerAddr,
    tls: Option<rustls::ClientConfig>,
    patience: Patience,
}

/// A connection.
pub(super) struct Connection {
    client: Client,
    streams: Context,
    words: Arc<Words>,
}

/// What the server says beside answers.
#[derive(Default)]
struct Words {
    heard: Mutex<Heard>,
    changed: Notify,
}

#[derive(Default)]
struct Heard {
    /// What may not be done: the server's words.
    forbidden: HashSet<String>,
    /// Subjects that were published to without such words.
    allowed: HashSet<String>,
    ended: bool,
}

impl Words {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, event: &Event) {
        match event {
            Event::ServerError(ServerError::Other(text)) if text.to_lowercase().contains("permissions violation") => {
                let mut heard = self.heard();
                if heard.forbidden.len() < KNOWN {
                    heard.forbidden.insert(text.clone());
                }
            }
            Event::Disconnected | Event::Closed => self.heard().ended = true,
            _ => return,
        }
        self.changed.notify_waiters();
    }

    /// What was said against publishing to this subject, or against hearing of the answer.
    fn objection(&self, subject: &str) -> Option<Failure> {
        let heard = self.heard();
        let quoted = format!("\"{}\"", subject.to_lowercase());
        if heard.forbidden.iter().any(|text| text.to_lowercase().contains(&quoted)) {
            return Some(Failure::forbidden(format!("the user may not publish to '{subject}'")));
        }
        let inbox = heard
            .forbidden
            .iter()
            .any(|text| text.contains("_INBOX") || text.to_lowercase().contains("subscription"));
        inbox.then(|| {
            Failure::forbidden(
                "the user may not use the subjects that acknowledgements arrive on; allow it to publish and subscribe to `_INBOX.>`, or set `inboxPrefix`",
            )
        })
    }

    /// Ends when there is an objection.
    async fn objected(&self, subject: &str) -> Failure {
        loop {
            let changed = self.changed.notified();
            if let Some(failure) = self.objection(subject) {
                return failure;
            }
            changed.await;
        }
    }

    fn is_known(&self, subject: &str) -> bool {
        self.heard().allowed.contains(subject)
    }

    fn know(&self, subject: &str) {
        let mut heard = self.heard();
        if heard.allowed.len() >= KNOWN {
            heard.allowed.clear();
        }
        heard.allowed.insert(subject.to_owned());
    }
}

impl Nats {
    pub(super) fn new(server: Server, patience: Patience) -> Result<Self, Failure> {
        let scheme = if server.tls { "tls" } else { "nats" };
        let parse = |text: &str| {
            text.parse::<ServerAddr>()
                .map_err(|_| Failure::invalid("config.url: is no address of a NATS server"))
        };
        let tls = match &server.ca {
            Some(pem) => Some(tls::trusting(pem)?),
            None => None,
        };
        crate::tls::prepare();
        Ok(Self {
            address: parse(&format!("{scheme}://{server}"))?,
            nowhere: parse(NOWHERE)?,
            tls,
            patience,
            server,
        })
    }

    fn options(&self, words: &Arc<Words>) -> Result<ConnectOptions, Failure> {
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
        let heard = Arc::clone(words);
        let (address, nowhere) = (self.address.clone(), self.nowhere.clone());
        let used = AtomicBool::new(false);
        Ok(options
            .name("ductape")
            .connection_timeout(self.patience.connect)
            .ping_interval(PING)
            .request_timeout(None)
            .ignore_discovered_servers()
            .retain_servers_order()
            .max_reconnects(1)
            .reconnect_to_server_callback(move |_, _| {
                let addr = if used.swap(true, Ordering::Relaxed) {
                    &nowhere
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
                heard.hear(&event);
                std::future::ready(())
            }))
    }

    fn refusal(&self, error: &ConnectError) -> Failure {
        match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => self.server.unauthorized(),
            _ => {
                let text = plain(error);
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
fn plain(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn headers(message: &Message, to: &Destination) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ID, message.id.as_str());
    headers.insert(CONTENT_TYPE, message.content_type);
    for (name, value) in &to.headers {
        headers.insert(&**name, value.as_str());
    }
    headers
}

fn too_large(connection: &Connection, message: &Message) -> Trouble {
    let (size, most) = (message.body.len(), connection.client.max_payload());
    Trouble::Refused(Failure::invalid(format!(
        "the message has {size} bytes, and the server takes {most} with its headers"
    )))
}

fn no_subject(to: &Destination) -> Trouble {
    Trouble::Refused(Failure::invalid(format!("'{}' is no subject to publish to", to.name)))
}

async fn store(connection: &Connection, message: &Message, to: &Destination) -> Result<String, Trouble> {
    let trouble = |error: async_nats::jetstream::context::PublishError| match error.kind() {
        StoreErrorKind::StreamNotFound => Trouble::Refused(Failure::not_found(format!(
            "no stream stores the subject '{}'; make one, or set `jetstream: false`",
            to.name
        ))),
        StoreErrorKind::MaxPayloadExceeded => too_large(connection, message),
        StoreErrorKind::TimedOut => Trouble::Broken(Failure::timeout("the stream did not acknowledge the message")),
        StoreErrorKind::BrokenPipe => broken("it was closed"),
        StoreErrorKind::MaxAckPending => {
            Trouble::Refused(Failure::unavailable("too many messages await acknowledgement"))
        }
        StoreErrorKind::WrongLastMessageId | StoreErrorKind::WrongLastSequence => {
            Trouble::Refused(Failure::invalid(plain(&error)))
        }
        // The stream's own words: full, sealed, without a leader.
        StoreErrorKind::Other if connection.words.heard().ended => broken("it was closed"),
        StoreErrorKind::Other => Trouble::Refused(Failure::unavailable(plain(&error))),
    };
    let sent = connection
        .streams
        .publish_with_headers(to.name.to_string(), headers(message, to), message.body.clone().into())
        .await;
    let stored = sent.map_err(trouble)?.await.map_err(trouble)?;
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
async fn question(client: &Client) -> Result<(), String> {
    match client.send_request(client.new_inbox(), Request::new()).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
        Err(error) => Err(plain(&error)),
    }
}

async fn tell(connection: &Connection, message: &Message, to: &Destination) -> Result<String, Trouble> {
    let client = &connection.client;
    let sent = client
        .publish_with_headers(to.name.to_string(), headers(message, to), message.body.clone().into())
        .await;
    sent.map_err(|error| match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => too_large(connection, message),
        PublishErrorKind::InvalidSubject => no_subject(to),
        PublishErrorKind::Send => unsent("it was closed"),
    })?;
    question(client).await.map_err(broken)?;
    if !connection.words.is_known(&to.name) {
        // A word against the message came before that answer, and by another way.
        tokio::time::sleep(GRACE).await;
        if let Some(failure) = connection.words.objection(&to.name) {
            return Err(Trouble::Refused(failure));
        }
        connection.words.know(&to.name);
    }
    Ok(json!({ "message_id": message.id, "subject": to.name }).to_string())
}

/// Wildcards and gaps: the server would take offence at some, and nobody could listen to others.
fn is_subject(name: &str) -> bool {
    !name.contains(['*', '>']) && !name.contains(char::is_whitespace) && !name.split('.').any(str::is_empty)
}

#[async_trait]
impl Transport for Nats {
    type Connection = Connection;

    async fn connect(&self) -> Result<Self::Connection, Failure> {
        let words = Arc::<Words>::default();
        let servers = vec![self.address.clone(), self.nowhere.clone()];
        let connected = self.options(&words)?.connect(servers).await;
        let client = connected.map_err(|error| self.refusal(&error))?;
        let streams = ContextBuilder::new()
            .timeout(self.patience.answer)
            .build(client.clone());
        Ok(Connection { client, streams, words })
    }

    fn is_usable(&self, connection: &Self::Connection) -> bool {
        !connection.words.heard().ended
    }

    async fn probe(&self, connection: &Self::Connection) -> Result<(), Trouble> {
        tokio::select! {
            answer = question(&connection.client) => answer.map_err(unsent),
            failure = connection.words.objected("") => Err(Trouble::Refused(failure)),
        }
    }

    async fn publish(
        &self,
        connection: &Self::Connection,
        message: &Message,
        to: &Destination,
    ) -> Result<String, Trouble> {
        if !is_subject(&to.name) {
            return Err(no_subject(to));
        }
        let exchange = async {
            if to.options.jetstream.unwrap_or(false) {
                store(connection, message, to).await
            } else {
                tell(connection, message, to).await
            }
        };
        tokio::select! {
            answer = exchange => answer,
            failure = connection.words.objected(&to.name) => Err(Trouble::Refused(failure)),
        }
    }

    async fn close(&self, connection: &Self::Connection) {
        let _ = connection.client.flush().await;
    }

    fn abandon(&self, connection: &Self::Connection) {
        connection.words.heard().ended = true;
        // It is led nowhere, and what waits in it fails.
        let client = connection.client.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(GRACE, client.force_reconnect()).await;
        });
    }
}
