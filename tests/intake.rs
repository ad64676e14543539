//! The way of dispatches into the store, on a store in memory: what waits for a secret, what order is kept, and what the
//! thread that renews leases does meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use async_trait::async_trait;
use ductape::api::Instance;
use ductape::api::intake::{Answer, DispatchBatch, Intake, PromiseResolver, Resolution};
use ductape::api::options::read_options;
use ductape::assembly::{ConfiguredStore, definition_problems};
use ductape::engine::inputs::SecretSource;
use ductape::engine::{Announcer, Level, Logger};
use ductape::error::{Error, ErrorCode, Result};
use ductape::resources::Algorithm;
use ductape::sessions::{SigningKey, issue};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// Far longer than anything here takes; shorter than a source of secrets is waited for.
const DEADLINE: Duration = Duration::from_secs(8);
const SECRET: &str = "a secret of more than sixteen bytes";
/// The key of `waiting` comes from the source of secrets, that of `given` is there.
const OPTIONS: &str = r#"{
    "store": "memory:", "product": "shop", "env": "test", "worker": false, "secrets": true,
    "resources": { "products": [{ "tag": "shop", "sessions": [
        { "tag": "waiting", "secret": "$Secret{KEY}" },
        { "tag": "given", "secret": "a secret of more than sixteen bytes" }
    ] }] }
}"#;

struct NullLogger;
impl Logger for NullLogger {
    fn log(&self, _: Level, _: &str) {}
}

/// Hangs until it is told what to answer.
struct HangingSource(watch::Receiver<Option<Result<Option<Box<str>>>>>);

#[async_trait]
impl SecretSource for HangingSource {
    async fn ask(&self, _: &str) -> Result<Option<Box<str>>> {
        let mut receiver = self.0.clone();
        let answer = receiver.wait_for(Option::is_some).await.unwrap().clone();
        answer.unwrap()
    }
}

struct Answers(mpsc::UnboundedSender<Answer>);
impl PromiseResolver for Answers {
    fn resolve(&self, answers: Vec<Answer>) {
        for answer in answers {
            let _ = self.0.send(answer);
        }
    }
}

struct Setup {
    instance: Arc<Instance>,
    intake: Intake,
    answers: mpsc::UnboundedReceiver<Answer>,
    secret: watch::Sender<Option<Result<Option<Box<str>>>>>,
}

impl Setup {
    fn new() -> Self {
        let options = read_options(OPTIONS, &[], definition_problems).unwrap();
        let (secret, source) = watch::channel(None);
        options.engine.secrets.set_source(Arc::new(HangingSource(source)));
        let opener = ConfiguredStore::new(&options, Arc::new(NullLogger));
        let instance = Instance::new(
            options,
            Arc::new(NullLogger),
            Arc::new(Announcer::default()),
            Box::new(opener),
        );
        let (sender, answers) = mpsc::unbounded_channel();
        let intake = Intake::start(Arc::clone(&instance), Arc::new(Answers(sender)));
        Self {
            instance,
            intake,
            answers,
            secret,
        }
    }

    /// Dispatches one job.
    fn single(&self, ticket: u64, session: Option<&str>) {
        self.submit(ticket, &format!("features one {}", job(ticket, session)));
    }

    fn list(&self, ticket: u64, jobs: &[String]) {
        self.submit(ticket, &format!("features many [{}]", jobs.join(",")));
    }

    fn submit(&self, first_ticket: u64, text: &str) {
        let batch = DispatchBatch {
            first_ticket,
            made: std::time::Instant::now(),
            count: 1,
            text: text.to_owned(),
        };
        self.intake.submit(batch).unwrap();
    }

    async fn answer(&mut self) -> (u64, Result<Resolution>) {
        timeout(DEADLINE, self.answers.recv())
            .await
            .expect("an answer in time")
            .unwrap()
    }

    /// The tickets of the next answers, none of which is an error.
    async fn tickets(&mut self, count: usize) -> Vec<u64> {
        let mut tickets = Vec::new();
        for _ in 0..count {
            let (ticket, answer) = self.answer().await;
            answer.unwrap();
            tickets.push(ticket);
        }
        tickets
    }

    fn reveal_secret(&self) {
        self.secret.send_replace(Some(Ok(Some(SECRET.into()))));
    }
}

fn token() -> String {
    let key = SigningKey::from_secret(Algorithm::Hs256, SECRET);
    issue(r#"{"sub":"ann"}"#, &key).unwrap()
}

fn job(number: u64, session: Option<&str>) -> String {
    let session = session.map_or(String::new(), |tag| format!(r#","session":"{tag}:{}""#, token()));
    format!(r#"{{"tag":"work","job_id":"job-{number}","input":{{}}{session}}}"#)
}

#[tokio::test]
async fn dispatch_that_waits_for_a_secret_does_not_delay_others() {
    let mut setup = Setup::new();
    setup.single(1, Some("waiting"));
    setup.single(2, None);
    setup.single(3, Some("given"));
    setup.list(4, &[job(40, None), job(41, Some("given"))]);
    let mut others = setup.tickets(3).await;
    others.sort_unstable();
    assert_eq!(others, [2, 3, 4]);
    setup.reveal_secret();
    assert_eq!(setup.tickets(1).await, [1]);
}

#[tokio::test]
async fn dispatches_of_one_session_resource_keep_their_order() {
    let mut setup = Setup::new();
    for ticket in [1, 2] {
        setup.single(ticket, Some("waiting"));
    }
    setup.list(3, &[job(30, None), job(31, Some("waiting"))]);
    for ticket in 4..=20 {
        setup.single(ticket, Some("waiting"));
    }
    // An answer that comes meanwhile shows that the intake has taken all of them.
    setup.single(21, None);
    assert_eq!(setup.tickets(1).await, [21]);
    setup.reveal_secret();
    assert_eq!(setup.tickets(20).await, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn dispatches_without_a_session_keep_their_order_beside_a_check_that_hangs() {
    let mut setup = Setup::new();
    setup.single(1, Some("waiting"));
    for ticket in 2..=20 {
        if ticket % 5 == 0 {
            setup.list(ticket, &[job(1_000 + ticket, None), job(2_000 + ticket, None)]);
        } else {
            setup.single(ticket, None);
        }
    }
    assert_eq!(setup.tickets(19).await, (2..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn secret_that_cannot_be_had_refuses_all_that_waits_for_it_at_once() {
    let mut setup = Setup::new();
    for ticket in 1..=10 {
        setup.single(ticket, Some("waiting"));
    }
    let refusal = Error::new(ErrorCode::Timeout, "the source is down");
    setup.secret.send_replace(Some(Err(refusal)));
    for ticket in 1..=10 {
        let (answered, answer) = setup.answer().await;
        assert_eq!((answered, answer.unwrap_err().code), (ticket, ErrorCode::Timeout));
    }
    timeout(DEADLINE, setup.intake.wait_until_empty()).await.unwrap();
}

#[tokio::test]
async fn closing_refuses_what_waits_for_a_secret() {
    let mut setup = Setup::new();
    setup.single(1, Some("waiting"));
    setup.list(2, &[job(20, Some("waiting"))]);
    setup.single(3, None);
    assert_eq!(setup.tickets(1).await, [3]);
    let closing = setup.instance.close(Some(Duration::ZERO));
    timeout(DEADLINE, closing).await.expect("closed in time").unwrap();
    for ticket in [1, 2] {
        let (answered, answer) = setup.answer().await;
        assert_eq!((answered, answer.unwrap_err().code), (ticket, ErrorCode::Closed));
    }
    timeout(DEADLINE, setup.intake.wait_until_empty()).await.unwrap();
}

#[tokio::test]
async fn dispatches_in_the_hands_of_a_task_that_panics_are_rejected_and_later_ones_succeed() {
    let mut setup = Setup::new();
    setup.instance.options.engine.failpoints.arm("intake");
    setup.single(1, None);
    let (ticket, answer) = setup.answer().await;
    assert_eq!((ticket, answer.unwrap_err().code), (1, ErrorCode::StoreError));
    setup.single(2, None);
    assert_eq!(setup.tickets(1).await, [2]);
    timeout(DEADLINE, setup.intake.wait_until_empty()).await.unwrap();
}

#[tokio::test]
async fn an_intake_that_keeps_panicking_refuses_dispatches() {
    let mut setup = Setup::new();
    (0..20).for_each(|_| setup.instance.options.engine.failpoints.arm("intake"));
    for ticket in 1..=20 {
        let text = r#"features one {"tag":"work","input":{}}"#.to_owned();
        let batch = DispatchBatch {
            first_ticket: ticket,
            made: std::time::Instant::now(),
            count: 1,
            text,
        };
        match setup.intake.submit(batch) {
            Ok(()) => assert_eq!(setup.answer().await.1.unwrap_err().code, ErrorCode::StoreError),
            Err(error) => {
                assert!(error.message.contains("service 'intake' panicked"), "{}", error.message);
                return;
            }
        }
    }
    panic!("it takes dispatches after 20 panics");
}

#[cfg(target_os = "linux")]
mod runtime_thread {
    use super::*;
    use ductape::api::DispatchReader;
    use ductape::model::Namespace;
    use std::sync::atomic::{AtomicU64, Ordering};

    const LISTS: u64 = 2;
    const JOBS_PER_LIST: u64 = 10_000;

    /// Time that this thread has computed: unlike the clock, it does not depend on who else uses the machine.
    fn thread_cpu_time() -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
    }

    /// A job whose input and options take a while to read.
    fn costly_job(number: u64) -> String {
        format!(
            r#"{{"tag":"work","job_id":"job-{number}","retries":3,"retryConfig":{{"initialDelay":100,"maxDelay":9000}},
            "tags":["a","b","c"],"input":{{"at":"$Format($Now, 'yyyy-MM-dd')","name":"$Uppercase('x')"}},
            "schedule":{{"start_at":1,"tz":"Europe/Vienna"}}}}"#
        )
        .replace('\n', " ")
    }

    /// CPU time of reading a list's jobs on one thread.
    fn reading_time(setup: &Setup, jobs: &[String]) -> Duration {
        let start = thread_cpu_time();
        let mut reader = DispatchReader::new(&setup.instance.options.defaults, setup.instance.now());
        for job in jobs {
            reader.read(Namespace::Features, job).unwrap();
        }
        thread_cpu_time() - start
    }

    #[tokio::test]
    async fn leases_and_claims_go_on_while_long_lists_are_read() {
        let mut setup = Setup::new();
        let jobs: Vec<Vec<String>> = (0..LISTS)
            .map(|list| {
                (0..JOBS_PER_LIST)
                    .map(|job| costly_job(list * JOBS_PER_LIST + job))
                    .collect()
            })
            .collect();
        let reading = reading_time(&setup, &jobs[0]);
        setup.single(0, None);
        assert_eq!(setup.tickets(1).await.len(), 1);

        // A task of the same thread, in the place of the one that renews leases: how long it had to wait at most.
        let longest_wait = Arc::new(AtomicU64::new(0));
        let noted = Arc::clone(&longest_wait);
        let ticks = tokio::spawn(async move {
            let mut last = thread_cpu_time();
            loop {
                tokio::task::yield_now().await;
                let now = thread_cpu_time();
                noted.fetch_max((now - last).as_micros() as u64, Ordering::Relaxed);
                last = now;
            }
        });
        let texts: Vec<String> = jobs
            .iter()
            .map(|list| format!("features many [{}]", list.join(",")))
            .collect();
        tokio::task::yield_now().await;
        longest_wait.store(0, Ordering::Relaxed);
        for (ticket, text) in (1..).zip(texts) {
            let batch = DispatchBatch {
                first_ticket: ticket,
                made: std::time::Instant::now(),
                count: 1,
                text,
            };
            setup.intake.submit(batch).unwrap();
        }
        for ticket in 1..=LISTS {
            let (answered, answer) = timeout(DEADLINE * 10, setup.answers.recv()).await.unwrap().unwrap();
            assert_eq!(answered, ticket);
            answer.unwrap();
        }
        ticks.abort();
        let longest_wait = Duration::from_micros(longest_wait.load(Ordering::Relaxed));
        assert!(
            longest_wait < reading / 4,
            "the thread was busy for {longest_wait:?} at a time; one list takes {reading:?} to read"
        );
    }
}
