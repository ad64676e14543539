//! The wire format between Rust and JavaScript. `lib/protocol.js` is the other side; `docs/design/boundary.md` has the table.
//!
//! Knows texts only: no queue, no thread, no `napi`. Invariant: every kind that crosses is named here and in
//! `lib/protocol.js`, and its letter or number is written nowhere else; `__test__/protocol.test.ts` compares both with the table.

use crate::engine::spans::Carried;
use crate::engine::{HandlerFailure, Level, Reply};
use crate::error::{Error, Problem};
use crate::model::{JobId, RetryAfter, TraceContext};
use crate::store::Token;
use crate::text::visible::escaped;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// An enum whose variants are kinds, and what each is on the wire.
macro_rules! wire_kinds {
    ($(#[$about:meta])* $name:ident: $wire_type:ty { $($(#[$variant_about:meta])* $kind:ident = $wire:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_about])* $kind,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// The kind on the wire.
            pub const fn wire(self) -> $wire_type {
                match self {
                    $(Self::$kind => $wire,)+
                }
            }

            /// Name → wire, as JSON.
            fn table() -> Value {
                Self::ALL
                    .iter()
                    .map(|kind| (format!("{kind:?}"), Value::from(kind.wire())))
                    .collect::<Map<_, _>>()
                    .into()
            }
        }
    };
}

wire_kinds! {
    /// Messages from Rust to JavaScript: JSON lists that begin with the kind.
    MessageKind: &'static str {
        /// `[kind, since, ticket, id, …]`: dispatches, each of which queued one job at the same ms.
        Queued = "d",
        /// `[kind, since, ticket, [id, …]]`: a `dispatchMany` all of whose jobs were queued.
        ListQueued = "m",
        /// `[kind, ticket, value]`: resolves a promise; without a value with `undefined`.
        Resolve = "r",
        /// `[kind, ticket, error]`: rejects a promise.
        Reject = "e",
        /// `[kind, handler, key, job]`: calls a handler; with a trace behind them, and whether the run only has a link to it.
        RunHandler = "x",
        /// `[kind, key, code, message]`: aborts the signal of an attempt.
        Abort = "a",
        /// `[kind, payload]`: an event of a job, for the listeners.
        Event = "v",
        /// `[kind, level, message]`: a line of the log; with `fields` behind them, an object, for structured loggers.
        Log = "l",
        /// `[kind]`: JavaScript calls `work()`, a macrotask after this was sent.
        StartWorking = "o",
        /// `[kind, number, key]`: asks for a secret; `secret(number, answer)` answers.
        AskSecret = "s",
        /// `[kind, number]`: asks for the encryption keys; `secret(number, answer)` answers with their JSON.
        AskKeys = "k",
        /// `[kind, key, attempt]`: begins the spans of an attempt that is done in Rust; `carried(key, answer)` answers with what they
        /// hand on.
        BeginSpan = "b",
        /// `[kind, key, ms, status]`: ends them, so long after their beginning; the status is that of an HTTP response, or 0. With `code,
        /// message` behind them after a failure, both empty after a snooze.
        EndSpan = "n",
    }
}

wire_kinds! {
    /// How an attempt ended in JavaScript: `finish` takes a JSON list of `[key, kind, value]`.
    AnswerKind: u8 {
        /// The handler returned this JSON.
        Result = 0,
        /// The handler failed: `{ code, message, stack?, cause?, errors?, retryAfter? }`.
        Failure = 1,
        /// The handler snoozes the run for so many ms.
        Snooze = 2,
        /// The handler is no longer registered: the claim is released. `null`.
        Release = 3,
        /// The handler returned nothing that is kept. `null`.
        NoResult = 4,
    }
}

wire_kinds! {
    /// What `delay` answers in place of the ms until the next try.
    NoRetry: i64 {
        /// It is not tried again.
        GiveUp = -1,
        /// The attempt is no longer this process's: its answer does not count.
        AttemptOver = -2,
    }
}

wire_kinds! {
    /// What a dispatch carries: a line of `dispatch` is `namespace form json`. `api::intake` reads it.
    DispatchForm: &'static str {
        /// One input.
        One = "one",
        /// A list of inputs, all or nothing.
        Many = "many",
        /// The end of such a list of which `part` has handed over the rest: the number of that list, a space, and a list.
        Parts = "parts",
    }
}

wire_kinds! {
    /// What a handler says about its attempt while it runs.
    NoteKind: &'static str {
        /// Its progress: JSON.
        Progress = "progress",
        /// A log line: JSON of a string.
        Log = "log",
    }
}

impl AnswerKind {
    /// The kind with this number.
    pub fn read(wire: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.wire() == wire)
    }
}

impl NoteKind {
    /// The kind with this word.
    pub fn read(wire: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.wire() == wire)
    }
}

/// All kinds, as JSON: group → name → what is on the wire.
pub fn kinds_json() -> String {
    let groups = [
        ("MESSAGE", MessageKind::table()),
        ("ANSWER", AnswerKind::table()),
        ("NO_RETRY", NoRetry::table()),
        ("DISPATCH_FORM", DispatchForm::table()),
        ("NOTE", NoteKind::table()),
    ];
    json(&groups.into_iter().collect::<BTreeMap<_, _>>())
}

/// JSON of something that always has one.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// JSON of an error, as JavaScript makes its `DuctapeError` of it: `{ code, message, details?, cause?, stack?, origin? }`. What it quotes of an
/// input cannot end a line of a log or steer a terminal; the message of a handler's own error stays as it is.
pub fn error_json(error: &Error) -> String {
    #[derive(Serialize)]
    struct WireError<'a> {
        code: &'a str,
        message: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        details: Vec<WireProblem<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        stack: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        origin: Option<&'a RawValue>,
    }
    #[derive(Serialize)]
    struct WireProblem<'a> {
        path: Cow<'a, str>,
        message: Cow<'a, str>,
    }
    fn problem(problem: &Problem) -> WireProblem<'_> {
        WireProblem {
            path: escaped(&problem.path),
            message: escaped(&problem.message),
        }
    }
    let handler = error.handler.as_deref();
    let is_handlers = handler.is_some();
    json(&WireError {
        code: error.code_text(),
        message: if is_handlers {
            Cow::Borrowed(&error.message)
        } else {
            escaped(&error.message)
        },
        details: error.details.iter().map(problem).collect(),
        cause: error
            .source
            .as_ref()
            .map(|source| escaped(&source.to_string()).into_owned()),
        stack: handler.and_then(|handler| handler.stack.as_deref()),
        origin: handler
            .and_then(|handler| handler.origin.as_deref())
            .and_then(|origin| serde_json::from_str(origin).ok()),
    })
}

/// How handlers ended, from the JSON list that `finish` takes: the key of each attempt, the number of an [`AnswerKind`] and its
/// value.
///
/// # Errors
/// When the text is no such list.
pub fn read_answers(text: &str) -> serde_json::Result<Vec<(Token, u8, &RawValue)>> {
    serde_json::from_str(text)
}

/// How an attempt ended; `None` releases the claim.
pub fn read_answer(kind: u8, value: &str) -> Option<Result<Reply, HandlerFailure>> {
    match AnswerKind::read(kind)? {
        AnswerKind::Result => Some(Ok(Reply::Done(Some(value.into())))),
        AnswerKind::NoResult => Some(Ok(Reply::Done(None))),
        AnswerKind::Failure => read_failure(value).map(Err),
        AnswerKind::Snooze => Some(Ok(Reply::Snooze(serde_json::from_str::<f64>(value).ok()? as i64))),
        AnswerKind::Release => None,
    }
}

/// A failure of a handler, from the JSON of [`AnswerKind::Failure`]; `None` for anything else.
pub fn read_failure(text: &str) -> Option<HandlerFailure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WireFailure<'a> {
        code: Box<str>,
        message: Box<str>,
        stack: Option<Box<str>>,
        #[serde(borrow)]
        cause: Option<&'a RawValue>,
        #[serde(borrow)]
        errors: Option<&'a RawValue>,
        /// ms.
        retry_after: Option<f64>,
    }
    #[derive(Serialize)]
    struct Origin<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        errors: Option<&'a RawValue>,
    }
    let failure: WireFailure<'_> = serde_json::from_str(text).ok()?;
    let (cause, errors) = (failure.cause, failure.errors);
    let has_causes = cause.is_some() || errors.is_some();
    let retry_after = failure.retry_after.filter(|delay| delay.is_finite());
    Some(HandlerFailure {
        code: failure.code,
        message: failure.message,
        stack: failure.stack,
        origin: has_causes.then(|| json(&Origin { cause, errors }).into()),
        retry_after: retry_after.map(|delay| RetryAfter::Exactly(delay as i64)),
    })
}

/// The answer to [`MessageKind::AskSecret`]: `{ value? }`, or `{ error }`.
#[derive(Deserialize)]
pub struct SecretAnswer {
    /// The secret; none: there is none of that key.
    pub value: Option<Box<str>>,
    /// Why the function failed.
    pub error: Option<String>,
}

impl SecretAnswer {
    /// Reads an answer; anything else than one is an error of the function.
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| Self {
            value: None,
            error: Some("it must give a string or undefined".to_owned()),
        })
    }
}

/// The answer to [`MessageKind::BeginSpan`]: `{ trace?, headers? }`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct CarriedAnswer {
    trace: Option<Box<str>>,
    headers: BTreeMap<Box<str>, Box<str>>,
}

/// Bytes of the headers that the spans of an attempt may hand on: those of a propagator are a few hundred, `baggage` up to 8 KiB.
const MAX_CARRIED_BYTES: usize = 12 * 1024;

impl CarriedAnswer {
    /// Reads an answer. What is no trace, or cannot be a header of every protocol, is left out.
    pub fn read(text: &str) -> Carried {
        let answer: Self = serde_json::from_str(text).unwrap_or_default();
        let trace = answer.trace.and_then(|trace| TraceContext::parse(&trace));
        let is_header = |name: &str, value: &str| {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !name.is_empty() && name.bytes().all(is_name) && value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        };
        let mut bytes = 0;
        let mut fits = |name: &str, value: &str| {
            let with = bytes + name.len() + value.len();
            let fits = with <= MAX_CARRIED_BYTES;
            if fits {
                bytes = with;
            }
            fits
        };
        let headers = answer.headers.into_iter();
        Carried {
            trace: trace.map(|trace| trace.as_str().into()),
            headers: headers
                .filter(|(name, value)| is_header(name, value) && fits(name, value))
                .collect(),
        }
    }
}

/// Begins a message; each field that follows writes its own comma.
fn begin(text: &mut String, kind: MessageKind) -> fmt::Result {
    write!(text, "[\"{}\"", kind.wire())
}

/// Writes [`MessageKind::Queued`]; returns the number of jobs in it.
pub fn write_queued<'a>(
    text: &mut String,
    since: i64,
    jobs: impl Iterator<Item = (u64, &'a JobId)>,
) -> Result<usize, fmt::Error> {
    begin(text, MessageKind::Queued)?;
    write!(text, ",{since}")?;
    let mut count = 0;
    for (ticket, id) in jobs {
        write!(text, ",{ticket},")?;
        write_id(text, id);
        count += 1;
    }
    text.write_char(']')?;
    Ok(count)
}

/// Writes [`MessageKind::ListQueued`].
pub fn write_list_queued(text: &mut String, ticket: u64, since: i64, ids: &[JobId]) -> fmt::Result {
    begin(text, MessageKind::ListQueued)?;
    write!(text, ",{since},{ticket},[")?;
    for (index, id) in ids.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_id(text, id);
    }
    text.write_str("]]")
}

fn write_id(text: &mut String, id: &JobId) {
    match id {
        // Nothing in a generated id needs escaping.
        JobId::Generated(_) => {
            text.push('"');
            id.append_to(text);
            text.push('"');
        }
        JobId::Custom(own) => text.push_str(&json(own)),
    }
}

/// Writes [`MessageKind::Resolve`]; `value` is JSON, or empty for `undefined`.
pub fn write_resolve(text: &mut String, ticket: u64, value: &str) -> fmt::Result {
    begin(text, MessageKind::Resolve)?;
    let comma = if value.is_empty() { "" } else { "," };
    write!(text, ",{ticket}{comma}{value}]")
}

/// Writes [`MessageKind::Reject`]; `error` as by [`error_json`].
pub fn write_reject(text: &mut String, ticket: u64, error: &str) -> fmt::Result {
    begin(text, MessageKind::Reject)?;
    write!(text, ",{ticket},{error}]")
}

/// Writes [`MessageKind::RunHandler`]; `job` is JSON, `trace` JSON of a string and whether the run only has a link to it.
pub fn write_run_handler(
    text: &mut String,
    handler: u32,
    key: Token,
    job: &str,
    trace: Option<(&str, bool)>,
) -> fmt::Result {
    begin(text, MessageKind::RunHandler)?;
    write!(text, ",{handler},{key},{job}")?;
    if let Some((trace, linked)) = trace {
        write!(text, ",{trace},{linked}")?;
    }
    text.write_char(']')
}

/// Writes [`MessageKind::BeginSpan`]; `attempt` is JSON.
pub fn write_begin_span(text: &mut String, key: Token, attempt: &str) -> fmt::Result {
    begin(text, MessageKind::BeginSpan)?;
    write!(text, ",{key},{attempt}]")
}

/// Writes [`MessageKind::EndSpan`]; code and message are JSON of strings.
pub fn write_end_span(
    text: &mut String,
    key: Token,
    (took, http_status): (f64, Option<u16>),
    failure: Option<(&str, &str)>,
) -> fmt::Result {
    begin(text, MessageKind::EndSpan)?;
    write!(text, ",{key},{took:.3},{}", http_status.unwrap_or(0))?;
    if let Some((code, message)) = failure {
        write!(text, ",{code},{message}")?;
    }
    text.write_char(']')
}

/// Writes [`MessageKind::Abort`]; `message` is JSON of a string.
pub fn write_abort(text: &mut String, key: Token, code: &str, message: &str) -> fmt::Result {
    begin(text, MessageKind::Abort)?;
    write!(text, ",{key},\"{code}\",{message}]")
}

/// Writes [`MessageKind::Event`]; `payload` is JSON.
pub fn write_event(text: &mut String, payload: &str) -> fmt::Result {
    begin(text, MessageKind::Event)?;
    write!(text, ",{payload}]")
}

/// Writes [`MessageKind::Log`]; `message` is JSON of a string, `fields` of an object.
pub fn write_log(text: &mut String, level: Level, message: &str, fields: Option<&str>) -> fmt::Result {
    begin(text, MessageKind::Log)?;
    write!(text, ",\"{}\",{message}", level.as_str())?;
    if let Some(fields) = fields {
        write!(text, ",{fields}")?;
    }
    text.write_char(']')
}

/// Writes [`MessageKind::StartWorking`].
pub fn write_start_working(text: &mut String) -> fmt::Result {
    begin(text, MessageKind::StartWorking)?;
    text.write_char(']')
}

/// Writes [`MessageKind::AskSecret`]; `key` is JSON of a string.
pub fn write_ask_secret(text: &mut String, number: u32, key: &str) -> fmt::Result {
    begin(text, MessageKind::AskSecret)?;
    write!(text, ",{number},{key}]")
}

/// Writes [`MessageKind::AskKeys`].
pub fn write_ask_keys(text: &mut String, number: u32) -> fmt::Result {
    begin(text, MessageKind::AskKeys)?;
    write!(text, ",{number}]")
}
