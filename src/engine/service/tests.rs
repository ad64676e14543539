//! The contract of services and their supervisor.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const LIMIT: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Logger for Lines {
    fn log(&self, _: Level, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

/// What a service of the test does once it has started.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    Stop,
    Panic,
    Return,
    Hang,
}

struct Scripted {
    name: &'static str,
    does: Does,
    said: UnboundedSender<String>,
}

#[async_trait]
impl Service for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn run(self: Box<Self>, mut stop: StopSignal) {
        let _ = self.said.send(format!("{} started", self.name));
        match self.does {
            Does::Stop => stop.stopped().await,
            Does::Panic => panic!("out of {}", self.name),
            Does::Return => return,
            Does::Hang => std::future::pending().await,
        }
        let _ = self.said.send(format!("{} stopped", self.name));
    }
}

/// Hands out services; those of later lives all work until stopped, unless told otherwise.
struct Script {
    said: UnboundedSender<String>,
    later: Does,
    lives: AtomicUsize,
    gave_up: Mutex<Vec<ServiceFailure>>,
    down: watch::Sender<Option<ServiceFailure>>,
}

impl Script {
    fn new(later: Does) -> (Arc<Self>, UnboundedReceiver<String>) {
        let (said, heard) = unbounded_channel();
        let script = Self {
            said,
            later,
            lives: AtomicUsize::new(0),
            gave_up: Mutex::default(),
            down: watch::Sender::new(None),
        };
        (Arc::new(script), heard)
    }

    fn service(&self, name: &'static str, does: Does) -> Box<dyn Service> {
        let said = self.said.clone();
        Box::new(Scripted { name, does, said })
    }

    fn pair(&self, does: Does) -> Vec<Box<dyn Service>> {
        vec![self.service("writer", Does::Stop), self.service("claimer", does)]
    }
}

#[async_trait]
impl Recovery for Script {
    async fn services(&self) -> Result<Vec<Box<dyn Service>>> {
        self.lives.fetch_add(1, Ordering::SeqCst);
        Ok(self.pair(self.later))
    }

    async fn give_up(&self, failure: &ServiceFailure) {
        self.gave_up.lock().unwrap().push(failure.clone());
    }

    fn stay_down(&self, failure: &ServiceFailure) {
        self.down.send_replace(Some(failure.clone()));
    }
}

async fn next(heard: &mut UnboundedReceiver<String>, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.len() < count {
        lines.push(tokio::time::timeout(LIMIT, heard.recv()).await.unwrap().unwrap());
    }
    lines
}

#[tokio::test]
async fn services_stop_in_the_reverse_order_of_their_start_and_a_second_stop_does_nothing() {
    let (script, mut heard) = Script::new(Does::Stop);
    let supervisor = Supervisor::new(Arc::new(Lines::default()));
    supervisor.start(script.pair(Does::Stop), script.clone());
    next(&mut heard, 2).await;
    assert!(supervisor.stop(LIMIT).await);
    assert_eq!(next(&mut heard, 2).await, ["claimer stopped", "writer stopped"]);
    assert!(supervisor.stop(LIMIT).await);
    assert!(script.gave_up.lock().unwrap().is_empty() && script.down.borrow().is_none());
}

#[tokio::test]
async fn a_stop_before_the_start_leaves_nothing_running() {
    let (script, mut heard) = Script::new(Does::Stop);
    let supervisor = Supervisor::new(Arc::new(Lines::default()));
    assert!(supervisor.stop(LIMIT).await);
    supervisor.start(script.pair(Does::Stop), script.clone());
    assert!(supervisor.stop(LIMIT).await);
    assert!(heard.try_recv().is_err());
}

#[tokio::test]
async fn a_second_start_starts_nothing() {
    let (script, mut heard) = Script::new(Does::Stop);
    let supervisor = Supervisor::new(Arc::new(Lines::default()));
    supervisor.start(script.pair(Does::Stop), script.clone());
    supervisor.start(script.pair(Does::Stop), script.clone());
    next(&mut heard, 2).await;
    assert!(supervisor.stop(LIMIT).await);
    assert_eq!(next(&mut heard, 2).await.len(), 2);
    assert!(heard.try_recv().is_err());
}

#[tokio::test]
async fn a_service_that_panics_is_named_and_all_start_again() {
    let (script, mut heard) = Script::new(Does::Stop);
    let lines = Arc::new(Lines::default());
    let supervisor = Supervisor::new(lines.clone());
    supervisor.start(script.pair(Does::Panic), script.clone());
    let failure = ServiceFailure {
        service: "claimer",
        panic: Some("out of claimer".into()),
    };
    // Two starts, the end of the one that was left, and two starts again.
    let said = next(&mut heard, 5).await;
    assert_eq!(said[2], "writer stopped");
    assert_eq!(*script.gave_up.lock().unwrap(), [failure]);
    assert!(lines.0.lock().unwrap()[0].starts_with("service 'claimer' panicked: out of claimer"));
    assert!(supervisor.stop(LIMIT).await);
    assert_eq!(script.lives.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_service_that_returns_unasked_counts_as_failed() {
    let (script, mut heard) = Script::new(Does::Stop);
    let supervisor = Supervisor::new(Arc::new(Lines::default()));
    supervisor.start(script.pair(Does::Return), script.clone());
    next(&mut heard, 5).await;
    let gave_up = script.gave_up.lock().unwrap().clone();
    assert_eq!(gave_up[0].to_string(), "service 'claimer' ended unexpectedly");
    assert!(supervisor.stop(LIMIT).await);
}

#[tokio::test]
async fn a_service_that_keeps_failing_stays_down_after_a_bounded_number_of_restarts() {
    let (script, _heard) = Script::new(Does::Panic);
    let supervisor = Supervisor::new(Arc::new(Lines::default()));
    supervisor.start(script.pair(Does::Panic), script.clone());
    let mut down = script.down.subscribe();
    let failure = tokio::time::timeout(LIMIT, down.wait_for(Option::is_some))
        .await
        .unwrap()
        .unwrap()
        .clone();
    assert_eq!(script.lives.load(Ordering::SeqCst), MAX_RESTARTS);
    assert_eq!(failure.unwrap().to_error().code, ErrorCode::StoreError);
    // Nothing waits for services that are gone.
    assert!(supervisor.stop(LIMIT).await);
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_its_limit_and_cancels_what_is_left() {
    let (script, mut heard) = Script::new(Does::Stop);
    let supervisor = Supervisor::new(Arc::new(Lines::default()));
    supervisor.start(script.pair(Does::Hang), script.clone());
    next(&mut heard, 2).await;
    assert!(!supervisor.stop(Duration::from_millis(20)).await);
    // Its sender went with the task: nothing of it is left.
    drop(script);
    while tokio::time::timeout(LIMIT, heard.recv()).await.unwrap().is_some() {}
}
