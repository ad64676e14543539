//! Amazon SQS, by its HTTP API, without Amazon's SDK.
//!
//! Jobs that publish at the same time share requests ([`queue`]). Invariants: a message of a FIFO queue has the run's key for
//! its deduplication id, so that an attempt that repeats another adds nothing; no error contains a credential.

mod failure;
mod queue;

use super::message::Message;
use super::shared_connection::Timeouts;
use super::stateless::Requests;
use super::topics::Destination;
use crate::connector::Failure;
use crate::connector::aws::{Account, GivenKey, JsonService, Place};
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{OutboundRules, SqsConfig};
use async_trait::async_trait;
use failure::refusal;
use queue::{Entry, Queue};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use url::Url;

/// Largest message, with its attributes.
const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// Most attributes of a message.
const MAX_ATTRIBUTES: usize = 10;
/// Of them its id and its content type.
const OWN_ATTRIBUTES: usize = 2;
/// Longest id of a group or of a deduplication.
const MAX_ID_BYTES: usize = 128;
/// Largest answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Requests at once, and connections that stay open.
const CONNECTIONS: usize = 16;
/// Most names of queues whose addresses are remembered.
const MAX_QUEUES: usize = 1_000;
/// How a FIFO queue's name ends.
const FIFO: &str = ".fifo";

/// The queues of one region.
pub(super) struct Sqs {
    service: Arc<JsonService>,
    region: String,
    within: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Addresses, by names.
    addresses: HashMap<Box<str>, Box<str>>,
    /// By addresses.
    queues: HashMap<Box<str>, Arc<Queue>>,
}

impl Sqs {
    /// Does not connect yet.
    pub(super) async fn reveal(
        config: &SqsConfig,
        authorities: Option<String>,
        outbound: OutboundRules,
        timeouts: Timeouts,
        expressions: &ExpressionResolver,
    ) -> Result<Self, Failure> {
        let text = async |text: &Option<crate::resources::Text>| match text {
            Some(text) => expressions.reveal(text.as_written()).await.map(Some),
            None => Ok(None),
        };
        let region = expressions.reveal(config.region.as_written()).await?;
        let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if region.is_empty() || region.len() > 50 || !region.bytes().all(is_known) {
            return Err(Failure::invalid(
                "config.region: is no region once its secrets are in it",
            ));
        }
        let given = match (
            text(&config.access_key_id).await?,
            text(&config.secret_access_key).await?,
        ) {
            (Some(id), Some(secret)) => {
                let given = GivenKey {
                    id,
                    secret,
                    session_token: text(&config.session_token).await?,
                };
                let parts = [Some(&given.id), Some(&given.secret), given.session_token.as_ref()];
                let is_sendable = |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
                if !parts.into_iter().flatten().all(is_sendable) {
                    return Err(Failure::invalid(
                        "config.accessKeyId: it, the secret or the token is none, once its secrets are in it",
                    ));
                }
                Some(given)
            }
            _ => None,
        };
        let endpoint = match text(&config.endpoint).await? {
            Some(endpoint) => endpoint,
            None => usual_endpoint(&region),
        };
        let endpoint = Url::parse(&endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        let endpoint = endpoint.ok_or_else(|| {
            Failure::invalid("config.endpoint: must be an address as in 'https://sqs.eu-west-1.amazonaws.com'")
        })?;
        let account = Account {
            label: "SQS",
            service: "sqs",
            place: "the broker's `config`",
            region: region.clone(),
            given,
            profile: text(&config.profile).await?,
        };
        let place = Place {
            endpoint,
            target: "AmazonSQS",
            authorities,
            outbound,
            connections: CONNECTIONS,
            max_answer_bytes: MAX_ANSWER_BYTES,
        };
        Ok(Self {
            service: Arc::new(JsonService::new(account, place)),
            region,
            within: timeouts.answer,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, operation: &str, request: &Value) -> Result<Value, Failure> {
        queue::ask(&self.service, operation, &request.to_string(), self.within).await
    }

    /// The address of a queue by its name, which is asked for once.
    async fn address(&self, name: &str) -> Result<Box<str>, Failure> {
        if name.starts_with("https://") || name.starts_with("http://") {
            return Ok(name.into());
        }
        if !is_queue(name) {
            return Err(Failure::invalid(format!(
                "'{name}' is no name of a queue; use at most 80 letters, digits, '-' and '_', and '.fifo' at the end of a FIFO queue"
            )));
        }
        if let Some(known) = self.state().addresses.get(name) {
            return Ok(known.clone());
        }
        let found = self.ask("GetQueueUrl", &json!({ "QueueName": name })).await;
        let found = found.map_err(|failure| match &*failure.code {
            "NOT_FOUND" => Failure::not_found(format!("SQS: {} has no queue '{name}'", self.region)),
            _ => failure,
        })?;
        let address: Box<str> = match found.get("QueueUrl").and_then(Value::as_str) {
            Some(address) => address.into(),
            None => return Err(Failure::connection("SQS: the server's answer cannot be read")),
        };
        let mut state = self.state();
        if state.addresses.len() >= MAX_QUEUES {
            state.addresses.clear();
        }
        state.addresses.insert(name.into(), address.clone());
        Ok(address)
    }

    fn queue(&self, address: &str) -> Arc<Queue> {
        let mut state = self.state();
        if state.queues.len() >= MAX_QUEUES {
            state.queues.clear();
        }
        let make = || Arc::new(Queue::new(Arc::clone(&self.service), address.into(), self.within));
        Arc::clone(state.queues.entry(address.into()).or_insert_with(make))
    }

    async fn send(&self, message: &Message, to: &Destination) -> Result<String, Failure> {
        let address = self.address(&to.name).await?;
        let name = address.rsplit('/').next().unwrap_or_default();
        let entry = entry(message, to, name)?;
        let sent = self.queue(&address).send(entry).await;
        if matches!(&sent, Err(failure) if &*failure.code == "NOT_FOUND") {
            // It may be made anew, at another address.
            self.state().addresses.remove(&to.name);
        }
        let sent = sent?;
        let mut result = json!({ "message_id": message.id, "queue": name, "id": sent.id });
        if let (Some(number), Some(result)) = (sent.sequence_number, result.as_object_mut()) {
            result.insert("sequence_number".to_owned(), String::from(number).into());
        }
        Ok(result.to_string())
    }
}

fn usual_endpoint(region: &str) -> String {
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    format!("https://sqs.{region}.{domain}/")
}

fn is_queue(name: &str) -> bool {
    let plain = name.strip_suffix(FIFO).unwrap_or(name);
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    name.len() <= 80 && !plain.is_empty() && plain.bytes().all(is_known)
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An id that SQS takes: the message's own where it does, else what stands for it.
fn deduplication_id(id: &str) -> String {
    if is_id(id) {
        return id.to_owned();
    }
    let hash = digest(&SHA256, id.as_bytes());
    hash.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A message as a request has it.
fn entry(message: &Message, to: &Destination, queue: &str) -> Result<Entry, Failure> {
    let body = std::str::from_utf8(&message.body).unwrap_or_default();
    if body.is_empty() {
        return Err(Failure::invalid(
            "input.message: is empty, and SQS takes no empty messages",
        ));
    }
    let own = [
        ("message_id", message.id.as_str()),
        ("content_type", message.content_type),
    ];
    let given = to.headers.iter().map(|(name, value)| (&**name, value.as_str()));
    let mut attributes = Map::new();
    let mut bytes = body.len();
    for (name, value) in own.into_iter().chain(given) {
        bytes += name.len() + "String".len() + value.len();
        attributes.insert(name.to_owned(), json!({ "DataType": "String", "StringValue": value }));
    }
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(Failure::invalid(format!(
            "the message has {} headers with its id and content type, and SQS takes {MAX_ATTRIBUTES}",
            attributes.len()
        )));
    }
    if bytes > MAX_MESSAGE_BYTES {
        return Err(Failure::invalid(format!(
            "the message has {bytes} bytes with its headers, and SQS takes {MAX_MESSAGE_BYTES}"
        )));
    }
    let mut members = Map::new();
    members.insert("MessageBody".to_owned(), body.into());
    members.insert("MessageAttributes".to_owned(), attributes.into());
    let is_fifo = queue.ends_with(FIFO);
    if let Some(key) = &message.key
        && !is_id(key)
    {
        return Err(Failure::invalid(format!(
            "input.key: must have at most {MAX_ID_BYTES} letters, digits and signs of ASCII to be a message group"
        )));
    }
    // Without a key, all messages are in one order.
    if let Some(group) = message.key.as_deref().or(is_fifo.then_some(queue)) {
        members.insert("MessageGroupId".to_owned(), group.into());
    }
    if is_fifo {
        members.insert(
            "MessageDeduplicationId".to_owned(),
            deduplication_id(&message.id).into(),
        );
    }
    Ok(Entry { members, bytes })
}

#[async_trait]
impl Requests for Sqs {
    fn most_headers(&self) -> usize {
        MAX_ATTRIBUTES - OWN_ATTRIBUTES
    }

    async fn probe(&self) -> Result<(), Failure> {
        match self.ask("ListQueues", &json!({ "MaxResults": 1 })).await {
            Ok(_) => Ok(()),
            // Who may not list queues may still send to some.
            Err(failure) if &*failure.code == "FORBIDDEN" => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    async fn publish(&self, message: &Message, to: &Destination) -> Result<String, Failure> {
        self.send(message, to).await
    }

    fn close(&self) {
        self.state().queues.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::TopicOptions;

    fn message(id: &str, key: Option<&str>, body: &str) -> Message {
        let key = key.map_or_else(String::new, |key| format!(r#","key":{}"#, json!(key)));
        Message::read(&format!(r#"{{"message":{}{key}}}"#, json!(body)), id.to_owned()).unwrap()
    }

    fn to(headers: usize) -> Destination {
        Destination {
            name: "q".into(),
            headers: (0..headers)
                .map(|number| (format!("h{number}").into(), "v".to_owned()))
                .collect(),
            options: TopicOptions::default(),
        }
    }

    #[test]
    fn fifo_queues_get_group_and_deduplication_id() {
        let member = |entry: &Entry, name: &str| entry.members.get(name).cloned().unwrap_or_default();
        let plain = entry(&message("job_1/1", None, "x"), &to(0), "q").unwrap();
        assert!(member(&plain, "MessageGroupId").is_null() && member(&plain, "MessageDeduplicationId").is_null());
        let fifo = entry(&message("job_1/1", None, "x"), &to(0), "q.fifo").unwrap();
        assert_eq!(member(&fifo, "MessageGroupId"), "q.fifo");
        assert_eq!(member(&fifo, "MessageDeduplicationId"), "job_1/1");
        let keyed = entry(&message("bad id \u{fc}/1", Some("k"), "x"), &to(0), "q.fifo").unwrap();
        assert_eq!(member(&keyed, "MessageGroupId"), "k");
        let hashed = member(&keyed, "MessageDeduplicationId");
        assert_eq!(hashed.as_str().unwrap().len(), 64);
        assert_eq!(hashed, deduplication_id("bad id \u{fc}/1"));
        assert_ne!(hashed, deduplication_id("bad id \u{fc}/2"));
    }

    #[test]
    fn limits_of_sqs_are_named() {
        let large = "x".repeat(MAX_MESSAGE_BYTES);
        for (message, headers, words) in [
            (message("job_1/1", None, ""), 0, "empty"),
            (message("job_1/1", None, &large), 0, "1048576"),
            (message("job_1/1", None, "x"), 9, "11 headers"),
            (message("job_1/1", Some("a b"), "x"), 0, "input.key"),
        ] {
            let failure = entry(&message, &to(headers), "q").map(|_| ()).unwrap_err();
            assert_eq!(&*failure.code, "VALIDATION_ERROR");
            assert!(failure.message.contains(words), "{}", failure.message);
        }
    }

    #[test]
    fn names_of_queues_are_checked() {
        for (name, expected) in [
            ("a", true),
            ("a-B_9.fifo", true),
            (".fifo", false),
            ("a.b", false),
            ("a b", false),
        ] {
            assert_eq!(is_queue(name), expected, "{name}");
        }
    }
}
