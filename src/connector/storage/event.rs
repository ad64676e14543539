//! Events of a storage: what their jobs do, and where. Plain data.

use crate::resources::{FilePath, StorageEvent, StorageOperation};

/// One event of a storage.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Its name.
    pub tag: Box<str>,
    /// What its jobs do.
    pub operation: StorageOperation,
    /// The folder that they keep to.
    pub folder: FilePath,
    /// Most bytes of an upload, if it says so.
    pub max_bytes: Option<u64>,
}

impl From<&StorageEvent> for Event {
    fn from(event: &StorageEvent) -> Self {
        Self {
            tag: event.tag.clone(),
            operation: event.operation,
            // Checked when the definition was read.
            folder: FilePath::folder(event.path.as_deref().unwrap_or_default()).unwrap_or_default(),
            max_bytes: event.max_bytes,
        }
    }
}
