//! Encrypts with the key that is first now what is stored under others, or not encrypted yet: in small batches, until
//! nothing is left, and says so.
//!
//! Knows no cryptography. Invariants: what is done at a time, and the pauses between, are bounded; any number of processes
//! may do it at once, and end at any time; it is done only when no process can have written with another key since.
//!
//! Whoever encrypts writes a mark down before, at least every few seconds, by the id of its key. So what another key's mark
//! says tells whether there can be anything new under that key. When a walk through everything began long enough after the
//! marks were read, and they still say the same at its end, the other keys are not needed.

use crate::engine::context::Context;
use crate::engine::handler::Level;
use crate::engine::service::{Service, StopSignal};
use crate::error::{ErrorCode, Result};
use crate::store::{ResealPosition, SEALING_MARK_INTERVAL, sealing_mark};
use async_trait::async_trait;
use std::time::{Duration, Instant};

/// Rows that are looked at together.
const BATCH_ROWS: usize = 200;
/// Between two batches others get the store for the time of the batch divided by this.
const BATCH_TIME_DIVISOR: u32 = 4;
/// Bounds of the pause between batches.
const BATCH_PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));
/// How long after the marks were read a walk begins that is the last: by then what was encrypted before another mark was
/// due is committed, or has failed.
const SETTLE_TIME: Duration = Duration::from_secs(4 * SEALING_MARK_INTERVAL.as_secs());
/// Between two looks at the marks, and after a failure.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Name of the metadata that says which key everything is encrypted with.
const DONE_MARK: &str = "sealed";

/// Encrypts anew.
pub struct Resealer {
    /// Store, clock and logger.
    pub context: Context,
}

/// What one walk through everything came to.
#[derive(Default)]
struct Walk {
    sealed: usize,
    changed: usize,
    unreadable: usize,
}

#[async_trait]
impl Service for Resealer {
    fn name(&self) -> &'static str {
        "resealer"
    }

    async fn run(self: Box<Self>, mut stop: StopSignal) {
        let keys = self.context.store.encryption_keys();
        if keys.is_empty() {
            return stop.stopped().await;
        }
        let (mut told, mut failing) = (false, false);
        while !stop.is_stopping() {
            match self.seal_all(&keys, &mut stop).await {
                Ok(Some(unreadable)) => {
                    failing = false;
                    if !std::mem::replace(&mut told, true) {
                        self.tell(&keys, unreadable);
                    }
                }
                Ok(None) => told = false,
                Err(error) if error.code != ErrorCode::Closed && !std::mem::replace(&mut failing, true) => {
                    let message = format!("cannot encrypt with the new key what is stored, will try again: {error}");
                    self.context.log(Level::Warn, &message);
                }
                Err(_) => {}
            }
            pause(&mut stop, LOOK_INTERVAL).await;
        }
    }
}

impl Resealer {
    /// Seals everything anew if that is not done; how many texts cannot be read. `None`: it is not done yet.
    async fn seal_all(&self, keys: &[Box<str>], stop: &mut StopSignal) -> Result<Option<usize>> {
        let store = &self.context.store;
        let marks = self.marks(keys).await?;
        let done = store.metadata(DONE_MARK).await?;
        if let Some(unreadable) = done.as_deref().and_then(|done| done.strip_prefix(&marks)) {
            return Ok(Some(unreadable.parse().unwrap_or(0)));
        }
        let read = Instant::now();
        let bulk = self.walk(stop).await?;
        pause(stop, SETTLE_TIME.saturating_sub(read.elapsed())).await;
        let last = self.walk(stop).await?;
        if stop.is_stopping() || last.changed > 0 || self.marks(keys).await? != marks {
            return Ok(None);
        }
        if bulk.sealed + last.sealed > 0 {
            let message = format!("{} stored texts were encrypted anew", bulk.sealed + last.sealed);
            self.context.log(Level::Info, &message);
        }
        store
            .set_metadata(DONE_MARK, &format!("{marks}{}", last.unreadable))
            .await?;
        Ok(Some(last.unreadable))
    }

    /// The key that seals, and what the marks of the others say.
    async fn marks(&self, keys: &[Box<str>]) -> Result<String> {
        let mut marks = keys.first().map(ToString::to_string).unwrap_or_default();
        for key in keys.iter().skip(1) {
            let mark = self.context.store.metadata(&sealing_mark(key)).await?;
            marks.push_str(&format!(" {key}={}", mark.unwrap_or_default()));
        }
        marks.push(' ');
        Ok(marks)
    }

    async fn walk(&self, stop: &mut StopSignal) -> Result<Walk> {
        let (mut walk, mut from) = (Walk::default(), Some(ResealPosition::first()));
        while let Some(position) = from.take().filter(|_| !stop.is_stopping()) {
            self.context.failpoints.pass("resealer");
            let began = Instant::now();
            let part = self.context.store.reseal(position, BATCH_ROWS).await?;
            walk.sealed += part.sealed;
            walk.changed += part.changed;
            walk.unreadable += part.unreadable;
            from = part.next;
            pause(
                stop,
                (began.elapsed() / BATCH_TIME_DIVISOR).clamp(BATCH_PAUSES.0, BATCH_PAUSES.1),
            )
            .await;
        }
        Ok(walk)
    }

    fn tell(&self, keys: &[Box<str>], unreadable: usize) {
        let Some((key, others)) = keys.split_first() else {
            return;
        };
        if unreadable > 0 {
            let message = format!(
                "{unreadable} stored texts cannot be read: they are encrypted with keys that are not in `encryptionKeys`, \
                 or damaged"
            );
            self.context.log(Level::Warn, &message);
        }
        if !others.is_empty() {
            let others: Vec<_> = others.iter().map(|other| format!("'{other}'")).collect();
            let message = format!(
                "everything stored is encrypted with the key '{key}': {} can be removed from `encryptionKeys`, and kept \
                 with the backups made until now",
                others.join(", ")
            );
            self.context.log(Level::Info, &message);
        }
    }
}

async fn pause(stop: &mut StopSignal, time: Duration) {
    tokio::select! {
        () = stop.stopped() => {}
        () = tokio::time::sleep(time) => {}
    }
}
