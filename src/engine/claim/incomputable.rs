//! Series whose schedule this version of the package cannot compute: passed over by this process, and left as they are for others.
//!
//! Invariant: bounded. What does not fit any more is looked at, and reported, each time it comes up.

use crate::store::JobSeq;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most of them that are remembered.
const MAX_SERIES: usize = 10_000;

/// Those that were met, with the version that each had.
#[derive(Clone, Debug, Default)]
pub struct IncomputableSeries(Arc<Mutex<HashMap<JobSeq, i64>>>);

impl IncomputableSeries {
    /// Remembers one. `true`: in this version it is new.
    pub fn add(&self, job: JobSeq, version: i64) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == MAX_SERIES && !known.contains_key(&job) {
            return true;
        }
        known.insert(job, version) != Some(version)
    }

    /// The numbers and versions of all of them.
    pub fn all(&self) -> Arc<[(JobSeq, i64)]> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|(job, version)| (*job, *version)).collect()
    }
}
