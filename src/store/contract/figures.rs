//! Figures over time.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::clock::Millis;
use crate::model::Figures;
use crate::store::{FigureQuery, FigureSpan, FigureSums, RouteFigures, RouteId};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
/// The beginning of an hour.
const AT: Millis = 1_767_225_600_000;

fn minute(at: Millis, route: i64, completed: u64) -> RouteFigures {
    let mut figures = Figures {
        completed,
        ..Figures::default()
    };
    for _ in 0..completed {
        figures.duration.record(100);
    }
    RouteFigures {
        at,
        route: RouteId::new(route),
        figures,
    }
}

async fn sums(s: &TestStore, span: FigureSpan, (from, to): (Millis, Millis), routes: Option<&[i64]>) -> FigureSums {
    let routes = routes.map(|routes| routes.iter().copied().map(RouteId::new).collect());
    let query = FigureQuery { span, from, to, routes };
    s.store.figures(query).await.unwrap()
}

fn by_time(sums: &FigureSums) -> Vec<(Millis, u64)> {
    sums.by_time.iter().map(|(at, sum)| (at - AT, sum.completed)).collect()
}

fn by_route(sums: &FigureSums) -> Vec<(i64, u64)> {
    sums.by_route
        .iter()
        .map(|(route, sum)| (route.get(), sum.completed))
        .collect()
}

pub async fn figures_of_several_processes_are_added_up_by_minute_and_by_hour(s: &TestStore) {
    s.store
        .add_figures(vec![minute(AT, 1, 1), minute(AT, 2, 10), minute(AT + HOUR, 1, 100)])
        .await
        .unwrap();
    s.store
        .add_figures(vec![minute(AT, 1, 2), minute(AT + MINUTE, 1, 3)])
        .await
        .unwrap();
    let all = (AT, AT + HOUR);
    let minutes = sums(s, FigureSpan::Minute, all, None).await;
    assert_eq!(by_time(&minutes), [(0, 13), (MINUTE, 3), (HOUR, 100)]);
    assert_eq!(by_route(&minutes), [(1, 106), (2, 10)]);
    let hours = sums(s, FigureSpan::Hour, all, None).await;
    assert_eq!(by_time(&hours), [(0, 16), (HOUR, 100)]);
    assert_eq!(by_route(&hours), by_route(&minutes));
    assert_eq!(hours.by_time[&AT].duration.len(), 16);
    let some = sums(s, FigureSpan::Minute, (AT, AT + MINUTE), Some(&[2, 3])).await;
    assert_eq!((by_time(&some), by_route(&some)), (vec![(0, 10)], vec![(2, 10)]));
    let none = sums(s, FigureSpan::Minute, (AT, AT + HOUR), Some(&[])).await;
    assert_eq!(none, FigureSums::default());
}

pub async fn figures_added_at_the_same_time_are_all_counted(s: &TestStore) {
    let routes: Vec<i64> = (0..40).collect();
    // Each in another order.
    let add = |first: usize| {
        let mut minutes: Vec<_> = routes.iter().map(|route| minute(AT, *route, 2)).collect();
        minutes.rotate_left(first);
        s.store.add_figures(minutes)
    };
    let (one, two, three, four) = tokio::join!(add(0), add(10), add(20), add(30));
    for added in [one, two, three, four] {
        added.unwrap();
    }
    let found = sums(s, FigureSpan::Minute, (AT, AT), None).await;
    assert_eq!(by_time(&found), [(0, 320)]);
    assert!(found.by_route.values().all(|sum| sum.completed == 8));
}

pub async fn old_figures_are_deleted(s: &TestStore) {
    let minutes = (0..1_300).map(|n| minute(AT + n * MINUTE, 1, 1)).collect();
    s.store.add_figures(minutes).await.unwrap();
    let (minutes_before, hours_before) = (AT + 1_200 * MINUTE, AT + 2 * HOUR);
    let mut deleted = 0;
    loop {
        let some = s.store.sweep_figures(minutes_before, hours_before).await.unwrap();
        deleted += some;
        if some == 0 {
            break;
        }
        // Others get their turn between.
        assert!(some <= 1_000, "{some}");
    }
    assert_eq!(deleted, 1_202);
    let all = (AT, AT + 2_000 * MINUTE);
    let (minutes, hours) = (
        sums(s, FigureSpan::Minute, all, None).await,
        sums(s, FigureSpan::Hour, all, None).await,
    );
    assert_eq!((minutes.by_time.len(), hours.by_time.len()), (100, 20));
}
