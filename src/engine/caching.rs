//! Results that are kept, so that a later job with the same input need not run; and jobs of this process that wait for
//! one with the same input that is running.
//!
//! Invariant: only results of runs that completed are kept; a flight ends with the attempt that leads it, whatever came
//! of it.

use super::handler::Level;
use super::preparation::{Prepared, space};
use super::worker::Engine;
use crate::clock::Millis;
use crate::model::Route;
use crate::store::{ClaimedRun, Entry, EntryKey, EntryKind};
use ring::digest;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Largest result that is kept, in bytes of JSON.
const LARGEST: usize = 256 * 1024;
/// Claims that differ from token to token of the same user.
const FLEETING: [&str; 5] = ["iat", "exp", "nbf", "jti", "sid"];

/// Jobs that others wait for.
#[derive(Debug, Default)]
pub struct Flights(Mutex<HashMap<Box<str>, watch::Receiver<()>>>);

/// The lead of a flight; ends when it is dropped.
pub(super) struct Lead {
    engine: Arc<Engine>,
    pub(super) place: Place,
    /// Dropped with this: whoever waits is told.
    _sender: watch::Sender<()>,
}

/// Where a result is kept, and for how long.
pub(super) struct Place {
    at: EntryKey,
    expiry: i64,
}

/// What a cache says before a run.
pub(super) enum Lookup {
    /// JSON text of the result; empty: the run had none.
    Hit(Box<str>),
    /// The run is to go on and to keep its result.
    Lead(Lead),
}

impl Drop for Lead {
    fn drop(&mut self) {
        let flights = &self.engine.config.preparation.flights;
        let mut flights = flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        flights.remove(&name_of(&self.place.at));
    }
}

fn name_of(at: &EntryKey) -> Box<str> {
    format!("{}{}", at.space, at.key).into()
}

/// The space of a cache.
#[must_use]
pub fn cache_space(product: &str, env: &str, tag: &str) -> Box<str> {
    space(product, env, tag)
}

/// Where the result of a run is kept.
pub(super) fn place_of(engine: &Engine, run: &ClaimedRun, route: &Route, tag: &str, prepared: &Prepared) -> Place {
    let mut text = format!("{}\n{:?}\n", route.namespace.as_str(), route.target);
    super::canonical::write(prepared.input.as_deref().unwrap_or(&run.input), &mut text);
    if let Some(claims) = &prepared.claims {
        // What one user may see is not shown to another.
        text.push('\n');
        super::canonical::write(&lasting(claims), &mut text);
    }
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut key = String::from("job:");
    for byte in digest.as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    Place {
        at: EntryKey {
            kind: EntryKind::Cache,
            space: cache_space(&route.product, &route.env, tag),
            key: key.into(),
        },
        expiry: engine.config.preparation.resources.cache_expiry(&route.product, tag),
    }
}

fn lasting(claims: &str) -> String {
    let Ok(mut entries) = serde_json::from_str::<BTreeMap<String, &serde_json::value::RawValue>>(claims) else {
        return claims.to_owned();
    };
    entries.retain(|name, _| !FLEETING.contains(&name.as_str()));
    serde_json::to_string(&entries).unwrap_or_default()
}

/// Looks for a result. While another attempt of this process works on the same, waits for it.
pub(super) async fn look_up(engine: &Arc<Engine>, place: Place) -> Lookup {
    let place = Arc::new(place);
    loop {
        let now = engine.clock.now();
        match engine.store.entry(place.at.clone(), now).await {
            Ok(Some(result)) => return Lookup::Hit(result),
            Ok(None) => {}
            Err(error) => engine
                .journal
                .log(Level::Warn, &format!("cannot read a cache, the job runs: {error}")),
        }
        match join(engine, &place) {
            Ok(lead) => return Lookup::Lead(lead),
            // It ends when the leader drops its half.
            Err(mut flight) => while flight.changed().await.is_ok() {},
        }
    }
}

fn join(engine: &Arc<Engine>, place: &Place) -> Result<Lead, watch::Receiver<()>> {
    let flights = &engine.config.preparation.flights;
    let mut flights = flights.0.lock().unwrap_or_else(PoisonError::into_inner);
    let name = name_of(&place.at);
    if let Some(flight) = flights.get(&name) {
        return Err(flight.clone());
    }
    let (sender, receiver) = watch::channel(());
    flights.insert(name, receiver);
    Ok(Lead {
        engine: Arc::clone(engine),
        place: Place {
            at: place.at.clone(),
            expiry: place.expiry,
        },
        _sender: sender,
    })
}

impl Lead {
    /// Keeps the result of the run.
    pub(super) async fn keep(&self, result: Option<&str>, now: Millis) {
        let value = result.unwrap_or_default();
        let journal = &self.engine.journal;
        if value.len() > LARGEST {
            let message = format!(
                "a result of {} bytes is not cached, the limit is {LARGEST}",
                value.len()
            );
            return journal.log(Level::Warn, &message);
        }
        let entry = Entry {
            at: self.place.at.clone(),
            value: value.into(),
            expires: now.saturating_add(self.place.expiry),
        };
        if let Err(error) = self.engine.store.put_entry(entry).await {
            journal.log(Level::Warn, &format!("cannot keep a result in its cache: {error}"));
        }
    }
}
