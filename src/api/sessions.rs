//! `ductape.sessions`: starts, checks, renews and ends sessions whose resource has a signing key.
//!
//! Tokens are not stored. A refresh token is stored as its hash, and is good once; a session that is revoked is
//! remembered until the last token that can have been made of it has ended.

use super::dispatch::Defaults;
use super::fields::{Fields, describe};
use super::jobs::to_json;
use super::method::SessionsMethod;
use crate::clock::Millis;
use crate::engine::Engine;
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
/// Clocks of processes may differ by so much, ms.
const CLOCK_LEEWAY_MS: i64 = 60_000;
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
    /// When the last of the session's tokens ends, as far as issued by now: the resource may get a shorter `expiry`.
    #[serde(default)]
    until: Millis,
}

/// What a session is remembered as revoked by, and until when.
struct RevokedSession {
    id: Box<str>,
    until: Millis,
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

/// What the methods work with.
struct Context<'a> {
    engine: &'a Engine,
    defaults: &'a Defaults,
}

impl Context<'_> {
    fn store(&self) -> &dyn Store {
        &*self.engine.store
    }

    fn now(&self) -> Millis {
        self.engine.clock.now()
    }
}

/// Answers a method of `ductape.sessions`.
///
/// # Errors
/// What the method documents.
pub(super) async fn call(
    engine: &Engine,
    defaults: &Defaults,
    method: SessionsMethod,
    argument: &str,
) -> Result<String> {
    let context = Context { engine, defaults };
    match method {
        SessionsMethod::Start => start(&context, argument).await,
        SessionsMethod::Verify => verify(&context, argument).await,
        SessionsMethod::Refresh => refresh(&context, argument).await,
        SessionsMethod::Revoke => revoke(&context, argument).await,
    }
}

fn read<'a>(context: &Context<'_>, text: &'a str, known: &[&str]) -> Result<SessionRequest<'a>> {
    let mut fields = Fields::read(text, "")?;
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
        None => context.defaults.product.clone(),
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
        _ => Err(Error::invalid(fields.problems)),
    }
}

fn invalid_field(name: &str, message: &str) -> Error {
    Problem::new(name, message).into()
}

/// The keys of the session resource of a request.
async fn keys_of(context: &Context<'_>, request: &SessionRequest<'_>) -> Result<Arc<SessionKeys>> {
    let sessions = &context.defaults.sessions;
    let keys = sessions.session_keys(&request.product, &request.tag).await?;
    keys.ok_or_else(|| {
        let message = format!(
            "`resources` has no session resource '{}' for the product '{}'",
            request.tag, request.product
        );
        Error::new(ErrorCode::NotFound, message)
    })
}

async fn start(context: &Context<'_>, text: &str) -> Result<String> {
    let request = read(context, text, &["data"])?;
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
    let keys = keys_of(context, &request).await?;
    let sid = random(16)?;
    let data = serde_json::from_str(data).map_err(|_| invalid_field("data", "must be an object"))?;
    let session = RefreshTokenRecord {
        sid: &sid,
        data,
        until: 0,
    };
    issue(context, &request, &keys, session).await
}

/// Makes a token and a refresh token of a session.
async fn issue(
    context: &Context<'_>,
    request: &SessionRequest<'_>,
    keys: &SessionKeys,
    session: RefreshTokenRecord<'_>,
) -> Result<String> {
    let Some(key) = &keys.signing else {
        let message = "has no key to sign with; give it a `secret` or a `privateKey`";
        return Err(invalid_field(&format!("resources.sessions.{}", request.tag), message));
    };
    let now = context.now();
    let expires_at = now.saturating_add(keys.resource.expiry);
    let (issued, end) = (now.div_euclid(1000), expires_at.div_euclid(1000));
    let sid = session.sid;
    let inner = session.data.get().trim().trim_start_matches('{').trim_start();
    let comma = if inner.starts_with('}') { "" } else { "," };
    let claims = format!(r#"{{"iat":{issued},"exp":{end},"sid":"{sid}"{comma}{inner}"#);
    let token = sessions::issue(&claims, key)?;
    let refresh_token = random(32)?;
    let record = RefreshTokenRecord {
        until: session.until.max(expires_at),
        ..session
    };
    let entry = Entry {
        at: refresh_key(request, &refresh_token),
        value: to_json(&record)?.into(),
        expires: now.saturating_add(REFRESH_TOKEN_LIFETIME_MS),
    };
    context.store().put_entry(entry).await?;
    to_json(&StartedSession {
        token: format!("{}:{token}", request.tag),
        refresh_token,
        expires_at: end * 1000,
    })
}

async fn verify(context: &Context<'_>, text: &str) -> Result<String> {
    let request = read(context, text, &["token"])?;
    let payload = verified_payload(context, &request, Some(context.now())).await?;
    let payload = payload.ok_or_else(|| sessions::unauthorized("was revoked"))?;
    let data = serde_json::from_str(&payload.claims).map_err(|_| sessions::unauthorized("has unreadable claims"))?;
    to_json(&VerifiedSession {
        tag: &request.tag,
        data,
        expires_at: payload.expires,
    })
}

/// What the token of a request says, once it is found right; with `now`, valid at that time. `None`: its session was revoked.
async fn verified_payload(
    context: &Context<'_>,
    request: &SessionRequest<'_>,
    now: Option<Millis>,
) -> Result<Option<sessions::TokenPayload>> {
    let Some(token) = &request.token else {
        return Err(invalid_field("token", "is missing; it must be a string"));
    };
    let keys = keys_of(context, request).await?;
    if keys.verifying.is_none() {
        let message = "has no key to check tokens with; give it a `secret`, a `publicKey` or `jwks`";
        return Err(invalid_field(&format!("resources.sessions.{}", request.tag), message));
    }
    let session = Session {
        tag: request.tag.clone(),
        token: token.clone(),
    };
    let sessions = &context.defaults.sessions;
    let checked = sessions
        .verify_unless_revoked(context.store(), &request.product, &session, now)
        .await?;
    match checked {
        Some(SessionCheck::Verified(payload) | SessionCheck::Unverified(payload)) => Ok(Some(payload)),
        Some(SessionCheck::Unknown(why)) => Err(Error::new(ErrorCode::NotFound, why)),
        None => Ok(None),
    }
}

async fn refresh(context: &Context<'_>, text: &str) -> Result<String> {
    let mut request = read(context, text, &["refresh_token"])?;
    let keys = keys_of(context, &request).await?;
    let Some(token) = request.fields.string("refresh_token") else {
        return Err(invalid_field("refresh_token", "is missing; it must be a string"));
    };
    let now = context.now();
    let taken = context.store().take_entry(refresh_key(&request, &token), now).await?;
    let refused = || {
        let message = "is not known: it was used, revoked, or has expired; start a new session";
        Error::from(Problem::new("refresh_token", message).with_code(ErrorCode::Unauthorized))
    };
    let taken = taken.ok_or_else(refused)?;
    let record: RefreshTokenRecord<'_> = serde_json::from_str(&taken).map_err(|_| refused())?;
    let revoked = context
        .store()
        .entry(revocation_key(&request.product, &request.tag, record.sid), Millis::MIN)
        .await?;
    if revoked.is_some() {
        return Err(refused());
    }
    issue(context, &request, &keys, record).await
}

async fn revoke(context: &Context<'_>, text: &str) -> Result<String> {
    let mut request = read(context, text, &["token", "refresh_token"])?;
    let keys = keys_of(context, &request).await?;
    let refresh_token = request.fields.string("refresh_token");
    // All that can be refused comes before the first change.
    let by_token = match (&request.token, &refresh_token) {
        (None, Some(_)) => None,
        _ => Some(
            verified_payload(context, &request, None)
                .await?
                .map(revocable)
                .transpose()?,
        ),
    };
    let by_refresh_token = match &refresh_token {
        Some(token) => session_of(context, &request, token).await?,
        None => None,
    };
    if by_token.is_none() && by_refresh_token.is_none() {
        let message = "is not known: it was used or has expired, and nothing was revoked; give the session's `token`";
        return Err(Problem::new("refresh_token", message)
            .with_code(ErrorCode::Unauthorized)
            .into());
    }
    let now = context.now();
    // The last token that can be about: of the session, issued by now, and of a refresh token.
    let last = now.saturating_add(keys.resource.expiry.max(REFRESH_TOKEN_LIFETIME_MS));
    // Whoever revokes twice has what was asked for.
    for revoked in by_refresh_token.into_iter().chain(by_token.flatten()) {
        remember_revoked(context, &request, &revoked.id, revoked.until.max(last)).await?;
    }
    Ok(String::new())
}

fn revocable(payload: sessions::TokenPayload) -> Result<RevokedSession> {
    let unnamed = || {
        invalid_field(
            "token",
            "has neither `sid` nor `jti`, so that it cannot be told from others",
        )
    };
    Ok(RevokedSession {
        id: payload.id.ok_or_else(unnamed)?,
        until: payload.expires.unwrap_or(i64::MAX),
    })
}

/// The session of a refresh token; `None`: it is not known. The token stays, so that who revokes it again is told the same;
/// the session's revocation makes it useless.
async fn session_of(
    context: &Context<'_>,
    request: &SessionRequest<'_>,
    refresh_token: &str,
) -> Result<Option<RevokedSession>> {
    let at = refresh_key(request, refresh_token);
    let found = context.store().entry(at, context.now()).await?;
    let record = found
        .as_deref()
        .and_then(|text| serde_json::from_str::<RefreshTokenRecord<'_>>(text).ok());
    Ok(record.map(|record| RevokedSession {
        id: record.sid.into(),
        until: record.until,
    }))
}

/// Remembers that a session was revoked until its last token has ended, or longer if it was remembered for longer.
async fn remember_revoked(context: &Context<'_>, request: &SessionRequest<'_>, id: &str, last: Millis) -> Result<()> {
    let at = revocation_key(&request.product, &request.tag, id);
    let before = context.store().entry(at.clone(), Millis::MIN).await?;
    let before = before.and_then(|text| text.parse().ok()).unwrap_or(last);
    let last = last.max(before);
    let entry = Entry {
        at,
        value: last.to_string().into(),
        expires: last.saturating_add(CLOCK_LEEWAY_MS),
    };
    context.store().put_entry(entry).await
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
