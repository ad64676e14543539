//! Tells those who wait for a job, within this process, that something happened to it.

use crate::store::JobSeq;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Who waits for which job.
#[derive(Default)]
pub struct JobWatchers {
    /// Calls that wait.
    waiting: AtomicUsize,
    has_warned: AtomicBool,
    watched: Mutex<HashMap<JobSeq, Arc<Notify>>>,
}

impl JobWatchers {
    fn watched(&self) -> MutexGuard<'_, HashMap<JobSeq, Arc<Notify>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something to wait on until a run of the job ends here. Ask before looking at the job, so that nothing is missed.
    pub fn watch(&self, job: JobSeq) -> Arc<Notify> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Arc::clone(self.watched().entry(job).or_default())
    }

    /// Forgets a job that nobody else waits for.
    pub fn unwatch(&self, job: JobSeq, watched: Arc<Notify>) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        drop(watched);
        let mut watched = self.watched();
        if watched.get(&job).is_some_and(|notify| Arc::strong_count(notify) == 1) {
            watched.remove(&job);
        }
    }

    /// How many calls wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether nobody has been warned yet that calls may wait for ever; from now on somebody has.
    #[must_use]
    pub fn is_first_warning(&self) -> bool {
        !self.has_warned.swap(true, Ordering::Relaxed)
    }

    /// Whether somebody has been warned of that.
    #[must_use]
    pub fn has_warned(&self) -> bool {
        self.has_warned.load(Ordering::Relaxed)
    }

    /// A run of the job ended, or the job was changed.
    pub fn notify_changed_job(&self, job: JobSeq) {
        if let Some(notify) = self.watched().get(&job) {
            notify.notify_waiters();
        }
    }
}
