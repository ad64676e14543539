//! Providers of e-mail against a server that answers as their published APIs do: what they send, and what they make of the
//! answer.

mod push;
#[cfg(feature = "ses")]
mod ses;
mod sms;

use super::*;
use crate::connector::notifications::history::{DeliveryHistory, DeliveryOutcome};
use crate::connector::notifications::smtp::Texts;
use crate::connector::test_support;
use crate::engine::inputs::ExpressionResolver;
use crate::engine::steps::Steps;
use crate::model::{JobId, Namespace};
use crate::resources::{MailApi, MailService, OutboundRules, Text};
use crate::store::Store;
use crate::store::contract::test_support::{T0, TestStore, one_off};
use crate::store::sqlite::{Location, SqliteConfig, SqliteStore};
use crate::testing::api_server::{ApiServer, Received, Reply};
use serde_json::{Value, json};
use std::sync::Arc;

/// One run, whose steps several attempts share.
pub(super) struct Run {
    _store: Arc<dyn Store>,
    steps: Steps,
    number: i64,
}

impl Run {
    pub(super) async fn new() -> Self {
        let store: Arc<dyn Store> = SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap();
        let stored = TestStore {
            store: Arc::clone(&store),
            lease_clock: Arc::default(),
            boot: Arc::default(),
            check: Box::new(|| Box::pin(async {})),
            kill: Box::new(|_| {}),
            keep: Box::new(()),
        };
        stored.add(one_off("x")).await;
        let process = stored.process().await;
        let mut attempt = test_support::attempt(Namespace::Notifications, ["n", "m"], (JobId::generate(), 1), "{}");
        attempt.run = stored.claim_one(process, T0).await;
        attempt.instance = process;
        Self {
            steps: Steps::new(Arc::downgrade(&store), &attempt),
            _store: store,
            number: attempt.run.run,
        }
    }

    pub(super) async fn history(&self) -> DeliveryHistory<'_> {
        DeliveryHistory::load(&self.steps, self.number).await.unwrap()
    }
}

fn sendgrid() -> MailService {
    MailService::SendGrid {
        api_key: Text::from("SG.key"),
    }
}

fn mailgun() -> MailService {
    MailService::Mailgun {
        api_key: Text::from("key-1"),
        domain: Text::from("mg.example.com"),
        europe: false,
    }
}

fn postmark() -> MailService {
    MailService::Postmark {
        server_token: Text::from("token-1"),
    }
}

fn brevo() -> MailService {
    MailService::Brevo {
        api_key: Text::from("xkeysib-1"),
    }
}

#[cfg(feature = "ses")]
fn ses() -> MailService {
    MailService::Ses {
        region: Text::from("eu-west-1"),
        access_key_id: Text::from("AKID"),
        secret_access_key: Text::from("hunter2hunter2"),
        session_token: Some(Text::from("session-1")),
    }
}

async fn mailer(service: MailService, server: &ApiServer) -> ApiMailer {
    let api = MailApi {
        service,
        from: Text::from("shop@b.example"),
        from_name: Some(Text::from("The shop")),
        reply_to: Some(Text::from("help@b.example")),
        endpoint: Some(Text::from(&*server.url)),
    };
    ApiMailer::open(&api, OutboundRules::default(), &ExpressionResolver::default())
        .await
        .unwrap()
}

fn texts() -> Texts {
    Texts {
        subject: "Hello".into(),
        html: "<p>Hi</p>".into(),
        plain: Some("Hi".into()),
    }
}

async fn send(mailer: &ApiMailer, run: &Run, to: &[&str]) -> Vec<Delivery> {
    let to = to.iter().map(|one| (*one).to_owned()).collect();
    let batch = mailer.email(texts(), to, "job_1/1").unwrap();
    mailer.send(&batch, &run.history().await).await
}

/// Sends to Ann and Bob, with these answers; what the server got, and what became of each.
async fn exchange(service: MailService, replies: Vec<Reply>) -> (Vec<Received>, Vec<Delivery>) {
    let server = ApiServer::with_replies(replies);
    let deliveries = send(
        &mailer(service, &server).await,
        &Run::new().await,
        &["Ann <ann@a.example>", "bob@a.example"],
    )
    .await;
    (server.received(), deliveries)
}

pub(super) fn shown(delivery: &Delivery) -> String {
    match &delivery.outcome {
        DeliveryOutcome::Sent => format!("sent {}", delivery.note.id.as_deref().unwrap_or("-")),
        DeliveryOutcome::Refused(why) => format!("refused{} {why}", if delivery.note.dead { " dead" } else { "" }),
        DeliveryOutcome::Failed(failure) => format!("{} {:?}", failure.code, failure.retry_after),
        DeliveryOutcome::NotAttempted => "not tried".to_owned(),
    }
}

pub(super) fn all_shown(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(shown).collect()
}

/// Makes a service of a provider.
type Service = fn() -> MailService;

#[tokio::test]
async fn sendgrid_sends_one_request_with_a_personalization_for_each() {
    let reply = Reply::new(202, "").header("x-message-id", "m1");
    let (received, deliveries) = exchange(sendgrid(), vec![reply]).await;
    let [one] = received.as_slice() else {
        panic!("{received:?}")
    };
    assert_eq!(one.line, "POST /v3/mail/send");
    assert_eq!(one.header("authorization"), "Bearer SG.key");
    let expected = json!({
        "personalizations": [
            { "to": [{ "email": "ann@a.example", "name": "Ann" }] },
            { "to": [{ "email": "bob@a.example" }] },
        ],
        "from": { "email": "shop@b.example", "name": "The shop" },
        "reply_to": { "email": "help@b.example" },
        "subject": "Hello",
        "content": [
            { "type": "text/plain", "value": "Hi" },
            { "type": "text/html", "value": "<p>Hi</p>" },
        ],
    });
    assert_eq!(one.json(), expected);
    assert_eq!(all_shown(&deliveries), ["sent m1", "sent m1"]);
}

#[tokio::test]
async fn sendgrid_recipient_that_is_refused_does_not_fail_the_others() {
    let wrong = r#"{"errors":[{"message":"Does not contain a valid address ann@a.example","field":"personalizations.0.to.0.email"}]}"#;
    let replies = vec![Reply::new(400, wrong), Reply::new(202, "")];
    let (received, deliveries) = exchange(sendgrid(), replies).await;
    assert_eq!(received.len(), 2);
    assert_eq!(received[1].json()["personalizations"].as_array().unwrap().len(), 1);
    assert_eq!(
        all_shown(&deliveries),
        ["refused sendgrid: Does not contain a valid address …", "sent -"]
    );
}

#[tokio::test]
async fn mailgun_sends_a_form_to_each() {
    let replies = vec![Reply::new(200, r#"{"id":"<m1>","message":"Queued. Thank you."}"#); 2];
    let (received, deliveries) = exchange(mailgun(), replies).await;
    let ann = received.iter().find(|one| one.body.contains("ann")).unwrap();
    assert_eq!((received.len(), &*ann.line), (2, "POST /v3/mg.example.com/messages"));
    assert_eq!(ann.header("authorization"), "Basic YXBpOmtleS0x");
    assert_eq!(ann.header("content-type"), "application/x-www-form-urlencoded");
    let form = ann.form();
    let member = |name: &str| form.iter().find(|(key, _)| key == name).unwrap().1.as_str();
    assert_eq!(member("from"), "\"The shop\" <shop@b.example>");
    assert_eq!(member("to"), "\"Ann\" <ann@a.example>");
    assert_eq!(
        (member("subject"), member("html"), member("text")),
        ("Hello", "<p>Hi</p>", "Hi")
    );
    assert_eq!(member("h:Reply-To"), "help@b.example");
    assert!(member("h:Message-Id").ends_with("@b.example>"));
    assert_eq!(all_shown(&deliveries), ["sent <m1>", "sent <m1>"]);
}

#[tokio::test]
async fn postmark_has_an_outcome_for_each_of_a_batch() {
    let answer = r#"[{"ErrorCode":406,"Message":"Found inactive addresses: ann@a.example."},
        {"To":"bob@a.example","MessageID":"m2","ErrorCode":0,"Message":"OK"}]"#;
    let (received, deliveries) = exchange(postmark(), vec![Reply::new(200, answer)]).await;
    let [one] = received.as_slice() else {
        panic!("{received:?}")
    };
    assert_eq!(one.line, "POST /email/batch");
    assert_eq!(one.header("x-postmark-server-token"), "token-1");
    let expected = json!([
        {
            "From": "\"The shop\" <shop@b.example>", "To": "\"Ann\" <ann@a.example>", "Subject": "Hello",
            "HtmlBody": "<p>Hi</p>", "TextBody": "Hi", "ReplyTo": "help@b.example",
        },
        {
            "From": "\"The shop\" <shop@b.example>", "To": "bob@a.example", "Subject": "Hello",
            "HtmlBody": "<p>Hi</p>", "TextBody": "Hi", "ReplyTo": "help@b.example",
        },
    ]);
    assert_eq!(one.json(), expected);
    assert_eq!(
        all_shown(&deliveries),
        ["refused postmark: 406 Found inactive addresses: …", "sent m2"]
    );
}

#[tokio::test]
async fn brevo_recognises_a_repetition_by_the_key() {
    let duplicate = r#"{"code":"duplicate_parameter","message":"idempotencyKey was used"}"#;
    let replies = vec![Reply::new(400, duplicate); 2];
    let (received, deliveries) = exchange(brevo(), replies).await;
    let ann = received.iter().find(|one| one.body.contains("ann")).unwrap();
    assert_eq!(
        (&*ann.line, ann.header("api-key")),
        ("POST /v3/smtp/email", "xkeysib-1")
    );
    let body = ann.json();
    assert_eq!(body["sender"], json!({ "email": "shop@b.example", "name": "The shop" }));
    assert_eq!(body["to"], json!([{ "email": "ann@a.example", "name": "Ann" }]));
    assert_eq!(body["replyTo"], json!({ "email": "help@b.example" }));
    assert_eq!(
        (&body["htmlContent"], &body["textContent"]),
        (&json!("<p>Hi</p>"), &json!("Hi"))
    );
    let key = |one: &Received| one.json()["headers"]["idempotencyKey"].as_str().unwrap().to_owned();
    assert!(uuid::Uuid::parse_str(&key(ann)).is_ok());
    assert_ne!(key(&received[0]), key(&received[1]));
    assert_eq!(all_shown(&deliveries), ["sent -", "sent -"]);
}

#[tokio::test]
async fn answers_are_told_apart_by_what_a_retry_can_change() {
    let later = || Reply::new(429, "{}").header("retry-after", "7");
    let cases: Vec<(Service, Reply, &str)> = vec![
        (sendgrid, later(), "RATE_LIMITED Some(7000)"),
        (sendgrid, Reply::new(401, "{}"), "UNAUTHORIZED None"),
        (sendgrid, Reply::new(403, "{}"), "FORBIDDEN None"),
        (sendgrid, Reply::new(500, "{}"), "SERVICE_UNAVAILABLE None"),
        (sendgrid, Reply::new(413, "{}"), "VALIDATION_ERROR None"),
        (mailgun, later(), "RATE_LIMITED Some(7000)"),
        (
            mailgun,
            Reply::new(404, r#"{"message":"Domain not found"}"#),
            "NOT_FOUND None",
        ),
        (mailgun, Reply::new(502, ""), "SERVICE_UNAVAILABLE None"),
        (
            mailgun,
            Reply::new(400, r#"{"message":"'to' is wrong"}"#),
            "refused mailgun: 'to' is wrong",
        ),
        (postmark, later(), "RATE_LIMITED Some(7000)"),
        (postmark, Reply::new(401, r#"{"ErrorCode":10}"#), "UNAUTHORIZED None"),
        (
            postmark,
            Reply::new(422, r#"{"ErrorCode":402,"Message":"Invalid JSON"}"#),
            "VALIDATION_ERROR None",
        ),
        (
            postmark,
            Reply::new(200, r#"[{"ErrorCode":400,"Message":"no signature"}]"#),
            "FORBIDDEN None",
        ),
        (
            postmark,
            Reply::new(200, r#"[{"ErrorCode":100,"Message":"maintenance"}]"#),
            "SERVICE_UNAVAILABLE None",
        ),
        (postmark, Reply::new(200, "[]"), "SERVICE_UNAVAILABLE None"),
        (brevo, later(), "RATE_LIMITED Some(7000)"),
        (
            brevo,
            Reply::new(400, r#"{"code":"invalid_parameter","message":"to is wrong"}"#),
            "refused brevo: invalid_parameter to is wrong",
        ),
        (
            brevo,
            Reply::new(402, r#"{"code":"not_enough_credits"}"#),
            "VALIDATION_ERROR None",
        ),
    ];
    check_answers(cases).await;
}

/// What becomes of one recipient after this answer.
async fn check_answers(cases: Vec<(Service, Reply, &str)>) {
    for (service, reply, expected) in cases {
        let server = ApiServer::with_replies(vec![reply.clone()]);
        let deliveries = send(&mailer(service(), &server).await, &Run::new().await, &["a@a.example"]).await;
        assert_eq!(all_shown(&deliveries), [expected], "{reply:?}");
    }
}

#[tokio::test]
async fn retry_sends_only_what_failed_and_may_be_retried() {
    let server = ApiServer::answering(|request| match request.body.as_str() {
        body if body.contains("ann") => Reply::new(200, r#"{"id":"<m1>"}"#),
        body if body.contains("bob") => Reply::new(400, r#"{"message":"wrong"}"#),
        _ => Reply::new(500, "{}"),
    });
    let (mailer, run) = (mailer(mailgun(), &server).await, Run::new().await);
    let to = ["ann@a.example", "bob@a.example", "cyd@a.example"];
    let first = send(&mailer, &run, &to).await;
    assert_eq!(server.received().len(), 3);
    let again = send(&mailer, &run, &to).await;
    assert_eq!(all_shown(&first), all_shown(&again));
    assert_eq!(
        all_shown(&again),
        ["sent <m1>", "refused mailgun: wrong", "SERVICE_UNAVAILABLE None"]
    );
    let third = server.received();
    assert_eq!(third.len(), 4);
    assert!(third[3].body.contains("cyd"));
}

#[tokio::test]
async fn refused_credentials_stop_the_rest_and_are_not_shown() {
    let server = ApiServer::answering(|_| Reply::new(401, r#"{"message":"key-1 is wrong"}"#));
    let to: Vec<String> = (0..50).map(|n| format!("a{n}@a.example")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let deliveries = send(&mailer(mailgun(), &server).await, &Run::new().await, &to).await;
    assert!(server.received().len() <= 4);
    assert!(all_shown(&deliveries).contains(&"not tried".to_owned()));
    assert!(!format!("{deliveries:?}").contains("key-1"));
}

#[tokio::test]
async fn check_asks_for_something_harmless() {
    let cases: Vec<(Service, &str)> = vec![
        (sendgrid, "GET /v3/scopes"),
        (mailgun, "GET /v4/domains/mg.example.com"),
        (postmark, "GET /server"),
        (brevo, "GET /v3/account"),
        #[cfg(feature = "ses")]
        (ses, "GET /v2/email/account"),
    ];
    for (service, line) in cases {
        let server = ApiServer::with_replies(vec![Reply::new(200, "{}"), Reply::new(401, "{}")]);
        let mailer = mailer(service(), &server).await;
        mailer.check().await.unwrap();
        let failure = mailer.check().await.unwrap_err();
        assert_eq!(&*failure.code, "UNAUTHORIZED");
        assert!(failure.message.starts_with("127.0.0.1: "), "{failure:?}");
        assert!(
            server
                .received()
                .iter()
                .all(|one| one.line == line && one.body.is_empty())
        );
    }
}

#[test]
fn shown_texts_hold_nothing_that_identifies() {
    let shown = |text: &str| super::answer::shown(text);
    assert_eq!(
        shown("The 'To' number +49 1701234567 is\nwrong"),
        "The 'To' number +49 … is wrong"
    );
    assert_eq!(shown("\"ExponentPushToken[abc]\" is no device"), "… is no device");
    assert_eq!(shown("code 21211"), "code 21211");
    let _: Value = json!(null);
}
