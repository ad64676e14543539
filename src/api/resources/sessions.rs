//! Reads session resources, and checks their keys as far as they are known.

use super::members::{read_file, required_tag};
use super::texts::check_text;
use crate::api::fields::{Fields, nearest, truncated};
use crate::resources::{Algorithm, KeySource, Resources, SessionResource};
use crate::sessions::{SigningKey, VerifyingKey};

/// Default lifetime of issued tokens, ms.
const DEFAULT_EXPIRY_MS: i64 = 3_600_000;
/// The longest expiry, ms.
const MAX_EXPIRY_MS: i64 = 9_007_199_254_740_991;
const DAY_MS: i64 = 86_400_000;

/// Units of `expiry`, in ms.
const EXPIRY_UNITS: [(&str, i64); 8] = [
    ("milliseconds", 1),
    ("seconds", 1_000),
    ("minutes", 60_000),
    ("hours", 3_600_000),
    ("days", DAY_MS),
    ("weeks", 7 * DAY_MS),
    ("months", 30 * DAY_MS),
    ("years", 365 * DAY_MS),
];

/// A key, or where it is kept: an expression in it must be well-formed.
fn key_text(session: &mut Fields<'_>, name: &str) -> Option<Box<str>> {
    let text = session.string(name)?;
    check_text(session, name, &text);
    Some(text.as_ref().into())
}

pub(super) fn read(session: &mut Fields<'_>, product: &str, resources: &mut Resources) {
    session.refuse_unknown(&[
        "tag",
        "algorithm",
        "secret",
        "publicKey",
        "privateKey",
        "jwks",
        "expiry",
        "period",
        "verify",
        "name",
        "description",
    ]);
    let tag = required_tag(session);
    if tag.as_deref().is_some_and(|tag| tag.contains(':')) {
        session.problem(
            "tag",
            "must not contain ':', which stands between tag and token in a session's token",
        );
    }
    let algorithm = read_algorithm(session);
    let key = read_key(session);
    let private_key = key_text(session, "privateKey");
    if let (Some(algorithm), Some(key)) = (algorithm, &key) {
        let verifying = check_key(session, algorithm, key);
        check_private_key(session, algorithm, private_key.as_deref(), verifying.as_ref());
    }
    let expiry = read_expiry(session);
    let verify = session.boolean("verify").unwrap_or(true);
    let (Some(tag), Some(algorithm), Some(key)) = (tag, algorithm, key) else {
        return;
    };
    let resource = SessionResource {
        tag: tag.as_ref().into(),
        algorithm,
        key,
        private_key,
        expiry,
        verify,
    };
    if !resources.add_session(product, resource) {
        session.problem("tag", format!("'{tag}' is the tag of another session of the product"));
    }
}

fn read_algorithm(session: &mut Fields<'_>) -> Option<Algorithm> {
    if session.raw("algorithm").is_none() {
        return Some(Algorithm::Hs256);
    }
    let name = session.string("algorithm")?;
    let known = Algorithm::NAMES.iter().find(|(known, _)| *known == name);
    if known.is_none() {
        let names = Algorithm::NAMES.map(|(name, _)| name);
        let message = match nearest(&name, &names) {
            Some(near) => format!("'{}' is not supported; did you mean '{near}'?", truncated(&name)),
            None => format!(
                "'{}' is not supported; known are {}",
                truncated(&name),
                names.join(", ")
            ),
        };
        session.problem("algorithm", message);
    }
    known.map(|(_, algorithm)| *algorithm)
}

/// Reads the verification key. `None`: invalid.
fn read_key(session: &mut Fields<'_>) -> Option<KeySource> {
    let given: Vec<&str> = ["secret", "publicKey", "jwks"]
        .into_iter()
        .filter(|name| session.raw(name).is_some())
        .collect();
    match given.as_slice() {
        [] => Some(KeySource::Absent),
        ["secret"] => key_text(session, "secret").map(KeySource::Secret),
        ["publicKey"] => key_text(session, "publicKey").map(KeySource::PublicKey),
        ["jwks"] => read_jwks(session).map(KeySource::Jwks),
        several => {
            let message = format!("give one of {}, not several", several.join(", "));
            session.problem("secret", message);
            None
        }
    }
}

fn read_jwks(session: &mut Fields<'_>) -> Option<Box<str>> {
    let text = session.raw("jwks")?;
    if text.starts_with('{') {
        return Some(text.into());
    }
    let path = session.string("jwks")?;
    match read_file(&path) {
        Ok(text) => Some(text.into()),
        Err(why) => {
            session.problem("jwks", format!("the file cannot be read: {why}"));
            None
        }
    }
}

/// Checks a key as far as possible before its secrets are known. `None`: it is not known yet, or of no use.
fn check_key(session: &mut Fields<'_>, algorithm: Algorithm, key: &KeySource) -> Option<VerifyingKey> {
    let (name, read) = match key {
        KeySource::Secret(text) if !text.contains('$') => ("secret", VerifyingKey::from_secret(algorithm, text)),
        KeySource::PublicKey(text) if !text.contains('$') => ("publicKey", VerifyingKey::from_pem(algorithm, text)),
        KeySource::Jwks(text) => ("jwks", VerifyingKey::from_jwks(algorithm, text)),
        _ => return None,
    };
    read.map_err(|error| session.problem(name, error.message)).ok()
}

/// Checks the key that signs, and that it belongs to the one that verifies, as far as they are known.
fn check_private_key(
    session: &mut Fields<'_>,
    algorithm: Algorithm,
    pem: Option<&str>,
    verifying: Option<&VerifyingKey>,
) {
    let Some(pem) = pem.filter(|pem| !pem.contains('$')) else {
        return;
    };
    let checked = SigningKey::from_pem(algorithm, pem)
        .and_then(|key| verifying.map_or(Ok(()), |verifying| key.check_pair(verifying)));
    if let Err(error) = checked {
        session.problem("privateKey", error.message);
    }
}

fn read_expiry(session: &mut Fields<'_>) -> i64 {
    let unit = session.one_of("period", &EXPIRY_UNITS);
    let count = session.integer("expiry", 1, MAX_EXPIRY_MS);
    if unit.is_some() && count.is_none() && session.raw("expiry").is_none() {
        session.problem("expiry", "is missing; `period` is its unit");
    }
    count.map_or(DEFAULT_EXPIRY_MS, |count| {
        count.saturating_mul(unit.unwrap_or(1)).min(MAX_EXPIRY_MS)
    })
}
