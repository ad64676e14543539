//! Notices that the wall clock was set, and has the series planned anew that a wrong clock has moved.
//!
//! The time of each round of claiming comes from here, so that no series is planned by a clock that has just jumped before that is
//! dealt with. The store remembers the present segment of the machine's clock: a jump is seen across a restart of the process, if
//! the machine was not restarted as well. A server's clock is watched only while the process works: its difference to this
//! machine's boot time says nothing to others.
//!
//! Invariant: a jump counts as dealt with, in memory and in the store, only once all series have been looked at.

use super::all_series::next_page;
use super::series_changes;
use crate::clock::{ClockWatch, Jump, Micros, Millis, Segment, boot_clock_id};
use crate::engine::context::Context;
use crate::engine::handler::Level;
use crate::engine::store_time::length;
use crate::error::Result;
use crate::store::JobSeq;
use tokio::sync::Mutex;

/// The store's mark that says which segment of the clock it was used in last.
const CLOCK_MARK: &str = "clock";

/// Watches the clock for one engine.
pub struct ClockJumps {
    context: Context,
    watch: Mutex<Option<ClockWatch>>,
}

impl ClockJumps {
    /// Watches nothing yet.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self {
            context,
            watch: Mutex::default(),
        }
    }

    /// Looks what has become of the clock since the store was used last. Series are planned anew in any case: the clock may have
    /// been put right while nobody was there who could have seen it.
    ///
    /// # Errors
    /// What the store says.
    pub async fn begin(&self) -> Result<()> {
        let Some(reading) = self.context.clock.reading() else {
            return Ok(());
        };
        let mut watch = self.watch.lock().await;
        let mark = self.mark().await?;
        let known = mark
            .as_ref()
            .filter(|mark| boot_clock_id().is_some_and(|id| id == mark.boot_clock));
        let mut found = known.map(|mark| ClockWatch::within(mark.segment, reading));
        if let Some(jump) = found.as_mut().and_then(|found| found.look(reading)) {
            self.deal_with(jump).await?;
            found = None;
        } else {
            let segment_start = mark.as_ref().map_or(reading.now(), |mark| mark.segment.start);
            replan(&self.context, segment_start).await?;
        }
        let resumed = found.is_some();
        let present = watch.insert(found.unwrap_or_else(|| ClockWatch::new(reading)));
        if !resumed {
            self.set_mark(present.segment()).await?;
        }
        Ok(())
    }

    /// Wall time, after what a jump of the clock asks for has been done.
    ///
    /// # Errors
    /// What the store says.
    pub async fn now(&self) -> Result<Millis> {
        let Some(reading) = self.context.clock.reading() else {
            return Ok(self.context.now());
        };
        let mut watch = self.watch.lock().await;
        let watch = watch.get_or_insert_with(|| ClockWatch::new(reading));
        if let Some(jump) = watch.look(reading) {
            self.deal_with(jump).await?;
            *watch = ClockWatch::new(reading);
            self.set_mark(watch.segment()).await?;
        }
        Ok(reading.now())
    }

    async fn deal_with(&self, jump: Jump) -> Result<()> {
        let replanned = replan(&self.context, jump.segment_start).await?;
        let whose = if self.is_server() {
            "the database server"
        } else {
            "this machine"
        };
        let by = length(jump.to - jump.from);
        let message = if jump.is_backwards() {
            format!("the clock of {whose} was put back by {by}: {replanned} recurring jobs are planned anew")
        } else {
            format!("the clock of {whose} went ahead by {by}: what fell due meanwhile counts as late or missed")
        };
        self.context.log(Level::Warn, &message);
        Ok(())
    }

    /// Whether the clock is one whose difference to boot time other processes know nothing of.
    fn is_server(&self) -> bool {
        let clock = self.context.clock.store_clock();
        clock.is_some_and(crate::clock::StoreClock::follows_store)
    }

    async fn mark(&self) -> Result<Option<ClockMark>> {
        if self.is_server() {
            return Ok(None);
        }
        let found = self.context.store.metadata(CLOCK_MARK).await?;
        Ok(found.as_deref().and_then(ClockMark::read))
    }

    async fn set_mark(&self, segment: Segment) -> Result<()> {
        if self.is_server() {
            return Ok(());
        }
        let Some(boot_clock) = boot_clock_id() else {
            return Ok(());
        };
        let mark = ClockMark { boot_clock, segment };
        self.context.store.set_metadata(CLOCK_MARK, &mark.to_text()).await
    }
}

/// A segment of the clock, and which boot time it was seen by.
#[derive(Debug, PartialEq, Eq)]
struct ClockMark {
    boot_clock: String,
    segment: Segment,
}

impl ClockMark {
    /// `None`: not as this version writes it.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let boot_clock = parts.next()?.to_owned();
        let start: Millis = parts.next()?.parse().ok()?;
        let difference: Micros = parts.next()?.parse().ok()?;
        let segment = Segment { start, difference };
        Some(Self { boot_clock, segment })
    }

    fn to_text(&self) -> String {
        format!("{} {} {}", self.boot_clock, self.segment.start, self.segment.difference)
    }
}

/// Most recorded gaps of a series that are looked at, newest first; retention keeps no more unless it is told to.
const MAX_GAPS: usize = 1_000;

/// Plans all series anew after the clock has, or may have, been put back from a segment that began at `segment_start`. Returns
/// how many changed.
async fn replan(context: &Context, segment_start: Millis) -> Result<usize> {
    let (mut after, mut changed) = (JobSeq::MIN, 0);
    while let Some(page) = next_page(context, &mut after).await? {
        let now = context.now();
        let mut advances = Vec::new();
        for series in page.iter().filter(|series| series_changes::is_ahead(series, now)) {
            // What changes meanwhile makes the advance void.
            let history = context.store.history(&series.id, MAX_GAPS).await?;
            let gaps = history.map_or_else(Vec::new, |history| history.gaps);
            advances.extend(series_changes::replanned(series, &gaps, now, segment_start));
        }
        if !advances.is_empty() {
            changed += context.store.advance(now, advances).await?;
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let segment = Segment {
            start: -1,
            difference: 1_700_000_000_000_000,
        };
        let boot_clock = boot_clock_id().unwrap_or_default();
        let mark = ClockMark { boot_clock, segment };
        assert_eq!(ClockMark::read(&mark.to_text()), Some(mark));
        assert_eq!(ClockMark::read("what another version writes"), None);
        assert_eq!(ClockMark::read(""), None);
    }
}
