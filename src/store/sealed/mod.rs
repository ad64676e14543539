//! A store around a store, in whose columns payloads are sealed: on the way in they are encrypted, on the way out opened.
//!
//! Knows no database. `docs/design/encryption.md` says what is sealed, how, and why here. Invariants: with keys no payload
//! reaches the inner store as it is; without keys nothing is changed but texts that look sealed, which are quoted; one
//! text that cannot be read spoils no answer but its own.

mod audit;
mod direct;
mod keyring;
mod open;
mod processes;
mod reseal;
mod seal;
mod store_impl;
#[cfg(test)]
pub(in crate::store) mod tests;

pub use keyring::{EncryptionKey, KEY_BYTES, Keyring};

use super::Store;
use super::text::{SEALING_MARK_INTERVAL, sealing_mark};
use crate::clock::{Clock, Millis, SystemClock};
use crate::error::{Error, ErrorCode, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Texts of this size in all are sealed and opened on a thread of their own: the runtime's one thread renews leases.
const LARGE_BYTES: usize = 1 << 20;

/// A store whose payloads are sealed.
pub struct SealedStore {
    inner: Arc<dyn Store>,
    keys: Arc<Keyring>,
    /// When it was last written down that this process seals.
    marked: Mutex<Option<Instant>>,
}

impl SealedStore {
    /// Seals with the first of these keys, or with another of them that came into use later; without keys nothing is sealed.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, keys: Arc<Keyring>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            keys,
            marked: Mutex::default(),
        })
    }

    /// Does something with the keys, on a thread of its own when it is about many bytes.
    async fn with_keys<T: Send + 'static>(
        &self,
        bytes: usize,
        act: impl FnOnce(&Keyring) -> T + Send + 'static,
    ) -> Result<T> {
        if bytes < LARGE_BYTES || self.keys.is_empty() {
            return Ok(act(&self.keys));
        }
        let keys = Arc::clone(&self.keys);
        tokio::task::spawn_blocking(move || act(&keys))
            .await
            .map_err(|error| Error::new(ErrorCode::StoreError, "the encryption was interrupted").with_source(error))
    }

    /// Before something is sealed: learns which key that is to be, and writes down that this process seals with it. Of the keys
    /// of this process it is the one that was used last for the first time, by whichever process: so those that still have the
    /// older one in front seal with the newer one, too, as soon as anybody does. Whoever seals anew sees by the marks of other
    /// keys that there may be more to come.
    async fn mark_sealing(&self) -> Result<()> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        {
            let marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
            if marked.is_some_and(|at| now.duration_since(at) < SEALING_MARK_INTERVAL) {
                return Ok(());
            }
        }
        // Two that do it at once do no harm.
        let mut newest: Option<(Millis, usize, &str)> = None;
        for (index, key) in self.keys.ids().enumerate() {
            let mark = self.inner.metadata(&sealing_mark(key)).await?;
            let mut first_used = mark.as_deref().and_then(first_used);
            if first_used.is_none() && index == 0 {
                // The one in front is used from now on, by the clock that others go by, too.
                let time = self.inner.server_time().await?;
                first_used = Some(time.unwrap_or_else(|| SystemClock.now()));
            }
            if let Some(at) = first_used.filter(|at| newest.is_none_or(|(before, ..)| *at > before)) {
                newest = Some((at, index, key));
            }
        }
        if let Some((at, index, key)) = newest {
            self.keys.seal_with(index);
            self.inner.set_metadata(&sealing_mark(key), &fresh_mark(at)).await?;
        }
        *self.marked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }
}

/// A mark of a key that was used for the first time then; no mark had this value before.
fn fresh_mark(first_used: Millis) -> String {
    use std::hash::{BuildHasher, RandomState};
    let now = SystemClock.now();
    format!("{first_used} {now}.{:x}", RandomState::new().hash_one(now))
}

/// When a key was used for the first time, by its mark.
fn first_used(mark: &str) -> Option<Millis> {
    mark.split_once(' ')?.0.parse().ok()
}
