//! Fuzzes the wire format: any text is read as what JavaScript sends, and is part of what is sent to JavaScript.
#![no_main]

#[path = "support/shown.rs"]
mod support;

use ductape::api::intake::{DispatchBatch, outcomes};
use ductape::api::{Defaults, DispatchReader, read_dispatch_many};
use ductape::engine::{HandlerFailure, Level, Reply};
use ductape::error::{Error, ErrorCode, Problem};
use ductape::model::{JobId, Namespace, RetryAfter};
use ductape::node::wire::{
    self, AnswerKind, DispatchForm, MessageKind, NoteKind, SecretAnswer, error_json, json, read_answer, read_answers,
    read_failure,
};
use ductape::store::Token;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use serde_json::{Value, json as value};
use support::shown;

const NOW: i64 = 1_773_583_509_007;

/// Each dispatch of a batch is answered once, and as it is when it comes alone.
fn check_batch(count: u32, text: &str) {
    let batch = DispatchBatch {
        made: std::time::Instant::now(),
        first_ticket: u64::from(count),
        count,
        text: text.to_owned(),
    };
    let tickets: Vec<u64> = batch.tickets().collect();
    let defaults = Defaults::default();
    let outcomes = outcomes(batch, &defaults, NOW);
    assert_eq!(
        outcomes.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(),
        tickets,
        "{text}"
    );
    let lines = text.split('\n').map(Some).chain(std::iter::repeat(None));
    for ((_, outcome), line) in outcomes.iter().zip(lines) {
        let mut words = line.unwrap_or_default().splitn(3, ' ');
        let namespace = words.next().and_then(Namespace::parse_public);
        let (Some(namespace), Some(form), Some(argument)) = (namespace, words.next(), words.next()) else {
            assert!(outcome.is_err(), "{text}: {line:?}");
            continue;
        };
        let alone = if form == DispatchForm::Many.wire() {
            read_dispatch_many(namespace, argument, &defaults, NOW).map(|list| list.len())
        } else if form == DispatchForm::One.wire() {
            DispatchReader::new(&defaults, NOW).read(namespace, argument).map(|_| 1)
        } else {
            // No part has come of any list.
            assert!(outcome.is_err(), "{text}: {line:?}");
            continue;
        };
        let said = |outcome: &Result<usize, Error>| outcome.as_ref().map_err(|error| error_json(error)).cloned();
        assert_eq!(said(outcome), said(&alone), "{text}: {line:?}");
    }
}

/// Whatever JavaScript sends is read, or refused.
fn check_received(text: &str) {
    if let Ok(answers) = read_answers(text) {
        for (_, kind, value) in answers {
            if let Some(Err(failure)) = read_answer(kind, value.get()) {
                assert_eq!(read_failure(value.get()), Some(failure));
            }
        }
    }
    for kind in 0..=u8::MAX {
        let answer = read_answer(kind, text);
        assert!(answer.is_none() || AnswerKind::read(kind).is_some(), "{kind}: {text}");
    }
    let secret = SecretAnswer::read(text);
    let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
    assert!(secret.error.is_some() || is_json, "{text}");
    if let Some(kind) = NoteKind::read(text) {
        assert_eq!(kind.wire(), text);
    }
}

/// What JavaScript writes is read as what it was.
fn check_round_trip(number: i64, text: &str) {
    let quoted = json(&text);
    let any = serde_json::from_str::<&RawValue>(text).map_or(&*quoted, RawValue::get);
    let delay = number % 9_007_199_254_740_992;
    let failure = json(&value!({ "code": text, "message": text, "stack": text, "retryAfter": delay }));
    let list = format!("[[{number},0,{any}],[1,1,{failure}],[2,2,{delay}],[3,3,null],[4,4,null]]");
    let answers = read_answers(&list).expect("a list of answers");
    let read: Vec<_> = answers
        .iter()
        .map(|(key, kind, value)| (*key, read_answer(*kind, value.get())))
        .collect();
    let failed = HandlerFailure {
        code: text.into(),
        message: text.into(),
        stack: Some(text.into()),
        retry_after: Some(RetryAfter::Exactly(delay)),
    };
    let expected = [
        (Token::new(number), Some(Ok(Reply::Done(Some(any.into()))))),
        (Token::new(1), Some(Err(failed))),
        (Token::new(2), Some(Ok(Reply::Snooze(delay)))),
        (Token::new(3), None),
        (Token::new(4), Some(Ok(Reply::Done(None)))),
    ];
    assert_eq!(read, expected, "{list}");
    let secret = SecretAnswer::read(&json(&value!({ "value": text })));
    assert_eq!((secret.value.as_deref(), secret.error), (Some(text), None));
    let secret = SecretAnswer::read(&json(&value!({ "error": text })));
    assert_eq!((secret.value, secret.error.as_deref()), (None, Some(text)));
}

/// What is sent to JavaScript is JSON, and says what it was made of.
fn check_sent(number: i64, text: &str) {
    let quoted = json(&text);
    let ticket = number.unsigned_abs() % 9_007_199_254_740_992;
    let small = u32::try_from(ticket % 0x1_0000).unwrap_or(0);
    let (key, key_value) = (Token::new(number), value!(number));
    let ids = [JobId::parse(text).unwrap_or_else(JobId::generate), JobId::generate()];
    let id_texts = ids.each_ref().map(ToString::to_string);
    let mut error = Error::invalid(vec![Problem::new(text, text)]).with_source(std::io::Error::other(text.to_owned()));
    error.handler_code = (number % 2 == 0).then(|| text.into());
    let code = if number % 2 == 0 {
        text
    } else {
        ErrorCode::ValidationError.as_str()
    };
    // Numbers of which reading and writing makes others are left out.
    let any = serde_json::from_str::<Value>(text).unwrap_or(Value::Null).to_string();
    let any_value: Value = serde_json::from_str(&any).expect("JSON");
    let mut sent = String::from("[");
    let mut expected: Vec<Value> = Vec::new();
    let mut write = |kind: MessageKind, fields: Value, write: &dyn Fn(&mut String) -> std::fmt::Result| {
        if !expected.is_empty() {
            sent.push(',');
        }
        write(&mut sent).expect("a text takes all");
        let mut message = vec![Value::from(kind.wire())];
        message.extend(fields.as_array().cloned().unwrap_or_default());
        expected.push(Value::Array(message));
    };
    write(
        MessageKind::Queued,
        value!([NOW, ticket, id_texts[0], 7, id_texts[1]]),
        &|out| wire::write_queued(out, NOW, [ticket, 7].into_iter().zip(&ids)).map(|count| assert_eq!(count, 2)),
    );
    write(MessageKind::ListQueued, value!([NOW, ticket, id_texts]), &|out| {
        wire::write_list_queued(out, ticket, NOW, &ids)
    });
    write(MessageKind::Resolve, value!([ticket, any_value]), &|out| {
        wire::write_resolve(out, ticket, &any)
    });
    write(MessageKind::Resolve, value!([ticket]), &|out| {
        wire::write_resolve(out, ticket, "")
    });
    let details = value!([{ "path": shown(text), "message": shown(text) }]);
    // A handler's message is the program's own.
    let message = if number % 2 == 0 {
        error.message.clone()
    } else {
        shown(&error.message)
    };
    let wire_error = value!({ "code": code, "message": message, "details": details, "cause": shown(text) });
    write(MessageKind::Reject, value!([ticket, wire_error]), &|out| {
        wire::write_reject(out, ticket, &error_json(&error))
    });
    write(MessageKind::RunHandler, value!([small, key_value, any_value]), &|out| {
        wire::write_run_handler(out, small, key, &any)
    });
    write(MessageKind::Abort, value!([key_value, "CANCELLED", text]), &|out| {
        wire::write_abort(out, key, "CANCELLED", &quoted)
    });
    write(MessageKind::Event, value!([any_value]), &|out| {
        wire::write_event(out, &any)
    });
    write(MessageKind::Log, value!(["warn", text]), &|out| {
        wire::write_log(out, Level::Warn, &quoted)
    });
    write(MessageKind::StartWorking, value!([]), &|out| {
        wire::write_start_working(out)
    });
    write(MessageKind::AskSecret, value!([small, text]), &|out| {
        wire::write_ask_secret(out, small, &quoted)
    });
    sent.push(']');
    assert!(!sent.contains(['\n', '\r']), "{sent}");
    assert_eq!(serde_json::from_str::<Vec<Value>>(&sent).ok(), Some(expected), "{sent}");
}

fuzz_target!(|data: &[u8]| {
    let Some((head, text)) = data.split_first_chunk::<8>() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let number = i64::from_le_bytes(*head);
    check_batch(u32::from(head[0] % 8), text);
    check_received(text);
    check_round_trip(number, text);
    check_sent(number, text);
});
