//! Storage: files in a local folder.
//!
//! Knows no network. The providers `aws`, `gcp` and `azure` are accepted in definitions but not built in: their jobs wait
//! for a handler. Invariants: no path leads out of the root, through a link or otherwise; a file is seen complete or not
//! at all.

mod error;
mod input;
mod local;
mod local_count;
mod media;
mod result;
mod sandbox;
mod task;

use super::{Connector, Definition, Failure, LeftToHandlers, ResourceName, ServedTarget};
use crate::engine::inputs::ExpressionResolver;
use crate::engine::routing::Pattern;
use crate::model::Namespace;
use crate::resources::{FilePath, Resources, StorageEvent, StorageLocation, StorageOperation};
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;

/// One definition for each storage and environment in `resources`.
pub(super) fn definitions(resources: &Resources) -> Vec<Arc<dyn Definition>> {
    let mut all: Vec<Arc<dyn Definition>> = Vec::new();
    for (product, storage) in resources.storage.iter() {
        let events: Arc<[Event]> = storage.events.iter().map(Event::from).collect();
        for env in &storage.envs {
            all.push(Arc::new(StorageDefinition {
                name: ResourceName {
                    product: product.into(),
                    kind: "storage",
                    tag: storage.tag.clone(),
                    env: env.slug.clone(),
                },
                place: env.place.clone(),
                // Fixed now, so that a later change of the working directory does not move the files.
                base: std::env::current_dir().unwrap_or_default(),
                events: Arc::clone(&events),
            }));
        }
    }
    all
}

/// One event of a storage.
#[derive(Clone, Debug)]
struct Event {
    tag: Box<str>,
    operation: StorageOperation,
    folder: FilePath,
    max_bytes: Option<usize>,
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

/// One storage in one environment.
struct StorageDefinition {
    name: ResourceName,
    place: StorageLocation,
    base: PathBuf,
    events: Arc<[Event]>,
}

impl StorageDefinition {
    fn pattern(&self) -> Pattern {
        Pattern {
            namespace: Namespace::Storage,
            product: Some(self.name.product.clone()),
            env: Some(self.name.env.clone()),
            // Events that are not listed are uploads, so every event is served.
            target: vec![Some(self.name.tag.clone()), None],
        }
    }
}

#[async_trait]
impl Definition for StorageDefinition {
    fn name(&self) -> ResourceName {
        self.name.clone()
    }

    fn targets(&self) -> Vec<ServedTarget> {
        match self.place {
            StorageLocation::External(_) => Vec::new(),
            StorageLocation::Local(_) => vec![ServedTarget {
                pattern: self.pattern(),
                timeout: None,
            }],
        }
    }

    fn left_to_handlers(&self) -> Vec<LeftToHandlers> {
        match self.place {
            StorageLocation::External(type_name) => vec![LeftToHandlers {
                pattern: self.pattern(),
                type_name,
            }],
            StorageLocation::Local(_) => Vec::new(),
        }
    }

    async fn open(&self, expressions: &ExpressionResolver) -> Result<Arc<dyn Connector>, Failure> {
        match &self.place {
            StorageLocation::Local(folder) => {
                let root = expressions.reveal(folder.root.as_written()).await?;
                if root.is_empty() || root.contains('\0') {
                    return Err(Failure::invalid("`root` is no path of a folder"));
                }
                let root = self.base.join(root);
                Ok(local::StorageConnector::open(root, folder.create, Arc::clone(&self.events)).await)
            }
            StorageLocation::External(kind) => Err(Failure::not_built_in("storage", kind)),
        }
    }
}
