//! `ductape.caches`: values that programs keep beside the results of jobs.

use super::dispatch::Defaults;
use super::fields::{Fields, MAX_SAFE_INTEGER};
use super::method::CachesMethod;
use crate::engine::Engine;
use crate::engine::inputs::{ResultCache, cache_space};
use crate::error::{Error, Result};
use crate::store::{Entry, EntryKey, EntryKind};

/// Largest value, in bytes of JSON.
const MAX_VALUE_BYTES: usize = 256 * 1024;
/// Longest key, in characters.
const MAX_KEY_CHARS: usize = 1_024;

/// Answers a method of `ductape.caches`.
///
/// # Errors
/// What the method documents.
pub(super) async fn call(engine: &Engine, defaults: &Defaults, method: CachesMethod, argument: &str) -> Result<String> {
    let request = CacheRequest::read(method, argument, defaults)?;
    let (store, now) = (&engine.store, engine.clock.now());
    let at = EntryKey {
        kind: EntryKind::Cache,
        space: cache_space(&request.product, &request.env, &request.tag),
        key: request.key,
    };
    match method {
        CachesMethod::Get => Ok(store.entry(at, now).await?.map(String::from).unwrap_or_default()),
        CachesMethod::Set => {
            let resources = &engine.config.resources;
            let default = || resources.cache_expiry(&request.product, &request.tag);
            let expires = now.saturating_add(request.expiry.unwrap_or_else(default));
            let value = request.value.into();
            store.put_entry(Entry { at, value, expires }).await?;
            Ok(String::new())
        }
        CachesMethod::Clear => store.take_entry(at, now).await.map(|_| String::new()),
        CachesMethod::ClearAll => {
            ResultCache::mark_cleared(&**store, &at.space, now).await?;
            let count = store.clear_entries(at.kind, &at.space).await?;
            Ok(format!("{{\"count\":{count}}}"))
        }
    }
}

/// The argument of a method.
struct CacheRequest<'a> {
    product: Box<str>,
    env: Box<str>,
    tag: Box<str>,
    /// Empty for `clearAll`, which takes none.
    key: Box<str>,
    /// JSON; only `set` has one.
    value: &'a str,
    /// ms
    expiry: Option<i64>,
}

impl<'a> CacheRequest<'a> {
    fn read(method: CachesMethod, argument: &'a str, defaults: &Defaults) -> Result<Self> {
        let mut fields = Fields::read(argument, "")?;
        fields.refuse_unknown(match method {
            CachesMethod::Set => &["product", "env", "tag", "key", "value", "expiry"],
            CachesMethod::ClearAll => &["product", "env", "tag"],
            CachesMethod::Get | CachesMethod::Clear => &["product", "env", "tag", "key"],
        });
        let product = name(&mut fields, "product", defaults.product.as_deref());
        let env = name(&mut fields, "env", defaults.env.as_deref());
        let tag = name(&mut fields, "tag", None);
        let key = match method {
            CachesMethod::ClearAll => None,
            _ => read_key(&mut fields),
        };
        let expiry = fields.integer("expiry", 1, MAX_SAFE_INTEGER);
        if matches!(method, CachesMethod::Set) && !fields.is_written("value") {
            // `undefined` and functions have no JSON.
            fields.problem(
                "value",
                "is missing; give any value that has JSON, `null` is one, or use `clear`",
            );
        }
        let value = fields.raw("value").unwrap_or("null");
        if value.len() > MAX_VALUE_BYTES {
            fields.problem(
                "value",
                format!("is {} bytes of JSON, the limit is {MAX_VALUE_BYTES}", value.len()),
            );
        }
        if !fields.problems.is_empty() {
            return Err(Error::invalid(fields.problems));
        }
        Ok(Self {
            product,
            env,
            tag,
            key: key.unwrap_or_default(),
            value,
            expiry,
        })
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
    // The prefix keeps it apart from the results of jobs.
    Some(format!("key:{key}").into())
}
