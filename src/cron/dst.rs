//! What a fixed-time cron does when the clocks change.
//!
//! Plain choices without behaviour; `search` carries them out. They never apply to interval
//! crons, which follow real time.

/// The daylight-saving policy of a fixed-time cron. The default is that of Vixie cron: a run
/// missed in a gap happens right after it, a time that occurs twice counts the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DstPolicy {
    /// What happens to a run whose local time is skipped.
    pub gap: GapPolicy,
    /// What happens to a run whose local time occurs twice.
    pub overlap: OverlapPolicy,
}

/// What happens to a run whose local time falls into a gap of less than three hours. Runs in a
/// longer gap, a calendar change rather than daylight saving, are always skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GapPolicy {
    /// Run once, at the first instant after the gap.
    #[default]
    After,
    /// Do not run.
    Skip,
}

/// What happens to a run whose local time occurs twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OverlapPolicy {
    /// Run at the first of the two instants.
    #[default]
    First,
    /// Run at the last of the two instants.
    Last,
    /// Run at both.
    Both,
}
