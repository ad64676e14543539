//! The one thread that writes: applies all verbs that wait in one transaction, commits once, answers all.
//!
//! Knows no verb. Invariants: a verb is answered only after its commit; a transaction is short; a verb that fails
//! fails alone; after a failure of the disk the thread goes on and recovers when the cause is gone.

use super::checkpoint::Checkpoints;
use super::failure::is_transient;
use super::open::OpenedFile;
use super::routes::RouteCache;
use super::turnstile::Turnstile;
use super::tx::{Effects, Tx};
use super::verb::{Treatment, Verb};
use super::webhooks::Subscriptions;
use super::{Durability, Shared, instance_lock};
use crate::error::{Error, Result};
use crate::store::Token;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Most rows moved in one transaction, about.
const BATCH_ROWS: usize = 2_000;
/// Longest time verbs are added to one transaction: other processes wait meanwhile.
const BATCH_TIME: Duration = Duration::from_millis(4);
/// How often commits of other processes are looked for.
const POLL: Duration = Duration::from_millis(20);
/// Pauses before a batch is tried again.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(5),
    Duration::from_millis(50),
    Duration::from_millis(250),
];

/// What the writer is told.
pub(super) enum Message {
    /// Something to do.
    Verb(Box<dyn Verb>),
    /// A setting has changed: look at it.
    Nudge,
    /// Do what waits, then end.
    Close,
}

/// The writer's own state; lives in its thread.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) file: Option<OpenedFile>,
    pub(super) turnstile: Option<Turnstile>,
    pub(super) checkpoints: Option<Checkpoints>,
    pub(super) inbox: Receiver<Message>,
    pub(super) shared: Arc<Shared>,
    pub(super) durability: Durability,
    pub(super) state: State,
}

/// What the writer remembers between transactions.
#[derive(Default)]
pub(super) struct State {
    waiting: VecDeque<Box<dyn Verb>>,
    routes: RouteCache,
    subscriptions: Subscriptions,
    last_token: Token,
    /// Time verbs have had in transactions since the last slice of work that keeps pace with them.
    worked: Duration,
    synced: Option<bool>,
    closing: bool,
    last_poll: Option<Instant>,
    data_version: i64,
}

impl Writer {
    /// Works until told to close or until nobody is left to tell it anything.
    pub(super) fn run(mut self) {
        while self.wait_for_work() {
            self.take_turn();
            self.look_for_others();
        }
        self.end();
    }

    /// Waits for verbs, or for the next look at other processes. `false`: it is over.
    fn wait_for_work(&mut self) -> bool {
        self.drain();
        if !self.state.waiting.is_empty() {
            return true;
        }
        if self.state.closing {
            return false;
        }
        let message = if self.shared.watches_others() {
            self.inbox.recv_timeout(POLL)
        } else {
            self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        match message {
            Ok(message) => self.accept(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.state.closing = true,
        }
        self.drain();
        true
    }

    fn drain(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            self.accept(message);
        }
    }

    fn accept(&mut self, message: Message) {
        match message {
            Message::Verb(verb) if verb.treatment().urgent => self.state.waiting.push_front(verb),
            Message::Verb(verb) => self.state.waiting.push_back(verb),
            Message::Nudge => {}
            Message::Close => self.state.closing = true,
        }
    }

    /// Takes one batch from what waits and settles it.
    fn take_turn(&mut self) {
        let mut batch = Vec::new();
        let mut rows = 0;
        while let Some(verb) = self.state.waiting.pop_front() {
            let Treatment { rows: more, aside, .. } = verb.treatment();
            if !batch.is_empty() && (aside || rows + more > BATCH_ROWS) {
                self.state.waiting.push_front(verb);
                break;
            }
            rows += more;
            batch.push(verb);
            if aside {
                break;
            }
        }
        if !batch.is_empty() {
            self.settle(batch);
            self.tend_log();
        }
    }

    fn settle(&mut self, mut batch: Vec<Box<dyn Verb>>) {
        match self.persist(&mut batch) {
            Ok(applied) => {
                let rest = batch.split_off(applied.min(batch.len()));
                self.answer(batch, &Ok(()));
                rest.into_iter()
                    .rev()
                    .for_each(|verb| self.state.waiting.push_front(verb));
            }
            Err(error) if batch.len() == 1 || is_transient(&error) => self.answer(batch, &Err(error)),
            // One of them is to blame: each on its own.
            Err(_) => batch.into_iter().for_each(|verb| self.settle_alone(verb)),
        }
    }

    fn settle_alone(&mut self, verb: Box<dyn Verb>) {
        let mut batch = vec![verb];
        let outcome = self.persist(&mut batch).map(|_| ());
        self.answer(batch, &outcome);
    }

    fn answer(&self, batch: Vec<Box<dyn Verb>>, outcome: &Result<()>) {
        self.shared.verbs_left(batch.len());
        batch.into_iter().for_each(|verb| verb.answer(outcome.clone()));
    }

    /// Commits a batch, trying again when the failure may pass. Returns how many verbs were in time.
    fn persist(&mut self, batch: &mut [Box<dyn Verb>]) -> Result<usize> {
        let mut pauses = PAUSES.iter();
        loop {
            let error = match self.attempt(batch) {
                Ok((applied, effects)) => {
                    self.take_effect(effects);
                    return Ok(applied);
                }
                Err(error) => error,
            };
            self.undo();
            match pauses.next() {
                Some(pause) if is_transient(&error) => std::thread::sleep(*pause),
                _ => return Err(error),
            }
        }
    }

    fn attempt(&mut self, batch: &mut [Box<dyn Verb>]) -> Result<(usize, Effects)> {
        let synced = self.durability == Durability::Full && batch.iter().any(|verb| verb.treatment().synced);
        self.set_synchronous(synced)?;
        let _turn = self.turnstile.as_ref().map(Turnstile::enter);
        let connection = &self.connection;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let locks = self.file.as_ref().map(|file| file.locks.as_path());
        let State {
            routes,
            subscriptions,
            last_token,
            worked,
            ..
        } = &mut self.state;
        let mut tx = Tx::new(connection, locks, routes, subscriptions, last_token, worked);
        let started = Instant::now();
        let mut applied = 0;
        let aside = batch.iter().any(|verb| verb.treatment().aside);
        for verb in batch {
            if applied > 0 && started.elapsed() > BATCH_TIME {
                break;
            }
            verb.apply(&mut tx)?;
            applied += 1;
        }
        if !aside {
            tx.has_worked(started.elapsed());
        }
        let effects = tx.finish()?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok((applied, effects))
    }

    /// The pragma acts when it is prepared, and only outside a transaction: never cached, always before `BEGIN`.
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

    fn undo(&mut self) {
        self.state.routes.forget();
        self.state.subscriptions.forget();
        if !self.connection.is_autocommit() {
            // Fails only when SQLite has rolled back by itself.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn take_effect(&self, effects: Effects) {
        if let Some(file) = &self.file {
            effects
                .gone
                .iter()
                .for_each(|instance| instance_lock::remove(&file.locks, *instance));
        }
        if effects.wake {
            self.shared.bump();
        }
    }

    fn tend_log(&mut self) {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.after_commit(&self.connection, self.turnstile.as_ref());
        }
    }

    /// Tells the claimer when another process has committed since the last look.
    fn look_for_others(&mut self) {
        if !self.shared.watches_others() || self.state.last_poll.is_some_and(|last| last.elapsed() < POLL) {
            return;
        }
        self.state.last_poll = Some(Instant::now());
        if let Ok(version) = self.data_version()
            && version != self.state.data_version
        {
            self.state.data_version = version;
            self.shared.bump();
        }
    }

    fn data_version(&self) -> std::result::Result<i64, rusqlite::Error> {
        self.connection
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))
    }

    /// Ends: the other connections first, this one last (see `ofd`), then the entry in the list of open files.
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
        // Whoever sent in spite of it learns that it is over.
        for message in inbox.try_iter() {
            if let Message::Verb(verb) = message {
                verb.answer(Err(Error::closed()));
            }
        }
        drop(checkpoints);
        if file.is_some() {
            super::checkpoint::last(&connection);
        }
        drop(connection);
        drop(file);
        shared.mark_ended();
    }
}
