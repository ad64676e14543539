//! Implements [`Store`] by delegating each verb to its module.
//!
//! Knows which verbs are synced, which are urgent and which are split into several transactions; knows no SQL.

use super::instance_lock::PendingInstanceLock;
use super::write_operation::WriteOptions;
use super::{
    SqliteStore, advance, change, claim, complete, counters, entries, history, insert, instances, list, metadata,
    notes, outbox, read, relay, retime, routes, run_location, silence, steps, sweep, webhooks,
};
use crate::clock::Millis;
use crate::error::{Error, ErrorCode, Result};
use crate::model::{JobId, Status};
use crate::store::{
    AddedRoutes, BulkChangeOutcome, Cancellation, Change, ChangeOutcome, ClaimParams, ClaimRef, Claimed,
    CompleteParams, Completed, DeliveryReport, DirectStore, Entry, EntryKey, EntryKind, FailedRun, History,
    HistoryPosition, InsertParams, Inserted, InstanceId, JobRecord, JobSeq, ListFilter, LogLine, NewWebhook, Note,
    Page, RecoverParams, Recovered, RelayedEvent, Retention, RouteId, RouteMark, RunLocation, SeriesAdvance,
    SeriesSnapshot, Stats, Step, Store, StoredEvent, Takeover, Token, Webhook, WebhookSet, WebhookStore,
};
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Whoever has waited for longer to write does not know whether others could renew meanwhile: a lock may have kept them from
/// it, perhaps this process's own, which was stopped. Silence then means nothing.
const MAX_RECOVER_WAIT: Duration = Duration::from_secs(2);

#[async_trait]
impl Store for SqliteStore {
    async fn insert(&self, params: InsertParams) -> Result<Vec<Inserted>> {
        let options = WriteOptions::synced(params.jobs.len()).of_jobs();
        self.write(options, move |tx| insert::apply(tx, &params)).await
    }

    fn direct(&self) -> Option<&dyn DirectStore> {
        // Else the caller's thread would do the writing.
        self.callers_writer.is_none().then_some(self)
    }

    async fn claim(&self, params: ClaimParams) -> Result<Claimed> {
        let (options, params) = self.claim_call(params);
        self.write(options, move |tx| claim::apply(tx, &params)).await
    }

    async fn advance(&self, now: Millis, advances: Vec<SeriesAdvance>) -> Result<usize> {
        // Synced: a run's number is part of its idempotency key, so it must not be given to another occurrence after a power
        // cut.
        let options = WriteOptions::synced(advances.len());
        self.write(options, move |tx| advance::apply(tx, now, &advances)).await
    }

    async fn complete(&self, params: CompleteParams) -> Result<Vec<Completed>> {
        let options = WriteOptions::plain(params.completions.len()).of_jobs();
        self.write(options, move |tx| complete::apply(tx, &params)).await
    }

    async fn change(&self, id: &JobId, change: Change, now: Millis) -> Result<ChangeOutcome> {
        let id = id.clone();
        self.write(WriteOptions::synced(1), move |tx| change::by_id(tx, &id, &change, now))
            .await
    }

    async fn change_many(
        &self,
        jobs: Vec<JobSeq>,
        statuses: Vec<Status>,
        change: Change,
        now: Millis,
    ) -> Result<BulkChangeOutcome> {
        let (jobs, statuses): (Arc<[_]>, Arc<[_]>) = (jobs.into(), statuses.into());
        let (mut changed, mut done) = (BulkChangeOutcome::default(), 0);
        while done < jobs.len() {
            let (jobs, statuses, change) = (Arc::clone(&jobs), Arc::clone(&statuses), change.clone());
            let (time_slice, seen) = self
                .write(WriteOptions::alone(), move |tx| {
                    change::some(tx, &jobs[done..], &statuses, &change, now)
                })
                .await?;
            changed.extend(time_slice);
            done += seen;
        }
        if !changed.jobs.is_empty() {
            // One sync for all slices: it covers what was committed before it.
            self.set_metadata(metadata::LAST_BULK_CHANGE, &now.to_string()).await?;
        }
        Ok(changed)
    }

    async fn matching_jobs(&self, filter: ListFilter) -> Result<Vec<JobSeq>> {
        self.read(move |connection| list::numbers(connection, &filter)).await
    }

    async fn register(&self, lease: i64, slots: usize) -> Result<InstanceId> {
        let (clock, silence) = (Arc::clone(&self.lease_clock), Arc::clone(&self.silence));
        let (instance, lock) = self
            .write(WriteOptions::urgent(), move |tx| {
                let time = clock();
                let registered = instances::register(tx, &time, lease, slots)?;
                silence::lock(&silence).wrote(registered.0, time.millis, lease);
                Ok(registered)
            })
            .await?;
        if let Some(lock) = lock.and_then(PendingInstanceLock::keep) {
            self.instance_locks().insert(instance, lock);
        }
        Ok(instance)
    }

    async fn renew(&self, instance: InstanceId, lease: i64) -> Result<bool> {
        let (clock, silence) = (Arc::clone(&self.lease_clock), Arc::clone(&self.silence));
        self.write(WriteOptions::urgent(), move |tx| {
            let time = clock();
            let renewed = instances::renew(tx, instance, &time, lease)?;
            silence::lock(&silence).wrote(instance, time.millis, lease);
            Ok(renewed)
        })
        .await
    }

    async fn unregister(&self, instance: InstanceId, now: Millis) -> Result<()> {
        self.end_registration(instance, now, None).await.map(drop)
    }

    async fn unregister_crashed(&self, instance: InstanceId, now: Millis, max_crashes: u32) -> Result<Vec<FailedRun>> {
        self.end_registration(instance, now, Some(max_crashes)).await
    }

    async fn recover(&self, params: RecoverParams) -> Result<Recovered> {
        let own: Arc<[InstanceId]> = self.instance_locks().keys().copied().collect();
        let mut total = Recovered::default();
        loop {
            let (clock, own, asked) = (Arc::clone(&self.lease_clock), Arc::clone(&own), Instant::now());
            let silence = Arc::clone(&self.silence);
            let step = self
                .write(WriteOptions::plain(1), move |tx| {
                    let mut params = params;
                    if asked.elapsed() > MAX_RECOVER_WAIT {
                        params.takeover = Takeover::Proven;
                    }
                    instances::recover(tx, &clock(), &own, &mut silence::lock(&silence), &params)
                })
                .await?;
            total.instances += step.found.instances;
            total.requeued += step.found.requeued;
            total.failed += step.found.failed;
            total.crashed.extend(step.found.crashed);
            total.failed_runs.extend(step.found.failed_runs);
            total.suspects = step.found.suspects;
            total.has_events = step.found.has_events;
            if !step.more {
                return Ok(total);
            }
        }
    }

    async fn claims_of(&self, instance: InstanceId) -> Result<Vec<(JobSeq, i64, Token)>> {
        self.read(move |connection| instances::claims_of(connection, instance))
            .await
    }

    async fn save_notes(&self, notes: Vec<Note>) -> Result<()> {
        self.write(WriteOptions::plain(notes.len()), move |tx| notes::apply(tx, &notes))
            .await
    }

    async fn steps(&self, job: JobSeq, run: i64) -> Result<Vec<Step>> {
        self.read(move |connection| steps::of_run(connection, job, run)).await
    }

    async fn record_step(&self, holder: ClaimRef, step: Step) -> Result<()> {
        step.check()?;
        // Synced, since a finished step must not run again, not even after a power failure.
        self.write(WriteOptions::synced(1), move |tx| steps::record(tx, holder, &step))
            .await?
            .answer()
    }

    async fn forget_steps(&self, holder: ClaimRef, tags: Vec<Box<str>>) -> Result<()> {
        self.write(WriteOptions::synced(1), move |tx| steps::delete(tx, holder, &tags))
            .await?
            .answer()
    }

    async fn series_after(&self, after: JobSeq, limit: usize) -> Result<Vec<SeriesSnapshot>> {
        self.read(move |connection| claim::series_after(connection, after, limit))
            .await
    }

    async fn put_entry(&self, entry: Entry) -> Result<()> {
        // Issued refresh tokens and revocations must be as durable as dispatches.
        let options = match entry.at.kind {
            EntryKind::Session => WriteOptions::synced(1),
            EntryKind::Cache => WriteOptions::plain(1),
        };
        self.write(options, move |tx| entries::put(tx, &entry)).await
    }

    async fn entry(&self, at: EntryKey, now: Millis) -> Result<Option<Box<str>>> {
        self.read(move |connection| entries::get(connection, &at, now)).await
    }

    async fn take_entry(&self, at: EntryKey, now: Millis) -> Result<Option<Box<str>>> {
        self.write(WriteOptions::synced(1), move |tx| entries::take(tx, &at, now))
            .await
    }

    async fn clear_entries(&self, kind: EntryKind, space: &str) -> Result<usize> {
        let mut total = 0;
        loop {
            let space = space.to_owned();
            let step = self
                .write(WriteOptions::synced(entries::MAX_ENTRIES_PER_TRANSACTION), move |tx| {
                    entries::clear(tx, kind, &space, entries::MAX_ENTRIES_PER_TRANSACTION)
                })
                .await?;
            total += step;
            if step < entries::MAX_ENTRIES_PER_TRANSACTION {
                return Ok(total);
            }
        }
    }

    async fn sweep_entries(&self, now: Millis, most: usize, limit: usize) -> Result<usize> {
        let limit = limit.min(entries::MAX_ENTRIES_PER_TRANSACTION);
        self.write(WriteOptions::plain(limit), move |tx| {
            entries::sweep(tx, now, most, limit)
        })
        .await
    }

    async fn retime_waiting(&self, now: Millis, by: Millis) -> Result<usize> {
        let (mut moved, mut after) = (0, Some(retime::Position::due_after(now)));
        while let Some(position) = after {
            let step = self
                .write(WriteOptions::alone(), move |tx| retime::step(tx, position, now, by))
                .await?;
            moved += step.moved;
            after = step.next;
        }
        Ok(moved)
    }

    async fn set_metadata(&self, name: &str, value: &str) -> Result<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.write(WriteOptions::synced(1), move |tx| metadata::set(tx, &name, &value))
            .await
    }

    async fn metadata(&self, name: &str) -> Result<Option<String>> {
        let name = name.to_owned();
        self.read(move |connection| metadata::get(connection, &name)).await
    }

    async fn logs(&self, id: &JobId) -> Result<Option<Vec<LogLine>>> {
        let id = id.clone();
        self.read(move |connection| notes::log_lines(connection, &id)).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<JobRecord>> {
        let id = id.clone();
        self.read(move |connection| read::get(connection, &id)).await
    }

    async fn run_location(&self, id: &JobId, count_up_to: usize) -> Result<Option<RunLocation>> {
        let id = id.clone();
        self.read(move |connection| run_location::of(connection, &id, count_up_to))
            .await
    }

    async fn cancellation(&self, job: JobSeq, run: i64) -> Result<Option<Cancellation>> {
        self.read(move |connection| read::cancellation(connection, job, run))
            .await
    }

    async fn list(&self, filter: ListFilter) -> Result<Page> {
        self.read(move |connection| list::page(connection, &filter)).await
    }

    async fn stats(&self, routes: Option<Vec<RouteId>>) -> Result<Stats> {
        self.read(move |connection| counters::stats(connection, routes.as_deref()))
            .await
    }

    async fn history_before(&self, id: &JobId, limit: usize, before: HistoryPosition) -> Result<Option<History>> {
        let id = id.clone();
        self.read(move |connection| history::of(connection, &id, limit, before))
            .await
    }

    async fn routes_after(&self, after: RouteMark) -> Result<AddedRoutes> {
        self.read(move |connection| routes::after(connection, after)).await
    }

    async fn ready_routes(&self) -> Result<Vec<RouteId>> {
        self.read(routes::with_ready).await
    }

    async fn count_due(&self, routes: Vec<RouteId>, now: Millis, limit: usize) -> Result<usize> {
        self.read(move |connection| counters::due(connection, &routes, now, limit))
            .await
    }

    async fn count_blocked(&self, routes: Vec<RouteId>, limit: usize) -> Result<usize> {
        self.read(move |connection| counters::blocked(connection, &routes, limit))
            .await
    }

    async fn sweep(&self, retention: Retention, now: Millis, limit: usize) -> Result<usize> {
        let mut deleted = 0;
        while deleted < limit {
            let most = limit - deleted;
            let step = self
                .write(WriteOptions::alone(), move |tx| sweep::jobs(tx, retention, now, most))
                .await?;
            if step == 0 {
                break;
            }
            deleted += step;
        }
        for _ in 0..sweep::MAX_TRIM_STEPS {
            let after = JobSeq::new(self.trim_cursor.load(Ordering::Relaxed));
            let step = self.write(WriteOptions::alone(), move |tx| {
                sweep::runs(tx, retention.runs, now, after)
            });
            let next = step.await?;
            self.trim_cursor
                .store(next.unwrap_or(JobSeq::MIN).get(), Ordering::Relaxed);
            if next.is_none() {
                break;
            }
        }
        Ok(deleted)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    // One file, one disk, one lock.
    fn outages_are_shared(&self) -> bool {
        true
    }

    fn watch_other_processes(&self, watch: bool) {
        self.shared.watch_other_processes.store(watch, Ordering::Relaxed);
        self.wake_writer();
    }

    async fn back_up(&self, to: &Path) -> Result<()> {
        if self.shared.is_closed() {
            return Err(Error::closed());
        }
        let Some(readers) = &self.readers else {
            let message =
                "a store in memory has no file to back up; use a store in a file, as in `store: 'sqlite:data/jobs.db'`";
            return Err(Error::new(ErrorCode::StoreError, message));
        };
        readers.back_up(to.to_owned()).await
    }

    async fn close(&self) -> Result<()> {
        self.close_writer().await
    }
}

#[async_trait]
impl WebhookStore for SqliteStore {
    async fn set_webhook(&self, webhook: NewWebhook, most: usize, now: Millis) -> Result<WebhookSet> {
        self.write(WriteOptions::synced(1), move |tx| {
            webhooks::set(tx, &webhook, most, now)
        })
        .await
    }

    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        self.read(webhooks::all).await
    }

    async fn delete_webhook(&self, id_or_url: &str) -> Result<bool> {
        let id_or_url = id_or_url.to_owned();
        self.write(WriteOptions::synced(1), move |tx| webhooks::delete(tx, &id_or_url))
            .await
    }

    async fn note_delivery(&self, id: &str, report: DeliveryReport, now: Millis) -> Result<()> {
        let id = id.to_owned();
        self.write(WriteOptions::plain(1), move |tx| {
            webhooks::record_delivery(tx, &id, &report, now)
        })
        .await
    }

    async fn outbox(&self, limit: usize) -> Result<Vec<StoredEvent>> {
        self.read(move |connection| outbox::oldest(connection, limit)).await
    }

    async fn relay(&self, relayed: Vec<RelayedEvent>, now: Millis) -> Result<usize> {
        let rows = relayed.iter().map(|event| event.deliveries.len() + 1).sum();
        self.write(WriteOptions::plain(rows), move |tx| relay::apply(tx, &relayed, now))
            .await
    }
}

impl SqliteStore {
    /// `max_crashes`: what it still holds has crashed; returns what failed by that.
    async fn end_registration(
        &self,
        instance: InstanceId,
        now: Millis,
        max_crashes: Option<u32>,
    ) -> Result<Vec<FailedRun>> {
        let mut failed_runs = Vec::new();
        loop {
            let step = self.write(WriteOptions::plain(1), move |tx| {
                instances::end_claims(tx, instance, now, max_crashes)
            });
            // After a failure its lock stays: it is not dead, and what it holds is taken over when its lease has ended.
            let (failed, more) = step.await?;
            failed_runs.extend(failed);
            if !more {
                break;
            }
        }
        self.instance_locks().remove(&instance);
        Ok(failed_runs)
    }
}
