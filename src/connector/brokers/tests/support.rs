//! Publishing as the engine does it, and listeners to what arrives.

use super::super::shared_connection::Timeouts;
use super::super::{BrokerDefinition, Definition};
use crate::connector::{Call, Connector, Failure, Limits, test_support};
use crate::engine::inputs::ExpressionResolver;
use crate::engine::spans::Carried;
use crate::engine::steps::Steps;
use crate::model::{JobId, Namespace};
use crate::resources::{Broker, BrokerConfig, BrokerEnv, BrokerKind, OutboundRules, Text, Topic, TopicOptions};
use crate::store::Store;
use crate::store::sqlite::SqliteStore;
use crate::testing::proxy::Proxy;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Short enough for tests, long enough for a busy machine.
pub(super) const SHORT_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_millis(1_500),
    answer: Duration::from_secs(3),
    silence: Duration::from_millis(500),
};

/// The address in an environment variable; else the test is reported as skipped.
pub(super) fn address(kind: BrokerKind, test: &str) -> Option<String> {
    crate::testing::skipped::address(&format!("DUCTAPE_TEST_{}", kind.name()), test)
}

/// `host:port` of an address.
pub(super) fn host_and_port(url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())
}

/// The same address at another port of this machine.
pub(super) fn at_port(url: &str, port: u16) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(port)).unwrap();
    url.to_string()
}

/// A name that no other test and no other run has.
pub(super) fn unique() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("ductape_test_{}_{number}", std::process::id())
}

pub(super) fn config(url: &str, defaults: TopicOptions) -> BrokerConfig {
    BrokerConfig {
        url: Text::from(url),
        defaults,
        ..BrokerConfig::default()
    }
}

pub(super) fn topic(tag: &str, options: TopicOptions) -> Topic {
    Topic {
        tag: tag.into(),
        name: None,
        queue_urls: Vec::new(),
        headers: Vec::new(),
        options,
    }
}

pub(super) async fn open(
    kind: BrokerKind,
    config: BrokerConfig,
    topics: Option<Vec<Topic>>,
) -> Result<Arc<dyn Connector>, Failure> {
    let env = BrokerEnv {
        slug: "e".into(),
        kind,
        config,
    };
    let broker = Broker {
        tag: "b".into(),
        envs: vec![env],
        topics,
    };
    let definition = BrokerDefinition {
        product: "p".into(),
        env: broker.envs[0].clone(),
        broker: Arc::new(broker),
        timeouts: SHORT_TIMEOUTS,
        outbound: OutboundRules::default(),
    };
    definition.open(&ExpressionResolver::default()).await
}

/// A broker without topics.
pub(super) async fn plain(kind: BrokerKind, url: &str, defaults: TopicOptions) -> Arc<dyn Connector> {
    open(kind, config(url, defaults), None).await.unwrap()
}

/// One attempt of a job with this message; its result.
pub(super) async fn publish_as(
    connector: &Arc<dyn Connector>,
    event: &str,
    message: &str,
    id: JobId,
) -> Result<serde_json::Value, Failure> {
    publish_traced(connector, event, message, (id, &[])).await
}

/// The same with headers of a trace.
pub(super) async fn publish_traced(
    connector: &Arc<dyn Connector>,
    event: &str,
    message: &str,
    (id, headers): (JobId, &[(&str, &str)]),
) -> Result<serde_json::Value, Failure> {
    let input = format!("{{\"message\":{message}}}");
    let attempt = test_support::attempt(Namespace::Events, ["b", event], (id, 1), &input);
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    attempt.trace.set_carried(Carried {
        trace: None,
        headers: headers.collect(),
    });
    let store: Weak<dyn Store> = Weak::<SqliteStore>::new();
    let steps = Steps::new(store, &attempt);
    let (expressions, limits) = (ExpressionResolver::default(), Limits::default());
    let call = Call {
        attempt: &attempt,
        expressions: &expressions,
        steps: &steps,
        limits: &limits,
    };
    let result = connector.run(&call).await?;
    Ok(serde_json::from_str(&result.unwrap()).unwrap())
}

/// One attempt of a job of its own.
pub(super) async fn publish(
    connector: &Arc<dyn Connector>,
    event: &str,
    message: &str,
) -> Result<serde_json::Value, Failure> {
    publish_as(connector, event, message, JobId::generate()).await
}

/// What arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) body: Vec<u8>,
    pub(super) id: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
    /// What else its server says of it: persistent, retained, quality of service.
    pub(super) flags: Vec<String>,
}

/// Hears what is published under one name, from when it was made.
#[async_trait]
pub(super) trait Listener: Send {
    /// The next message, if one comes in time.
    async fn next(&mut self, wait: Duration) -> Option<Received>;

    /// Takes away what the test has left at the server.
    async fn remove(self: Box<Self>);
}

/// A way to publish, for what all have in common.
#[async_trait]
pub(super) trait PublishMode: Send + Sync {
    fn kind(&self) -> BrokerKind;

    /// How messages are published.
    fn options(&self) -> TopicOptions;

    async fn listen(&self, url: &str, name: &str) -> Box<dyn Listener>;

    /// A network between clients and the server.
    async fn proxy(&self, url: &str) -> Proxy {
        Proxy::to(&host_and_port(url)).await
    }
}

/// All that has arrived, and comes within a little while.
pub(super) async fn receive_all(listener: &mut Box<dyn Listener>, most: usize) -> Vec<Received> {
    let mut received = Vec::new();
    while received.len() < most {
        match listener.next(Duration::from_secs(10)).await {
            Some(message) => received.push(message),
            None => break,
        }
    }
    while let Some(more) = listener.next(Duration::from_millis(300)).await {
        received.push(more);
    }
    received
}
