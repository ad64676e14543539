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
use std::sync::{Arc, PoisonError};
use tokio::sync::Mutex;

/// The store's mark that says which segment of the clock it was used in last.
const CLOCK_MARK: &str = "clock";
/// Most spans of time that are remembered as passed over in jumps.
const MAX_SPANS: usize = 16;
/// All processes have noticed a jump after this time, ms.
const MAX_NOTICE_MS: i64 = 5_000;
/// What stands in it for a boot time that says nothing to others.
const NO_BOOT_CLOCK: &str = "-";

/// Watches the clock for one engine.
pub struct ClockJumps {
    context: Context,
    watch: Mutex<Option<ClockWatch>>,
    /// What the clock passed over in jumps, as this process knows it.
    passed_over: std::sync::Mutex<Arc<[Span]>>,
}

impl ClockJumps {
    /// Watches nothing yet.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self {
            context,
            watch: Mutex::default(),
            passed_over: std::sync::Mutex::default(),
        }
    }

    /// What the clock passed over in jumps, as far as this process knows: nothing was being done then.
    #[must_use]
    pub fn passed_over(&self) -> Arc<[Span]> {
        let spans = self.passed_over.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&spans)
    }

    fn remember(&self, past: &Past) {
        let spans = past.passed_over.as_slice().into();
        *self.passed_over.lock().unwrap_or_else(PoisonError::into_inner) = spans;
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
        let mut past = mark.map(|mark| mark.past).unwrap_or_default();
        self.remember(&past);
        match jump {
            Some(jump) => self.deal_with(jump, &mut past).await?,
            None => _ = replan(&self.context, &past.passed_over).await?,
        }
        match resumed.filter(|_| jump.is_none()) {
            Some(resumed) => *watch = Some(resumed),
            None => {
                let present = watch.insert(ClockWatch::new(reading));
                self.set_mark(present.segment(), past).await?;
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
            let mut past = self.mark().await?.map(|mark| mark.past).unwrap_or_default();
            self.deal_with(jump, &mut past).await?;
            *watch = ClockWatch::new(reading);
            self.set_mark(watch.segment(), past).await?;
        }
        Ok(reading.now())
    }

    /// The same at once; `None`: something is to be done first.
    #[must_use]
    pub fn try_now(&self) -> Option<Millis> {
        let Some(reading) = self.context.clock.reading() else {
            return Some(self.context.now());
        };
        let mut watch = self.watch.try_lock().ok()?;
        let watch = watch.get_or_insert_with(|| ClockWatch::new(reading));
        watch.look(reading).is_none().then(|| reading.now())
    }

    /// `past`: of the jumps before this one; it is added.
    async fn deal_with(&self, jump: Jump, past: &mut Past) -> Result<()> {
        past.add(jump);
        self.remember(past);
        let replanned = replan(&self.context, &past.passed_over).await?;
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

    async fn set_mark(&self, segment: Segment, past: Past) -> Result<()> {
        let mark = ClockMark {
            boot_clock: self.boot_clock().unwrap_or_else(|| NO_BOOT_CLOCK.to_owned()),
            segment,
            past,
        };
        self.context.store.set_metadata(CLOCK_MARK, &mark.to_text()).await
    }
}

/// What is remembered of jumps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Past {
    /// The latest time that the clock is known to have shown.
    latest: Option<Millis>,
    /// What it passed over in jumps and had not shown before, the last spans last.
    passed_over: Vec<Span>,
}

impl Past {
    fn add(&mut self, jump: Jump) {
        let from = jump.from.max(self.latest.unwrap_or(jump.from));
        // Each process sees a jump at another moment; the first one tells where it ended.
        let is_known = |(_, to): &Span| (*to..=to.saturating_add(MAX_NOTICE_MS)).contains(&jump.to);
        if from < jump.to && !self.passed_over.iter().any(is_known) {
            self.passed_over.push((from, jump.to));
            let excess = self.passed_over.len().saturating_sub(MAX_SPANS);
            self.passed_over.drain(..excess);
        }
        self.latest = self.latest.max(Some(jump.from)).max(Some(jump.to));
    }
}

/// A segment of the clock, which boot time it was seen by, and what was before.
#[derive(Debug, PartialEq, Eq)]
struct ClockMark {
    boot_clock: String,
    segment: Segment,
    past: Past,
}

impl ClockMark {
    /// `None`: not as this version writes it.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let boot_clock = parts.next()?.to_owned();
        let mut numbers = parts.map(|part| part.parse::<i64>().ok());
        let (start, difference) = (numbers.next()??, numbers.next()??);
        let mut past = Past::default();
        if let Some(latest) = numbers.next() {
            past.latest = Some(latest?);
        }
        while let Some(from) = numbers.next() {
            past.passed_over.push((from?, numbers.next()??));
        }
        Some(Self {
            boot_clock,
            segment: Segment { start, difference },
            past,
        })
    }

    fn to_text(&self) -> String {
        let mut text = format!("{} {} {}", self.boot_clock, self.segment.start, self.segment.difference);
        let spans = self.past.passed_over.iter().flat_map(|(from, to)| [*from, *to]);
        for number in self.past.latest.into_iter().chain(spans) {
            // Writing to a text cannot fail.
            let _ = write!(text, " {number}");
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
        let jumped = Past {
            latest: Some(-1),
            passed_over: vec![(1, 2), (-5, 90)],
        };
        for past in [Past::default(), jumped] {
            let mark = ClockMark {
                boot_clock: boot_clock_id().unwrap_or_default(),
                segment,
                past,
            };
            assert_eq!(ClockMark::read(&mark.to_text()), Some(mark));
        }
        for other in ["what another version writes", "", "boot 1 2 3 4"] {
            assert_eq!(ClockMark::read(other), None);
        }
    }

    fn jumps(jumps: &[(Millis, Millis)]) -> Past {
        let mut past = Past::default();
        for (from, to) in jumps {
            past.add(Jump { from: *from, to: *to });
        }
        past
    }

    #[test]
    fn what_a_jump_passed_over_is_remembered_once_for_all_who_notice_it() {
        // A day ahead, and back; as three processes saw it.
        let past = jumps(&[
            (10_000, 90_000),
            (10_400, 90_400),
            (11_000, 91_000),
            (95_000, 15_000),
            (95_500, 15_500),
        ]);
        assert_eq!(past.passed_over, [(10_000, 90_000)]);
        assert_eq!(past.latest, Some(95_500));
    }

    #[test]
    fn what_the_clock_had_shown_before_it_was_put_back_is_not_passed_over() {
        assert_eq!(
            jumps(&[(50_000, 10_000), (12_000, 52_000)]).passed_over,
            [(50_000, 52_000)]
        );
        assert_eq!(jumps(&[(50_000, 10_000), (12_000, 40_000)]).passed_over, []);
    }

    #[test]
    fn of_many_jumps_the_last_ones_are_remembered() {
        let many: Vec<_> = (0..20).map(|n| (n * 100_000, n * 100_000 + 50_000)).collect();
        let past = jumps(&many);
        assert_eq!(
            (past.passed_over.len(), past.passed_over[0]),
            (MAX_SPANS, (400_000, 450_000))
        );
    }
}
