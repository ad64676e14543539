//! Implements [`Store`] around another: seals what goes in, opens what comes out, and passes on the rest.

use super::SealedStore;
use super::keyring::Opened;
use super::{open, seal};
use crate::clock::Millis;
use crate::error::{Error, ErrorCode, Result};
use crate::model::{JobId, NewJob, Status};
use crate::store::payload::{Field, Unreadable};
use crate::store::{
    AddedRoutes, BulkChangeOutcome, Cancellation, Change, ChangeOutcome, ClaimParams, ClaimRef, Claimed,
    CompleteParams, Completed, DeliveryReport, DirectStore, Entry, EntryKey, EntryKind, FailedRun, FigureQuery,
    FigureStore, FigureSums, FileSizes, History, HistoryPosition, InsertParams, Inserted, InstanceId, JobRecord,
    JobSeq, ListFilter, LogLine, NewWebhook, Note, Page, RecoverParams, Recovered, RelayedEvent, Retention,
    RouteFigures, RouteId, RouteMark, RunLocation, SeriesAdvance, SeriesSnapshot, Statement, Stats, Step, Store,
    StoredEvent, Token, TransactionCounts, Webhook, WebhookSet, WebhookStore,
};
use async_trait::async_trait;
use std::path::Path;
use tokio::sync::watch;

impl SealedStore {
    async fn seal_jobs(&self, mut jobs: Vec<NewJob>) -> Result<Vec<NewJob>> {
        self.mark_sealing().await?;
        let bytes = jobs.iter().map(seal::size_of_job).sum();
        self.with_keys(bytes, move |keys| {
            jobs.iter_mut().try_for_each(|job| keys.seal_job(job))?;
            Ok(jobs)
        })
        .await?
    }

    async fn seal_change(&self, mut change: Change) -> Result<Change> {
        if matches!(change, Change::Cancel { .. } | Change::CancelRun { .. }) {
            self.mark_sealing().await?;
            self.keys.seal_change(&mut change)?;
        }
        Ok(change)
    }

    async fn open_records(&self, mut records: Vec<JobRecord>) -> Result<Vec<JobRecord>> {
        let bytes = records.iter().map(JobRecord::bytes).sum();
        self.with_keys(bytes, move |keys| {
            records.iter_mut().for_each(|record| keys.open_record(record));
            records
        })
        .await
    }

    async fn open_record(&self, record: JobRecord) -> Result<JobRecord> {
        let opened = self.open_records(vec![record]).await?.pop();
        opened.ok_or_else(|| Error::new(ErrorCode::StoreError, "the encryption lost a job"))
    }

    /// Value of an entry. What a cache keeps is absent when it cannot be read: the work is done again; what is remembered
    /// of sessions decides who may do something.
    fn open_entry(&self, at: &EntryKey, value: Option<Box<str>>) -> Result<Option<Box<str>>> {
        let Some(value) = value else { return Ok(None) };
        match self.keys.open(&Field::Entry(at), &value) {
            Opened::Clear => Ok(Some(value)),
            Opened::Text(opened) => Ok(Some(opened)),
            Opened::Unreadable(_) if at.kind == EntryKind::Cache => Ok(None),
            Opened::Unreadable(unreadable) => Err(unreadable_error("what is remembered of a session", &unreadable)),
        }
    }
}

/// The error of a call that cannot do without a text.
fn unreadable_error(what: &str, unreadable: &Unreadable) -> Error {
    let code = match unreadable {
        Unreadable::MissingKey(_) => ErrorCode::StoreError,
        Unreadable::Damaged(_) => ErrorCode::StoreCorrupt,
    };
    Error::new(code, format!("{what}: {unreadable}"))
}

#[async_trait]
impl Store for SealedStore {
    async fn insert(&self, params: InsertParams) -> Result<Vec<Inserted>> {
        let jobs = self.seal_jobs(params.jobs).await?;
        self.inner.insert(InsertParams { jobs, ..params }).await
    }

    fn direct(&self) -> Option<&dyn DirectStore> {
        // Before something is sealed, the store may have to be asked.
        let passes_on = self.keys.is_empty() && self.inner.direct().is_some();
        passes_on.then_some(self)
    }

    async fn claim(&self, params: ClaimParams) -> Result<Claimed> {
        let mut claimed = self.inner.claim(params).await?;
        let bytes = claimed.runs.iter().map(open::size_of_run).sum();
        self.with_keys(bytes, move |keys| {
            claimed.runs.iter_mut().for_each(|run| keys.open_run(run));
            claimed
        })
        .await
    }

    async fn advance(&self, now: Millis, advances: Vec<SeriesAdvance>) -> Result<usize> {
        self.inner.advance(now, advances).await
    }

    async fn complete(&self, mut params: CompleteParams) -> Result<Vec<Completed>> {
        self.mark_sealing().await?;
        let bytes = params.completions.iter().map(seal::size_of_completion).sum();
        let sealed = self.with_keys(bytes, move |keys| {
            params
                .completions
                .iter_mut()
                .try_for_each(|completion| keys.seal_completion(completion))?;
            Ok::<_, Error>(params)
        });
        self.inner.complete(sealed.await??).await
    }

    async fn change(&self, id: &JobId, change: Change, now: Millis) -> Result<ChangeOutcome> {
        let change = self.seal_change(change).await?;
        self.inner.change(id, change, now).await
    }

    async fn change_many(
        &self,
        jobs: Vec<JobSeq>,
        statuses: Vec<Status>,
        change: Change,
        now: Millis,
    ) -> Result<BulkChangeOutcome> {
        let change = self.seal_change(change).await?;
        self.inner.change_many(jobs, statuses, change, now).await
    }

    async fn matching_jobs(&self, filter: ListFilter) -> Result<Vec<JobSeq>> {
        self.inner.matching_jobs(filter).await
    }

    async fn register(&self, lease: i64, slots: usize) -> Result<InstanceId> {
        self.inner.register(lease, slots).await
    }

    async fn renew(&self, instance: InstanceId, lease: i64) -> Result<bool> {
        self.inner.renew(instance, lease).await
    }

    async fn unregister(&self, instance: InstanceId, now: Millis) -> Result<()> {
        self.inner.unregister(instance, now).await
    }

    async fn unregister_crashed(&self, instance: InstanceId, now: Millis, max_crashes: u32) -> Result<Vec<FailedRun>> {
        self.inner.unregister_crashed(instance, now, max_crashes).await
    }

    async fn recover(&self, params: RecoverParams) -> Result<Recovered> {
        self.inner.recover(params).await
    }

    async fn claims_of(&self, instance: InstanceId) -> Result<Vec<(JobSeq, i64, Token)>> {
        self.inner.claims_of(instance).await
    }

    async fn held_among(&self, instance: InstanceId, claims: Vec<(JobSeq, i64, Token)>) -> Result<Vec<Token>> {
        self.inner.held_among(instance, claims).await
    }

    async fn series_after(&self, after: JobSeq, limit: usize) -> Result<Vec<SeriesSnapshot>> {
        self.inner.series_after(after, limit).await
    }

    async fn server_time(&self) -> Result<Option<Millis>> {
        self.inner.server_time().await
    }

    async fn retime_waiting(&self, now: Millis, by: Millis) -> Result<usize> {
        self.inner.retime_waiting(now, by).await
    }

    async fn set_metadata(&self, name: &str, value: &str) -> Result<()> {
        self.inner.set_metadata(name, value).await
    }

    async fn metadata(&self, name: &str) -> Result<Option<String>> {
        self.inner.metadata(name).await
    }

    async fn put_entry(&self, mut entry: Entry) -> Result<()> {
        self.mark_sealing().await?;
        self.keys.seal_in(&Field::Entry(&entry.at), &mut entry.value)?;
        self.inner.put_entry(entry).await
    }

    async fn entry(&self, at: EntryKey, now: Millis) -> Result<Option<Box<str>>> {
        let found = self.inner.entry(at.clone(), now).await?;
        self.open_entry(&at, found)
    }

    async fn take_entry(&self, at: EntryKey, now: Millis) -> Result<Option<Box<str>>> {
        let found = self.inner.take_entry(at.clone(), now).await?;
        self.open_entry(&at, found)
    }

    async fn clear_entries(&self, kind: EntryKind, space: &str) -> Result<usize> {
        self.inner.clear_entries(kind, space).await
    }

    async fn sweep_entries(&self, now: Millis, most: usize, limit: usize) -> Result<usize> {
        self.inner.sweep_entries(now, most, limit).await
    }

    async fn save_notes(&self, mut notes: Vec<Note>) -> Result<()> {
        self.mark_sealing().await?;
        notes.iter_mut().try_for_each(|note| self.keys.seal_note(note))?;
        self.inner.save_notes(notes).await
    }

    async fn steps(&self, job: JobSeq, run: i64) -> Result<Vec<Step>> {
        let mut steps = self.inner.steps(job, run).await?;
        for step in &mut steps {
            let Some(result) = &mut step.result else { continue };
            match self.keys.open(&Field::Step(job, &step.tag), result) {
                Opened::Clear => {}
                Opened::Text(opened) => *result = opened,
                // What was done must not be taken for undone, nor for something else.
                Opened::Unreadable(unreadable) => {
                    return Err(unreadable_error(&format!("the step '{}'", step.tag), &unreadable));
                }
            }
        }
        Ok(steps)
    }

    async fn record_step(&self, holder: ClaimRef, mut step: Step) -> Result<()> {
        step.check()?;
        self.mark_sealing().await?;
        if let Some(result) = &mut step.result {
            self.keys.seal_in(&Field::Step(holder.job, &step.tag), result)?;
        }
        self.inner.record_step(holder, step).await
    }

    async fn forget_steps(&self, holder: ClaimRef, tags: Vec<Box<str>>) -> Result<()> {
        self.inner.forget_steps(holder, tags).await
    }

    async fn logs(&self, id: &JobId) -> Result<Option<Vec<LogLine>>> {
        let mut lines = self.inner.logs(id).await?;
        let opened = lines.iter_mut().flatten();
        opened.for_each(|line| self.keys.open_line(line));
        Ok(lines)
    }

    async fn get(&self, id: &JobId) -> Result<Option<JobRecord>> {
        match self.inner.get(id).await? {
            Some(record) => self.open_record(record).await.map(Some),
            None => Ok(None),
        }
    }

    async fn run_location(&self, id: &JobId, count_up_to: usize) -> Result<Option<RunLocation>> {
        let Some(location) = self.inner.run_location(id, count_up_to).await? else {
            return Ok(None);
        };
        let record = self.open_record(location.record).await?;
        Ok(Some(RunLocation { record, ..location }))
    }

    async fn cancellation(&self, job: JobSeq, run: i64) -> Result<Option<Cancellation>> {
        let mut cancellation = self.inner.cancellation(job, run).await?;
        if let Some(cancellation) = &mut cancellation {
            self.keys.open_reason(&mut cancellation.reason);
        }
        Ok(cancellation)
    }

    async fn list(&self, filter: ListFilter) -> Result<Page> {
        let page = self.inner.list(filter).await?;
        let jobs = self.open_records(page.jobs).await?;
        Ok(Page { jobs, ..page })
    }

    async fn stats(&self, routes: Option<Vec<RouteId>>) -> Result<Stats> {
        self.inner.stats(routes).await
    }

    async fn history_before(&self, id: &JobId, limit: usize, before: HistoryPosition) -> Result<Option<History>> {
        let Some(mut history) = self.inner.history_before(id, limit, before).await? else {
            return Ok(None);
        };
        let bytes = history.entries.iter().map(crate::store::HistoryEntry::bytes).sum();
        self.with_keys(bytes, move |keys| {
            keys.open_history(&mut history);
            Some(history)
        })
        .await
    }

    async fn routes_after(&self, after: RouteMark) -> Result<AddedRoutes> {
        self.inner.routes_after(after).await
    }

    async fn ready_routes(&self) -> Result<Vec<RouteId>> {
        self.inner.ready_routes().await
    }

    async fn count_due(&self, routes: Vec<RouteId>, now: Millis, limit: usize) -> Result<usize> {
        self.inner.count_due(routes, now, limit).await
    }

    async fn statement(&self, job: &NewJob) -> Result<Option<Statement>> {
        let mut job = self.seal_jobs(vec![job.clone()]).await?;
        match job.pop() {
            Some(job) => self.inner.statement(&job).await,
            None => Ok(None),
        }
    }

    async fn count_blocked(&self, routes: Vec<RouteId>, limit: usize) -> Result<usize> {
        self.inner.count_blocked(routes, limit).await
    }

    async fn sweep(&self, retention: Retention, now: Millis, limit: usize) -> Result<usize> {
        self.inner.sweep(retention, now, limit).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes()
    }

    fn outages_are_shared(&self) -> bool {
        self.inner.outages_are_shared()
    }

    fn watch_other_processes(&self, watch: bool) {
        self.inner.watch_other_processes(watch);
    }

    async fn back_up(&self, to: &Path) -> Result<()> {
        self.inner.back_up(to).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

#[async_trait]
impl WebhookStore for SealedStore {
    async fn set_webhook(&self, mut webhook: NewWebhook, most: usize, now: Millis) -> Result<WebhookSet> {
        self.mark_sealing().await?;
        if let Some(sealed) = self.keys.seal_secret(&webhook.url, &webhook.secret)? {
            webhook.secret = sealed;
        }
        let mut set = self.inner.set_webhook(webhook, most, now).await?;
        if let WebhookSet::Done(webhook) = &mut set {
            self.keys.open_webhook(webhook);
        }
        Ok(set)
    }

    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        let mut webhooks = self.inner.webhooks().await?;
        webhooks.iter_mut().for_each(|webhook| self.keys.open_webhook(webhook));
        Ok(webhooks)
    }

    async fn delete_webhook(&self, id_or_url: &str) -> Result<bool> {
        self.inner.delete_webhook(id_or_url).await
    }

    async fn note_delivery(&self, id: &str, mut report: DeliveryReport, now: Millis) -> Result<()> {
        self.mark_sealing().await?;
        self.keys.seal_report(id, &mut report)?;
        self.inner.note_delivery(id, report, now).await
    }

    async fn outbox(&self, limit: usize) -> Result<Vec<StoredEvent>> {
        let mut events = self.inner.outbox(limit).await?;
        events.iter_mut().for_each(|event| self.keys.open_event(event));
        Ok(events)
    }

    async fn relay(&self, mut relayed: Vec<RelayedEvent>, now: Millis) -> Result<usize> {
        self.mark_sealing().await?;
        for job in relayed.iter_mut().flat_map(|event| &mut event.deliveries) {
            self.keys.seal_job(job)?;
        }
        self.inner.relay(relayed, now).await
    }
}

#[async_trait]
impl FigureStore for SealedStore {
    async fn stats_by_route(&self) -> Result<Vec<(RouteId, Stats)>> {
        self.inner.stats_by_route().await
    }

    async fn add_figures(&self, minutes: Vec<RouteFigures>) -> Result<()> {
        self.inner.add_figures(minutes).await
    }

    async fn figures(&self, query: FigureQuery) -> Result<FigureSums> {
        self.inner.figures(query).await
    }

    async fn sweep_figures(&self, minutes_before: Millis, hours_before: Millis) -> Result<usize> {
        self.inner.sweep_figures(minutes_before, hours_before).await
    }

    fn transactions(&self) -> &TransactionCounts {
        self.inner.transactions()
    }

    async fn file_sizes(&self) -> Result<Option<FileSizes>> {
        self.inner.file_sizes().await
    }
}
