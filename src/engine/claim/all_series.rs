//! Goes through all series of the store.

use crate::clock::Millis;
use crate::engine::context::Context;
use crate::error::Result;
use crate::store::{JobSeq, SeriesAdvance, SeriesSnapshot};

/// Series looked at in one step.
const PAGE_SERIES: usize = 500;

/// Applies what `plan` makes of each series with an occurrence to come, by the time it is given; returns how many changed.
pub(super) async fn advance_all(
    context: &Context,
    plan: impl Fn(&SeriesSnapshot, Millis) -> Option<SeriesAdvance> + Sync,
) -> Result<usize> {
    let (mut after, mut changed) = (JobSeq::MIN, 0);
    while let Some(page) = next_page(context, &mut after).await? {
        let now = context.now();
        let advances: Vec<SeriesAdvance> = page.iter().filter_map(|series| plan(series, now)).collect();
        if !advances.is_empty() {
            changed += context.store.advance(now, advances).await?;
        }
    }
    Ok(changed)
}

/// Series with a number above `after`, which becomes that of the last of them; `None`: there are no more.
pub(super) async fn next_page(context: &Context, after: &mut JobSeq) -> Result<Option<Vec<SeriesSnapshot>>> {
    let page = context.store.series_after(*after, PAGE_SERIES).await?;
    let Some(last) = page.last() else { return Ok(None) };
    *after = last.job;
    Ok(Some(page))
}
