//! Work that is done here, in Rust: the other kind of [`Handler`] beside a JavaScript function.
//!
//! Knows no protocol and no connector. Invariants: an attempt that is aborted is dropped, with the request it was in the
//! middle of; work that panics is a failure of its attempt and of nothing else.

use super::spans::{CallSpan, SpanEnd, Tracer};
use crate::engine::handler::{AbortReason, Attempt, Handler, HandlerFailure, Invocation, Reply};
use crate::model::Route;
use crate::store::Token;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;

/// Does the work of one attempt. The future is dropped when the attempt is aborted, at whatever point it waits.
#[async_trait]
pub trait NativeWork: Send + Sync + 'static {
    /// Does it; the answer means what a JavaScript handler's would.
    async fn run(&self, attempt: &Attempt) -> Result<Reply, HandlerFailure>;

    /// What must be served as well for it to do this route.
    fn required_routes(&self, _route: &Route) -> Vec<Route> {
        Vec::new()
    }

    /// For how long no attempt is to be made for this route and those that share its slots, since those before found no
    /// connection; zero: one at a time. `None`: any number.
    fn hold(&self, _route: &Route) -> Option<Duration> {
        None
    }

    /// What the span of the call that an attempt for this route makes is told; `None`: it makes none of its own. Asked for only
    /// when there are spans.
    fn call_span(&self, _route: &Route) -> Option<CallSpan> {
        None
    }

    /// The attempt with this key is given up; its future is dropped next. Must return at once.
    fn on_abort(&self, _key: Token, _reason: &AbortReason) {}
}

/// Attempts that are being worked on.
type InFlightTasks = Arc<Mutex<HashMap<Token, AbortHandle>>>;

/// Makes a handler of work.
pub struct NativeHandler<W> {
    work: Arc<W>,
    tracer: Option<Arc<dyn Tracer>>,
    tasks: InFlightTasks,
}

impl<W: NativeWork> NativeHandler<W> {
    /// A handler that does this work, with spans if there is somebody who makes them.
    #[must_use]
    pub fn new(work: W, tracer: Option<Arc<dyn Tracer>>) -> Arc<Self> {
        Arc::new(Self {
            work: Arc::new(work),
            tracer,
            tasks: InFlightTasks::default(),
        })
    }
}

fn lock(tasks: &InFlightTasks) -> MutexGuard<'_, HashMap<Token, AbortHandle>> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: NativeWork> Handler for NativeHandler<W> {
    fn required_routes(&self, route: &Route) -> Vec<Route> {
        self.work.required_routes(route)
    }

    fn hold(&self, route: &Route) -> Option<Duration> {
        self.work.hold(route)
    }

    fn call(&self, invocation: Invocation) {
        let Invocation { attempt, reply } = invocation;
        let (work, key) = (Arc::clone(&self.work), attempt.key());
        let traced = self.tracer.clone().map(|tracer| (tracer, Arc::clone(&attempt)));
        let tracer = self.tracer.clone();
        let task = tokio::spawn(async move {
            if let Some(tracer) = tracer {
                let call = work.call_span(&attempt.route);
                attempt.trace.set_carried(tracer.begin(&attempt, call).await);
            }
            work.run(&attempt).await
        });
        lock(&self.tasks).insert(key, task.abort_handle());
        let tasks = Arc::clone(&self.tasks);
        tokio::spawn(async move {
            let answer = match task.await {
                Ok(answer) => Some(answer),
                Err(failure) if failure.is_panic() => Some(Err(internal_error())),
                // Aborted: nobody waits for an answer.
                Err(_) => None,
            };
            lock(&tasks).remove(&key);
            if let Some(answer) = answer {
                if let Some((tracer, attempt)) = traced {
                    tracer.end(key, SpanEnd::of(&answer), attempt.trace.http_status());
                }
                let _ = reply.send(answer);
            }
        });
    }

    fn abort(&self, key: Token, reason: &AbortReason) {
        self.work.on_abort(key, reason);
        if let Some(task) = lock(&self.tasks).remove(&key) {
            task.abort();
            if let Some(tracer) = &self.tracer {
                tracer.end(key, SpanEnd::Failed(reason.code(), &reason.message()), None);
            }
        }
    }
}

fn internal_error() -> HandlerFailure {
    HandlerFailure {
        code: "INTERNAL_ERROR".into(),
        message: "the work failed by a defect of its own; please report it".into(),
        stack: None,
        origin: None,
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::run::spans::{AttemptTrace, Carried};
    use crate::model::{JobId, JobOptions, Namespace};
    use crate::store::{ClaimedRun, InstanceId, JobSeq, RouteId};
    use tokio::sync::oneshot;

    fn invocation() -> (Invocation, oneshot::Receiver<Result<Reply, HandlerFailure>>) {
        let run = ClaimedRun {
            job: JobSeq::new(1),
            run: 1,
            attempt: 1,
            crashes: 0,
            token: Token::new(7),
            id: JobId::generate(),
            route: RouteId::new(1),
            due: 0,
            scheduled_at: 0,
            missed: 0,
            priority: 0,
            retries: 0,
            options: None,
            input: "{}".into(),
            created: 0,
            recurring: false,
            grace: None,
            unreadable: None,
        };
        let route = Route {
            namespace: Namespace::Webhooks,
            product: "".into(),
            env: "".into(),
            target: vec!["w".into()],
        };
        let attempt = Attempt {
            run,
            instance: InstanceId::new(1),
            part: None,
            route: Arc::new(route),
            options: JobOptions::default(),
            claims: None,
            started_at: 0,
            trace: AttemptTrace::default(),
        };
        let (reply, answer) = oneshot::channel();
        let attempt = Arc::new(attempt);
        (Invocation { attempt, reply }, answer)
    }

    struct EchoWork;
    #[async_trait]
    impl NativeWork for EchoWork {
        async fn run(&self, attempt: &Attempt) -> Result<Reply, HandlerFailure> {
            Ok(Reply::Done(Some(attempt.run.input.clone())))
        }
    }

    struct PanickingWork;
    #[async_trait]
    impl NativeWork for PanickingWork {
        async fn run(&self, _: &Attempt) -> Result<Reply, HandlerFailure> {
            std::panic::resume_unwind(Box::new("a defect"))
        }
    }

    /// Waits for ever; says when it is dropped.
    struct HangingWork(Mutex<Option<oneshot::Sender<()>>>);
    #[async_trait]
    impl NativeWork for HangingWork {
        async fn run(&self, _: &Attempt) -> Result<Reply, HandlerFailure> {
            let _dropped = self.0.lock().unwrap().take();
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn an_attempt_is_answered() {
        let (invocation, answer) = invocation();
        NativeHandler::new(EchoWork, None).call(invocation);
        assert_eq!(answer.await.unwrap(), Ok(Reply::Done(Some("{}".into()))));
    }

    #[tokio::test]
    async fn work_that_panics_is_a_failed_attempt() {
        let (invocation, answer) = invocation();
        NativeHandler::new(PanickingWork, None).call(invocation);
        assert_eq!(&*answer.await.unwrap().unwrap_err().code, "INTERNAL_ERROR");
    }

    #[tokio::test]
    async fn an_aborted_attempt_is_dropped_and_not_answered() {
        let (sender, dropped) = oneshot::channel();
        let native = NativeHandler::new(HangingWork(Mutex::new(Some(sender))), None);
        let (invocation, answer) = invocation();
        native.call(invocation);
        tokio::task::yield_now().await;
        native.abort(Token::new(7), &AbortReason::Closed);
        assert!(dropped.await.is_err() && answer.await.is_err());
        assert!(lock(&native.tasks).is_empty());
    }

    /// Notes what it is asked for.
    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    #[async_trait]
    impl Tracer for Notes {
        async fn begin(&self, attempt: &Attempt, call: Option<CallSpan>) -> Carried {
            let noted = format!("begin {} {}", attempt.key(), call.is_some());
            self.0.lock().unwrap().push(noted);
            Carried {
                trace: Some("t".into()),
                headers: vec![("traceparent".into(), "p".into())],
            }
        }

        fn end(&self, key: Token, end: SpanEnd<'_>, http_status: Option<u16>) {
            let noted = format!("end {key} {end:?} {http_status:?}");
            self.0.lock().unwrap().push(noted);
        }
    }

    /// Answers with the header that it got.
    struct HeaderWork;
    #[async_trait]
    impl NativeWork for HeaderWork {
        fn call_span(&self, _: &Route) -> Option<CallSpan> {
            Some(CallSpan::default())
        }

        async fn run(&self, attempt: &Attempt) -> Result<Reply, HandlerFailure> {
            attempt.trace.note_http_status(204);
            let part = AttemptTrace::of_part(&attempt.trace);
            assert_eq!(part.parent.as_deref(), Some("t"));
            let [(_, value)] = attempt.trace.headers() else {
                return Err(internal_error());
            };
            Ok(Reply::Done(Some(value.clone())))
        }
    }

    async fn noted<W: NativeWork>(work: W) -> (Arc<Notes>, Option<Result<Reply, HandlerFailure>>) {
        let notes = Arc::new(Notes::default());
        let tracer = Arc::clone(&notes) as Arc<dyn Tracer>;
        let (invocation, answer) = invocation();
        NativeHandler::new(work, Some(tracer)).call(invocation);
        (notes, answer.await.ok())
    }

    #[tokio::test]
    async fn spans_begin_before_the_work_and_end_with_its_answer() {
        let (notes, answer) = noted(HeaderWork).await;
        assert_eq!(answer, Some(Ok(Reply::Done(Some("p".into())))));
        assert_eq!(*notes.0.lock().unwrap(), ["begin 7 true", "end 7 Done Some(204)"]);
        let (notes, _) = noted(PanickingWork).await;
        let notes = notes.0.lock().unwrap();
        assert_eq!(notes.len(), 2);
        assert!(notes[1].starts_with("end 7 Failed(\"INTERNAL_ERROR\""), "{notes:?}");
    }

    #[tokio::test]
    async fn spans_of_an_aborted_attempt_end_once() {
        let (sender, dropped) = oneshot::channel();
        let notes = Arc::new(Notes::default());
        let tracer = Arc::clone(&notes) as Arc<dyn Tracer>;
        let native = NativeHandler::new(HangingWork(Mutex::new(Some(sender))), Some(tracer));
        let (invocation, _answer) = invocation();
        native.call(invocation);
        tokio::task::yield_now().await;
        native.abort(Token::new(7), &AbortReason::Timeout(5));
        native.abort(Token::new(7), &AbortReason::Closed);
        assert!(dropped.await.is_err());
        let notes = notes.0.lock().unwrap();
        assert_eq!(notes.len(), 2);
        assert!(notes[1].starts_with("end 7 Failed(\"TIMEOUT\""), "{notes:?}");
    }
}
