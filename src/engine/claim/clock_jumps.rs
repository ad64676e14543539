//! Notices that the wall clock was set, and has the series planned anew that a wrong clock has moved; what waits for a next attempt
//! by it is brought forward.
//!
//! The time of each round of claiming comes from here, so that no series is planned by a clock that has just jumped before that is
//! dealt with. The store remembers the present segment of the clock, and what the clock passed over in jumps. By the segment a jump of the machine's clock is seen across a restart
//! of the process. When the machine was restarted as well, and of a server's clock, whose difference to this machine's boot time
//! says nothing to others, that it was put back is seen at least when the segment began later than now.
//!
//! Invariant: a jump counts as dealt with, in memory and in the store, only once all series have been looked at.

use super::all_series::next_page;
use super::series_changes;
use crate::clock::{ClockWatch, Jump, Millis, Segment, boot_clock_id};
use crate::engine::context::Context;
use crate::engine::handler::Level;
use crate::engine::store_time::length;
use crate::error::Result;
use crate::store::{JobSeq, Span};
use std::fmt::Write as _;
use tokio::sync::Mutex;

/// The store's mark that says which segment of the clock it was used in last.
const CLOCK_MARK: &str = "clock";
/// Most spans of time that are remembered as passed over in jumps.
const MAX_SPANS: usize = 16;
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
        let mark = self.mark().await?;
        let mut resumed = None;
        let jump = match &mark {
            Some(mark) if self.boot_clock().is_some_and(|clock| clock == mark.boot_clock) => {
                let watch = resumed.insert(ClockWatch::within(mark.segment, reading));
                watch.look(reading)
            }
            Some(mark) => Jump::back_before(&mark.segment, reading),
            None => None,
        };
        let mut passed_over = mark.map_or_else(Vec::new, |mark| mark.passed_over);
        match jump {
            Some(jump) => self.deal_with(jump, &mut passed_over).await?,
            None => _ = replan(&self.context, &passed_over).await?,
        }
        match resumed.filter(|_| jump.is_none()) {
            Some(resumed) => *watch = Some(resumed),
            None => {
                let present = watch.insert(ClockWatch::new(reading));
                self.set_mark(present.segment(), passed_over).await?;
            }
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
            // Other processes have seen others.
            let mut passed_over = self.mark().await?.map_or_else(Vec::new, |mark| mark.passed_over);
            self.deal_with(jump, &mut passed_over).await?;
            *watch = ClockWatch::new(reading);
            self.set_mark(watch.segment(), passed_over).await?;
        }
        Ok(reading.now())
    }

    /// `passed_over`: by jumps before this one; it is added.
    async fn deal_with(&self, jump: Jump, passed_over: &mut Vec<Span>) -> Result<()> {
        if !jump.is_backwards() {
            add_span(passed_over, (jump.from, jump.to));
        }
        let replanned = replan(&self.context, passed_over).await?;
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

    async fn mark(&self) -> Result<Option<ClockMark>> {
        let found = self.context.store.metadata(CLOCK_MARK).await?;
        Ok(found.as_deref().and_then(ClockMark::read))
    }

    async fn set_mark(&self, segment: Segment, passed_over: Vec<Span>) -> Result<()> {
        let mark = ClockMark {
            boot_clock: self.boot_clock().unwrap_or_else(|| NO_BOOT_CLOCK.to_owned()),
            segment,
            passed_over,
        };
        self.context.store.set_metadata(CLOCK_MARK, &mark.to_text()).await
    }
}

/// Adds a span to those that are remembered, joined with what it overlaps: each process sees a jump at another moment.
fn add_span(spans: &mut Vec<Span>, mut added: Span) {
    spans.retain(|(from, to)| {
        let apart = *to < added.0 || *from > added.1;
        if !apart {
            added = (added.0.min(*from), added.1.max(*to));
        }
        apart
    });
    spans.push(added);
    let excess = spans.len().saturating_sub(MAX_SPANS);
    spans.drain(..excess);
}

/// A segment of the clock, which boot time it was seen by, and what the clock passed over in jumps, the last ones last.
#[derive(Debug, PartialEq, Eq)]
struct ClockMark {
    boot_clock: String,
    segment: Segment,
    passed_over: Vec<Span>,
}

impl ClockMark {
    /// `None`: not as this version writes it.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let boot_clock = parts.next()?.to_owned();
        let mut numbers = parts.map(|part| part.parse::<i64>().ok());
        let (start, difference) = (numbers.next()??, numbers.next()??);
        let mut passed_over = Vec::new();
        while let Some(from) = numbers.next() {
            passed_over.push((from?, numbers.next()??));
        }
        Some(Self {
            boot_clock,
            segment: Segment { start, difference },
            passed_over,
        })
    }

    fn to_text(&self) -> String {
        let mut text = format!("{} {} {}", self.boot_clock, self.segment.start, self.segment.difference);
        for (from, to) in &self.passed_over {
            // Writing to a text cannot fail.
            let _ = write!(text, " {from} {to}");
        }
        text
    }
}

/// Most recorded gaps of a series that are looked at, newest first; retention keeps no more unless it is told to.
const MAX_GAPS: usize = 1_000;

/// Tries for each page of series that others change at the same time.
const MAX_TRIES: usize = 5;

/// Plans all series anew after the clock has, or may have, been put back. `passed_over`: by jumps before. Returns how many
/// changed.
async fn replan(context: &Context, passed_over: &[Span]) -> Result<usize> {
    let (mut after, mut changed, mut tries) = (JobSeq::MIN, 0, 0);
    loop {
        let before = after;
        let Some(page) = next_page(context, &mut after).await? else {
            return Ok(changed);
        };
        let now = context.now();
        let mut advances = Vec::new();
        for series in page.iter().filter(|series| series_changes::is_ahead(series, now)) {
            let history = context.store.history(&series.id, MAX_GAPS).await?;
            let gaps = history.map_or_else(Vec::new, |history| history.gaps);
            advances.extend(series_changes::replanned(series, &gaps, now, passed_over));
        }
        let wanted = advances.len();
        if wanted == 0 {
            continue;
        }
        let done = context.store.advance(now, advances).await?;
        changed += done;
        tries += 1;
        // What changed meanwhile has made an advance void: by who has planned it anew as well, or has not noticed the jump.
        if done < wanted && tries < MAX_TRIES {
            after = before;
        } else {
            tries = 0;
        }
    }
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
        for passed_over in [vec![], vec![(1, 2), (-5, 90)]] {
            let mark = ClockMark {
                boot_clock: boot_clock_id().unwrap_or_default(),
                segment,
                passed_over,
            };
            assert_eq!(ClockMark::read(&mark.to_text()), Some(mark));
        }
        for other in ["what another version writes", "", "boot 1 2 3"] {
            assert_eq!(ClockMark::read(other), None);
        }
    }

    #[test]
    fn spans_that_overlap_are_joined_and_the_last_ones_are_remembered() {
        let mut spans = vec![(10, 20), (40, 50)];
        add_span(&mut spans, (12, 22));
        assert_eq!(spans, [(40, 50), (10, 22)]);
        add_span(&mut spans, (22, 45));
        assert_eq!(spans, [(10, 50)]);
        for n in 1..=20 {
            add_span(&mut spans, (n * 100, n * 100 + 1));
        }
        assert_eq!((spans.len(), spans[0]), (MAX_SPANS, (500, 501)));
    }
}
