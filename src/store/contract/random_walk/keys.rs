//! Keys in the model: limits of concurrency keys, and owners of unique keys.

use super::super::test_support::*;
use super::Walk;
use super::model::{Job, Run};
use crate::clock::Millis;
use crate::model::{Concurrency, JobOptions, Status, Unique};
use crate::store::{Inserted, RunPosition, SUSPECT_AFTER};
use std::collections::BTreeMap;

/// Limits by concurrency key.
pub(super) type Keys = BTreeMap<&'static str, i64>;
/// The last owner of a unique key, by the last part of its route and the key.
pub(super) type Uniques = BTreeMap<(&'static str, Box<str>), UniqueKeyOwner>;

#[derive(Clone, Debug)]
pub(super) struct UniqueKeyOwner {
    name: String,
    incarnation: usize,
    /// End of its period, wall time.
    until: Millis,
}

impl Walk<'_> {
    pub(super) fn options(&mut self) -> JobOptions {
        let key = self.rng.of(&[None, None, Some("k"), Some("l")]);
        let limit = self.rng.of(&[1, 2, 2, 4]);
        let unique = self.rng.of(&[None, None, None, Some("u"), Some("v")]);
        let period = self.rng.of(&[None, Some(10), Some(5_000), Some(3 * DAY)]);
        JobOptions {
            concurrency: key.map(|key| Concurrency { key: key.into(), limit }),
            unique: unique.map(|key| Unique {
                key: key.into(),
                period,
            }),
            ..JobOptions::default()
        }
    }

    /// The other job whose unique key makes a dispatch of this name a duplicate.
    pub(super) fn unique_key_owner(
        &self,
        name: &str,
        on: &'static str,
        unique: Option<&Unique>,
    ) -> Option<UniqueKeyOwner> {
        let owner = self.uniques.get(&(on, unique?.key.clone()))?;
        let job = self
            .jobs
            .get(&owner.name)
            .filter(|job| job.incarnation == owner.incarnation);
        let own = owner.name == name && job.is_some();
        let keeps = owner.until > self.now || job.is_some_and(|job| !job.status().is_ended());
        (keeps && !own).then(|| owner.clone())
    }

    pub(super) fn check_duplicate(&mut self, owner: &UniqueKeyOwner, answer: &Inserted) {
        let Inserted::Duplicate(found, summary) = answer else {
            panic!("{answer:?} instead of {owner:?}")
        };
        assert_eq!(*found, id(&owner.name));
        match self
            .jobs
            .get(&owner.name)
            .filter(|job| job.incarnation == owner.incarnation)
        {
            Some(job) => assert_eq!(summary.status, job.status()),
            None => assert!(summary.status.is_ended()),
        }
        self.reached.duplicates += 1;
    }

    /// Records the keys of an accepted dispatch.
    pub(super) fn keep(&mut self, name: &str, on: &'static str, options: &JobOptions) {
        self.forget_unique(name);
        let Some(job) = self.jobs.get_mut(name) else { return };
        job.key = options
            .concurrency
            .as_ref()
            .map(|concurrency| if &*concurrency.key == "k" { "k" } else { "l" });
        if let (Some(key), Some(concurrency)) = (job.key, &options.concurrency) {
            self.limits.insert(key, concurrency.limit);
        }
        if let Some(unique) = &options.unique {
            let owner = UniqueKeyOwner {
                name: name.to_owned(),
                incarnation: job.incarnation,
                until: self.now + unique.period.unwrap_or(0),
            };
            self.uniques.insert((on, unique.key.clone()), owner);
        }
    }

    /// Removes the unique key of a job that is deleted or gets other keys.
    pub(super) fn forget_unique(&mut self, name: &str) {
        let incarnation = self.jobs.get(name).map(|job| job.incarnation);
        self.uniques
            .retain(|_, owner| owner.name != name || Some(owner.incarnation) != incarnation);
    }

    /// Retention deletes ended jobs; a unique key outlives its job until its period is over.
    pub(super) fn sweep_uniques(&mut self) {
        let (jobs, now) = (&self.jobs, self.now);
        let lives = |owner: &UniqueKeyOwner| {
            jobs.get(&owner.name)
                .is_some_and(|job| job.incarnation == owner.incarnation && job.ended.is_none())
        };
        self.uniques.retain(|_, owner| owner.until > now || lives(owner));
    }

    pub(super) fn running_with(&self, key: &str) -> i64 {
        let runs = self.jobs.values().flat_map(|job| job.runs.values());
        let with = runs.filter(|(run, _)| matches!(run, Run::Running(_, _, Some(of)) if *of == key));
        i64::try_from(with.count()).unwrap()
    }

    /// How many runs a claim with enough slots gets.
    pub(super) fn claimable(&mut self) -> usize {
        let mut ready: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        for job in self.jobs.values() {
            let is_ready = |(run, crashes): &&(Run, u32)| *run == Run::Ready && *crashes < SUSPECT_AFTER;
            let due = job.runs.values().filter(is_ready).count();
            *ready.entry(job.key).or_default() += due;
        }
        let mut claimable = 0;
        for (key, count) in ready {
            let free = key.map_or(i64::MAX, |key| self.limits[key] - self.running_with(key));
            let free = usize::try_from(free.max(0)).unwrap();
            claimable += count.min(free);
            self.reached.blocking_claims += usize::from(count > free);
        }
        claimable
    }

    /// How many ready runs that run alone have no key, and how many have a key with a free slot.
    pub(super) fn claimable_suspects(&self) -> (usize, usize) {
        let (mut without_key, mut with_free_key) = (0, 0);
        for job in self.jobs.values() {
            let is_ready = |(run, crashes): &&(Run, u32)| *run == Run::Ready && *crashes >= SUSPECT_AFTER;
            let ready = job.runs.values().filter(is_ready).count();
            match job.key {
                None => without_key += ready,
                Some(key) if self.running_with(key) < self.limits[key] => with_free_key += ready,
                Some(_) => {}
            }
        }
        (without_key, with_free_key)
    }

    /// Checks that a due run is blocked exactly while its key is full.
    pub(super) async fn check_position(&self, name: &str, job: &Job) {
        // Of several runs the store shows only one.
        if job.status() != Status::Queued || job.runs.len() > 1 {
            return;
        }
        let position = self.s.store.run_location(&id(name), 1).await.unwrap().unwrap().position;
        let Some(key) = job.key else {
            assert!(matches!(position, RunPosition::Ready { .. }), "{name} {position:?}");
            return;
        };
        let (running, limit) = (self.running_with(key), self.limits[key]);
        match position {
            RunPosition::Blocked {
                running: seen,
                limit: stored_limit,
                ..
            } => assert!(
                (seen, stored_limit) == (running, limit) && running >= limit,
                "{name} {position:?}"
            ),
            RunPosition::Ready { .. } => assert!(running < limit, "{name} {position:?} {running} of {limit}"),
            other => panic!("{name} {other:?}"),
        }
    }
}
