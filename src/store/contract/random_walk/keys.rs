//! What the plain model knows of keys: how many runs may go at once, and which job is the only one of its kind.

use super::super::kit::*;
use super::{Job, Run, Walk};
use crate::clock::Millis;
use crate::model::{Concurrency, JobOptions, Status, Unique};
use crate::store::{Inserted, RunPlace};
use std::collections::BTreeMap;

/// Limits by concurrency key.
pub(super) type Keys = BTreeMap<&'static str, i64>;
/// Who had a unique key of a route last.
pub(super) type Uniques = BTreeMap<(&'static str, Box<str>), Keeper>;

#[derive(Clone, Debug)]
pub(super) struct Keeper {
    name: String,
    born: usize,
    until: Millis,
}

impl Walk<'_> {
    pub(super) fn options(&mut self) -> JobOptions {
        let key = self.chance.of(&[None, None, Some("k"), Some("l")]);
        let limit = self.chance.of(&[1, 2, 2, 4]);
        let unique = self.chance.of(&[None, None, None, Some("u"), Some("v")]);
        let period = self.chance.of(&[None, Some(10), Some(5_000), Some(3 * DAY)]);
        JobOptions {
            concurrency: key.map(|key| Concurrency { key: key.into(), limit }),
            unique: unique.map(|key| Unique {
                key: key.into(),
                period,
            }),
            ..JobOptions::default()
        }
    }

    /// The job that keeps a unique key from the job of this name.
    pub(super) fn keeper(&self, name: &str, on: &'static str, unique: Option<&Unique>) -> Option<Keeper> {
        let keeper = self.uniques.get(&(on, unique?.key.clone()))?;
        let job = self.jobs.get(&keeper.name).filter(|job| job.born == keeper.born);
        let own = keeper.name == name && job.is_some();
        let keeps = keeper.until > self.now || job.is_some_and(|job| !job.status().is_ended());
        (keeps && !own).then(|| keeper.clone())
    }

    pub(super) fn check_duplicate(&mut self, keeper: &Keeper, answer: &Inserted) {
        let Inserted::Duplicate(found, standing) = answer else {
            panic!("{answer:?} instead of {keeper:?}")
        };
        assert_eq!(*found, id(&keeper.name));
        match self.jobs.get(&keeper.name).filter(|job| job.born == keeper.born) {
            Some(job) => assert_eq!(standing.status, job.status()),
            None => assert!(standing.status.is_ended()),
        }
        self.duplicates += 1;
    }

    /// A dispatch of the job was accepted.
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
            let keeper = Keeper {
                name: name.to_owned(),
                born: job.born,
                until: self.now + unique.period.unwrap_or(0),
            };
            self.uniques.insert((on, unique.key.clone()), keeper);
        }
    }

    /// The job goes, or gets other keys.
    pub(super) fn forget_unique(&mut self, name: &str) {
        let born = self.jobs.get(name).map(|job| job.born);
        self.uniques
            .retain(|_, keeper| keeper.name != name || Some(keeper.born) != born);
    }

    /// Retention deletes what has ended: a unique key stays until its period is over.
    pub(super) fn sweep_uniques(&mut self) {
        let (jobs, now) = (&self.jobs, self.now);
        let lives = |keeper: &Keeper| {
            jobs.get(&keeper.name)
                .is_some_and(|job| job.born == keeper.born && job.ended.is_none())
        };
        self.uniques.retain(|_, keeper| keeper.until > now || lives(keeper));
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
            let due = job.runs.values().filter(|(run, _)| *run == Run::Ready).count();
            *ready.entry(job.key).or_default() += due;
        }
        let mut open = 0;
        for (key, count) in ready {
            let room = key.map_or(i64::MAX, |key| self.limits[key] - self.running_with(key));
            let room = usize::try_from(room.max(0)).unwrap();
            open += count.min(room);
            self.crowded += usize::from(count > room);
        }
        open
    }

    /// A due job is held exactly while its key is full.
    pub(super) async fn check_place(&self, name: &str, job: &Job) {
        // Of several runs the store shows one.
        if job.status() != Status::Queued || job.runs.len() > 1 {
            return;
        }
        let place = self.s.store.whereabouts(&id(name), 1).await.unwrap().unwrap().place;
        let Some(key) = job.key else {
            assert!(matches!(place, RunPlace::Ready { .. }), "{name} {place:?}");
            return;
        };
        let (running, limit) = (self.running_with(key), self.limits[key]);
        match place {
            RunPlace::Held {
                running: seen,
                limit: most,
                ..
            } => assert!((seen, most) == (running, limit) && running >= limit, "{name} {place:?}"),
            RunPlace::Ready { .. } => assert!(running < limit, "{name} {place:?} {running} of {limit}"),
            other => panic!("{name} {other:?}"),
        }
    }
}
