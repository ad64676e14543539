//! Fuzzes dispatches as JavaScript sends them: any text is the argument of `dispatch` and `dispatchMany`, in each namespace.
#![no_main]

#[path = "support/shown.rs"]
mod support;

use ductape::api::{Defaults, Dispatch, DispatchReader, read_dispatch_many};
use ductape::error::{Error, ErrorCode};
use ductape::model::{Namespace, NewJob, Recurrence};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use support::shown;

const NAMESPACES: [&str; 9] = [
    "actions",
    "features",
    "notifications",
    "storage",
    "events",
    "databases.action",
    "databases",
    "graphs.action",
    "graphs",
];
/// What a dispatch is refused with.
const CODES: [ErrorCode; 5] = [
    ErrorCode::ValidationError,
    ErrorCode::InvalidSchedule,
    ErrorCode::InvalidCron,
    ErrorCode::InvalidTimezone,
    ErrorCode::InvalidExpression,
];
/// Members that a problem may name where they are missing.
const REQUIRED: [&str; 20] = [
    "product",
    "env",
    "app",
    "event",
    "tag",
    "notification",
    "storage",
    "broker",
    "database",
    "operation",
    "graph",
    "input",
    "message",
    "fileName",
    "device_tokens",
    "recipients",
    "key",
    "limit",
    "token",
    "cron",
];
/// Characters of a key that a path shows: messages cut it here or there.
const SHOWN_CHARS: usize = 60;
const NOW: i64 = 1_773_583_509_007;

fn defaults() -> Defaults {
    Defaults {
        max_input_bytes: 2_000,
        ..Defaults::default()
    }
}

fn read(namespace: Namespace, text: &str) -> Result<Dispatch, Error> {
    DispatchReader::new(&defaults(), NOW).read(namespace, text)
}

/// Whether `path` leads from `value` to something that is there, or to a member that is missing in what is there.
fn leads_somewhere(value: &Value, path: &str) -> bool {
    if path.is_empty() {
        return true;
    }
    match value {
        // A key may begin with a dot itself.
        Value::Object(entries) => [Some(path), path.strip_prefix('.')].into_iter().flatten().any(|path| {
            // A literal is looked through.
            let literal = entries.get("$literal").filter(|_| entries.len() == 1);
            REQUIRED.contains(&path)
                || literal.is_some_and(|inner| leads_somewhere(inner, path))
                || entries.iter().any(|(key, inner)| {
                    let mut keys = spellings(key).into_iter();
                    keys.any(|key| {
                        path.strip_prefix(&*key)
                            .is_some_and(|rest| leads_somewhere(inner, rest))
                    })
                })
        }),
        Value::Array(list) => {
            let index = path.strip_prefix('[').and_then(|path| path.split_once(']'));
            index.is_some_and(|(index, rest)| {
                let inner = index.parse::<usize>().ok().and_then(|index| list.get(index));
                inner.is_some_and(|inner| leads_somewhere(inner, rest))
            })
        }
        _ => false,
    }
}

/// A key as paths show it: as it is or with its escapes, of JSON or of what nobody sees, and shortened.
fn spellings(key: &str) -> Vec<String> {
    let quoted = Value::from(key).to_string();
    let escaped = &quoted[1..quoted.len() - 1];
    let mut spellings = Vec::new();
    for text in [key, escaped] {
        for most in [usize::MAX, SHOWN_CHARS, 40] {
            // What nobody sees is escaped in what was cut.
            let cut: String = text.chars().take(most).collect();
            for spelling in [shown(&cut), cut] {
                spellings.push(format!("{spelling}…"));
                spellings.push(spelling);
            }
        }
    }
    spellings
}

/// A refusal says what is wrong, by a code of the list and with the place.
fn check_refusal(error: &Error, argument: &Value) {
    assert!(CODES.contains(&error.code), "{argument}: {error:?}");
    assert!(!error.details.is_empty(), "{argument}: {error:?}");
    for problem in &error.details {
        assert!(CODES.contains(&problem.code), "{argument}: {problem:?}");
        assert!(leads_somewhere(argument, &problem.path), "{argument}: {problem:?}");
        assert!(problem.message.len() < 2_000, "{argument}: {problem:?}");
    }
}

/// What was accepted is stored as JSON and read back as what it was.
fn check_accepted(dispatch: &Dispatch, text: &str) {
    let job = &dispatch.job;
    assert!(text.contains(&*job.input), "{text} has the input {}", job.input);
    let options = serde_json::to_string(&job.options).expect("options are JSON");
    assert_eq!(
        serde_json::from_str(&options).ok().as_ref(),
        Some(&job.options),
        "{text}"
    );
    let recurrence = serde_json::to_string(&job.recurrence).expect("a recurrence is JSON");
    assert_eq!(
        serde_json::from_str(&recurrence).ok().as_ref(),
        Some(&job.recurrence),
        "{text}"
    );
    let target = serde_json::to_string(&job.route.target).expect("a target is JSON");
    assert_eq!(
        serde_json::from_str(&target).ok().as_ref(),
        Some(&job.route.target),
        "{text}"
    );
    assert_eq!(job.route.target.len(), job.route.namespace.target_fields().len());
    for part in [&job.route.product, &job.route.env]
        .into_iter()
        .chain(&job.route.target)
    {
        assert!(
            !part.is_empty() && part.chars().count() <= 255 && !part.chars().any(char::is_control),
            "{text}"
        );
    }
    assert!(job.recurrence.is_some() || job.due.is_some(), "{text} is never due");
}

fn assert_same(one: &Dispatch, other: &Dispatch, text: &str) {
    let (one, other) = (&one.job, &other.job);
    assert_eq!(
        (&one.route, one.priority, one.retries),
        (&other.route, other.priority, other.retries),
        "{text}"
    );
    assert_eq!(one.options, other.options, "{text}");
    assert_eq!(
        (&one.input, one.on_conflict),
        (&other.input, other.on_conflict),
        "{text}"
    );
    // The place within a `spread` goes by the id, which may be drawn.
    if one.id == other.id || one.recurrence.is_none() {
        assert_eq!((one.due, &one.recurrence), (other.due, &other.recurrence), "{text}");
    } else {
        let unplaced = |job: &NewJob| {
            job.recurrence.clone().map(|recurrence| Recurrence {
                offset: 0,
                ..recurrence
            })
        };
        assert_eq!(unplaced(one), unplaced(other), "{text}");
    }
}

/// A list is all of its dispatches, or the problems of all.
fn check_list(namespace: Namespace, text: &str, alone: &Result<Dispatch, Error>) {
    let list = read_dispatch_many(namespace, &format!("[{text},{text}]"), &defaults(), NOW);
    match (alone, list) {
        (Ok(one), Ok(several)) => {
            assert_eq!(several.len(), 2);
            several.iter().for_each(|other| assert_same(one, other, text));
        }
        (Err(one), Err(several)) => {
            let paths = |index: usize| {
                one.details.iter().map(move |problem| match &*problem.path {
                    "" => format!("[{index}]"),
                    path => format!("[{index}].{path}"),
                })
            };
            let expected: Vec<String> = paths(0).chain(paths(1)).take(101).collect();
            let given = several.details.iter().map(|problem| problem.path.clone());
            assert_eq!(given.take(101).collect::<Vec<_>>(), expected, "{text}");
        }
        (one, several) => panic!("{text}: {one:?} alone, {several:?} in a list"),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let name = NAMESPACES[usize::from(*choice) % NAMESPACES.len()];
    let namespace = Namespace::parse_public(name).expect("a namespace");
    if let Err(error) = read_dispatch_many(namespace, text, &defaults(), NOW) {
        assert!(CODES.contains(&error.code), "{text}: {error:?}");
    }
    let read_once = read(namespace, text);
    match &read_once {
        Ok(dispatch) => check_accepted(dispatch, text),
        Err(error) => assert!(CODES.contains(&error.code), "{text}: {error:?}"),
    }
    // As `JSON.stringify` writes it: no key twice, nothing escaped without need. A lone surrogate is JSON, and no text.
    let Ok(argument) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let written = argument.to_string();
    let alone = read(namespace, &written);
    match &alone {
        Ok(dispatch) => {
            check_accepted(dispatch, &written);
            assert_same(dispatch, &read(namespace, &written).expect("accepted before"), &written);
        }
        Err(error) => check_refusal(error, &argument),
    }
    check_list(namespace, &written, &alone);
});
