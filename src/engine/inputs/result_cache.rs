//! Results that are kept, so that a later job with the same input need not run; and jobs of this process that wait for
//! one with the same input that is running.
//!
//! Invariant: only results of runs that completed are kept; a flight ends with the attempt that leads it, whatever came
//! of it.

use super::canonical_json;
use super::entry_space::entry_space;
use super::resolve::ResolvedInput;
use crate::clock::{Clock, Millis};
use crate::engine::handler::{Attempt, Level, Logger};
use crate::error::Result;
use crate::resources::Resources;
use crate::store::{Entry, EntryKey, EntryKind, Store};
use ring::digest;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use uuid::Uuid;

/// Largest result that is kept, of JSON.
const MAX_CACHED_RESULT_BYTES: usize = 256 * 1024;
/// How long it is known that a cache was cleared, ms: runs that take longer keep what they began to work out before.
const CLEARED_MARK_MS: i64 = 30 * 24 * 3_600_000;
/// Claims that differ from token to token of the same user.
const PER_TOKEN_CLAIMS: [&str; 5] = ["iat", "exp", "nbf", "jti", "sid"];

/// Results by cache and input, in the store.
#[derive(Clone)]
pub struct ResultCache {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    logger: Arc<dyn Logger>,
    resources: Arc<Resources>,
    single_flight: SingleFlight,
}

/// Attempts of this process that others wait for, by the entry that they will write; closed when they end.
pub type SingleFlight = Arc<Mutex<HashMap<Box<str>, watch::Receiver<()>>>>;

/// The attempt whose result others wait for, for as long as this lives.
pub struct Leader {
    cache: ResultCache,
    target: CacheTarget,
    /// The mark of the last time that the cache was cleared, when the run began.
    cleared: Option<Box<str>>,
    /// Dropped with this, which wakes who waits.
    _sender: watch::Sender<()>,
}

/// Where a result is kept, and for how long.
#[derive(Clone)]
struct CacheTarget {
    at: EntryKey,
    /// ms.
    expiry: i64,
}

/// What a cache says before a run.
pub enum CacheLookup {
    /// JSON text of the result; empty: the run had none.
    Hit(Box<str>),
    /// The run is to go on and to keep its result.
    Miss(Leader),
}

impl Drop for Leader {
    fn drop(&mut self) {
        let mut flights = self.cache.single_flight.lock().unwrap_or_else(PoisonError::into_inner);
        flights.remove(&self.target.flight_key());
    }
}

impl CacheTarget {
    fn flight_key(&self) -> Box<str> {
        format!("{}{}", self.at.space, self.at.key).into()
    }
}

/// The space of a cache.
#[must_use]
pub fn cache_space(product: &str, env: &str, tag: &str) -> Box<str> {
    entry_space(product, env, tag)
}

impl ResultCache {
    /// Caches of these resources, with their results in this store.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        logger: Arc<dyn Logger>,
        resources: Arc<Resources>,
    ) -> Self {
        Self::sharing(store, clock, logger, resources, SingleFlight::default())
    }

    /// The same where others wait for the same attempts.
    #[must_use]
    pub fn sharing(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        logger: Arc<dyn Logger>,
        resources: Arc<Resources>,
        single_flight: SingleFlight,
    ) -> Self {
        Self {
            store,
            clock,
            logger,
            resources,
            single_flight,
        }
    }

    /// Looks for the result of an attempt in the cache `tag`. While another attempt of this process works on the same,
    /// waits for it.
    pub async fn find_or_lead(&self, attempt: &Attempt, tag: &str, resolved: &ResolvedInput) -> CacheLookup {
        let target = self.target_of(attempt, tag, resolved);
        loop {
            if let Some(result) = self.find(&target).await {
                return CacheLookup::Hit(result);
            }
            match self.join_or_lead(&target) {
                Ok(mut leader) => {
                    leader.cleared = leader.mark(self.clock.now()).await;
                    // One that led may have ended between the look and the lead.
                    return match self.find(&target).await {
                        Some(result) => CacheLookup::Hit(result),
                        None => CacheLookup::Miss(leader),
                    };
                }
                // It ends when the leader drops its half.
                Err(mut flight) => while flight.changed().await.is_ok() {},
            }
        }
    }

    async fn find(&self, target: &CacheTarget) -> Option<Box<str>> {
        let found = self.store.entry(target.at.clone(), self.clock.now()).await;
        found.unwrap_or_else(|error| {
            let message = format!("cannot read a cache, the job runs: {error}");
            self.logger.log(Level::Warn, &message);
            None
        })
    }

    /// To be called before the entries of a cache are taken away, so that runs that began before keep nothing in it: a run that
    /// writes its result before that sees it taken away, one that writes it afterwards sees this mark.
    ///
    /// # Errors
    /// What the store says.
    pub async fn mark_cleared(store: &dyn Store, space: &str, now: Millis) -> Result<()> {
        let entry = Entry {
            at: cleared_mark(space),
            value: format!("\"{}\"", Uuid::now_v7()).into(),
            expires: now.saturating_add(CLEARED_MARK_MS),
        };
        store.put_entry(entry).await
    }

    fn join_or_lead(&self, target: &CacheTarget) -> std::result::Result<Leader, watch::Receiver<()>> {
        let mut flights = self.single_flight.lock().unwrap_or_else(PoisonError::into_inner);
        let key = target.flight_key();
        if let Some(flight) = flights.get(&key) {
            return Err(flight.clone());
        }
        let (sender, receiver) = watch::channel(());
        flights.insert(key, receiver);
        Ok(Leader {
            cache: self.clone(),
            target: target.clone(),
            cleared: None,
            _sender: sender,
        })
    }

    fn target_of(&self, attempt: &Attempt, tag: &str, resolved: &ResolvedInput) -> CacheTarget {
        let Attempt { run, route, .. } = attempt;
        let mut text = format!("{}\n{:?}\n", route.namespace.as_str(), route.target);
        canonical_json::write(resolved.input.as_deref().unwrap_or(&run.input), &mut text);
        if let Some(claims) = &resolved.claims {
            // What one user may see is not shown to another.
            text.push('\n');
            canonical_json::write(&without_per_token_claims(claims), &mut text);
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
            expiry: self.resources.cache_expiry(&route.product, tag),
        }
    }
}

fn without_per_token_claims(claims: &str) -> String {
    let Ok(mut entries) = serde_json::from_str::<BTreeMap<String, &serde_json::value::RawValue>>(claims) else {
        return claims.to_owned();
    };
    entries.retain(|name, _| !PER_TOKEN_CLAIMS.contains(&name.as_str()));
    serde_json::to_string(&entries).unwrap_or_default()
}

/// Where it stands when a cache was cleared: beside the caches, so that it is not cleared with them.
fn cleared_mark(space: &str) -> EntryKey {
    EntryKey {
        kind: EntryKind::Cache,
        space: "cleared".into(),
        key: space.into(),
    }
}

impl Leader {
    async fn mark(&self, now: Millis) -> Option<Box<str>> {
        let at = cleared_mark(&self.target.at.space);
        // A store that fails now fails to keep the result, too.
        self.cache.store.entry(at, now).await.unwrap_or_default()
    }

    /// Keeps the result of the run, unless the cache was cleared since it began.
    pub async fn store_result(&self, result: Option<&str>, now: Millis) {
        let value = result.unwrap_or_default();
        let logger = &self.cache.logger;
        if value.len() > MAX_CACHED_RESULT_BYTES {
            let message = format!(
                "a result of {} bytes is not cached, the limit is {MAX_CACHED_RESULT_BYTES}",
                value.len()
            );
            return logger.log(Level::Warn, &message);
        }
        let entry = Entry {
            at: self.target.at.clone(),
            value: value.into(),
            expires: now.saturating_add(self.target.expiry),
        };
        if self.mark(now).await != self.cleared {
            return;
        }
        let (store, at) = (&self.cache.store, entry.at.clone());
        if let Err(error) = store.put_entry(entry).await {
            return logger.log(Level::Warn, &format!("cannot keep a result in its cache: {error}"));
        }
        // Cleared between the look and the write.
        if self.mark(now).await != self.cleared
            && let Err(error) = store.take_entry(at, now).await
        {
            logger.log(Level::Warn, &format!("cannot clear a cache of an old result: {error}"));
        }
    }
}
