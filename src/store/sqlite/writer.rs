//! The only thread that writes: applies all queued verbs in one transaction, commits once, answers all.
//!
//! Knows no verb. Invariants: a verb is answered only after its commit; a transaction is short; a failing verb does not
//! affect others; after a disk failure the thread continues and recovers when the cause is gone.

use super::checkpoint::{self, Checkpoints};
use super::commit_watch::CommitWatch;
use super::config::Durability;
use super::failure::{is_locked, is_transient, is_write_failure, locked_error, name_store};
use super::fair_lock::FairLock;
use super::file_watch::FileWatch;
use super::instance_lock;
use super::lock_holder;
use super::log_repair;
use super::open::OpenedFile;
use super::routes::RouteCache;
use super::schema_watch::SchemaWatch;
use super::shared::Shared;
use super::subscriptions::Subscriptions;
use super::tx::{Effects, Tx};
use super::write_operation::{WriteOperation, WriteOptions};
use crate::error::{Error, Result};
use crate::store::Token;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Approximate limit of rows moved in one transaction.
const MAX_BATCH_ROWS: usize = 2_000;
/// Longest time that verbs are added to one transaction, since other processes wait meanwhile.
const MAX_BATCH_TIME: Duration = Duration::from_millis(4);
/// How long SQLite waits for a lock at a time; in between the writer looks whose time is over.
const LOCK_SLICE: Duration = Duration::from_millis(100);
/// Pause before the next wait for a lock.
const LOCKED_PAUSE: Duration = Duration::from_millis(2);
/// Longest wait for a lock once the store is to close.
const CLOSING_LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Pauses before a batch is tried again.
const RETRY_PAUSES: [Duration; 3] = [
    Duration::from_millis(5),
    Duration::from_millis(50),
    Duration::from_millis(250),
];

/// A message to the writer.
pub(super) enum Message {
    /// A verb to execute.
    WriteOperation(Box<dyn WriteOperation>),
    /// One or two, in this order and in one transaction if there is room for both.
    WriteOperations(Box<dyn WriteOperation>, Option<Box<dyn WriteOperation>>),
    /// A setting has changed; check it.
    WakeUp,
    /// Execute what is queued, then end.
    Close,
}

impl Message {
    /// Tells whoever waits that nothing of it was done.
    pub(super) fn refuse(self, error: &Error) {
        let (first, second) = match self {
            Self::WriteOperation(operation) => (Some(operation), None),
            Self::WriteOperations(first, second) => (Some(first), second),
            Self::WakeUp | Self::Close => (None, None),
        };
        let operations = first.into_iter().chain(second);
        operations.for_each(|operation| operation.answer(Err(error.clone())));
    }
}

/// The state of the writer's thread.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) file: Option<OpenedFile>,
    pub(super) file_watch: Option<Arc<FileWatch>>,
    pub(super) fair_lock: Option<FairLock>,
    pub(super) checkpoints: Option<Checkpoints>,
    pub(super) inbox: Receiver<Message>,
    pub(super) shared: Arc<Shared>,
    pub(super) durability: Durability,
    pub(super) state: WriterState,
}

/// State kept between transactions.
#[derive(Default)]
pub(super) struct WriterState {
    queued: VecDeque<Box<dyn WriteOperation>>,
    routes: RouteCache,
    subscriptions: Subscriptions,
    last_token: Token,
    /// Time spent on verbs since the last slice of background work that keeps pace with them.
    work_time: Duration,
    synced: Option<bool>,
    /// A write or a sync has failed, and the log was not written again since.
    log_suspect: bool,
    schema: SchemaWatch,
    closing: bool,
    /// Until when the writer waits for a lock once it is to close.
    closing_deadline: Option<Instant>,
    watch: CommitWatch,
}

impl Writer {
    /// Runs until told to close, or until all senders are gone.
    pub(super) fn run(mut self) {
        let _ = self.connection.busy_timeout(LOCK_SLICE);
        while self.wait_for_work() {
            self.run_next_batch();
            self.look_at_other_processes();
        }
        self.end();
    }

    /// Executes what is queued, on the thread of a caller. `false`: the writer should end.
    fn run_queued(&mut self) -> bool {
        self.drain_inbox();
        while !self.state.queued.is_empty() {
            self.run_next_batch();
        }
        !self.state.closing
    }

    /// Waits for verbs, or for the next check of other processes. `false`: the writer should end.
    fn wait_for_work(&mut self) -> bool {
        self.drain_inbox();
        if !self.state.queued.is_empty() {
            return true;
        }
        if self.state.closing {
            return false;
        }
        if self.shared.watches_others() {
            let log = || self.file.as_ref().and_then(OpenedFile::watched_log);
            self.state.watch.begin(log, &self.shared.bell);
        } else {
            self.state.watch.end();
        }
        match self.state.watch.receive(&self.inbox, &self.shared.bell) {
            Ok(message) => self.accept(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.state.closing = true,
        }
        self.drain_inbox();
        true
    }

    fn drain_inbox(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            self.accept(message);
        }
    }

    fn accept(&mut self, message: Message) {
        match message {
            Message::WriteOperation(operation) if operation.options().urgent => self.state.queued.push_front(operation),
            Message::WriteOperation(operation) => self.state.queued.push_back(operation),
            Message::WriteOperations(first, second) => {
                self.state.queued.push_back(first);
                self.state.queued.extend(second);
            }
            Message::WakeUp => {}
            Message::Close => {
                self.state.closing = true;
                self.state.closing_deadline = Some(Instant::now() + CLOSING_LOCK_TIMEOUT);
            }
        }
    }

    /// Takes one batch from the queue, commits and answers it.
    fn run_next_batch(&mut self) {
        let mut batch = Vec::new();
        let mut rows = 0;
        while let Some(operation) = self.state.queued.pop_front() {
            let WriteOptions { rows: more, alone, .. } = operation.options();
            if !batch.is_empty() && (alone || rows + more > MAX_BATCH_ROWS) {
                self.state.queued.push_front(operation);
                break;
            }
            rows += more;
            batch.push(operation);
            if alone {
                break;
            }
        }
        if !batch.is_empty() {
            self.run_batch(batch);
            self.checkpoint_if_due();
        }
    }

    fn run_batch(&mut self, mut batch: Vec<Box<dyn WriteOperation>>) {
        match self.commit_with_retries(&mut batch) {
            Ok(applied) => {
                let rest = batch.split_off(applied.min(batch.len()));
                self.answer(batch, &Ok(()));
                rest.into_iter()
                    .rev()
                    .for_each(|operation| self.state.queued.push_front(operation));
            }
            // Nobody's fault: while the log cannot be repaired, nothing can be committed.
            Err(error) if batch.len() <= 1 || is_transient(&error) || self.state.log_suspect => {
                self.answer(batch, &Err(error));
            }
            // One of them is to blame: each on its own.
            Err(_) => batch.into_iter().for_each(|operation| self.run_alone(operation)),
        }
    }

    fn run_alone(&mut self, operation: Box<dyn WriteOperation>) {
        let mut batch = vec![operation];
        let outcome = self.commit_with_retries(&mut batch).map(|_| ());
        self.answer(batch, &outcome);
    }

    fn answer(&self, batch: Vec<Box<dyn WriteOperation>>, outcome: &Result<()>) {
        let permits = batch.iter().map(|operation| operation.options().permits);
        self.shared.release_write_permits(permits.sum());
        batch
            .into_iter()
            .for_each(|operation| operation.answer(outcome.clone()));
    }

    /// Commits a batch, trying again when the failure may pass. Returns how many verbs were in time.
    fn commit_with_retries(&mut self, batch: &mut Vec<Box<dyn WriteOperation>>) -> Result<usize> {
        let mut pauses = RETRY_PAUSES.iter();
        loop {
            let error = match self.try_commit(batch) {
                Ok((applied, effects)) => {
                    self.apply_effects(effects);
                    return Ok(applied);
                }
                Err(error) => error,
            };
            self.roll_back(batch);
            self.state.log_suspect |= is_write_failure(&error);
            if is_locked(&error) {
                self.reject_overdue(batch);
                if batch.is_empty() {
                    return Ok(0);
                }
                // SQLite does not wait where that could be for ever.
                std::thread::sleep(LOCKED_PAUSE);
                continue;
            }
            match pauses.next() {
                Some(pause) if is_transient(&error) => std::thread::sleep(*pause),
                _ => return Err(self.named(error)),
            }
        }
    }

    fn named(&self, error: Error) -> Error {
        match &self.file {
            Some(file) => name_store(error, "write to", &file.path),
            None => error,
        }
    }

    /// Others hold a lock: whose time is over is told so, whether in this batch or behind it.
    fn reject_overdue(&mut self, batch: &mut Vec<Box<dyn WriteOperation>>) {
        self.drain_inbox();
        let now = Instant::now();
        let all = self.state.closing_deadline.is_some_and(|deadline| deadline <= now);
        let is_overdue = |operation: &dyn WriteOperation| all || operation.deadline() <= now;
        let mut overdue: Vec<_> = batch.extract_if(.., |operation| is_overdue(&**operation)).collect();
        let (late, queued): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.state.queued)
            .into_iter()
            .partition(|operation| is_overdue(operation.as_ref()));
        self.state.queued = queued;
        overdue.extend(late);
        if !overdue.is_empty() {
            let holder = self.file.as_ref().and_then(|file| {
                let turn = self.fair_lock.as_ref().map(FairLock::file);
                lock_holder::describe(turn, &file.path)
            });
            self.answer(overdue, &Err(locked_error(holder.as_deref())));
        }
    }

    fn try_commit(&mut self, batch: &mut [Box<dyn WriteOperation>]) -> Result<(usize, Effects)> {
        let synced = self.durability == Durability::Full && batch.iter().any(|operation| operation.options().synced);
        if let Some(watch) = &self.file_watch {
            watch.check()?;
        }
        self.state.log_suspect |= self.checkpoints.as_ref().is_some_and(Checkpoints::take_failure);
        if self.state.log_suspect {
            self.repair_log()?;
        }
        self.set_synchronous(synced)?;
        let began = self.shared.transactions.begin();
        let turn = self.fair_lock.as_ref().map(FairLock::acquire);
        let connection = &self.connection;
        let written_before = connection.total_changes();
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        if let Some(file) = &self.file
            && self.state.schema.check(connection, &file.path)?
        {
            self.state.watch.others_have_committed();
        }
        let locks = self.file.as_ref().map(|file| file.locks.as_path());
        let WriterState {
            routes,
            subscriptions,
            last_token,
            work_time,
            ..
        } = &mut self.state;
        let mut tx = Tx::new(connection, locks, routes, subscriptions, last_token, work_time);
        let started = Instant::now();
        let (mut applied, mut jobs) = (0, 0);
        let alone = batch.iter().any(|operation| operation.options().alone);
        for operation in batch {
            if applied > 0 && started.elapsed() > MAX_BATCH_TIME {
                break;
            }
            operation.apply(&mut tx)?;
            applied += 1;
            jobs += operation.options().jobs;
        }
        if !alone {
            tx.add_work_time(started.elapsed());
        }
        let effects = tx.finish()?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        if connection.total_changes() != written_before {
            self.state.watch.has_committed(turn.is_some_and(|turn| turn.is_held()));
        }
        self.shared.transactions.committed(began, jobs);
        self.state.schema.committed(connection);
        Ok((applied, effects))
    }

    /// Nothing that was written before counts as synced until it has been written again.
    fn repair_log(&mut self) -> Result<()> {
        if let Some(file) = &self.file {
            let _turn = self.fair_lock.as_ref().map(FairLock::acquire);
            let frames = checkpoint::committed_frames(&self.connection)?;
            // Nobody adds frames meanwhile, nor starts the log anew.
            let lock = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            log_repair::rewrite(&file.path, frames)?;
            lock.rollback()?;
        }
        self.state.log_suspect = false;
        Ok(())
    }

    /// The pragma takes effect when prepared, and only outside a transaction: it is never cached and runs before `BEGIN`.
    fn set_synchronous(&mut self, synced: bool) -> Result<()> {
        if self.state.synced != Some(synced) {
            self.state.synced = None;
            let level = if synced {
                "PRAGMA synchronous = FULL"
            } else {
                "PRAGMA synchronous = NORMAL"
            };
            self.connection.execute_batch(level)?;
            self.state.synced = Some(synced);
        }
        Ok(())
    }

    fn roll_back(&mut self, batch: &mut [Box<dyn WriteOperation>]) {
        // While the write lock is still held: a lock of a registration that comes to nothing is gone before another process
        // can be given its number.
        batch.iter_mut().for_each(|operation| operation.undo());
        self.state.routes.clear();
        self.state.subscriptions.clear();
        if !self.connection.is_autocommit() {
            // Fails only if SQLite has already rolled back.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn apply_effects(&self, effects: Effects) {
        if let Some(file) = &self.file {
            effects
                .instance_ended
                .iter()
                .for_each(|instance| instance_lock::remove(&file.locks, *instance));
        }
        if effects.wake {
            self.shared.notify_changes();
        }
    }

    fn checkpoint_if_due(&mut self) {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.after_commit(&self.connection, self.fair_lock.as_ref());
        }
    }

    /// Notifies the claimer if another process has committed since the last look.
    fn look_at_other_processes(&mut self) {
        if self.state.watch.look(&self.connection) {
            self.shared.notify_changes();
        }
    }

    /// Shuts down: closes the other connections first, this one last (see `open_file_locks`), then deregisters the file.
    fn end(self) {
        let Self {
            connection,
            file,
            checkpoints,
            inbox,
            shared,
            ..
        } = self;
        shared.mark_closed();
        // Late senders are told that the store is closed.
        inbox.try_iter().for_each(|message| message.refuse(&Error::closed()));
        drop(checkpoints);
        if file.is_some() {
            super::checkpoint::final_checkpoint(&connection);
        }
        drop(connection);
        drop(file);
        shared.mark_ended();
    }
}

/// A writer without a thread, for a store that works on those of its callers.
pub(super) struct CallersWriter(Mutex<Option<Writer>>);

impl CallersWriter {
    pub(super) fn new(writer: Writer) -> Self {
        Self(Mutex::new(Some(writer)))
    }

    /// Executes what is in the writer's inbox, unless another caller has done so meanwhile.
    pub(super) fn run(&self) {
        let mut writer = self.0.lock().unwrap_or_else(|poisoned| {
            // A panic was in the way of it: whoever waits is told that it has ended.
            let mut writer = poisoned.into_inner();
            *writer = None;
            writer
        });
        if writer.as_mut().is_some_and(|writer| !writer.run_queued()) {
            writer.take().into_iter().for_each(Writer::end);
        }
    }
}
