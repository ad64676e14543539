//! `ductape.metrics()`: how this process and its store stand, as text for Prometheus and what reads its formats.
//!
//! Invariants: what is counted never becomes less while the process lives; the number of label sets is bounded; a store that does not
//! answer costs its own metrics and a bounded wait, not those of the process.

mod families;
mod text;

use self::families as family;
use self::text::{Buckets, Exposition, Family, Format, Labels};
use super::fields::Fields;
use super::jobs::to_json;
use super::metrics::refuse_figures_that_are_off;
use crate::engine::Engine;
use crate::engine::figure_totals::{FigureTotal, FigureTotals};
use crate::error::{Error, Result};
use crate::model::{Figures, Histogram, Route, Status};
use crate::store::{BucketCounts, FileSizes, RouteId, Stats};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for the store: whoever reads metrics mostly waits no longer than 10 s.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// Most targets whose jobs are told apart, those with the most jobs that have not ended.
const MAX_JOB_TARGETS: usize = 1_000;
/// Most targets that have histograms of their own, each of them twenty samples.
const MAX_HISTOGRAM_TARGETS: usize = 100;
/// Bounds of the times of runs, ms: where bins of [`Histogram`] end, so that nothing has to be guessed. Twice as long each up to
/// 16 s, since that is where most work is, and four times from there to an hour.
const TIME_BOUNDS: [u64; 17] = [
    4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 65_536, 262_144, 1_048_576, 4_194_304,
];

/// Delays of the event loop since they were last told, s, which JavaScript measures.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct EventLoopDelay {
    mean: f64,
    p99: f64,
    max: f64,
}

/// What the store says.
struct StoreFigures {
    /// Jobs by target and state, those that are told together last.
    jobs: Vec<(Labels, [i64; Status::ALL.len()])>,
    sizes: Option<FileSizes>,
}

/// `metrics(options)`; `event_loop` is JSON of [`EventLoopDelay`] or `null`.
///
/// # Errors
/// `VALIDATION_ERROR` for an unknown option or format, and when metrics are off.
pub(super) async fn open_metrics(engine: &Engine, options: &str, event_loop: &str) -> Result<String> {
    let mut fields = Fields::read(options, "options")?;
    fields.refuse_unknown(&["format"]);
    let formats = [("openmetrics", Format::OpenMetrics), ("prometheus", Format::Prometheus)];
    let format = fields.one_of("format", &formats).unwrap_or(Format::OpenMetrics);
    refuse_figures_that_are_off(engine, &mut fields, "metrics");
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    let asked = tokio::time::timeout(STORE_TIMEOUT, store_figures(engine)).await;
    let store = asked.ok().and_then(Result::ok);
    let mut text = Exposition::new(format);
    write_store(&mut text, store.as_ref());
    write_runs(&mut text, engine).await;
    write_process(&mut text, engine, serde_json::from_str(event_loop).unwrap_or_default());
    to_json(&text.end())
}

async fn store_figures(engine: &Engine) -> Result<StoreFigures> {
    let sizes = engine.store.file_sizes().await?;
    let counted = engine.store.stats_by_route().await?;
    if counted.iter().any(|(route, _)| engine.routing.route(*route).is_none()) {
        engine.load_routes().await?;
    }
    let shown = |(id, stats): (RouteId, Stats)| {
        let route = engine.routing.route(id)?;
        (!route.namespace.is_internal()).then_some((route, stats))
    };
    let mut counted: Vec<_> = counted.into_iter().filter_map(shown).collect();
    // As `jobs.targets` does: ended jobs are history.
    counted.sort_by_key(|(_, stats)| std::cmp::Reverse(live_and_ended(stats)));
    let rest = counted.split_off(counted.len().min(MAX_JOB_TARGETS));
    let own = counted
        .iter()
        .map(|(route, stats)| (route_labels(route), stats.by_status));
    let mut jobs: Vec<_> = own.collect();
    if !rest.is_empty() {
        let mut sums = [0; Status::ALL.len()];
        for (_, stats) in &rest {
            for (sum, count) in sums.iter_mut().zip(stats.by_status) {
                *sum += count;
            }
        }
        jobs.push((rest_labels(), sums));
    }
    Ok(StoreFigures { jobs, sizes })
}

fn live_and_ended(stats: &Stats) -> (i64, i64) {
    let count = |ended: bool| {
        let counts = Status::ALL.iter().zip(stats.by_status);
        let counts = counts.filter(|(status, _)| status.is_ended() == ended);
        counts.map(|(_, count)| count).sum()
    };
    (count(false), count(true))
}

fn write_store(text: &mut Exposition, store: Option<&StoreFigures>) {
    text.numbers(&family::STORE_UP, [(Labels::default(), u64::from(store.is_some()))]);
    let Some(store) = store else { return };
    let jobs = store.jobs.iter().flat_map(|(labels, counts)| {
        let counts = Status::ALL.iter().zip(counts);
        counts.map(|(state, count)| (labels.with("state", state.as_str()), u64::try_from(*count).unwrap_or(0)))
    });
    text.numbers(&family::JOBS, jobs);
    let sizes = store.sizes;
    let bytes = |of: fn(FileSizes) -> u64| sizes.map(|sizes| (Labels::default(), of(sizes)));
    text.numbers(&family::STORE_FILE_BYTES, bytes(|sizes| sizes.file));
    text.numbers(&family::STORE_LOG_BYTES, bytes(|sizes| sizes.log));
}

/// Labels of a target. Where it has two parts, a slash in the first is told apart from the one between them.
fn route_labels(route: &Route) -> Labels {
    let target = match route.target.as_slice() {
        [first, rest @ ..] if !rest.is_empty() => {
            let first = first.replace('%', "%25").replace('/', "%2F");
            format!("{first}/{}", rest.join("/"))
        }
        other => other.join("/"),
    };
    labels(route.namespace.as_str(), &route.product, &route.env, &target)
}

/// Labels of all targets that have none of their own.
fn rest_labels() -> Labels {
    labels("", "", "", "")
}

fn labels(namespace: &str, product: &str, env: &str, target: &str) -> Labels {
    Labels::default()
        .with("namespace", namespace)
        .with("product", product)
        .with("env", env)
        .with("target", target)
}

/// What was counted by target, those that are told together last.
fn by_target<'a>(engine: &Engine, totals: &'a FigureTotals) -> Vec<(Labels, &'a FigureTotal)> {
    let shown = |route: &Arc<Route>| !route.namespace.is_internal();
    let own = totals.by_route().filter_map(|(route, total)| {
        let route = engine.routing.route(route).filter(shown)?;
        Some((route_labels(&route), total))
    });
    own.chain(totals.rest().map(|rest| (rest_labels(), rest))).collect()
}

async fn write_runs(text: &mut Exposition, engine: &Engine) {
    let totals = engine.figure_totals().await;
    let targets = by_target(engine, &totals);
    let dispatches = targets.iter();
    text.numbers(
        &family::DISPATCHES,
        dispatches.map(|(labels, total)| (labels.clone(), total.figures.dispatched)),
    );
    let outcomes = targets.iter().flat_map(|(labels, total)| {
        let outcomes = outcomes(total).into_iter();
        outcomes.map(|(outcome, count)| (labels.with("outcome", outcome), count))
    });
    text.numbers(&family::RUNS, outcomes);
    write_times(text, &family::RUN_DURATION, &targets, |figures| &figures.duration);
    write_times(text, &family::RUN_LATENESS, &targets, |figures| &figures.lateness);
}

fn outcomes(FigureTotal { figures, released }: &FigureTotal) -> [(&'static str, u64); 6] {
    [
        ("completed", figures.completed),
        ("failed", figures.failed),
        ("retried", figures.retried),
        ("snoozed", figures.snoozed),
        ("crashed", figures.crashed),
        ("released", *released),
    ]
}

fn write_times(
    text: &mut Exposition,
    family: &Family,
    targets: &[(Labels, &FigureTotal)],
    of: fn(&Figures) -> &Histogram,
) {
    let (own, others) = targets.split_at(targets.len().min(MAX_HISTOGRAM_TARGETS));
    let own = own
        .iter()
        .map(|(labels, total)| (labels.clone(), times(of(&total.figures))));
    let rest = others.iter().map(|(_, total)| times(of(&total.figures)));
    let rest = rest.reduce(together).map(|rest| (rest_labels(), rest));
    text.histograms(family, own.chain(rest));
}

fn times(histogram: &Histogram) -> Buckets {
    let bounds = TIME_BOUNDS.iter().map(|bound| *bound as f64 / 1e3);
    Buckets {
        up_to: bounds.zip(histogram.shorter_than(&TIME_BOUNDS)).collect(),
        sum: histogram.sum() as f64 / 1e3,
        count: histogram.len(),
    }
}

fn together(mut one: Buckets, other: Buckets) -> Buckets {
    for ((_, known), (_, more)) in one.up_to.iter_mut().zip(other.up_to) {
        *known += more;
    }
    one.sum += other.sum;
    one.count += other.count;
    one
}

fn write_process(text: &mut Exposition, engine: &Engine, event_loop: Option<EventLoopDelay>) {
    let transactions = engine.store.transactions();
    let one = |counts: &BucketCounts, unit: f64| [(Labels::default(), scaled(counts, unit))];
    text.histograms(&family::STORE_TRANSACTION, one(&transactions.times(), 1e6));
    text.histograms(&family::STORE_BATCH, one(&transactions.jobs(), 1.0));
    let (busy, slots) = engine.slot_usage();
    for (family, count) in [
        (&family::SLOTS, slots),
        (&family::SLOTS_BUSY, busy),
        (&family::RUNS_PREFETCHED, engine.in_flight.waiting()),
    ] {
        text.numbers(family, [(Labels::default(), count as u64)]);
    }
    let lease = engine.lease_age();
    text.gauge(&family::LEASE_AGE, lease.map(|lease| lease.age.as_secs_f64()));
    text.gauge(&family::LEASE, lease.map(|lease| lease.length.as_secs_f64()));
    for (family, of) in [
        (&family::EVENT_LOOP_MEAN, event_loop.map(|delay| delay.mean)),
        (&family::EVENT_LOOP_P99, event_loop.map(|delay| delay.p99)),
        (&family::EVENT_LOOP_MAX, event_loop.map(|delay| delay.max)),
    ] {
        text.gauge(family, of);
    }
}

fn scaled(counts: &BucketCounts, unit: f64) -> Buckets {
    let up_to = counts.up_to.iter().map(|(bound, count)| (*bound as f64 / unit, *count));
    Buckets {
        up_to: up_to.collect(),
        sum: counts.sum as f64 / unit,
        count: counts.count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Namespace;

    fn route(namespace: Namespace, target: &[&str]) -> Route {
        Route {
            namespace,
            product: "shop".into(),
            env: "test".into(),
            target: target.iter().map(|part| (*part).into()).collect(),
        }
    }

    #[test]
    fn labels_of_different_targets_differ() {
        let actions = |target: &[&str]| route_labels(&route(Namespace::Actions, target));
        assert_eq!(actions(&["mail", "a/b"]), labels("actions", "shop", "test", "mail/a/b"));
        assert_eq!(
            actions(&["mail/a", "b"]),
            labels("actions", "shop", "test", "mail%2Fa/b")
        );
        assert_ne!(actions(&["mail%2Fa", "b"]), actions(&["mail/a", "b"]));
        let feature = route_labels(&route(Namespace::Features, &["a/b%"]));
        assert_eq!(feature, labels("features", "shop", "test", "a/b%"));
    }

    #[test]
    fn targets_beyond_the_bound_have_one_histogram_together() {
        let mut total = FigureTotal::default();
        total.figures.duration.record(5);
        total.figures.duration.record(20_000);
        let targets: Vec<_> = (0..MAX_HISTOGRAM_TARGETS + 3)
            .map(|n| (labels("features", "shop", "test", &n.to_string()), &total))
            .collect();
        let mut text = Exposition::new(Format::Prometheus);
        write_times(&mut text, &family::RUN_DURATION, &targets, |figures| &figures.duration);
        let text = text.end();
        let rest = r#"{namespace="",product="",env="",target="""#;
        for line in [
            format!("ductape_run_duration_seconds_bucket{rest},le=\"0.004\"}} 0\n"),
            format!("ductape_run_duration_seconds_bucket{rest},le=\"0.008\"}} 3\n"),
            format!("ductape_run_duration_seconds_bucket{rest},le=\"16.384\"}} 3\n"),
            format!("ductape_run_duration_seconds_bucket{rest},le=\"65.536\"}} 6\n"),
            format!("ductape_run_duration_seconds_count{rest}}} 6\n"),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
        assert!(text.contains("target=\"99\"") && !text.contains("target=\"100\""));
        assert_eq!(text.matches("_count{").count(), MAX_HISTOGRAM_TARGETS + 1);
    }
}
