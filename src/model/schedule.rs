//! What a recurring job remembers of its schedule: data only; `engine::recurrence` computes with it.

use crate::clock::Millis;
use serde::{Deserialize, Serialize};

/// How the occurrences of a series are found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Five-field cron expression, read in the zone `tz`.
    Cron {
        /// The expression as the caller wrote it.
        text: Box<str>,
        /// IANA zone name.
        tz: Box<str>,
    },
    /// `anchor + k * interval` for every integer k >= 0.
    Every {
        /// ms, at least 1.
        interval: i64,
        /// The grid point with k = 0.
        anchor: Millis,
    },
}

/// What becomes of occurrences whose time passed while nothing could run them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Misfire {
    /// One run for all of them.
    #[default]
    Once,
    /// None; the series goes on at its next grid point.
    Skip,
    /// One run each, up to 1,000.
    All,
}

/// What becomes of an occurrence that is due while a run of its series has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IfRunning {
    /// It is skipped.
    #[default]
    Skip,
    /// It runs beside the other.
    Allow,
}

/// What a fixed-time cron does when its time falls into a gap of the local clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gap {
    /// Runs at the first instant after it.
    #[default]
    After,
    /// Does not run.
    Skip,
}

/// What a fixed-time cron does when its time happens twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// Runs the first time.
    #[default]
    First,
    /// Runs the second time.
    Last,
    /// Runs both times.
    Both,
}

/// `dst` of a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dst {
    /// Times that do not exist.
    pub gap: Gap,
    /// Times that exist twice.
    pub overlap: Overlap,
}

/// The schedule of a recurring job, as a store keeps it (JSON).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recurrence {
    /// Cron or interval.
    pub rule: Rule,
    /// No occurrence before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<Millis>,
    /// Most runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// No occurrence after this instant; one at it still runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_at: Option<Millis>,
    /// Daylight-saving rule of a fixed-time cron.
    #[serde(default)]
    pub dst: Dst,
    /// Late occurrences.
    #[serde(default)]
    pub misfire: Misfire,
    /// Overlapping occurrences.
    #[serde(default)]
    pub if_running: IfRunning,
    /// Fixed delay of this job behind each grid point, ms; below the `spread` the caller gave.
    #[serde(default)]
    pub offset: i64,
}

impl Recurrence {
    /// Whether a dispatch of `other` asks for the schedule this one is. Where neither names a start, both began when they
    /// were dispatched, which makes no difference.
    #[must_use]
    pub fn is_same_schedule(&self, other: &Self) -> bool {
        let rule = match (&self.rule, &other.rule) {
            (Rule::Every { interval: one, .. }, Rule::Every { interval: another, .. }) => one == another,
            (one, another) => one == another,
        };
        let plain = |recurrence: &Self| Self {
            rule: self.rule.clone(),
            ..recurrence.clone()
        };
        rule && plain(self) == plain(other)
    }

    /// A number that is the same for two dispatches of the same schedule and input, whenever they were made.
    #[must_use]
    pub fn fingerprint(&self, input: &str) -> i64 {
        let (kind, rule, zone) = match &self.rule {
            Rule::Cron { text, tz } => ("cron", text.to_string(), tz.as_ref()),
            Rule::Every { interval, .. } => ("every", interval.to_string(), ""),
        };
        let bounds = format!("{:?} {:?} {:?}", self.start_at, self.limit, self.end_at);
        let hash = [kind, &rule, zone, &bounds, input]
            .iter()
            .fold(FNV1A_OFFSET_BASIS, |hash, part| fnv1a(fnv1a(hash, part), "\0"));
        i64::from_ne_bytes(hash.to_ne_bytes())
    }
}

/// Start of an FNV-1a hash, which is the same in every process and version.
pub const FNV1A_OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// Continues an FNV-1a hash with `text`.
#[must_use]
pub fn fnv1a(hash: u64, text: &str) -> u64 {
    text.bytes().fold(hash, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
