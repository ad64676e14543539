//! Model-based test: thousands of random verbs from a seed, applied to a store and to a plain model, which must agree on
//! every answer and every state, whatever the order of events.
//!
//! `model` is the model of a job. Each of the other modules has some moves of the walk: what a user, a process or the
//! scheduler does, applied to both, with their answers compared.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

mod changes;
mod comparison;
mod dispatches;
mod keys;
mod model;
mod moved;
mod processes;
mod runs;
mod schedules;
mod steps;

pub use self::moved::random_walk_goes_on_in_moved_stores;

use self::keys::{Keys, Uniques};
use self::model::Job;
use super::test_support::*;
use crate::clock::Millis;
use crate::model::{EventKind, Status};
use crate::store::{ClaimedRun, InstanceId};
use std::collections::BTreeMap;

const SEED: u64 = 7;
/// Moves of one walk.
const MOVES: usize = 10_000;
/// Moves between two comparisons of all jobs.
const MOVES_PER_COMPARISON: usize = 20;
/// Number of job names, small enough that most dispatches find a job with their name.
const MAX_NAMES: u64 = 60;
const MAX_CRASHES: u32 = 5;
/// Runs that a process executes at once; what else it has claimed does not crash with it.
const SLOTS: usize = 6;

/// A small random number generator (splitmix64), deterministic on all machines.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

struct Walk<'a> {
    s: &'a TestStore,
    rng: Rng,
    now: Millis,
    jobs: BTreeMap<String, Job>,
    /// Number of jobs created so far.
    incarnations: usize,
    processes: Vec<InstanceId>,
    /// Claims that are not completed yet, some of which may have been lost.
    claims: Vec<(InstanceId, String, ClaimedRun)>,
    limits: Keys,
    uniques: Uniques,
    /// Events for webhooks since the last comparison, with the state of the job at that time.
    expected_events: Vec<(EventKind, String, Status)>,
    reached: Reached,
}

/// How often the walk reached the cases that it is meant to test.
#[derive(Debug, Default)]
struct Reached {
    accepted_completions: usize,
    refused_completions: usize,
    changes: usize,
    /// Claims that left runs behind full keys.
    blocking_claims: usize,
    duplicates: usize,
    events: usize,
    recorded_steps: usize,
    /// Claims of runs that had steps.
    claims_with_steps: usize,
    /// Claims of runs that run alone.
    claims_of_suspects: usize,
}

pub async fn random_walk_matches_the_model(s: &TestStore) {
    let mut walk = Walk::new(s);
    let everything = super::webhooks::webhook("all", &EventKind::DELIVERED_TO_WEBHOOKS);
    s.store.set_webhook(everything, 1, T0).await.unwrap();
    walk.processes.push(s.process_with(SLOTS).await);
    for number in 0..MOVES {
        walk.make_a_move().await;
        if number % MOVES_PER_COMPARISON == 0 {
            walk.compare().await;
        }
    }
    walk.compare().await;
    walk.reached.check();
}

impl Reached {
    /// Checks that the walk reached each case often enough to be meaningful.
    fn check(&self) {
        let Self {
            accepted_completions,
            refused_completions,
            changes,
            blocking_claims,
            duplicates,
            events,
            recorded_steps,
            claims_with_steps,
            claims_of_suspects,
        } = *self;
        let enough = accepted_completions > 300
            && refused_completions > 50
            && changes > 100
            && blocking_claims > 100
            && duplicates > 20
            && events > 1_000
            && recorded_steps > 100
            && claims_with_steps > 50
            && claims_of_suspects > 5;
        assert!(enough, "{self:?}");
    }
}

impl<'a> Walk<'a> {
    fn new(s: &'a TestStore) -> Self {
        Self {
            s,
            rng: Rng(SEED),
            now: T0,
            jobs: BTreeMap::new(),
            incarnations: 0,
            processes: vec![],
            claims: vec![],
            limits: Keys::new(),
            uniques: Uniques::new(),
            expected_events: vec![],
            reached: Reached::default(),
        }
    }

    async fn make_a_move(&mut self) {
        match self.rng.below(26) {
            0..=5 => self.insert().await,
            6..=9 => self.claim().await,
            10..=13 => self.complete().await,
            14 => self.cancel().await,
            15 | 16 => self.advance().await,
            17 => self.pass().await,
            18 => self.crash_or_leave().await,
            19..=21 => self.change().await,
            22 => self.change_many().await,
            23 | 24 => self.finish_step().await,
            _ => self.sweep().await,
        }
    }

    fn random_name(&mut self) -> String {
        self.rng.below(MAX_NAMES).to_string()
    }

    /// A time between shortly before now and weeks ahead.
    fn random_time(&mut self) -> Millis {
        self.now + self.rng.of(&[-5, 0, 0, 1, 10, 100, 5_000, DAY, 3 * DAY, 40 * DAY])
    }
}
