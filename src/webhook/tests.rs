//! Deliveries to receivers that are gone, and come back.

use super::*;
use crate::engine::outbox_relay::webhook_route;
use crate::engine::spans::AttemptTrace;
use crate::model::{EventMask, JobId, JobOptions, WebhookSecret};
use crate::store::sqlite::{Location, SqliteConfig, SqliteStore};
use crate::store::{ClaimedRun, InstanceId, JobSeq, NewWebhook, RouteId, Token};
use crate::testing::api_server::{ApiServer, Reply};
use std::net::TcpListener;

/// Keeps what is said.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Logger for Log {
    fn log(&self, _: Level, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

async fn set(store: &Arc<dyn Store>, id: &str, url: &str) {
    let webhook = NewWebhook {
        id: id.into(),
        url: url.into(),
        events: EventMask::of(&[EventKind::Completed]),
        secret: WebhookSecret::parse(&format!("whsec_{}", "A".repeat(32))).unwrap(),
    };
    store.set_webhook(webhook, 10, 0).await.unwrap();
}

fn delivery(webhook: &str) -> Attempt {
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
        retries: 5,
        options: None,
        input: r#"{"event":"job.completed"}"#.into(),
        created: 0,
        recurring: false,
        grace: None,
        unreadable: None,
    };
    Attempt {
        run,
        instance: InstanceId::new(1),
        part: None,
        route: Arc::new(webhook_route(webhook)),
        options: JobOptions::default(),
        claims: None,
        started_at: 0,
        trace: AttemptTrace::default(),
    }
}

#[tokio::test]
async fn deliveries_to_a_receiver_that_is_gone_are_put_off_and_others_are_not() {
    let store: Arc<dyn Store> = SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap();
    let server = ApiServer::answering(|_| Reply::new(500, ""));
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    set(&store, "gone", &format!("http://127.0.0.1:{port}/")).await;
    set(&store, "there", &format!("{}/hook", server.url)).await;
    let log = Arc::new(Log::default());
    let handler = DeliveryHandler::new(
        Arc::downgrade(&store),
        Arc::new(SystemClock),
        Arc::clone(&log) as Arc<dyn Logger>,
        OutboundRules::default(),
    );
    let (gone, there) = (webhook_route("gone"), webhook_route("there"));
    for failed in 1..=5 {
        assert_eq!(handler.hold(&gone), None);
        let failure = handler.run(&delivery("gone")).await.unwrap_err();
        assert_eq!(&*failure.code, "CONNECTION_ERROR", "{failed}");
        // It says something, and nothing good.
        assert!(handler.run(&delivery("there")).await.is_err());
    }
    let pause = handler.hold(&gone).unwrap();
    assert!(
        pause > Duration::ZERO && pause <= Duration::from_millis(250),
        "{pause:?}"
    );
    assert_eq!(handler.hold(&there), None);
    // Set again by the URL of one that answers, under the same id.
    store.delete_webhook("gone").await.unwrap();
    set(&store, "gone", &format!("{}/other", server.url)).await;
    assert!(handler.run(&delivery("gone")).await.is_err());
    assert_eq!(handler.hold(&gone), None, "it answered");
    let log = log.0.lock().unwrap();
    let about: Vec<&String> = log.iter().filter(|line| line.contains("(127.0.0.1)")).collect();
    assert!(
        about[0].contains("5 deliveries in a row found no connection"),
        "{about:?}"
    );
    assert!(about[1].contains("answers again"), "{about:?}");
}
