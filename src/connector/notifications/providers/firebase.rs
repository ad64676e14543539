//! Firebase Cloud Messaging, HTTP v1:
//! <https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send>.
//!
//! One device for each request. Requests carry an access token of a service account, which is kept until it expires.
//! Invariant: at most one access token is asked for at a time.

use super::answer::{Answer, Outcome, Refusal, all};
use super::push::PushContent;
use super::request::{ApiRequest, at, base_url};
use super::sender::exchange;
use super::{Provider, Recipient};
use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::http::Client;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::{Mutex, PoisonError};

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// For how long an assertion is valid, s.
const ASSERTION_SECONDS: i64 = 3_600;
/// An access token is renewed so long before it expires, ms.
const MARGIN_MS: i64 = 60_000;

/// A service account, as the console of Firebase gives it.
#[derive(Deserialize)]
pub(super) struct ServiceAccount {
    #[serde(alias = "projectId")]
    pub project_id: String,
    #[serde(alias = "clientEmail")]
    pub client_email: String,
    #[serde(alias = "privateKey")]
    pub private_key: String,
    #[serde(default, alias = "tokenUri")]
    pub token_uri: Option<String>,
}

pub(super) struct Firebase {
    base: Url,
    project: String,
    email: String,
    key: RsaKeyPair,
    token_url: Url,
    token: Mutex<Option<AccessToken>>,
    /// Held while a token is asked for.
    renewal: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct AccessToken {
    text: String,
    /// ms.
    expires: i64,
}

impl Firebase {
    pub(super) fn new(base: Url, account: ServiceAccount) -> Result<Self, Failure> {
        const KEY: &str = "push_notifications.credentials.private_key: must be an RSA key in PEM (BEGIN PRIVATE KEY)";
        // Variables of environments often hold line breaks as two characters.
        let pem = account.private_key.replace("\\n", "\n");
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| Failure::invalid(KEY))?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| Failure::invalid(KEY))?;
        let token_url = account
            .token_uri
            .as_deref()
            .unwrap_or("https://oauth2.googleapis.com/token");
        Ok(Self {
            base,
            project: account.project_id,
            email: account.client_email,
            key,
            token_url: base_url(token_url, "push_notifications.credentials.token_uri")?,
            token: Mutex::new(None),
            renewal: tokio::sync::Mutex::new(()),
        })
    }

    fn kept_token(&self, now: i64) -> Option<String> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let valid = token.as_ref().filter(|token| token.expires - MARGIN_MS > now);
        valid.map(|token| token.text.clone())
    }

    async fn access_token(&self, client: &Client) -> Result<String, Failure> {
        let now = SystemClock.now();
        if let Some(token) = self.kept_token(now) {
            return Ok(token);
        }
        let _renewal = self.renewal.lock().await;
        if let Some(token) = self.kept_token(now) {
            return Ok(token);
        }
        let assertion = self.assertion(now / 1_000)?;
        let members = [("grant_type", GRANT), ("assertion", &*assertion)];
        let answer = exchange(client, ApiRequest::form(self.token_url.clone(), &members)).await?;
        let named = |mut failure: Failure| {
            failure.message = format!("no access token for the service account: {}", failure.message);
            failure
        };
        if !answer.is_success() {
            let text = answer.text("/error_description").unwrap_or_default();
            let mut failure = answer.failure(text);
            // A key that is wrong or was revoked.
            if answer.text("/error") == Some("invalid_grant") {
                failure.code = Failure::unauthorized("").code;
            }
            return Err(named(failure));
        }
        let Some(text) = answer.text("/access_token") else {
            return Err(named(Failure::unavailable("the answer has no `access_token`")));
        };
        let seconds = answer.body.get("expires_in").and_then(Value::as_i64).unwrap_or(0);
        let fresh = AccessToken {
            text: text.to_owned(),
            expires: now.saturating_add(seconds.saturating_mul(1_000)),
        };
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
        Ok(text.to_owned())
    }

    /// A signed statement that the service account asks for a token. `now` in seconds.
    fn assertion(&self, now: i64) -> Result<String, Failure> {
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.token_url.as_str(),
            "iat": now, "exp": now + ASSERTION_SECONDS,
        });
        let header = json!({ "alg": "RS256", "typ": "JWT" });
        let encode = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let statement = format!("{}.{}", encode(header), encode(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                statement.as_bytes(),
                &mut signature,
            )
            .map_err(|_| Failure::unavailable("the assertion cannot be signed"))?;
        Ok(format!("{statement}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn url(&self) -> Url {
        at(&self.base, &["v1", "projects", &self.project, "messages:send"])
    }
}

#[async_trait]
impl Provider<PushContent> for Firebase {
    fn name(&self) -> &'static str {
        "FIREBASE"
    }

    fn request(&self, content: &PushContent, recipients: &[&Recipient]) -> Result<ApiRequest, Failure> {
        let recipient = recipients.first().ok_or_else(|| Failure::invalid("no recipient"))?;
        let mut message = Map::new();
        message.insert("token".to_owned(), recipient.address.clone().into());
        let mut shown = Map::new();
        for (name, text) in [("title", &content.title), ("body", &content.body)] {
            if let Some(text) = text {
                shown.insert(name.to_owned(), text.clone().into());
            }
        }
        if !shown.is_empty() {
            message.insert("notification".to_owned(), shown.into());
        }
        if !content.data.is_empty() {
            // Firebase takes texts alone.
            let texts = content.data.iter().map(|(name, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                (name.clone(), Value::String(text))
            });
            message.insert("data".to_owned(), texts.collect::<Map<_, _>>().into());
        }
        Ok(ApiRequest::json(self.url(), &json!({ "message": message })))
    }

    fn read(&self, answer: &Answer, count: usize) -> Vec<Outcome> {
        if answer.is_success() {
            return all(count, Outcome::Sent(answer.text("/name").map(str::to_owned)));
        }
        let text = answer.text("/error/message").unwrap_or_default();
        let code = error_code(answer);
        let refusal = |dead| {
            Outcome::Refused(Refusal {
                dead,
                ..Refusal::new(code, text)
            })
        };
        let outcome = match (code, answer.status) {
            ("UNREGISTERED", _) | (_, 404) => refusal(true),
            ("SENDER_ID_MISMATCH", _) => refusal(false),
            _ => answer.of_one(code, text),
        };
        all(count, outcome)
    }

    /// Checks a message and does not send it.
    fn probe(&self) -> Result<ApiRequest, Failure> {
        let message = json!({ "topic": "check", "notification": { "title": "check" } });
        let body = json!({ "validate_only": true, "message": message });
        Ok(ApiRequest::json(self.url(), &body))
    }

    async fn authorize(&self, client: &Client, request: &mut ApiRequest) -> Result<(), Failure> {
        let token = self.access_token(client).await?;
        request.headers.push(("authorization", format!("Bearer {token}")));
        Ok(())
    }

    fn forget_credentials(&self) -> bool {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
        true
    }
}

/// The code of Firebase, else that of the status.
fn error_code(answer: &Answer) -> &str {
    let details = answer.body.pointer("/error/details").and_then(Value::as_array);
    let code = details
        .into_iter()
        .flatten()
        .find_map(|detail| detail.get("errorCode")?.as_str());
    code.or_else(|| answer.text("/error/status")).unwrap_or_default()
}
