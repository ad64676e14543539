//! Exchanges with misbehaving servers, each scripted.

mod web;

use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// What a server does with a connection after reading the request.
type Script = Box<dyn Fn(&str, &mut TcpStream) + Send>;

/// Starts a scripted server; returns its address and the request heads it receives.
fn server(script: impl Fn(&str, &mut TcpStream) + Send + 'static) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, heads) = channel();
    let script: Script = Box::new(script);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let head = head_of(&mut stream);
            // Closed with bytes unread, the connection would be reset, and the answer lost on its way.
            skip_body(&head, &mut stream);
            // Before the answer, so that whoever has that finds this here.
            let _ = sender.send(head.clone());
            script(&head, &mut stream);
        }
    });
    (address, heads)
}

fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).to_lowercase()
}

fn skip_body(head: &str, stream: &mut TcpStream) {
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    let _ = stream.read_exact(&mut vec![0; length]);
}

fn answers(text: impl Into<String>) -> impl Fn(&str, &mut TcpStream) + Send + 'static {
    let text = text.into();
    move |_, stream| {
        let _ = stream.write_all(text.as_bytes());
    }
}

fn client(outbound: OutboundRules) -> Client {
    Client::new(ClientOptions::new(outbound)).unwrap()
}

const LIMITS: ExchangeLimits = ExchangeLimits {
    deadline: Duration::from_secs(5),
    response_bytes: 100_000,
    redirects: 5,
    now: 784_111_777_000,
};

async fn get(url: &str, limits: ExchangeLimits) -> std::result::Result<HttpResponse, Failure> {
    let client = client(OutboundRules::default());
    let request = client.request(Method::GET, Url::parse(url).unwrap());
    client.exchange(request, &limits).await
}

async fn fails(address: &str) -> Failure {
    get(&format!("http://{address}/path?token=hunter2"), LIMITS)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn response_is_read_completely() {
    let (address, _) = server(answers("HTTP/1.1 201 Made\r\nx-a: 1\r\ncontent-length: 5\r\n\r\nhello"));
    let answer = get(&format!("http://{address}/"), LIMITS).await.unwrap();
    assert_eq!((answer.status, &*answer.body), (201, &b"hello"[..]));
    assert_eq!(answer.headers.get("x-a").unwrap(), "1");
}

#[tokio::test]
async fn each_exchange_failure_has_its_code() {
    let (garbage, _) = server(answers("220 mail.example.com ESMTP\r\n"));
    let failure = fails(&garbage).await;
    assert_eq!(failure.code, "CONNECTION_ERROR", "{failure:?}");
    let (cut, _) = server(answers("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe"));
    assert_eq!(fails(&cut).await.code, "CONNECTION_ERROR");
    let (closes, _) = server(|_, _| {});
    assert_eq!(fails(&closes).await.code, "CONNECTION_ERROR");
    let refused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    assert_eq!(fails(&refused).await.code, "CONNECTION_ERROR");
    assert_eq!(fails("nowhere.invalid").await.code, "CONNECTION_ERROR");
    let (busy, _) = server(answers(
        "HTTP/1.1 429 No\r\nretry-after: 7\r\ncontent-length: 900\r\n\r\nhunter3",
    ));
    let failure = fails(&busy).await;
    assert_eq!((failure.code, failure.retry_after), ("RATE_LIMITED", Some(7_000)));
    for failure in [fails(&garbage).await, fails(&cut).await, failure] {
        assert!(!format!("{failure:?}").contains("hunter"), "{failure:?}");
    }
}

#[tokio::test]
async fn stalled_response_ends_at_the_deadline() {
    let limits = ExchangeLimits {
        deadline: Duration::from_millis(150),
        ..LIMITS
    };
    for text in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe",
    ] {
        let (address, _) = server(move |_, stream| {
            let _ = stream.write_all(text.as_bytes());
            // Blocks until the client gives up.
            let _ = stream.read(&mut [0; 1]);
        });
        let failure = get(&format!("http://{address}/"), limits).await.unwrap_err();
        assert_eq!(failure, Failure::timed_out(limits.deadline), "{text:?}");
    }
}

// The connection is closed on another thread, and the test waits for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn response_size_limit_applies_with_or_without_length_and_compression() {
    let (said, _) = server(answers("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n"));
    assert_eq!(fails(&said).await, Failure::too_large(100_000));
    let (sender, closed) = channel();
    let (endless, _heads) = server(move |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'a'; 65_536]).is_ok() {}
        let _ = sender.send(());
    });
    assert_eq!(fails(&endless).await, Failure::too_large(100_000));
    assert!(
        closed.recv().is_ok(),
        "the connection is closed, or the server would write for ever"
    );
    // 10 MB of zeros in 10 kB: one block of literal zero bytes, repeated by hand.
    let bomb = include_bytes!("tests/bomb.gz");
    let (packed, _) = server(move |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n");
        let _ = stream.write_all(bomb);
    });
    assert!(bomb.len() < 100_000);
    assert_eq!(fails(&packed).await, Failure::too_large(100_000));
}

/// A server that redirects each request to `target`.
fn redirecting_server(status: u16, target: &str) -> (String, Receiver<String>) {
    server(answers(format!(
        "HTTP/1.1 {status} Elsewhere\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )))
}

const OK_RESPONSE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

async fn post(client: &Client, address: &str) -> std::result::Result<HttpResponse, Failure> {
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let request = client
        .request(Method::POST, url)
        .header("authorization", "Bearer hunter2")
        .header("x-api-key", "hunter2")
        .header("idempotency-key", "k")
        .header("content-type", "text/plain")
        .body("body");
    client.exchange(request, &LIMITS).await
}

#[tokio::test]
async fn cross_origin_redirect_drops_credentials_and_method_follows_the_status() {
    let client = client(OutboundRules::default());
    for (status, method, has_body) in [
        (301, "get", false),
        (302, "get", false),
        (303, "get", false),
        (307, "post", true),
        (308, "post", true),
    ] {
        let (target, heads) = server(answers(OK_RESPONSE));
        let (first, _) = redirecting_server(status, &format!("http://user:secret@{target}/next"));
        assert_eq!(post(&client, &first).await.unwrap().status, 200);
        let head = heads.recv().unwrap();
        assert!(head.starts_with(&format!("{method} /next http/1.1")), "{status} {head}");
        assert_eq!(head.contains("content-type: text/plain"), has_body, "{status} {head}");
        assert_eq!(head.contains("content-length: 4"), has_body, "{status} {head}");
        assert!(
            head.contains("idempotency-key: k") && !head.contains("authorization"),
            "{head}"
        );
        assert!(!head.contains("hunter2"), "{head}");
    }
}

#[tokio::test]
async fn same_origin_redirect_keeps_headers_and_body() {
    let (address, heads) = server(|head, stream| {
        let text = if head.starts_with("post /next") {
            OK_RESPONSE
        } else {
            "HTTP/1.1 307 Elsewhere\r\nlocation: next\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        };
        let _ = stream.write_all(text.as_bytes());
    });
    assert!(post(&client(OutboundRules::default()), &address).await.is_ok());
    let _first = heads.recv();
    assert!(heads.recv().unwrap().contains("x-api-key: hunter2"));
}

#[tokio::test]
async fn redirects_that_are_not_followed_say_why() {
    let client = client(OutboundRules::default());
    let (scheme, _) = redirecting_server(302, "https://127.0.0.1/");
    let failure = post(&client, &scheme).await.unwrap_err();
    assert_eq!((failure.code, failure.status), ("FORBIDDEN", Some(302)));
    let (file, _) = redirecting_server(302, "file:///etc/passwd");
    assert_eq!(post(&client, &file).await.unwrap_err().code, "FORBIDDEN");
    let (circle, heads) = redirecting_server(307, "/");
    assert_eq!(
        post(&client, &circle).await.unwrap_err().message,
        "more than 5 redirects"
    );
    assert_eq!(heads.try_iter().count(), 6);
}

#[tokio::test]
async fn disallowed_host_is_unreachable_directly_by_name_and_by_redirect() {
    let (address, heads) = server(answers(OK_RESPONSE));
    let port = address.rsplit(':').next().unwrap().to_owned();
    let closed = client(OutboundRules {
        private_addresses: false,
        ..OutboundRules::default()
    });
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "localhost",
        "LOCALHOST",
    ] {
        let failure = post(&closed, &format!("{host}:{port}")).await.unwrap_err();
        assert_eq!(
            (failure.code, failure.status),
            ("FORBIDDEN", None),
            "{host} {failure:?}"
        );
    }
    let some = client(OutboundRules {
        hosts: Some(vec!["127.0.0.1".into()]),
        ..OutboundRules::default()
    });
    assert!(post(&some, &address).await.is_ok());
    let _allowed = heads.recv();
    let (first, _) = redirecting_server(307, &format!("http://localhost:{port}/"));
    let failure = post(&some, &first).await.unwrap_err();
    assert_eq!(failure.code, "FORBIDDEN");
    assert!(
        failure.message.contains("localhost") && failure.message.contains("redirect"),
        "{failure:?}"
    );
    assert_eq!(post(&some, "example.com").await.unwrap_err().code, "FORBIDDEN");
    assert!(heads.try_recv().is_err(), "nobody else came by");
}

#[tokio::test]
async fn invalid_ca_is_refused() {
    for pem in [
        "",
        "not PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let mut options = ClientOptions::new(OutboundRules::default());
        options.authorities = Some(pem.to_owned());
        let error = Client::open(options).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::ValidationError, "{pem} {error}");
    }
}
