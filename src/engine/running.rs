//! The attempts this process has begun and not yet settled with the store.
//!
//! An entry lives from the claim until its completion is committed, so that the store's account of what this process
//! holds can be compared with it. A slot, however, is free as soon as the handler is done or was given up.

use super::handler::AbortReason;
use super::routing::{Lane, Registration};
use crate::clock::Millis;
use crate::model::JobId;
use crate::store::{ClaimedRun, InstanceId, JobSeq, RouteId, Token};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, oneshot};

struct Entry {
    job: JobSeq,
    run: i64,
    attempt: u32,
    id: JobId,
    route: RouteId,
    scheduled_at: Millis,
    instance: InstanceId,
    started: Instant,
    /// Taken when the attempt is given up or its handler is done.
    abort: Option<oneshot::Sender<AbortReason>>,
    registration: Option<Arc<Registration>>,
    warned: bool,
    lane: Lane,
}

/// What an attempt that is not settled is about.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The job's public id.
    pub id: JobId,
    /// Where it goes.
    pub route: RouteId,
    /// When the run was due, first attempt.
    pub scheduled_at: Millis,
    /// The attempt's number.
    pub attempt: u32,
}

#[derive(Default)]
struct State {
    entries: HashMap<Token, Entry>,
    /// Attempts with a handler that is going: in the worker's slots, and in others.
    busy: usize,
    busy_beside: usize,
}

impl State {
    fn busy_in(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Jobs => &mut self.busy,
            Lane::Own => &mut self.busy_beside,
        }
    }
}

/// Begun attempts, and the slots they take.
#[derive(Default)]
pub struct Running {
    state: Mutex<State>,
    /// Told whenever a slot becomes free or an entry is settled.
    pub changed: Notify,
}

impl Running {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run was claimed and takes a slot. The receiver is told to give it up.
    pub fn begin(
        &self,
        run: &ClaimedRun,
        instance: InstanceId,
        registration: Option<Arc<Registration>>,
    ) -> oneshot::Receiver<AbortReason> {
        let (abort, receiver) = oneshot::channel();
        if let Some(registration) = &registration {
            registration.begin();
        }
        let lane = registration
            .as_ref()
            .map_or(Lane::Jobs, |registration| registration.lane);
        let mut state = self.state();
        *state.busy_in(lane) += 1;
        let (job, id) = (run.job, run.id.clone());
        let entry = Entry {
            job,
            run: run.run,
            attempt: run.attempt,
            id,
            route: run.route,
            scheduled_at: run.scheduled_at,
            instance,
            started: Instant::now(),
            abort: Some(abort),
            registration,
            warned: false,
            lane,
        };
        state.entries.insert(run.token, entry);
        receiver
    }

    /// The handler is done or given up: its slot is free. The entry stays until [`settle`](Self::settle).
    pub fn free_slot(&self, token: Token) {
        let mut state = self.state();
        let Some(entry) = state.entries.get_mut(&token) else {
            return;
        };
        entry.abort = None;
        let lane = entry.lane;
        if let Some(registration) = entry.registration.take() {
            registration.end();
        }
        let busy = state.busy_in(lane);
        *busy = busy.saturating_sub(1);
        drop(state);
        self.changed.notify_waiters();
    }

    /// The store knows how the attempts ended.
    pub fn settle(&self, tokens: impl IntoIterator<Item = Token>) {
        let mut state = self.state();
        for token in tokens {
            state.entries.remove(&token);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Attempts that take a slot of the worker's.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.state().busy
    }

    /// Attempts whose handler is going, whatever slot they take.
    #[must_use]
    pub fn all_busy(&self) -> usize {
        let state = self.state();
        state.busy + state.busy_beside
    }

    /// Whether the attempt is work of the package's own.
    #[must_use]
    pub fn is_own(&self, token: Token) -> bool {
        self.state()
            .entries
            .get(&token)
            .is_some_and(|entry| entry.lane == Lane::Own)
    }

    /// Attempts not settled yet, slots or not.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.state().entries.len()
    }

    /// Tokens of attempts whose handler is still going, by this instance.
    #[must_use]
    pub fn going(&self, instance: InstanceId) -> Vec<Token> {
        let state = self.state();
        let going = state
            .entries
            .iter()
            .filter(|(_, entry)| entry.abort.is_some() && entry.instance == instance);
        going.map(|(token, _)| *token).collect()
    }

    /// Public ids of the jobs of up to `most` attempts that are not settled.
    #[must_use]
    pub fn ids(&self, most: usize) -> Vec<String> {
        self.state()
            .entries
            .values()
            .take(most)
            .map(|entry| entry.id.to_string())
            .collect()
    }

    /// What these attempts are about; `None` for one that is settled.
    #[must_use]
    pub fn subjects(&self, tokens: impl IntoIterator<Item = Token>) -> Vec<Option<Subject>> {
        let state = self.state();
        let subject = |entry: &Entry| Subject {
            id: entry.id.clone(),
            route: entry.route,
            scheduled_at: entry.scheduled_at,
            attempt: entry.attempt,
        };
        tokens
            .into_iter()
            .map(|token| state.entries.get(&token).map(subject))
            .collect()
    }

    /// Whether this process knows of the claim.
    #[must_use]
    pub fn knows(&self, token: Token) -> bool {
        self.state().entries.contains_key(&token)
    }

    /// Job, run and attempt number of an attempt that is not settled.
    #[must_use]
    pub fn attempt_of(&self, token: Token) -> Option<(JobSeq, i64, u32)> {
        self.state()
            .entries
            .get(&token)
            .map(|entry| (entry.job, entry.run, entry.attempt))
    }

    /// Gives an attempt up, if its handler is still going.
    pub fn abort(&self, token: Token, reason: AbortReason) {
        let sender = self
            .state()
            .entries
            .get_mut(&token)
            .and_then(|entry| entry.abort.take());
        if let Some(sender) = sender {
            // A closed channel means the attempt ended in this very moment.
            let _ = sender.send(reason);
        }
    }

    /// Gives all attempts up.
    pub fn abort_all(&self, reason: &AbortReason) {
        let senders: Vec<_> = self
            .state()
            .entries
            .values_mut()
            .filter_map(|entry| entry.abort.take())
            .collect();
        for sender in senders {
            let _ = sender.send(reason.clone());
        }
    }

    /// Jobs of attempts that have been going for longer than `limit`, each named once.
    pub fn newly_longer_than(&self, limit: std::time::Duration) -> Vec<JobSeq> {
        let mut state = self.state();
        let long = state
            .entries
            .values_mut()
            .filter(|entry| !entry.warned && entry.abort.is_some() && entry.started.elapsed() > limit);
        long.map(|entry| {
            entry.warned = true;
            entry.job
        })
        .collect()
    }
}
