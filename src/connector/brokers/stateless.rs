//! Brokers without a connection: each request stands for itself.

use super::connector::Transport;
use super::connector_error::ConnectorError;
use super::message::Message;
use super::topics::Destination;
use crate::connector::Failure;
use async_trait::async_trait;

/// A broker that is asked by HTTP. All of them have keys.
#[async_trait]
pub(super) trait Requests: Send + Sync + 'static {
    /// Asks for something that changes nothing.
    async fn probe(&self) -> Result<(), Failure>;

    /// Publishes: JSON text of the result. May be dropped at any await.
    async fn publish(&self, message: &Message, to: &Destination) -> Result<String, Failure>;

    /// Most headers that a message may have, beside those that each has.
    fn most_headers(&self) -> usize {
        usize::MAX
    }

    /// Ends what still waits.
    fn close(&self) {}
}

/// Publishes by such requests.
pub(super) struct Stateless<R>(pub(super) R);

#[async_trait]
impl<R: Requests> Transport for Stateless<R> {
    type Connection = ();

    async fn connect(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn takes_keys(&self) -> bool {
        true
    }

    fn most_headers(&self) -> usize {
        self.0.most_headers()
    }

    fn is_usable(&self, (): &()) -> bool {
        true
    }

    async fn probe(&self, (): &()) -> Result<(), ConnectorError> {
        self.0.probe().await.map_err(ConnectorError::Refused)
    }

    async fn publish(&self, (): &(), message: &Message, to: &Destination) -> Result<String, ConnectorError> {
        self.0.publish(message, to).await.map_err(ConnectorError::Refused)
    }

    async fn close(&self, (): &()) {
        self.0.close();
    }
}
