//! Brings stored next runs up to date when the package's time zone database is newer than the one they were computed
//! with: governments change their clocks, sometimes weeks ahead.

use super::all_series::advance_all;
use super::timetable::Timetable;
use crate::cron::tzdb_version;
use crate::engine::context::Context;
use crate::engine::handler::Level;
use crate::error::Result;
use crate::model::{Recurrence, Rule};
use crate::store::{SeriesAdvance, SeriesSnapshot};

/// The store's mark that names the version.
const TZDB_MARK: &str = "tzdb";

/// Recomputes future occurrences of crons, if the store has seen only older data. An occurrence that is due already stays.
pub async fn refresh_next_runs(context: &Context) -> Result<()> {
    let known = context.store.metadata(TZDB_MARK).await?;
    // Versions are a year and a letter, so they sort as text. Of two versions in use at once, the newer one counts.
    if known.as_deref().is_some_and(|known| known >= tzdb_version()) {
        return Ok(());
    }
    if let Some(known) = known {
        let moved = advance_all(context, corrected_advance).await?;
        let message = format!(
            "time zone data went from {known} to {}; {moved} next runs moved",
            tzdb_version()
        );
        context.log(Level::Info, &message);
    }
    context.store.set_metadata(TZDB_MARK, tzdb_version()).await
}

/// The change a series needs, if any: the first point of the new data behind the last one that is accounted for. One that is due
/// already stays, and so does a schedule that cannot be computed, which the claimer will report.
fn corrected_advance(series: &SeriesSnapshot, now: i64) -> Option<SeriesAdvance> {
    let recurrence: Recurrence = serde_json::from_str(&series.recurrence).ok()?;
    if series.next_at.is_none_or(|at| at <= now) || matches!(recurrence.rule, Rule::Every { .. }) {
        return None;
    }
    let next_at = Timetable::compile(&recurrence)
        .ok()?
        .after(series.accounted_to.unwrap_or(now));
    (next_at != series.next_at).then(|| SeriesAdvance {
        next_at,
        ..SeriesAdvance::unchanged(series)
    })
}
