//! Cron expressions: what they mean and when they fire next.
//!
//! A pure module: an expression, a time zone, a daylight-saving policy and an instant go in, the
//! next instant comes out; `calendar_steps` does the same for steps such as `P1M`. It must not know the clock, jobs, stores or JavaScript; only `zone`
//! knows where time zone data comes from.
//!
//! Invariant: `next_after(t)` is later than `t`, on a whole minute, and depends on its arguments
//! and the bundled time zone database alone.
//!
//! ```
//! use ductape::cron::{CronExpr, DstPolicy, Zone};
//!
//! let nine = CronExpr::parse("0 9 * * MON-FRI")?;
//! let zone = Zone::get("America/New_York")?;
//! let next = nine.next_after(1_767_225_600_000, &zone, DstPolicy::default());
//! assert_eq!(next.map(|at| zone.to_iso(at)).as_deref(), Some("2026-01-01T09:00:00-05:00"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod calendar;
mod calendar_steps;
mod days;
mod dst;
mod error;
mod expr;
mod field;
mod item;
mod item_errors;
mod local_days;
mod nearest;
mod parse;
mod search;
mod spans;
mod zone;

/// The latest instant that an ECMAScript date can hold, in milliseconds since 1970; its negative is the earliest.
pub const MAX_INSTANT_MS: i64 = 8_640_000_000_000_000;

pub use calendar_steps::{CalendarDuration, CalendarSteps, InvalidDuration};
pub use dst::{DstPolicy, GapPolicy, OverlapPolicy};
pub use error::CronError;
pub use expr::CronExpr;
pub use field::Field;
pub use local_days::{day_text, parse_day};
pub use zone::{InvalidDateTime, UnknownZone, Zone, tzdb_version};
