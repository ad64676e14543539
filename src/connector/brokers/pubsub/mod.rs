//! Google Pub/Sub, by its REST API, without Google's SDK.
//!
//! Invariant: no error contains a key or a token.

use super::message::Message;
use super::rest::{Answer, Request, Rest};
use super::shared_connection::Timeouts;
use super::stateless::Requests;
use super::topics::Destination;
use crate::connector::Failure;
use crate::connector::google::{Purpose, ServiceAccount, Tokens};
use crate::engine::inputs::ExpressionResolver;
use crate::error::ErrorCode;
use crate::resources::{OutboundRules, PubSubConfig, Text};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};
use url::Url;

/// Where requests go, unless told otherwise.
const ENDPOINT: &str = "https://pubsub.googleapis.com";
/// What tokens are for.
const SCOPE: &str = "https://www.googleapis.com/auth/pubsub";
/// Names an emulator, which asks for no credentials, as Google's own clients take it.
const EMULATOR: &str = "PUBSUB_EMULATOR_HOST";
/// Names a file of credentials, as Google's own clients take it.
const CREDENTIALS_FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// Largest message.
const MAX_MESSAGE_BYTES: usize = 10_000_000;
/// Longest ordering key and value of an attribute.
const MAX_VALUE_BYTES: usize = 1_024;

/// The topics of one project.
pub(super) struct PubSub {
    rest: Rest,
    endpoint: Url,
    project: String,
    /// `None`: an emulator, which asks for none.
    tokens: Option<Tokens>,
}

impl PubSub {
    /// Does not connect yet. `variable` looks up a variable of the environment.
    pub(super) async fn reveal(
        config: &PubSubConfig,
        authorities: Option<String>,
        outbound: OutboundRules,
        timeouts: Timeouts,
        expressions: &ExpressionResolver,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let text = async |text: &Option<Text>| match text {
            Some(text) => expressions.reveal(text.as_written()).await.map(Some),
            None => Ok(None),
        };
        let emulator = variable(EMULATOR).filter(|host| !host.is_empty());
        let given = text(&config.endpoint).await?;
        let is_emulator = given.is_none() && emulator.is_some();
        let endpoint = given.or_else(|| emulator.map(|host| format!("http://{host}")));
        let endpoint = Url::parse(endpoint.as_deref().unwrap_or(ENDPOINT)).ok();
        let endpoint = endpoint.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let endpoint = endpoint.ok_or_else(|| {
            Failure::invalid("config.endpoint: must be an address as in 'https://pubsub.googleapis.com'")
        })?;
        let file = match text(&config.key_file).await? {
            None if config.credentials.is_none() && !is_emulator => variable(CREDENTIALS_FILE),
            file => file,
        };
        let key = match (&config.credentials, file) {
            // An object stays one, whatever its secrets hold.
            (Some(object), _) if object.as_written().starts_with('{') => {
                Some(expressions.reveal_json(object.as_written(), 0).await?)
            }
            (Some(text), _) => Some(expressions.reveal(text.as_written()).await?),
            (None, Some(path)) => Some(read_key_file(path).await?),
            (None, None) => None,
        };
        let purpose = Purpose {
            label: "Pub/Sub",
            place: "config.credentials",
            scope: SCOPE,
            within: timeouts.answer,
        };
        let account = match key {
            Some(key) => Some(ServiceAccount::read(&key, purpose, expressions)?),
            None => None,
        };
        if account.is_none() && !is_emulator && config.endpoint.is_none() {
            return Err(Failure::unauthorized(
                "Pub/Sub: there are no credentials; give `credentials` or `keyFilename` in the broker's `config`, or set GOOGLE_APPLICATION_CREDENTIALS",
            ));
        }
        let project = match text(&config.project_id).await? {
            Some(project) => Some(project),
            None => account.as_ref().and_then(|account| account.project.clone()),
        };
        let project = project.filter(|project| is_segment(project)).ok_or_else(|| {
            Failure::invalid("config.projectId: is missing or no id of a project, and the credentials name none")
        })?;
        Ok(Self {
            rest: Rest::new("Pub/Sub", authorities, outbound, timeouts.answer),
            endpoint,
            project,
            tokens: account.map(Tokens::new),
        })
    }

    fn url(&self, rest: &str) -> Result<Url, Failure> {
        let path = format!("v1/projects/{}/topics{rest}", self.project);
        let base = self.endpoint.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/{path}")).map_err(|_| Failure::invalid("the topic's name cannot be sent"))
    }

    /// Asks; once more with a new token where the one that there was is refused.
    async fn ask(&self, method: Method, url: &Url, body: Vec<u8>) -> Result<Answer, Failure> {
        let mut renewed = false;
        loop {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let token = match &self.tokens {
                Some(tokens) => Some(tokens.current(self.rest.client().await?).await?),
                None => None,
            };
            if let Some(token) = &token {
                headers.insert(AUTHORIZATION, token.header.clone());
            }
            let request = Request {
                method: method.clone(),
                url: url.clone(),
                headers,
                body: body.clone(),
            };
            let answer = self.rest.ask(request).await?;
            match (&self.tokens, &token) {
                (Some(tokens), Some(token)) if answer.status == 401 && !renewed => tokens.forget(Some(token)),
                _ => return Ok(answer),
            }
            renewed = true;
        }
    }

    async fn send(&self, message: &Message, to: &Destination) -> Result<String, Failure> {
        if !is_segment(&to.name) {
            return Err(Failure::invalid(format!(
                "'{}' is no name of a topic; use 3 to 255 letters, digits and '-', '_', '.', '~', '+', '%'",
                to.name
            )));
        }
        let body = request(message, to)?;
        let url = self.url(&format!("/{}:publish", to.name))?;
        let answer = self.ask(Method::POST, &url, body.to_string().into_bytes()).await?;
        if answer.status != 200 {
            return Err(refusal(&answer, Some(&to.name)));
        }
        let read: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let id = read.pointer("/messageIds/0").and_then(Value::as_str);
        let id =
            id.ok_or_else(|| Failure::connection("Pub/Sub: the server's answer does not say that it has the message"))?;
        Ok(json!({ "message_id": message.id, "topic": to.name, "id": id }).to_string())
    }
}

async fn read_key_file(path: String) -> Result<String, Failure> {
    let read = tokio::task::spawn_blocking(move || {
        crate::text_file::read_text_file(path.as_ref(), crate::connector::limits::MAX_PEM_FILE_BYTES)
    });
    let read = read.await.unwrap_or_else(|_| Err(std::io::Error::other("interrupted")));
    read.map_err(|error| Failure::invalid(format!("config.keyFilename: the file cannot be read: {error}")))
}

/// Whether a text is a part of a path, as ids of projects and names of topics are.
fn is_segment(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+%:".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(is_known) && !matches!(text, "." | "..")
}

/// One message as a request has it.
fn request(message: &Message, to: &Destination) -> Result<Value, Failure> {
    let own = [
        ("message_id", message.id.as_str()),
        ("content_type", message.content_type),
    ];
    let given = to.headers.iter().map(|(name, value)| (&**name, value.as_str()));
    let mut attributes = Map::new();
    let mut bytes = message.body.len();
    for (name, value) in own.into_iter().chain(given) {
        if value.len() > MAX_VALUE_BYTES {
            return Err(Failure::invalid(format!(
                "headers.{name}: has {} bytes, and Pub/Sub takes {MAX_VALUE_BYTES}",
                value.len()
            )));
        }
        bytes += name.len() + value.len();
        attributes.insert(name.to_owned(), value.into());
    }
    if bytes > MAX_MESSAGE_BYTES {
        return Err(Failure::invalid(format!(
            "the message has {bytes} bytes with its headers, and Pub/Sub takes {MAX_MESSAGE_BYTES}"
        )));
    }
    let mut sent = Map::new();
    sent.insert("data".to_owned(), STANDARD.encode(&message.body).into());
    sent.insert("attributes".to_owned(), attributes.into());
    if let Some(key) = &message.key {
        if key.len() > MAX_VALUE_BYTES {
            return Err(Failure::invalid(format!(
                "input.key: has {} bytes, and Pub/Sub takes {MAX_VALUE_BYTES}",
                key.len()
            )));
        }
        sent.insert("orderingKey".to_owned(), key.as_str().into());
    }
    Ok(json!({ "messages": [sent] }))
}

/// What an answer of failure means. The server's words are not shown, since they may quote values.
fn refusal(answer: &Answer, topic: Option<&str>) -> Failure {
    let (code, what) = match (answer.status, topic) {
        (404, Some(topic)) => return Failure::not_found(format!("Pub/Sub: the project has no topic '{topic}'")),
        (404, None) => (ErrorCode::NotFound, "there is no such project"),
        (401, _) => (ErrorCode::Unauthorized, "the credentials are refused"),
        (403, _) => (
            ErrorCode::Forbidden,
            "the service account lacks the right, or the API is not switched on",
        ),
        (429, _) => (ErrorCode::RateLimited, "the project's quota is used up"),
        (408 | 504, _) => (
            ErrorCode::Timeout,
            "the server was too slow; the message may have arrived",
        ),
        (500.., _) => (ErrorCode::ServiceUnavailable, "the server cannot do it now"),
        (400..500, _) => (ErrorCode::ValidationError, "the message is refused"),
        _ => (
            ErrorCode::ConnectionError,
            "the endpoint does not answer as Pub/Sub does",
        ),
    };
    Failure::new(code, format!("Pub/Sub: {what} (HTTP {})", answer.status))
}

#[async_trait]
impl Requests for PubSub {
    async fn probe(&self) -> Result<(), Failure> {
        let answer = async { self.ask(Method::GET, &self.url("?pageSize=1")?, Vec::new()).await };
        match answer.await {
            // Who may not list topics may still publish to some.
            Ok(answer) if matches!(answer.status, 200 | 403) => Ok(()),
            Ok(answer) => Err(refusal(&answer, None)),
            Err(failure) => Err(failure),
        }
    }

    async fn publish(&self, message: &Message, to: &Destination) -> Result<String, Failure> {
        self.send(message, to).await
    }
}
