//! Pages of jobs, newest first.
//!
//! Jobs in common states are found by scanning all jobs, newest first, until the page is full; jobs in rare states by the
//! tables of their runs. The counters tell which is shorter. Writes nothing. Invariant: a page contains every matching job
//! between its cursors, however long that takes.

use super::jobs::{self, JobKey};
use super::read::{self, JobState};
use super::{candidates, counters, tags};
use crate::error::Result;
use crate::model::Status;
use crate::store::{JobSeq, ListFilter, MAX_PAGE_BYTES, Page, RouteId, Stats};
use rusqlite::Connection;
use std::collections::HashSet;

/// Finding the state of a job in a scan costs about as much as this many rows of a state's table.
const RARE_STATE_COST_FACTOR: i64 = 8;
/// Jobs read at a time.
const CHUNK_JOBS: usize = 256;
/// So many jobs in other states a scan passes in any case, before it looks into the tables of the wanted states, since the newest jobs are
/// of others; and this share of the jobs in the wanted states.
const MIN_PASSED_JOBS: usize = 2_000;
const PASSED_JOBS_SHARE: usize = 128;

const COUNT_FAILING: &str = include_str!("sql/count_failing.sql");

/// One page, and the number of all matches if it was asked for.
pub(super) fn page(connection: &Connection, filter: &ListFilter) -> Result<Page> {
    let numbers = counters::stats(connection, filter.routes.as_deref())?;
    let total = filter
        .count_up_to
        .map(|bound| total(connection, filter, &numbers, bound))
        .transpose()?;
    if filter.limit == 0 || count_matching(filter, &numbers) == 0 {
        return Ok(Page {
            total,
            ..Page::default()
        });
    }
    let mut page = Page {
        total,
        ..Page::default()
    };
    let mut scan = JobScan::new(connection, filter, &numbers, filter.offset.saturating_add(filter.limit))?;
    scan.below = filter.before.unwrap_or(JobSeq::MAX);
    let (mut passed, mut bytes) = (0, 0);
    while let Some((job, state)) = scan.next(connection)? {
        if passed < filter.offset {
            passed += 1;
            continue;
        }
        if page.jobs.len() == filter.limit || bytes > MAX_PAGE_BYTES {
            page.next = page.jobs.last().map(|last| last.job);
            break;
        }
        let state = state.map_or_else(|| JobState::of(connection, &job), Ok)?;
        let record = read::record(connection, &job, &state)?;
        bytes += record.bytes();
        page.jobs.push(record);
    }
    Ok(page)
}

/// Numbers of the jobs that match, newest first, by the cursor and limit of the filter.
pub(super) fn numbers(connection: &Connection, filter: &ListFilter) -> Result<Vec<JobSeq>> {
    let numbers = counters::stats(connection, filter.routes.as_deref())?;
    if count_matching(filter, &numbers) == 0 {
        return Ok(Vec::new());
    }
    let mut scan = JobScan::new(connection, filter, &numbers, filter.limit)?;
    scan.below = filter.before.unwrap_or(JobSeq::MAX);
    let mut found = Vec::new();
    while found.len() < filter.limit
        && let Some((job, _)) = scan.next(connection)?
    {
        found.push(job.seq);
    }
    Ok(found)
}

/// How many jobs can match, by the counters.
fn count_matching(filter: &ListFilter, numbers: &Stats) -> i64 {
    let wanted = |status: &Status| filter.statuses.is_empty() || filter.statuses.contains(status);
    let counts = Status::ALL.iter().zip(numbers.by_status);
    counts.filter(|(status, _)| wanted(status)).map(|(_, n)| n).sum()
}

fn total(connection: &Connection, filter: &ListFilter, numbers: &Stats, bound: usize) -> Result<usize> {
    let by_counters = usize::try_from(count_matching(filter, numbers)).unwrap_or(0);
    let counted = !filter.asks_for_last_run()
        && filter.recurring.is_none()
        && filter.tags.is_empty()
        && filter.from.is_none()
        && filter.to.is_none();
    if counted || by_counters == 0 {
        return Ok(by_counters.min(bound));
    }
    if filter.asks_only_for_failing() {
        return Ok(count_failing(connection, filter.routes.as_deref())?.min(bound));
    }
    let mut scan = JobScan::new(connection, filter, numbers, bound)?;
    let mut count = 0;
    while count < bound && scan.next(connection)?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// How many recurring jobs fail, of these routes or of all.
fn count_failing(connection: &Connection, routes: Option<&[RouteId]>) -> Result<usize> {
    let wanted: Option<HashSet<&RouteId>> = routes.map(|routes| routes.iter().collect());
    let mut select = connection.prepare_cached(COUNT_FAILING)?;
    let mut found = select.query([])?;
    let mut count = 0;
    while let Some(row) = found.next()? {
        if wanted
            .as_ref()
            .is_none_or(|wanted| row.get(0).is_ok_and(|route: RouteId| wanted.contains(&route)))
        {
            count += usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        }
    }
    Ok(count)
}

/// Scans for matching jobs, newest first.
struct JobScan<'a> {
    filter: &'a ListFilter,
    routes: Option<HashSet<RouteId>>,
    /// Numbers of the jobs that may match, ascending; `None`: all jobs.
    rare: Option<Vec<JobSeq>>,
    /// Jobs in other states so far, and how many are passed at most.
    passed: (usize, usize),
    below: JobSeq,
    read: std::vec::IntoIter<JobKey>,
}

impl<'a> JobScan<'a> {
    fn new(connection: &Connection, filter: &'a ListFilter, numbers: &Stats, wanted: usize) -> Result<Self> {
        let rare = if filter.asks_for_last_run() || filter.recurring == Some(true) {
            Some(candidates::recurring(connection, filter)?)
        } else if is_rare(connection, filter, numbers, wanted)? {
            Some(candidates::in_states(connection, &filter.statuses)?)
        } else {
            None
        };
        let routes = filter.routes.as_ref().map(|routes| routes.iter().copied().collect());
        Ok(Self {
            filter,
            routes,
            rare,
            passed: (0, most_passed(filter, numbers)),
            below: JobSeq::MAX,
            read: Vec::new().into_iter(),
        })
    }

    /// The next match, with its state if it had to be determined.
    fn next(&mut self, connection: &Connection) -> Result<Option<(JobKey, Option<JobState>)>> {
        loop {
            let Some(job) = self.next_candidate(connection)? else {
                return Ok(None);
            };
            if !self.matches_filter(&job) || !tags::has_all(connection, job.seq, &self.filter.tags)? {
                continue;
            }
            let statuses = &self.filter.statuses;
            if statuses.is_empty() && !self.filter.asks_for_last_run() {
                return Ok(Some((job, None)));
            }
            let state = JobState::of(connection, &job)?;
            if (statuses.is_empty() || statuses.contains(&state.status)) && state.matches_last_run(self.filter) {
                return Ok(Some((job, Some(state))));
            }
            self.passed.0 += 1;
            if self.passed.0 == self.passed.1
                && self.rare.is_none()
                && self.filter.tags.is_empty()
                && !statuses.is_empty()
            {
                self.take_from_states(connection)?;
            }
        }
    }

    /// Goes on with jobs in the wanted states. To sort all of their numbers here is cheaper than to have SQLite keep the newest: their
    /// tables have them nearly in order, from the oldest on.
    fn take_from_states(&mut self, connection: &Connection) -> Result<()> {
        self.rare = Some(candidates::in_states(connection, &self.filter.statuses)?);
        Ok(())
    }

    fn matches_filter(&self, job: &JobKey) -> bool {
        self.routes.as_ref().is_none_or(|routes| routes.contains(&job.route))
            && self.filter.recurring.is_none_or(|recurring| recurring == job.recurring)
            && self.filter.from.is_none_or(|from| job.created >= from)
            && self.filter.to.is_none_or(|to| job.created <= to)
    }

    fn next_candidate(&mut self, connection: &Connection) -> Result<Option<JobKey>> {
        if let Some(rare) = &mut self.rare {
            while let Some(seq) = rare.pop() {
                if seq < self.below {
                    return Ok(Some(jobs::expect(connection, seq)?));
                }
            }
            return Ok(None);
        }
        if let Some(job) = self.read.next() {
            self.below = job.seq;
            return Ok(Some(job));
        }
        let read = match self.filter.tags.first() {
            Some(tag) => tags::newest(connection, tag, self.below, CHUNK_JOBS)?,
            None => candidates::newest(connection, self.filter.routes.as_deref(), self.below, CHUNK_JOBS)?,
        };
        self.read = read.into_iter();
        let job = self.read.next();
        self.below = job.map_or(self.below, |job| job.seq);
        Ok(job)
    }
}

/// How many jobs in other states a scan passes: what they cost is then about what the tables of the wanted states would.
fn most_passed(filter: &ListFilter, numbers: &Stats) -> usize {
    let table = usize::try_from(count_matching(filter, numbers)).unwrap_or(0);
    MIN_PASSED_JOBS.max(table / PASSED_JOBS_SHARE)
}

/// Whether the tables of the wanted states are shorter than the scan to `wanted` matches.
fn is_rare(connection: &Connection, filter: &ListFilter, numbers: &Stats, wanted: usize) -> Result<bool> {
    if filter.statuses.is_empty() {
        return Ok(false);
    }
    let all = counters::stats(connection, None)?;
    let table = count_matching(filter, &all);
    let jobs: i64 = if filter.routes.is_some() { numbers } else { &all }
        .by_status
        .iter()
        .sum();
    let per_match = jobs / count_matching(filter, numbers).max(1) + 1;
    let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
    Ok(table <= wanted.saturating_mul(per_match).saturating_mul(RARE_STATE_COST_FACTOR))
}
