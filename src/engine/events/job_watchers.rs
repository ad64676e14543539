//! Tells those who wait for a job, within this process, that something happened to it.

use crate::store::JobSeq;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Who waits for which job.
#[derive(Default)]
pub struct JobWatchers {
    watched: Mutex<HashMap<JobSeq, Arc<Notify>>>,
}

impl JobWatchers {
    fn watched(&self) -> MutexGuard<'_, HashMap<JobSeq, Arc<Notify>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something to wait on until a run of the job ends here. Ask before looking at the job, so that nothing is missed.
    pub fn watch(&self, job: JobSeq) -> Arc<Notify> {
        Arc::clone(self.watched().entry(job).or_default())
    }

    /// Forgets a job that nobody else waits for.
    pub fn unwatch(&self, job: JobSeq, watched: Arc<Notify>) {
        drop(watched);
        let mut watched = self.watched();
        if watched.get(&job).is_some_and(|notify| Arc::strong_count(notify) == 1) {
            watched.remove(&job);
        }
    }

    /// A run of the job ended, or the job was changed.
    pub fn notify_changed_job(&self, job: JobSeq) {
        if let Some(notify) = self.watched().get(&job) {
            notify.notify_waiters();
        }
    }
}
