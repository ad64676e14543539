//! What expressions can refer to, apart from the input they stand in.

use crate::clock::Millis;
use crate::cron::Zone;

/// Facts about the run.
#[derive(Clone, Copy, Debug)]
pub struct Variables<'a> {
    /// Runs of the job before this one.
    pub execution_count: i64,
    /// Number of the attempt.
    pub attempt: u32,
    /// The job's id.
    pub job_id: &'a str,
    /// When the run was due, ms.
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
    /// It has one that nobody here can check; says why.
    Unverified(&'a str),
    /// JSON text of the claims.
    Known(&'a str),
}

/// Where the values of secrets come from.
pub trait SecretValues: Sync {
    /// The value of a secret, if it may be used here and there is one; else why not.
    ///
    /// # Errors
    /// Why it is missing, in words that hold no secret.
    fn value_of(&self, key: &str) -> Result<&str, String>;
}

/// What surrounds a text of a feature that is declared as data.
#[derive(Clone, Copy, Debug)]
pub struct FeatureScope<'a> {
    /// JSON text of the feature's input: `$Input{…}` refers to it.
    pub input: &'a str,
    /// JSON text of what its events have yielded, by sequence and event: `$Sequence{…}` refers to it.
    pub results: &'a str,
}

/// What expressions can refer to.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The time, ms.
    pub now: Millis,
    /// Zone of calendar arithmetic, of formatting, and of dates without an offset.
    pub zone: Zone,
    /// The session's data.
    pub claims: Claims<'a>,
    /// Facts about the run.
    pub variables: Variables<'a>,
    /// Set for a text of a feature; else the text is an input, and `$Input{…}` refers to itself.
    pub feature: Option<FeatureScope<'a>>,
    /// Secrets.
    pub secrets: &'a dyn SecretValues,
}
