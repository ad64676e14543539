//! Kafka: records that all replicas in sync have stored.
//!
//! A client of our own: those that there are try again by themselves for as long as they like, also a message that nobody
//! waits for any more, and without the numbers by which a server recognises what it has. Attempts that publish at the same time share
//! requests ([`node`]); which server leads a partition, and what happens when another does, is the business of [`cluster`].
//! Invariant: a message is stored by all replicas in sync before its attempt succeeds.

mod batch;
mod bytes;
mod cluster;
mod connection;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
mod node;
mod producer;
mod protocol;
mod scram;
mod settings;

use super::address::BrokerAddress;
use super::connector::Transport;
use super::connector_error::ConnectorError;
use super::message::Message;
use super::shared_connection::Timeouts;
use super::tls;
use super::topics::Destination;
use crate::connector::Failure;
use crate::resources::BrokerConfig;
use crate::tls::CertificateCheck;
use async_trait::async_trait;
use batch::Record;
use cluster::Cluster;
use serde_json::json;
use settings::{Address, Login, Mechanism, Settings};
use std::sync::Arc;

/// By this header consumers recognise a message that they have.
const MESSAGE_ID_HEADER: &str = "message_id";
const CONTENT_TYPE_HEADER: &str = "content_type";
/// What the client calls itself, unless told otherwise.
const CLIENT_ID: &str = "ductape";

/// A Kafka cluster.
pub(super) struct Kafka {
    settings: Arc<Settings>,
}

impl Kafka {
    pub(super) fn new(server: BrokerAddress, config: &BrokerConfig, timeouts: Timeouts) -> Result<Self, Failure> {
        let tls = match (server.tls, &server.ca) {
            (false, _) => None,
            (true, Some(pem)) => Some(tls::client_config_for_ca(pem)?),
            (true, None) => {
                let system = crate::tls::client_config(CertificateCheck::AuthorityAndName, None);
                Some(system.map_err(|why| Failure::invalid(format!("config.ssl: {why}")))?)
            }
        };
        let login = match (server.username, server.password) {
            (None, None) => None,
            (username, password) => Some(Login {
                mechanism: config.sasl.unwrap_or(Mechanism::Plain),
                username: username.unwrap_or_default(),
                password: password.unwrap_or_default(),
            }),
        };
        let address = |(host, port): (String, u16)| Address {
            host: host.into(),
            port,
        };
        let servers = [(server.host, server.port)].into_iter().chain(server.others);
        Ok(Self {
            settings: Arc::new(Settings {
                servers: servers.map(address).collect(),
                tls: tls.map(Arc::new),
                login,
                client_id: config.client_id.as_deref().unwrap_or(CLIENT_ID).into(),
                timeouts,
            }),
        })
    }
}

fn record(message: &Message, to: &Destination) -> Record {
    let own = [
        (MESSAGE_ID_HEADER, message.id.as_str()),
        (CONTENT_TYPE_HEADER, message.content_type),
    ];
    let own = own.map(|(name, value)| (Box::from(name), value.as_bytes().to_vec()));
    let given = to
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.as_bytes().to_vec()));
    Record {
        key: message.key.as_ref().map(|key| key.as_bytes().to_vec()),
        value: (!message.is_null()).then(|| message.body.clone()),
        headers: own.into_iter().chain(given).collect(),
    }
}

/// Whether a topic can have this name.
fn is_topic(name: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && name.bytes().all(is_known) && name != "." && name != ".."
}

#[async_trait]
impl Transport for Kafka {
    type Connection = Cluster;

    async fn connect(&self) -> Result<Self::Connection, Failure> {
        Cluster::connect(Arc::clone(&self.settings)).await
    }

    fn takes_keys(&self) -> bool {
        true
    }

    fn is_usable(&self, _: &Self::Connection) -> bool {
        true
    }

    async fn probe(&self, cluster: &Self::Connection) -> Result<(), ConnectorError> {
        cluster.probe().await.map_err(ConnectorError::Unsent)
    }

    async fn publish(
        &self,
        cluster: &Self::Connection,
        message: &Message,
        to: &Destination,
    ) -> Result<String, ConnectorError> {
        if !is_topic(&to.name) {
            return Err(ConnectorError::Refused(Failure::invalid(format!(
                "'{}' is no name of a topic; use at most 249 letters, digits and '.', '_', '-'",
                to.name
            ))));
        }
        // What becomes of a server's connection is settled there; those to the others stay.
        let place = cluster
            .publish(&to.name, &record(message, to))
            .await
            .map_err(ConnectorError::Refused)?;
        let result = json!({
            "message_id": message.id,
            "topic": to.name,
            "partition": place.partition,
            "offset": place.offset,
        });
        Ok(result.to_string())
    }

    async fn close(&self, _: &Self::Connection) {
        // Its connections end with it.
    }

    fn abandon(&self, cluster: &Self::Connection) {
        cluster.abandon();
    }
}
