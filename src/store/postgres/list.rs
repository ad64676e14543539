//! Pages of jobs, newest first.
//!
//! Jobs in common states are found by scanning all jobs, newest first, until the page is full; jobs in rare states by the
//! tables of their runs ([`super::in_states`]). The counters tell which is shorter, of which routes there are jobs in the wanted
//! states, and when the last of them has been found. Where an old transaction keeps dead rows in these tables, the scan comes first: who
//! is queued or running is mostly new. Writes nothing. Invariant: a page contains every matching job
//! between its cursors, however long that takes.

use super::counters::{self, CountersOfList};
use super::failure::DbResult;
use super::in_states;
use super::param::{Param, rows, storable};
use super::read;
use super::session::Session;
use super::state::{self, StoredJob};
use crate::model::Status;
use crate::store::{JobSeq, ListFilter, MAX_PAGE_BYTES, Page, RouteId, Stats};

/// Jobs read with one statement: a page of large ones must not be read at once.
const RECORDS_PER_READ: usize = 100;
/// Finding the state of a job in a scan costs about as much as this many rows of a state's table.
const RARE_STATE_COST_FACTOR: i64 = 8;
/// Jobs read at a time.
const CHUNK_JOBS: usize = 256;
/// Jobs in other states that a scan passes before it looks into the tables of the wanted states: the newest jobs are of others.
const MAX_PASSED_JOBS: usize = 1_024;
/// The same while these tables are full of dead rows.
const MAX_PASSED_JOBS_BEFORE_DEAD_ROWS: usize = 4_096;
/// A table with more dead rows is full of them: to step over so many takes about as long as a page that is scanned for. Few in tests.
const MANY_DEAD_ROWS: i64 = if cfg!(test) { 2_048 } else { 32_768 };
/// Jobs that are taken from these tables first; each time after that eight times as many. Few in tests, so
/// that these take more than one turn.
const FIRST_TAKEN_JOBS: usize = if cfg!(test) { 64 } else { 4_096 };
/// Most routes whose indexes are merged; for more, all jobs are scanned.
const MAX_MERGED_ROUTES: usize = 32;

/// The conditions of a filter apart from the state; parameters 2 to 6.
macro_rules! matches_filter {
    () => {
        "($2::boolean IS NULL OR recurring = $2) AND ($3::bigint IS NULL OR created >= $3) \
         AND ($4::bigint IS NULL OR created <= $4) AND ($5::bigint[] IS NULL OR route = ANY ($5)) \
         AND NOT EXISTS (SELECT 1 FROM unnest($6::text[]) AS wanted (tag) WHERE NOT EXISTS \
             (SELECT 1 FROM ductape.tags WHERE tags.tag = wanted.tag AND tags.job = seq))"
    };
}

const SELECT_NEWEST: &str = concat!(
    "SELECT seq FROM ductape.jobs WHERE seq < $1 AND ",
    matches_filter!(),
    " ORDER BY seq DESC LIMIT $7"
);
/// Rows are compared, since with a route that is given alone the server may go through all jobs by their numbers.
const SELECT_NEWEST_OF_ROUTES: &str = concat!(
    "SELECT found.seq FROM (SELECT DISTINCT unnest($5::bigint[]) AS number) AS wanted CROSS JOIN LATERAL \
     (SELECT seq FROM ductape.jobs WHERE route IS NOT NULL AND (route, seq) < (wanted.number, $1) \
     AND (route, seq) >= (wanted.number, 0) AND ",
    matches_filter!(),
    " ORDER BY route DESC, seq DESC LIMIT $7) AS found ORDER BY found.seq DESC LIMIT $7"
);
const SELECT_NEWEST_OF_TAG: &str = concat!(
    "SELECT seq FROM ductape.tags JOIN ductape.jobs ON seq = job WHERE tag = ($6::text[])[1] AND job < $1 AND ",
    matches_filter!(),
    " ORDER BY job DESC LIMIT $7"
);
const SELECT_FILTERED: &str = concat!(
    "SELECT seq FROM ductape.jobs WHERE seq = ANY ($1) AND ",
    matches_filter!(),
    " ORDER BY seq DESC"
);
const SELECT_DEAD_ROWS: &str = include_str!("sql/select_dead_rows.sql");
const COUNT_FAILING: &str = include_str!("sql/count_failing.sql");

/// One page, and the number of all matches if it was asked for.
pub(super) async fn page(session: &Session, filter: &ListFilter) -> DbResult<Page> {
    session.snapshot().await?;
    let page = read_page(session, filter).await?;
    session.end_snapshot().await?;
    Ok(page)
}

/// As [`page`], in a snapshot of the caller's.
pub(super) async fn read_page(session: &Session, filter: &ListFilter) -> DbResult<Page> {
    let numbers = counters_of(session, filter).await?;
    let total = match filter.count_up_to {
        Some(bound) => Some(total(session, filter, &numbers, bound).await?),
        None => None,
    };
    let mut page = Page {
        total,
        ..Page::default()
    };
    if filter.limit == 0 || count_matching(filter, &numbers.of_routes) == 0 {
        return Ok(page);
    }
    let wanted = filter.offset.saturating_add(filter.limit).saturating_add(1);
    let mut scan = JobScan::new(session, filter, &numbers, wanted).await?;
    let mut passed = 0;
    let mut found: Vec<JobSeq> = Vec::new();
    'scan: while let Some(chunk) = scan.next(session).await? {
        for job in chunk {
            if passed < filter.offset {
                passed += 1;
                continue;
            }
            if found.len() == filter.limit {
                page.next = found.last().copied();
                break 'scan;
            }
            found.push(job);
        }
    }
    let mut bytes = 0;
    let mut rest = found.as_slice();
    while let Some((chunk, behind)) = rest.split_at_checked(rest.len().min(RECORDS_PER_READ))
        && !chunk.is_empty()
    {
        let mut stored_jobs = state::of(session, &chunk.to_vec()).await?;
        stored_jobs.reverse();
        for record in read::records(session, &stored_jobs).await? {
            if bytes > MAX_PAGE_BYTES {
                page.next = page.jobs.last().map(|last| last.job);
                return Ok(page);
            }
            bytes += record.bytes();
            page.jobs.push(record);
        }
        rest = behind;
    }
    Ok(page)
}

/// Numbers of the jobs that match, newest first, by the cursor and limit of the filter.
pub(super) async fn numbers(session: &Session, filter: &ListFilter) -> DbResult<Vec<JobSeq>> {
    session.snapshot().await?;
    let numbers = counters_of(session, filter).await?;
    let mut found = Vec::new();
    if count_matching(filter, &numbers.of_routes) > 0 {
        let mut scan = JobScan::new(session, filter, &numbers, filter.limit).await?;
        while found.len() < filter.limit
            && let Some(chunk) = scan.next(session).await?
        {
            found.extend(chunk);
        }
        found.truncate(filter.limit);
    }
    session.end_snapshot().await?;
    Ok(found)
}

async fn counters_of(session: &Session, filter: &ListFilter) -> DbResult<CountersOfList> {
    counters::of_list(session, filter.routes.as_deref(), &filter.statuses, MAX_MERGED_ROUTES).await
}

/// How many jobs can match, by the counters.
fn count_matching(filter: &ListFilter, numbers: &Stats) -> i64 {
    let wanted = |status: &Status| filter.statuses.is_empty() || filter.statuses.contains(status);
    let counts = Status::ALL.iter().zip(numbers.by_status);
    counts.filter(|(status, _)| wanted(status)).map(|(_, n)| n).sum()
}

/// Whether the filter asks for nothing that the counters do not count by.
fn is_by_counters(filter: &ListFilter) -> bool {
    !filter.asks_for_last_run()
        && filter.recurring.is_none()
        && filter.tags.is_empty()
        && filter.from.is_none()
        && filter.to.is_none()
}

async fn total(session: &Session, filter: &ListFilter, numbers: &CountersOfList, bound: usize) -> DbResult<usize> {
    let by_counters = usize::try_from(count_matching(filter, &numbers.of_routes)).unwrap_or(0);
    if is_by_counters(filter) || by_counters == 0 {
        return Ok(by_counters.min(bound));
    }
    if filter.asks_only_for_failing() {
        let row = session.query_opt(COUNT_FAILING, &[&filter.routes]).await?;
        let count: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
        return Ok(usize::try_from(count).unwrap_or(0).min(bound));
    }
    let all = ListFilter {
        before: None,
        ..filter.clone()
    };
    let mut scan = JobScan::new(session, &all, numbers, bound).await?;
    let mut count = 0;
    while count < bound
        && let Some(chunk) = scan.next(session).await?
    {
        count += chunk.len();
    }
    Ok(count.min(bound))
}

/// Scans for matching jobs, newest first, in chunks.
struct JobScan<'a> {
    filter: &'a ListFilter,
    routes: Option<Vec<RouteId>>,
    tags: Vec<String>,
    /// Numbers of the jobs that may match, newest first; `None`: all jobs.
    rare: Option<std::vec::IntoIter<JobSeq>>,
    /// How many are taken next from below those; `None`: there are no more.
    taken_next: Option<usize>,
    /// How many jobs are in the wanted states, of all routes.
    in_states: i64,
    /// How many more jobs match, as far as the counters tell.
    left: Option<i64>,
    /// Jobs in other states so far.
    passed: usize,
    /// Of which so many are passed before the tables of the wanted states are looked into.
    most_passed: usize,
    below: JobSeq,
    chunk: usize,
    done: bool,
}

impl<'a> JobScan<'a> {
    async fn new(session: &Session, filter: &'a ListFilter, numbers: &CountersOfList, wanted: usize) -> DbResult<Self> {
        let below = filter.before.unwrap_or(JobSeq::MAX);
        let rare = match filter.asks_for_last_run() || filter.recurring == Some(true) {
            true => Some(recurring(session, filter, below).await?.into_iter()),
            false => None,
        };
        let mut is_rare = rare.is_none() && is_rare(filter, numbers, wanted);
        let mut most_passed = MAX_PASSED_JOBS;
        if is_rare && dead_rows(session, filter).await? > MANY_DEAD_ROWS {
            (is_rare, most_passed) = (false, MAX_PASSED_JOBS_BEFORE_DEAD_ROWS);
        }
        let mut scan = Self {
            filter,
            routes: routes_in_states(filter, numbers),
            tags: filter.tags.iter().map(|tag| storable(tag).into_owned()).collect(),
            rare,
            taken_next: None,
            in_states: count_matching(filter, &numbers.all),
            left: is_by_counters(filter).then(|| count_matching(filter, &numbers.of_routes)),
            passed: 0,
            most_passed,
            below,
            // Without a filter by state, no more than the page shows; otherwise more, since not all of them match.
            chunk: if filter.statuses.is_empty() {
                wanted.clamp(16, 2_000)
            } else {
                CHUNK_JOBS
            },
            done: false,
        };
        if is_rare {
            scan.take_from_states(session, FIRST_TAKEN_JOBS).await?;
        }
        Ok(scan)
    }

    /// Goes on with the newest jobs in the wanted states.
    async fn take_from_states(&mut self, session: &Session, count: usize) -> DbResult<()> {
        let mut jobs = in_states::newest(session, &self.filter.statuses, self.below, count, self.in_states).await?;
        self.taken_next = (jobs.len() == count).then(|| count.saturating_mul(8));
        self.below = jobs.last().copied().unwrap_or(self.below);
        // A recurring job may be in two of the tables.
        jobs.dedup();
        self.rare = Some(jobs.into_iter());
        Ok(())
    }

    /// The next matches; `None`: there are no more.
    async fn next(&mut self, session: &Session) -> DbResult<Option<Vec<JobSeq>>> {
        while !self.done {
            let candidates = self.candidates(session).await?;
            if candidates.is_empty() {
                continue;
            }
            let filter = self.filter;
            if filter.statuses.is_empty() && !filter.asks_for_last_run() {
                return Ok(Some(candidates));
            }
            let mut stored_jobs = state::of(session, &candidates).await?;
            stored_jobs.reverse();
            let wanted = |stored_job: &StoredJob| {
                (filter.statuses.is_empty() || filter.statuses.contains(&stored_job.status()))
                    && matches_last_run(stored_job, filter)
            };
            let found: Vec<JobSeq> = stored_jobs
                .iter()
                .filter(|stored_job| wanted(stored_job))
                .map(|stored_job| stored_job.job.seq)
                .collect();
            self.passed += candidates.len() - found.len();
            if let Some(left) = &mut self.left {
                *left -= rows(found.len());
                self.done |= *left <= 0;
            }
            let is_lost = self.rare.is_none() && self.passed >= self.most_passed && self.tags.is_empty();
            if is_lost && !self.done && !filter.statuses.is_empty() {
                self.take_from_states(session, FIRST_TAKEN_JOBS).await?;
            }
            if !found.is_empty() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn candidates(&mut self, session: &Session) -> DbResult<Vec<JobSeq>> {
        if let Some(rare) = &mut self.rare {
            let some: Vec<JobSeq> = rare.take(CHUNK_JOBS).collect();
            if some.len() < CHUNK_JOBS {
                match self.taken_next {
                    Some(count) => self.take_from_states(session, count).await?,
                    None => self.done = true,
                }
            }
            return self.select(session, SELECT_FILTERED, &some, None).await;
        }
        let few = self
            .routes
            .as_ref()
            .is_some_and(|routes| routes.len() <= MAX_MERGED_ROUTES);
        let query = match (self.tags.is_empty(), few) {
            (false, _) => SELECT_NEWEST_OF_TAG,
            (true, true) => SELECT_NEWEST_OF_ROUTES,
            (true, false) => SELECT_NEWEST,
        };
        let limit = rows(self.chunk);
        let below = self.below;
        let found = self.select(session, query, &below, Some(limit)).await?;
        self.done = found.len() < self.chunk;
        self.below = found.last().copied().unwrap_or(self.below);
        Ok(found)
    }

    async fn select(
        &self,
        session: &Session,
        query: &'static str,
        first: &dyn Param,
        limit: Option<i64>,
    ) -> DbResult<Vec<JobSeq>> {
        let filter = self.filter;
        let mut params: Vec<&dyn Param> = vec![
            first,
            &filter.recurring,
            &filter.from,
            &filter.to,
            &self.routes,
            &self.tags,
        ];
        if let Some(limit) = &limit {
            params.push(limit);
        }
        let found = session.query(query, &params).await?;
        found.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

/// Numbers of the recurring jobs whose last run may be what the filter asks for, newest first.
async fn recurring(session: &Session, filter: &ListFilter, below: JobSeq) -> DbResult<Vec<JobSeq>> {
    let query = if filter.admits_only_failing() {
        "SELECT job FROM ductape.series WHERE failing_runs > 0 AND job < $1 ORDER BY job DESC"
    } else {
        "SELECT job FROM ductape.series WHERE job < $1 ORDER BY job DESC"
    };
    let found = session.query(query, &[&below]).await?;
    found.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The routes of the filter; of those with jobs in the wanted states alone, when these are few.
fn routes_in_states(filter: &ListFilter, numbers: &CountersOfList) -> Option<Vec<RouteId>> {
    let found = &numbers.routes_in_states;
    // Behind many jobs of other routes they are found by their states.
    if filter.statuses.is_empty() || filter.asks_for_last_run() || found.len() > MAX_MERGED_ROUTES {
        return filter.routes.clone();
    }
    Some(found.clone())
}

fn matches_last_run(stored_job: &StoredJob, filter: &ListFilter) -> bool {
    let Some(series) = &stored_job.series else {
        return !filter.asks_for_last_run();
    };
    let status = series.state.last.map(|last| last.status);
    filter.admits_last_run(status, series.state.failing.is_some())
}

/// Whether the tables of the wanted states are shorter than the scan to `wanted` matches.
fn is_rare(filter: &ListFilter, numbers: &CountersOfList, wanted: usize) -> bool {
    if filter.statuses.is_empty() {
        return false;
    }
    let jobs: i64 = numbers.of_routes.by_status.iter().sum();
    let per_match = jobs / count_matching(filter, &numbers.of_routes).max(1) + 1;
    let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
    count_matching(filter, &numbers.all) <= wanted.saturating_mul(per_match).saturating_mul(RARE_STATE_COST_FACTOR)
}

/// How many dead rows there are in the tables of the wanted states, about.
async fn dead_rows(session: &Session, filter: &ListFilter) -> DbResult<i64> {
    let statuses: Vec<i32> = filter.statuses.iter().map(|status| *status as i32).collect();
    let row = session.query_opt(SELECT_DEAD_ROWS, &[&statuses]).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get(0))?)
}
