//! Notices that the wall clock was set, and has the series planned anew that a wrong clock has moved; what waits for a next attempt
//! by it is brought forward.
//!
//! The time of each round of claiming comes from here, so that no series is planned by a clock that has just jumped before that is
//! dealt with. The store remembers the present segment of the clock. By that a jump of the machine's clock is seen across a restart
//! of the process. When the machine was restarted as well, and of a server's clock, whose difference to this machine's boot time
//! says nothing to others, that it was put back is seen at least when the segment began later than now.
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
/// What stands in it for a boot time that says nothing to others.
const NO_BOOT_CLOCK: &str = "-";

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
        let mark = self.context.store.metadata(CLOCK_MARK).await?;
        let mark = mark.as_deref().and_then(ClockMark::read);
        let mut resumed = None;
        let jump = match &mark {
            Some(mark) if self.boot_clock().is_some_and(|clock| clock == mark.boot_clock) => {
                let watch = resumed.insert(ClockWatch::within(mark.segment, reading));
                watch.look(reading)
            }
            Some(mark) => Jump::back_before(&mark.segment, reading),
            None => None,
        };
        if let Some(jump) = jump {
            self.deal_with(jump).await?;
        } else {
            let segment_start = mark.map_or(reading.now(), |mark| mark.segment.start);
            replan(&self.context, segment_start).await?;
        }
        match resumed.filter(|_| jump.is_none()) {
            Some(resumed) => *watch = Some(resumed),
            None => self.set_mark(watch.insert(ClockWatch::new(reading)).segment()).await?,
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
        let by = jump.from.saturating_sub(jump.to).max(0);
        let retimed = self.context.store.retime_waiting(jump.to, by).await?;
        let whose = if self.is_server() {
            "the database server"
        } else {
            "this machine"
        };
        let by = length(jump.to - jump.from);
        let message = if jump.is_backwards() {
            format!(
                "the clock of {whose} was put back by {by}: {replanned} recurring jobs are planned anew, {retimed} runs wait anew \
                 for their next attempt"
            )
        } else {
            format!("the clock of {whose} went ahead by {by}: what fell due meanwhile counts as late or missed")
        };
        self.context.log(Level::Warn, &message);
        Ok(())
    }

    fn is_server(&self) -> bool {
        let clock = self.context.clock.store_clock();
        clock.is_some_and(crate::clock::StoreClock::follows_store)
    }

    /// Identifies the boot time that segments are seen by, if others see it, too.
    fn boot_clock(&self) -> Option<String> {
        boot_clock_id().filter(|_| !self.is_server())
    }

    async fn set_mark(&self, segment: Segment) -> Result<()> {
        let boot_clock = self.boot_clock().unwrap_or_else(|| NO_BOOT_CLOCK.to_owned());
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
