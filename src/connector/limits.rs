//! Bounds of what connectors take, keep and wait for: all that jobs, definitions and servers can grow.
//!
//! What the protocol of one kind of server asks for stands beside that protocol.

use std::time::Duration;

/// Bounds of one attempt; tests set smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest response that is read, bytes.
    pub response_bytes: usize,
    /// Timeout of attempts of jobs that set none, ms.
    pub timeout: i64,
    /// Most connections to one resource at once.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            response_bytes: MAX_RESPONSE_BYTES,
            timeout: DEFAULT_ATTEMPT_TIMEOUT_MS,
            connections: DEFAULT_CONNECTIONS,
        }
    }
}

/// Largest response that is read.
const MAX_RESPONSE_BYTES: usize = 10 << 20;
/// Timeout of attempts of jobs that set none.
const DEFAULT_ATTEMPT_TIMEOUT_MS: i64 = 60_000;
/// Connections to one resource at once.
const DEFAULT_CONNECTIONS: usize = 10;

/// Resources that are checked or closed at once.
pub(super) const MAX_CONCURRENT_CHECKS: usize = 8;
/// How long a resource may take to end its connections.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

// Actions.

/// Longest URL; few servers accept more.
pub(super) const MAX_URL_BYTES: usize = 32 * 1024;
/// Nesting of objects in a query or a form.
pub(super) const MAX_QUERY_NESTING: usize = 8;
/// Nesting of objects that are merged; below that the input's value replaces the template's.
pub(super) const MAX_MERGE_DEPTH: usize = 64;
/// Redirects followed for one call.
pub(super) const MAX_REDIRECTS: usize = 5;
/// Idle connections kept per host, so that concurrent jobs find one.
pub(super) const MAX_IDLE_PER_HOST: usize = 256;
/// Timeout of a check; the caller of `check` may set a shorter one.
pub(super) const CHECK_TIMEOUT: Duration = Duration::from_secs(60);

// Notifications.

/// Timeout of one callback.
pub(super) const CALLBACK_TIMEOUT_MS: i64 = 30_000;
/// Failed parts of a channel that an error message names; the rest is counted.
pub(super) const MAX_NAMED_PARTS: usize = 5;

// Storage.

/// Largest file that is written.
pub(super) const MAX_UPLOAD_BYTES: usize = 32 << 20;
/// Largest file that is written from a file or a URL, where its event does not say.
pub(super) const DEFAULT_SOURCE_BYTES: u64 = 5 << 30;
/// Largest file that is read into a result: a result holds 1 MiB of JSON, and base64 makes four characters of
/// three bytes.
pub(super) const MAX_DOWNLOAD_BYTES: u64 = 768 * 1024 - 1_024;
/// Files listed when the input sets no `limit`.
pub(super) const DEFAULT_LIST_LIMIT: usize = 100;
/// Files that one job counts.
pub(super) const MAX_COUNTED_FILES: usize = 10_000;
/// Files listed by one job.
pub(super) const MAX_LIST_LIMIT: i64 = 1_000;

// Brokers.

/// Largest file of certificates that is read.
pub(super) const MAX_PEM_FILE_BYTES: u64 = 4 << 20;

// Databases.

/// Connections to one database when its definition sets no `max_connections`.
pub(super) const DEFAULT_DATABASE_CONNECTIONS: usize = 10;
/// Timeout of connecting, with authentication.
pub(super) const DATABASE_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Tables of one database whose columns are remembered.
pub(super) const MAX_CACHED_TABLES: usize = 256;
/// How long the columns of a table are remembered.
pub(super) const TABLE_CACHE_TTL: Duration = Duration::from_secs(60);
/// Nesting of lists and objects in an input.
pub(super) const MAX_JSON_DEPTH: usize = 32;
/// Size of the rows of one result; the engine keeps no result above 1 MiB.
pub(super) const MAX_RESULT_BYTES: usize = 1_000_000;
/// Nesting of `$and`, `$or`, `$nor` and `$not`.
pub(super) const MAX_FILTER_DEPTH: usize = 16;
/// Conditions in one filter.
pub(super) const MAX_CONDITIONS: usize = 1_000;
/// Values in one `$in`.
pub(super) const MAX_IN_VALUES: usize = 10_000;
/// Rows read when the input sets no `limit`.
pub(super) const DEFAULT_ROW_LIMIT: u64 = 1_000;
/// Largest `limit`.
pub(super) const MAX_ROWS_READ: i64 = 100_000;
/// Rows written by one job.
pub(super) const MAX_ROWS_WRITTEN: usize = 10_000;
/// Columns in one list or row.
pub(super) const MAX_COLUMNS: usize = 500;
/// Values that an operator of an update adds to a list or removes from it.
pub(super) const MAX_LIST_VALUES: usize = 100;
/// Relations that are read with rows, on each level.
pub(super) const MAX_INCLUDES: usize = 10;
/// Levels of relations.
pub(super) const MAX_INCLUDE_DEPTH: usize = 3;
/// Related rows of one relation.
pub(super) const MAX_INCLUDED_ROWS: u64 = 10_000;
/// Rows of one `INSERT`.
pub(super) const MAX_ROWS_PER_STATEMENT: usize = 1_000;
/// Parameters of one statement; SQLite and PostgreSQL take 32,766 and 65,535.
pub(super) const MAX_PARAMETERS: usize = 30_000;
/// Stages of one pipeline.
#[cfg(feature = "mongodb")]
pub(super) const MAX_PIPELINE_STAGES: usize = 100;
/// Pages of 1 MB that an operation of DynamoDB reads of a whole table.
#[cfg(feature = "dynamodb")]
pub(super) const MAX_PAGES_SCANNED: usize = 100;
/// The same of a query, which reads what belongs to one hash key.
#[cfg(feature = "dynamodb")]
pub(super) const MAX_PAGES_QUERIED: usize = 1_000;
