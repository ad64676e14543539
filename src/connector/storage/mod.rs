//! Storage: files in a local folder, or in a bucket of an object store.
//!
//! The way of a job: [`task`] says what it is to do, by its event and its [`input`]; [`local`] or [`cloud`] does it; [`result`] is
//! the same for all. Invariants: no path leads out of the root, through a link or otherwise; a file is seen complete or not at all.

#[cfg(feature = "cloud-storage")]
mod cloud;
mod content;
mod error;
mod event;
mod input;
mod local;
mod local_count;
mod media;
mod operand;
mod result;
mod sandbox;
mod staged_file;
mod task;

use super::{Connector, Definition, Failure, LeftToHandlers, ResourceName, ServedTarget};
use crate::engine::inputs::ExpressionResolver;
use crate::engine::routing::Pattern;
use crate::model::Namespace;
use crate::resources::{FileSources, OutboundRules, Resources, StorageLocation};
use async_trait::async_trait;
use content::Sources;
use event::Event;
use std::path::PathBuf;
use std::sync::Arc;

/// Timeout of attempts of jobs that set none, of files that go over a network, ms.
const CLOUD_TIMEOUT_MS: i64 = 600_000;

/// One definition for each storage and environment in `resources`.
pub(super) fn definitions(resources: &Resources, outbound: &OutboundRules) -> Vec<Arc<dyn Definition>> {
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
                sources: env.sources.clone(),
                // Fixed now, so that a later change of the working directory does not move the files.
                base: std::env::current_dir().unwrap_or_default(),
                events: Arc::clone(&events),
                outbound: outbound.clone(),
            }));
        }
    }
    all
}

/// One storage in one environment.
struct StorageDefinition {
    name: ResourceName,
    place: StorageLocation,
    sources: FileSources,
    base: PathBuf,
    events: Arc<[Event]>,
    outbound: OutboundRules,
}

impl StorageDefinition {
    /// Whether a connector for its type is part of this build.
    fn is_built_in(&self) -> bool {
        matches!(self.place, StorageLocation::Local(_)) || cfg!(feature = "cloud-storage")
    }

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
        if !self.is_built_in() {
            return Vec::new();
        }
        let timeout = match self.place {
            StorageLocation::Local(_) => None,
            _ => Some(CLOUD_TIMEOUT_MS),
        };
        vec![ServedTarget {
            pattern: self.pattern(),
            timeout,
        }]
    }

    fn left_to_handlers(&self) -> Vec<LeftToHandlers> {
        if self.is_built_in() {
            return Vec::new();
        }
        vec![LeftToHandlers {
            pattern: self.pattern(),
            type_name: self.place.type_name(),
        }]
    }

    async fn open(&self, expressions: &ExpressionResolver) -> Result<Arc<dyn Connector>, Failure> {
        let sources = Sources::open(&self.sources, &self.outbound, &self.base, expressions).await?;
        match &self.place {
            StorageLocation::Local(folder) => {
                let root = expressions.reveal(folder.root.as_written()).await?;
                if root.is_empty() || root.contains('\0') {
                    return Err(Failure::invalid("`root` is no path of a folder"));
                }
                let root = self.base.join(root);
                Ok(local::StorageConnector::open(root, folder.create, (Arc::clone(&self.events), sources)).await)
            }
            #[cfg(feature = "cloud-storage")]
            place => {
                let events = Arc::clone(&self.events);
                Ok(cloud::CloudConnector::open(place, &self.outbound, expressions, (events, sources)).await?)
            }
            #[cfg(not(feature = "cloud-storage"))]
            place => Err(Failure::not_built_in("storage", place.type_name())),
        }
    }
}
