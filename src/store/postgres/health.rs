//! Plain facts about a schema and its server, with a connection of its own, which writes nothing and migrates nothing.

use super::failure::DbResult;
use super::move_record::{self, CLOSED};
use super::pool::{Pool, WriteOptions, with_session};
use super::session::{Connector, Session};
use super::{PostgresConfig, migrate};
use crate::error::Result;
use crate::store::health::{CountedJobs, LongTransaction, ServerFacts, StoreHealth, StorePlace};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Row;

/// Transactions that are open for longer keep rows from being removed.
const LONG_TRANSACTION_MS: i64 = 60_000;
/// Settings that matter to jobs. Those of transactions and timeouts are set by each session itself, but for callers of `statement()`.
const SETTINGS: [&str; 8] = [
    "autovacuum",
    "default_transaction_isolation",
    "fsync",
    "full_page_writes",
    "idle_in_transaction_session_timeout",
    "server_encoding",
    "statement_timeout",
    "synchronous_commit",
];

const SELECT_SERVER_FACTS: &str = include_str!("sql/select_server_facts.sql");
const SELECT_SERVER_SETTINGS: &str = include_str!("sql/select_server_settings.sql");
const SELECT_LONG_TRANSACTIONS: &str = include_str!("sql/select_long_transactions.sql");
const SELECT_COUNTED_JOBS: &str = include_str!("sql/select_counted_jobs.sql");

/// Facts about the store that the configuration names; to count its jobs may take `limit`.
///
/// # Errors
/// `CONNECTION_ERROR` when the server cannot be reached, `UNAUTHORIZED` when it refuses the user.
pub async fn health(config: PostgresConfig, limit: Duration) -> Result<StoreHealth> {
    let pool = Pool::new(Arc::new(Connector::new(config.address, config.synced)?), 1);
    let mut health = with_session!(pool, WriteOptions::DEFAULT, |session| facts(session));
    if health.schema_version > 0 {
        let options = WriteOptions {
            deadline: limit,
            retry_for: limit,
            resend: false,
            since: None,
        };
        health.jobs = counted_within(&pool, options).await.ok();
    }
    pool.close();
    Ok(health)
}

async fn facts(session: &Session) -> DbResult<StoreHealth> {
    let schema = session.connector().address.schema.clone();
    let mut schema_version = migrate::found_version(session).await?;
    let mut moved = None;
    if schema_version == CLOSED
        && let Some(record) = move_record::record(session).await?
    {
        // The number of a closed store says that it is closed.
        schema_version = migrate::newest();
        moved = Some(record.refusal(&session.connector().address.label()).message);
    }
    let facts = session.query(SELECT_SERVER_FACTS, &[&schema]).await?;
    let facts = facts.first().ok_or_else(|| super::failure::damaged("no facts"))?;
    let names: Vec<String> = SETTINGS.map(str::to_owned).to_vec();
    let mut settings = BTreeMap::new();
    for row in session.query(SELECT_SERVER_SETTINGS, &[&names]).await? {
        settings.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let long = session.query(SELECT_LONG_TRANSACTIONS, &[&LONG_TRANSACTION_MS]).await?;
    Ok(StoreHealth {
        schema_version: i64::from(schema_version),
        known_schema_version: i64::from(migrate::newest()),
        moved,
        jobs: None,
        place: StorePlace::Server(ServerFacts {
            version: facts.try_get(0)?,
            is_replica: facts.try_get(1)?,
            connections: facts.try_get(2)?,
            max_connections: facts.try_get(3)?,
            bytes: facts.try_get(4)?,
            dead_rows: facts.try_get(5)?,
            settings,
            long_transactions: long.iter().map(long_transaction).collect::<DbResult<_>>()?,
        }),
    })
}

fn long_transaction(row: &Row) -> DbResult<LongTransaction> {
    Ok(LongTransaction {
        pid: row.try_get(0)?,
        user: row.try_get(1)?,
        application: row.try_get(2)?,
        state: row.try_get(3)?,
        open_ms: row.try_get(4)?,
    })
}

async fn counted_within(pool: &Pool, options: WriteOptions) -> Result<CountedJobs> {
    Ok(with_session!(pool, options, |session| counted(session)))
}

async fn counted(session: &Session) -> DbResult<CountedJobs> {
    let rows = session.query(SELECT_COUNTED_JOBS, &[]).await?;
    let row = rows.first().ok_or_else(|| super::failure::damaged("no number"))?;
    Ok(CountedJobs {
        counted: row.try_get(0)?,
        stored: row.try_get(1)?,
    })
}
