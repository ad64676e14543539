//! `ductape.caches`: values of a program's own beside the results that jobs keep.

use super::fields::Fields;
use super::instance::Instance;
use crate::engine::inputs::cache_space;
use crate::error::{Error, ErrorCode, Result};
use crate::store::{Entry, EntryKey, EntryKind};

/// Largest value, in bytes of JSON.
const MAX_VALUE_BYTES: usize = 256 * 1024;
/// Longest key, in characters.
const MAX_KEY_CHARS: usize = 1_024;
/// The longest expiry, ms.
const MAX_EXPIRY_MS: i64 = 9_007_199_254_740_991;

/// Answers `caches.get`, `set`, `clear` or `clearAll`.
///
/// # Errors
/// What the method documents.
pub(super) async fn call(instance: &Instance, method: &str, text: &str) -> Result<String> {
    let invalid = |problems| Error::invalid(ErrorCode::ValidationError, problems);
    let mut fields = Fields::read(text, "").map_err(|problem| invalid(vec![problem]))?;
    let known: &[&str] = match method {
        "caches.set" => &["product", "env", "tag", "key", "value", "expiry"],
        "caches.clearAll" => &["product", "env", "tag"],
        _ => &["product", "env", "tag", "key"],
    };
    fields.refuse_unknown(known);
    let defaults = &instance.options.defaults;
    let product = name(&mut fields, "product", defaults.product.as_deref());
    let env = name(&mut fields, "env", defaults.env.as_deref());
    let tag = name(&mut fields, "tag", None);
    let key = known.contains(&"key").then(|| read_key(&mut fields)).flatten();
    let expiry = fields.integer("expiry", 1, MAX_EXPIRY_MS);
    let value = fields.raw("value").unwrap_or("null");
    if value.len() > MAX_VALUE_BYTES {
        fields.problem(
            "value",
            format!("is {} bytes of JSON, the limit is {MAX_VALUE_BYTES}", value.len()),
        );
    }
    if !fields.problems.is_empty() {
        return Err(invalid(fields.problems));
    }
    let engine = instance.engine().await?;
    let (store, now) = (&engine.store, instance.now());
    let at = EntryKey {
        kind: EntryKind::Cache,
        space: cache_space(&product, &env, &tag),
        key: key.unwrap_or_default(),
    };
    match method {
        "caches.get" => Ok(store.entry(at, now).await?.map(String::from).unwrap_or_default()),
        "caches.set" => {
            let resources = &instance.options.engine.resources;
            let expiry = expiry.unwrap_or_else(|| resources.cache_expiry(&product, &tag));
            let expires = now.saturating_add(expiry);
            let value = value.into();
            store.put_entry(Entry { at, value, expires }).await?;
            Ok(String::new())
        }
        "caches.clear" => store.take_entry(at, now).await.map(|_| String::new()),
        "caches.clearAll" => {
            let count = store.clear_entries(at.kind, &at.space).await?;
            Ok(format!("{{\"count\":{count}}}"))
        }
        _ => Err(Error::new(ErrorCode::NotFound, format!("there is no method {method}"))),
    }
}

fn name(fields: &mut Fields<'_>, name: &str, default: Option<&str>) -> Box<str> {
    if fields.raw(name).is_some() {
        return fields.tag(name).map(|value| value.as_ref().into()).unwrap_or_default();
    }
    if default.is_none() {
        fields.problem(name, "is missing; it must be a string");
    }
    default.unwrap_or_default().into()
}

fn read_key(fields: &mut Fields<'_>) -> Option<Box<str>> {
    if fields.raw("key").is_none() {
        fields.problem("key", "is missing; it must be a string");
        return None;
    }
    let key = fields.string("key")?;
    if key.chars().count() > MAX_KEY_CHARS {
        fields.problem("key", format!("must have at most {MAX_KEY_CHARS} characters"));
        return None;
    }
    // Apart from the results of jobs.
    Some(format!("key:{key}").into())
}
