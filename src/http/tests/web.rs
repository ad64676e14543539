//! HTTP as servers of the web speak it, which differs from the examples of its standard.

use super::super::proxy::Proxies;
use super::*;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn methods_that_mostly_have_a_body_say_that_they_have_none() {
    let client = client(OutboundRules::default());
    let (address, heads) = server(answers(OK_RESPONSE));
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    for (method, says) in [
        (Method::POST, true),
        (Method::PUT, true),
        (Method::PATCH, true),
        (Method::GET, false),
        (Method::HEAD, false),
        (Method::DELETE, false),
    ] {
        let request = client.request(method.clone(), url.clone());
        client.exchange(request, &LIMITS).await.unwrap();
        let head = heads.recv().unwrap();
        assert_eq!(head.contains("content-length: 0\r\n"), says, "{method} {head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
        if says {
            // A body of no bytes is none.
            let request = client.request(method.clone(), url.clone()).body("");
            client.exchange(request, &LIMITS).await.unwrap();
            let head = heads.recv().unwrap();
            assert_eq!(head.matches("content-length: 0\r\n").count(), 1, "{method} {head}");
        }
    }
    client
        .send(client.request(Method::POST, url), LIMITS.deadline, 0)
        .await
        .unwrap();
    assert!(heads.recv().unwrap().contains("content-length: 0"));
}

#[tokio::test]
async fn compressed_answers_are_read_also_when_nobody_asked_for_them() {
    let zlib = {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"hello, hello").unwrap();
        encoder.finish().unwrap()
    };
    for (coding, body) in [
        ("gzip", gzip("hello, hello")),
        ("gzip", [gzip("hello, "), gzip("hello")].concat()),
        ("x-gzip", gzip("hello, hello")),
        ("deflate", zlib),
        ("identity", b"hello, hello".to_vec()),
    ] {
        let (address, heads) = server(move |_, stream| {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        });
        let answer = get(&format!("http://{address}/"), LIMITS).await.unwrap();
        assert_eq!(String::from_utf8(answer.body).unwrap(), "hello, hello", "{coding}");
        let described =
            answer.headers.contains_key("content-encoding") || answer.headers.contains_key("content-length");
        assert_eq!(described, coding == "identity", "{:?}", answer.headers);
        assert!(heads.recv().unwrap().contains("accept-encoding: gzip\r\n"));
    }
    let (address, _) = server(answers(
        "HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 3\r\n\r\n\u{1}\u{2}\u{3}",
    ));
    let failure = fails(&address).await;
    assert_eq!(failure.code, "VALIDATION_ERROR");
    assert!(
        failure.message.contains("'br'") && failure.message.contains("accept-encoding"),
        "{failure:?}"
    );
    // Nothing to decompress.
    let (address, _) = server(answers("HTTP/1.1 204 OK\r\ncontent-encoding: gzip\r\n\r\n"));
    assert_eq!(get(&format!("http://{address}/"), LIMITS).await.unwrap().status, 204);
}

#[tokio::test]
async fn redirects_to_addresses_that_are_not_escaped_are_followed() {
    for (place, expected) in [
        (
            "/caf\u{e9} au lait?x=\u{fc}".as_bytes(),
            "get /caf%c3%a9%20au%20lait?x=%c3%bc http",
        ),
        (b"/caf\xe9", "get /caf%e9 http"),
    ] {
        let (address, heads) = server(move |head, stream| {
            if head.starts_with("get / ") {
                let _ =
                    stream.write_all(b"HTTP/1.1 302 Elsewhere\r\nconnection: close\r\ncontent-length: 0\r\nlocation: ");
                let _ = stream.write_all(place);
                let _ = stream.write_all(b"\r\n\r\n");
            } else {
                let _ = stream.write_all(OK_RESPONSE.as_bytes());
            }
        });
        assert_eq!(get(&format!("http://{address}/"), LIMITS).await.unwrap().status, 200);
        let _first = heads.recv();
        let head = heads.recv().unwrap();
        assert!(head.starts_with(expected), "{head}");
    }
}

#[tokio::test]
async fn answers_that_lead_nowhere_say_what_they_are() {
    let client = client(OutboundRules::default());
    for (status, header, said) in [
        (304, "", "nothing has changed"),
        (302, "", "without the header 'location'"),
        (308, "location: http://[hunter2", "is no URL"),
        (300, "location: /a", "which is no redirect to follow"),
        (305, "", "which is no redirect to follow"),
    ] {
        let text = format!("HTTP/1.1 {status} Elsewhere\r\nconnection: close\r\ncontent-length: 0\r\n{header}");
        let text = format!("{}\r\n\r\n", text.trim_end());
        let (address, _) = server(answers(text));
        let url = Url::parse(&format!("http://{address}/")).unwrap();
        let sent = client
            .send(client.request(Method::POST, url), LIMITS.deadline, 0)
            .await
            .unwrap_err();
        for failure in [fails(&address).await, sent] {
            assert_eq!((failure.code, failure.status), ("HTTP_ERROR", Some(status)));
            assert!(
                failure.message.contains(said) && !failure.message.contains("hunter2"),
                "{failure:?}"
            );
        }
    }
    let (address, _) = redirecting_server(302, "/next");
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let sent = client
        .send(client.request(Method::POST, url), LIMITS.deadline, 0)
        .await
        .unwrap_err();
    assert!(sent.message.contains("give the URL that it leads to"), "{sent:?}");
}

#[tokio::test]
async fn requests_go_by_the_proxy_of_the_environment_but_for_its_exceptions() {
    let (proxy, asked) = server(answers(OK_RESPONSE));
    let (direct, heads) = server(answers(OK_RESPONSE));
    let open = |except: &str, outbound: OutboundRules| {
        let proxies = Proxies::read(|name| match name {
            "HTTP_PROXY" => Some(format!("me:hunter2@{proxy}")),
            "NO_PROXY" => Some(except.to_owned()),
            _ => None,
        });
        Client::with_proxies(ClientOptions::new(outbound), proxies).unwrap()
    };
    let ask = async |client: &Client, url: String| {
        let request = client.request(Method::GET, Url::parse(&url).unwrap());
        client.exchange(request, &LIMITS).await
    };
    let client = open(&direct, OutboundRules::default());
    assert_eq!(
        ask(&client, "http://nowhere.invalid/a".to_owned())
            .await
            .unwrap()
            .status,
        200
    );
    let head = asked.recv().unwrap();
    assert!(head.starts_with("get http://nowhere.invalid/a http/1.1"), "{head}");
    assert!(head.contains("proxy-authorization: basic"), "{head}");
    assert_eq!(ask(&client, format!("http://{direct}/b")).await.unwrap().status, 200);
    let head = heads.recv().unwrap();
    assert!(
        head.starts_with("get /b") && !head.contains("proxy-authorization"),
        "{head}"
    );
    // By any of the addresses, as `*` says.
    let client = open("*", OutboundRules::default());
    assert_eq!(ask(&client, format!("http://{direct}/c")).await.unwrap().status, 200);
    // A proxy would get around the rule.
    let guarded = open(
        "",
        OutboundRules {
            private_addresses: false,
            ..OutboundRules::default()
        },
    );
    assert!(ask(&guarded, "http://nowhere.invalid/d".to_owned()).await.is_err());
    assert!(asked.try_recv().is_err(), "nothing else went by the proxy");
    let unusable = Proxies::read(|name| (name == "HTTP_PROXY").then(|| "socks5://hunter2".to_owned()));
    let client = Client::with_proxies(ClientOptions::new(OutboundRules::default()), unusable).unwrap();
    let failure = ask(&client, format!("http://{direct}/e")).await.unwrap_err();
    assert_eq!(failure.code, "VALIDATION_ERROR");
    assert!(
        failure.message.contains("HTTP_PROXY") && !failure.message.contains("hunter2"),
        "{failure:?}"
    );
}
