//! A server that answers as a test says: for what the real one does not do on demand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The operation, without its namespace.
    pub(super) operation: String,
    /// Names in lower case.
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

/// What becomes of a request.
pub(super) enum Reply {
    Json(u16, String),
    /// The connection is closed.
    Cut,
    /// Nothing comes.
    Silence,
}

/// An answer of success.
pub(super) fn ok(body: &str) -> Reply {
    Reply::Json(200, body.to_owned())
}

/// A refusal of this type.
pub(super) fn refused(kind: &str) -> Reply {
    let status = if kind.starts_with("Internal") { 500 } else { 400 };
    Reply::Json(
        status,
        format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}","message":"s3cret"}}"#),
    )
}

/// The answer of `DescribeTable`, for a table with the key `id`, a string.
pub(super) const TABLE: &str = r#"{"Table":{"AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}}"#;

/// A server with what it was asked.
pub(super) struct Fake {
    pub(super) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// `answer` gets each request and the number of those before it.
    pub(super) async fn start(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (answer, heard) = (Arc::new(answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, heard) = (Arc::clone(&answer), Arc::clone(&heard));
                tokio::spawn(async move { serve(stream, &*answer, &heard).await });
            }
        });
        Self { port, asked }
    }

    /// One that knows the table and answers everything else by `answer`, which gets the number of other requests before.
    pub(super) async fn with_table(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let others = Mutex::new(0);
        Self::start(move |asked, _| {
            if asked.operation == "DescribeTable" {
                return ok(TABLE);
            }
            let mut others = others.lock().unwrap();
            *others += 1;
            answer(asked, *others - 1)
        })
        .await
    }

    pub(super) fn url(&self) -> String {
        format!(
            "dynamodb://eu-west-1/AKID/s3cret-key?endpoint=http://127.0.0.1:{}",
            self.port
        )
    }

    /// What was asked, without descriptions of tables.
    pub(super) fn asked(&self) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        let others = asked.iter().filter(|asked| asked.operation != "DescribeTable");
        others.cloned().collect()
    }

    /// How often a table was described.
    pub(super) fn descriptions(&self) -> usize {
        let all = self.asked.lock().unwrap().len();
        all - self.asked().len()
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &(dyn Fn(&Asked, usize) -> Reply + Send + Sync),
    heard: &Mutex<Vec<Asked>>,
) {
    let mut read = Vec::new();
    loop {
        let Some(asked) = receive(&mut stream, &mut read).await else {
            return;
        };
        let before = {
            let mut heard = heard.lock().unwrap();
            heard.push(asked.clone());
            heard.len() - 1
        };
        match answer(&asked, before) {
            Reply::Cut => return,
            Reply::Silence => tokio::time::sleep(Duration::from_secs(60)).await,
            Reply::Json(status, body) => {
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let sent = stream.write_all(format!("{head}{body}").as_bytes()).await;
                if sent.is_err() {
                    return;
                }
            }
        }
    }
}

async fn receive(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some(asked) = parse(read) {
            return Some(asked);
        }
        let mut chunk = [0; 16 * 1024];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => read.extend_from_slice(&chunk[..length]),
        }
    }
}

/// Takes a request from the front of what was read.
fn parse(read: &mut Vec<u8>) -> Option<Asked> {
    let end = read.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    let headers: HashMap<String, String> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let whole = end + 4 + length;
    if read.len() < whole {
        return None;
    }
    let body = String::from_utf8(read[end + 4..whole].to_vec()).unwrap();
    read.drain(..whole);
    let operation = headers.get("x-amz-target").and_then(|target| target.split('.').nth(1));
    Some(Asked {
        operation: operation.unwrap_or_default().to_owned(),
        headers,
        body,
    })
}
