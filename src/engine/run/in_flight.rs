//! The attempts of this process whose end is not yet in the store.
//!
//! An entry lives from the claim until its completion is committed, so that the store's account of what this process
//! has claimed can be compared with it. A slot, however, is free as soon as the handler is done or was given up. A prefetched
//! attempt has an entry and no slot: it gets the next one that becomes free.

use super::slots::Slots;
use crate::clock::Millis;
use crate::engine::claim::routing::{Lane, Registration};
use crate::engine::figures::EndedAttempt;
use crate::engine::handler::AbortReason;
use crate::model::JobId;
use crate::store::{ClaimRef, ClaimedRun, Completion, InstanceId, JobSeq, Note, NoteKind, RouteId, Token};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

struct AttemptEntry {
    job: JobSeq,
    /// When the job was dispatched.
    created: Millis,
    run: i64,
    attempt: u32,
    id: JobId,
    route: RouteId,
    scheduled_at: Millis,
    due: Millis,
    /// Attempts before it that ended by a crash.
    crashes: u32,
    instance: InstanceId,
    /// Since it was claimed, then since it has a slot.
    started: Instant,
    /// Told when there is a slot for it; `None` once it has had one.
    slot_sender: Option<oneshot::Sender<()>>,
    never_started: bool,
    /// Taken when the attempt is given up or its handler is done.
    abort: Option<oneshot::Sender<AbortReason>>,
    registration: Option<Arc<Registration>>,
    warned: bool,
    lane: Lane,
    /// Its handler is done or given up: what is left is to write how it ended.
    has_ended: bool,
    /// Its handler has failed, and its steps are rolled back.
    timeout_lifted: bool,
}

/// What an attempt that is not finished is about.
#[derive(Clone, Debug)]
pub struct AttemptInfo {
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
    entries: HashMap<Token, AttemptEntry>,
    slots: Slots,
}

/// What an attempt that was begun listens to.
pub struct AttemptSignals {
    /// Told to give it up.
    pub abort: oneshot::Receiver<AbortReason>,
    /// Told when it may start; `None`: at once.
    pub slot: Option<oneshot::Receiver<()>>,
}

impl State {
    /// Gives the free slot to the attempt that has waited longest; `false`: none waits.
    fn start_next(&mut self) -> bool {
        while let Some(token) = self.slots.next_in_queue() {
            let Some(entry) = self.entries.get_mut(&token) else {
                continue;
            };
            // One that was told to give up comes for no slot.
            if entry.abort.is_none() {
                continue;
            }
            let Some(slot) = entry.slot_sender.take() else { continue };
            entry.started = Instant::now();
            entry.never_started = false;
            if let Some(registration) = &entry.registration {
                registration.attempt_started(entry.route);
            }
            self.slots.start_waiting();
            let _ = slot.send(());
            return true;
        }
        false
    }
}

/// Attempts in flight, and the slots they take.
#[derive(Default)]
pub struct InFlightAttempts {
    state: Mutex<State>,
    /// Told whenever a slot becomes free or an entry is finished.
    pub changed: Notify,
}

impl InFlightAttempts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run was claimed. It takes a slot, if it needs none of the worker's `concurrency` or there is one, else it waits.
    pub fn begin(
        &self,
        run: &ClaimedRun,
        instance: InstanceId,
        registration: Option<Arc<Registration>>,
        concurrency: usize,
    ) -> AttemptSignals {
        let (abort, receiver) = oneshot::channel();
        let lane = registration
            .as_ref()
            .map_or(Lane::Jobs, |registration| registration.lane);
        let mut state = self.state();
        let (job, id) = (run.job, run.id.clone());
        let mut entry = AttemptEntry {
            job,
            created: run.created,
            run: run.run,
            attempt: run.attempt,
            id,
            route: run.route,
            scheduled_at: run.scheduled_at,
            due: run.due,
            crashes: run.crashes,
            instance,
            started: Instant::now(),
            slot_sender: None,
            never_started: false,
            abort: Some(abort),
            registration,
            warned: false,
            lane,
            has_ended: false,
            timeout_lifted: false,
        };
        let mut slot = None;
        if state.slots.take_or_queue(run.token, lane, run.input.len(), concurrency) {
            if let Some(registration) = &entry.registration {
                registration.attempt_started(entry.route);
            }
        } else {
            let (sender, receiver) = oneshot::channel();
            (entry.slot_sender, entry.never_started, slot) = (Some(sender), true, Some(receiver));
        }
        state.entries.insert(run.token, entry);
        AttemptSignals { abort: receiver, slot }
    }

    /// The handler is done or given up: its slot is free, for one that waits if there is one. The entry stays until
    /// [`finish`](Self::finish).
    pub fn free_slot(&self, token: Token) {
        let mut state = self.state();
        let Some(entry) = state.entries.get_mut(&token) else {
            return;
        };
        if std::mem::replace(&mut entry.has_ended, true) {
            return;
        }
        entry.abort = None;
        let (lane, route) = (entry.lane, entry.route);
        let registration = entry.registration.take();
        if entry.slot_sender.take().is_some() {
            state.slots.stop_waiting();
            drop(state);
            self.changed.notify_waiters();
            return;
        }
        let took = entry.started.elapsed();
        if let Some(registration) = registration {
            registration.attempt_ended(route);
        }
        state.slots.free(lane, took);
        // A slot that is passed on is nobody's business, until it is time to claim more.
        let is_handed_over = lane == Lane::Jobs && state.start_next() && !state.slots.is_time_to_refill();
        drop(state);
        if !is_handed_over {
            self.changed.notify_waiters();
        }
    }

    /// Attempts that wait for a slot.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().slots.waiting()
    }

    /// How many attempts are worth claiming ahead of `concurrency` slots. Tells of the slot that leaves half of them.
    #[must_use]
    pub fn runs_to_prefetch(&self, concurrency: usize) -> usize {
        self.state().slots.runs_to_prefetch(concurrency)
    }

    /// Gives back attempts that have waited for a slot for longer than `limit`; then none are worth claiming ahead until
    /// those that keep them waiting are done.
    pub fn release_prefetched(&self, limit: Duration) {
        let mut state = self.state();
        if state.slots.waiting() == 0 {
            return;
        }
        let late = state
            .entries
            .values_mut()
            .filter(|entry| entry.slot_sender.is_some() && entry.started.elapsed() >= limit);
        let senders: Vec<_> = late.filter_map(|entry| entry.abort.take()).collect();
        if !senders.is_empty() {
            state.slots.record_wait(limit);
        }
        drop(state);
        for sender in senders {
            let _ = sender.send(AbortReason::Closed);
        }
    }

    /// The store knows how the attempts ended.
    pub fn finish(&self, tokens: impl IntoIterator<Item = Token>) {
        let mut state = self.state();
        for token in tokens {
            state.entries.remove(&token);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Forgets attempts whose handler is done and whose end may never be written: their registration was given up, and
    /// others run them again.
    pub fn forget_ended(&self) {
        self.state().entries.retain(|_, entry| !entry.has_ended);
        self.changed.notify_waiters();
    }

    /// Attempts that take a slot of the worker's.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.state().slots.busy()
    }

    /// For how long none of the worker's slots has become free, if all `concurrency` of them are taken.
    #[must_use]
    pub fn full_for(&self, concurrency: usize) -> Option<Duration> {
        let state = self.state();
        if state.slots.busy() < concurrency {
            return None;
        }
        let holds_slot = |entry: &&AttemptEntry| {
            entry.lane == Lane::Jobs && entry.slot_sender.is_none() && !entry.never_started && !entry.has_ended
        };
        let held = state.entries.values().filter(holds_slot);
        held.map(|entry| entry.started.elapsed()).min()
    }

    /// Attempts whose handler is going, whatever slot they take.
    #[must_use]
    pub fn total_busy(&self) -> usize {
        self.state().slots.total_busy()
    }

    /// What is counted of attempts whose ends the store has: not those that were given back before they began, nor work of the
    /// package's own.
    #[must_use]
    pub fn ended_attempts<'a>(&self, completions: impl Iterator<Item = &'a Completion>) -> Vec<EndedAttempt<'a>> {
        let state = self.state();
        let ended = |completion: &'a Completion| {
            let entry = state.entries.get(&completion.token)?;
            (entry.lane != Lane::Internal && !entry.never_started).then(|| EndedAttempt {
                route: entry.route,
                due: entry.due,
                retries: entry.attempt.saturating_sub(1).saturating_sub(entry.crashes),
                started_at: completion.started_at,
                ended_at: completion.ended_at,
                outcome: &completion.outcome,
            })
        };
        completions.filter_map(ended).collect()
    }

    /// Attempts not finished yet, slots or not.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.state().entries.len()
    }

    /// Job, run and token of attempts whose handler is still going, by this instance.
    #[must_use]
    pub fn active(&self, instance: InstanceId) -> Vec<(JobSeq, i64, Token)> {
        let state = self.state();
        let active = state
            .entries
            .iter()
            .filter(|(_, entry)| entry.abort.is_some() && entry.instance == instance);
        active.map(|(token, entry)| (entry.job, entry.run, *token)).collect()
    }

    /// Public ids of the jobs of up to `most` attempts that are not finished.
    #[must_use]
    pub fn job_ids(&self, most: usize) -> Vec<String> {
        self.state()
            .entries
            .values()
            .take(most)
            .map(|entry| entry.id.to_string())
            .collect()
    }

    /// What these attempts are about; `None` for one that is finished.
    #[must_use]
    pub fn attempt_infos(&self, tokens: impl IntoIterator<Item = Token>) -> Vec<Option<AttemptInfo>> {
        let state = self.state();
        let info = |entry: &AttemptEntry| AttemptInfo {
            id: entry.id.clone(),
            route: entry.route,
            scheduled_at: entry.scheduled_at,
            attempt: entry.attempt,
        };
        tokens
            .into_iter()
            .map(|token| state.entries.get(&token).map(info))
            .collect()
    }

    /// Whether this process knows of the claim.
    #[must_use]
    pub fn contains(&self, token: Token) -> bool {
        self.state().entries.contains_key(&token)
    }

    /// A note on an attempt that is not finished.
    #[must_use]
    pub fn note_on(&self, token: Token, at: Millis, kind: NoteKind) -> Option<Note> {
        let state = self.state();
        state.entries.get(&token).map(|entry| Note {
            job: entry.job,
            created: entry.created,
            run: entry.run,
            attempt: entry.attempt,
            at,
            kind,
        })
    }

    /// The claim of an attempt whose handler is still going.
    #[must_use]
    pub fn holder(&self, token: Token) -> Option<ClaimRef> {
        let state = self.state();
        let entry = state.entries.get(&token).filter(|entry| entry.abort.is_some())?;
        Some(ClaimRef {
            job: entry.job,
            run: entry.run,
            instance: entry.instance,
            token,
        })
    }

    /// From now on the attempt may take any time: whoever works on it has bounds of its own.
    pub fn lift_timeout(&self, token: Token) {
        if let Some(entry) = self.state().entries.get_mut(&token) {
            entry.timeout_lifted = true;
        }
    }

    /// Whether the attempt may take any time.
    #[must_use]
    pub fn is_timeout_lifted(&self, token: Token) -> bool {
        self.state()
            .entries
            .get(&token)
            .is_some_and(|entry| entry.timeout_lifted)
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
    pub fn newly_long_running(&self, limit: std::time::Duration) -> Vec<JobSeq> {
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
