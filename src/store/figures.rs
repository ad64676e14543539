//! Figures over time, by minute and by hour.

use super::{RouteId, Stats, TransactionCounts};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::Figures;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Most rows that are written or deleted in one transaction.
pub(super) const MAX_ROWS_PER_TRANSACTION: usize = 500;

/// How long a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureSpan {
    /// 60,000 ms.
    Minute = 0,
    /// 3,600,000 ms.
    Hour = 1,
}

impl FigureSpan {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    /// Its length.
    #[must_use]
    pub const fn ms(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
        }
    }

    /// The beginning of the span in which an instant lies.
    #[must_use]
    pub const fn start_of(self, at: Millis) -> Millis {
        at - at.rem_euclid(self.ms())
    }
}

/// What happened to the jobs of a route in a span that begins then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteFigures {
    /// Beginning of the span.
    pub at: Millis,
    /// The route.
    pub route: RouteId,
    /// The numbers.
    pub figures: Figures,
}

/// Which figures to add up.
#[derive(Clone, Debug)]
pub struct FigureQuery {
    /// Of minutes or of hours.
    pub span: FigureSpan,
    /// The first beginning.
    pub from: Millis,
    /// The last beginning.
    pub to: Millis,
    /// Of these routes; `None`: of all.
    pub routes: Option<Vec<RouteId>>,
}

/// Figures added up over routes and over time. What is internal to the package is nobody's, and counted nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FigureSums {
    /// By the beginning of each span in which something happened.
    pub by_time: BTreeMap<Millis, Figures>,
    /// By route.
    pub by_route: BTreeMap<RouteId, Figures>,
}

impl FigureSums {
    /// Of all that was added.
    #[must_use]
    pub fn total(&self) -> Figures {
        let mut total = Figures::default();
        for figures in self.by_time.values() {
            total.add(figures);
        }
        total
    }
}

/// Lengths of a store's files, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSizes {
    /// Of the file.
    pub file: u64,
    /// Of its write-ahead log.
    pub log: u64,
}

/// Adds rows up as they are stored, one after the other.
#[derive(Default)]
pub(super) struct FigureAdder {
    sums: FigureSums,
    /// The row that was read last, for its memory.
    row: Figures,
}

impl FigureAdder {
    /// Adds a row.
    pub(super) fn add(&mut self, at: Millis, route: RouteId, text: &str) {
        if self.row.read(text).is_none() {
            self.row = from_text(text);
        }
        self.sums.by_time.entry(at).or_default().add(&self.row);
        self.sums.by_route.entry(route).or_default().add(&self.row);
    }

    /// All that was added.
    pub(super) fn sums(self) -> FigureSums {
        self.sums
    }
}

/// Figures from their stored form; what cannot be read counts nothing.
pub(super) fn from_text(text: &str) -> Figures {
    serde_json::from_str(text).unwrap_or_default()
}

/// Their stored form.
pub(super) fn to_text(figures: &Figures) -> String {
    serde_json::to_string(figures).unwrap_or_default()
}

/// Keeps figures over time, and tells those of the store itself. They are statistics: what a call that failed has written is not
/// known.
#[async_trait]
pub trait FigureStore {
    /// Numbers by route, as they are now, in the order of the routes; those that never had a job are not among them.
    async fn stats_by_route(&self) -> Result<Vec<(RouteId, Stats)>>;

    /// Adds what happened in these minutes to them and to their hours.
    async fn add_figures(&self, minutes: Vec<RouteFigures>) -> Result<()>;

    /// What is kept of this, added up.
    async fn figures(&self, query: FigureQuery) -> Result<FigureSums>;

    /// Deletes minutes and hours that began before these instants, a bounded number; returns how many.
    async fn sweep_figures(&self, minutes_before: Millis, hours_before: Millis) -> Result<usize>;

    /// What this process's transactions are counted by.
    fn transactions(&self) -> &TransactionCounts;

    /// How long the store's files are; `None`: it is not in a file.
    async fn file_sizes(&self) -> Result<Option<FileSizes>> {
        Ok(None)
    }
}

/// A row by its span, the beginning of that, and its route.
pub(super) type RowKey = (i32, Millis, RouteId);

/// The rows that these minutes are added to, each once: their own and those of their hours, in the order of their keys.
pub(super) fn rows_of(minutes: &[RouteFigures]) -> Vec<(RowKey, Figures)> {
    let mut rows: BTreeMap<RowKey, Figures> = BTreeMap::new();
    for minute in minutes {
        for span in FigureSpan::ALL {
            let key = (span as i32, span.start_of(minute.at), minute.route);
            rows.entry(key).or_default().add(&minute.figures);
        }
    }
    rows.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_are_stored_and_added_up_are_those_that_were_counted_together() {
        let (mut one, mut other, mut both) = (Figures::default(), Figures::default(), Figures::default());
        for (n, part) in [&mut one, &mut other].into_iter().enumerate() {
            for ms in 0..100 * (n as i64 + 1) {
                for figures in [&mut *part, &mut both] {
                    figures.completed += 1;
                    figures.duration.record(ms * ms);
                    figures.lateness.record(ms);
                }
            }
        }
        other.dispatched = 3;
        both.dispatched = 3;
        let mut added = from_text(&to_text(&one));
        added.add(&from_text(&to_text(&other)));
        assert_eq!(added, both);
        assert_eq!(to_text(&Figures::default()), "{}");
        assert_eq!(from_text("not JSON"), Figures::default());
    }

    #[test]
    fn a_minute_is_added_to_itself_and_its_hour() {
        let minute = |at, completed| RouteFigures {
            at,
            route: RouteId::new(7),
            figures: Figures {
                completed,
                ..Figures::default()
            },
        };
        let rows = rows_of(&[minute(3_660_000, 1), minute(3_720_000, 2), minute(3_660_000, 4)]);
        let told: Vec<_> = rows
            .iter()
            .map(|((span, at, _), sum)| (*span, *at, sum.completed))
            .collect();
        assert_eq!(told, [(0, 3_660_000, 5), (0, 3_720_000, 2), (1, 3_600_000, 7)]);
        assert_eq!(FigureSpan::Hour.start_of(-1), -3_600_000);
    }
}
