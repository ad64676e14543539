//! Records, pages of jobs, statistics and history.
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::model::{JobOptions, NewJob, RunError, RunOutcome, RunStatus, Status, TraceContext};
use crate::store::{HistoryPosition, JobSeq, ListFilter, MAX_PAGE_BYTES, Note, NoteKind, RouteId};

pub async fn record_shows_the_current_state(s: &TestStore) {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let options = JobOptions {
        timeout: Some(5),
        trace: TraceContext::parse(parent),
        ..JobOptions::default()
    };
    s.add(NewJob {
        options,
        retries: 4,
        priority: -2,
        ..one_off("x")
    })
    .await;
    let record = s.record("x").await;
    assert_eq!((record.retries, record.priority, record.created_at), (4, -2, T0));
    let stored = format!("{{\"timeout\":5,\"trace\":\"{parent}\"}}");
    assert_eq!(record.options.as_deref(), Some(stored.as_str()));
    assert_eq!((record.started_at, record.updated_at, record.result), (None, T0, None));
    let process = s.process().await;
    let run = s.claim_one(process, T0 + 3).await;
    assert_eq!(run.options, record.options);
    let record = s.record("x").await;
    assert_eq!(
        (record.started_at, record.updated_at, record.attempt),
        (Some(T0 + 3), T0 + 3, 1)
    );
}

pub async fn missing_job_has_no_record(s: &TestStore) {
    assert!(s.store.get(&id("x")).await.unwrap().is_none());
    assert!(s.store.history(&id("x"), 5).await.unwrap().is_none());
}

pub async fn note_on_a_job_that_had_the_number_before_is_dropped(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    let note = |created, text: &str| Note {
        job: run.job,
        created,
        run: run.run,
        attempt: 1,
        at: T0,
        kind: NoteKind::Log(text.into()),
    };
    let notes = vec![note(T0 - 1, "of another"), note(run.created, "of x")];
    s.store.save_notes(notes).await.unwrap();
    let lines = s.store.logs(&id("x")).await.unwrap().unwrap();
    let texts: Vec<&str> = lines.iter().map(|line| &*line.message).collect();
    assert_eq!(texts, ["of x"]);
}

pub async fn pages_are_newest_first_and_follow_their_cursor(s: &TestStore) {
    s.insert((0..25).map(|n| one_off(&n.to_string())).collect()).await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = s
            .store
            .list(ListFilter {
                before,
                limit: 10,
                ..ListFilter::default()
            })
            .await
            .unwrap();
        seen.extend(page.jobs.iter().map(|job| job.id.to_string()));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..25).rev().map(|n| n.to_string()).collect::<Vec<_>>());
}

/// Jobs that differ in state, route, kind and time of dispatch: `1` and `3` queued, `2` cancelled, `4` queued on route
/// `b`, `5` a scheduled series, `6` a scheduled one-off.
async fn insert_assorted_jobs(s: &TestStore) {
    let created_at = |text: &str, created| NewJob {
        created,
        ..one_off(text)
    };
    let due_later = |job: NewJob| NewJob {
        due: Some(T0 + 9),
        ..job
    };
    let elsewhere = NewJob {
        route: route("b").into(),
        ..one_off("4")
    };
    s.insert(vec![
        created_at("1", T0),
        created_at("2", T0 + 1),
        created_at("3", T0 + 2),
        elsewhere,
    ])
    .await;
    s.insert(vec![due_later(series("5")), due_later(one_off("6"))]).await;
    s.store.cancel(&id("2"), None, T0).await.unwrap();
}

/// Checks that the page has these jobs, and that the total is their number.
async fn check_page(s: &TestStore, filter: ListFilter, expected: &[&str]) {
    let page = ListFilter { limit: 9, ..filter };
    assert_eq!(s.list(page.clone()).await, expected, "{page:?}");
    let total_only = ListFilter {
        count_up_to: Some(9),
        limit: 0,
        ..page.clone()
    };
    let counted = s.store.list(total_only).await.unwrap();
    assert_eq!(
        (counted.total, counted.jobs.len()),
        (Some(expected.len()), 0),
        "{page:?}"
    );
}

pub async fn pages_are_filtered_by_state(s: &TestStore) {
    insert_assorted_jobs(s).await;
    let cases: [(&[Status], &[&str]); 3] = [
        (&[Status::Queued], &["4", "3", "1"]),
        (&[Status::Cancelled, Status::Scheduled], &["6", "5", "2"]),
        (&[Status::Failed], &[]),
    ];
    for (statuses, expected) in cases {
        let filter = ListFilter {
            statuses: statuses.to_vec(),
            ..ListFilter::default()
        };
        check_page(s, filter, expected).await;
    }
}

pub async fn pages_are_filtered_by_route(s: &TestStore) {
    insert_assorted_jobs(s).await;
    let (a, b) = (s.route_id("a").await, s.route_id("b").await);
    let cases: [(Vec<RouteId>, &[Status], &[&str]); 3] = [
        (vec![b], &[], &["4"]),
        (vec![a, b], &[Status::Queued], &["4", "3", "1"]),
        (vec![], &[], &[]),
    ];
    for (routes, statuses, expected) in cases {
        let filter = ListFilter {
            routes: Some(routes),
            statuses: statuses.to_vec(),
            ..ListFilter::default()
        };
        check_page(s, filter, expected).await;
    }
}

pub async fn pages_are_filtered_by_kind_and_time(s: &TestStore) {
    insert_assorted_jobs(s).await;
    let series = ListFilter {
        recurring: Some(true),
        ..ListFilter::default()
    };
    check_page(s, series, &["5"]).await;
    let scheduled_one_offs = ListFilter {
        recurring: Some(false),
        statuses: vec![Status::Scheduled],
        ..ListFilter::default()
    };
    check_page(s, scheduled_one_offs, &["6"]).await;
    let of_one_millisecond = ListFilter {
        from: Some(T0 + 1),
        to: Some(T0 + 1),
        ..ListFilter::default()
    };
    check_page(s, of_one_millisecond, &["2"]).await;
}

pub async fn a_rare_state_is_found_among_many_jobs(s: &TestStore) {
    let process = s.process().await;
    s.add(one_off("failed")).await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, failed(), T0).await;
    s.add(one_off("running")).await;
    s.claim_one(process, T0).await;
    s.insert(
        (0..2_000)
            .map(|n| NewJob {
                due: Some(T0 + 5),
                ..one_off(&n.to_string())
            })
            .collect(),
    )
    .await;
    for status in [Status::Failed, Status::Running] {
        let filter = ListFilter {
            statuses: vec![status],
            limit: 5,
            ..ListFilter::default()
        };
        assert_eq!(s.list(filter).await, [status.as_str()]);
    }
    let filter = ListFilter {
        statuses: vec![Status::Scheduled],
        limit: 2,
        before: Some(JobSeq::new(9)),
        ..ListFilter::default()
    };
    assert_eq!(s.list(filter).await, ["5", "4"]);
}

pub async fn pages_of_a_rare_state_follow_their_cursor(s: &TestStore) {
    let process = s.process().await;
    for text in ["1", "2", "3"] {
        s.add(one_off(text)).await;
        let run = s.claim_one(process, T0).await;
        s.complete(process, &run, failed(), T0).await;
    }
    s.insert((10..1_000).map(|n| one_off(&n.to_string())).collect()).await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let filter = ListFilter {
            statuses: vec![Status::Failed],
            before,
            limit: 1,
            ..ListFilter::default()
        };
        let page = s.store.list(filter).await.unwrap();
        seen.extend(page.jobs.iter().map(|job| job.id.to_string()));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["3", "2", "1"]);
}

pub async fn a_common_state_is_found_behind_thousands_of_newer_jobs(s: &TestStore) {
    const OLD: usize = 5_000;
    let old = |n: usize| NewJob {
        route: route(if n.is_multiple_of(5) { "b" } else { "a" }).into(),
        ..one_off(&format!("old-{n}"))
    };
    let new = |n: usize| NewJob {
        due: Some(T0 + DAY),
        ..one_off(&format!("new-{n}"))
    };
    s.insert((0..OLD).map(old).collect()).await;
    s.insert((0..4_000).map(new).collect()).await;
    let routes = [None, Some(vec![s.route_id("b").await])];
    for (routes, step) in routes.into_iter().zip([1, 5]) {
        let mut filter = ListFilter {
            statuses: vec![Status::Queued],
            routes,
            limit: 700,
            ..ListFilter::default()
        };
        let mut found = Vec::new();
        loop {
            let page = s.store.list(filter.clone()).await.unwrap();
            found.extend(page.jobs.iter().map(|job| job.id.to_string()));
            filter.before = page.next;
            if page.next.is_none() {
                break;
            }
        }
        let expected: Vec<_> = (0..OLD)
            .rev()
            .filter(|n| n.is_multiple_of(step))
            .map(|n| format!("old-{n}"))
            .collect();
        assert_eq!(found, expected);
    }
}

pub async fn offset_skips_matching_jobs(s: &TestStore) {
    s.insert(
        (0..9)
            .map(|n| NewJob {
                due: Some(T0 + n % 3),
                ..one_off(&n.to_string())
            })
            .collect(),
    )
    .await;
    let filter = ListFilter {
        statuses: vec![Status::Queued],
        offset: 1,
        limit: 1,
        ..ListFilter::default()
    };
    assert_eq!(s.list(filter).await, ["3"]);
    assert_eq!(
        s.list(ListFilter {
            offset: 7,
            limit: 9,
            ..ListFilter::default()
        })
        .await,
        ["1", "0"]
    );
}

pub async fn totals_are_counted_up_to_a_bound(s: &TestStore) {
    s.insert((0..9).map(|n| one_off(&n.to_string())).collect()).await;
    for (bound, total) in [(5, 5), (100, 9)] {
        let everything = ListFilter {
            limit: 2,
            count_up_to: Some(bound),
            ..ListFilter::default()
        };
        assert_eq!(s.store.list(everything.clone()).await.unwrap().total, Some(total));
        let walked = ListFilter {
            recurring: Some(false),
            before: Some(JobSeq::new(3)),
            ..everything
        };
        assert_eq!(s.store.list(walked).await.unwrap().total, Some(total));
    }
}

pub async fn stats_count_jobs_by_state_and_runs_by_outcome(s: &TestStore) {
    s.insert(vec![
        one_off("1"),
        one_off("2"),
        NewJob {
            route: route("b").into(),
            ..one_off("3")
        },
        series("4"),
    ])
    .await;
    s.add(NewJob {
        due: Some(T0 + 40 * DAY),
        ..one_off("5")
    })
    .await;
    let process = s.process().await;
    let runs = s.claim_with(process, T0, 2).await.runs;
    s.complete(process, &runs[0], done(), T0).await;
    let stats = s.store.stats(None).await.unwrap();
    assert_eq!(
        (stats.by_status, stats.first_try, stats.failed_runs),
        ([2, 1, 1, 1, 0, 0, 0], 1, 0)
    );
    let b = s.route_id("b").await;
    assert_eq!(
        s.store.stats(Some(vec![b, b])).await.unwrap().by_status,
        [0, 1, 0, 0, 0, 0, 0]
    );
    let by_route = s.store.stats_by_route().await.unwrap();
    let of_b = by_route.iter().find(|(route, _)| *route == b);
    assert_eq!(of_b.map(|(_, stats)| stats.by_status), Some([0, 1, 0, 0, 0, 0, 0]));
    let all = by_route.iter().map(|(_, stats)| stats.by_status.iter().sum::<i64>());
    assert_eq!(all.sum::<i64>(), 5);
}

pub async fn history_lists_attempts_newest_first(s: &TestStore) {
    s.add(NewJob {
        retries: 2,
        ..one_off("x")
    })
    .await;
    let process = s.process().await;
    for attempt in 0..2 {
        let run = s.claim_one(process, T0 + attempt).await;
        s.complete(process, &run, retry(T0 + attempt + 1), T0 + attempt).await;
    }
    let run = s.claim_one(process, T0 + 2).await;
    s.complete(process, &run, done(), T0 + 3).await;
    let history = s.store.history(&id("x"), 2).await.unwrap().unwrap();
    assert_eq!((history.executions, history.succeeded, history.failed), (1, 1, 0));
    let entries: Vec<_> = history
        .entries
        .iter()
        .map(|entry| (entry.attempt, entry.status))
        .collect();
    assert_eq!(entries, [(3, RunStatus::Completed), (2, RunStatus::Retried)]);
    assert_eq!(
        (history.entries[1].error.clone(), history.entries[0].result.as_deref()),
        (Some(failure()), Some("42"))
    );
}

pub async fn routes_are_numbered_once(s: &TestStore) {
    s.insert(vec![
        one_off("1"),
        NewJob {
            route: route("b").into(),
            ..one_off("2")
        },
        one_off("3"),
    ])
    .await;
    let routes = s.routes().await;
    assert_eq!(
        routes.iter().map(|known| known.route.clone()).collect::<Vec<_>>(),
        [route("a"), route("b")]
    );
    let later = s.store.routes_after(routes[0].mark).await.unwrap();
    assert!(!later.are_all);
    assert_eq!(later.routes, routes[1..]);
}

pub async fn history_is_read_page_by_page(s: &TestStore) {
    s.add(NewJob {
        retries: 9,
        ..one_off("x")
    })
    .await;
    let process = s.process().await;
    for attempt in 0..5 {
        let run = s.claim_one(process, T0 + attempt).await;
        s.complete(process, &run, retry(T0 + attempt + 1), T0 + attempt).await;
    }
    let (mut found, mut before) = (Vec::new(), HistoryPosition::NEWEST);
    for (number, next) in [(2, true), (2, true), (1, false)] {
        let page = s.store.history_before(&id("x"), 2, before).await.unwrap().unwrap();
        assert_eq!((page.entries.len(), page.next.is_some()), (number, next));
        found.extend(page.entries.iter().map(|entry| entry.attempt));
        before = page.next.unwrap_or(before);
    }
    assert_eq!(found, [5, 4, 3, 2, 1]);
    // A page that the rest just fills is the last one.
    let page = s.store.history(&id("x"), 5).await.unwrap().unwrap();
    assert_eq!((page.entries.len(), page.next), (5, None));
}

pub async fn history_page_of_large_results_is_bounded_by_their_bytes(s: &TestStore) {
    const ATTEMPTS: i64 = 7;
    s.add(NewJob {
        retries: 9,
        ..one_off("x")
    })
    .await;
    let process = s.process().await;
    for attempt in 0..ATTEMPTS {
        let run = s.claim_one(process, T0 + attempt).await;
        let outcome = RunOutcome::Retry {
            error: RunError {
                message: "x".repeat(MAX_PAGE_BYTES / 4).into(),
                ..failure()
            },
            due: T0 + attempt + 1,
        };
        s.complete(process, &run, outcome, T0 + attempt).await;
    }
    let first = s.store.history(&id("x"), 100).await.unwrap().unwrap();
    assert_eq!(first.entries.len(), 5, "one more than reaches the bound");
    let rest = s.store.history_before(&id("x"), 100, first.next.unwrap()).await;
    let rest = rest.unwrap().unwrap();
    let attempts: Vec<_> = rest.entries.iter().map(|entry| entry.attempt).collect();
    assert_eq!((attempts, rest.next), (vec![2, 1], None));
}
