//! The schedule of a recurring job, as plain data; `engine::claim::recurrence` computes occurrences from it.

use crate::clock::Millis;
use serde::{Deserialize, Serialize};

/// How the occurrences of a series are computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// A five-field cron expression, evaluated in the zone `tz`.
    Cron {
        /// The expression as the caller wrote it.
        text: Box<str>,
        /// IANA zone name.
        tz: Box<str>,
    },
    /// `anchor + k * interval` for every integer k >= 0.
    Every {
        /// Interval in ms, at least 1.
        interval: i64,
        /// The occurrence with k = 0, ms since the epoch.
        anchor: Millis,
    },
    /// `anchor + k * duration` for every integer k >= 0, in steps of the calendar of the zone `tz`.
    Interval {
        /// An ISO 8601 duration of years, months, weeks and days, as the caller wrote it.
        duration: Box<str>,
        /// IANA zone name.
        tz: Box<str>,
        /// The occurrence with k = 0, ms since the epoch.
        anchor: Millis,
    },
}

impl Rule {
    /// The occurrence that all others are counted from, ms since the epoch; a cron has none.
    #[must_use]
    pub const fn anchor(&self) -> Option<Millis> {
        match self {
            Self::Cron { .. } => None,
            Self::Every { anchor, .. } | Self::Interval { anchor, .. } => Some(*anchor),
        }
    }
}

/// Local dates on which a series does not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptedDates {
    /// IANA name of the zone whose dates they are.
    pub tz: Box<str>,
    /// Days since 1970-01-01, ascending, each once.
    pub days: Box<[i32]>,
}

/// What happens to occurrences that were missed because no process could run them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Misfire {
    /// One run for all of them.
    #[default]
    Once,
    /// No run; the series continues with its next occurrence.
    Skip,
    /// One run for each of the last 1,000.
    All,
}

/// What happens to an occurrence that is due while a run of its series has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IfRunning {
    /// The occurrence is skipped.
    #[default]
    Skip,
    /// The runs overlap.
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

/// What a fixed-time cron does when its local time occurs twice.
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

/// The `dst` option of a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dst {
    /// For local times that do not exist.
    pub gap: Gap,
    /// For local times that occur twice.
    pub overlap: Overlap,
}

/// Lateness beyond which an occurrence is missed when its schedule does not say, ms.
pub const DEFAULT_GRACE_MS: i64 = 60_000;

/// The schedule of a recurring job, as a store keeps it (JSON).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recurrence {
    /// Cron, interval or calendar steps.
    pub rule: Rule,
    /// Zone that was named for a rule that needs none, for one that takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tz: Option<Box<str>>,
    /// No occurrence before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<Millis>,
    /// Maximum number of runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// No occurrence after this instant; one at exactly this instant still runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_at: Option<Millis>,
    /// Dates without occurrences that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<ExceptedDates>,
    /// Daylight-saving policy of a fixed-time cron and of calendar steps.
    #[serde(default)]
    pub dst: Dst,
    /// What happens to missed occurrences.
    #[serde(default)]
    pub misfire: Misfire,
    /// Lateness beyond which an occurrence is missed, ms; `None`: [`DEFAULT_GRACE_MS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<i64>,
    /// What happens to occurrences that are due while a run has not ended.
    #[serde(default)]
    pub if_running: IfRunning,
    /// Fixed delay of this job after each occurrence, ms; less than the caller's `spread`.
    #[serde(default)]
    pub offset: i64,
    /// The caller's `spread`, ms; 0 also where a version stored the schedule that kept the offset alone.
    #[serde(default)]
    pub spread: i64,
}

impl Recurrence {
    /// The schedule with all options as they are by default.
    #[must_use]
    pub const fn new(rule: Rule) -> Self {
        Self {
            rule,
            tz: None,
            start_at: None,
            limit: None,
            end_at: None,
            except: None,
            dst: Dst {
                gap: Gap::After,
                overlap: Overlap::First,
            },
            misfire: Misfire::Once,
            grace: None,
            if_running: IfRunning::Skip,
            offset: 0,
            spread: 0,
        }
    }

    /// Whether `other` is the same schedule. The anchor of an interval without a `start_at` does not count: it is the time of
    /// the dispatch, which differs from dispatch to dispatch. One whose `start_at` is that anchor is the same as well.
    #[must_use]
    pub fn is_same_schedule(&self, other: &Self) -> bool {
        let rule = match (&self.rule, &other.rule) {
            (Rule::Every { interval: one, .. }, Rule::Every { interval: another, .. }) => one == another,
            (
                Rule::Interval { duration, tz, .. },
                Rule::Interval {
                    duration: another,
                    tz: zone,
                    ..
                },
            ) => duration == another && tz == zone,
            (one, another) => one == another,
        };
        let anchor = self.rule.anchor();
        let start = self.start_at == other.start_at || (anchor.is_some() && anchor == other.rule.anchor());
        let knows_spread = self.spread > 0 || self.offset == 0;
        let alike = |recurrence: &Self| Self {
            rule: self.rule.clone(),
            tz: None,
            start_at: self.start_at,
            spread: if knows_spread { recurrence.spread } else { 0 },
            ..recurrence.clone()
        };
        rule && start && alike(self) == alike(other)
    }

    /// A hash of schedule and input that does not depend on the time of the dispatch.
    #[must_use]
    pub fn fingerprint(&self, input: &str) -> i64 {
        let (kind, rule, zone) = match &self.rule {
            Rule::Cron { text, tz } => ("cron", text.to_string(), tz.as_ref()),
            Rule::Every { interval, .. } => ("every", interval.to_string(), ""),
            Rule::Interval { duration, tz, .. } => ("interval", duration.to_string(), tz.as_ref()),
        };
        let bounds = format!("{:?} {:?} {:?}", self.start_at, self.limit, self.end_at);
        let hash = [kind, &rule, zone, &bounds, input]
            .iter()
            .fold(FNV1A_OFFSET_BASIS, |hash, part| fnv1a(fnv1a(hash, part), "\0"));
        i64::from_ne_bytes(hash.to_ne_bytes())
    }
}

/// The initial value of an FNV-1a hash, which is the same in every process and version.
pub const FNV1A_OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// Continues an FNV-1a hash with `text`.
#[must_use]
pub fn fnv1a(hash: u64, text: &str) -> u64 {
    text.bytes().fold(hash, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monthly(anchor: Millis, start_at: Option<Millis>) -> Recurrence {
        Recurrence {
            start_at,
            ..Recurrence::new(Rule::Interval {
                duration: "P1M".into(),
                tz: "UTC".into(),
                anchor,
            })
        }
    }

    #[test]
    fn an_interval_without_a_start_is_the_same_whenever_it_is_dispatched() {
        let known = monthly(1_000, None);
        assert!(known.is_same_schedule(&monthly(2_000, None)));
        // As it is shown, and dispatched again.
        assert!(known.is_same_schedule(&monthly(1_000, Some(1_000))));
        assert!(!known.is_same_schedule(&monthly(2_000, Some(2_000))));
        assert!(!monthly(1_000, Some(1_000)).is_same_schedule(&monthly(2_000, Some(2_000))));
    }

    #[test]
    fn excepted_dates_and_the_duration_make_another_schedule() {
        let known = monthly(0, None);
        let except = Recurrence {
            except: Some(ExceptedDates {
                tz: "UTC".into(),
                days: [20_812].into(),
            }),
            ..known.clone()
        };
        assert!(!known.is_same_schedule(&except));
        let yearly = Recurrence::new(Rule::Interval {
            duration: "P1Y".into(),
            tz: "UTC".into(),
            anchor: 0,
        });
        assert!(!known.is_same_schedule(&yearly));
    }

    #[test]
    fn a_spread_that_an_older_version_did_not_store_makes_no_other_schedule() {
        let with = |offset, spread| Recurrence {
            offset,
            spread,
            ..monthly(0, None)
        };
        assert!(with(5, 0).is_same_schedule(&with(5, 60)));
        assert!(!with(5, 0).is_same_schedule(&with(6, 60)));
        assert!(!with(5, 60).is_same_schedule(&with(5, 90)));
        assert!(!with(0, 0).is_same_schedule(&with(0, 60)));
    }
}
