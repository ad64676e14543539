//! Events: messages to brokers, each with its acknowledgement.
//!
//! One module for each kind of server, and around them what all have in common: which topic an event is ([`topics`]), what
//! is sent ([`message`]), and the one connection that all attempts share ([`shared_connection`]). Invariants: a message is sent by the
//! attempt that wants it or not at all, since no client here keeps messages for a connection that is to come; an attempt
//! succeeds only after the server has said that it has the message; what is sent is the job's `message`, byte for byte.
#![cfg_attr(
    not(any(feature = "rabbitmq", feature = "redis", feature = "nats", feature = "mqtt")),
    allow(
        dead_code,
        unused_variables,
        reason = "a build without any still knows which jobs would be theirs, and others do not need all that these share"
    )
)]

mod address;
mod connector;
mod connector_error;
mod message;
mod shared_connection;
mod topics;

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "mqtt")]
mod mqtt;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "nats")]
mod nats_notices;
#[cfg(feature = "nats")]
mod nats_refusals;
#[cfg(feature = "pubsub")]
mod pubsub;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "pubsub", feature = "service-bus"))]
mod rest;
#[cfg(feature = "service-bus")]
mod service_bus;
#[cfg(feature = "sqs")]
mod sqs;
#[cfg(any(feature = "sqs", feature = "pubsub", feature = "service-bus"))]
mod stateless;
// They compare all kinds.
#[cfg(all(
    test,
    feature = "rabbitmq",
    feature = "redis",
    feature = "nats",
    feature = "mqtt",
    feature = "kafka"
))]
mod tests;
#[cfg(any(
    feature = "rabbitmq",
    feature = "nats",
    feature = "mqtt",
    feature = "redis",
    feature = "kafka"
))]
mod tls;

#[cfg(all(fuzzing, feature = "kafka"))]
pub use kafka::fuzzing;

use super::{Connector, Definition, Failure, LeftToHandlers, ResourceName, ServedTarget};
use crate::engine::inputs::ExpressionResolver;
use crate::engine::routing::Pattern;
use crate::model::{Namespace, Route};
use crate::resources::{Broker, BrokerEnv, BrokerKind, CloudBroker, OutboundRules, Resources};
use async_trait::async_trait;
use connector::{BrokerConnector, Transport};
use shared_connection::Timeouts;
#[cfg(any(feature = "sqs", feature = "pubsub", feature = "service-bus"))]
use stateless::Stateless;
use std::sync::Arc;
use topics::Topics;

/// One definition for each such resource and environment in `resources`.
pub(super) fn definitions(resources: &Resources, outbound: &OutboundRules) -> Vec<Arc<dyn Definition>> {
    let mut all: Vec<Arc<dyn Definition>> = Vec::new();
    for (product, broker) in resources.brokers.iter() {
        for env in &broker.envs {
            all.push(Arc::new(BrokerDefinition {
                product: product.into(),
                broker: Arc::clone(broker),
                env: env.clone(),
                timeouts: Timeouts::default(),
                outbound: outbound.clone(),
            }));
        }
    }
    all
}

/// One broker in one environment.
struct BrokerDefinition {
    product: Box<str>,
    broker: Arc<Broker>,
    env: BrokerEnv,
    timeouts: Timeouts,
    /// Where requests of HTTP may go.
    outbound: OutboundRules,
}

impl BrokerDefinition {
    fn pattern(&self, event: Option<Box<str>>) -> Pattern {
        Pattern {
            namespace: Namespace::Events,
            product: Some(self.product.clone()),
            env: Some(self.env.slug.clone()),
            target: vec![Some(self.broker.tag.clone()), event],
        }
    }

    #[cfg_attr(
        not(any(feature = "sqs", feature = "pubsub", feature = "service-bus")),
        allow(unused_variables, reason = "a build without these has no connector for them")
    )]
    async fn open_cloud(
        &self,
        cloud: &CloudBroker,
        topics: Topics,
        expressions: &ExpressionResolver,
    ) -> Result<Arc<dyn Connector>, Failure> {
        let authorities = address::reveal_ca(&self.env.config, expressions).await?;
        let (outbound, timeouts) = (self.outbound.clone(), self.timeouts);
        match cloud {
            #[cfg(feature = "sqs")]
            CloudBroker::Sqs(config) => {
                let sqs = sqs::Sqs::reveal(config, authorities, outbound, timeouts, expressions).await?;
                Ok(self.connector(Stateless(sqs), topics))
            }
            #[cfg(feature = "pubsub")]
            CloudBroker::PubSub(config) => {
                let variable = |name: &str| std::env::var(name).ok();
                let pubsub =
                    pubsub::PubSub::reveal(config, authorities, outbound, timeouts, expressions, variable).await?;
                Ok(self.connector(Stateless(pubsub), topics))
            }
            #[cfg(feature = "service-bus")]
            CloudBroker::ServiceBus(config) => {
                let bus = service_bus::ServiceBus::reveal(config, authorities, outbound, timeouts, expressions).await?;
                Ok(self.connector(Stateless(bus), topics))
            }
            #[allow(unreachable_patterns, reason = "a build without some has no connector for them")]
            _ => Err(Failure::not_built_in("events", self.env.kind.name())),
        }
    }

    fn connector<T: Transport>(&self, transport: T, topics: Topics) -> Arc<dyn Connector> {
        Arc::new(BrokerConnector::new(transport, topics, self.timeouts))
    }
}

/// The value of `messaging.system`.
fn system_name(kind: BrokerKind) -> &'static str {
    match kind {
        BrokerKind::RabbitMq => "rabbitmq",
        BrokerKind::Redis => "redis",
        BrokerKind::Nats => "nats",
        BrokerKind::Mqtt => "mqtt",
        BrokerKind::Kafka => "kafka",
        BrokerKind::AwsSqs => "aws_sqs",
        BrokerKind::GooglePubSub => "gcp_pubsub",
        BrokerKind::AzureServiceBus => "servicebus",
    }
}

#[async_trait]
impl Definition for BrokerDefinition {
    fn name(&self) -> ResourceName {
        ResourceName {
            product: self.product.clone(),
            kind: "broker",
            tag: self.broker.tag.clone(),
            env: self.env.slug.clone(),
        }
    }

    fn targets(&self) -> Vec<ServedTarget> {
        if !self.env.kind.is_built_in() {
            return Vec::new();
        }
        let target = |event| ServedTarget {
            pattern: self.pattern(event),
            timeout: None,
        };
        let Some(topics) = &self.broker.topics else {
            return vec![target(None)];
        };
        let names = topics.iter().flat_map(|topic| {
            let local = topics::local_event(&self.broker.tag, &topic.tag);
            [local.into(), topics::qualified_event(&self.broker.tag, local)]
        });
        names.map(|name| target(Some(name))).collect()
    }

    fn left_to_handlers(&self) -> Vec<LeftToHandlers> {
        if self.env.kind.is_built_in() {
            return Vec::new();
        }
        vec![LeftToHandlers {
            pattern: self.pattern(None),
            type_name: self.env.kind.name(),
        }]
    }

    fn span_attributes(&self, route: &Route) -> Vec<(&'static str, Box<str>)> {
        let topic = route.target.last();
        let topic = topic.map(|event| topics::local_event(&self.broker.tag, event).into());
        let system = [("messaging.system", system_name(self.env.kind).into())].into_iter();
        system
            .chain(topic.map(|topic| ("messaging.destination.name", topic)))
            .collect()
    }

    async fn open(&self, expressions: &ExpressionResolver) -> Result<Arc<dyn Connector>, Failure> {
        let env = &self.env;
        if !env.kind.is_built_in() {
            return Err(Failure::not_built_in("events", env.kind.name()));
        }
        let topics = Topics::reveal(&self.broker, env, expressions).await?;
        if let Some(cloud) = &env.config.cloud {
            return self.open_cloud(cloud, topics, expressions).await;
        }
        let server = address::BrokerAddress::reveal(env, expressions).await?;
        match env.kind {
            #[cfg(feature = "rabbitmq")]
            BrokerKind::RabbitMq => Ok(self.connector(rabbitmq::RabbitMq::new(server, self.timeouts)?, topics)),
            #[cfg(feature = "redis")]
            BrokerKind::Redis => Ok(self.connector(redis::Redis::new(server, self.timeouts)?, topics)),
            #[cfg(feature = "nats")]
            BrokerKind::Nats => Ok(self.connector(nats::Nats::new(server, &env.config, self.timeouts)?, topics)),
            #[cfg(feature = "mqtt")]
            BrokerKind::Mqtt => Ok(self.connector(mqtt::Mqtt::new(server, self.timeouts)?, topics)),
            #[cfg(feature = "kafka")]
            BrokerKind::Kafka => Ok(self.connector(kafka::Kafka::new(server, &env.config, self.timeouts)?, topics)),
            kind => Err(Failure::not_built_in("events", kind.name())),
        }
    }
}
