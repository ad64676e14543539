//! Attempts of one broker: each publishes its message and awaits the acknowledgement.
//!
//! Invariant: a message is sent twice by one attempt only when the first time nothing of it can have left.

use super::connector_error::ConnectorError;
use super::message::Message;
use super::shared_connection::{LiveConnection, SharedConnection, Timeouts};
use super::topics::{Destination, Topics};
use crate::connector::{Call, Connector, Failure};
use async_trait::async_trait;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A kind of server.
#[async_trait]
pub(super) trait Transport: Send + Sync + 'static {
    /// An open connection.
    type Connection: Send + Sync + 'static;

    /// Connects and authenticates.
    async fn connect(&self) -> Result<Self::Connection, Failure>;

    /// Whether messages may have keys.
    fn takes_keys(&self) -> bool {
        false
    }

    /// Most headers that a message may have, beside those that each has.
    fn most_headers(&self) -> usize {
        usize::MAX
    }

    /// Whether a connection can still be used, as far as its client knows.
    fn is_usable(&self, connection: &Self::Connection) -> bool;

    /// Sends a ping or its like, and waits for the response.
    async fn probe(&self, connection: &Self::Connection) -> Result<(), ConnectorError>;

    /// Idle time after which a connection is probed before use; `None`: the client library watches it itself.
    fn probe_after_idle(&self) -> Option<Duration> {
        None
    }

    /// Publishes and awaits the acknowledgement: JSON text of the result. May be dropped at any await.
    async fn publish(
        &self,
        connection: &Self::Connection,
        message: &Message,
        to: &Destination,
    ) -> Result<String, ConnectorError>;

    /// Closes a connection gracefully.
    async fn close(&self, connection: &Self::Connection);

    /// Drops a connection that has failed.
    fn abandon(&self, _connection: &Self::Connection) {}
}

/// A broker that can be published to.
pub(super) struct BrokerConnector<T: Transport> {
    transport: T,
    topics: Topics,
    shared_connection: SharedConnection<T::Connection>,
    timeouts: Timeouts,
}

impl<T: Transport> BrokerConnector<T> {
    pub(super) fn new(transport: T, topics: Topics, timeouts: Timeouts) -> Self {
        Self {
            transport,
            topics,
            shared_connection: SharedConnection::new(),
            timeouts,
        }
    }

    async fn connection(&self) -> Result<Arc<LiveConnection<T::Connection>>, Failure> {
        let late = || Failure::connection(format!("no connection within {} ms", self.timeouts.connect.as_millis()));
        let connect = || async {
            let connected = tokio::time::timeout(self.timeouts.connect, self.transport.connect()).await;
            connected.unwrap_or_else(|_| Err(late()))
        };
        let keep = |connection: &T::Connection, silent: bool| {
            let kept = !silent && self.transport.is_usable(connection);
            if !kept {
                self.transport.abandon(connection);
            }
            kept
        };
        self.shared_connection.get(keep, self.timeouts.silence, connect).await
    }

    async fn discard_connection(&self, live: &Arc<LiveConnection<T::Connection>>) {
        self.transport.abandon(&live.connection);
        self.shared_connection.discard(live).await;
    }

    /// Publishes on the shared connection.
    async fn try_once(&self, message: &Message, to: &Destination) -> Result<String, ConnectorError> {
        let live = self.connection().await.map_err(ConnectorError::Refused)?;
        let began = Instant::now();
        let idle = live.idle();
        live.record_request();
        let exchange = async {
            if self
                .transport
                .probe_after_idle()
                .is_some_and(|probe_after_idle| idle > probe_after_idle)
            {
                self.transport.probe(&live.connection).await?;
            }
            self.transport.publish(&live.connection, message, to).await
        };
        let Ok(answer) = tokio::time::timeout(self.timeouts.answer, exchange).await else {
            let ms = self.timeouts.answer.as_millis();
            let failure = Failure::timeout(format!(
                "the message was not acknowledged within {ms} ms; it may have arrived"
            ));
            // One message may be slow; a connection without any response since is taken for lost.
            if !live.has_answered_since(began) {
                self.discard_connection(&live).await;
            }
            return Err(ConnectorError::Broken(failure));
        };
        match &answer {
            Ok(_) | Err(ConnectorError::Refused(_)) => live.record_answer(),
            Err(ConnectorError::Unsent(_) | ConnectorError::Broken(_)) => self.discard_connection(&live).await,
        }
        answer
    }

    async fn publish(&self, message: &Message, to: &Destination) -> Result<String, Failure> {
        let answer = match self.try_once(message, to).await {
            Err(ConnectorError::Unsent(_)) => self.try_once(message, to).await,
            answer => answer,
        };
        answer.map_err(ConnectorError::into_failure)
    }
}

/// The same with the headers of a trace, unless the topic has one of them itself or there would be too many.
fn to_with_trace<'a>(
    to: Cow<'a, Destination>,
    trace: &[(Box<str>, Box<str>)],
    most_headers: usize,
) -> Cow<'a, Destination> {
    let is_given = |name: &str| to.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let are_too_many = to.headers.len() + trace.len() > most_headers;
    if trace.is_empty() || are_too_many || trace.iter().any(|(name, _)| is_given(name)) {
        return to;
    }
    let mut to = to.into_owned();
    let headers = trace.iter().map(|(name, value)| (name.clone(), value.to_string()));
    to.headers.extend(headers);
    Cow::Owned(to)
}

#[async_trait]
impl<T: Transport> Connector for BrokerConnector<T> {
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure> {
        let to = self.topics.find(call.event())?;
        let message = Message::read(call.input(), call.idempotency_key())?;
        if message.key.is_some() && !self.transport.takes_keys() {
            return Err(Failure::invalid(
                "input.key: is not known; this type of broker has no keys",
            ));
        }
        let to = to_with_trace(to, call.attempt.trace.headers(), self.transport.most_headers());
        let result = self.publish(&message, &to).await?;
        Ok(Some(result.into()))
    }

    async fn check(&self) -> Result<(), Failure> {
        let live = self.connection().await?;
        let answer = self.transport.probe(&live.connection).await;
        if let Err(ConnectorError::Unsent(_) | ConnectorError::Broken(_)) = &answer {
            self.discard_connection(&live).await;
        }
        answer.map_err(ConnectorError::into_failure)
    }

    async fn close(&self) {
        if let Some(live) = self.shared_connection.take().await {
            self.transport.close(&live.connection).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_a_trace_go_with_a_message_unless_the_topic_has_them_or_there_is_no_room() {
        let trace: [(Box<str>, Box<str>); 2] = [("traceparent".into(), "p".into()), ("tracestate".into(), "s".into())];
        let sent = |own: &[&str], most| {
            let to = Destination {
                name: "n".into(),
                headers: own.iter().map(|name| ((*name).into(), String::new())).collect(),
                options: crate::resources::TopicOptions::default(),
            };
            let sent = to_with_trace(Cow::Borrowed(&to), &trace, most);
            sent.headers
                .iter()
                .map(|(name, _)| name.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(sent(&["a"], 3), ["a", "traceparent", "tracestate"]);
        assert_eq!(sent(&["a"], 2), ["a"]);
        assert_eq!(sent(&["TraceState"], 8), ["TraceState"]);
    }
}
