//! The spans of constant offset of one time zone, as a sorted table of whole minutes.
//!
//! It must not know where the data comes from, nor expressions. Instants are minutes since
//! 1970-01-01T00:00Z, local times minutes since 1970-01-01T00:00 on the wall clock.
//!
//! Invariant: the spans are in order, cover all time without holes, and none is empty. Offsets
//! with seconds (local mean time, long ago) are rounded down, which leaves the wall-clock minute
//! of every whole minute unchanged.

use super::calendar::MINUTES_PER_DAY;

/// A stretch of time without a clock change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Its first minute.
    pub start: i64,
    /// The first minute after it; `i64::MAX` for the last span.
    pub end: i64,
    /// Local time minus UTC, in minutes.
    pub offset: i64,
    /// The first local minute that the wall clock had not reached before this span.
    pub first_new_local: i64,
    /// The first local minute that the wall clock shows again after this span.
    pub first_repeated_local: i64,
}

impl Span {
    /// The first local minute of the span.
    pub(super) fn first_local(&self) -> i64 {
        self.start.saturating_add(self.offset)
    }

    /// The local minute at which the span has ended.
    pub(super) fn end_local(&self) -> i64 {
        self.end.saturating_add(self.offset)
    }
}

/// When the wall clock shows a local minute.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WallClock {
    /// At these minutes, in order: one, or several where it is repeated.
    Shown(Vec<i64>),
    /// Never: it lies in a gap of `length` minutes after which `end` is the first minute.
    Skipped { end: i64, length: i64 },
}

/// No local time is further from UTC than this many minutes.
const MAX_OFFSET_MINUTES: i64 = 26 * 60;

/// All spans of a zone.
#[derive(Debug)]
pub(super) struct Spans(Vec<Span>);

impl Spans {
    /// Builds the table from the offset before the first change and the changes in order, as
    /// (second since 1970 at which it takes effect, new offset in seconds).
    pub(super) fn new(first_offset: i64, changes: impl IntoIterator<Item = (i64, i64)>) -> Spans {
        let mut spans = vec![Span {
            start: i64::MIN,
            end: i64::MAX,
            offset: first_offset.div_euclid(60),
            first_new_local: i64::MIN,
            first_repeated_local: i64::MAX,
        }];
        for (second, offset) in changes {
            append(&mut spans, -(-second).div_euclid(60), offset.div_euclid(60));
        }
        let mut first_repeated_local = i64::MAX;
        for span in spans.iter_mut().rev() {
            span.first_repeated_local = first_repeated_local;
            first_repeated_local = first_repeated_local.min(span.first_local());
        }
        Spans(spans)
    }

    /// The index of the span that contains a minute.
    pub(super) fn index_at(&self, minute: i64) -> usize {
        self.0.partition_point(|span| span.end <= minute)
    }

    /// A span by its index, `None` past the last.
    pub(super) fn get(&self, index: usize) -> Option<&Span> {
        self.0.get(index)
    }

    /// The spans that may show a local minute or one of the day after it.
    pub(super) fn near_local(&self, local: i64) -> impl Iterator<Item = &Span> {
        let first = self.index_at(local - MAX_OFFSET_MINUTES);
        let end = local + MINUTES_PER_DAY + MAX_OFFSET_MINUTES;
        self.0.iter().skip(first).take_while(move |span| span.start < end)
    }

    /// When the wall clock shows a local minute.
    pub(super) fn wall_clock(&self, local: i64) -> WallClock {
        let shown_in = |span: &Span| Some(local - span.offset).filter(|minute| (span.start..span.end).contains(minute));
        let shown: Vec<i64> = self.near_local(local).filter_map(shown_in).collect();
        let mut after_gap = self.near_local(local).filter(|span| span.first_local() > local);
        match after_gap.next() {
            Some(span) if shown.is_empty() => WallClock::Skipped {
                end: span.start,
                length: span.first_local() - span.first_new_local,
            },
            _ => WallClock::Shown(shown),
        }
    }

    /// By how many minutes the clocks went forward when the span began; negative for backward,
    /// 0 for the first span.
    pub(super) fn minutes_forward_at(&self, index: usize) -> i64 {
        let before = index.checked_sub(1).and_then(|index| self.0.get(index));
        match (before, self.0.get(index)) {
            (Some(before), Some(span)) => span.offset - before.offset,
            _ => 0,
        }
    }
}

/// Adds a change that takes effect at `start`, unless the offset stays what it was.
fn append(spans: &mut Vec<Span>, start: i64, offset: i64) {
    // Two changes within one minute leave nothing of the first.
    while spans.len() > 1 && spans.last().is_some_and(|last| last.start >= start) {
        spans.pop();
    }
    let Some(last) = spans.last_mut() else { return };
    last.end = i64::MAX;
    if last.offset == offset {
        return;
    }
    last.end = start;
    let first_new_local = last.first_new_local.max(last.end_local());
    spans.push(Span {
        start,
        end: i64::MAX,
        offset,
        first_new_local,
        first_repeated_local: i64::MAX,
    });
}
