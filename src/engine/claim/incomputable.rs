//! Series whose schedule this version of the package cannot compute: passed over by this process, and left as they are for others.
//!
//! Invariant: bounded. What does not fit any more is looked at, and reported, each time it comes up.

use super::timetable::Timetable;
use crate::model::Recurrence;
use crate::store::JobSeq;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Most of them that are remembered.
const MAX_SERIES: usize = 10_000;

/// Why this version cannot compute a stored schedule; `None`: it can.
#[must_use]
pub fn why_incomputable(recurrence: &str) -> Option<String> {
    let compiled = serde_json::from_str::<Recurrence>(recurrence)
        .map_err(|error| error.to_string())
        .and_then(|recurrence| Timetable::compile(&recurrence).map_err(|error| error.to_string()));
    compiled.err()
}

/// Those that were met.
#[derive(Clone, Debug, Default)]
pub struct IncomputableSeries(Arc<Mutex<Met>>);

#[derive(Debug, Default)]
struct Met {
    /// With the version that each had.
    versions: HashMap<JobSeq, i64>,
    /// Why, for those that were reported.
    reported: HashSet<(JobSeq, Box<str>)>,
}

impl IncomputableSeries {
    /// Remembers one, that cannot be computed for this reason. `true`: that is to be reported, once whatever else changes of the job.
    pub fn add(&self, job: JobSeq, version: i64, reason: &str) -> bool {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if met.versions.len() < MAX_SERIES || met.versions.contains_key(&job) {
            met.versions.insert(job, version);
        }
        let reported = (job, reason.into());
        if met.reported.len() < MAX_SERIES {
            return met.reported.insert(reported);
        }
        !met.reported.contains(&reported)
    }

    /// The numbers and versions of all of them.
    pub fn all(&self) -> Arc<[(JobSeq, i64)]> {
        let met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        met.versions.iter().map(|(job, version)| (*job, *version)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_reported_once_for_each_reason_and_passed_over_in_each_version() {
        let (known, job) = (IncomputableSeries::default(), JobSeq::new(7));
        assert!(known.add(job, 1, "no zone A"));
        assert!(!known.add(job, 2, "no zone A"));
        assert!(known.add(job, 3, "no zone B"));
        assert!(!known.add(job, 4, "no zone A"));
        assert!(known.add(JobSeq::new(8), 4, "no zone A"));
        assert!(known.all().contains(&(job, 4)));
    }
}
