//! Reads the ready runs of many routes in one order: priority, due time, dispatch.
//!
//! One cursor per route with ready runs, merged by a heap. A cursor reads a few rows at a time, so that a claim of n runs
//! reads little more than n rows, however many are ready. Changes nothing itself; the caller decides on each run.

use super::routes;
use super::run_rows::{Rank, Waiting, rows};
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{JobSeq, RouteId, ServedRoute};
use rusqlite::Connection;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

const SELECT_READY_AFTER: &str = include_str!("sql/select_ready_after.sql");
const SELECT_SUSPECTS_AFTER: &str = include_str!("sql/select_suspects_after.sql");

/// Which of the ready runs are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Those that run alone, since they crashed too often.
    Suspects,
    /// All others.
    Others,
}

/// A run that can be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) rank: Rank,
    pub(super) run: Waiting,
}

type SortKey = (i32, Millis, JobSeq, i64);

/// The caller's decision on a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimDecision {
    /// It is claimed.
    Taken,
    /// It became blocked.
    Blocked,
    /// Left in place: one transaction has blocked enough runs.
    Stop,
}

impl Candidate {
    fn sort_key(&self) -> SortKey {
        (self.rank.priority, self.rank.due, self.run.job, self.run.run)
    }
}

struct Cursor {
    queue: Queue,
    route: RouteId,
    group: usize,
    read: VecDeque<Candidate>,
    more: bool,
}

/// Least number of candidates per read after some became blocked.
const MIN_READ_AFTER_BLOCKED: usize = 128;

/// Offers candidates to `decide`, best first, until `slots` in total are taken, and at most `group_slots` per group.
pub(super) fn select_best(
    (connection, queue): (&Connection, Queue),
    served: &[ServedRoute],
    group_slots: &[usize],
    slots: usize,
    mut decide: impl FnMut(&Candidate) -> Result<ClaimDecision>,
) -> Result<()> {
    let mut free = group_slots.to_vec();
    let routes = served_routes_with_ready(connection, served, &free)?;
    let chunk = slots.div_ceil(routes.len().max(1)).clamp(4, 512);
    let mut cursors = Vec::with_capacity(routes.len());
    let mut heads = BinaryHeap::new();
    for served in routes {
        let mut cursor = Cursor {
            queue,
            route: served.route,
            group: served.group,
            read: VecDeque::new(),
            more: true,
        };
        cursor.fill(connection, None, chunk)?;
        heads.extend(
            cursor
                .read
                .front()
                .map(|head| Reverse((head.sort_key(), cursors.len()))),
        );
        cursors.push(cursor);
    }
    let mut taken = 0;
    while taken < slots {
        let Some(Reverse((_, at))) = heads.pop() else { break };
        let Some(cursor) = cursors.get_mut(at) else { continue };
        let Some(left) = free.get_mut(cursor.group).filter(|left| **left > 0) else {
            continue;
        };
        let Some(candidate) = cursor.read.pop_front() else {
            continue;
        };
        let wanted = match decide(&candidate)? {
            ClaimDecision::Stop => break,
            ClaimDecision::Blocked => chunk.max(MIN_READ_AFTER_BLOCKED),
            ClaimDecision::Taken => {
                *left -= 1;
                taken += 1;
                chunk.min(slots - taken + 1)
            }
        };
        cursor.fill(connection, Some(candidate), wanted)?;
        heads.extend(cursor.read.front().map(|head| Reverse((head.sort_key(), at))));
    }
    Ok(())
}

impl Cursor {
    /// Reads more rows after `last` when the buffer is empty.
    fn fill(&mut self, connection: &Connection, last: Option<Candidate>, count: usize) -> Result<()> {
        if !self.read.is_empty() || !self.more {
            return Ok(());
        }
        let route = self.route;
        let behind = last.map_or((i64::MIN, i64::MIN, JobSeq::MIN, i64::MIN), |last| {
            let rank = last.rank;
            (i64::from(rank.priority), rank.due, last.run.job, last.run.run)
        });
        let mut select = connection.prepare_cached(match self.queue {
            Queue::Suspects => SELECT_SUSPECTS_AFTER,
            Queue::Others => SELECT_READY_AFTER,
        })?;
        let mut rows = select.query((route, behind.0, behind.1, behind.2, behind.3, rows(count)))?;
        while let Some(row) = rows.next()? {
            let run = Waiting {
                job: row.get(2)?,
                run: row.get(3)?,
                attempt: row.get(4)?,
                crashes: row.get(5)?,
            };
            let rank = Rank {
                route,
                priority: row.get(0)?,
                due: row.get(1)?,
                key: row.get(6)?,
            };
            self.read.push_back(Candidate { rank, run });
        }
        self.more = self.read.len() == count;
        Ok(())
    }
}

/// The served routes with ready rows and a free slot, by a leapfrog join of both lists: the cost is that of the shorter
/// one.
fn served_routes_with_ready(
    connection: &Connection,
    served: &[ServedRoute],
    free: &[usize],
) -> Result<Vec<ServedRoute>> {
    let mut open: Vec<ServedRoute> = served
        .iter()
        .copied()
        .filter(|served| free.get(served.group).is_some_and(|slots| *slots > 0))
        .collect();
    open.sort_unstable_by_key(|served| served.route);
    open.dedup_by_key(|served| served.route);
    let mut found = Vec::new();
    let mut rest = open.as_slice();
    while let Some(wanted) = rest.first() {
        let Some(ready) = routes::next_ready(connection, wanted.route)? else {
            break;
        };
        let at = rest.partition_point(|served| served.route < ready);
        rest = rest.get(at..).unwrap_or_default();
        if let Some((first, behind)) = rest.split_first()
            && first.route == ready
        {
            found.push(*first);
            rest = behind;
        }
    }
    Ok(found)
}
