//! What a store consists of, in a form that all stores share: tables, columns and keys.
//!
//! Invariants: a row is the same cells in every store; jobs, runs and what belongs to them keep their numbers, so that texts
//! which open only in their place do so in the new store as well.

use serde::{Deserialize, Serialize};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer of 64 bits.
    Long,
    /// An integer of 32 bits.
    Short,
    /// 0 or 1.
    Flag,
    /// Text.
    Text,
    /// A generated id, as 32 hexadecimal digits.
    Id,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// Nothing.
    Null,
    /// An integer of any length, or a flag.
    Integer(i64),
    /// A text, or a generated id.
    Text(Box<str>),
}

impl Cell {
    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Null | Self::Integer(_) => 8,
            Self::Text(text) => text.len(),
        }
    }
}

/// The cells of a row, in the order of the table's columns.
pub type Row = Vec<Cell>;

/// A table, as both stores have it.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns that are moved.
    pub columns: &'static [(&'static str, Kind)],
    /// Columns by which rows are told apart and ordered, by their places in `columns`.
    pub key: &'static [usize],
    /// The table that takes its rows in the new store.
    pub becomes: &'static str,
}

impl Table {
    const fn new(name: &'static str, columns: &'static [(&'static str, Kind)], key: &'static [usize]) -> Self {
        Self {
            name,
            columns,
            key,
            becomes: name,
        }
    }

    /// Where reading goes on behind a row.
    pub fn key_of(&self, row: &[Cell]) -> Vec<Cell> {
        self.key.iter().filter_map(|at| row.get(*at).cloned()).collect()
    }
}

use Kind::{Flag, Id, Long, Short, Text};

/// A run that waits in a queue.
const WAITING: &[(&str, Kind)] = &[
    ("route", Long),
    ("priority", Short),
    ("due", Long),
    ("job", Long),
    ("run", Long),
    ("attempt", Short),
    ("crashes", Short),
    ("key", Long),
];

/// All that is moved, in the order in which it is. Registrations of processes and what they have claimed are not there: a store
/// is moved while nobody works on it.
pub const TABLES: &[Table] = &[
    Table::new(
        "routes",
        &[
            ("id", Long),
            ("namespace", Text),
            ("product", Text),
            ("env", Text),
            ("target", Text),
        ],
        &[0],
    ),
    Table::new(
        "keys",
        &[
            ("id", Long),
            ("product", Text),
            ("env", Text),
            ("name", Text),
            ("max", Long),
        ],
        &[0],
    ),
    Table::new(
        "jobs",
        &[
            ("seq", Long),
            ("id", Id),
            ("name", Text),
            ("route", Long),
            ("priority", Short),
            ("due", Long),
            ("retries", Short),
            ("recurring", Flag),
            ("run", Long),
            ("created", Long),
            ("updated", Long),
            ("key", Long),
            ("options", Text),
            ("input", Text),
        ],
        &[0],
    ),
    Table::new(
        "series",
        &[
            ("job", Long),
            ("spec", Text),
            ("version", Long),
            ("fingerprint", Long),
            ("state", Short),
            ("ended_at", Long),
            ("reason", Text),
            ("next_at", Long),
            ("held", Flag),
            ("last_at", Long),
            ("runs", Long),
            ("ended", Long),
            ("succeeded", Long),
            ("failed", Long),
            ("paused", Flag),
            ("failed_at", Long),
            ("reruns", Long),
            ("live_queued", Long),
            ("live_running", Long),
            ("live_waiting", Long),
            ("settled", Text),
            ("last_run", Long),
            ("last_status", Short),
            ("last_ended", Long),
            ("failing_runs", Long),
            ("failing_since", Long),
        ],
        &[0],
    ),
    Table::new(
        "occurrences",
        &[
            ("job", Long),
            ("run", Long),
            ("scheduled_at", Long),
            ("due", Long),
            ("missed", Long),
        ],
        &[0, 1],
    ),
    Table::new("far", &[("day", Long), ("job", Long)], &[0, 1]),
    Table::new(
        "scheduled",
        &[
            ("due", Long),
            ("job", Long),
            ("run", Long),
            ("attempt", Short),
            ("crashes", Short),
        ],
        &[0, 1, 2],
    ),
    Table::new("ready", WAITING, &[0, 1, 2, 3, 4]),
    // A claim finds those behind a full key again; which slots they were promised differs between the stores.
    Table {
        name: "held",
        columns: WAITING,
        key: &[7, 0, 1, 2, 3, 4],
        becomes: "ready",
    },
    Table::new(
        "paused",
        &[
            ("job", Long),
            ("run", Long),
            ("due", Long),
            ("attempt", Short),
            ("crashes", Short),
        ],
        &[0, 1],
    ),
    Table::new(
        "runs",
        &[
            ("job", Long),
            ("run", Long),
            ("attempt", Short),
            ("status", Short),
            ("started", Long),
            ("ended", Long),
            ("next_due", Long),
            ("error", Text),
            ("result", Text),
        ],
        &[0, 1, 2],
    ),
    Table::new(
        "steps",
        &[
            ("job", Long),
            ("run", Long),
            ("tag", Text),
            ("number", Long),
            ("result", Text),
        ],
        &[0, 1, 2],
    ),
    Table::new(
        "ended",
        &[("status", Short), ("ended", Long), ("job", Long)],
        &[0, 1, 2],
    ),
    Table::new(
        "gaps",
        &[
            ("job", Long),
            ("first", Long),
            ("kind", Short),
            ("last", Long),
            ("count", Long),
            ("runs", Long),
        ],
        &[0, 1, 2],
    ),
    Table::new("tags", &[("tag", Text), ("job", Long)], &[0, 1]),
    Table::new(
        "uniques",
        &[
            ("route", Long),
            ("key", Text),
            ("job", Long),
            ("until", Long),
            ("id", Id),
            ("name", Text),
            ("status", Short),
            ("due", Long),
            ("recurring", Flag),
        ],
        &[0, 1],
    ),
    Table::new(
        "entries",
        &[
            ("kind", Short),
            ("space", Text),
            ("key", Text),
            ("value", Text),
            ("expires", Long),
        ],
        &[0, 1, 2],
    ),
    Table::new("progress", &[("job", Long), ("value", Text)], &[0]),
    Table::new(
        "logs",
        &[
            ("job", Long),
            ("number", Long),
            ("run", Long),
            ("attempt", Short),
            ("at", Long),
            ("message", Text),
        ],
        &[0, 1],
    ),
    Table::new(
        "audit",
        &[
            ("at", Long),
            ("id", Text),
            ("who", Text),
            ("action", Text),
            ("detail", Text),
        ],
        &[0, 1],
    ),
    Table::new(
        "webhooks",
        &[
            ("number", Long),
            ("id", Text),
            ("url", Text),
            ("events", Long),
            ("secret", Text),
            ("created", Long),
            ("updated", Long),
            ("delivered", Long),
            ("failed", Long),
            ("last_error", Text),
            ("failed_count", Long),
            ("disabled", Long),
        ],
        &[0],
    ),
    Table::new(
        "outbox",
        &[
            ("seq", Long),
            ("kind", Short),
            ("at", Long),
            ("id", Id),
            ("name", Text),
            ("route", Long),
            ("status", Short),
            ("scheduled_at", Long),
            ("executions", Long),
            ("error", Text),
        ],
        &[0],
    ),
    Table::new("counters", &[("route", Long), ("kind", Short), ("n", Long)], &[0, 1]),
    Table::new(
        "figures",
        &[("span", Short), ("at", Long), ("route", Long), ("figures", Text)],
        &[0, 1, 2],
    ),
    Table::new("marks", &[("name", Text), ("value", Text)], &[0]),
];

/// Facts that a store keeps of itself, and that say nothing of another one: its place in a move, how its processes reach each
/// other, when it was changed in bulk, what its clock showed.
pub const OWN_MARKS: [&str; 4] = [super::MARK, "notification channel", "changed", "clock"];

/// The highest numbers that were given: none is given again, although what it stood for may be gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Of a job.
    pub job: i64,
    /// Of a concurrency key.
    pub key: i64,
    /// Of a webhook.
    pub webhook: i64,
    /// Of an event in the outbox.
    pub event: i64,
    /// Of a step.
    pub step: i64,
}
