//! Attempts of one broker: each publishes its message and awaits the acknowledgement.
//!
//! Invariant: a message is sent twice by one attempt only when the first time nothing of it can have left.

use super::link::{Link, Live, Patience};
use super::message::Message;
use super::topics::{Destination, Topics};
use super::trouble::Trouble;
use crate::connector::{Call, Connector, Failure};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A kind of server.
#[async_trait]
pub(super) trait Transport: Send + Sync + 'static {
    /// A connection that stands.
    type Connection: Send + Sync + 'static;

    /// Connects and authenticates.
    async fn connect(&self) -> Result<Self::Connection, Failure>;

    /// Whether a connection can still be used, as far as its client knows.
    fn is_usable(&self, connection: &Self::Connection) -> bool;

    /// Asks the server for a word, and changes nothing.
    async fn probe(&self, connection: &Self::Connection) -> Result<(), Trouble>;

    /// After how long without an answer a connection is probed before it is used; `None`: its client watches it.
    fn fresh(&self) -> Option<Duration> {
        None
    }

    /// Publishes and awaits the acknowledgement: JSON text of the result. May be dropped at any await.
    async fn publish(
        &self,
        connection: &Self::Connection,
        message: &Message,
        to: &Destination,
    ) -> Result<String, Trouble>;

    /// Ends a connection in good order.
    async fn close(&self, connection: &Self::Connection);

    /// Ends a connection that is of no more use.
    fn abandon(&self, _connection: &Self::Connection) {}
}

/// A broker that can be published to.
pub(super) struct Publisher<T: Transport> {
    transport: T,
    topics: Topics,
    link: Link<T::Connection>,
    patience: Patience,
}

impl<T: Transport> Publisher<T> {
    pub(super) fn new(transport: T, topics: Topics, patience: Patience) -> Self {
        Self {
            transport,
            topics,
            link: Link::new(),
            patience,
        }
    }

    async fn connection(&self) -> Result<Arc<Live<T::Connection>>, Failure> {
        let late = || Failure::connection(format!("no connection within {} ms", self.patience.connect.as_millis()));
        let connect = || async {
            let connected = tokio::time::timeout(self.patience.connect, self.transport.connect()).await;
            connected.unwrap_or_else(|_| Err(late()))
        };
        let keep = |connection: &T::Connection, silent: bool| {
            let kept = !silent && self.transport.is_usable(connection);
            if !kept {
                self.transport.abandon(connection);
            }
            kept
        };
        self.link.get(keep, self.patience.silence, connect).await
    }

    async fn lose(&self, live: &Arc<Live<T::Connection>>) {
        self.transport.abandon(&live.connection);
        self.link.forget(live).await;
    }

    /// Over the connection there is.
    async fn try_once(&self, message: &Message, to: &Destination) -> Result<String, Trouble> {
        let live = self.connection().await.map_err(Trouble::Refused)?;
        let began = Instant::now();
        let idle = live.idle();
        live.ask();
        let exchange = async {
            if self.transport.fresh().is_some_and(|fresh| idle > fresh) {
                self.transport.probe(&live.connection).await?;
            }
            self.transport.publish(&live.connection, message, to).await
        };
        let Ok(answer) = tokio::time::timeout(self.patience.answer, exchange).await else {
            let ms = self.patience.answer.as_millis();
            let failure = Failure::timeout(format!(
                "the message was not acknowledged within {ms} ms; it may have arrived"
            ));
            // One message may be slow; a connection that gave no other answer either is lost.
            if !live.has_answered_since(began) {
                self.lose(&live).await;
            }
            return Err(Trouble::Broken(failure));
        };
        match &answer {
            Ok(_) | Err(Trouble::Refused(_)) => live.answered(),
            Err(Trouble::Unsent(_) | Trouble::Broken(_)) => self.lose(&live).await,
        }
        answer
    }

    async fn publish(&self, message: &Message, to: &Destination) -> Result<String, Failure> {
        let answer = match self.try_once(message, to).await {
            Err(Trouble::Unsent(_)) => self.try_once(message, to).await,
            answer => answer,
        };
        answer.map_err(Trouble::into_failure)
    }
}

#[async_trait]
impl<T: Transport> Connector for Publisher<T> {
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure> {
        let to = self.topics.find(call.event())?;
        let message = Message::read(call.input(), call.idempotency_key())?;
        let result = self.publish(&message, &to).await?;
        Ok(Some(result.into()))
    }

    async fn check(&self) -> Result<(), Failure> {
        let live = self.connection().await?;
        let answer = self.transport.probe(&live.connection).await;
        if answer.is_err() {
            self.lose(&live).await;
        }
        answer.map_err(Trouble::into_failure)
    }

    async fn close(&self) {
        if let Some(live) = self.link.take().await {
            self.transport.close(&live.connection).await;
        }
    }
}
