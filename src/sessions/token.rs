//! Tokens in JWT compact form: header, claims and signature in base64url, separated by dots.

use super::{SigningKey, VerifyingKey, unauthorized};
use crate::clock::Millis;
use crate::error::Result;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Longer tokens are rejected without being parsed.
const MAX_TOKEN_BYTES: usize = 64 * 1024;
/// Tolerated difference between the clocks of issuer and verifier, ms.
const CLOCK_LEEWAY_MS: i64 = 5_000;

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Critical extensions; a token that has any is rejected, since none is supported.
    crit: Option<serde::de::IgnoredAny>,
}

/// The registered claims that matter here; times in seconds since the epoch.
#[derive(Debug, Deserialize)]
struct RegisteredClaims {
    exp: Option<f64>,
    nbf: Option<f64>,
    jti: Option<Box<str>>,
    sid: Option<Box<str>>,
}

/// The payload of a token.
#[derive(Clone)]
pub struct TokenPayload {
    /// The claims, as JSON text.
    pub claims: Box<str>,
    /// When the token expires (`exp`), ms since the epoch.
    pub expires: Option<Millis>,
    /// When the token becomes valid (`nbf`), ms since the epoch.
    pub not_before: Option<Millis>,
    /// The id for revocation: that of the session (`sid`), or else of the token (`jti`).
    pub id: Option<Box<str>>,
}

impl std::fmt::Debug for TokenPayload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenPayload(…)")
    }
}

fn decode_base64(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

struct TokenParts<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// The signed part: header and claims.
    message: &'a str,
}

fn split_token(token: &str) -> Result<TokenParts<'_>> {
    let malformed = || unauthorized("is no JWT: it must be three parts of base64url with dots between them");
    if token.len() > MAX_TOKEN_BYTES {
        return Err(unauthorized(format!("is longer than {MAX_TOKEN_BYTES} bytes")));
    }
    let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
    let (header, claims) = message.split_once('.').ok_or_else(malformed)?;
    if claims.contains('.') {
        return Err(malformed());
    }
    Ok(TokenParts {
        header,
        claims,
        signature,
        message,
    })
}

fn parse_payload(part: &str) -> Result<TokenPayload> {
    let unreadable = || unauthorized("has claims that are no JSON object");
    let claims = decode_base64(part)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(unreadable)?;
    let claims = claims.trim();
    if !claims.starts_with('{') {
        return Err(unreadable());
    }
    let registered: RegisteredClaims = serde_json::from_str(claims).map_err(|_| unreadable())?;
    let ms = |seconds: f64| (seconds * 1000.0) as Millis;
    Ok(TokenPayload {
        claims: claims.into(),
        expires: registered.exp.map(ms),
        not_before: registered.nbf.map(ms),
        id: registered.sid.or(registered.jti),
    })
}

/// The payload of a token whose signature is valid. Does not check its validity period: [`check_validity_period`] does.
///
/// # Errors
/// `UNAUTHORIZED`, with a message that contains no part of the token.
pub fn verify(token: &str, key: &VerifyingKey) -> Result<TokenPayload> {
    let parts = split_token(token)?;
    let header: Header = decode_base64(parts.header)
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| unauthorized("has no readable header"))?;
    let wanted = key.algorithm().name();
    if header.alg.eq_ignore_ascii_case("none") || parts.signature.is_empty() {
        return Err(unauthorized("is not signed"));
    }
    if header.alg != wanted {
        return Err(unauthorized(format!(
            "is not signed with {wanted}, the algorithm of its session resource"
        )));
    }
    if header.crit.is_some() {
        return Err(unauthorized("needs extensions (`crit`) that are not known"));
    }
    let signature = decode_base64(parts.signature).ok_or_else(|| unauthorized("has no readable signature"))?;
    key.verify(header.kid.as_deref(), parts.message.as_bytes(), &signature)?;
    parse_payload(parts.claims)
}

/// The payload of a token, without checking its signature.
///
/// # Errors
/// `UNAUTHORIZED` if it cannot be parsed.
pub fn read_unverified(token: &str) -> Result<TokenPayload> {
    parse_payload(split_token(token)?.claims)
}

/// Checks that a token has not expired and is already valid at `now`, with [`CLOCK_LEEWAY_MS`].
///
/// # Errors
/// `UNAUTHORIZED`.
pub fn check_validity_period(payload: &TokenPayload, now: Millis) -> Result<()> {
    if payload
        .expires
        .is_some_and(|end| end.saturating_add(CLOCK_LEEWAY_MS) <= now)
    {
        return Err(unauthorized("has expired; start or refresh the session"));
    }
    if payload
        .not_before
        .is_some_and(|start| start.saturating_sub(CLOCK_LEEWAY_MS) > now)
    {
        return Err(unauthorized("is not valid yet"));
    }
    Ok(())
}

/// Issues a token with these claims, the JSON text of an object.
///
/// # Errors
/// Signing failed.
pub fn issue(claims: &str, key: &SigningKey) -> Result<String> {
    let header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, key.algorithm().name());
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(message.as_bytes())?;
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
