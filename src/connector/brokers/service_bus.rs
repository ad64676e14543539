//! Azure Service Bus, by its REST API, without Microsoft's SDK.
//!
//! Invariant: no error contains a key or a signature.

use super::message::Message;
use super::rest::{Answer, Request, Rest};
use super::shared_connection::Timeouts;
use super::stateless::Requests;
use super::topics::Destination;
use crate::clock::{Clock, Millis, SystemClock};
use crate::connector::Failure;
use crate::engine::inputs::ExpressionResolver;
use crate::error::ErrorCode;
use crate::resources::{OutboundRules, ServiceBusConfig};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use serde_json::json;
use std::fmt::Write;
use url::Url;

/// For how long a signature is good, in seconds.
const SIGNATURE_SECONDS: i64 = 1_200;
/// Longest id of a message or a session.
const MAX_ID_CHARACTERS: usize = 128;
/// The version of the API.
const VERSION: &str = "api-version=2017-04";

/// The queues and topics of one namespace.
pub(super) struct ServiceBus {
    rest: Rest,
    endpoint: Url,
    key_name: String,
    key: hmac::Key,
    /// The only queue that the connection string is for.
    entity: Option<String>,
}

impl ServiceBus {
    /// Does not connect yet.
    pub(super) async fn reveal(
        config: &ServiceBusConfig,
        authorities: Option<String>,
        outbound: OutboundRules,
        timeouts: Timeouts,
        expressions: &ExpressionResolver,
    ) -> Result<Self, Failure> {
        let text = expressions.reveal(config.connection_string.as_written()).await?;
        let rest = Rest::new("Service Bus", authorities, outbound, timeouts.answer);
        Self::read(&text, rest)
    }

    /// Reads a connection string as Azure hands it out.
    fn read(text: &str, rest: Rest) -> Result<Self, Failure> {
        let wrong = |what: &str| {
            Failure::invalid(format!(
                "config.connectionString: {what}; it must be as in 'Endpoint=sb://….servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…'"
            ))
        };
        let member = |name: &str| {
            let mut parts = text.split(';').filter_map(|part| part.trim().split_once('='));
            let found = parts.find(|(known, _)| known.eq_ignore_ascii_case(name));
            found
                .map(|(_, value)| value.to_owned())
                .filter(|value| !value.is_empty())
        };
        let endpoint = member("Endpoint").ok_or_else(|| wrong("has no `Endpoint`"))?;
        // The emulator of Microsoft has no TLS.
        let is_emulator = member("UseDevelopmentEmulator").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let scheme = if is_emulator { "http" } else { "https" };
        let endpoint = match endpoint.strip_prefix("sb://") {
            Some(host) => format!("{scheme}://{host}"),
            None => endpoint,
        };
        let endpoint = Url::parse(&endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        Ok(Self {
            rest,
            endpoint: endpoint.ok_or_else(|| wrong("its `Endpoint` is no address"))?,
            key_name: member("SharedAccessKeyName").ok_or_else(|| wrong("has no `SharedAccessKeyName`"))?,
            key: hmac::Key::new(
                hmac::HMAC_SHA256,
                member("SharedAccessKey")
                    .ok_or_else(|| wrong("has no `SharedAccessKey`"))?
                    .as_bytes(),
            ),
            entity: member("EntityPath"),
        })
    }

    /// The address of a queue or topic, without what is done with it.
    fn url(&self, entity: &str) -> Result<Url, Failure> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        let is_entity = (1..=260).contains(&entity.len())
            && entity.bytes().all(is_known)
            && !entity.split('/').any(|part| matches!(part, "" | "." | ".."));
        if !is_entity {
            return Err(Failure::invalid(format!(
                "'{entity}' is no name of a queue or topic; use at most 260 letters, digits and '-', '_', '.', '/'"
            )));
        }
        let base = self.endpoint.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/{entity}")).map_err(|_| Failure::invalid("the topic's name cannot be sent"))
    }

    /// Proves that we know the key, for a while and for this address.
    fn authorization(&self, url: &Url, now: Millis) -> Result<HeaderValue, Failure> {
        let resource = encoded(&url.as_str().to_ascii_lowercase());
        let until = now / 1_000 + SIGNATURE_SECONDS;
        let signature = hmac::sign(&self.key, format!("{resource}\n{until}").as_bytes());
        let signature = encoded(&STANDARD.encode(signature.as_ref()));
        let name = encoded(&self.key_name);
        let text = format!("SharedAccessSignature sr={resource}&sig={signature}&se={until}&skn={name}");
        let mut value =
            HeaderValue::from_str(&text).map_err(|_| Failure::invalid("config.connectionString: cannot be sent"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn send(&self, message: &Message, to: &Destination) -> Result<String, Failure> {
        let entity = self.url(&to.name)?;
        let mut headers = headers(message, to)?;
        headers.insert(AUTHORIZATION, self.authorization(&entity, SystemClock.now())?);
        let url = Url::parse(&format!("{entity}/messages?{VERSION}"));
        let request = Request {
            method: Method::POST,
            url: url.map_err(|_| Failure::invalid("the topic's name cannot be sent"))?,
            headers,
            body: message.body.clone(),
        };
        let answer = self.rest.ask(request).await?;
        if !matches!(answer.status, 200 | 201) {
            return Err(refusal(&answer, &to.name, message.body.len()));
        }
        Ok(json!({ "message_id": message.id, "queue": to.name }).to_string())
    }

    /// Asks for the description of a queue, for which a key to send alone has no right: it is told so, and so is known.
    async fn describe(&self) -> Result<(), Failure> {
        // Without a name of one, for that of a queue that hardly is there.
        let entity = self.url(self.entity.as_deref().unwrap_or("ductape-check"))?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization(&entity, SystemClock.now())?);
        let url = Url::parse(&format!("{entity}?{VERSION}"));
        let request = Request {
            method: Method::GET,
            url: url.map_err(|_| Failure::invalid("config.connectionString: its `EntityPath` cannot be sent"))?,
            headers,
            body: Vec::new(),
        };
        let answer = self.rest.ask(request).await?;
        let words = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
        match answer.status {
            // There is nothing of that name, and who asks is known.
            200..300 | 404 => Ok(()),
            401 if words.contains("claim") => Ok(()),
            _ => Err(refusal(&answer, self.entity.as_deref().unwrap_or_default(), 0)),
        }
    }
}

/// Percent-encoded, all but letters, digits and `-_.~`.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// What goes with a message: its properties, and those of the topic as JSON texts, as Azure has them.
fn headers(message: &Message, to: &Destination) -> Result<HeaderMap, Failure> {
    let mut properties = json!({ "MessageId": message.id });
    if message.id.chars().count() > MAX_ID_CHARACTERS {
        return Err(Failure::invalid(format!(
            "job_id: is too long for the id of a message, which has {MAX_ID_CHARACTERS} characters with the number of the run"
        )));
    }
    if let (Some(key), Some(properties)) = (&message.key, properties.as_object_mut()) {
        if key.chars().count() > MAX_ID_CHARACTERS {
            return Err(Failure::invalid(format!(
                "input.key: must have at most {MAX_ID_CHARACTERS} characters to be a session"
            )));
        }
        properties.insert("SessionId".to_owned(), key.as_str().into());
    }
    let value = |name: &str, text: &str| {
        let what = || Failure::invalid(format!("headers.{name}: cannot be sent"));
        HeaderValue::from_str(&ascii(text)).map_err(|_| what())
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(message.content_type));
    headers.insert(
        HeaderName::from_static("brokerproperties"),
        value("BrokerProperties", &properties.to_string())?,
    );
    for (name, text) in &to.headers {
        let known = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Failure::invalid(format!("headers.{name}: is no name of a header")))?;
        headers.insert(known, value(name, &json!(text).to_string())?);
    }
    Ok(headers)
}

/// JSON text with escapes for all that is not ASCII.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

/// What an answer of failure means. The server's words are not shown.
fn refusal(answer: &Answer, entity: &str, bytes: usize) -> Failure {
    let words = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    let is_too_large = words.contains("too large") || words.contains("size");
    let (code, what) = match answer.status {
        404 | 410 => {
            return Failure::not_found(format!("Service Bus: the namespace has no queue or topic '{entity}'"));
        }
        401 if words.contains("claim") => (ErrorCode::Forbidden, "the key lacks the right to send"),
        401 => (
            ErrorCode::Unauthorized,
            "the signature was refused: the key is wrong, or this machine's clock is",
        ),
        413 => return too_large(bytes),
        403 if is_too_large => return too_large(bytes),
        403 => (ErrorCode::ServiceUnavailable, "the queue is full, or switched off"),
        429 => (ErrorCode::RateLimited, "too many requests for the namespace"),
        408 | 504 => (
            ErrorCode::Timeout,
            "the server was too slow; the message may have arrived",
        ),
        500.. => (ErrorCode::ServiceUnavailable, "the server cannot do it now"),
        400..500 => (ErrorCode::ValidationError, "the message is refused"),
        _ => (
            ErrorCode::ConnectionError,
            "the endpoint does not answer as Service Bus does",
        ),
    };
    Failure::new(code, format!("Service Bus: {what} (HTTP {})", answer.status))
}

fn too_large(bytes: usize) -> Failure {
    Failure::invalid(format!(
        "the message has {bytes} bytes, which is more than the namespace takes: 256 KB, or 1 MB of a premium one"
    ))
}

#[async_trait]
impl Requests for ServiceBus {
    async fn probe(&self) -> Result<(), Failure> {
        self.describe().await
    }

    async fn publish(&self, message: &Message, to: &Destination) -> Result<String, Failure> {
        self.send(message, to).await
    }
}
