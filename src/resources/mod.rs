//! The resources of products: typed definitions, from the constructor's `resources`.
//!
//! Plain data; `api::resources` reads and checks the JSON. A [`Text`] may hold `$Secret{…}`: it is kept unresolved and never
//! printed.

mod app;
mod broker;
mod cloud_broker;
mod database;
mod feature;
mod file_path;
mod graph;
mod http;
mod notification;
mod outbound;
mod section;
mod session;
mod storage;
mod template;
mod text;

pub use app::{Action, App, AppEnv, Method, PathTemplate, RequestType, Segment};
pub use broker::{Broker, BrokerConfig, BrokerEnv, BrokerKind, RedisTarget, SaslMechanism, Topic, TopicOptions};
pub use cloud_broker::{CloudBroker, PubSubConfig, ServiceBusConfig, SqsConfig};
pub use database::{ActionVerb, Database, DatabaseAction, DatabaseEnv, DatabaseKind};
pub use feature::{Feature, FeatureEvent, FeatureInput, FeatureSequence, InputKind};
pub use file_path::{FilePath, name_problem};
pub use graph::{
    GRAPH_FILTER_OPERATORS, GRAPH_GROUP_OPERATORS, GRAPH_SCHEMES, GRAPH_UPDATE_OPERATORS, GRAPH_VALUE_TYPES, Graph,
    GraphAction, GraphEnv, GraphKind, GraphVerb, graph_input,
};
pub use http::{HttpAuth, is_connection_header};
pub use notification::{
    Callback, CallbackMessage, Channels, EmailMessage, EmailProvider, MailApi, MailService, Message, Notification,
    PushApi, PushMessage, PushService, SmsApi, SmsService, Smtp, SmtpSecurity,
};
pub use outbound::OutboundRules;
pub use section::Section;
pub use session::{Algorithm, KeySource, SessionResource};
pub use storage::{
    AwsBucket, AzureContainer, FileSources, GcpBucket, LocalFolder, Storage, StorageEnv, StorageEvent, StorageLocation,
    StorageOperation,
};
pub use template::{Placeholder, Template, refused_defaults};
pub use text::Text;

use std::sync::Arc;

/// Default expiry of a cached result, ms.
pub const DEFAULT_CACHE_EXPIRY: i64 = 3_600_000;

/// The resources of all products.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// HTTP services and their actions.
    pub apps: Section<App>,
    /// Features declared as data.
    pub features: Section<Feature>,
    /// Notifications: e-mail, callbacks and others.
    pub notifications: Section<Notification>,
    /// Storage for files.
    pub storage: Section<Storage>,
    /// Message brokers.
    pub brokers: Section<Broker>,
    /// Databases.
    pub databases: Section<Database>,
    /// Graph databases.
    pub graphs: Section<Graph>,
    sessions: Section<SessionResource>,
    caches: Section<i64>,
}

impl Resources {
    /// Adds a session resource; `false`: the product already has one with this tag.
    pub fn add_session(&mut self, product: &str, session: SessionResource) -> bool {
        let tag = session.tag.clone();
        self.sessions.add(product, &tag, session)
    }

    /// Adds a cache with its expiry, ms; `false`: the product already has one with this tag.
    pub fn add_cache(&mut self, product: &str, tag: &str, expiry: i64) -> bool {
        self.caches.add(product, tag, expiry)
    }

    /// The session resource of a product.
    #[must_use]
    pub fn session(&self, product: &str, tag: &str) -> Option<&Arc<SessionResource>> {
        self.sessions.get(product, tag)
    }

    /// Expiry of a product's cache, ms; the default for one that is not defined.
    #[must_use]
    pub fn cache_expiry(&self, product: &str, tag: &str) -> i64 {
        self.caches
            .get(product, tag)
            .map_or(DEFAULT_CACHE_EXPIRY, |expiry| **expiry)
    }
}
