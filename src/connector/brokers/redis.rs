//! Redis and what speaks like it: messages are appended to streams (`XADD`) or told to channels (`PUBLISH`).
//!
//! The client sends what it is given and keeps nothing for another connection: one that has broken fails every request at
//! once. It tells only the next request that it has broken, so that a connection that was idle is asked before it is used.

use super::address::BrokerAddress;
use super::connector::Transport;
use super::connector_error::{ConnectorError, broken, unsent};
use super::message::Message;
use super::shared_connection::Timeouts;
use super::tls;
use super::topics::Destination;
use crate::connector::Failure;
use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    ServerErrorKind, TlsCertificates,
};
use serde_json::json;
use std::time::Duration;

use crate::resources::RedisTarget;

/// A connection that has answered within this time is used without asking.
const PROBE_AFTER_IDLE: Duration = Duration::from_secs(1);
/// Fields of a stream's entry that are the message's; headers stand beside them.
const BODY_FIELD: &str = "message";
const MESSAGE_ID_FIELD: &str = "message_id";
const CONTENT_TYPE_FIELD: &str = "content_type";

/// A Redis server.
pub(super) struct Redis {
    client: Client,
    config: AsyncConnectionConfig,
    server: BrokerAddress,
}

impl Redis {
    pub(super) fn new(server: BrokerAddress, timeouts: Timeouts) -> Result<Self, Failure> {
        let database = match server.path.as_deref() {
            None | Some("") => 0,
            Some(number) => number.parse().map_err(|_| {
                Failure::invalid("config.url: what follows the host must be the number of a database, as in /0")
            })?,
        };
        let mut login = RedisConnectionInfo::default()
            .set_db(database)
            .set_lib_name("ductape", env!("CARGO_PKG_VERSION"));
        if let Some(username) = &server.username {
            login = login.set_username(username);
        }
        if let Some(password) = &server.password {
            login = login.set_password(password);
        }
        let address = if server.tls {
            crate::tls::install_crypto_provider();
            ConnectionAddr::TcpTls {
                host: server.host.clone(),
                port: server.port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(server.host.clone(), server.port)
        };
        let unusable = |error: RedisError| Failure::invalid(format!("config: cannot be used: {}", error_text(&error)));
        let info = address
            .into_connection_info()
            .map_err(unusable)?
            .set_redis_settings(login);
        let client = match &server.ca {
            Some(pem) if server.tls => {
                // Says better than the client what is wrong with it.
                tls::client_config_for_ca(pem)?;
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem.clone().into_bytes()),
                };
                Client::build_with_tls(info, certificates)
            }
            _ => Client::open(info),
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeouts.connect))
            // The attempt's own bound, so that a request that nobody waits for is not forgotten by the client.
            .set_response_timeout(None);
        Ok(Self {
            client: client.map_err(unusable)?,
            config,
            server,
        })
    }

    /// What is wrong when a connection cannot be made.
    fn connect_failure(&self, error: &RedisError) -> Failure {
        let server = &self.server;
        match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => server.unauthorized(),
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) => {
                Failure::forbidden(format!("{server}: {}", error_text(error)))
            }
            (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => {
                Failure::unavailable(format!("{server}: it is loading its data"))
            }
            (ErrorKind::Server(ServerErrorKind::ResponseError), _) => {
                Failure::invalid(format!("{server}: {}", error_text(error)))
            }
            _ => server.unreachable(error_text(error)),
        }
    }
}

/// The server's or the system's words; neither repeats a request.
fn error_text(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        _ => error.to_string(),
    }
}

/// The answer that the user lacks the right is one.
fn unless_forbidden(error: RedisError) -> Result<String, RedisError> {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::NoPerm) => Ok(String::new()),
        _ => Err(error),
    }
}

/// What an error of a request means.
fn connector_error(error: &RedisError) -> ConnectorError {
    let text = error_text(error);
    if error.is_unrecoverable_error() || error.is_io_error() || error.is_connection_dropped() || error.is_timeout() {
        return broken(text);
    }
    ConnectorError::Refused(match (error.kind(), error.code()) {
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) => Failure::forbidden(text),
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH")) => Failure::unauthorized(text),
        // A server that was the first one before a failover: another connection may lead to the one that is it now.
        (_, Some("READONLY" | "MASTERDOWN")) => return ConnectorError::Broken(Failure::unavailable(text)),
        (_, Some("MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN")) => Failure::invalid(format!(
            "the server is one of a cluster, which is not supported: {text}; use a server by itself, or a handler"
        )),
        // The key of the stream holds something else.
        (_, Some("WRONGTYPE")) => Failure::invalid(text),
        (ErrorKind::Server(ServerErrorKind::ResponseError), _) => Failure::invalid(text),
        (ErrorKind::Parse | ErrorKind::UnexpectedReturnType, _) => {
            return ConnectorError::Broken(Failure::connection("the server's answer is none of Redis"));
        }
        // Full (OOM), read-only, failing over, loading: passes.
        (ErrorKind::Server(_) | ErrorKind::Extension, _) => Failure::unavailable(text),
        _ => Failure::connection(text),
    })
}

#[async_trait]
impl Transport for Redis {
    type Connection = MultiplexedConnection;

    async fn connect(&self) -> Result<Self::Connection, Failure> {
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&self.config)
            .await;
        let mut connection = connection.map_err(|error| self.connect_failure(&error))?;
        // Without a password a server that wants one lets us connect, and says so now.
        let pong = redis::cmd("PING").query_async::<String>(&mut connection).await;
        // A user may publish and not do this; the server answers all the same.
        if let Err(error) = pong.or_else(unless_forbidden) {
            return Err(self.connect_failure(&error));
        }
        let name = redis::cmd("CLIENT").arg("SETNAME").arg("ductape").take();
        // A name is for people; a user may lack the right to give one.
        let _ = name.query_async::<()>(&mut connection).await;
        Ok(connection)
    }

    fn is_usable(&self, _: &Self::Connection) -> bool {
        true
    }

    async fn probe(&self, connection: &Self::Connection) -> Result<(), ConnectorError> {
        let mut connection = connection.clone();
        let pong = redis::cmd("PING").query_async::<String>(&mut connection).await;
        let answer = pong.or_else(unless_forbidden);
        answer.map(|_| ()).map_err(|error| unsent(error_text(&error)))
    }

    fn probe_after_idle(&self) -> Option<Duration> {
        Some(PROBE_AFTER_IDLE)
    }

    async fn publish(
        &self,
        connection: &Self::Connection,
        message: &Message,
        to: &Destination,
    ) -> Result<String, ConnectorError> {
        let mut connection = connection.clone();
        if let Some(RedisTarget::Channel(channel)) = &to.options.redis {
            let channel = channel.as_ref().unwrap_or(&to.name);
            let publish = redis::cmd("PUBLISH").arg(&**channel).arg(&message.body).take();
            let receivers: i64 = publish
                .query_async(&mut connection)
                .await
                .map_err(|error| connector_error(&error))?;
            let result = json!({ "message_id": message.id, "channel": channel, "receivers": receivers });
            return Ok(result.to_string());
        }
        let stream = match &to.options.redis {
            Some(RedisTarget::Stream(Some(stream))) => stream,
            _ => &to.name,
        };
        let id: String = append_command(stream, message, to)
            .query_async(&mut connection)
            .await
            .map_err(|error| connector_error(&error))?;
        Ok(json!({ "message_id": message.id, "stream": stream, "id": id }).to_string())
    }

    async fn close(&self, _: &Self::Connection) {
        // It ends with its last clone.
    }
}

fn append_command(stream: &str, message: &Message, to: &Destination) -> Cmd {
    let mut append_command = redis::cmd("XADD");
    append_command.arg(stream);
    if let Some(most) = to.options.maxlen {
        // About so many: exact trimming costs the server far more.
        append_command.arg("MAXLEN").arg("~").arg(most);
    }
    append_command.arg("*");
    append_command.arg(BODY_FIELD).arg(&message.body);
    append_command.arg(MESSAGE_ID_FIELD).arg(&message.id);
    append_command.arg(CONTENT_TYPE_FIELD).arg(message.content_type);
    for (name, value) in &to.headers {
        append_command.arg(&**name).arg(value);
    }
    append_command
}
