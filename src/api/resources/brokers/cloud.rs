//! Reads brokers of clouds: which account, and where its requests go.

use super::super::texts::check_expressions;
use super::servers::secret;
use crate::api::fields::Fields;
use crate::resources::{BrokerConfig, BrokerKind, CloudBroker, PubSubConfig, ServiceBusConfig, SqsConfig, Text};
use url::Url;

/// Members of `config` that only a kind of cloud has.
pub(super) fn fields(kind: BrokerKind) -> Option<&'static [&'static str]> {
    match kind {
        BrokerKind::AwsSqs => Some(&[
            "region",
            "accessKeyId",
            "secretAccessKey",
            "sessionToken",
            "profile",
            "endpoint",
            "queueUrl",
            "ca",
        ]),
        BrokerKind::GooglePubSub => Some(&[
            "projectId",
            "credentials",
            "keyFilename",
            "endpoint",
            "topicName",
            "subscriptionName",
            "ca",
        ]),
        BrokerKind::AzureServiceBus => Some(&["connectionString", "queueName", "namespace", "ca"]),
        _ => None,
    }
}

/// Reads an account. `None`: something that it needs is missing.
pub(super) fn read(kind: BrokerKind, config: &mut Fields<'_>) -> Option<BrokerConfig> {
    let cloud = match kind {
        BrokerKind::AwsSqs => CloudBroker::Sqs(read_sqs(config)?),
        BrokerKind::GooglePubSub => CloudBroker::PubSub(read_pubsub(config)),
        BrokerKind::AzureServiceBus => CloudBroker::ServiceBus(read_service_bus(config)?),
        _ => return None,
    };
    Some(BrokerConfig {
        ca: secret(config, "ca"),
        cloud: Some(cloud),
        ..BrokerConfig::default()
    })
}

fn read_sqs(config: &mut Fields<'_>) -> Option<SqsConfig> {
    let is_region = |text: &str| {
        let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !text.is_empty() && text.len() <= 50 && text.bytes().all(is_known)
    };
    let region = required(config, "region", "as in 'eu-west-1'");
    if let Some(region) = &region
        && region.is_plain()
        && !is_region(region.as_written())
    {
        config.problem("region", "must be the code of a region, as in 'eu-west-1'");
    }
    let read = SqsConfig {
        region: region.unwrap_or_default(),
        access_key_id: secret(config, "accessKeyId"),
        secret_access_key: secret(config, "secretAccessKey"),
        session_token: secret(config, "sessionToken"),
        profile: secret(config, "profile"),
        endpoint: read_endpoint(config),
    };
    if read.access_key_id.is_some() != read.secret_access_key.is_some() {
        let missing = if read.access_key_id.is_some() {
            "secretAccessKey"
        } else {
            "accessKeyId"
        };
        config.problem(missing, "is missing; the id and the secret of a key go together");
    }
    if read.session_token.is_some() && read.access_key_id.is_none() {
        config.problem("sessionToken", "goes with `accessKeyId` and `secretAccessKey`");
    }
    if read.profile.is_some() && read.access_key_id.is_some() {
        config.problem(
            "profile",
            "says where credentials are, as `accessKeyId` does; give one of them",
        );
    }
    Some(read)
}

fn read_pubsub(config: &mut Fields<'_>) -> PubSubConfig {
    // It names who receives, and jobs only publish.
    config.tag("subscriptionName");
    let key_file = secret(config, "keyFilename");
    if key_file.is_some() && config.raw("credentials").is_some() {
        config.problem(
            "keyFilename",
            "says who publishes, as `credentials` does; give one of them",
        );
    }
    PubSubConfig {
        project_id: secret(config, "projectId"),
        credentials: read_credentials(config),
        key_file,
        endpoint: read_endpoint(config),
    }
}

/// A key of a service account: an object, or its text.
fn read_credentials(config: &mut Fields<'_>) -> Option<Text> {
    let raw = config.raw("credentials")?;
    if raw.starts_with('"') {
        return secret(config, "credentials");
    }
    let mut credentials = config.object("credentials")?;
    for name in ["client_email", "private_key"] {
        if credentials.raw(name).is_none() {
            credentials.problem(
                name,
                "is missing; give the key of a service account as Google hands it out",
            );
        }
        credentials.string(name);
    }
    config.absorb(credentials);
    check_expressions(config, "credentials", raw);
    Some(Text::from(raw))
}

fn read_service_bus(config: &mut Fields<'_>) -> Option<ServiceBusConfig> {
    // The connection string says it, too.
    config.tag("namespace");
    let connection_string = required(
        config,
        "connectionString",
        "as in 'Endpoint=sb://….servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…'",
    )?;
    Some(ServiceBusConfig { connection_string })
}

fn required(config: &mut Fields<'_>, name: &str, example: &str) -> Option<Text> {
    if config.raw(name).is_none() {
        config.problem(name, format!("is missing; it must be a text, {example}"));
    }
    secret(config, name)
}

/// Where requests go instead of the cloud's own servers.
pub(super) fn read_endpoint(config: &mut Fields<'_>) -> Option<Text> {
    let endpoint = secret(config, "endpoint")?;
    if endpoint.is_plain() && !is_http(endpoint.as_written()) {
        config.problem("endpoint", "must be an address, as in 'http://localhost:4566'");
    }
    Some(endpoint)
}

/// Whether this is an address of HTTP.
pub(super) fn is_http(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
