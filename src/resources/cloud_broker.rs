//! Brokers of clouds, which have no address of their own but an account.

use super::Text;

/// Which account of which cloud.
#[derive(Clone, Debug)]
pub enum CloudBroker {
    /// Amazon SQS.
    Sqs(SqsConfig),
    /// Google Pub/Sub.
    PubSub(PubSubConfig),
    /// Azure Service Bus.
    ServiceBus(ServiceBusConfig),
}

/// Queues of Amazon SQS in one region.
#[derive(Clone, Debug)]
pub struct SqsConfig {
    /// Code of the region.
    pub region: Text,
    /// Goes with the secret; `None`: what the environment has.
    pub access_key_id: Option<Text>,
    /// Goes with the id.
    pub secret_access_key: Option<Text>,
    /// Goes with temporary ones.
    pub session_token: Option<Text>,
    /// Profile in the shared files.
    pub profile: Option<Text>,
    /// Where requests go; `None`: Amazon's own endpoint of the region.
    pub endpoint: Option<Text>,
}

/// Topics of Google Pub/Sub in one project.
#[derive(Clone, Debug)]
pub struct PubSubConfig {
    /// Id of the project; `None`: that of the credentials.
    pub project_id: Option<Text>,
    /// Key of a service account, as JSON.
    pub credentials: Option<Text>,
    /// Path of a file with such a key.
    pub key_file: Option<Text>,
    /// Where requests go; `None`: Google's own servers, or the emulator that the environment names.
    pub endpoint: Option<Text>,
}

/// Queues and topics of Azure Service Bus in one namespace.
#[derive(Clone, Debug)]
pub struct ServiceBusConfig {
    /// Where the namespace is, and a key.
    pub connection_string: Text,
}
