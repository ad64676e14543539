//! The table of reasons: facts on the left, codes on the right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::model::{JobId, Namespace, Rule, RunError};
use crate::store::{InstanceId, JobSeq, RouteId};

const NOW: Millis = 1_767_225_600_000;
const HERE: InstanceId = InstanceId::new(7);
const WORKING: WorkerState = WorkerState::Working { busy: 1, slots: 10 };
const SERVED: HandlerState = HandlerState::Handler {
    running: 1,
    concurrency: None,
};

fn record(status: Status) -> JobRecord {
    JobRecord {
        job: JobSeq::new(1),
        id: JobId::Custom("x".into()),
        route: RouteId::new(1),
        status,
        scheduled_at: NOW,
        started_at: None,
        completed_at: Some(NOW - 5).filter(|_| status.is_ended()),
        recurrence: None,
        next_run_at: None,
        execution_count: 0,
        priority: 0,
        retries: 0,
        attempt: 0,
        crashes: 0,
        error: None,
        cancel_reason: None,
        options: None,
        input: "{}".into(),
        result: None,
        progress: None,
        last_run: None,
        failing: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn found(record: JobRecord, position: RunPosition) -> RunLocation {
    RunLocation {
        record,
        position,
        last_attempt: None,
    }
}

fn keyed() -> JobRecord {
    JobRecord {
        options: Some(r#"{"concurrency":{"key":"account/7","limit":9}}"#.into()),
        ..record(Status::Queued)
    }
}

fn decide(found: &RunLocation, worker: WorkerState, handler: HandlerState) -> Vec<Reason> {
    reasons(&facts(found, &route(), worker, handler))
}

fn route() -> Route {
    Route {
        namespace: Namespace::Features,
        product: "shop".into(),
        env: "prd".into(),
        target: vec!["resize".into()],
    }
}

fn facts<'a>(found: &'a RunLocation, route: &'a Route, worker: WorkerState, handler: HandlerState) -> Facts<'a> {
    Facts {
        now: NOW,
        found,
        route,
        instance: Some(HERE),
        worker,
        handler,
        left_to_handlers: None,
        hold: None,
        another_runs_alone: false,
        clock_skew: None,
    }
}

fn codes(found: &RunLocation, worker: WorkerState, handler: HandlerState) -> Vec<&'static str> {
    decide(found, worker, handler)
        .iter()
        .map(|reason| reason.code)
        .collect()
}

fn message(found: &RunLocation) -> String {
    decide(found, WORKING, SERVED).remove(0).message
}

/// A run's place, this instance's worker, its handler for the route, and the codes that follow.
type Case = (RunLocation, WorkerState, HandlerState, &'static [&'static str]);

const FULL: WorkerState = WorkerState::Working { busy: 10, slots: 10 };
const BUSY: HandlerState = HandlerState::Handler {
    running: 2,
    concurrency: Some(2),
};

fn assert_codes(cases: Vec<Case>) {
    for (found, worker, handler, expected) in cases {
        assert_eq!(
            codes(&found, worker, handler),
            expected,
            "{found:?} {worker:?} {handler:?}"
        );
    }
}

fn ready(ahead: usize) -> RunLocation {
    found(record(Status::Queued), RunPosition::Ready { due: NOW - 1, ahead })
}

fn waiting(due: Millis) -> RunLocation {
    found(record(Status::Scheduled), RunPosition::Waiting { due })
}

#[test]
fn what_waits_for_its_time_tells_of_a_clock_that_is_wrong() {
    let route = route();
    let codes = |found: &RunLocation| {
        let facts = Facts {
            clock_skew: Some(-600_000),
            ..facts(found, &route, WORKING, SERVED)
        };
        let reasons = reasons(&facts).into_iter();
        reasons.map(|reason| (reason.code, reason.message)).collect::<Vec<_>>()
    };
    let waits = codes(&waiting(NOW + 1));
    assert_eq!(waits[0].0, "NOT_DUE");
    assert_eq!(waits[1].0, "CLOCK_SKEW");
    assert!(waits[1].1.contains("10 min 0 s behind"), "{waits:?}");
    assert_eq!(codes(&ready(0))[0].0, "READY");
}

#[test]
fn ready_run_says_what_keeps_it_from_running() {
    let none = HandlerState::NoHandler;
    let free = HandlerState::Handler {
        running: 1,
        concurrency: Some(2),
    };
    assert_codes(vec![
        (ready(0), WORKING, SERVED, &["READY"]),
        (waiting(NOW), WORKING, free, &["READY"]),
        (ready(0), WORKING, none, &["NO_HANDLER"]),
        (ready(0), WORKING, HandlerState::Excluded, &["NO_HANDLER"]),
        (ready(0), WorkerState::Off, none, &["WORKER_OFF"]),
        (ready(0), WorkerState::Idle, none, &["WORKER_OFF", "NO_HANDLER"]),
        (ready(0), WorkerState::Unregistered, SERVED, &["WORKER_OFF"]),
        (ready(0), FULL, SERVED, &["NO_FREE_SLOT"]),
        (ready(0), WORKING, BUSY, &["HANDLER_BUSY"]),
        (ready(2), FULL, BUSY, &["HANDLER_BUSY", "NO_FREE_SLOT", "BEHIND_OTHERS"]),
        (ready(2), WORKING, none, &["NO_HANDLER", "BEHIND_OTHERS"]),
    ]);
}

#[test]
fn blocked_run_names_its_concurrency_limit() {
    let blocked = || {
        let position = RunPosition::Blocked {
            due: NOW - 1,
            running: 3,
            limit: 2,
        };
        found(keyed(), position)
    };
    assert_codes(vec![
        (blocked(), WORKING, SERVED, &["CONCURRENCY_LIMIT"]),
        (blocked(), WORKING, BUSY, &["CONCURRENCY_LIMIT", "HANDLER_BUSY"]),
        (
            blocked(),
            WORKING,
            HandlerState::NoHandler,
            &["NO_HANDLER", "CONCURRENCY_LIMIT"],
        ),
    ]);
}

#[test]
fn run_that_is_not_to_run_now_says_why() {
    let none = HandlerState::NoHandler;
    let paused = || found(record(Status::Paused), RunPosition::Ready { due: NOW, ahead: 3 });
    let running = |instance| {
        let since = NOW - 9;
        found(record(Status::Running), RunPosition::Running { instance, since })
    };
    let ended = |status| found(record(status), RunPosition::Idle);
    assert_codes(vec![
        (waiting(NOW + 1), FULL, BUSY, &["NOT_DUE"]),
        (waiting(NOW + 1), WORKING, none, &["NOT_DUE", "NO_HANDLER"]),
        (waiting(NOW + 1), WorkerState::Off, none, &["NOT_DUE", "WORKER_OFF"]),
        (paused(), FULL, SERVED, &["PAUSED"]),
        (paused(), WORKING, none, &["PAUSED", "NO_HANDLER"]),
        (running(HERE), WORKING, SERVED, &["LEASE_HELD"]),
        (running(HERE.plus(1)), WorkerState::Off, none, &["LEASE_HELD"]),
        (ended(Status::Completed), WORKING, none, &["ENDED"]),
        (ended(Status::Failed), WORKING, SERVED, &["ENDED"]),
        (ended(Status::Cancelled), WORKING, SERVED, &["ENDED"]),
    ]);
}

fn recurring(status: Status, limit: Option<i64>, end_at: Option<Millis>) -> JobRecord {
    let recurrence = Recurrence {
        limit,
        end_at,
        ..Recurrence::new(Rule::Every {
            interval: 1_000,
            anchor: 0,
        })
    };
    JobRecord {
        recurrence: Some(serde_json::to_string(&recurrence).unwrap().into()),
        execution_count: 4,
        ..record(status)
    }
}

#[test]
fn a_schedule_that_cannot_be_computed_is_said_to_be_left_to_others() {
    let recurrence = Recurrence::new(Rule::Cron {
        text: "0 9 * * *".into(),
        tz: "Mars/Olympus".into(),
    });
    let record = |next_run_at, status| JobRecord {
        recurrence: Some(serde_json::to_string(&recurrence).unwrap().into()),
        next_run_at: Some(next_run_at),
        ..record(status)
    };
    let overdue = found(record(NOW - 1, Status::Scheduled), RunPosition::Idle);
    assert_eq!(codes(&overdue, WORKING, SERVED), ["INCOMPUTABLE"]);
    let said = message(&overdue);
    assert!(said.contains("cannot compute its schedule"), "{said}");
    assert!(said.contains("`Mars/Olympus` is not a known time zone"), "{said}");
    let later = found(record(NOW + 1, Status::Scheduled), RunPosition::Idle);
    assert_eq!(codes(&later, WORKING, SERVED), ["NOT_DUE", "INCOMPUTABLE"]);
    let paused = found(record(NOW - 1, Status::Paused), RunPosition::Idle);
    assert_eq!(codes(&paused, WORKING, SERVED), ["PAUSED", "INCOMPUTABLE"]);
    // A run that is there already is done.
    let ready = found(
        record(NOW - 1, Status::Queued),
        RunPosition::Ready { due: NOW, ahead: 0 },
    );
    assert_eq!(codes(&ready, WORKING, SERVED), ["READY"]);
}

#[test]
fn a_series_waits_for_its_next_run_and_says_why_it_is_over() {
    let resting = found(
        JobRecord {
            next_run_at: Some(NOW + 90_000),
            ..recurring(Status::Scheduled, None, None)
        },
        RunPosition::Idle,
    );
    assert_eq!(codes(&resting, WORKING, SERVED), ["NOT_DUE"]);
    assert!(message(&resting).ends_with("in 1 min 30 s"), "{}", message(&resting));
    let overdue = found(
        JobRecord {
            next_run_at: Some(NOW - 1),
            ..recurring(Status::Scheduled, None, None)
        },
        RunPosition::Idle,
    );
    assert_eq!(
        codes(&overdue, WorkerState::Off, HandlerState::NoHandler),
        ["WORKER_OFF"]
    );
    for (limit, end, words) in [
        (Some(4), None, "it had the 4 runs of its `limit`"),
        (
            Some(9),
            Some(NOW),
            "no run falls before its `endDate`, 2026-01-01T00:00:00",
        ),
        (None, None, "its schedule has no further time"),
    ] {
        let over = found(recurring(Status::Completed, limit, end), RunPosition::Idle);
        assert_eq!(codes(&over, WORKING, SERVED), ["SERIES_OVER"]);
        assert!(message(&over).contains(words), "{}", message(&over));
    }
}

#[test]
fn a_retry_says_which_attempt_comes_and_why() {
    let waiting = RunLocation {
        last_attempt: Some(RunStatus::Retried),
        ..found(
            JobRecord {
                retries: 3,
                attempt: 2,
                crashes: 1,
                error: Some(RunError::new("TIMEOUT", "too slow", None)),
                ..record(Status::Scheduled)
            },
            RunPosition::Waiting { due: NOW + 2_500 },
        )
    };
    assert_eq!(codes(&waiting, WORKING, SERVED), ["WAITING_FOR_RETRY"]);
    let message = message(&waiting);
    assert!(
        message.starts_with("attempt 3 of 5 is due at 2026-01-01T00:00:02"),
        "{message}"
    );
    assert!(
        message.ends_with("in 2500 ms; attempt 2 failed with TIMEOUT: too slow"),
        "{message}"
    );
    let snoozed = RunLocation {
        last_attempt: Some(RunStatus::Snoozed),
        ..waiting
    };
    assert_eq!(codes(&snoozed, WORKING, SERVED), ["SNOOZED"]);
}

#[test]
fn a_run_whose_process_died_says_how_often_and_what_it_waits_for() {
    let crashed = |crashes, status| JobRecord {
        attempt: crashes,
        crashes,
        ..record(status)
    };
    let waiting = RunLocation {
        last_attempt: Some(RunStatus::Crashed),
        ..found(crashed(2, Status::Scheduled), RunPosition::Waiting { due: NOW + 1_000 })
    };
    assert_eq!(codes(&waiting, WORKING, SERVED), ["WAITING_FOR_RETRY"]);
    let text = message(&waiting);
    assert!(
        text.starts_with("attempt 3 is due at") && text.ends_with("its process died 2 times"),
        "{text}"
    );
    let ready = |crashes| {
        found(
            crashed(crashes, Status::Queued),
            RunPosition::Ready { due: NOW, ahead: 0 },
        )
    };
    assert_eq!(codes(&ready(2), WORKING, SERVED), ["READY"]);
    assert_eq!(codes(&ready(3), WORKING, SERVED), ["RUNS_ALONE"]);
    assert!(message(&ready(3)).ends_with("its process died 3 times"));
}

#[test]
fn a_running_job_names_the_instance_that_runs_it() {
    let held = |instance| {
        let record = JobRecord {
            attempt: 1,
            retries: 2,
            ..record(Status::Running)
        };
        found(
            record,
            RunPosition::Running {
                instance,
                since: NOW - 75_000,
            },
        )
    };
    assert!(message(&held(HERE)).starts_with("attempt 1 of 3 is running in this instance since "));
    assert!(message(&held(InstanceId::new(9))).contains("another process or instance (registration 9)"));
    assert!(message(&held(InstanceId::new(9))).ends_with("for 1 min 15 s"));
}

#[test]
fn durations_are_shown_in_two_units() {
    for (ms, words) in [
        (-4, "0 ms"),
        (9_999, "9999 ms"),
        (59_999, "59 s"),
        (3_599_999, "59 min 59 s"),
        (86_399_999, "23 h 59 min"),
        (200_000_000, "2 d 7 h"),
    ] {
        assert_eq!(format_duration(ms), words);
    }
}

#[test]
fn an_exhausted_concurrency_key_is_named_with_its_runs_and_limit() {
    let behind = RunPosition::Blocked {
        due: NOW,
        running: 3,
        limit: 2,
    };
    let said = message(&found(keyed(), behind));
    assert_eq!(
        said,
        "its `concurrency` key 'account/7' is used up: 3 runs with it are going, its limit is 2"
    );
}
