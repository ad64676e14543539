//! Implements [`Store`] by delegating each verb to its module.
//!
//! Knows which verbs are urgent, which may be resent and which are split into several transactions; knows no SQL.

use super::pool::{WriteOptions, with_session};
use super::{
    PostgresStore, advance, change, claim, counters, entries, history, instances, keys, list, metadata, notes, read,
    retime, routes, statement, steps, sweep, uniques,
};
use crate::clock::Millis;
use crate::error::{Error, ErrorCode, Result};
use crate::model::{JobId, NewJob, Status};
use crate::store::{
    AddedRoutes, BulkChangeOutcome, Cancellation, Change, ChangeOutcome, ClaimParams, ClaimRef, Claimed,
    CompleteParams, Completed, DirectStore, Entry, EntryKey, EntryKind, FailedRun, History, HistoryPosition,
    InsertParams, Inserted, InstanceId, JobRecord, JobSeq, ListFilter, LogLine, Note, Page, RecoverParams, Recovered,
    Retention, RouteId, RouteMark, RunLocation, SeriesAdvance, SeriesSnapshot, Statement, Stats, Step, Store, Token,
};
use async_trait::async_trait;
use std::path::Path;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

/// Most jobs changed in one transaction, since others wait for their locks meanwhile.
const CHANGED_TOGETHER: usize = 100;

#[async_trait]
impl Store for PostgresStore {
    async fn insert(&self, params: InsertParams) -> Result<Vec<Inserted>> {
        self.inner_if_open()?;
        if params.jobs.is_empty() {
            return Ok(Vec::new());
        }
        self.writer.insert(params).await
    }

    fn direct(&self) -> Option<&dyn DirectStore> {
        Some(self)
    }

    async fn claim(&self, params: ClaimParams) -> Result<Claimed> {
        let inner = self.inner_if_open()?;
        // Before the claim, so that claimed runs do not wait for it.
        self.compact_if_due().await;
        // A claim that is sent again has other tokens: the first one may have been made, and its answer lost.
        let claim::Answer { claimed, handed_back } =
            with_session!(inner.general, WriteOptions::ENGINE, |session| claim::apply(
                session,
                (&inner.scan_positions, &inner.claim_limit),
                &params,
                self.reserve_tokens(params.slots)
            ));
        inner.hand_back(&params, handed_back).await;
        if !claimed.runs.is_empty() || claimed.more {
            inner.counters_written();
        }
        Ok(claimed)
    }

    async fn advance(&self, now: Millis, advances: Vec<SeriesAdvance>) -> Result<usize> {
        let inner = self.inner_if_open()?;
        let counted = with_session!(inner.general, WriteOptions::ENGINE, |session| advance::apply(
            session, now, &advances
        ));
        if counted > 0 {
            inner.counters_written();
            let dues = advances.iter().flat_map(|advance| &advance.occurrences);
            let dues = dues.map(|occurrence| occurrence.scheduled_at.min(now));
            inner.scan_positions.run_added(dues.min().unwrap_or(Millis::MAX));
            inner.wake();
        }
        Ok(counted)
    }

    async fn complete(&self, params: CompleteParams) -> Result<Vec<Completed>> {
        self.inner_if_open()?.complete(&params).await
    }

    async fn change(&self, id: &JobId, change: Change, now: Millis) -> Result<ChangeOutcome> {
        let inner = self.inner_if_open()?;
        let (changed, after) = with_session!(inner.general, WriteOptions::NO_RESEND, |session| change::by_id(
            session, id, &change, now
        ));
        inner.scan_positions.runs_added();
        inner.apply_effects(after).await;
        Ok(changed)
    }

    async fn change_many(
        &self,
        jobs: Vec<JobSeq>,
        statuses: Vec<Status>,
        change: Change,
        now: Millis,
    ) -> Result<BulkChangeOutcome> {
        let inner = self.inner_if_open()?;
        let mut changed = BulkChangeOutcome::default();
        for some in jobs.chunks(CHANGED_TOGETHER) {
            let (slice, after) = with_session!(inner.general, WriteOptions::NO_RESEND, |session| {
                change::some(session, some, &statuses, &change, now)
            });
            changed.extend(slice);
            inner.counters_written();
            inner.scan_positions.runs_added();
            inner.apply_effects(after).await;
        }
        Ok(changed)
    }

    async fn matching_jobs(&self, filter: ListFilter) -> Result<Vec<JobSeq>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::LONG_RUNNING, |session| {
            list::numbers(session, &filter)
        }))
    }

    async fn register(&self, lease: i64, slots: usize) -> Result<InstanceId> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.urgent, WriteOptions::DEFAULT, |session| {
            instances::register(session, self.lease_now(), lease, slots)
        }))
    }

    async fn renew(&self, instance: InstanceId, lease: i64) -> Result<bool> {
        let inner = self.inner_if_open()?;
        let version = with_session!(inner.urgent, WriteOptions::HEARTBEAT, |session| {
            instances::renew(session, self.lease_now(), instance, lease)
        });
        let Some(version) = version else { return Ok(false) };
        inner.check_version(version)?;
        Ok(true)
    }

    async fn unregister(&self, instance: InstanceId, now: Millis) -> Result<()> {
        self.end_registration(instance, now, None).await.map(drop)
    }

    async fn unregister_crashed(&self, instance: InstanceId, now: Millis, max_crashes: u32) -> Result<Vec<FailedRun>> {
        self.end_registration(instance, now, Some(max_crashes)).await
    }

    async fn recover(&self, params: RecoverParams) -> Result<Recovered> {
        self.recover_runs(params).await
    }

    async fn claims_of(&self, instance: InstanceId) -> Result<Vec<(JobSeq, i64, Token)>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::ENGINE, |session| {
            instances::claims_of(session, instance)
        }))
    }

    async fn held_among(&self, instance: InstanceId, claims: Vec<(JobSeq, i64, Token)>) -> Result<Vec<Token>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::ENGINE, |session| {
            instances::held_among(session, instance, &claims)
        }))
    }

    async fn save_notes(&self, notes: Vec<Note>) -> Result<()> {
        let inner = self.inner_if_open()?;
        with_session!(inner.general, WriteOptions::ENGINE, |session| notes::apply(
            session, &notes
        ));
        Ok(())
    }

    async fn steps(&self, job: JobSeq, run: i64) -> Result<Vec<Step>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            steps::of_run(session, job, run)
        }))
    }

    async fn record_step(&self, holder: ClaimRef, step: Step) -> Result<()> {
        step.check()?;
        let inner = self.inner_if_open()?;
        let recorded = with_session!(inner.general, WriteOptions::DEFAULT, |session| steps::record(
            session, holder, &step
        ));
        recorded.answer()
    }

    async fn forget_steps(&self, holder: ClaimRef, tags: Vec<Box<str>>) -> Result<()> {
        let inner = self.inner_if_open()?;
        let forgotten = with_session!(inner.general, WriteOptions::DEFAULT, |session| steps::delete(
            session, holder, &tags
        ));
        forgotten.answer()
    }

    async fn series_after(&self, after: JobSeq, limit: usize) -> Result<Vec<SeriesSnapshot>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::ENGINE, |session| {
            claim::series_after(session, after, limit)
        }))
    }

    async fn put_entry(&self, entry: Entry) -> Result<()> {
        let inner = self.inner_if_open()?;
        with_session!(inner.general, WriteOptions::DEFAULT, |session| entries::put(
            session, &entry
        ));
        Ok(())
    }

    async fn entry(&self, at: EntryKey, now: Millis) -> Result<Option<Box<str>>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            entries::get(session, &at, now)
        }))
    }

    async fn take_entry(&self, at: EntryKey, now: Millis) -> Result<Option<Box<str>>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::NO_RESEND, |session| {
            entries::take(session, &at, now)
        }))
    }

    async fn clear_entries(&self, kind: EntryKind, space: &str) -> Result<usize> {
        let inner = self.inner_if_open()?;
        let mut total = 0;
        loop {
            let step = with_session!(inner.general, WriteOptions::LONG_RUNNING, |session| entries::clear(
                session, kind, space
            ));
            total += step;
            if step < entries::MAX_ENTRIES_PER_TRANSACTION {
                return Ok(total);
            }
        }
    }

    async fn sweep_entries(&self, now: Millis, most: usize, limit: usize) -> Result<usize> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::LONG_RUNNING, |session| {
            entries::sweep(session, now, most, limit)
        }))
    }

    async fn server_time(&self) -> Result<Option<Millis>> {
        let inner = self.inner_if_open()?;
        let time = with_session!(inner.general, WriteOptions::HEARTBEAT, |session| metadata::server_time(
            session
        ));
        Ok(Some(time))
    }

    async fn retime_waiting(&self, now: Millis, by: Millis) -> Result<usize> {
        let inner = self.inner_if_open()?;
        with_session!(inner.general, WriteOptions::ENGINE, |session| retime::instances(
            session, now
        ));
        let (mut moved, mut after) = (0, Some(retime::Position::due_after(now)));
        while let Some(position) = after {
            let step = with_session!(inner.general, WriteOptions::ENGINE, |session| retime::step(
                session, position, now, by
            ));
            moved += step.moved;
            after = step.next;
        }
        if moved > 0 {
            inner.wake();
        }
        Ok(moved)
    }

    async fn set_metadata(&self, name: &str, value: &str) -> Result<()> {
        let inner = self.inner_if_open()?;
        with_session!(inner.general, WriteOptions::DEFAULT, |session| metadata::set(
            session, name, value
        ));
        Ok(())
    }

    async fn metadata(&self, name: &str) -> Result<Option<String>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            metadata::get(session, name)
        }))
    }

    async fn logs(&self, id: &JobId) -> Result<Option<Vec<LogLine>>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            notes::log_lines(session, id)
        }))
    }

    async fn get(&self, id: &JobId) -> Result<Option<JobRecord>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(
            inner.general,
            WriteOptions::DEFAULT,
            |session| read::get(session, id)
        ))
    }

    async fn run_location(&self, id: &JobId, count_up_to: usize) -> Result<Option<RunLocation>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            read::run_location(session, id, count_up_to)
        }))
    }

    async fn cancellation(&self, job: JobSeq, run: i64) -> Result<Option<Cancellation>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::ENGINE, |session| {
            read::cancellation(session, job, run)
        }))
    }

    async fn list(&self, filter: ListFilter) -> Result<Page> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::LONG_RUNNING, |session| {
            list::page(session, &filter)
        }))
    }

    async fn stats(&self, routes: Option<Vec<RouteId>>) -> Result<Stats> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            counters::stats(session, routes.as_deref())
        }))
    }

    async fn history_before(&self, id: &JobId, limit: usize, before: HistoryPosition) -> Result<Option<History>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            history::of(session, id, limit, before)
        }))
    }

    async fn routes_after(&self, after: RouteMark) -> Result<AddedRoutes> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            routes::after(session, after)
        }))
    }

    async fn ready_routes(&self) -> Result<Vec<RouteId>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            counters::routes_in(session, &[Status::Queued])
        }))
    }

    async fn count_due(&self, routes: Vec<RouteId>, now: Millis, limit: usize) -> Result<usize> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            counters::due(session, &routes, now, limit)
        }))
    }

    async fn statement(&self, job: &NewJob) -> Result<Option<Statement>> {
        let inner = self.inner_if_open()?;
        let (statement, after) = with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            statement::of(session, &inner.routes, job)
        });
        inner.apply_effects(after).await;
        Ok(Some(statement))
    }

    async fn count_blocked(&self, routes: Vec<RouteId>, limit: usize) -> Result<usize> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            counters::blocked(session, &routes, limit)
        }))
    }

    async fn sweep(&self, retention: Retention, now: Millis, limit: usize) -> Result<usize> {
        let inner = self.inner_if_open()?;
        let mut deleted = 0;
        while deleted < limit {
            let most = (limit - deleted).min(sweep::MAX_JOBS_PER_STEP);
            let step = with_session!(inner.general, WriteOptions::LONG_RUNNING, |session| sweep::jobs(
                session,
                &inner.sweep_positions,
                retention,
                now,
                most
            ));
            deleted += step;
            if step < most {
                break;
            }
        }
        for _ in 0..sweep::MAX_TRIM_STEPS {
            let after = JobSeq::new(self.trim_cursor.load(Ordering::Relaxed));
            let next = with_session!(inner.general, WriteOptions::LONG_RUNNING, |session| {
                sweep::runs(session, retention.runs, now, after)
            });
            self.trim_cursor
                .store(next.unwrap_or(JobSeq::MIN).get(), Ordering::Relaxed);
            if next.is_none() {
                break;
            }
        }
        with_session!(inner.general, WriteOptions::LONG_RUNNING, |session| uniques::expire(
            session, now
        ));
        with_session!(
            inner.general,
            WriteOptions::LONG_RUNNING,
            |session| keys::delete_unused(session)
        );
        self.compact().await?;
        Ok(deleted)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    fn outages_are_shared(&self) -> bool {
        self.inner.connector.server_is_down()
    }

    fn watch_other_processes(&self, watch: bool) {
        self.inner.watch_other_processes.send_replace(watch);
    }

    async fn back_up(&self, _to: &Path) -> Result<()> {
        let inner = self.inner_if_open()?;
        let message = format!(
            "this store is in PostgreSQL, whose own tools back it up; use `pg_dump --schema={}`",
            inner.connector.address.schema
        );
        Err(Error::new(ErrorCode::StoreError, message))
    }

    async fn close(&self) -> Result<()> {
        self.shut_down();
        Ok(())
    }
}

impl PostgresStore {
    /// `max_crashes`: what it still holds has crashed; returns what failed by that.
    async fn end_registration(
        &self,
        instance: InstanceId,
        now: Millis,
        max_crashes: Option<u32>,
    ) -> Result<Vec<FailedRun>> {
        let (inner, mut failed_runs) = (self.inner_if_open()?, Vec::new());
        loop {
            let (failed, more, after) = with_session!(inner.general, WriteOptions::ENGINE, |session| {
                instances::end_registered_claims(session, instance, now, max_crashes)
            });
            inner.scan_positions.runs_added();
            failed_runs.extend(failed);
            inner.apply_effects(after).await;
            if !more {
                break;
            }
        }
        inner.wake();
        Ok(failed_runs)
    }
}
