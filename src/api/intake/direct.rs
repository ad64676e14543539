//! The shortest way of a dispatch that is made alone: the thread of JavaScript checks it and hands it to the store, whose own
//! thread answers. On the long way a task in between does both, for as many as wait, which costs two changes of threads.
//!
//! Invariant: nothing is handed over while dispatches that were made before wait for that task.

use super::insert::{Answer, SinglesInsert, Times};
use super::parts::ReadLists;
use super::reading::{DispatchBatch, ReadBatches, Unit};
use super::{IntakeTask, defect};
use crate::clock::StoreClock;
use crate::engine::Engine;
use crate::model::NewJob;
use crate::store::DirectInsert;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Dispatches that are checked on the thread of JavaScript, and their length: with more it has better things to do.
const MAX_DIRECT_DISPATCHES: u32 = 4;
const MAX_DIRECT_BYTES: usize = 16 << 10;
/// Direct inserts under way at once: when they are more than that, batches are worth their while.
const MAX_DIRECT_INSERTS: usize = 4;

impl IntakeTask {
    /// Hands dispatches to the store, or gives them back where the long way is the one to take.
    pub(super) fn dispatch_directly(&self, batch: DispatchBatch) -> Option<DispatchBatch> {
        let Some(engine) = self.engine_for(&batch) else {
            return Some(batch);
        };
        let _runtime = self.runtime.enter();
        let now = self.instance.now();
        let batches = [batch];
        let read = || ReadBatches::read(&batches, ReadLists::default(), &self.instance.options.defaults, now);
        let read = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| ReadBatches::unread(&batches));
        let [batch] = batches;
        let mut ready = read.ready.into_iter();
        let singles = match (ready.next(), ready.next()) {
            (None, _) => Vec::new(),
            (Some(Unit::Singles(singles)), None) => singles,
            _ => return Some(batch),
        };
        if !read.guarded.is_empty() {
            return Some(batch);
        }
        self.answer_direct(
            read.refused
                .into_iter()
                .map(|(ticket, error)| (ticket, Err(error)))
                .collect(),
        );
        if !singles.is_empty() {
            let jobs = singles.into_iter();
            let jobs = jobs.map(|(ticket, dispatch)| (ticket, self.log_warning(dispatch)));
            self.hand_over(&engine, jobs.collect(), Times { now, since: batch.made });
        }
        self.watch_unserved(&engine);
        None
    }

    /// The engine, if it is open and these dispatches are alone.
    fn engine_for(&self, batch: &DispatchBatch) -> Option<Arc<Engine>> {
        let is_alone = batch.count <= MAX_DIRECT_DISPATCHES
            && batch.text.len() <= MAX_DIRECT_BYTES
            && self.waiting.load(Ordering::Acquire) == 0
            && self.direct_inserts.load(Ordering::Acquire) < MAX_DIRECT_INSERTS;
        if !is_alone || !batch.is_plain() {
            return None;
        }
        let engine = self.engine_on_time()?;
        engine.store.direct().is_some().then_some(engine)
    }

    /// The engine, if it takes dispatches and its clock need not be compared with the store's first.
    pub(super) fn engine_on_time(&self) -> Option<Arc<Engine>> {
        let engine = self.instance.opened_engine()?;
        let clock_is_old = engine.clock.store_clock().is_some_and(StoreClock::is_sample_old);
        let may_dispatch = !clock_is_old && !self.instance.is_closed() && engine.check_running().is_ok();
        may_dispatch.then_some(engine)
    }

    fn hand_over(&self, engine: &Arc<Engine>, jobs: Vec<(u64, NewJob)>, at: Times) {
        let Some(task) = self.itself.upgrade() else { return };
        let tickets = jobs.iter().map(|(ticket, _)| *ticket).collect();
        let (singles, insert) = SinglesInsert::new(Arc::clone(engine), jobs, at);
        let claim = engine.claimer.claim_with(&insert.jobs, &self.runtime);
        self.direct_inserts.fetch_add(1, Ordering::AcqRel);
        let mut waiting = DirectAnswers { task, tickets };
        let inserted = Box::new(move |inserted| {
            let _runtime = waiting.task.runtime.enter();
            let answers = singles.answers(inserted);
            waiting.answer(answers);
        });
        let direct = DirectInsert {
            insert,
            inserted,
            claim,
        };
        if let Some(store) = engine.store.direct() {
            store.insert_directly(direct);
        }
    }

    fn answer_direct(&self, answers: Vec<Answer>) {
        let count = answers.len();
        if count > 0 {
            self.answers.resolve(answers);
            self.answered(count);
        }
    }
}

/// Who waits for a direct insert. Dropped without an answer, it says that the store has none.
struct DirectAnswers {
    task: Arc<IntakeTask>,
    tickets: Vec<u64>,
}

impl DirectAnswers {
    fn answer(&mut self, answers: Vec<Answer>) {
        // Before the answers: whoever dispatches again as soon as they are there is alone again.
        self.task.direct_inserts.fetch_sub(1, Ordering::AcqRel);
        self.tickets.clear();
        self.task.answer_direct(answers);
    }
}

impl Drop for DirectAnswers {
    fn drop(&mut self) {
        let tickets = std::mem::take(&mut self.tickets);
        if !tickets.is_empty() {
            self.answer(tickets.into_iter().map(|ticket| (ticket, Err(defect()))).collect());
        }
    }
}
