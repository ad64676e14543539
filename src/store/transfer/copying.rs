//! The move itself: closes the old store, copies, compares, opens the new one.

use super::comparing::{verify, without_nul};
use super::{EndState, Phase, Record, Role, Row, TABLES, TransferEnd, TransferPlace, TransferProgress};
use crate::clock::Clock;
use crate::error::{Error, ErrorCode, Result};
use crate::store::{Process, RecoverParams};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for registrations of processes that do not renew their leases any more.
const MAX_WAIT_FOR_PROCESSES: Duration = Duration::from_secs(30);
/// Processes that a message names.
const MAX_NAMED_PROCESSES: usize = 5;
/// Between two looks at them.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What is to be moved where.
pub struct MoveParams<'a> {
    /// The old store.
    pub from: &'a dyn TransferPlace,
    /// The new one.
    pub to: &'a dyn TransferPlace,
    /// The name of this move, should it begin with this call.
    pub id: String,
    /// Crashes after which a run has failed: runs of processes that died are ended first.
    pub max_crashes: u32,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Says how far it has come.
    pub progress: Arc<TransferProgress>,
}

/// What a move has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferReport {
    /// Rows in all, of this call and of those before it.
    pub rows: u64,
    /// Of these, jobs.
    pub jobs: u64,
    /// An earlier call began it.
    pub resumed: bool,
}

/// What a move would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferPlan {
    /// Rows in all.
    pub rows: u64,
    /// Of these, jobs.
    pub jobs: u64,
    /// Processes that are registered; they are to be stopped first.
    pub processes: u64,
    /// How far it has come.
    pub stage: TransferStage,
}

/// How far a move has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferStage {
    /// It has not begun.
    New,
    /// It was interrupted.
    Begun,
    /// It is done.
    Done,
}

/// Moves all of a store, or goes on with that.
///
/// # Errors
/// `STORE_ERROR` when a process works on one of the stores, when the new one holds something, or when what was copied is not the
/// same; whatever the stores say. Nothing is lost, and the same call goes on.
pub async fn transfer(params: &MoveParams<'_>) -> Result<TransferReport> {
    let (from, to) = (params.from, params.to);
    let mut source = end(from, "from").await?;
    let state = source.state().await?;
    if let Some(record) = done_to(&state, to) {
        let mut target = holding(to, record).await?;
        if let Some(position) = going(&target.state().await?, Role::Target).cloned() {
            open_target(params, &mut *source, &mut *target, position).await?;
        }
        return report(&mut *source, true).await;
    }
    let begun = going(&state, Role::Source).cloned();
    if let Some(record) = &begun {
        refuse_other(record, from, to)?;
    } else {
        drop(source);
        end_dead_runs(params).await?;
        source = end(from, "from").await?;
    }
    let mut target = new_or_begun(to).await?;
    let other = target.state().await?;
    let record = begun.clone().unwrap_or_else(|| Record {
        id: params.id.clone(),
        role: Role::Source,
        peer: to.label().to_owned(),
        done: false,
        given_up: false,
        table: 0,
        after: Vec::new(),
    });
    let position = match going(&other, Role::Target) {
        Some(kept) if kept.id == record.id && !kept.given_up => kept.clone(),
        Some(kept) => return Err(holds_another(to, kept)),
        None => {
            refuse_filled(&mut *target, to).await?;
            Record {
                role: Role::Target,
                peer: from.label().to_owned(),
                ..record.clone()
            }
        }
    };
    if begun.is_none() {
        source.close_for(&record).await.map_err(|error| named(error, from))?;
        let seen = target.state().await?.record;
        if seen.as_ref() == Some(&record) {
            // By two names it is one store.
            source.remember(&record, None).await?;
            let message = format!("to: {} is the store {}, by another name", to.label(), from.label());
            return Err(Error::new(ErrorCode::StoreError, message));
        }
    }
    if going(&other, Role::Target).is_none() {
        target.close_for(&position).await.map_err(|error| named(error, to))?;
    }
    let position = copy(params, &mut *source, &mut *target, position).await?;
    verify(params, &mut *source, &mut *target).await?;
    // From here on the move cannot be given up unless the new store is closed for good first: never do both take work.
    let done = Record {
        done: true,
        ..record.clone()
    };
    source.remember(&record, Some(&done)).await?;
    open_target(params, &mut *source, &mut *target, position).await?;
    report(&mut *source, begun.is_some()).await
}

/// Opens the new store, which holds everything.
async fn open_target(
    params: &MoveParams<'_>,
    source: &mut dyn TransferEnd,
    target: &mut dyn TransferEnd,
    position: Record,
) -> Result<()> {
    if position.given_up {
        return Err(holds_another(params.to, &position));
    }
    let opened = Record {
        done: true,
        ..position.clone()
    };
    target.open_with(source.numbers().await?, &position, &opened).await
}

/// The store to which all was moved, as the old one says.
async fn holding(to: &dyn TransferPlace, record: &Record) -> Result<Box<dyn TransferEnd>> {
    if let Some(mut target) = to.end().await?
        && target.state().await?.record.is_some_and(|kept| kept.id == record.id)
    {
        return Ok(target);
    }
    let message = format!(
        "to: the store {}, to which all was moved, is not there any more, or another one is in its place; put it back, or open the old \
         one again with `ductape move --give-up`",
        to.label()
    );
    Err(Error::new(ErrorCode::StoreError, message))
}

/// What a move of these would do; changes nothing, but that the new store is made or migrated.
///
/// # Errors
/// As of [`transfer`], as far as it can be told.
pub async fn plan(from: &dyn TransferPlace, to: &dyn TransferPlace) -> Result<TransferPlan> {
    let mut source = end(from, "from").await?;
    let state = source.state().await?;
    let stage = if done_to(&state, to).is_some() {
        TransferStage::Done
    } else if let Some(record) = going(&state, Role::Source) {
        refuse_other(record, from, to)?;
        TransferStage::Begun
    } else {
        // Migrated, as with every opening, or refused.
        drop(source);
        from.open().await?.close().await?;
        source = end(from, "from").await?;
        if let Some(mut target) = to.end().await? {
            let other = target.state().await?;
            if let Some(kept) = going(&other, Role::Target) {
                return Err(holds_another(to, kept));
            }
            refuse_filled(&mut *target, to).await?;
        }
        TransferStage::New
    };
    let counts = counts(&mut *source).await?;
    let (processes, _) = source.processes().await?;
    Ok(TransferPlan {
        rows: counts.values().sum(),
        jobs: counts.get("jobs").copied().unwrap_or(0),
        processes: u64::try_from(processes).unwrap_or(0),
        stage,
    })
}

/// Gives a move up: the old store takes work again, and what has been copied stays where it is, closed.
///
/// # Errors
/// `STORE_ERROR` when no move from there to there is going on, or when the new store may have been opened already.
pub async fn give_up(from: &dyn TransferPlace, to: &dyn TransferPlace) -> Result<()> {
    let mut source = end(from, "from").await?;
    let state = source.state().await?;
    let closed = state
        .record
        .as_ref()
        .filter(|record| state.closed && record.role == Role::Source);
    let Some(record) = closed else {
        let message = format!("from: no move of the store {} is going on", from.label());
        return Err(Error::new(ErrorCode::StoreError, message));
    };
    refuse_other(record, from, to)?;
    // First the new store: whoever goes on with the move fails there, whatever it is doing.
    if let Some(mut target) = to.end().await?
        && let Some(kept) = target.state().await?.record.filter(|kept| kept.id == record.id)
    {
        if kept.done {
            let message = format!(
                "from: all of the store {} is in {}, which takes work; move it back to a new store if you want it back",
                from.label(),
                to.label()
            );
            return Err(Error::new(ErrorCode::StoreError, message));
        }
        let given_up = Record {
            given_up: true,
            ..kept.clone()
        };
        target.remember(&kept, Some(&given_up)).await?;
    }
    source.remember(record, None).await
}

async fn end(place: &dyn TransferPlace, argument: &str) -> Result<Box<dyn TransferEnd>> {
    place.end().await?.ok_or_else(|| {
        let message = format!(
            "{argument}: there is no store {}; name one that is there",
            place.label()
        );
        Error::new(ErrorCode::StoreError, message)
    })
}

/// The record of a move that a store is an end of, while it goes on.
fn going(state: &EndState, role: Role) -> Option<&Record> {
    let record = state.record.as_ref().filter(|_| state.closed)?;
    (record.role == role && !record.done).then_some(record)
}

/// The record of a store all of which has been moved to there.
fn done_to<'a>(state: &'a EndState, to: &dyn TransferPlace) -> Option<&'a Record> {
    let record = state.record.as_ref().filter(|_| state.closed)?;
    (record.role == Role::Source && record.done && record.peer == to.label()).then_some(record)
}

fn named(error: Error, place: &dyn TransferPlace) -> Error {
    let message = format!("the store {}: {}", place.label(), error.message);
    Error { message, ..error }
}

/// Refuses to go on with a move to another store.
fn refuse_other(record: &Record, from: &dyn TransferPlace, to: &dyn TransferPlace) -> Result<()> {
    if record.peer == to.label() {
        return Ok(());
    }
    Err(record.refusal(from.label()))
}

fn holds_another(to: &dyn TransferPlace, kept: &Record) -> Error {
    let message = format!(
        "to: the store {} holds a part of another move, from {}, that was given up or still goes on; name a new schema or file, or \
         delete that one",
        to.label(),
        kept.peer
    );
    Error::new(ErrorCode::StoreError, message)
}

/// Refuses a store that has had jobs, or has webhooks.
async fn refuse_filled(target: &mut dyn TransferEnd, to: &dyn TransferPlace) -> Result<()> {
    for table in TABLES
        .iter()
        .filter(|table| !matches!(table.name, "marks" | "counters"))
    {
        if target.count(table).await? == 0 {
            continue;
        }
        let message = format!(
            "to: the store {} is not new (it has rows in `{}`), and nothing is added to what others have; name a new schema or file",
            to.label(),
            table.name
        );
        return Err(Error::new(ErrorCode::StoreError, message));
    }
    Ok(())
}

/// The new store: made, or migrated, where no move to it goes on.
async fn new_or_begun(to: &dyn TransferPlace) -> Result<Box<dyn TransferEnd>> {
    if let Some(mut target) = to.end().await?
        && target.state().await?.closed
    {
        return Ok(target);
    }
    // Made, or migrated.
    to.open().await?.close().await?;
    end(to, "to").await
}

/// Ends what processes have left that died, and waits until that is known of them. Migrates the store.
async fn end_dead_runs(params: &MoveParams<'_>) -> Result<()> {
    let from = params.from;
    let store = from.open().await?;
    let ended = async {
        let mut before: Option<i64> = None;
        let until = Instant::now() + MAX_WAIT_FOR_PROCESSES;
        loop {
            store
                .recover(RecoverParams::new(params.clock.now(), params.max_crashes))
                .await?;
            let (processes, leases) = end(from, "from").await?.processes().await?;
            if processes == 0 {
                return Ok(());
            }
            // Only one that is alive renews; of others the number goes down.
            if before.is_some_and(|before| leases > before) || Instant::now() > until {
                let known = store.processes(params.clock.now()).await?;
                let message = format!(
                    "from: {processes} process{} on the store {}{}; stop {} first, as by SIGTERM, and move it then",
                    if processes == 1 { " works" } else { "es work" },
                    from.label(),
                    whereabouts(&known),
                    if processes == 1 { "it" } else { "them" },
                );
                return Err(Error::new(ErrorCode::StoreError, message));
            }
            before = Some(leases);
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
    .await;
    let closed = store.close().await;
    ended.and(closed)
}

/// Where processes run, as far as they said.
fn whereabouts(processes: &[Process]) -> String {
    let places: Vec<String> = processes
        .iter()
        .take(MAX_NAMED_PROCESSES)
        .filter_map(|process| Some(format!("{} on {}", process.pid?, process.host.as_deref()?)))
        .collect();
    if places.is_empty() {
        return String::new();
    }
    let more = if processes.len() > places.len() {
        ", and others"
    } else {
        ""
    };
    format!(" ({}{more})", places.join(", "))
}

async fn counts(end: &mut dyn TransferEnd) -> Result<BTreeMap<&'static str, u64>> {
    let mut counts = BTreeMap::new();
    for table in TABLES {
        counts.insert(table.name, end.count(table).await?);
    }
    Ok(counts)
}

/// Copies what is missing; returns how far it has come then.
async fn copy(
    params: &MoveParams<'_>,
    source: &mut dyn TransferEnd,
    target: &mut dyn TransferEnd,
    mut position: Record,
) -> Result<Record> {
    let total: u64 = counts(source).await?.values().sum();
    let done: u64 = counts(target).await?.values().sum();
    params.progress.begin(Phase::Copying, done.min(total), total);
    let mut next = position.clone();
    while let Some(table) = TABLES.get(next.table) {
        let rows = source.rows(table, &next.after).await?;
        let Some(last) = rows.last() else {
            next.table += 1;
            next.after = Vec::new();
            continue;
        };
        next.after = table.key_of(last);
        let count = rows.len();
        target.write(table, storable(target, rows), &position, &next).await?;
        position = next.clone();
        params.progress.add(count);
    }
    Ok(position)
}

fn storable(target: &dyn TransferEnd, rows: Vec<Row>) -> Vec<Row> {
    if !target.lacks_nul() {
        return rows;
    }
    rows.into_iter().map(without_nul).collect()
}

async fn report(source: &mut dyn TransferEnd, resumed: bool) -> Result<TransferReport> {
    let counts = counts(source).await?;
    Ok(TransferReport {
        rows: counts.values().sum(),
        jobs: counts.get("jobs").copied().unwrap_or(0),
        resumed,
    })
}
