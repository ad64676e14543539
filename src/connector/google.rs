//! Service accounts of Google: their keys, and access tokens that are asked for with a signed assertion and kept until shortly
//! before they expire.
//!
//! Knows no service. Invariants: one attempt asks at a time, and those that waited for it take the token that it got; no failure
//! contains a key, a token or an address.

use super::Failure;
use crate::clock::{Clock, Millis, SystemClock};
use crate::engine::inputs::ExpressionResolver;
use crate::error::ErrorCode;
use crate::http::{Client, ExchangeLimits, retry_after_in};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use url::Url;

/// Where tokens are had, unless the key says otherwise.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// What an assertion is exchanged by.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// For how long an assertion is good, in seconds.
const ASSERTION_SECONDS: i64 = 3_600;
/// How long before its end a token is not used any more, in ms.
const MARGIN: i64 = 60_000;
/// Largest answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Longest code of an error that is shown.
const MAX_CODE_CHARS: usize = 40;

/// Who needs tokens, and what for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purpose {
    /// What people call the service.
    pub(super) label: &'static str,
    /// The member of a definition that holds the key.
    pub(super) place: &'static str,
    /// What tokens are for.
    pub(super) scope: &'static str,
    /// How long asking may take.
    pub(super) within: Duration,
}

/// The key of a service account.
pub(super) struct ServiceAccount {
    purpose: Purpose,
    email: String,
    key: RsaKeyPair,
    key_id: Option<String>,
    token_url: Url,
    /// The project that it belongs to.
    pub(super) project: Option<String>,
}

impl ServiceAccount {
    /// Reads a key as Google hands it out: JSON, whose names may also be written as in JavaScript. Its secret is masked from now on.
    pub(super) fn read(text: &str, purpose: Purpose, expressions: &ExpressionResolver) -> Result<Self, Failure> {
        let place = purpose.place;
        let wrong = |what: &str| Failure::invalid(format!("{place}{what}"));
        let json: Value = serde_json::from_str(text)
            .map_err(|_| wrong(": is no JSON; it must be the key of a service account, as Google hands it out"))?;
        let member = |names: [&str; 2]| {
            let found = names.iter().find_map(|name| json.get(*name)?.as_str());
            found.map(str::to_owned)
        };
        let email = member(["client_email", "clientEmail"]).ok_or_else(|| wrong(".client_email: is missing"))?;
        let key = member(["private_key", "privateKey"]).ok_or_else(|| wrong(".private_key: is missing"))?;
        expressions.add_masked_value(&key);
        // A variable of the environment often has the escapes of JSON still in it.
        let key = key.replace("\\n", "\n");
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_| wrong(".private_key: is no PEM of a private key (BEGIN PRIVATE KEY)"))?;
        let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der())
            .map_err(|_| wrong(".private_key: is no RSA key of 2048 bits or more"))?;
        let token_url = member(["token_uri", "tokenUri"]);
        let token_url = Url::parse(token_url.as_deref().unwrap_or(TOKEN_URL)).ok();
        let token_url = token_url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        Ok(Self {
            purpose,
            email,
            key,
            key_id: member(["private_key_id", "privateKeyId"]),
            token_url: token_url.ok_or_else(|| wrong(".token_uri: is no address of http or https"))?,
            project: member(["project_id", "projectId"]),
        })
    }

    /// Says who asks, good for an hour.
    fn assertion(&self, now: Millis) -> Result<String, Failure> {
        let issued = now / 1_000;
        let mut head = json!({ "alg": "RS256", "typ": "JWT" });
        if let (Some(id), Some(head)) = (&self.key_id, head.as_object_mut()) {
            head.insert("kid".to_owned(), id.as_str().into());
        }
        let claims = json!({
            "iss": self.email,
            "scope": self.purpose.scope,
            "aud": self.token_url.as_str(),
            "iat": issued,
            "exp": issued + ASSERTION_SECONDS,
        });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&head), encode(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let random = SystemRandom::new();
        self.key
            .sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature)
            .map_err(|_| Failure::invalid(format!("{}.private_key: cannot sign", self.purpose.place)))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// A token that is good for a while.
pub(super) struct Token {
    /// `Bearer …`, as requests show it.
    pub(super) header: HeaderValue,
    /// When it is not used any more.
    until: Millis,
}

/// The tokens of an account.
pub(super) struct Tokens {
    account: ServiceAccount,
    current: Mutex<Option<Arc<Token>>>,
    /// Held while a token is asked for.
    renewal: tokio::sync::Mutex<()>,
}

impl Tokens {
    pub(super) fn new(account: ServiceAccount) -> Self {
        Self {
            account,
            current: Mutex::default(),
            renewal: tokio::sync::Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Option<Arc<Token>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn valid(&self, now: Millis) -> Option<Arc<Token>> {
        self.kept().as_ref().filter(|token| token.until > now).map(Arc::clone)
    }

    /// The token that there is, or a new one.
    pub(super) async fn current(&self, client: &Client) -> Result<Arc<Token>, Failure> {
        let now = SystemClock.now();
        if let Some(token) = self.valid(now) {
            return Ok(token);
        }
        let _renewal = self.renewal.lock().await;
        if let Some(token) = self.valid(now) {
            return Ok(token);
        }
        let token = Arc::new(self.ask(client, now).await?);
        *self.kept() = Some(Arc::clone(&token));
        Ok(token)
    }

    /// Tokens were refused: this one, or whichever there is.
    pub(super) fn forget(&self, refused: Option<&Arc<Token>>) {
        let mut kept = self.kept();
        let is_other = |kept: &Arc<Token>| refused.is_some_and(|refused| !Arc::ptr_eq(kept, refused));
        if !kept.as_ref().is_some_and(is_other) {
            *kept = None;
        }
    }

    async fn ask(&self, client: &Client, now: Millis) -> Result<Token, Failure> {
        let Purpose { label, within, .. } = self.account.purpose;
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT)
            .append_pair("assertion", &self.account.assertion(now)?)
            .finish();
        let request = client
            .request(Method::POST, self.account.token_url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        let limits = ExchangeLimits {
            deadline: within,
            response_bytes: MAX_ANSWER_BYTES,
            redirects: 0,
            now,
        };
        let answer = client.exchange_any(request, &limits).await.map_err(|failure| {
            let mut failure = Failure::from(failure);
            failure.message = format!("{label}: no token for the service account: {}", failure.message);
            failure
        })?;
        let read: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (code, what) = match answer.status {
            200 => (ErrorCode::ServiceUnavailable, "the server of tokens has given none"),
            400 | 401 | 403 => (
                ErrorCode::Unauthorized,
                "the service account's key is refused, or this machine's clock is wrong",
            ),
            429 => (ErrorCode::RateLimited, "the server of tokens was asked too often"),
            _ => (ErrorCode::ServiceUnavailable, "the server of tokens gives none now"),
        };
        let failure = || Failure {
            retry_after: retry_after_in(&answer.headers, now),
            ..Failure::new(
                code,
                format!("{label}: {what} (HTTP {}{})", answer.status, error_code(&read)),
            )
        };
        let token = read.get("access_token").and_then(Value::as_str);
        let token = token.filter(|_| answer.status == 200).ok_or_else(failure)?;
        let seconds = read.get("expires_in").and_then(Value::as_i64).unwrap_or(0);
        let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| failure())?;
        header.set_sensitive(true);
        Ok(Token {
            header,
            until: now.saturating_add(seconds.saturating_mul(1_000)).saturating_sub(MARGIN),
        })
    }
}

/// `, invalid_grant`: the code in an answer, if it is one. Its words may quote values.
fn error_code(answer: &Value) -> String {
    let code = answer.get("error").and_then(Value::as_str).unwrap_or_default();
    let is_code = !code.is_empty() && code.len() <= MAX_CODE_CHARS;
    if is_code && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        format!(", {code}")
    } else {
        String::new()
    }
}
