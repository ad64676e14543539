//! Providers of text messages.

use super::{Run, all_shown};
use crate::connector::notifications::providers::{ApiTexter, Delivery};
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{OutboundRules, SmsApi, SmsService, Text};
use crate::testing::api_server::{ApiServer, Received, Reply};
use serde_json::json;

fn twilio() -> SmsService {
    SmsService::Twilio {
        account_sid: Text::from("AC1"),
        auth_token: Text::from("secret-1"),
    }
}

fn nexmo() -> SmsService {
    SmsService::Nexmo {
        api_key: Text::from("key-1"),
        api_secret: Text::from("secret-1"),
    }
}

fn plivo() -> SmsService {
    SmsService::Plivo {
        auth_id: Text::from("MA1"),
        auth_token: Text::from("secret-1"),
    }
}

async fn texter(service: SmsService, server: &ApiServer) -> ApiTexter {
    let api = SmsApi {
        service,
        sender: Text::from("+15005550006"),
        endpoint: Some(Text::from(&*server.url)),
    };
    ApiTexter::open(&api, OutboundRules::default(), &ExpressionResolver::default())
        .await
        .unwrap()
}

async fn exchange(service: SmsService, text: &str, reply: Reply) -> (Received, Vec<Delivery>) {
    let server = ApiServer::with_replies(vec![reply]);
    let run = Run::new().await;
    let batch = ApiTexter::message(text.into(), vec!["+49 170 1234567".into()], "job_1/1").unwrap();
    let deliveries = texter(service, &server).await.send(&batch, &run.history().await).await;
    (server.received().remove(0), deliveries)
}

#[tokio::test]
async fn twilio_gets_a_form() {
    let (received, deliveries) = exchange(twilio(), "Hi", Reply::new(201, r#"{"sid":"SM1"}"#)).await;
    assert_eq!(received.line, "POST /2010-04-01/Accounts/AC1/Messages.json");
    assert_eq!(received.header("authorization"), "Basic QUMxOnNlY3JldC0x");
    let member = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [
        member("To", "+491701234567"),
        member("From", "+15005550006"),
        member("Body", "Hi"),
    ];
    assert_eq!(received.form(), expected);
    assert_eq!(all_shown(&deliveries), ["sent SM1"]);
}

#[tokio::test]
async fn nexmo_gets_a_form_and_is_told_of_other_characters() {
    let reply = || {
        Reply::new(
            200,
            r#"{"message-count":"1","messages":[{"status":"0","message-id":"N1"}]}"#,
        )
    };
    let (received, deliveries) = exchange(nexmo(), "Hi", reply()).await;
    assert_eq!(received.line, "POST /sms/json");
    let member = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [
        member("api_key", "key-1"),
        member("api_secret", "secret-1"),
        member("from", "15005550006"),
        member("to", "491701234567"),
        member("text", "Hi"),
        member("type", "text"),
    ];
    assert_eq!(received.form(), expected);
    assert_eq!(all_shown(&deliveries), ["sent N1"]);
    let (received, _) = exchange(nexmo(), "Zażółć", reply()).await;
    assert!(received.form().contains(&member("type", "unicode")));
    let (received, _) = exchange(nexmo(), "Grüße à 5 €", reply()).await;
    assert!(received.form().contains(&member("type", "text")));
}

#[tokio::test]
async fn plivo_gets_json() {
    let reply = Reply::new(202, r#"{"message":"message(s) queued","message_uuid":["P1"]}"#);
    let (received, deliveries) = exchange(plivo(), "Hi", reply).await;
    assert_eq!(received.line, "POST /v1/Account/MA1/Message/");
    assert_eq!(received.header("authorization"), "Basic TUExOnNlY3JldC0x");
    let expected = json!({ "src": "+15005550006", "dst": "+491701234567", "text": "Hi" });
    assert_eq!(received.json(), expected);
    assert_eq!(all_shown(&deliveries), ["sent P1"]);
}

#[tokio::test]
async fn answers_are_told_apart_by_what_a_retry_can_change() {
    let nexmo_status = |status: &str| {
        let body = format!(r#"{{"messages":[{{"status":"0"}},{{"status":"{status}","error-text":"why"}}]}}"#);
        Reply::new(200, &body)
    };
    let later = || Reply::new(429, r#"{"code":20429}"#).header("retry-after", "3");
    let wrong = r#"{"code":21211,"message":"The 'To' number +491701234567 is not a valid phone number.","status":400}"#;
    let cases: Vec<(SmsService, Reply, &str)> = vec![
        (
            twilio(),
            Reply::new(400, wrong),
            "refused twilio: 21211 The 'To' number … is not a valid phone number.",
        ),
        (
            twilio(),
            Reply::new(400, r#"{"code":21606,"message":"From"}"#),
            "VALIDATION_ERROR None",
        ),
        (twilio(), Reply::new(401, r#"{"code":20003}"#), "UNAUTHORIZED None"),
        (twilio(), later(), "RATE_LIMITED Some(3000)"),
        (twilio(), Reply::new(503, ""), "SERVICE_UNAVAILABLE None"),
        (nexmo(), nexmo_status("1"), "RATE_LIMITED None"),
        (nexmo(), nexmo_status("4"), "UNAUTHORIZED None"),
        (nexmo(), nexmo_status("5"), "SERVICE_UNAVAILABLE None"),
        (nexmo(), nexmo_status("6"), "refused nexmo: 6 why"),
        (nexmo(), nexmo_status("7"), "refused nexmo: 7 why"),
        (nexmo(), nexmo_status("9"), "FORBIDDEN None"),
        (nexmo(), Reply::new(200, "{}"), "SERVICE_UNAVAILABLE None"),
        (nexmo(), Reply::new(500, ""), "SERVICE_UNAVAILABLE None"),
        (
            plivo(),
            Reply::new(400, r#"{"error":"dst is wrong"}"#),
            "refused plivo: dst is wrong",
        ),
        (plivo(), Reply::new(401, ""), "UNAUTHORIZED None"),
        (plivo(), later(), "RATE_LIMITED Some(3000)"),
        (plivo(), Reply::new(500, ""), "SERVICE_UNAVAILABLE None"),
    ];
    for (service, reply, expected) in cases {
        let (_, deliveries) = exchange(service, "Hi", reply.clone()).await;
        assert_eq!(all_shown(&deliveries), [expected], "{reply:?}");
        assert!(!format!("{deliveries:?}").contains("secret-1"));
    }
}

#[tokio::test]
async fn check_asks_for_the_account() {
    let cases = [
        (twilio(), "GET /2010-04-01/Accounts/AC1.json"),
        (nexmo(), "GET /account/get-balance"),
        (plivo(), "GET /v1/Account/MA1/"),
    ];
    for (service, line) in cases {
        let server = ApiServer::with_replies(vec![Reply::new(200, "{}"), Reply::new(401, "{}")]);
        let texter = texter(service, &server).await;
        texter.check().await.unwrap();
        assert_eq!(&*texter.check().await.unwrap_err().code, "UNAUTHORIZED");
        assert!(server.received().iter().all(|one| one.line == line));
    }
}
