//! The audit log.

use super::SqliteStore;
use super::run_rows::rows;
use super::tx::Tx;
use super::write_operation::WriteOptions;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{AuditEntry, AuditStore, MAX_AUDIT_ENTRIES};
use async_trait::async_trait;
use rusqlite::{Connection, Row};

const INSERT_AUDIT: &str = include_str!("sql/insert_audit.sql");
const DELETE_OLD_AUDIT: &str = include_str!("sql/delete_old_audit.sql");
const SELECT_AUDIT: &str = include_str!("sql/select_audit.sql");

#[async_trait]
impl AuditStore for SqliteStore {
    async fn add_audit(&self, entry: AuditEntry) -> Result<()> {
        self.write(WriteOptions::synced(2), move |tx| add(tx, &entry)).await
    }

    async fn audit(&self, before: Option<(Millis, Box<str>)>, limit: usize) -> Result<Vec<AuditEntry>> {
        self.read(move |connection| page(connection, before.as_ref(), limit))
            .await
    }
}

fn add(tx: &Tx<'_>, entry: &AuditEntry) -> Result<()> {
    let row = (entry.at, &*entry.id, &*entry.who, &*entry.action, &*entry.detail);
    tx.connection.prepare_cached(INSERT_AUDIT)?.execute(row)?;
    let mut delete = tx.connection.prepare_cached(DELETE_OLD_AUDIT)?;
    delete.execute([rows(MAX_AUDIT_ENTRIES)])?;
    Ok(())
}

fn page(connection: &Connection, before: Option<&(Millis, Box<str>)>, limit: usize) -> Result<Vec<AuditEntry>> {
    let (at, id) = before.map_or((Millis::MAX, ""), |(at, id)| (*at, &**id));
    let mut select = connection.prepare_cached(SELECT_AUDIT)?;
    let found = select.query_map((at, id, rows(limit)), entry)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        at: row.get(0)?,
        id: row.get(1)?,
        who: row.get(2)?,
        action: row.get(3)?,
        detail: row.get(4)?,
    })
}
