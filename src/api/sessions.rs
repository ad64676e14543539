//! `ductape.sessions`: starts, checks, renews and ends sessions whose resource has a signing key.
//!
//! Tokens are not stored. A refresh token is stored as its hash, and is good once; a session that is revoked is
//! remembered until the last of its tokens has ended.

use super::fields::{Fields, describe};
use super::instance::Instance;
use crate::clock::Millis;
use crate::engine::inputs::{SessionCheck, SessionKeys, entry_space, revocation_key};
use crate::error::{Error, ErrorCode, Problem, Result};
use crate::model::job::Session;
use crate::sessions;
use crate::store::{Entry, EntryKey, EntryKind, Store};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;

/// How long a refresh token is good, ms.
const REFRESH_TOKEN_LIFETIME_MS: i64 = 30 * 86_400_000;
/// Largest data of a session, in bytes of JSON: it travels with every job.
const MAX_DATA_BYTES: usize = 16 * 1024;
/// Claims that are set here.
const RESERVED_CLAIMS: [&str; 5] = ["exp", "iat", "nbf", "jti", "sid"];

/// What is remembered of a refresh token.
#[derive(Deserialize, Serialize)]
struct RefreshTokenRecord<'a> {
    sid: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Serialize)]
struct StartedSession {
    token: String,
    refresh_token: String,
    expires_at: Millis,
}

#[derive(Serialize)]
struct VerifiedSession<'a> {
    tag: &'a str,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Millis>,
}

/// A call's argument, read: whose session it is.
struct SessionRequest<'a> {
    fields: Fields<'a>,
    product: Box<str>,
    tag: Box<str>,
    token: Option<Box<str>>,
}

/// Answers `sessions.start`, `verify`, `refresh` or `revoke`.
///
/// # Errors
/// What the method documents.
pub(super) async fn call(instance: &Instance, method: &str, text: &str) -> Result<String> {
    let engine = instance.engine().await?;
    let store = &*engine.store;
    match method {
        "sessions.start" => start(instance, store, text).await,
        "sessions.verify" => verify(instance, store, text).await,
        "sessions.refresh" => refresh(instance, store, text).await,
        "sessions.revoke" => revoke(instance, store, text).await,
        _ => Err(Error::new(ErrorCode::NotFound, format!("there is no method {method}"))),
    }
}

fn read<'a>(instance: &Instance, text: &'a str, known: &[&str]) -> Result<SessionRequest<'a>> {
    let invalid = |problems| Error::invalid(ErrorCode::ValidationError, problems);
    let mut fields = Fields::read(text, "").map_err(|problem| invalid(vec![problem]))?;
    fields.refuse_unknown(&[&["product", "env", "tag"], known].concat());
    let mut token: Option<Box<str>> = fields.string("token").map(|token| token.as_ref().into());
    let mut tag: Option<Box<str>> = fields.tag("tag").map(|tag| tag.as_ref().into());
    // A token of this package names its resource.
    let named = token.as_deref().and_then(|token| token.split_once(':'));
    if let Some((own, rest)) = named.filter(|(own, _)| tag.as_deref().is_none_or(|tag| tag == *own)) {
        (tag, token) = (Some(own.into()), Some(rest.into()));
    }
    let product = match fields.tag("product") {
        Some(product) => Some(Box::from(product.as_ref())),
        None => instance.options.defaults.product.clone(),
    };
    if product.is_none() {
        fields.problem("product", "is missing; give it here or as `product` of the constructor");
    }
    if tag.is_none() && fields.problems.is_empty() {
        fields.problem("tag", "is missing; it must be the tag of a session resource");
    }
    match (product, tag) {
        (Some(product), Some(tag)) if fields.problems.is_empty() => Ok(SessionRequest {
            fields,
            product,
            tag,
            token,
        }),
        _ => Err(invalid(fields.problems)),
    }
}

fn invalid_field(name: &str, message: &str) -> Error {
    Error::invalid(ErrorCode::ValidationError, vec![Problem::new(name, message)])
}

/// The keys of the session resource of a request.
async fn keys_of(instance: &Instance, request: &SessionRequest<'_>) -> Result<Arc<SessionKeys>> {
    let sessions = &instance.options.engine.sessions;
    let keys = sessions.session_keys(&request.product, &request.tag).await?;
    keys.ok_or_else(|| {
        let message = format!(
            "`resources` has no session resource '{}' for the product '{}'",
            request.tag, request.product
        );
        Error::new(ErrorCode::NotFound, message)
    })
}

async fn start(instance: &Instance, store: &dyn Store, text: &str) -> Result<String> {
    let request = read(instance, text, &["data"])?;
    let data = request.fields.raw("data").unwrap_or("{}");
    let given = Fields::read(data, "data")
        .map_err(|_| invalid_field("data", &format!("must be an object, got {}", describe(data))))?;
    if let Some(name) = RESERVED_CLAIMS.into_iter().find(|name| given.raw(name).is_some()) {
        return Err(invalid_field(
            &format!("data.{name}"),
            "is set by the session itself; choose another name",
        ));
    }
    if data.len() > MAX_DATA_BYTES {
        return Err(invalid_field(
            "data",
            &format!("is {} bytes of JSON, the limit is {MAX_DATA_BYTES}", data.len()),
        ));
    }
    let keys = keys_of(instance, &request).await?;
    issue(instance, store, &request, &keys, &random(16)?, data).await
}

/// Makes a token and a refresh token of a session.
async fn issue(
    instance: &Instance,
    store: &dyn Store,
    request: &SessionRequest<'_>,
    keys: &SessionKeys,
    sid: &str,
    data: &str,
) -> Result<String> {
    let Some(key) = &keys.signing else {
        let message = "has no key to sign with; give it a `secret` or a `privateKey`";
        return Err(invalid_field(&format!("resources.sessions.{}", request.tag), message));
    };
    let now = instance.now();
    let expires_at = now.saturating_add(keys.resource.expiry);
    let (issued, end) = (now.div_euclid(1000), expires_at.div_euclid(1000));
    let inner = data.trim().trim_start_matches('{').trim_start();
    let comma = if inner.starts_with('}') { "" } else { "," };
    let claims = format!(r#"{{"iat":{issued},"exp":{end},"sid":"{sid}"{comma}{inner}"#);
    let token = sessions::issue(&claims, key)?;
    let refresh_token = random(32)?;
    let data = serde_json::from_str(data).map_err(|_| invalid_field("data", "must be an object"))?;
    let record = RefreshTokenRecord { sid, data };
    let entry = Entry {
        at: refresh_key(request, &refresh_token),
        value: to_json(&record)?.into(),
        expires: now.saturating_add(REFRESH_TOKEN_LIFETIME_MS),
    };
    store.put_entry(entry).await?;
    to_json(&StartedSession {
        token: format!("{}:{token}", request.tag),
        refresh_token,
        expires_at: end * 1000,
    })
}

async fn verify(instance: &Instance, store: &dyn Store, text: &str) -> Result<String> {
    let request = read(instance, text, &["token"])?;
    let payload = verified_payload(instance, store, &request, Some(instance.now())).await?;
    let data = serde_json::from_str(&payload.claims).map_err(|_| sessions::unauthorized("has unreadable claims"))?;
    to_json(&VerifiedSession {
        tag: &request.tag,
        data,
        expires_at: payload.expires,
    })
}

/// What the token of a request says, once it is found right.
async fn verified_payload(
    instance: &Instance,
    store: &dyn Store,
    request: &SessionRequest<'_>,
    now: Option<Millis>,
) -> Result<sessions::TokenPayload> {
    let Some(token) = &request.token else {
        return Err(invalid_field("token", "is missing; it must be a string"));
    };
    let keys = keys_of(instance, request).await?;
    if keys.verifying.is_none() {
        let message = "has no key to check tokens with; give it a `secret`, a `publicKey` or `jwks`";
        return Err(invalid_field(&format!("resources.sessions.{}", request.tag), message));
    }
    let session = Session {
        tag: request.tag.clone(),
        token: token.clone(),
    };
    let sessions = &instance.options.engine.sessions;
    match sessions.verify(store, &request.product, &session, now).await? {
        SessionCheck::Verified(payload) | SessionCheck::Unverified(payload) => Ok(payload),
        SessionCheck::Unknown(why) => Err(Error::new(ErrorCode::NotFound, why)),
    }
}

async fn refresh(instance: &Instance, store: &dyn Store, text: &str) -> Result<String> {
    let mut request = read(instance, text, &["refresh_token"])?;
    let keys = keys_of(instance, &request).await?;
    let Some(token) = request.fields.string("refresh_token") else {
        return Err(invalid_field("refresh_token", "is missing; it must be a string"));
    };
    let now = instance.now();
    let taken = store.take_entry(refresh_key(&request, &token), now).await?;
    let refused = || {
        let problem = Problem::new(
            "refresh_token",
            "is not known: it was used, revoked, or has expired; start a new session",
        );
        Error::invalid(ErrorCode::Unauthorized, vec![problem])
    };
    let taken = taken.ok_or_else(refused)?;
    let record: RefreshTokenRecord<'_> = serde_json::from_str(&taken).map_err(|_| refused())?;
    let revoked = store
        .entry(revocation_key(&request.product, &request.tag, record.sid), Millis::MIN)
        .await?;
    if revoked.is_some() {
        return Err(refused());
    }
    issue(instance, store, &request, &keys, record.sid, record.data.get()).await
}

async fn revoke(instance: &Instance, store: &dyn Store, text: &str) -> Result<String> {
    let mut request = read(instance, text, &["token", "refresh_token"])?;
    let now = instance.now();
    let (id, expires) = match request.fields.string("refresh_token") {
        Some(token) => {
            let taken = store.take_entry(refresh_key(&request, &token), now).await?;
            let Some(taken) = taken else { return Ok(String::new()) };
            let record: Option<RefreshTokenRecord<'_>> = serde_json::from_str(&taken).ok();
            (record.map(|record| Box::from(record.sid)), now)
        }
        None => {
            let payload = match verified_payload(instance, store, &request, None).await {
                Ok(payload) => payload,
                // Whoever revokes twice has what was asked for.
                Err(error) if is_revoked(&error) => return Ok(String::new()),
                Err(error) => return Err(error),
            };
            (payload.id, payload.expires.unwrap_or(i64::MAX))
        }
    };
    let Some(id) = id else {
        return Err(invalid_field(
            "token",
            "has neither `sid` nor `jti`, so that it cannot be told from others",
        ));
    };
    let entry = Entry {
        at: revocation_key(&request.product, &request.tag, &id),
        value: "".into(),
        // As long as a refresh token of the session may be about; with leeway for clocks that differ.
        expires: expires
            .max(now.saturating_add(REFRESH_TOKEN_LIFETIME_MS))
            .saturating_add(60_000),
    };
    store.put_entry(entry).await?;
    Ok(String::new())
}

fn is_revoked(error: &Error) -> bool {
    error.code == ErrorCode::Unauthorized && error.message.ends_with("was revoked")
}

/// Where a refresh token is remembered: under its hash, so that the store's file opens no session.
fn refresh_key(request: &SessionRequest<'_>, token: &str) -> EntryKey {
    let hash = digest::digest(&digest::SHA256, token.as_bytes());
    EntryKey {
        kind: EntryKind::Session,
        space: entry_space("refresh", &request.product, &request.tag),
        key: URL_SAFE_NO_PAD.encode(hash).into(),
    }
}

fn random(bytes: usize) -> Result<String> {
    let mut buffer = vec![0; bytes];
    SystemRandom::new()
        .fill(&mut buffer)
        .map_err(|_| Error::new(ErrorCode::ServiceUnavailable, "the system gives no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(buffer))
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::new(ErrorCode::StoreError, "cannot show the answer").with_source(error))
}
