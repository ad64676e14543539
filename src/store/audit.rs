//! The audit log: what somebody changed, who that was, and when.

use crate::clock::Millis;
use crate::error::Result;
use async_trait::async_trait;

/// Entries that are kept, the newest.
pub const MAX_AUDIT_ENTRIES: usize = 10_000;

/// A change on request. It holds no payload of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it was asked for.
    pub at: Millis,
    /// Tells entries of one ms apart.
    pub id: Box<str>,
    /// Who asked for it.
    pub who: Box<str>,
    /// What was asked for.
    pub action: Box<str>,
    /// JSON text of what it was asked of.
    pub detail: Box<str>,
}

/// Keeps an audit log.
#[async_trait]
pub trait AuditStore {
    /// Adds an entry, once however often it is added; those beyond [`MAX_AUDIT_ENTRIES`] are deleted.
    async fn add_audit(&self, entry: AuditEntry) -> Result<()>;

    /// The newest entries from behind the one with this time and id on, newest first.
    async fn audit(&self, before: Option<(Millis, Box<str>)>, limit: usize) -> Result<Vec<AuditEntry>>;
}
