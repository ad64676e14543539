//! Access tokens of a service account: asked for with a signed assertion, and kept until shortly before they expire.
//!
//! Invariant: one attempt asks at a time, and those that waited for it take the token that it got.

use super::super::rest::{Request, Rest};
use crate::clock::{Clock, Millis, SystemClock};
use crate::connector::Failure;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Mutex;
use url::Url;

/// Where tokens are had, unless the key says otherwise.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// What a token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/pubsub";
/// For how long an assertion is good, in seconds.
const ASSERTION_SECONDS: i64 = 3_600;
/// How long before its end a token is not used any more, in ms.
const MARGIN: i64 = 60_000;

/// A service account.
pub(super) struct Account {
    email: String,
    key: RsaKeyPair,
    key_id: Option<String>,
    token_url: Url,
    /// The project that it belongs to.
    pub(super) project: Option<String>,
}

impl Account {
    /// Reads a key as Google hands it out: JSON.
    pub(super) fn read(text: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::invalid(format!("config.credentials: {what}"));
        let json: Value =
            serde_json::from_str(text).map_err(|_| wrong("is no JSON; it must be a key of a service account"))?;
        let member = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        let email = member("client_email").ok_or_else(|| wrong("has no `client_email`"))?;
        let key = member("private_key").ok_or_else(|| wrong("has no `private_key`"))?;
        // A variable of the environment often has the escapes of JSON still in it.
        let key = key.replace("\\n", "\n");
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_| wrong("its `private_key` is no PEM of a private key"))?;
        let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der())
            .map_err(|_| wrong("its `private_key` is no RSA key of 2048 bits or more"))?;
        let token_url = member("token_uri");
        let token_url = Url::parse(token_url.as_deref().unwrap_or(TOKEN_URL))
            .map_err(|_| wrong("its `token_uri` is no address"))?;
        Ok(Self {
            email,
            key,
            key_id: member("private_key_id"),
            token_url,
            project: member("project_id"),
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
            "scope": SCOPE,
            "aud": self.token_url.as_str(),
            "iat": issued,
            "exp": issued + ASSERTION_SECONDS,
        });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&head), encode(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| Failure::invalid("config.credentials: its `private_key` cannot sign"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// A token that is good for a while.
pub(super) struct Token {
    header: HeaderValue,
    /// When it is not used any more.
    until: Millis,
}

impl Token {
    /// What requests show.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

/// The tokens of an account.
pub(super) struct Tokens {
    account: Account,
    current: Mutex<Option<Arc<Token>>>,
}

impl Tokens {
    pub(super) fn new(account: Account) -> Self {
        Self {
            account,
            current: Mutex::default(),
        }
    }

    /// The token that there is, or a new one.
    pub(super) async fn current(&self, rest: &Rest) -> Result<Arc<Token>, Failure> {
        let mut current = self.current.lock().await;
        let now = SystemClock.now();
        if let Some(token) = current.as_ref().filter(|token| token.until > now) {
            return Ok(Arc::clone(token));
        }
        let token = Arc::new(self.ask(rest, now).await?);
        *current = Some(Arc::clone(&token));
        Ok(token)
    }

    /// This one was refused.
    pub(super) async fn forget(&self, refused: &Arc<Token>) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|token| Arc::ptr_eq(token, refused)) {
            *current = None;
        }
    }

    async fn ask(&self, rest: &Rest, now: Millis) -> Result<Token, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        // Neither base64 for addresses nor dots need encoding.
        let body = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={}",
            self.account.assertion(now)?
        );
        let request = Request {
            method: Method::POST,
            url: self.account.token_url.clone(),
            headers,
            body: body.into_bytes(),
        };
        let answer = rest.ask(request).await?;
        let status = answer.status;
        if matches!(status, 400 | 401 | 403) {
            return Err(Failure::unauthorized(format!(
                "Pub/Sub: the service account's key is refused, or this machine's clock is wrong (HTTP {status})"
            )));
        }
        let unreadable =
            || Failure::unavailable(format!("Pub/Sub: the server of tokens gives none now (HTTP {status})"));
        if status != 200 {
            return Err(unreadable());
        }
        let read: Value = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
        let token = read
            .get("access_token")
            .and_then(Value::as_str)
            .ok_or_else(unreadable)?;
        let seconds = read.get("expires_in").and_then(Value::as_i64).unwrap_or(0);
        let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| unreadable())?;
        header.set_sensitive(true);
        Ok(Token {
            header,
            until: now + seconds.saturating_mul(1_000) - MARGIN,
        })
    }
}
