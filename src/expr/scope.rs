//! What expressions can refer to, apart from the input that contains them.

use crate::clock::Millis;
use crate::cron::Zone;

/// Facts about the run.
#[derive(Clone, Copy, Debug)]
pub struct Variables<'a> {
    /// Number of runs of the job before this one.
    pub execution_count: i64,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// The job's id.
    pub job_id: &'a str,
    /// When the run was due, ms since the epoch.
    pub scheduled_at: Millis,
    /// The job's product.
    pub product: &'a str,
    /// The job's environment.
    pub env: &'a str,
}

/// The data of the job's session.
#[derive(Clone, Copy, Debug)]
pub enum Claims<'a> {
    /// The job has no session.
    Absent,
    /// It has one that cannot be verified; holds the reason.
    Unverified(&'a str),
    /// The claims of the verified token, as JSON text.
    Known(&'a str),
}

/// The source of secret values.
pub trait SecretValues: Sync {
    /// The value of a secret.
    ///
    /// # Errors
    /// Why there is none or it may not be used here, in words that contain no secret.
    fn value_of(&self, key: &str) -> Result<&str, String>;
}

/// What the texts of a declared feature can refer to.
#[derive(Clone, Copy, Debug)]
pub struct FeatureScope<'a> {
    /// JSON text of the feature's input: `$Input{…}` refers to it.
    pub input: &'a str,
    /// JSON text of the results of its events, by sequence and event: `$Sequence{…}` refers to it.
    pub results: &'a str,
}

/// What expressions can refer to.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The value of `$Now()`, ms since the epoch.
    pub now: Millis,
    /// Time zone for calendar arithmetic, formatting, and dates without an offset.
    pub zone: Zone,
    /// The session's data.
    pub claims: Claims<'a>,
    /// Facts about the run.
    pub variables: Variables<'a>,
    /// Set for a text of a feature. Otherwise the text is a job's input, and `$Input{…}` refers to that text itself.
    pub feature: Option<FeatureScope<'a>>,
    /// Secrets.
    pub secrets: &'a dyn SecretValues,
}
