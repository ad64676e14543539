//! What a definition and an input become on the wire, and what comes back; failures are those of `http`, and of the tests
//! through the package.

use super::super::{Call, Connector, Limits, test_support};
use super::*;
use crate::engine::inputs::SecretStore;
use crate::engine::steps::Steps;
use crate::expr;
use crate::model::JobId;
use crate::resources::{Action, HttpAuth, Method, OutboundRules, PathTemplate, RequestType, Segment, Text};
use crate::store::sqlite::{Location, SqliteConfig, SqliteStore};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// A server that gives one answer to everybody; gives its address and what it was sent.
fn server(answer: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, sent) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut text = String::new();
            let mut buffer = [0; 4096];
            while !is_whole(&text) {
                let read = stream.read(&mut buffer).unwrap_or(0);
                if read == 0 {
                    break;
                }
                text.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
            let _ = stream.write_all(answer.as_bytes());
            if sender.send(text).is_err() {
                return;
            }
        }
    });
    (address, sent)
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

const OK_RESPONSE: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10\r\nconnection: close\r\n\r\n{\"n\":1.00}";

fn expressions() -> ExpressionResolver {
    let values = [("TOKEN", "hunter2hunter2"), ("BAD", "a\r\nx: y")];
    let values: HashMap<Box<str>, Box<str>> = values.map(|(key, value)| (key.into(), value.into())).into();
    let secrets = SecretStore::new(values, Vec::new());
    ExpressionResolver::new(expr::Limits::default(), Arc::new(secrets))
}

fn action() -> Action {
    Action {
        tag: "place".into(),
        method: Method::Post,
        resource: PathTemplate {
            segments: vec![
                Segment::Literal("orders".into()),
                Segment::Param {
                    name: "id".into(),
                    suffix: "".into(),
                },
            ],
            query: None,
        },
        request_type: RequestType::Json("application/json".into()),
        timeout: None,
        headers: vec![
            ("x-time".into(), Text::from("$Now()")),
            ("x-both".into(), Text::from("action")),
        ],
        query: Some(Text::from(r#"{"page":1,"key":"$Secret{TOKEN}"}"#)),
        params: None,
        body: Some(Text::from(
            r#"{"at":"$Now()","price":"$99.99","big":12345678901234567890}"#,
        )),
    }
}

fn app(action: Action) -> Arc<App> {
    Arc::new(App {
        tag: "shop".into(),
        envs: Vec::new(),
        actions: vec![action],
    })
}

fn env(address: &str, auth: Option<HttpAuth>) -> AppEnv {
    AppEnv {
        slug: "prd".into(),
        base_url: Text::from(&*format!("http://{address}/v1/")),
        headers: vec![("x-both".into(), Text::from("env")), ("x-env".into(), Text::from("1"))],
        auth,
        ca: None,
    }
}

async fn call(
    action: Action,
    env: AppEnv,
    expressions: &ExpressionResolver,
    input: &str,
) -> Result<Option<Box<str>>, Failure> {
    let connector = AppConnector::open(app(action), &env, OutboundRules::default(), expressions).await?;
    let store: Arc<dyn crate::store::Store> = SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap();
    let attempt = test_support::attempt(Namespace::Actions, ["shop", "place"], (JobId::generate(), 3), input);
    let steps = Steps::new(Arc::downgrade(&store), &attempt);
    let call = Call {
        attempt: &attempt,
        expressions,
        steps: &steps,
        limits: &Limits::default(),
    };
    connector.run(&call).await
}

#[tokio::test]
async fn an_input_is_merged_into_what_the_action_defines() {
    let (address, sent) = server(OK_RESPONSE);
    let auth = HttpAuth::Bearer(Text::from("$Secret{TOKEN}"));
    let expressions = expressions();
    let input = r#"{"id":7,"at":null,"body:more":[1.10],"query:page":2,"headers:x-both":"input"}"#;
    let result = call(action(), env(&address, Some(auth)), &expressions, input)
        .await
        .unwrap()
        .unwrap();
    assert!(result.starts_with(r#"{"status":200,"headers":{"#), "{result}");
    assert!(result.ends_with(r#""data":{"n":1.00}}"#), "{result}");
    let sent = sent.recv().unwrap();
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        body,
        r#"{"at":null,"price":"$99.99","big":12345678901234567890,"more":[1.10]}"#
    );
    assert!(
        head.starts_with("POST /v1/orders/7?page=2&key=hunter2hunter2 HTTP/1.1\r\n"),
        "{head}"
    );
    for line in [
        "authorization: Bearer hunter2hunter2",
        "x-time: 1767225600000",
        "x-both: input",
        "x-env: 1",
        "content-type: application/json",
    ] {
        assert!(head.contains(&format!("\r\n{line}")), "{line} in {head}");
    }
    assert!(
        head.contains("\r\nidempotency-key: job_") && head.contains("/3\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn credentials_are_sent_as_a_header() {
    let text = |text: &str| Text::from(text);
    let cases = [
        (
            HttpAuth::Basic {
                username: text("ann"),
                password: text("$Secret{TOKEN}"),
            },
            "authorization: Basic YW5uOmh1bnRlcjJodW50ZXIy",
        ),
        (
            HttpAuth::Header {
                name: "x-api-key".into(),
                value: text("key $Secret{TOKEN}"),
            },
            "x-api-key: key hunter2hunter2",
        ),
    ];
    for (auth, line) in cases {
        let (address, sent) = server(OK_RESPONSE);
        call(action(), env(&address, Some(auth)), &expressions(), r#"{"id":1}"#)
            .await
            .unwrap();
        let sent = sent.recv().unwrap();
        assert!(sent.contains(line), "{sent}");
    }
}

#[tokio::test]
async fn invalid_request_fails_before_anything_is_sent() {
    let (address, sent) = server(OK_RESPONSE);
    let inputs = [
        (r#"{}"#, "params.id"),
        (r#"{"id":".."}"#, "params.id"),
        (r#"{"id":1,"headers:x-a":"a\r\nx-b: hunter3"}"#, "headers.x-a"),
        (r#"{"id":1,"headers:x-a\r\nx-b":"hunter3"}"#, "headers.x-a\\r\\nx-b"),
        (r#"{"id":1,"headers:host":"hunter3"}"#, "headers.host"),
        (r#"{"id":1,"headers:Content-Length":"1"}"#, "headers.Content-Length"),
        (r#"{"id":1,"headers:x-a":["hunter3"]}"#, "headers.x-a"),
        (r#"{"id":1,"query":[]}"#, "input.query"),
    ];
    for (input, place) in inputs {
        let failure = call(action(), env(&address, None), &expressions(), input)
            .await
            .unwrap_err();
        assert_eq!(&*failure.code, "VALIDATION_ERROR", "{input}");
        assert!(failure.message.starts_with(place), "{input}: {}", failure.message);
        assert!(!failure.message.contains("hunter"), "{}", failure.message);
    }
    let definitions = [
        (
            HttpAuth::Bearer(Text::from("$Secret{BAD}")),
            "`auth` holds a line break",
        ),
        (HttpAuth::Bearer(Text::from("$Secret{MISSING}")), "MISSING"),
    ];
    for (auth, message) in definitions {
        let failure = call(action(), env(&address, Some(auth)), &expressions(), r#"{"id":1}"#)
            .await
            .unwrap_err();
        assert_eq!(&*failure.code, "VALIDATION_ERROR");
        assert!(failure.message.contains(message), "{}", failure.message);
    }
    for base in ["ftp://h", "http://u:hunter2@h", "http://h/?a", "no URL"] {
        let mut env = env(&address, None);
        env.base_url = Text::from(base);
        let failure = call(action(), env, &expressions(), r#"{"id":1}"#).await.unwrap_err();
        assert!(
            failure.message.contains("`base_url`") && !failure.message.contains("hunter2"),
            "{base}"
        );
    }
    assert!(sent.try_recv().is_err());
}

#[tokio::test]
async fn a_failure_names_the_host_and_the_status() {
    let refusal = "HTTP/1.1 503 hunter3\r\nretry-after: 2\r\ncontent-length: 7\r\nconnection: close\r\n\r\nhunter3";
    let (address, _) = server(refusal);
    let failure = call(action(), env(&address, None), &expressions(), r#"{"id":1}"#)
        .await
        .unwrap_err();
    let expected = Failure {
        code: "SERVICE_UNAVAILABLE".into(),
        message: "127.0.0.1: the answer was HTTP 503".to_owned(),
        retry_after: Some(2_000),
    };
    assert_eq!(failure, expected);
}
