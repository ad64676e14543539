//! Results that are kept, so that a later job with the same input need not run; and jobs of this process that wait for
//! one with the same input that is running.
//!
//! Invariant: only results of runs that completed are kept; a flight ends with the attempt that leads it, whatever came
//! of it.

use super::context::Context;
use super::handler::Level;
use super::preparation::{Preparation, PreparedInput, entry_space};
use crate::clock::Millis;
use crate::model::Route;
use crate::store::{ClaimedRun, Entry, EntryKey, EntryKind};
use ring::digest;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Largest result that is kept, in bytes of JSON.
const MAX_CACHED_RESULT_BYTES: usize = 256 * 1024;
/// Claims that differ from token to token of the same user.
const PER_TOKEN_CLAIMS: [&str; 5] = ["iat", "exp", "nbf", "jti", "sid"];

/// Jobs that others wait for.
#[derive(Debug, Default)]
pub struct SingleFlight(Mutex<HashMap<Box<str>, watch::Receiver<()>>>);

/// What caches stand on.
#[derive(Clone)]
pub struct ResultCache {
    /// Store, clock and logger.
    pub context: Context,
    /// Definitions of caches, and jobs that others wait for.
    pub preparation: Arc<Preparation>,
}

/// The lead of a flight; ends when it is dropped.
pub(super) struct Leader {
    cache: ResultCache,
    pub(super) cache_target: CacheTarget,
    /// Dropped with this: whoever waits is told.
    _sender: watch::Sender<()>,
}

/// Where a result is kept, and for how long.
pub(super) struct CacheTarget {
    at: EntryKey,
    expiry: i64,
}

/// What a cache says before a run.
pub(super) enum CacheLookup {
    /// JSON text of the result; empty: the run had none.
    Hit(Box<str>),
    /// The run is to go on and to keep its result.
    Miss(Leader),
}

impl Drop for Leader {
    fn drop(&mut self) {
        let single_flight = &self.cache.preparation.single_flight;
        let mut single_flight = single_flight.0.lock().unwrap_or_else(PoisonError::into_inner);
        single_flight.remove(&flight_key(&self.cache_target.at));
    }
}

fn flight_key(at: &EntryKey) -> Box<str> {
    format!("{}{}", at.space, at.key).into()
}

/// The space of a cache.
#[must_use]
pub fn cache_space(product: &str, env: &str, tag: &str) -> Box<str> {
    entry_space(product, env, tag)
}

/// Where the result of a run is kept.
pub(super) fn cache_target_of(
    cache: &ResultCache,
    run: &ClaimedRun,
    route: &Route,
    tag: &str,
    prepared: &PreparedInput,
) -> CacheTarget {
    let mut text = format!("{}\n{:?}\n", route.namespace.as_str(), route.target);
    super::canonical_json::write(prepared.input.as_deref().unwrap_or(&run.input), &mut text);
    if let Some(claims) = &prepared.claims {
        // What one user may see is not shown to another.
        text.push('\n');
        super::canonical_json::write(&without_per_token_claims(claims), &mut text);
    }
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut key = String::from("job:");
    for byte in digest.as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    CacheTarget {
        at: EntryKey {
            kind: EntryKind::Cache,
            space: cache_space(&route.product, &route.env, tag),
            key: key.into(),
        },
        expiry: cache.preparation.resources.cache_expiry(&route.product, tag),
    }
}

fn without_per_token_claims(claims: &str) -> String {
    let Ok(mut entries) = serde_json::from_str::<BTreeMap<String, &serde_json::value::RawValue>>(claims) else {
        return claims.to_owned();
    };
    entries.retain(|name, _| !PER_TOKEN_CLAIMS.contains(&name.as_str()));
    serde_json::to_string(&entries).unwrap_or_default()
}

/// Looks for a result. While another attempt of this process works on the same, waits for it.
pub(super) async fn find_or_lead(cache: &ResultCache, cache_target: CacheTarget) -> CacheLookup {
    let cache_target = Arc::new(cache_target);
    loop {
        let now = cache.context.now();
        match cache.context.store.entry(cache_target.at.clone(), now).await {
            Ok(Some(result)) => return CacheLookup::Hit(result),
            Ok(None) => {}
            Err(error) => cache
                .context
                .log(Level::Warn, &format!("cannot read a cache, the job runs: {error}")),
        }
        match join_or_lead(cache, &cache_target) {
            Ok(leader) => return CacheLookup::Miss(leader),
            // It ends when the leader drops its half.
            Err(mut flight) => while flight.changed().await.is_ok() {},
        }
    }
}

fn join_or_lead(cache: &ResultCache, cache_target: &CacheTarget) -> Result<Leader, watch::Receiver<()>> {
    let single_flight = &cache.preparation.single_flight;
    let mut single_flight = single_flight.0.lock().unwrap_or_else(PoisonError::into_inner);
    let name = flight_key(&cache_target.at);
    if let Some(flight) = single_flight.get(&name) {
        return Err(flight.clone());
    }
    let (sender, receiver) = watch::channel(());
    single_flight.insert(name, receiver);
    Ok(Leader {
        cache: cache.clone(),
        cache_target: CacheTarget {
            at: cache_target.at.clone(),
            expiry: cache_target.expiry,
        },
        _sender: sender,
    })
}

impl Leader {
    /// Keeps the result of the run.
    pub(super) async fn store_result(&self, result: Option<&str>, now: Millis) {
        let value = result.unwrap_or_default();
        let logger = &self.cache.context.logger;
        if value.len() > MAX_CACHED_RESULT_BYTES {
            let message = format!(
                "a result of {} bytes is not cached, the limit is {MAX_CACHED_RESULT_BYTES}",
                value.len()
            );
            return logger.log(Level::Warn, &message);
        }
        let entry = Entry {
            at: self.cache_target.at.clone(),
            value: value.into(),
            expires: now.saturating_add(self.cache_target.expiry),
        };
        if let Err(error) = self.cache.context.store.put_entry(entry).await {
            logger.log(Level::Warn, &format!("cannot keep a result in its cache: {error}"));
        }
    }
}
