//! Batches concurrent inserts into one statement.
//!
//! One batch is in flight at a time, so that jobs keep the order of their dispatches; the next one is collected meanwhile.
//! Invariant: a failing dispatch does not affect others.

use super::Inner;
use super::claim;
use super::direct_claim::{ClaimOutcome, DirectClaim, EarlyReply, Reply};
use super::failure::DbResult;
use super::insert;
use super::pool::{WriteOptions, with_session};
use super::routed_job::RoutedJob;
use super::session::Session;
use crate::clock::Millis;
use crate::error::{Error, ErrorCode, Result};
use crate::model::{NewJob, Route};
use crate::store::{InsertParams, Inserted};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};

/// Most queued inserts; further callers wait before they send.
const MAX_QUEUED_REQUESTS: usize = 8_192;
/// Most jobs per statement.
const MAX_BATCH_JOBS: usize = 2_000;

/// One insert and its waiting caller.
pub(super) struct Request {
    params: InsertParams,
    reply: Reply,
    claim: Option<DirectClaim>,
}

/// Sends requests to the inserting task.
pub(super) struct Writer(mpsc::Sender<Request>);

impl Writer {
    pub(super) fn start(inner: Arc<Inner>) -> Self {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED_REQUESTS);
        tokio::spawn(keep_running(inner, receiver));
        Self(sender)
    }

    pub(super) async fn insert(&self, params: InsertParams) -> Result<Vec<Inserted>> {
        let (reply_to, answer) = oneshot::channel();
        let request = Request {
            params,
            reply: Reply::Caller(reply_to),
            claim: None,
        };
        self.0.send(request).await.map_err(|_| Error::closed())?;
        answer.await.map_err(|_| interrupted())?
    }

    /// Queues an insert if there is room; otherwise gives back who waits for it.
    pub(super) fn try_send(
        &self,
        params: InsertParams,
        reply: Reply,
        claim: Option<DirectClaim>,
    ) -> std::result::Result<(), Reply> {
        let request = Request { params, reply, claim };
        self.0.try_send(request).map_err(|refused| refused.into_inner().reply)
    }
}

/// The task died with the insert in hand.
fn interrupted() -> Error {
    Error::new(
        ErrorCode::StoreError,
        "the dispatch failed by a defect of the package, and may have been stored all the same; report this, and dispatch it \
         again with a `job_id`, so that it is one job",
    )
}

/// Runs the inserting task until nobody can send to it any more; one that panics is followed by another.
async fn keep_running(inner: Arc<Inner>, receiver: mpsc::Receiver<Request>) {
    let receiver = Arc::new(Mutex::new(receiver));
    let run_once = || tokio::spawn(run(Arc::clone(&inner), Arc::clone(&receiver)));
    while run_once().await.is_err_and(|error| error.is_panic()) {}
}

async fn run(inner: Arc<Inner>, receiver: Arc<Mutex<mpsc::Receiver<Request>>>) {
    let mut receiver = receiver.lock().await;
    let mut deferred: Option<Request> = None;
    loop {
        let first = match deferred.take() {
            Some(request) => request,
            None => match receiver.recv().await {
                Some(request) => request,
                None => return,
            },
        };
        let mut rows = first.params.jobs.len();
        let mut batch = vec![first];
        while rows < MAX_BATCH_JOBS && !is_alone(&batch) {
            let Ok(next) = receiver.try_recv() else { break };
            if next.params.all_or_nothing && next.params.jobs.len() > 1
                || rows + next.params.jobs.len() > MAX_BATCH_JOBS
            {
                deferred = Some(next);
                break;
            }
            rows += next.params.jobs.len();
            batch.push(next);
        }
        write(&inner, batch).await;
    }
}

/// Whether the batch is an all-or-nothing insert of several jobs, which shares no transaction with others.
fn is_alone(batch: &[Request]) -> bool {
    let alone = |request: &Request| request.params.all_or_nothing && request.params.jobs.len() > 1;
    batch.iter().any(alone)
}

/// For these inserts, all of which have waited since the first of them.
fn options(batch: &[Request]) -> WriteOptions {
    let since = batch.iter().map(|request| request.params.since).min();
    WriteOptions {
        since: since.map(Into::into),
        ..WriteOptions::DEFAULT
    }
}

async fn write(inner: &Inner, mut batch: Vec<Request>) {
    batch.retain_mut(|request| {
        let too_late = inner.general.too_late(options(std::slice::from_ref(request)));
        too_late.is_none_or(|error| {
            request.reply.take().send(Err(error));
            false
        })
    });
    if batch.is_empty() {
        return;
    }
    // Those of a list stand or fall together; others were only sent together.
    let is_one = |request: &Request| request.params.all_or_nothing || request.params.jobs.len() == 1;
    let alone = batch.len() == 1 && batch.iter().all(is_one);
    // A claim is made behind a request that is alone; other claims are dropped, and the news of the insert leads to one.
    let claim = match batch.as_mut_slice() {
        [request] => request.claim.take(),
        _ => None,
    };
    let early = EarlyReply::default();
    if let (Some(_), Some(request)) = (&claim, batch.first_mut()) {
        early.keep(request.reply.take());
    }
    let outcome = insert(inner, &batch, claim.map(|claim| (claim, &early))).await;
    if let (Some(reply), Some(request)) = (early.take(), batch.first_mut()) {
        request.reply = reply;
    }
    match outcome {
        Ok(mut answers) => {
            for request in batch {
                let rest = answers.split_off(request.params.jobs.len().min(answers.len()));
                request.reply.send(Ok(std::mem::replace(&mut answers, rest)));
            }
        }
        Err(error) if alone || error.code == ErrorCode::ConnectionError => {
            for request in batch {
                request.reply.send(Err(error.clone()));
            }
        }
        // One of them has failed: insert each alone.
        Err(_) => {
            for request in batch {
                let answer = match insert(inner, std::slice::from_ref(&request), None).await {
                    Err(error) if is_unstorable(&error) && !request.params.all_or_nothing => {
                        insert_one_by_one(inner, &request.params).await
                    }
                    answer => answer,
                };
                request.reply.send(answer);
            }
        }
    }
}

/// Whether it is what was to be written that the database refuses.
fn is_unstorable(error: &Error) -> bool {
    error.code == ErrorCode::ValidationError
}

/// Jobs that were sent together and belong to different callers.
async fn insert_one_by_one(inner: &Inner, params: &InsertParams) -> Result<Vec<Inserted>> {
    let mut answers = Vec::with_capacity(params.jobs.len());
    for job in &params.jobs {
        let request = Request {
            params: InsertParams {
                jobs: vec![job.clone()],
                ..*params
            },
            reply: Reply::Nobody,
            claim: None,
        };
        match insert(inner, std::slice::from_ref(&request), None).await {
            Ok(written) => answers.extend(written),
            Err(error) if is_unstorable(&error) => {
                answers.push(Inserted::Refused(error.code, error.message));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(answers)
}

async fn insert(inner: &Inner, batch: &[Request], claim: Option<(DirectClaim, &EarlyReply)>) -> Result<Vec<Inserted>> {
    if inner.is_closed() {
        return Err(Error::closed());
    }
    let now = batch.iter().map(|request| request.params.now).max().unwrap_or_default();
    let together = is_alone(batch);
    if claim.is_some() {
        // The scan that is sent with them is to see them.
        inner.scan_positions.run_added(first_due(batch));
    }
    let ((answers, after), claimed) = with_session!(inner.general, options(batch), |session, resent| {
        let insert = apply(inner, session, batch, together, now);
        DirectClaim::behind(
            claim.as_ref(),
            insert,
            (session, resent),
            (&inner.scan_positions, &inner.claim_limit),
        )
    });
    if answers.iter().all(|answer| *answer == Inserted::Created) {
        inner.scan_positions.run_added(first_due(batch));
    } else {
        inner.scan_positions.runs_added();
    }
    inner.apply_effects(after).await;
    let is_news = answers.iter().any(|answer| {
        !matches!(
            answer,
            Inserted::Existing(_) | Inserted::Duplicate(..) | Inserted::Conflict(_) | Inserted::Refused(..)
        )
    });
    let all_claimed = match (claim, batch) {
        (Some((claim, _)), [request]) => finish_claim(inner, claim, &request.params, claimed).await,
        _ => false,
    };
    if is_news && !all_claimed {
        inner.wake();
    }
    inner.counters_written();
    Ok(answers)
}

/// Tells of the claim behind an insert. Returns whether all jobs of the insert were claimed, so that they are no news.
async fn finish_claim(inner: &Inner, direct: DirectClaim, insert: &InsertParams, outcome: ClaimOutcome) -> bool {
    let answer = match outcome {
        Some(Ok(answer)) => answer,
        // The news of the insert leads to a claim, and that says what is the matter.
        Some(Err(_)) | None => return false,
    };
    let claim::Answer { claimed, handed_back } = answer;
    inner.hand_back(&direct.params, handed_back).await;
    if !claimed.runs.is_empty() || claimed.more {
        inner.counters_written();
    }
    let is_claimed = |job: &NewJob| claimed.runs.iter().any(|run| run.id == job.id);
    let all_claimed = insert.jobs.iter().all(is_claimed);
    (direct.claimed)(Ok(claimed));
    all_claimed
}

/// When the first of them is due.
fn first_due(batch: &[Request]) -> Millis {
    let dues = batch
        .iter()
        .flat_map(|request| &request.params.jobs)
        .filter_map(|job| job.due);
    dues.min().unwrap_or(Millis::MAX)
}

async fn apply(
    inner: &Inner,
    session: &Session,
    batch: &[Request],
    together: bool,
    now: Millis,
) -> DbResult<insert::Outcome> {
    let jobs = || {
        let of = |request: &'_ Request| request.params.replaced;
        batch
            .iter()
            .flat_map(move |request| request.params.jobs.iter().map(move |job| (job, of(request))))
    };
    let routes: Vec<&Route> = jobs().map(|(job, _)| &*job.route).collect();
    let numbers = inner.routes.intern(session, &routes).await?;
    let routed: Vec<RoutedJob<'_>> = jobs()
        .zip(numbers)
        .map(|((job, replaced), route)| RoutedJob::new(job, route, replaced))
        .collect();
    let transactions = &session.connector().transactions;
    let began = transactions.begin();
    let written = if together {
        insert::insert_all_or_nothing(session, &routed, now).await
    } else {
        insert::insert_each(session, &routed, now).await
    };
    if written.is_ok() {
        transactions.committed(began, routed.len());
    }
    inner.routes.check(written)
}
