//! Figures over time: `jobs.metrics`, and `jobs.getStats` within a span of time.

use super::fields::Fields;
use super::filter::{read_range, read_routes};
use super::jobs::to_json;
use super::view::StatsView;
use crate::clock::Millis;
use crate::engine::Engine;
use crate::error::{Error, ErrorCode, Result};
use crate::model::{Figures, Histogram};
use crate::store::{FigureQuery, FigureSpan, FigureSums, RouteId, Stats};
use serde::Serialize;
use std::collections::BTreeMap;

/// Range without a `from`, ms.
const DEFAULT_RANGE_MS: i64 = 3_600_000;
/// Longest range of which minutes are told when nothing else is asked for, ms.
const MAX_DEFAULT_MINUTES_MS: i64 = 6 * 3_600_000;
/// Most points of an answer: minutes of two days, hours of a third of a year.
const MAX_POINTS: i64 = 2_880;
/// Most targets of an answer, those with the most runs.
const MAX_TARGETS: usize = 1_000;

#[derive(Debug, Serialize)]
struct MetricsView {
    from: Millis,
    to: Millis,
    resolution: &'static str,
    total: FiguresView,
    points: Vec<PointView>,
    targets: Vec<TargetView>,
}

#[derive(Debug, Serialize)]
struct PointView {
    at: Millis,
    #[serde(flatten)]
    figures: FiguresView,
}

#[derive(Debug, Serialize)]
struct TargetView {
    namespace: &'static str,
    product: Box<str>,
    env: Box<str>,
    target: BTreeMap<&'static str, Box<str>>,
    #[serde(flatten)]
    figures: FiguresView,
}

#[derive(Debug, Serialize)]
struct FiguresView {
    dispatched: u64,
    completed: u64,
    failed: u64,
    retried: u64,
    snoozed: u64,
    crashed: u64,
    duration: Option<TimesView>,
    lateness: Option<TimesView>,
}

#[derive(Debug, Serialize)]
struct TimesView {
    count: u64,
    mean: f64,
    p50: f64,
    p95: f64,
    p99: f64,
    max: u64,
}

impl FiguresView {
    fn new(figures: &Figures) -> Self {
        Self {
            dispatched: figures.dispatched,
            completed: figures.completed,
            failed: figures.failed,
            retried: figures.retried,
            snoozed: figures.snoozed,
            crashed: figures.crashed,
            duration: TimesView::new(&figures.duration),
            lateness: TimesView::new(&figures.lateness),
        }
    }
}

impl TimesView {
    /// `None`: nothing was measured.
    fn new(histogram: &Histogram) -> Option<Self> {
        // A tenth of a ms is more than the bins know.
        let rounded = |ms: f64| (ms * 10.0).round() / 10.0;
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            mean: rounded(histogram.mean()),
            p50: rounded(histogram.quantile(0.5)),
            p95: rounded(histogram.quantile(0.95)),
            p99: rounded(histogram.quantile(0.99)),
            max: histogram.max(),
        })
    }
}

/// `metrics(options)`.
///
/// # Errors
/// `VALIDATION_ERROR` for an unknown option, a range that is too long, and figures that are off.
pub async fn metrics(engine: &Engine, options: &str) -> Result<String> {
    engine.load_routes().await?;
    let mut fields = Fields::read(options, "options")?;
    fields.refuse_unknown(&["from", "to", "resolution", "product", "env", "namespace", "target"]);
    let now = engine.clock.now();
    let (from, to) = read_range(engine, &mut fields);
    let to = to.unwrap_or(now);
    let from = from.unwrap_or_else(|| to.saturating_sub(DEFAULT_RANGE_MS));
    let names = [("minute", FigureSpan::Minute), ("hour", FigureSpan::Hour)];
    let asked = fields.one_of("resolution", &names);
    let span = asked.unwrap_or(match to.saturating_sub(from) > MAX_DEFAULT_MINUTES_MS {
        true => FigureSpan::Hour,
        false => FigureSpan::Minute,
    });
    let (from, to) = (span.start_of(from), span.start_of(to));
    refuse_long_range(&mut fields, span, (from, to));
    let routes = read_routes(engine, &mut fields);
    refuse_figures_that_are_off(engine, &mut fields, "metrics");
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    let sums = sums(engine, span, (from, to), routes).await?;
    to_json(&MetricsView {
        from,
        to,
        resolution: match span {
            FigureSpan::Minute => "minute",
            FigureSpan::Hour => "hour",
        },
        total: FiguresView::new(&sums.total()),
        points: sums
            .by_time
            .iter()
            .map(|(at, figures)| PointView {
                at: *at,
                figures: FiguresView::new(figures),
            })
            .collect(),
        targets: targets(engine, sums.by_route),
    })
}

fn refuse_long_range(fields: &mut Fields<'_>, span: FigureSpan, (from, to): (Millis, Millis)) {
    if to.saturating_sub(from) / span.ms() < MAX_POINTS {
        return;
    }
    let remedy = match span {
        FigureSpan::Minute => "ask for hours, `resolution: 'hour'`, or for a shorter range",
        FigureSpan::Hour => "ask for a shorter range",
    };
    let problem = format!("has more than {MAX_POINTS} points between itself and `to`; {remedy}");
    fields.problem("from", problem);
}

pub(super) fn refuse_figures_that_are_off(engine: &Engine, fields: &mut Fields<'_>, name: &str) {
    if !engine.figures().is_on() {
        let problem = "are off in this instance: it was made with `metrics: false`";
        fields.problem_of(ErrorCode::ValidationError, name, problem);
    }
}

/// What is known of these spans, with what this process has not handed to the store before.
async fn sums(
    engine: &Engine,
    span: FigureSpan,
    (from, to): (Millis, Millis),
    routes: Option<Vec<RouteId>>,
) -> Result<FigureSums> {
    engine.flush_figures().await?;
    let query = FigureQuery { span, from, to, routes };
    engine.store.figures(query).await
}

fn targets(engine: &Engine, by_route: BTreeMap<RouteId, Figures>) -> Vec<TargetView> {
    let runs = |figures: &Figures| figures.completed + figures.failed + figures.retried + figures.crashed;
    let mut by_route: Vec<(RouteId, Figures)> = by_route.into_iter().collect();
    by_route.sort_by_key(|(_, figures)| std::cmp::Reverse((runs(figures), figures.dispatched)));
    let shown = by_route.into_iter().take(MAX_TARGETS);
    let view = |(route, figures): (RouteId, Figures)| {
        let route = engine.routing.route(route)?;
        Some(TargetView {
            namespace: route.namespace.as_str(),
            product: route.product.clone(),
            env: route.env.clone(),
            target: route.fields().map(|(name, value)| (name, value.into())).collect(),
            figures: FiguresView::new(&figures),
        })
    };
    shown.filter_map(view).collect()
}

/// Numbers of jobs as they stand now, with those of the runs that ended within a span in place of all. By hours from a range on that
/// is longer than the minutes of an answer.
pub(super) async fn stats_within(
    engine: &Engine,
    fields: &mut Fields<'_>,
    (from, to): (Option<Millis>, Option<Millis>),
    (routes, now_stats, failing): (Option<Vec<RouteId>>, &Stats, i64),
) -> Result<Option<StatsView>> {
    if from.is_none() && to.is_none() {
        return Ok(None);
    }
    refuse_figures_that_are_off(engine, fields, "from");
    if !fields.problems.is_empty() {
        return Err(Error::invalid(std::mem::take(&mut fields.problems)));
    }
    let to = to.unwrap_or_else(|| engine.clock.now());
    let from = from.unwrap_or(Millis::MIN / 2);
    let kept = engine.config.figures.unwrap_or_default();
    let span = match to.saturating_sub(from) / FigureSpan::Minute.ms() < MAX_POINTS
        && engine.clock.now().saturating_sub(from) < kept.minutes
    {
        true => FigureSpan::Minute,
        false => FigureSpan::Hour,
    };
    let sums = sums(engine, span, (span.start_of(from), span.start_of(to)), routes).await?;
    Ok(Some(StatsView::within(now_stats, &sums.total(), failing)))
}
