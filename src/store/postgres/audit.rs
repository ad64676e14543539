//! The audit log.

use super::PostgresStore;
use super::failure::DbResult;
use super::param::rows;
use super::pool::{WriteOptions, with_session};
use super::session::Session;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{AuditEntry, AuditStore, MAX_AUDIT_ENTRIES};
use async_trait::async_trait;
use tokio_postgres::Row;

const INSERT_AUDIT: &str = include_str!("sql/insert_audit.sql");
const DELETE_OLD_AUDIT: &str = include_str!("sql/delete_old_audit.sql");
const SELECT_AUDIT: &str = include_str!("sql/select_audit.sql");

#[async_trait]
impl AuditStore for PostgresStore {
    async fn add_audit(&self, entry: AuditEntry) -> Result<()> {
        let inner = self.inner_if_open()?;
        with_session!(inner.general, WriteOptions::DEFAULT, |session| add(session, &entry));
        Ok(())
    }

    async fn audit(&self, before: Option<(Millis, Box<str>)>, limit: usize) -> Result<Vec<AuditEntry>> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| page(
            session,
            before.as_ref(),
            limit
        )))
    }
}

async fn add(session: &Session, entry: &AuditEntry) -> DbResult<()> {
    let tx = Tx::begin(session).await?;
    let AuditEntry {
        at,
        id,
        who,
        action,
        detail,
    } = entry;
    session.execute(INSERT_AUDIT, &[at, id, who, action, detail]).await?;
    session.execute(DELETE_OLD_AUDIT, &[&rows(MAX_AUDIT_ENTRIES)]).await?;
    tx.commit().await?;
    Ok(())
}

async fn page(session: &Session, before: Option<&(Millis, Box<str>)>, limit: usize) -> DbResult<Vec<AuditEntry>> {
    let (at, id) = before.map_or((Millis::MAX, ""), |(at, id)| (*at, &**id));
    let found = session.query(SELECT_AUDIT, &[&at, &id, &rows(limit)]).await?;
    found.iter().map(entry).collect()
}

fn entry(row: &Row) -> DbResult<AuditEntry> {
    Ok(AuditEntry {
        at: row.try_get(0)?,
        id: row.try_get(1)?,
        who: row.try_get(2)?,
        action: row.try_get(3)?,
        detail: row.try_get(4)?,
    })
}
