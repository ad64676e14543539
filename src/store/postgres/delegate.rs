//! The verbs of [`Store`], each handed to its module.
//!
//! Knows which verbs are urgent, which may be sent again and which are cut into several transactions; nothing of SQL.

use super::pool::{Manner, attempt};
use super::{
    PostgresStore, advance, change, claim, complete, counters, entries, history, instances, keys, list, marks, notes,
    outbox, read, routes, statement, steps, sweep, uniques, webhooks,
};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{JobId, NewJob, Route, RunOutcome, Status};
use crate::store::{
    Cancellation, Change, Changed, ChangedSome, ClaimParams, Claimed, CompleteParams, Completed, DeliveryReport,
    DueSeries, Entry, EntryKey, EntryKind, History, Holder, InsertParams, Inserted, InstanceId, JobRecord, JobSeq,
    ListFilter, LogLine, NewWebhook, Note, Page, Recovered, Relayed, Retention, RouteId, SeriesAdvance, Statement,
    Stats, Step, Store, StoredEvent, Token, Webhook, WebhookSet, WebhookStore, Whereabouts,
};
use async_trait::async_trait;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

/// Jobs that are changed in one transaction: others wait for their locks meanwhile.
const CHANGED_TOGETHER: usize = 100;

#[async_trait]
impl Store for PostgresStore {
    async fn insert(&self, params: InsertParams) -> Result<Vec<Inserted>> {
        self.opened()?;
        if params.jobs.is_empty() {
            return Ok(Vec::new());
        }
        self.writer.insert(params).await
    }

    async fn claim(&self, params: ClaimParams) -> Result<Claimed> {
        let inner = self.opened()?;
        // Before the claim rather than after it: nothing that was claimed waits for this.
        self.compact_if_due().await;
        let token = self.tokens(params.slots);
        let claimed = attempt!(inner.general, Manner::ENGINE, |session| claim::apply(
            session,
            &inner.frontier,
            &params,
            token
        ));
        if !claimed.runs.is_empty() || claimed.more {
            inner.counted();
        }
        Ok(claimed)
    }

    async fn advance(&self, now: Millis, advances: Vec<SeriesAdvance>) -> Result<usize> {
        let inner = self.opened()?;
        let counted = attempt!(inner.general, Manner::ENGINE, |session| advance::apply(
            session, now, &advances
        ));
        if counted > 0 {
            inner.counted();
            let dues = advances.iter().flat_map(|advance| &advance.occurrences);
            let dues = dues.map(|occurrence| occurrence.scheduled_at.min(now));
            inner.frontier.put(dues.min().unwrap_or(Millis::MAX));
            inner.wake();
        }
        Ok(counted)
    }

    async fn complete(&self, params: CompleteParams) -> Result<Vec<Completed>> {
        let inner = self.opened()?;
        let (answers, after) = attempt!(inner.general, Manner::ENGINE, |session, resent| {
            complete::apply(session, &params, resent)
        });
        inner.counted();
        for completion in &params.completions {
            match completion.outcome {
                RunOutcome::Retry { due, .. } | RunOutcome::Snoozed { due } => inner.frontier.put(due),
                RunOutcome::Released => inner.frontier.put_some(),
                _ => {}
            }
        }
        inner.follow(after).await;
        Ok(answers)
    }

    async fn change(&self, id: &JobId, change: Change, now: Millis) -> Result<Changed> {
        let inner = self.opened()?;
        let (changed, after) = attempt!(inner.general, Manner::ONCE, |session| change::by_id(
            session, id, &change, now
        ));
        inner.frontier.put_some();
        inner.follow(after).await;
        Ok(changed)
    }

    async fn change_some(
        &self,
        jobs: Vec<JobSeq>,
        statuses: Vec<Status>,
        change: Change,
        now: Millis,
    ) -> Result<ChangedSome> {
        let inner = self.opened()?;
        let mut changed = ChangedSome::default();
        for some in jobs.chunks(CHANGED_TOGETHER) {
            let (slice, after) = attempt!(inner.general, Manner::ONCE, |session| {
                change::some(session, some, &statuses, &change, now)
            });
            changed.extend(slice);
            inner.counted();
            inner.frontier.put_some();
            inner.follow(after).await;
        }
        Ok(changed)
    }

    async fn matching(&self, filter: ListFilter) -> Result<Vec<JobSeq>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::LONG, |session| list::numbers(
            session, &filter
        )))
    }

    async fn register(&self, lease: i64) -> Result<InstanceId> {
        let inner = self.opened()?;
        Ok(attempt!(inner.urgent, Manner::PATIENT, |session| {
            instances::register(session, self.lease_now(), lease)
        }))
    }

    async fn renew(&self, instance: InstanceId, lease: i64) -> Result<bool> {
        let inner = self.opened()?;
        Ok(attempt!(inner.urgent, Manner::SIGN, |session| {
            instances::renew(session, self.lease_now(), instance, lease)
        }))
    }

    async fn unregister(&self, instance: InstanceId, now: Millis) -> Result<()> {
        let inner = self.opened()?;
        loop {
            let (more, after) = attempt!(inner.general, Manner::ENGINE, |session| {
                instances::hand_back(session, instance, now)
            });
            inner.frontier.put_some();
            inner.follow(after).await;
            if !more {
                break;
            }
        }
        inner.wake();
        Ok(())
    }

    async fn recover(&self, now: Millis, max_crashes: u32) -> Result<Recovered> {
        let inner = self.opened()?;
        let mut total = Recovered::default();
        loop {
            let step = attempt!(inner.general, Manner::ENGINE, |session| {
                instances::recover(session, self.lease_now(), now, max_crashes)
            });
            total.instances += step.found.instances;
            total.requeued += step.found.requeued;
            total.failed += step.found.failed;
            inner.follow(step.after).await;
            if !step.more {
                break;
            }
        }
        // A process may have died between the end of a run and what follows it.
        let freed = attempt!(inner.general, Manner::ENGINE, |session| keys::free_all(session));
        if freed > 0 || total.requeued > 0 {
            inner.frontier.put_some();
            inner.wake();
        }
        Ok(total)
    }

    async fn held(&self, instance: InstanceId) -> Result<Vec<(JobSeq, i64, Token)>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::ENGINE, |session| instances::held(
            session, instance
        )))
    }

    async fn annotate(&self, notes: Vec<Note>) -> Result<()> {
        let inner = self.opened()?;
        attempt!(inner.general, Manner::ENGINE, |session| notes::apply(session, &notes));
        Ok(())
    }

    async fn steps(&self, job: JobSeq, run: i64) -> Result<Vec<Step>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| steps::of_run(
            session, job, run
        )))
    }

    async fn record_step(&self, holder: Holder, step: Step) -> Result<()> {
        step.check()?;
        let inner = self.opened()?;
        let recorded = attempt!(inner.general, Manner::PATIENT, |session| steps::record(
            session, holder, &step
        ));
        recorded.answer()
    }

    async fn forget_steps(&self, holder: Holder) -> Result<()> {
        let inner = self.opened()?;
        let forgotten = attempt!(inner.general, Manner::PATIENT, |session| steps::forget(session, holder));
        forgotten.answer()
    }

    async fn series_after(&self, after: JobSeq, limit: usize) -> Result<Vec<DueSeries>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::ENGINE, |session| claim::series_after(
            session, after, limit
        )))
    }

    async fn put_entry(&self, entry: Entry) -> Result<()> {
        let inner = self.opened()?;
        attempt!(inner.general, Manner::PATIENT, |session| entries::put(session, &entry));
        Ok(())
    }

    async fn entry(&self, at: EntryKey, now: Millis) -> Result<Option<Box<str>>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| entries::get(
            session, &at, now
        )))
    }

    async fn take_entry(&self, at: EntryKey, now: Millis) -> Result<Option<Box<str>>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::ONCE, |session| entries::take(
            session, &at, now
        )))
    }

    async fn clear_entries(&self, kind: EntryKind, space: &str) -> Result<usize> {
        let inner = self.opened()?;
        let mut total = 0;
        loop {
            let step = attempt!(inner.general, Manner::LONG, |session| entries::clear(
                session, kind, space
            ));
            total += step;
            if step < entries::CLEARED {
                return Ok(total);
            }
        }
    }

    async fn sweep_entries(&self, now: Millis, most: usize, limit: usize) -> Result<usize> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::LONG, |session| entries::sweep(
            session, now, most, limit
        )))
    }

    async fn set_mark(&self, name: &str, value: &str) -> Result<()> {
        let inner = self.opened()?;
        attempt!(inner.general, Manner::PATIENT, |session| marks::set(
            session, name, value
        ));
        Ok(())
    }

    async fn mark_of(&self, name: &str) -> Result<Option<String>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| marks::get(
            session, name
        )))
    }

    async fn logs(&self, id: &JobId) -> Result<Option<Vec<LogLine>>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| notes::lines(
            session, id
        )))
    }

    async fn get(&self, id: &JobId) -> Result<Option<JobRecord>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| read::get(
            session, id
        )))
    }

    async fn whereabouts(&self, id: &JobId, count_up_to: usize) -> Result<Option<Whereabouts>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| read::whereabouts(
            session,
            id,
            count_up_to
        )))
    }

    async fn cancellation(&self, job: JobSeq, run: i64) -> Result<Option<Cancellation>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::ENGINE, |session| read::cancellation(
            session, job, run
        )))
    }

    async fn list(&self, filter: ListFilter) -> Result<Page> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::LONG, |session| list::page(
            session, &filter
        )))
    }

    async fn stats(&self, routes: Option<Vec<RouteId>>) -> Result<Stats> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| counters::stats(
            session,
            routes.as_deref()
        )))
    }

    async fn history(&self, id: &JobId, limit: usize) -> Result<Option<History>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| history::of(
            session, id, limit
        )))
    }

    async fn routes_after(&self, after: RouteId) -> Result<Vec<(RouteId, Route)>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| routes::after(
            session, after
        )))
    }

    async fn ready_routes(&self) -> Result<Vec<RouteId>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| routes::with_ready(
            session
        )))
    }

    async fn count_due(&self, routes: Vec<RouteId>, now: Millis, limit: usize) -> Result<usize> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| counters::due(
            session, &routes, now, limit
        )))
    }

    async fn statement(&self, job: &NewJob) -> Result<Option<Statement>> {
        let inner = self.opened()?;
        let (statement, after) = attempt!(inner.general, Manner::PATIENT, |session| {
            statement::of(session, &inner.routes, job)
        });
        inner.follow(after).await;
        Ok(Some(statement))
    }

    async fn count_held(&self, routes: Vec<RouteId>, limit: usize) -> Result<usize> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| counters::held(
            session, &routes, limit
        )))
    }

    async fn sweep(&self, retention: Retention, now: Millis, limit: usize) -> Result<usize> {
        let inner = self.opened()?;
        let mut deleted = 0;
        while deleted < limit {
            let most = (limit - deleted).min(sweep::JOBS);
            let step = attempt!(inner.general, Manner::LONG, |session| sweep::jobs(
                session, retention, now, most
            ));
            deleted += step;
            if step < most {
                break;
            }
        }
        for _ in 0..sweep::TRIM_STEPS {
            let after = self.trimmed.load(Ordering::Relaxed);
            let next = attempt!(inner.general, Manner::LONG, |session| {
                sweep::runs(session, retention.runs, now, after)
            });
            self.trimmed.store(next.unwrap_or(JobSeq::MIN), Ordering::Relaxed);
            if next.is_none() {
                break;
            }
        }
        attempt!(inner.general, Manner::LONG, |session| uniques::expire(session, now));
        attempt!(inner.general, Manner::LONG, |session| keys::drop_unused(session));
        self.compact().await?;
        Ok(deleted)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    fn watch_others(&self, watch: bool) {
        self.inner.watch_others.send_replace(watch);
    }

    async fn close(&self) -> Result<()> {
        self.end();
        Ok(())
    }
}

#[async_trait]
impl WebhookStore for PostgresStore {
    async fn set_webhook(&self, webhook: NewWebhook, most: usize, now: Millis) -> Result<WebhookSet> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| webhooks::set(
            session, &webhook, most, now
        )))
    }

    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| webhooks::all(
            session
        )))
    }

    async fn delete_webhook(&self, id_or_url: &str) -> Result<bool> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::PATIENT, |session| webhooks::delete(
            session, id_or_url
        )))
    }

    async fn note_delivery(&self, id: &str, report: DeliveryReport, now: Millis) -> Result<()> {
        let inner = self.opened()?;
        attempt!(inner.general, Manner::ENGINE, |session| webhooks::note(
            session, id, &report, now
        ));
        Ok(())
    }

    async fn outbox(&self, limit: usize) -> Result<Vec<StoredEvent>> {
        let inner = self.opened()?;
        Ok(attempt!(inner.general, Manner::ENGINE, |session| outbox::oldest(
            session, limit
        )))
    }

    async fn relay(&self, relayed: Vec<Relayed>, now: Millis) -> Result<usize> {
        let inner = self.opened()?;
        let (count, after) = attempt!(inner.general, Manner::ENGINE, |session| {
            outbox::relay(session, &inner.routes, &relayed, now)
        });
        inner.counted();
        inner.frontier.put_some();
        inner.follow(after).await;
        inner.wake();
        Ok(count)
    }
}
