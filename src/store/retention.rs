//! How long ended work is kept.

/// How long ended work is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionLimit {
    /// ms after its end; `None` = for ever.
    pub age: Option<i64>,
    /// At most so many; `None` = any number.
    pub count: Option<i64>,
}

/// `retention` of the constructor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Completed jobs.
    pub completed: RetentionLimit,
    /// Failed jobs.
    pub failed: RetentionLimit,
    /// Cancelled jobs.
    pub cancelled: RetentionLimit,
    /// Runs of a recurring job that goes on.
    pub runs: RetentionLimit,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: i64 = 86_400_000;
        let month = RetentionLimit {
            age: Some(30 * DAY),
            count: None,
        };
        Self {
            completed: RetentionLimit {
                age: Some(7 * DAY),
                count: None,
            },
            failed: month,
            cancelled: month,
            runs: RetentionLimit {
                age: Some(7 * DAY),
                count: Some(1_000),
            },
        }
    }
}
