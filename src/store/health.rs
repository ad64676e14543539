//! Plain facts about a store as it stands. To look at them changes nothing and migrates nothing; what is wrong with them is for others
//! to say.

use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a look may take for what reads much.
pub const DEFAULT_LOOK: Duration = Duration::from_secs(5);

/// Facts about a store.
#[derive(Debug, Serialize)]
pub struct StoreHealth {
    /// The version of its schema; 0: there is none yet.
    pub schema_version: i64,
    /// The version that this package makes of it.
    pub known_schema_version: i64,
    /// Why it takes no work: it is moved to another store, or from one, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<String>,
    /// Jobs by its counters and by its tables. `None`: there is no schema, or it took too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<CountedJobs>,
    /// Where it is.
    #[serde(flatten)]
    pub place: StorePlace,
}

impl StoreHealth {
    /// Of a store in memory, which is always as this package makes it.
    #[must_use]
    pub const fn in_memory(schema_version: i64) -> Self {
        Self {
            schema_version,
            known_schema_version: schema_version,
            moved: None,
            jobs: None,
            place: StorePlace::Memory {},
        }
    }
}

/// How many jobs there are, in two ways that must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CountedJobs {
    /// By the counters, from which `stats` are told.
    pub counted: i64,
    /// By the table.
    pub stored: i64,
}

/// Where a store is, with what is known of such places.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StorePlace {
    /// In a file.
    File(FileFacts),
    /// In a server.
    Server(ServerFacts),
    /// In memory.
    Memory {},
}

/// Facts about a file.
#[derive(Debug, Serialize)]
pub struct FileFacts {
    /// Its length.
    pub bytes: u64,
    /// Of these, in pages that are free to be used again.
    pub free_bytes: u64,
    /// Length of its write-ahead log.
    pub log_bytes: u64,
    /// Whether its pages are sound.
    pub integrity: Integrity,
    /// What is wrong with them, the first of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damage: Vec<String>,
    /// Whether it could be locked for writing within a second.
    pub is_writable: bool,
    /// Who kept it from that, as far as it can be known: locks of this package's processes bear no process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_by: Option<String>,
}

/// Whether pages are sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// All of them.
    Sound,
    /// Not all.
    Damaged,
    /// They could not be read in time.
    Unknown,
}

/// Facts about a server.
#[derive(Debug, Serialize)]
pub struct ServerFacts {
    /// Its version, as in 150004.
    pub version: i32,
    /// Whether it is a replica, which takes no jobs.
    pub is_replica: bool,
    /// Connections of clients that are open.
    pub connections: i64,
    /// How many there may be, without those that are reserved.
    pub max_connections: i64,
    /// Length of the schema's tables and indexes.
    pub bytes: i64,
    /// Rows of theirs that wait for a vacuum, by the server's statistics.
    pub dead_rows: i64,
    /// Settings as they are for the role and the database, by name, as the server shows them.
    pub settings: BTreeMap<String, String>,
    /// Transactions that are open for long, the oldest first, at most five.
    pub long_transactions: Vec<LongTransaction>,
}

/// A transaction that is open for long.
#[derive(Debug, Serialize)]
pub struct LongTransaction {
    /// The server's process.
    pub pid: i32,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What the program calls itself.
    pub application: String,
    /// What it is doing, as in `idle in transaction`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// For how long it has been open.
    pub open_ms: i64,
}
