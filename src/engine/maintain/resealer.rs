//! Encrypts with the newest key what is stored under others, or not encrypted yet: in small batches, until nothing is left, and
//! says so.
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

/// What a look came to.
enum Outcome {
    /// There is nothing to encrypt with.
    NoKeys,
    /// Something is left, or may come.
    NotYet,
    /// Everything is encrypted with the key that encrypts.
    Done(Done),
}

struct Done {
    /// The key that everything is encrypted with.
    key: Box<str>,
    /// Other keys of this process that were used before.
    used: Vec<Box<str>>,
    /// Texts that cannot be read.
    unreadable: usize,
}

#[async_trait]
impl Service for Resealer {
    fn name(&self) -> &'static str {
        "resealer"
    }

    async fn run(self: Box<Self>, mut stop: StopSignal) {
        let (mut told, mut failing) = (false, false);
        while !stop.is_stopping() {
            match self.seal_all(&mut stop).await {
                Ok(Outcome::NoKeys) => return stop.stopped().await,
                Ok(Outcome::Done(done)) => {
                    failing = false;
                    if !std::mem::replace(&mut told, true) {
                        self.tell(&done);
                    }
                }
                Ok(Outcome::NotYet) => told = false,
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
    /// Seals everything anew if that is not done.
    async fn seal_all(&self, stop: &mut StopSignal) -> Result<Outcome> {
        let store = &self.context.store;
        let keys = store.encryption_keys().await?;
        let Some(key) = keys.first().cloned() else {
            return Ok(Outcome::NoKeys);
        };
        let (marks, used) = self.marks(&keys).await?;
        let done = |unreadable| Outcome::Done(Done { key, used, unreadable });
        let before = store.metadata(DONE_MARK).await?;
        if let Some(unreadable) = before.as_deref().and_then(|before| before.strip_prefix(&marks)) {
            return Ok(done(unreadable.parse().unwrap_or(0)));
        }
        let read = Instant::now();
        let bulk = self.walk(stop).await?;
        pause(stop, SETTLE_TIME.saturating_sub(read.elapsed())).await;
        let last = self.walk(stop).await?;
        if stop.is_stopping() || last.changed > 0 || self.marks(&store.encryption_keys().await?).await?.0 != marks {
            return Ok(Outcome::NotYet);
        }
        if bulk.sealed + last.sealed > 0 {
            let message = format!("{} stored texts were encrypted anew", bulk.sealed + last.sealed);
            self.context.log(Level::Info, &message);
        }
        store
            .set_metadata(DONE_MARK, &format!("{marks}{}", last.unreadable))
            .await?;
        Ok(done(last.unreadable))
    }

    /// The key that seals, and what the marks of the others say; and those of these that were ever used.
    async fn marks(&self, keys: &[Box<str>]) -> Result<(String, Vec<Box<str>>)> {
        let mut marks = keys.first().map(ToString::to_string).unwrap_or_default();
        let mut used = Vec::new();
        for key in keys.iter().skip(1) {
            let mark = self.context.store.metadata(&sealing_mark(key)).await?;
            if mark.is_some() {
                used.push(key.clone());
            }
            marks.push_str(&format!(" {key}={}", mark.unwrap_or_default()));
        }
        marks.push(' ');
        Ok((marks, used))
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

    fn tell(&self, done: &Done) {
        let Done { key, used, unreadable } = done;
        if *unreadable > 0 {
            // Of which key they are is not known of all of them: none is said to be of no more use.
            let message = format!(
                "{unreadable} stored texts cannot be read: they are encrypted with keys that are not in `encryptionKeys`, \
                 or damaged; remove no key before they are gone"
            );
            self.context.log(Level::Warn, &message);
        } else if !used.is_empty() {
            let used: Vec<_> = used.iter().map(|other| format!("'{other}'")).collect();
            let message = format!(
                "everything stored is encrypted with the key '{key}': {} can be removed from `encryptionKeys`, and kept \
                 with the backups made until now",
                used.join(", ")
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
