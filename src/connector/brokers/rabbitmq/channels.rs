//! Channels of a connection, each with one message at a time, and the wait for what the server says of it.

use super::super::connector_error::{ConnectorError, unsent};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, ConnectionStatus, ErrorKind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Messages on their way at once over one connection; more attempts wait.
const MAX_IN_FLIGHT: usize = 256;
/// How often what waits for the client looks whether the connection is still there.
pub(super) const STATUS_INTERVAL: Duration = Duration::from_millis(50);
/// Channels that nothing is on its way on.
pub(super) struct Channels {
    idle: Mutex<Vec<Channel>>,
    slots: Arc<Semaphore>,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            idle: Mutex::default(),
            slots: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
        }
    }
}

/// The server's or the system's words.
pub(super) fn error_text(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::IOError(cause) => cause.to_string(),
        ErrorKind::ProtocolError(said) => said.get_message().to_string(),
        _ => error.to_string(),
    }
}

/// Waits for the client, but no longer than the connection lasts. The client forgets an operation that begins just as its
/// connection breaks: its future would never be ready.
pub(super) async fn while_connected<T>(
    status: &ConnectionStatus,
    operation: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Interruption> {
    let mut operation = pin!(operation);
    let mut lost = false;
    loop {
        match tokio::time::timeout(STATUS_INTERVAL, &mut operation).await {
            Ok(answer) => return answer.map_err(Interruption::Error),
            // The client says why when it has noticed; it had the time of one interval for it.
            Err(_) if lost => return Err(Interruption::Lost),
            Err(_) => lost = !status.connected(),
        }
    }
}

/// Why an operation of the client did not succeed.
pub(super) enum Interruption {
    Error(lapin::Error),
    /// The connection ended, and the client said nothing.
    Lost,
}

impl Interruption {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Error(error) => error_text(error),
            Self::Lost => "the connection was lost".to_owned(),
        }
    }
}

impl Channels {
    /// A channel that is this message's alone, and its slot.
    pub(super) async fn take(
        &self,
        client: &lapin::Connection,
    ) -> Result<(Channel, OwnedSemaphorePermit), ConnectorError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(unsent)?;
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some(channel) if channel.status().connected() => return Ok((channel, slot)),
                // The server closed it meanwhile.
                Some(_) => {}
                None => break,
            }
        }
        let opening = async {
            let channel = client.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(channel)
        };
        let opened = while_connected(client.status(), opening).await;
        let channel = opened.map_err(|why| unsent(why.text()))?;
        Ok((channel, slot))
    }

    fn give_back(&self, channel: Channel) {
        if channel.status().connected() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
        }
    }
}

/// What publishing came to.
pub(super) type PublishOutcome = Result<Confirmation, (Interruption, bool)>;

/// Publishes and waits for the confirmation, also when nobody waits for it any more: until then the channel is not free,
/// and the slot is taken.
pub(super) async fn publish(
    status: ConnectionStatus,
    channels: Arc<Channels>,
    channel: Channel,
    slot: OwnedSemaphorePermit,
    to: (Box<str>, Box<str>, bool),
    body: Vec<u8>,
    properties: BasicProperties,
) -> PublishOutcome {
    let (exchange, key, mandatory) = to;
    let options = BasicPublishOptions {
        mandatory,
        ..BasicPublishOptions::default()
    };
    let mut may_be_sent = channel.status().connected();
    let exchange = async {
        let confirmation = channel
            .basic_publish((&*exchange).into(), (&*key).into(), options, &body, properties)
            .await?;
        may_be_sent = true;
        confirmation.await
    };
    let answer = while_connected(&status, exchange).await;
    let answer = answer.map_err(|why| (why, may_be_sent));
    if answer.is_ok() {
        channels.give_back(channel);
    }
    drop(slot);
    answer
}
