//! What an engine goes by.

use super::claim::routing::WorkerFilter;
use super::failpoint::Failpoints;
use super::inputs::{ExpressionResolver, SecretStore, SessionVerifier};
use super::maintain::lease::LeaseTimes;
use crate::resources::{OutboundRules, Resources};
use crate::store::Retention;
use std::sync::Arc;
use std::time::Duration;

/// What this process works on.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Most attempts at once.
    pub concurrency: usize,
    /// Which routes at all.
    pub filter: WorkerFilter,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            concurrency: 10,
            filter: WorkerFilter::default(),
        }
    }
}

/// How long figures over time are kept, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FigureRetention {
    /// Those of minutes.
    pub minutes: i64,
    /// Those of hours.
    pub hours: i64,
}

impl Default for FigureRetention {
    fn default() -> Self {
        const HOUR: i64 = 3_600_000;
        Self {
            minutes: 48 * HOUR,
            hours: 90 * 24 * HOUR,
        }
    }
}

/// Numbers the engine goes by.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// `None`: this process only dispatches.
    pub worker: Option<WorkerConfig>,
    /// What is kept.
    pub retention: Retention,
    /// How long figures over time are kept; `None`: nothing is counted.
    pub figures: Option<FigureRetention>,
    /// How long a silent process keeps its runs.
    pub lease: Duration,
    /// Time between two renewals.
    pub renew_interval: Duration,
    /// Time between two looks for dead processes.
    pub recover_interval: Duration,
    /// Crashes after which a run has failed.
    pub max_crashes: u32,
    /// Time is moved by hand: nothing sleeps until a due time.
    pub manual_clock: bool,
    /// Values of secrets, and the mask over them.
    pub secrets: Arc<SecretStore>,
    /// What the constructor's `resources` define.
    pub resources: Arc<Resources>,
    /// Where HTTP requests may go.
    pub outbound: OutboundRules,
    /// Resolves expressions with the secrets.
    pub expressions: Arc<ExpressionResolver>,
    /// Verifies sessions of the resources.
    pub sessions: Arc<SessionVerifier>,
    /// Panics on demand, in tests.
    pub failpoints: Failpoints,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            worker: Some(WorkerConfig::default()),
            retention: Retention::default(),
            figures: Some(FigureRetention::default()),
            lease: Duration::from_secs(10),
            renew_interval: Duration::from_secs(3),
            recover_interval: Duration::from_millis(500),
            max_crashes: 10,
            manual_clock: false,
            secrets: Arc::default(),
            resources: Arc::default(),
            outbound: OutboundRules::default(),
            expressions: Arc::default(),
            sessions: Arc::default(),
            failpoints: Failpoints::default(),
        }
    }
}

impl EngineConfig {
    pub(super) fn lease_times(&self) -> LeaseTimes {
        LeaseTimes {
            lease: self.lease,
            renew_interval: self.renew_interval,
            recover_interval: self.recover_interval,
            max_crashes: self.max_crashes,
        }
    }
}
