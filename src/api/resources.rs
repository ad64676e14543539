//! Reads the constructor's `resources`: an object, or the path of a JSON file that holds one.
//!
//! Sections that are not modelled yet are accepted as they are.

use super::fields::{Fields, describe, nearest};
use crate::error::Problem;
use crate::resources::{Algorithm, DEFAULT_CACHE_EXPIRY, KeySource, Resources, SessionResource};
use serde_json::value::RawValue;

/// Largest file that is read, in bytes.
const LARGEST_FILE: u64 = 16 << 20;
/// How long a token that is issued is valid when nothing else is said, ms.
const DEFAULT_EXPIRY: i64 = 3_600_000;
/// The longest expiry, ms.
const LONGEST: i64 = 9_007_199_254_740_991;
const DAY: i64 = 86_400_000;

/// What `expiry` counts.
const PERIODS: [(&str, i64); 8] = [
    ("milliseconds", 1),
    ("seconds", 1_000),
    ("minutes", 60_000),
    ("hours", 3_600_000),
    ("days", DAY),
    ("weeks", 7 * DAY),
    ("months", 30 * DAY),
    ("years", 365 * DAY),
];

/// Reads `resources` of the options; problems are noted there.
pub fn read_resources(options: &mut Fields<'_>) -> Resources {
    let mut resources = Resources::default();
    match options.raw("resources") {
        None => {}
        Some(text) if text.starts_with('"') => {
            let Some(path) = options.string("resources") else {
                return resources;
            };
            match read_file(&path) {
                Ok(text) => options.problems.extend(read_text(&text, &mut resources)),
                Err(why) => options.problem("resources", format!("the file cannot be read: {why}")),
            }
        }
        Some(text) => {
            let problems = read_text(text, &mut resources);
            options.problems.extend(problems);
        }
    }
    resources
}

fn read_file(path: &str) -> Result<String, String> {
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if found.len() > LARGEST_FILE {
        return Err(format!("it is larger than {LARGEST_FILE} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    serde_json::from_str::<&RawValue>(&text).map_err(|error| format!("it is no JSON: {error}"))?;
    Ok(text.trim().to_owned())
}

fn read_text(text: &str, resources: &mut Resources) -> Vec<Problem> {
    let mut fields = match Fields::read(text, "resources") {
        Ok(fields) => fields,
        Err(problem) => return vec![problem],
    };
    for mut product in members(&mut fields, "products") {
        if let Some(tag) = required_tag(&mut product) {
            for mut session in members(&mut product, "sessions") {
                read_session(&mut session, &tag, resources);
                product.absorb(session);
            }
            for mut cache in members(&mut product, "caches") {
                read_cache(&mut cache, &tag, resources);
                product.absorb(cache);
            }
        }
        fields.absorb(product);
    }
    fields.problems
}

/// The objects of a list.
fn members<'a>(fields: &mut Fields<'a>, name: &str) -> Vec<Fields<'a>> {
    let Some(text) = fields.raw(name) else {
        return Vec::new();
    };
    let Ok(list) = serde_json::from_str::<Vec<&'a RawValue>>(text) else {
        fields.problem(name, format!("must be a list, got {}", describe(text)));
        return Vec::new();
    };
    let mut read = Vec::with_capacity(list.len());
    for (index, member) in list.into_iter().enumerate() {
        match Fields::read(member.get(), &fields.path(&format!("{name}[{index}]"))) {
            Ok(member) => read.push(member),
            Err(problem) => fields.problems.push(problem),
        }
    }
    read
}

fn required_tag<'a>(fields: &mut Fields<'a>) -> Option<std::borrow::Cow<'a, str>> {
    if fields.raw("tag").is_none() {
        fields.problem("tag", "is missing; it must be a string");
        return None;
    }
    fields.tag("tag")
}

fn read_cache(cache: &mut Fields<'_>, product: &str, resources: &mut Resources) {
    cache.refuse_unknown(&["tag", "expiry", "name", "description"]);
    let expiry = cache.integer("expiry", 1, LONGEST).unwrap_or(DEFAULT_CACHE_EXPIRY);
    if let Some(tag) = required_tag(cache)
        && !resources.add_cache(product, &tag, expiry)
    {
        cache.problem("tag", format!("'{tag}' is the tag of another cache of the product"));
    }
}

fn read_session(session: &mut Fields<'_>, product: &str, resources: &mut Resources) {
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
    let algorithm = read_algorithm(session);
    let key = read_key(session);
    if let (Some(algorithm), Some(key)) = (algorithm, &key) {
        check_key(session, algorithm, key);
    }
    let private_key = session.string("privateKey").map(|pem| pem.as_ref().into());
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
            Some(near) => format!(
                "'{}' is not supported; did you mean '{near}'?",
                super::fields::shown(&name)
            ),
            None => format!(
                "'{}' is not supported; known are {}",
                super::fields::shown(&name),
                names.join(", ")
            ),
        };
        session.problem("algorithm", message);
    }
    known.map(|(_, algorithm)| *algorithm)
}

/// `None`: there is a problem with it.
fn read_key(session: &mut Fields<'_>) -> Option<KeySource> {
    let given: Vec<&str> = ["secret", "publicKey", "jwks"]
        .into_iter()
        .filter(|name| session.raw(name).is_some())
        .collect();
    match given.as_slice() {
        [] => Some(KeySource::Absent),
        ["secret"] => session
            .string("secret")
            .map(|text| KeySource::Secret(text.as_ref().into())),
        ["publicKey"] => session
            .string("publicKey")
            .map(|text| KeySource::PublicKey(text.as_ref().into())),
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

/// What can be said of a key before its secrets are known.
fn check_key(session: &mut Fields<'_>, algorithm: Algorithm, key: &KeySource) {
    use crate::sessions::VerifyingKey;
    let (name, read) = match key {
        KeySource::Secret(text) if !text.contains('$') => ("secret", VerifyingKey::from_secret(algorithm, text)),
        KeySource::PublicKey(text) if !text.contains('$') => ("publicKey", VerifyingKey::from_pem(algorithm, text)),
        KeySource::Jwks(text) => ("jwks", VerifyingKey::from_jwks(algorithm, text)),
        _ => return,
    };
    if let Err(error) = read {
        session.problem(name, error.message);
    }
}

fn read_expiry(session: &mut Fields<'_>) -> i64 {
    let unit = session.word("period", &PERIODS);
    let count = session.integer("expiry", 1, LONGEST);
    if unit.is_some() && count.is_none() && session.raw("expiry").is_none() {
        session.problem("expiry", "is missing; `period` is its unit");
    }
    count.map_or(DEFAULT_EXPIRY, |count| {
        count.saturating_mul(unit.unwrap_or(1)).min(LONGEST)
    })
}
